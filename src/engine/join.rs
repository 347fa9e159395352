//! Joining: when the rotation that another reset carries out serves this one, too.
//!
//! It does when its new value is younger than this reset's exposure, and nothing that this reset protects that value from
//! was left out there: the other plan was made for another incident, and knows neither the places that are compromised
//! here nor whose old value must be dead first.

use std::collections::HashSet;

use remint_core::plan::{Member, Plan, Row};

use crate::engine::record::{Reset, RotationRecord};
use crate::engine::takeover::Other;

/// Members that must wait for another member of their own plan before they are minted, delivered or killed: a value that
/// somebody else made did not wait. Looked up when the first is asked for.
#[derive(Default)]
pub(super) struct Waiting(Option<HashSet<usize>>);

impl Waiting {
    fn contains(&mut self, plan: &Plan, index: usize) -> bool {
        let waiting = self.0.get_or_insert_with(|| {
            let binding = |row| matches!(row, Row::Read | Row::Minter | Row::DiesWith | Row::Outlives | Row::Cut);
            let precedences = plan.precedences.iter().filter(|precedence| binding(precedence.row));
            precedences.map(|precedence| precedence.after.0).collect()
        });
        waiting.contains(&index)
    }
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
    mints_after(other, theirs, reset) && as_careful(mine, member) && !waiting.contains(&reset.plan, index)
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
