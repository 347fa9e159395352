//! The past of an estate.
//!
//! Every active estate is kept with the time in which it was active. A credential whose document is removed while some
//! version of it is not proven dead stays as a *ghost*: an attacker who read it yesterday does not care that somebody
//! deleted a line today.

mod ghost;
mod union;

use std::collections::BTreeSet;

use jiff::Timestamp;
use remint_contract::Ref;
use serde::{Deserialize, Serialize};

use super::model::{Era, Estate};

/// Every estate that was active, oldest first; the last one is.
#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize)]
pub struct History {
    pub eras: Vec<Era>,
}

/// Why an estate cannot be made active.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum HistoryError {
    #[error(
        "the clock reads {now}, before the active estate became active at {from}: correct the clock, then activate again"
    )]
    Backwards { now: Timestamp, from: Timestamp },
}

impl History {
    /// The estate that is active now.
    #[must_use]
    pub fn active(&self) -> Option<&Estate> {
        self.eras.last().map(|era| &era.estate)
    }

    /// What would become active: `next`, with a ghost of every credential of the active estate that `next` no longer
    /// has and that `dead` does not name, and with the documents that the ghost needs.
    #[must_use]
    pub fn staged(&self, mut next: Estate, dead: &BTreeSet<Ref>) -> Estate {
        if let Some(active) = self.active() {
            ghost::carry(active, &mut next, dead);
        }
        next
    }

    /// Makes `next` the active estate from `now` on, with its ghosts. An estate equal to the active one starts no era.
    ///
    /// # Errors
    /// `now` is before the active estate's beginning; nothing is changed.
    pub fn activate(&mut self, next: Estate, now: Timestamp, dead: &BTreeSet<Ref>) -> Result<&Estate, HistoryError> {
        let next = self.staged(next, dead);
        if let Some(last) = self.eras.last_mut() {
            if now < last.from {
                return Err(HistoryError::Backwards { now, from: last.from });
            }
            if last.estate != next {
                last.until = Some(now);
                self.eras.push(Era { estate: next, from: now, until: None });
            }
        } else {
            self.eras.push(Era { estate: next, from: now, until: None });
        }
        Ok(&self.eras[self.eras.len() - 1].estate)
    }

    /// Everything that any estate valid at some moment from `from` to `to` (both included) said: all documents, and of
    /// each credential and workload all places, readers, unlocks and reads. Single values (an issuer, a host) are the
    /// newest ones.
    #[must_use]
    pub fn union(&self, from: Timestamp, to: Timestamp) -> Estate {
        let valid = |era: &&Era| era.from <= to && era.until.is_none_or(|until| until >= from);
        let mut estates = self.eras.iter().filter(valid).map(|era| &era.estate).rev();
        let mut whole = estates.next().cloned().unwrap_or_default();
        for older in estates {
            union::add(&mut whole, older);
        }
        whole
    }
}
