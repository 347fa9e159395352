//! What goes wrong in a simulated run, drawn from its seed.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use remint::store::Change;
use remint_contract::{ErrorKind, Verb};

use super::coverage::Tracker;
use super::dice::Dice;
use super::fate::{CallFate, CommitFate, Fate, Fault};

/// Faults for calls and commits, until it is quiet.
pub(crate) struct Chance {
    pub(crate) dice: Dice,
    pub(crate) tracker: Arc<Tracker>,
    pub(crate) quiet: AtomicBool,
    /// Of a thousand calls, so many are struck.
    pub(crate) calls: u64,
    pub(crate) commits: u64,
    /// The kind that is struck more often than the others in this run.
    pub(crate) favoured: Fault,
    /// The world does what parks a rotation, or spoils it, more often.
    pub(crate) parks: bool,
    /// Of a thousand changes, so many lose their answer.
    pub(crate) losses: u64,
    /// Of a thousand commits that say that an answer was lost, so many are the last of their process.
    pub(crate) loses: u64,
}

impl Chance {
    fn strike(&self, fault: Option<Fault>, system: Option<&str>) {
        if let Some(fault) = fault {
            self.tracker.strike(fault, system);
        }
    }

    /// A fate of the favoured kind, where calls have one.
    fn favourite(&self) -> Option<CallFate> {
        Some(match self.favoured {
            Fault::Refused => CallFate::Refuse(*self.dice.pick(&REFUSALS)),
            Fault::Throttled => CallFate::Throttle(self.dice.millis(100, 4000)),
            Fault::Unreachable => CallFate::Refuse(ErrorKind::Unreachable),
            Fault::LostBefore => CallFate::LostBefore,
            Fault::LostAfter => CallFate::LostAfter,
            Fault::Late => CallFate::Late(self.dice.millis(500, 30_000)),
            Fault::Hang => CallFate::Hang,
            Fault::Twice => CallFate::Twice(self.dice.millis(1, 30_000)),
            Fault::StoreFails | Fault::Crash | Fault::Stop | Fault::Partition | Fault::ClockJump => return None,
        })
    }

    fn draw(&self) -> CallFate {
        if let Some(fate) = self.favourite().filter(|_| self.dice.permille(500)) {
            return fate;
        }
        match self.dice.below(22) {
            0 => CallFate::Refuse(*self.dice.pick(&REFUSALS)),
            1..=3 => CallFate::Refuse(ErrorKind::Unreachable),
            4 | 5 => CallFate::Throttle(self.dice.millis(100, 4000)),
            6..=8 => CallFate::LostBefore,
            9..=11 => CallFate::LostAfter,
            12..=14 => CallFate::Late(self.dice.millis(500, 30_000)),
            15 | 16 => CallFate::Hang,
            17 | 18 => CallFate::Twice(self.dice.millis(1, 30_000)),
            19 => CallFate::CrashBefore,
            20 => CallFate::CrashAfter,
            _ => CallFate::StopAfter,
        }
    }
}

/// Classes with which a call is refused.
const REFUSALS: [ErrorKind; 5] =
    [ErrorKind::Missing, ErrorKind::Denied, ErrorKind::Conflict, ErrorKind::RefusedValue, ErrorKind::Invalid];

/// True for a change that says that a step's answer was lost: what comes after it is a moment that little meets.
fn loses(change: &Change) -> bool {
    change.puts.iter().any(|put| put.key.kind == "rotation" && put.body["rotation"]["state"]["state"] == "unknown")
}

impl Fate for Chance {
    fn call(&self, _: &str, verb: Verb, system: &str) -> CallFate {
        if self.quiet.load(Ordering::SeqCst) {
            return CallFate::Fine;
        }
        let fate = if self.parks && verb == Verb::Write && self.dice.permille(200) {
            CallFate::Refuse(ErrorKind::Denied)
        } else if verb.changes() && self.dice.permille(self.losses) {
            *self.dice.pick(&[CallFate::LostBefore, CallFate::LostBefore, CallFate::LostAfter])
        } else if self.dice.permille(self.calls) {
            self.draw()
        } else {
            return CallFate::Fine;
        };
        // Nothing is sent where no answer can be lost: what only looks is refused or late.
        let fate = match fate {
            CallFate::Refuse(ErrorKind::RefusedValue) if verb != Verb::Mint => CallFate::Refuse(ErrorKind::Conflict),
            fate => fate,
        };
        self.strike(Fault::of_call(fate), Some(system));
        fate
    }

    fn commit(&self, _: &str, change: &Change) -> CommitFate {
        if self.quiet.load(Ordering::SeqCst) {
            return CommitFate::Fine;
        }
        let fate = if loses(change) && self.dice.permille(self.loses) {
            *self.dice.pick(&[CommitFate::FailAfter, CommitFate::CrashAfter])
        } else if self.dice.permille(self.commits) {
            *self.dice.pick(&[
                CommitFate::FailBefore,
                CommitFate::FailAfter,
                CommitFate::CrashBefore,
                CommitFate::CrashAfter,
                CommitFate::StopBefore,
            ])
        } else {
            return CommitFate::Fine;
        };
        self.strike(Fault::of_commit(fate), None);
        fate
    }
}

/// How often, and until when, things go wrong in one run.
pub(crate) struct Weather {
    pub(crate) calls: u64,
    pub(crate) commits: u64,
    pub(crate) until: Duration,
    pub(crate) processes: u64,
    /// Between two events that happen to a process or in the world.
    pub(crate) events: (u64, u64),
}

impl Weather {
    /// Where one kind is favoured it is to be seen: more calls, commits or processes are struck.
    pub(crate) fn draw(dice: &Dice, favoured: Fault, storm: u64) -> Self {
        let mut weather = Self {
            calls: *dice.pick(&[5, 20, 50, 120]),
            commits: *dice.pick(&[2, 8, 20]),
            until: dice.millis(40_000, 160_000),
            processes: 1 + dice.below(3),
            events: *dice.pick(&[(2_000, 20_000), (5_000, 60_000), (300, 4_000)]),
        };
        match favoured {
            Fault::StoreFails | Fault::Crash => weather.commits = weather.commits.max(20),
            Fault::Stop | Fault::Partition | Fault::ClockJump => {
                weather.events = *dice.pick(&[(300, 4_000), (1_000, 6_000)]);
            }
            _ => weather.calls = weather.calls.max(storm),
        }
        weather
    }
}
