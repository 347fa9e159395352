//! The barrier of containment: nothing but Remint's own means is replaced before everything in scope is stopped.
//!
//! Flow: every contained member that is neither stopped nor at rest keeps the barrier closed; while it is closed no other
//! member begins to mint, unless something that is still to be stopped waits for its new value. What fails rests, is listed
//! as not contained, and keeps nobody waiting.

use std::collections::{BTreeSet, HashMap, HashSet};

use remint_core::machine::Rotation;
use remint_core::plan::{Member, Precedence};
use remint_core::step::{Path, Step};

/// Who waits for whom.
pub(super) struct Barrier {
    /// Contained members that are on their way to be stopped.
    before: BTreeSet<usize>,
    /// Members that mint whatever the barrier says.
    exempt: HashSet<usize>,
}

impl Barrier {
    pub(super) fn new(members: &[Member], precedences: &[Precedence], rotations: &[Rotation]) -> Self {
        let contained = |index: &usize| members[*index].path == Path::Contain;
        let before: BTreeSet<usize> =
            (0..members.len()).filter(contained).filter(|&index| on_its_way(&rotations[index])).collect();
        let exempt = if before.is_empty() { HashSet::new() } else { needed(members, precedences, &before) };
        Self { before, exempt }
    }

    /// True while the member may not begin this step.
    pub(super) fn holds(&self, index: usize, step: Step) -> bool {
        step == Step::Mint && !self.before.is_empty() && !self.exempt.contains(&index)
    }

    /// Takes in how a member stands; true when that opened the barrier.
    pub(super) fn moved(&mut self, index: usize, rotation: &Rotation) -> bool {
        !on_its_way(rotation) && self.before.remove(&index) && self.before.is_empty()
    }

    /// A member's first try failed: nobody waits for its second one. True when that opened the barrier, or when it was open.
    pub(super) fn skip(&mut self, index: usize) -> bool {
        self.before.remove(&index);
        self.before.is_empty()
    }

    /// What is left waits for something that rests: it is not contained, and the others go on. True when that opened the
    /// barrier.
    pub(super) fn give_up(&mut self) -> bool {
        !std::mem::take(&mut self.before).is_empty()
    }
}

fn on_its_way(rotation: &Rotation) -> bool {
    !rotation.state.rests() && !rotation.facts.ended.contains(&Step::Disable)
}

/// Remint's own means, and every member whose new value must exist before something can be stopped.
fn needed(members: &[Member], precedences: &[Precedence], stopped: &BTreeSet<usize>) -> HashSet<usize> {
    let mut ends: HashMap<(usize, Step), Vec<(usize, Step)>> = HashMap::new();
    for precedence in precedences {
        ends.entry(precedence.after).or_default().push(precedence.before);
    }
    let own =
        members.iter().enumerate().filter(|(_, member)| member.remint_acts).map(|(index, _)| (index, Step::Confirm));
    let mut work: Vec<(usize, Step)> = stopped.iter().map(|&index| (index, Step::Disable)).chain(own).collect();
    let mut seen: HashSet<(usize, Step)> = work.iter().copied().collect();
    while let Some((member, step)) = work.pop() {
        let steps = members[member].steps();
        let at = steps.iter().position(|&other| other == step).unwrap_or(0);
        let earlier = at.checked_sub(1).map(|at| (member, steps[at]));
        let waits = ends.get(&(member, step)).into_iter().flatten().copied();
        work.extend(waits.chain(earlier).filter(|before| seen.insert(*before)));
    }
    seen.into_iter().filter(|(_, step)| *step == Step::Mint).map(|(member, _)| member).collect()
}
