//! Resets that wait for one another: each owns what the other one's order wants first.
//!
//! Two plans are made for two incidents, and each orders its own members: one may have to see `a` dead before it goes on
//! with `b`, the other `b` before `a`. When all of them rest, the younger one takes over what it waits for and goes on in
//! its own order, which is the newer knowledge; the older one begins what it still owns when that has ended.
//!
//! Guarantees: only what rests is taken, and only by a younger reset, so that nothing is taken back and forth.

use std::collections::BTreeSet;

use remint_contract::{CredentialId, ResetId};
use remint_core::machine::State;

use crate::engine::record::{Reset, ResetStatus, RotationRecord};
use crate::engine::{Engine, EngineError};

impl Engine {
    /// What a reset waits for in vain: its older owner rests, and waits in turn for this one.
    pub(super) async fn stuck(
        &self,
        reset: &Reset,
        rotations: &[RotationRecord],
    ) -> Result<BTreeSet<CredentialId>, EngineError> {
        let mut stuck = BTreeSet::new();
        for other in waits_for(rotations) {
            let owner = self.reset(&other).await?;
            let younger = (reset.requested_at, &reset.id) > (owner.requested_at, &owner.id);
            if !younger || owner.status != ResetStatus::Resting || !self.waits(&owner.id, &reset.id).await? {
                continue;
            }
            let theirs = self.rotations(&other).await?;
            let rests = |name: &CredentialId| {
                let found = theirs.iter().find(|record| record.credential == *name);
                found.is_some_and(|record| matches!(record.rotation.state, State::Planned | State::Waiting { .. }))
            };
            let wanted = rotations.iter().filter(|record| behind(record) == Some(&other));
            stuck.extend(wanted.map(|record| &record.credential).filter(|name| rests(name)).cloned());
        }
        Ok(stuck)
    }

    /// Does a reset wait for another one, or for one that does?
    async fn waits(&self, from: &ResetId, to: &ResetId) -> Result<bool, EngineError> {
        let (mut seen, mut work) = (BTreeSet::from([from.clone()]), vec![from.clone()]);
        while let Some(next) = work.pop() {
            for other in waits_for(&self.rotations(&next).await?) {
                if other == *to {
                    return Ok(true);
                }
                if seen.insert(other.clone()) {
                    work.push(other);
                }
            }
        }
        Ok(false)
    }
}

fn waits_for(rotations: &[RotationRecord]) -> BTreeSet<ResetId> {
    rotations.iter().filter_map(behind).cloned().collect()
}

fn behind(record: &RotationRecord) -> Option<&ResetId> {
    match &record.rotation.state {
        State::Queued { behind: other } | State::Joined { with: other } => Some(other),
        _ => None,
    }
}
