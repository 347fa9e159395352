//! The digest: one leaf per member and one of limits, so that drift in a leaf parks that leaf and no other.

use serde::Serialize;

use crate::digest::Digest;

use super::{Limits, Member, Plan, Row};
use crate::step::Step;

/// A member without anything that is only a forecast, and the precedences that end in it, by names instead of indexes:
/// another member that comes or goes does not change it.
#[derive(Serialize)]
struct Leaf<'a> {
    member: &'a Member,
    cut: Option<Vec<String>>,
    after: Vec<(String, Step, Step, Row)>,
}

impl Plan {
    /// The digest that this plan must have: equal to [`Plan::digest`] unless somebody edited it.
    #[must_use]
    pub fn recompute(&self) -> Digest {
        root(self)
    }

    /// The digest of one member's leaf.
    #[must_use]
    pub fn leaf(&self, member: usize) -> Digest {
        let after = self.precedences.iter().filter(|edge| edge.after.0 == member);
        Digest::of(&self.leaf_bytes(member, after.copied().collect::<Vec<_>>().as_slice()))
    }

    fn leaf_bytes(&self, member: usize, after: &[super::Precedence]) -> Vec<u8> {
        let Some(this) = self.members.get(member) else { return Vec::new() };
        let name =
            |index: usize| self.members.get(index).map(|member| member.credential.to_string()).unwrap_or_default();
        let mut after: Vec<_> =
            after.iter().map(|edge| (name(edge.before.0), edge.before.1, edge.after.1, edge.row)).collect();
        after.sort_unstable();
        let cut = this.cut.and_then(|cut| self.cuts.get(cut));
        // Indexes of others would make the leaf change with its neighbours; names stand for them.
        let mut bare = this.clone();
        bare.cut = None;
        let held: Vec<_> = bare.withheld_after.drain(..).collect();
        after.extend(held.into_iter().map(|index| (name(index), Step::Sweep, Step::Deliver, Row::Read)));
        for late in &mut bare.late {
            let held: Vec<_> = late.after.drain(..).collect();
            after.extend(held.into_iter().map(|index| (name(index), Step::Sweep, Step::Deliver, Row::Read)));
        }
        let leaf = Leaf {
            member: &bare,
            // A cut of thousands is named by its first member: every other member's own leaf says the same.
            cut: cut.map(|cut| cut.members.iter().take(1).map(|&index| name(index)).collect()),
            after,
        };
        // Names, numbers and enums only: writing them as JSON cannot fail.
        serde_json::to_vec(&leaf).unwrap_or_default()
    }
}

/// The root over all leaves and the limits.
pub(super) fn root(plan: &Plan) -> Digest {
    let mut by_member: Vec<Vec<super::Precedence>> = vec![Vec::new(); plan.members.len()];
    for edge in &plan.precedences {
        by_member[edge.after.0].push(*edge);
    }
    let mut leaves: Vec<Vec<u8>> =
        by_member.iter().enumerate().map(|(member, after)| plan.leaf_bytes(member, after)).collect();
    leaves.push(limits(&plan.limits));
    Digest::merkle(&leaves)
}

fn limits(limits: &Limits) -> Vec<u8> {
    serde_json::to_vec(limits).unwrap_or_default()
}
