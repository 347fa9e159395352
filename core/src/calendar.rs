//! The calendar of rotation windows: which opening is due, what was missed, and whose turn it is when.
//!
//! Flow: [`Window::new`] takes a document; [`Window::due`] says what is to be done of the openings since the last look;
//! [`turns`] gives every credential that is due its turn in an opening.
//!
//! Guarantees: the same arguments give the same answer, whichever replica asks; an opening is named by its scheduled instant
//! and is due in one look only, because the next one begins behind it; no turn begins outside its opening; nothing here
//! opens on a blackout date.
//!
//! Assumption: whoever asks keeps [`Due::seen`], durably, together with what was done.

use std::time::Duration;

use jiff::Timestamp;
use remint_contract::Ref;
use serde::{Deserialize, Serialize};

use crate::digest::Digest;
use crate::estate::{Missed, RotationWindow};
use crate::schedule::{Schedule, ScheduleError, Zone, ZoneError};

mod bound;
mod turns;

pub use turns::{Due as DueCredential, Known, Left, Turn, Turns, Why, turns};

/// A window with its schedule read.
#[derive(Debug, Clone)]
pub struct Window {
    pub name: Ref,
    pub document: RotationWindow,
    schedule: Schedule,
}

/// Why a document is no window. An estate that was loaded has none of these.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum WindowError {
    #[error(transparent)]
    Zone(#[from] ZoneError),
    #[error(transparent)]
    Schedule(#[from] ScheduleError),
}

/// One time that a window is open.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct Opening {
    /// When the schedule comes: what the opening is called by.
    pub scheduled: Timestamp,
    /// From when on credentials have their turns.
    pub opens: Timestamp,
    /// No credential begins from here on.
    pub closes: Timestamp,
}

/// What is to be done at a look.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Due {
    /// Opens now.
    pub open: Option<Opening>,
    /// It is an earlier one, made up for outside its hours.
    pub late: bool,
    /// Openings that nobody was there for and that are not made up for.
    pub missed: u64,
    pub last_missed: Option<Timestamp>,
    /// Scheduled openings up to here are settled: the next look begins behind.
    pub seen: Timestamp,
}

impl Window {
    /// Reads a document's schedule.
    ///
    /// # Errors
    /// The zone or the schedule is none.
    pub fn new(name: Ref, document: RotationWindow) -> Result<Self, WindowError> {
        let schedule = Schedule::new(&document.cron, Zone::named(&document.time_zone)?)?;
        Ok(Self { name, document, schedule })
    }

    pub fn zone(&self) -> &Zone {
        self.schedule.zone()
    }

    /// The first opening that is scheduled after an instant, on a date that is not blacked out.
    #[must_use]
    pub fn next(&self, after: Timestamp) -> Option<Opening> {
        let mut after = after;
        // A blackout of more than a lifetime is none that anybody waits for.
        for _ in 0..MOST_LOOKED_AT {
            after = self.schedule.next_after(after)?;
            if let Some(opening) = self.opening(after) {
                return Some(opening);
            }
        }
        None
    }

    /// What is to be done of everything scheduled after `since`, the last look's [`Due::seen`], and not after `now`.
    #[must_use]
    pub fn due(&self, since: Timestamp, now: Timestamp) -> Due {
        let mut due = Due { open: None, late: false, missed: 0, last_missed: None, seen: since };
        if self.document.manual_only {
            return Due { seen: since.max(now), ..due };
        }
        let (mut at, mut comes) = (since, false);
        while let Some(scheduled) = self.schedule.next_after(at).filter(|scheduled| *scheduled <= now) {
            at = scheduled;
            let Some(opening) = self.opening(scheduled) else {
                due.seen = scheduled;
                continue;
            };
            comes = opening.opens > now;
            if comes {
                break;
            }
            due.seen = scheduled;
            if now < opening.closes {
                due.open = Some(opening);
            } else {
                due.missed += 1;
                due.last_missed = Some(scheduled);
            }
        }
        match (due.open, due.last_missed, self.document.missed) {
            // One that is about to open makes up for those before it.
            (None, Some(scheduled), Missed::CatchUp) if !comes => self.make_up(since, scheduled, now, due),
            _ => due,
        }
    }

    /// The last of the missed ones opens now, unless this is a date on which nothing may; then it waits.
    fn make_up(&self, since: Timestamp, scheduled: Timestamp, now: Timestamp, due: Due) -> Due {
        if self.is_black(now) {
            return Due { missed: 0, last_missed: None, seen: since, ..due };
        }
        let closes = self.cut(now, now + self.document.duration, scheduled.max(now));
        Due { open: Some(Opening { scheduled, opens: now, closes }), late: true, missed: due.missed - 1, ..due }
    }

    /// The opening of a scheduled instant; `None` on a blackout date.
    fn opening(&self, scheduled: Timestamp) -> Option<Opening> {
        let opens = scheduled + self.jitter(scheduled);
        if self.is_black(scheduled) || self.is_black(opens) {
            return None;
        }
        let closes = self.cut(opens, opens + self.document.duration, scheduled);
        (opens < closes).then_some(Opening { scheduled, opens, closes })
    }

    /// It ends before the next one begins, and where a blackout date does.
    fn cut(&self, opens: Timestamp, closes: Timestamp, scheduled: Timestamp) -> Timestamp {
        let next = self.schedule.next_after(scheduled).unwrap_or(closes);
        let (first, last) = (self.zone().at(opens).date(), self.zone().at(closes).date());
        let black =
            self.document.blackout.iter().map(|dates| dates.first).filter(|date| first < *date && *date <= last);
        let black = black.min().and_then(|date| self.zone().begins(date)).unwrap_or(closes);
        closes.min(next).min(black)
    }

    fn is_black(&self, at: Timestamp) -> bool {
        let date = self.zone().at(at).date();
        self.document.blackout.iter().any(|dates| dates.holds(date))
    }

    /// Whole seconds, up to what the document says: the same for everybody, another one at each opening.
    fn jitter(&self, scheduled: Timestamp) -> Duration {
        let most = self.document.jitter.unwrap_or_default().as_secs();
        Duration::from_secs(drawn(&[&self.name.text(), &scheduled.to_string()], most + 1))
    }
}

/// A number below `below`, always the same for the same names.
fn drawn(names: &[&str], below: u64) -> u64 {
    let digest = Digest::of(names.join("\n").as_bytes());
    let (head, _) = digest.0.split_at(8);
    head.iter().fold(0_u64, |number, byte| number << 8 | u64::from(*byte)) % below.max(1)
}

/// More openings in a row than any blackout may hold.
const MOST_LOOKED_AT: usize = 100_000;
