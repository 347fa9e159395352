//! The circuit of a system: after a row of failures nothing is sent for a while, then one call tries, then all or nobody.
//! Pure: the time is handed in.
//!
//! ```text
//! closed     --failures in a row--> open        for a first wait
//! open       --wait over----------> half-open   one call of all replicas tries
//! half-open  --answered-----------> closed
//! half-open  --failed-------------> open        for twice as long
//! ```

use std::time::Duration;

use jiff::Timestamp;
use serde::{Deserialize, Serialize};

/// An open circuit, as all replicas know it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Open {
    pub(super) since: Timestamp,
    /// Nothing is sent before.
    pub(super) until: Timestamp,
    /// How often it opened without an answer between.
    pub(super) times: u32,
    /// How many of the tries since then were made by rotations that had no failure at the system before.
    #[serde(default)]
    pub(super) strangers: u32,
    /// Who tries, and until when nobody else does.
    #[serde(default)]
    pub(super) tries: Option<Tries>,
}

/// The one call that tries a half-open circuit.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Tries {
    pub(super) holder: String,
    pub(super) until: Timestamp,
}

/// What a call may do.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Way {
    /// Nobody before then; somebody may be trying until then.
    Wait(Timestamp),
    /// Whoever claims it is the one that tries.
    Try,
}

impl Open {
    /// Opens for the first time in a row.
    #[must_use]
    pub(super) fn new(now: Timestamp, first: Duration) -> Self {
        Self { since: now, until: now + first, times: 1, strangers: 0, tries: None }
    }

    #[must_use]
    pub(super) fn way(&self, now: Timestamp) -> Way {
        match &self.tries {
            _ if now < self.until => Way::Wait(self.until),
            Some(tries) if now < tries.until => Way::Wait(tries.until),
            _ => Way::Try,
        }
    }

    /// Claims the one try; false when it is not to be had.
    pub(super) fn claim(&mut self, holder: &str, now: Timestamp, until: Timestamp) -> bool {
        let free = self.way(now) == Way::Try;
        if free {
            self.tries = Some(Tries { holder: holder.to_owned(), until });
        }
        free
    }

    /// The try failed: open again, for twice as long.
    pub(super) fn again(&mut self, now: Timestamp, first: Duration, stranger: bool) {
        let wait = first.saturating_mul(1 << self.times.min(16)).min(LONGEST).max(first);
        self.until = now + wait;
        self.times += 1;
        self.strangers += u32::from(stranger);
        self.tries = None;
    }
}

/// The longest time for which a circuit is open.
pub(super) const LONGEST: Duration = Duration::from_secs(30);

#[cfg(test)]
mod tests {
    use super::*;

    const FIRST: Duration = Duration::from_secs(1);

    fn at(seconds: i64) -> Timestamp {
        Timestamp::from_second(seconds).unwrap()
    }

    #[test]
    fn an_open_circuit_lets_one_call_try_after_its_wait() {
        let mut open = Open::new(at(0), FIRST);
        assert_eq!((open.way(at(0)), open.way(at(1))), (Way::Wait(at(1)), Way::Try));
        assert!(!open.claim("a", at(0), at(9)), "too early");
        assert!(open.claim("a", at(1), at(31)));
        assert!(!open.claim("b", at(1), at(31)), "one tries");
        assert_eq!(open.way(at(2)), Way::Wait(at(31)));
        assert!(open.claim("b", at(31), at(61)), "whoever tried is gone");
    }

    #[test]
    fn each_failed_try_keeps_it_open_for_twice_as_long_up_to_a_bound() {
        let mut open = Open::new(at(0), FIRST);
        let mut waits = Vec::new();
        for _ in 0..7 {
            open.again(at(0), FIRST, false);
            waits.push(open.until.as_second());
        }
        assert_eq!(waits, [2, 4, 8, 16, 30, 30, 30]);
        assert_eq!((open.times, open.strangers), (8, 0));
    }
}
