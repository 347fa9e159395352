//! What goes wrong with a call or a commit, and who decides it.

use std::fmt;
use std::time::Duration;

use remint::store::Change;
use remint_contract::{ErrorKind, Verb};

/// Decides for every call and every commit of every process.
pub(crate) trait Fate: Send + Sync {
    fn call(&self, process: &str, verb: Verb, system: &str) -> CallFate;
    fn commit(&self, process: &str, change: &Change) -> CommitFate;
}

/// Nothing goes wrong.
pub(crate) struct Fair;

impl Fate for Fair {
    fn call(&self, _: &str, _: Verb, _: &str) -> CallFate {
        CallFate::Fine
    }

    fn commit(&self, _: &str, _: &Change) -> CommitFate {
        CommitFate::Fine
    }
}

/// What becomes of a call.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum CallFate {
    Fine,
    /// Refused with a class; nothing is done.
    Refuse(ErrorKind),
    /// Refused, and told when to come back.
    Throttle(Duration),
    /// The connection breaks: nothing was done, and nobody knows.
    LostBefore,
    /// It is done, and the answer is lost.
    LostAfter,
    /// It lands so much later; the caller gives up long before.
    Late(Duration),
    /// It never lands and is never answered.
    Hang,
    /// It is done, and done again so much later.
    Twice(Duration),
    /// The process dies before it is done.
    CrashBefore,
    /// … or right after.
    CrashAfter,
    /// The process is stopped when it has sent it; it is done at once.
    StopAfter,
    /// The process is stopped when it has sent it; it is done when somebody says so.
    StopWithheld,
}

/// What becomes of a commit.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum CommitFate {
    Fine,
    FailBefore,
    FailAfter,
    CrashBefore,
    CrashAfter,
    /// The process is stopped just before, and goes on when it is woken.
    StopBefore,
}

/// The kinds of fault, as the coverage counts them.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(crate) enum Fault {
    Refused,
    Throttled,
    Unreachable,
    LostBefore,
    LostAfter,
    Late,
    Hang,
    Twice,
    StoreFails,
    Crash,
    Stop,
    Partition,
    ClockJump,
}

impl Fault {
    pub(crate) const ALL: [Self; 13] = [
        Self::Refused,
        Self::Throttled,
        Self::Unreachable,
        Self::LostBefore,
        Self::LostAfter,
        Self::Late,
        Self::Hang,
        Self::Twice,
        Self::StoreFails,
        Self::Crash,
        Self::Stop,
        Self::Partition,
        Self::ClockJump,
    ];

    pub(crate) fn of_call(fate: CallFate) -> Option<Self> {
        Some(match fate {
            CallFate::Fine => return None,
            CallFate::Refuse(ErrorKind::Unreachable) => Self::Unreachable,
            CallFate::Refuse(_) => Self::Refused,
            CallFate::Throttle(_) => Self::Throttled,
            CallFate::LostBefore => Self::LostBefore,
            CallFate::LostAfter => Self::LostAfter,
            CallFate::Late(_) => Self::Late,
            CallFate::Hang => Self::Hang,
            CallFate::Twice(_) => Self::Twice,
            CallFate::CrashBefore | CallFate::CrashAfter => Self::Crash,
            CallFate::StopAfter | CallFate::StopWithheld => Self::Stop,
        })
    }

    pub(crate) fn of_commit(fate: CommitFate) -> Option<Self> {
        Some(match fate {
            CommitFate::Fine => return None,
            CommitFate::FailBefore | CommitFate::FailAfter => Self::StoreFails,
            CommitFate::CrashBefore | CommitFate::CrashAfter => Self::Crash,
            CommitFate::StopBefore => Self::Stop,
        })
    }
}

impl fmt::Display for Fault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(match self {
            Self::Refused => "refused",
            Self::Throttled => "throttled",
            Self::Unreachable => "unreachable",
            Self::LostBefore => "lost-before",
            Self::LostAfter => "lost-after",
            Self::Late => "late",
            Self::Hang => "hang",
            Self::Twice => "twice",
            Self::StoreFails => "store-fails",
            Self::Crash => "crash",
            Self::Stop => "stop",
            Self::Partition => "partition",
            Self::ClockJump => "clock-jump",
        })
    }
}
