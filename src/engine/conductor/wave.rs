//! Waves: which members begin when, and when no further wave is begun.

use std::sync::PoisonError;

use remint_core::estate::Tier;
use remint_core::machine::{Effect, Event, Reason, Rotation, State};
use remint_core::step::Path;

use crate::engine::conductor::{Conductor, taken};
use crate::engine::outcome::record;
use crate::engine::{EngineError, Progress};
use crate::store::Change;

/// How many members start in one durable change.
const STARTS: usize = 500;

impl Conductor {
    pub(super) async fn open_wave(&mut self, number: usize) -> Result<(), EngineError> {
        self.open = number;
        let of = self.waves();
        let at = self.run.context.clock.now();
        self.engine.tell(Progress::Wave { reset: self.run.id.clone(), number, of, at });
        let mut begin = Vec::new();
        for index in 0..self.rotations.len() {
            let urgent = self.run.members[index].path == Path::Contain;
            let early = number == 0 && urgent;
            if matches!(self.rotations[index].state, State::Planned)
                && (early && self.goes_on(index) || self.may_start(index))
            {
                begin.push(index);
            }
        }
        self.begin(begin).await
    }

    /// Starts these in one durable change: the highest tier first where nothing waits for anything.
    pub(super) async fn begin(&mut self, mut indexes: Vec<usize>) -> Result<(), EngineError> {
        indexes.sort_by_key(|&index| {
            let member = &self.run.members[index];
            (member.path != Path::Contain, self.run.tier(member) != Tier::Privileged, index)
        });
        for some in indexes.chunks(STARTS) {
            let mut change = Change::default();
            let mut started = Vec::with_capacity(some.len());
            for &index in some {
                let (next, effects) = self.rotations[index].on(&self.run.members[index], &Event::Start)?;
                change.puts.push(record(&self.run, index, &next)?);
                change.expects.extend(self.run.expected(index));
                started.push((index, next, effects));
            }
            match self.run.commit(change).await {
                // One of them is somebody else's: each for itself.
                Err(error) if taken(&error) => {
                    for &index in some {
                        self.apply(index, Event::Start).await?;
                    }
                    continue;
                }
                done => done?,
            }
            for (index, next, effects) in started {
                self.rotations[index] = next;
                self.tell(index);
                for effect in effects {
                    if let Effect::Await(step) = effect {
                        self.wait(index, step)?;
                    }
                }
            }
        }
        Ok(())
    }

    pub(super) fn waves(&self) -> usize {
        self.wave.iter().max().map_or(0, |last| last + 1)
    }

    /// True when more members are parked than the plan allows before the next wave.
    pub(super) fn over_budget(&self) -> bool {
        let budget = self.run.reset.lock().unwrap_or_else(PoisonError::into_inner).plan.limits.failure_budget;
        // A stranger at an issuer, or a person's task, says nothing against the plan: only what failed does.
        let failed = |rotation: &&Rotation| match &rotation.state {
            State::Parked { reason, .. } => !matches!(reason, Reason::Foreign { .. } | Reason::Task { .. }),
            _ => false,
        };
        self.rotations.iter().filter(failed).count() > budget
    }
}
