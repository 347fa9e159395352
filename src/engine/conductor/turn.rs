//! A reset that an opening of a window began: each member begins at its turn, and none when the window is over.

use std::sync::PoisonError;

use remint_contract::ResetId;
use remint_core::calendar::Window;
use remint_core::machine::{Event, State};
use remint_core::plan::Occasion;
use serde_json::json;

use crate::engine::EngineError;
use crate::engine::conductor::{Conductor, taken};
use crate::engine::opening::reset_of;
use crate::engine::outcome::record;
use crate::engine::record::{entry, kind};
use crate::store::{Change, Key};

impl Conductor {
    /// True outside of windows, and from a member's turn on while the window is open.
    pub(super) fn is_turn(&self, index: usize) -> bool {
        let now = self.run.context.clock.now();
        let comes = {
            let reset = self.run.reset.lock().unwrap_or_else(PoisonError::into_inner);
            let occasion = reset.plan.occasion.as_ref();
            occasion.map(|occasion| occasion.is_turn(&self.run.members[index].credential, now))
        };
        // Every credential is the canary of those after it.
        comes.is_none_or(|comes| comes && !self.over_budget())
    }

    /// Begins whose turn has come.
    pub(super) async fn take_turns(&mut self) -> Result<(), EngineError> {
        self.run.look_at_turns();
        if self.occasion().is_none() || self.stands_still() {
            return Ok(());
        }
        let comes = |index: &usize| matches!(self.rotations[*index].state, State::Planned) && self.may_start(*index);
        let begin: Vec<usize> = (0..self.rotations.len()).filter(comes).collect();
        if begin.is_empty() { Ok(()) } else { self.begin(begin).await }
    }

    /// The window is over: what had no turn is left to its next opening, and is nobody's until then.
    pub(super) async fn close_window(&mut self) -> Result<(), EngineError> {
        let Some(occasion) = self.occasion().filter(|_| !self.stands_still()) else { return Ok(()) };
        if self.run.context.clock.now() < occasion.opening.closes {
            return Ok(());
        }
        let by = self.next_reset(&occasion);
        for index in 0..self.rotations.len() {
            let State::Planned = self.rotations[index].state else { continue };
            let member = &self.run.members[index];
            let (next, _) = self.rotations[index].on(member, &Event::Superseded { by: by.clone() })?;
            let now = self.run.context.clock.now();
            let body = json!({ "event": "superseded", "why": format!("{} was over before its turn", occasion.window), "by": by.0 });
            let mut change = Change::default();
            change.puts.push(record(&self.run, index, &next)?);
            change.entries.push(entry("rotation.parked", now, Some(&self.run.id), Some(&member.credential), &body));
            if self.run.expected(index).is_some() {
                change.deletes.push(Key { kind: kind::OWNER, id: member.credential.to_string() });
            }
            match self.run.commit_of(index, change).await {
                Err(error) if taken(&error) => self.taken(index).await?,
                done => {
                    done?;
                    self.run
                        .owned
                        .lock()
                        .unwrap_or_else(PoisonError::into_inner)
                        .remove(&self.run.members[index].credential);
                    self.rotations[index] = next;
                    self.tell(index);
                }
            }
        }
        Ok(())
    }

    fn occasion(&self) -> Option<Occasion> {
        self.run.reset.lock().unwrap_or_else(PoisonError::into_inner).plan.occasion.clone()
    }

    /// Who takes over what had no turn: the next opening, by its name.
    fn next_reset(&self, occasion: &Occasion) -> ResetId {
        let document = self.run.estate.windows.get(&occasion.window).cloned();
        let window = document.and_then(|document| Window::new(occasion.window.clone(), document).ok());
        let next = window.and_then(|window| window.next(occasion.opening.scheduled.max(self.run.context.clock.now())));
        reset_of(&occasion.window, next.map_or(occasion.opening.closes, |next| next.scheduled))
    }
}
