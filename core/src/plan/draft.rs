//! A plan while it is being made: members with what they reach, before any of it is fixed.

use remint_contract::Ref;

use crate::estate::Credential;
use crate::graph::{Map, NodeId};
use crate::step::{Course, Path, Step};

use super::access::Access;
use super::{Cut, Member};

/// Parallel vectors, one item per member.
pub(super) struct Draft<'e> {
    pub(super) members: Vec<Member>,
    /// As the estate has them: looked up once.
    pub(super) documents: Vec<&'e Credential>,
    pub(super) number: Vec<NodeId>,
    pub(super) index: Map<NodeId, usize>,
    pub(super) access: Vec<Access>,
    /// Pairs of minter and minted, never a member with itself.
    pub(super) mints: Vec<(usize, usize)>,
    /// The member that it dies with.
    pub(super) parent: Vec<Option<usize>>,
    /// The members that Remint acts through where it is issued, and where it is delivered.
    pub(super) acts_at_issuer: Vec<Option<usize>>,
    pub(super) acts_at_stores: Vec<Vec<usize>>,
    /// Members that deliver to a place that must trust it.
    pub(super) trusted_by: Vec<Vec<usize>>,
    pub(super) issuer: Vec<Ref>,
    pub(super) cuts: Vec<Cut>,
    /// Members whose new value cannot lie in escrow until their unit is dead: a cut made them contained.
    pub(super) turned: Vec<bool>,
}

impl Draft<'_> {
    /// The step that stops the old value.
    pub(super) fn kill(&self, member: usize) -> Step {
        let this = &self.members[member];
        let kill = if this.path == Path::Rolling { Step::Revoke } else { Step::Disable };
        this.course().stand_in(this.path, kill)
    }

    /// The step from whose end on the new value is what makes others. Two that are cut together have their new values
    /// before either is used; what could not be made so is contained.
    pub(super) fn activated(&self, member: usize, by: usize) -> Step {
        let activates = self.members[member].steps().contains(&Step::Activate);
        let together = self.same_cut(member, by) && self.members[by].path == Path::Cut;
        if activates && !together { Step::Activate } else { Step::Verify }
    }

    /// True when what is minted while its unit is alive would be made by an old value that dies with the unit: somebody
    /// above it in the same unit signs with its old version until the unit is dead.
    pub(super) fn made_by_old(&self, member: usize, unit: &[usize]) -> bool {
        let mut above = self.parent[member];
        while let Some(parent) = above {
            if unit.contains(&parent) && self.members[parent].course() == Course::Trust {
                return true;
            }
            above = self.parent[parent];
        }
        false
    }

    /// True for what is never contained: what Remint acts through, an encryption key, and what such a one dies with.
    pub(super) fn is_kept(&self, member: usize) -> bool {
        let kept = |one: &usize| self.members[*one].remint_acts || self.members[*one].course() == Course::Rewrap;
        (0..self.members.len()).filter(kept).any(|one| {
            let mut at = Some(one);
            while let Some(here) = at.filter(|&here| here != member) {
                at = self.parent[here];
            }
            at == Some(member)
        })
    }

    /// The first step that acts at the issuer.
    pub(super) fn first_act(&self, member: usize) -> Step {
        let this = &self.members[member];
        let acts = |step: &&Step| matches!(step, Step::Disable | Step::Mint);
        this.steps().iter().find(acts).copied().unwrap_or(Step::Mint)
    }

    /// The end of this step is *dead*. A member of a cut is dead only with its whole unit: until then another member's old
    /// value makes it anew. The unit's first member sweeps last, and its sweep stands for all.
    pub(super) fn dead(&self, member: usize) -> (usize, Step) {
        let unit = self.members[member].cut.and_then(|cut| self.cuts.get(cut));
        (unit.and_then(|unit| unit.members.first().copied()).unwrap_or(member), Step::Sweep)
    }

    pub(super) fn same_cut(&self, one: usize, other: usize) -> bool {
        self.members[one].cut.is_some() && self.members[one].cut == self.members[other].cut
    }
}
