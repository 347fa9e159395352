//! The digest: one leaf per member and one of limits, so that drift in a leaf parks that leaf and no other.

use std::borrow::Cow;
use std::sync::atomic::{AtomicBool, Ordering};

use serde::Serialize;

use crate::digest::Digest;
use crate::halves::in_halves;

use super::{Cut, Member, Plan, Precedence, Row};
use crate::step::Step;

/// A member, and the precedences that end in it, by names instead of indexes: another member that comes or goes does not
/// change it.
#[derive(Serialize)]
struct Leaf<'a> {
    /// Of the member without anything that is only a forecast.
    member: Digest,
    /// All members of its cut, as one digest.
    #[serde(skip_serializing_if = "Option::is_none")]
    cut: Option<Digest>,
    after: Vec<(&'a str, Step, Step, Row)>,
    /// Places that are written later, each with whose sweep it waits for.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    held: Vec<(String, &'a str)>,
}

impl Plan {
    /// The digest that this plan must have: equal to [`Plan::digest`] unless somebody edited it.
    #[must_use]
    pub fn recompute(&self) -> Digest {
        root(self, &[])
    }

    /// The digest of one member's leaf.
    #[must_use]
    pub fn leaf(&self, member: usize) -> Digest {
        let Some(this) = self.members.get(member) else { return Digest::of(&[]) };
        let after = self.precedences.iter().filter(|edge| edge.after.0 == member);
        let cut = this.cut.and_then(|cut| self.cuts.get(cut)).map(|cut| self.unit(cut));
        leaf_of(this, body(this), after, cut, &self.names())
    }

    /// All members of a cut, by name.
    fn unit(&self, cut: &Cut) -> Digest {
        let members = cut.members.iter().filter_map(|&member| self.members.get(member));
        let mut names: Vec<_> = members.map(|member| member.credential.text().into_bytes()).collect();
        names.sort_unstable();
        Digest::merkle(&names)
    }

    fn names(&self) -> Vec<String> {
        self.members.iter().map(|member| member.credential.text()).collect()
    }
}

/// The digest of one leaf: indexes of others would make it change with its neighbours, so names stand for them.
fn leaf_of<'p>(
    this: &Member,
    body: Digest,
    after: impl Iterator<Item = &'p Precedence>,
    cut: Option<Digest>,
    names: &[String],
) -> Digest {
    let name = |index: usize| names.get(index).map(String::as_str).unwrap_or_default();
    let mut after: Vec<_> = after.map(|edge| (name(edge.before.0), edge.before.1, edge.after.1, edge.row)).collect();
    after.sort_unstable();
    let mut held: Vec<_> = this.withheld_after.iter().map(|&index| ("withheld".to_owned(), name(index))).collect();
    for late in &this.late {
        let place = late.destination.at.to_string();
        held.extend(late.after.iter().map(|&index| (place.clone(), name(index))));
    }
    held.sort_unstable();
    Digest::leaf(&written(&Leaf { member: body, cut, after, held }))
}

impl Member {
    /// The digest of what is done to it, whichever other members are in the plan.
    #[must_use]
    pub fn itself(&self) -> Digest {
        body(self)
    }
}

/// The digest of what a member is by itself.
fn body(member: &Member) -> Digest {
    let mut bare = Cow::Borrowed(member);
    if names_others(member) {
        let bare = bare.to_mut();
        bare.cut = None;
        bare.withheld_after.clear();
        bare.late.iter_mut().for_each(|late| late.after.clear());
    }
    Digest::of(&written(&*bare))
}

fn names_others(member: &Member) -> bool {
    member.cut.is_some() || !member.withheld_after.is_empty() || !member.late.is_empty()
}

/// The digests of the first members, as many as there is time for: work for a thread while another looks for cycles.
pub(super) fn begin(members: &[Member], enough: &AtomicBool) -> Vec<Digest> {
    members.iter().take_while(|_| !enough.load(Ordering::Relaxed)).map(body).collect()
}

/// The root over all leaves and the limits. `begun` are what [`begin`] gave for the first members, which may have been
/// cut, held back or exposed since.
pub(super) fn root(plan: &Plan, begun: &[Digest]) -> Digest {
    let count = plan.members.len();
    // The precedences that end in each member, one after another.
    let mut from = vec![0; count + 1];
    plan.precedences.iter().for_each(|edge| from[edge.after.0 + 1] += 1);
    (0..count).for_each(|member| from[member + 1] += from[member]);
    let mut next = from.clone();
    let mut after = vec![0; plan.precedences.len()];
    for (index, edge) in plan.precedences.iter().enumerate() {
        after[next[edge.after.0]] = index;
        next[edge.after.0] += 1;
    }
    let units: Vec<Digest> = plan.cuts.iter().map(|cut| plan.unit(cut)).collect();
    let names = plan.names();
    let mut leaves = in_halves(count, |index| {
        let member = &plan.members[index];
        let known = begun.get(index).filter(|_| !names_others(member) && member.exposed_by.is_none());
        debug_assert!(known.is_none_or(|known| *known == body(member)), "it is not what it was");
        let body = known.copied().unwrap_or_else(|| body(member));
        let after = after[from[index]..from[index + 1]].iter().map(|&edge| &plan.precedences[edge]);
        let cut = member.cut.and_then(|cut| units.get(cut).copied());
        leaf_of(member, body, after, cut, &names)
    });
    leaves.push(Digest::leaf(&written(&plan.limits)));
    // What is left out is approved with the rest.
    let left_out = (!plan.exceptions.is_empty()).then(|| Digest::leaf(&written(&("exceptions", &plan.exceptions))));
    leaves.extend(left_out);
    // An approval of a revision is one of the difference: of this plan as the successor of that one.
    leaves.extend(plan.parent.iter().map(|parent| Digest::leaf(parent.to_string().as_bytes())));
    Digest::merkle_of(&leaves)
}

/// Names, numbers and enums only: writing them as JSON cannot fail.
fn written(value: &impl Serialize) -> Vec<u8> {
    let mut bytes = Vec::with_capacity(512);
    let _ = serde_json::to_writer(&mut bytes, value);
    bytes
}
