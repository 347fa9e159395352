//! Joining: when the rotation that another reset carries out serves this one, too.
//!
//! It does when its new value is younger than this reset's exposure, and nothing that this reset protects that value from
//! was left out there: the other plan was made for another incident, and knows neither the places that are compromised
//! here nor whose old value must be dead first.

use std::collections::HashMap;

use remint_core::machine::State;
use remint_core::plan::{Member, Plan, Precedence, Row};
use remint_core::step::Step;

use crate::engine::record::{Reset, RotationRecord};
use crate::engine::takeover::Other;

/// What members wait for in their own plan before they are minted, delivered or killed, by member: a value that somebody
/// else made must have waited for the same. Looked up when the first is asked for.
#[derive(Default)]
pub(super) struct Waiting(Option<HashMap<usize, Vec<Precedence>>>);

impl Waiting {
    /// Is everything that this member waits for waited for in the other plan, too?
    fn kept(&mut self, (plan, index): (&Plan, usize), (other, at): (&Plan, usize)) -> bool {
        let waiting = self.0.get_or_insert_with(|| {
            let mut waiting: HashMap<usize, Vec<Precedence>> = HashMap::new();
            for precedence in plan.precedences.iter().filter(|precedence| binding(precedence.row)) {
                waiting.entry(precedence.after.0).or_default().push(*precedence);
            }
            waiting
        });
        let Some(mine) = waiting.get(&index) else { return true };
        let named = |plan: &Plan, one: &Precedence| {
            let name = |index: usize| plan.members[index].credential.clone();
            (name(one.before.0), one.before.1, one.after.1, one.row)
        };
        let theirs = other.precedences.iter().filter(|one| one.after.0 == at);
        let theirs: Vec<_> = theirs.map(|one| named(other, one)).collect();
        // A minter that joins nothing is replaced here once more, and takes what the other reset minted with it.
        mine.iter().all(|one| one.row != Row::DiesWith && theirs.contains(&named(plan, one)))
    }
}

/// Rows that keep a new value from an attacker, or from dying with what made it.
const fn binding(row: Row) -> bool {
    matches!(row, Row::Read | Row::Minter | Row::DiesWith | Row::Outlives | Row::Cut)
}

/// Does this rotation's new value die with a minter that its own reset still replaces? Then it is rotated again after
/// whoever takes it over: he may have it made by the version that dies.
pub(super) fn dies_again(reset: &Other, rotation: &RotationRecord) -> bool {
    let plan = &reset.reset.plan;
    let mut minters = plan
        .precedences
        .iter()
        .filter(|precedence| precedence.row == Row::DiesWith && precedence.after == (rotation.index, Step::Mint));
    minters.any(|precedence| {
        let minter = &plan.members[precedence.before.0].credential;
        let found = reset.rotations.get(minter).map(|(record, _)| &record.rotation.state);
        !matches!(found, None | Some(State::Settled { .. } | State::Superseded { .. }))
    })
}

/// True when this reset may wait for what the other one does, and count it.
pub(super) fn serves(
    reset: &Reset,
    waiting: &mut Waiting,
    index: usize,
    other: &Other,
    theirs: &RotationRecord,
) -> bool {
    let (mine, member) = (&reset.plan.members[index], &other.reset.plan.members[theirs.index]);
    mints_after(other, theirs, reset)
        && as_careful(mine, member)
        && waiting.kept((&reset.plan, index), (&other.reset.plan, theirs.index))
}

/// Is the other one's new value younger than this one's exposure? A value not yet minted is; one that was minted is no
/// older than the request for it.
fn mints_after(other: &Other, theirs: &RotationRecord, reset: &Reset) -> bool {
    let exposed = reset.exposed_at.unwrap_or(reset.requested_at);
    let begun = theirs.rotation.facts.new.is_some() || other.minting.contains(&theirs.credential);
    let approved = other.reset.approval.is_some();
    approved && !begun || other.reset.requested_at >= exposed
}

/// Does the other plan keep the new value from every place and node that this one keeps it from?
fn as_careful(mine: &Member, theirs: &Member) -> bool {
    let held = mine.withheld.iter().chain(mine.late.iter().map(|late| &late.destination));
    let kept = |place| theirs.withheld.contains(place) || !theirs.places().any(|other| other == place);
    held.into_iter().all(kept) && mine.awaits.is_subset(&theirs.awaits)
}
