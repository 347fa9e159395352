//! The digest: one leaf per member and one of limits, so that drift in a leaf parks that leaf and no other.

use std::borrow::Cow;

use serde::Serialize;

use crate::digest::Digest;

use super::{Cut, Limits, Member, Plan, Row};
use crate::step::Step;

/// A member without anything that is only a forecast, and the precedences that end in it, by names instead of indexes:
/// another member that comes or goes does not change it.
#[derive(Serialize)]
struct Leaf<'a> {
    member: &'a Member,
    /// All members of its cut, as one digest.
    cut: Option<Digest>,
    after: Vec<(&'a str, Step, Step, Row)>,
    /// Places that are written later, each with whose sweep it waits for.
    held: Vec<(String, &'a str)>,
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
        let cut = self.members.get(member).and_then(|member| self.cuts.get(member.cut?));
        let cut = cut.map(|cut| self.unit(cut));
        let names = self.names();
        let mut bytes = Vec::new();
        self.write_leaf(member, after.copied().collect::<Vec<_>>().as_slice(), cut, &names, &mut bytes);
        Digest::of(&bytes)
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

    fn write_leaf(
        &self,
        member: usize,
        after: &[super::Precedence],
        cut: Option<Digest>,
        names: &[String],
        bytes: &mut Vec<u8>,
    ) {
        bytes.clear();
        let Some(this) = self.members.get(member) else { return };
        let name = |index: usize| names.get(index).map(String::as_str).unwrap_or_default();
        let mut after: Vec<_> =
            after.iter().map(|edge| (name(edge.before.0), edge.before.1, edge.after.1, edge.row)).collect();
        after.sort_unstable();
        // Indexes of others would make the leaf change with its neighbours; names stand for them.
        let mut bare = Cow::Borrowed(this);
        let mut held = Vec::new();
        if this.cut.is_some() || !this.withheld_after.is_empty() || !this.late.is_empty() {
            let bare = bare.to_mut();
            bare.cut = None;
            held.extend(bare.withheld_after.drain(..).map(|index| ("withheld".to_owned(), name(index))));
            for late in &mut bare.late {
                let place = late.destination.at.to_string();
                held.extend(late.after.drain(..).map(|index| (place.clone(), name(index))));
            }
            held.sort_unstable();
        }
        let leaf = Leaf { member: &bare, cut, after, held };
        // Names, numbers and enums only: writing them as JSON cannot fail.
        let _ = serde_json::to_writer(bytes, &leaf);
    }
}

/// The root over all leaves and the limits.
pub(super) fn root(plan: &Plan) -> Digest {
    let mut after = plan.precedences.clone();
    after.sort_unstable_by_key(|edge| edge.after.0);
    let mut from = vec![0; plan.members.len() + 1];
    after.iter().for_each(|edge| from[edge.after.0 + 1] += 1);
    (0..plan.members.len()).for_each(|member| from[member + 1] += from[member]);
    let units: Vec<Digest> = plan.cuts.iter().map(|cut| plan.unit(cut)).collect();
    let unit = |member: usize| plan.members[member].cut.and_then(|cut| units.get(cut).copied());
    let names = plan.names();
    let leaves = |members: std::ops::Range<usize>| {
        let mut bytes = Vec::with_capacity(1024);
        let leaf = |member: usize| {
            plan.write_leaf(member, &after[from[member]..from[member + 1]], unit(member), &names, &mut bytes);
            Digest::leaf(&bytes)
        };
        members.map(leaf).collect::<Vec<_>>()
    };
    // A leaf needs no other, so two halves are hashed side by side; a small plan is done before a thread begins.
    let (half, all) = (plan.members.len() / 2, plan.members.len());
    let mut all_leaves: Vec<Digest> = if all < MANY {
        leaves(0..all)
    } else {
        std::thread::scope(|scope| {
            let second = scope.spawn(|| leaves(half..all));
            let mut first = leaves(0..half);
            first.extend(second.join().unwrap_or_else(|_| leaves(half..all)));
            first
        })
    };
    all_leaves.push(Digest::leaf(&limits(&plan.limits)));
    // An approval of a revision is one of the difference: of this plan as the successor of that one.
    all_leaves.extend(plan.parent.iter().map(|parent| Digest::leaf(parent.to_string().as_bytes())));
    Digest::merkle_of(&all_leaves)
}

/// From this many members on a second thread is worth its start.
const MANY: usize = 4096;

fn limits(limits: &Limits) -> Vec<u8> {
    serde_json::to_vec(limits).unwrap_or_default()
}
