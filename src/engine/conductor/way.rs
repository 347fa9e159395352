//! Who makes way for whom: everything waits until what is contained is stopped, second tries wait for first ones, and a
//! member that another reset took over is let go.

use std::sync::PoisonError;

use remint_core::machine::State;
use remint_core::step::Step;

use crate::engine::EngineError;
use crate::engine::conductor::Conductor;

impl Conductor {
    /// Everything in scope is stopped, or listed as not contained: what waited for that goes on, and so do second tries.
    pub(super) fn opened(&mut self) -> Result<(), EngineError> {
        for (index, step) in std::mem::take(&mut self.late) {
            self.spawn(index, step);
        }
        let held: Vec<usize> = self.held.iter().copied().collect();
        for index in held {
            if let State::Waiting { step: Step::Mint } = self.rotations[index].state {
                self.held.remove(&index);
                self.wait(index, Step::Mint)?;
            }
        }
        Ok(())
    }

    /// A first try at stopping something failed: it is tried again, with patience, behind everything that waits already.
    pub(super) fn fall_behind(&mut self, index: usize, step: Step) -> Result<(), EngineError> {
        self.behind.insert(index);
        self.late.push((index, step));
        if self.barrier.skip(index) { self.opened() } else { Ok(()) }
    }

    /// The member's owner row moved on: another reset took the credential over, and this one goes on without it; or the
    /// plan was revised, and this run ends as soon as nothing that it sent is unanswered.
    pub(super) async fn taken(&mut self, index: usize) -> Result<(), EngineError> {
        let credential = self.run.members[index].credential.clone();
        let owners = self.engine.owners().await?;
        if owners.get(&credential).is_some_and(|(owner, _)| owner.reset == self.run.id) {
            while self.run.lease.in_flight() && self.moving.join_next().await.is_some() {}
            return Err(EngineError::Revised(self.run.id.clone()));
        }
        // The revision that was known stays: a step that is under way is refused its next change.
        self.held.remove(&index);
        let mut records = self.engine.rotations(&self.run.id).await?;
        if let Some(at) = records.iter().position(|record| record.index == index) {
            self.rotations[index] = records.swap_remove(at).rotation;
        }
        tracing::info!(reset = %self.run.id, %credential, state = %self.rotations[index].state, "another reset took it over");
        self.tell(index);
        if self.barrier.moved(index, &self.rotations[index]) {
            self.opened()?;
        }
        Ok(())
    }

    /// Takes in what became this reset's own meanwhile. What was known of a row stays: it may be another's by now.
    pub(super) async fn take_in(&mut self) -> Result<(), EngineError> {
        let owners = self.engine.owners().await?;
        let mut owned = self.run.owned.lock().unwrap_or_else(PoisonError::into_inner);
        for (credential, (owner, revision)) in owners {
            if owner.reset == self.run.id {
                owned.entry(credential).or_insert(revision);
            }
        }
        Ok(())
    }

    /// Somebody claimed something, or a plan was revised: was it ours?
    pub(super) async fn look(&mut self) -> Result<(), EngineError> {
        let owners = self.engine.owners().await?;
        for index in 0..self.rotations.len() {
            if matches!(self.rotations[index].state, State::Superseded { .. }) {
                continue;
            }
            let now = owners.get(&self.run.members[index].credential).map(|(_, revision)| *revision);
            if self.run.expected(index).is_some_and(|(_, known)| now != Some(known)) {
                self.taken(index).await?;
            }
        }
        Ok(())
    }
}
