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
}

impl Chance {
    fn strike(&self, fault: Option<Fault>) {
        if let Some(fault) = fault {
            self.tracker.strike(fault);
        }
    }
}

impl Fate for Chance {
    fn call(&self, _: &str, verb: Verb, _: &str) -> CallFate {
        if self.quiet.load(Ordering::SeqCst) || !self.dice.permille(self.calls) {
            return CallFate::Fine;
        }
        let fate = match self.dice.below(22) {
            0 => CallFate::Refuse(*self.dice.pick(&[
                ErrorKind::Missing,
                ErrorKind::Denied,
                ErrorKind::Conflict,
                ErrorKind::RefusedValue,
                ErrorKind::Invalid,
            ])),
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
        };
        // Nothing is sent where no answer can be lost: what only looks is refused or late.
        let fate = match fate {
            CallFate::Refuse(ErrorKind::RefusedValue) if verb != Verb::Mint => CallFate::Refuse(ErrorKind::Conflict),
            fate => fate,
        };
        self.strike(Fault::of_call(fate));
        fate
    }

    fn commit(&self, _: &str, _: &Change) -> CommitFate {
        if self.quiet.load(Ordering::SeqCst) || !self.dice.permille(self.commits) {
            return CommitFate::Fine;
        }
        let fate = *self.dice.pick(&[
            CommitFate::FailBefore,
            CommitFate::FailAfter,
            CommitFate::CrashBefore,
            CommitFate::CrashAfter,
            CommitFate::StopBefore,
        ]);
        self.strike(Fault::of_commit(fate));
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
    pub(crate) fn draw(dice: &Dice) -> Self {
        Self {
            calls: *dice.pick(&[5, 20, 50, 120]),
            commits: *dice.pick(&[2, 8, 20]),
            until: dice.millis(60_000, 240_000),
            processes: 1 + dice.below(3),
            events: *dice.pick(&[(2_000, 20_000), (5_000, 60_000), (300, 4_000)]),
        }
    }
}
