//! The answer, with its reasons.

use std::collections::BTreeSet;
use std::fmt;

use jiff::Timestamp;
use serde::{Deserialize, Serialize};

use crate::approval::Party;
use crate::gate::{Action, Caller, Resource};

/// Yes or no, and which policies said so.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Decision {
    pub allowed: bool,
    /// Sorted by the policy's id.
    pub why: Vec<Why>,
}

/// One reason.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub struct Why {
    /// The id of a policy; `none` where none spoke.
    pub policy: String,
    pub words: String,
}

/// Somebody who decides.
pub trait Decider: Send + Sync {
    /// Decides one request at `now`; `groups` are those that the table of persons has the party in.
    fn decide(
        &self,
        caller: &Caller,
        party: &Party,
        groups: &BTreeSet<String>,
        action: Action,
        resource: &Resource,
        now: Timestamp,
    ) -> Decision;
}

/// All of one question, for a decider that is somewhere else.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Question {
    pub caller: Caller,
    pub party: Party,
    pub groups: BTreeSet<String>,
    pub action: Action,
    pub resource: Resource,
    pub now: Timestamp,
}

impl Decision {
    /// No, for one reason that is no policy's.
    #[must_use]
    pub fn denied(words: impl Into<String>) -> Self {
        Self { allowed: false, why: vec![Why { policy: "none".into(), words: words.into() }] }
    }

    /// Yes, for one reason that is no policy's.
    #[must_use]
    pub fn allowed(words: impl Into<String>) -> Self {
        Self { allowed: true, why: vec![Why { policy: "none".into(), words: words.into() }] }
    }
}

impl fmt::Display for Decision {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let why = self.why.iter().map(|why| format!("{} ({})", why.words, why.policy)).collect::<Vec<_>>();
        f.write_str(&why.join("; "))
    }
}

/// What holds where nobody decides: only what looks ahead.
#[must_use]
pub fn without_engine(action: Action) -> Decision {
    if action.only_looks_ahead() {
        Decision::allowed("it changes nothing and shows no state")
    } else {
        Decision::denied("no policies are active, and this state is not of a single operator")
    }
}
