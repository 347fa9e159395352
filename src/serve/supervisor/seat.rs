//! What is known of one reset that is not over, and what is due for it. Pure: the time is handed in.

use std::time::Duration;

use jiff::Timestamp;

use crate::engine::record::{Reset, ResetStatus};

/// The first wait after a failure; doubled each time.
const FIRST: Duration = Duration::from_secs(2);

/// The longest wait after a failure.
const LONGEST: Duration = Duration::from_mins(5);

/// One reset.
#[derive(Debug)]
pub(super) struct Seat {
    status: Option<ResetStatus>,
    /// When its old values are to be tried again.
    reproof: Option<Timestamp>,
    /// When what could not be reached is tried again.
    again: Option<Timestamp>,
    /// Somebody acted on it, or the daemon just started.
    pub(super) asked: bool,
    running: bool,
    failures: u32,
    not_before: Option<Timestamp>,
}

/// What is due.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Job {
    Carry,
    /// What could not be reached is tried again.
    Again,
    Reprove,
}

impl Seat {
    pub(super) fn new() -> Self {
        Self { status: None, reproof: None, again: None, asked: false, running: false, failures: 0, not_before: None }
    }

    pub(super) fn of(reset: &Reset) -> Self {
        let mut seat = Self::new();
        seat.take(reset);
        seat
    }

    /// Takes in how the reset stands; true when that is another status than before.
    pub(super) fn take(&mut self, reset: &Reset) -> bool {
        self.reproof = reset.reproofs.first().copied();
        self.again = reset.again.as_ref().map(|again| again.at);
        self.status.replace(reset.status) != Some(reset.status)
    }

    /// Nothing will ever be due again.
    pub(super) fn over(&self) -> bool {
        !self.running && matches!(self.status, Some(ResetStatus::Rejected | ResetStatus::Complete))
    }

    /// Somebody said something that may let it go on, now.
    pub(super) fn act(&mut self) {
        self.asked = true;
        self.not_before = None;
    }

    pub(super) fn due(&self, now: Timestamp) -> Option<Job> {
        if self.running || self.not_before.is_some_and(|then| now < then) {
            return None;
        }
        match self.status? {
            ResetStatus::Running => Some(Job::Carry),
            ResetStatus::Resting | ResetStatus::Paused | ResetStatus::Aborted if self.asked => Some(Job::Carry),
            ResetStatus::Resting if self.again.is_some_and(|again| again <= now) => Some(Job::Again),
            // No time left over means that the last one is still to be made.
            ResetStatus::Provisional if self.reproof.is_none_or(|due| due <= now) => Some(Job::Reprove),
            _ => None,
        }
    }

    pub(super) fn start(&mut self) {
        self.running = true;
        self.asked = false;
    }

    /// Another replica works on it; it is looked at again when that one's lease may have ended.
    pub(super) fn elsewhere(&mut self, again: Timestamp) {
        self.not_before = Some(again);
    }

    pub(super) fn end(&mut self) {
        self.running = false;
        self.failures = 0;
        self.not_before = None;
    }

    /// Somebody else has it: it is looked at again then, unless an act comes before.
    pub(super) fn wait(&mut self, until: Timestamp) {
        self.running = false;
        self.asked = true;
        self.not_before = Some(until);
    }

    /// Notes a failure; when it is tried again. An act that came meanwhile is tried at once.
    pub(super) fn fail(&mut self, now: Timestamp) -> Timestamp {
        self.running = false;
        let again = now + FIRST.saturating_mul(1 << self.failures.min(16)).min(LONGEST);
        self.failures += 1;
        if self.asked {
            return now;
        }
        // What it was asked for is still to be done.
        self.asked = true;
        self.not_before = Some(again);
        again
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(seconds: i64) -> Timestamp {
        Timestamp::from_second(seconds).unwrap()
    }

    fn seat(status: ResetStatus) -> Seat {
        Seat { status: Some(status), ..Seat::new() }
    }

    #[test]
    fn a_reset_that_runs_is_not_started_twice() {
        let mut seat = seat(ResetStatus::Running);
        assert_eq!(seat.due(at(0)), Some(Job::Carry));
        seat.start();
        seat.act();
        assert_eq!(seat.due(at(0)), None);
        seat.end();
        seat.status = Some(ResetStatus::Resting);
        assert_eq!(seat.due(at(0)), Some(Job::Carry), "the act that came while it ran has it run again");
    }

    #[test]
    fn a_resting_reset_waits_for_an_act_and_a_requested_one_for_approval() {
        let mut resting = seat(ResetStatus::Resting);
        assert_eq!(resting.due(at(0)), None);
        resting.act();
        assert_eq!(resting.due(at(0)), Some(Job::Carry));
        let mut requested = seat(ResetStatus::Requested);
        requested.act();
        assert_eq!(requested.due(at(0)), None);
    }

    #[test]
    fn a_reset_that_another_process_has_is_looked_at_again_and_counts_no_failure() {
        let mut seat = seat(ResetStatus::Running);
        seat.start();
        seat.wait(at(10));
        assert_eq!((seat.due(at(9)), seat.due(at(10))), (None, Some(Job::Carry)));
        seat.start();
        assert_eq!(seat.fail(at(0)), at(2), "the first failure");
    }

    #[test]
    fn a_reproof_is_due_at_its_time_and_not_before() {
        let mut seat = seat(ResetStatus::Provisional);
        seat.reproof = Some(at(10));
        assert_eq!((seat.due(at(9)), seat.due(at(10))), (None, Some(Job::Reprove)));
    }

    #[test]
    fn what_could_not_be_reached_is_due_at_its_time_unless_the_reset_stands_still() {
        let mut seat = seat(ResetStatus::Resting);
        seat.again = Some(at(10));
        assert_eq!((seat.due(at(9)), seat.due(at(10))), (None, Some(Job::Again)));
        seat.status = Some(ResetStatus::Paused);
        assert_eq!(seat.due(at(10)), None);
    }

    #[test]
    fn what_fails_is_tried_again_ever_more_seldom_and_at_once_after_an_act() {
        let mut seat = seat(ResetStatus::Running);
        let mut waits = Vec::new();
        for _ in 0..10 {
            seat.start();
            waits.push(seat.fail(at(0)).as_second());
        }
        assert_eq!(waits, [2, 4, 8, 16, 32, 64, 128, 256, 300, 300]);
        assert_eq!((seat.due(at(299)), seat.due(at(300))), (None, Some(Job::Carry)));
        seat.act();
        assert_eq!(seat.due(at(0)), Some(Job::Carry));
    }
}
