//! What people say of a reset while it runs, and what that lets go or holds.

use std::sync::PoisonError;
use std::sync::atomic::Ordering;

use remint_core::machine::{Event, State};

use crate::engine::EngineError;
use crate::engine::conductor::Conductor;
use crate::engine::pause::may_begin;
use crate::engine::record::ResetStatus;

impl Conductor {
    /// Looks whether somebody spoke, here or at another replica.
    pub(super) async fn listen(&mut self) -> Result<(), EngineError> {
        if self.engine.rung(&self.run.id).await? == self.heard { Ok(()) } else { self.heed().await }
    }

    /// Takes in what people said meanwhile, and lets go who waited for it: nodes that are clean, findings that were decided,
    /// parked members that may try again, a reset that was paused, resumed or aborted.
    pub(super) async fn heed(&mut self) -> Result<(), EngineError> {
        self.heard = self.engine.rung(&self.run.id).await?;
        let fresh = self.engine.reset(&self.run.id).await?;
        *self.run.reset.lock().unwrap_or_else(PoisonError::into_inner) = fresh;
        // Members that go through several steps by themselves come back after the one under way.
        self.run.yields.store(self.stands_still(), Ordering::Relaxed);
        let findings = self.engine.findings(Some(&self.run.id)).await?;
        self.decided = findings.into_iter().filter(|found| found.decision.is_some()).map(|found| found.id).collect();
        // Before the rotations: what is another's after this is refused its next change.
        self.take_in().await?;
        for record in self.engine.rotations(&self.run.id).await? {
            let known = &mut self.rotations[record.index];
            if known.state.rests() && known.state != record.rotation.state {
                *known = record.rotation;
                self.stopped.insert(record.index);
            }
        }
        for index in std::mem::take(&mut self.held) {
            if let State::Waiting { step } = self.rotations[index].state {
                self.wait(index, step)?;
            }
        }
        for index in std::mem::take(&mut self.stopped) {
            match self.rotations[index].state {
                State::Planned if self.may_start(index) => {
                    self.apply(index, Event::Start).await?;
                }
                State::Planned => {}
                _ => self.resume(index).await?,
            }
        }
        for index in 0..self.rotations.len() {
            match self.rotations[index].state {
                State::Parked { .. } | State::Dark { .. } => self.resume(index).await?,
                State::Planned if self.may_start(index) => {
                    self.apply(index, Event::Start).await?;
                }
                _ => {}
            }
        }
        Ok(())
    }

    /// May this member begin another step: is it this reset's, and by what people said of the reset?
    pub(super) fn goes_on(&self, index: usize) -> bool {
        if self.run.expected(index).is_none() {
            return false;
        }
        let reset = self.run.reset.lock().unwrap_or_else(PoisonError::into_inner);
        may_begin(&reset, &self.run.members[index], &self.rotations[index])
    }

    /// A member of a wave that is not open begins only where somebody sent it forward in a reset that stands still.
    pub(super) fn may_start(&self, index: usize) -> bool {
        (self.wave[index] <= self.open || self.stands_still()) && self.goes_on(index) && self.is_turn(index)
    }

    pub(super) fn stands_still(&self) -> bool {
        let reset = self.run.reset.lock().unwrap_or_else(PoisonError::into_inner);
        matches!(reset.status, ResetStatus::Paused | ResetStatus::Aborted)
    }
}
