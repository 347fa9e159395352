//! Everything that can be asked for.

use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Serialize};

/// What somebody wants to do.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Action {
    /// Look at records, entries and the estate.
    Read,
    Validate,
    Reach,
    Plan,
    /// Ask for a reset.
    Request,
    /// Say yes or no to a plan.
    Approve,
    /// Carry out what was approved: begin, retry, pause, resume, abort, prove again.
    Execute,
    /// Make documents the active estate.
    ChangeEstate,
    /// Say that a dirty node is clean.
    Clean,
    /// Ask for a revision of a running plan.
    Escalate,
    Rollback,
    /// Decide what becomes of something foreign.
    SweepDecide,
    /// Leave something out of a reset.
    Skip,
    /// Say that a task was done.
    Attest,
    /// Destroy a version for ever.
    Destroy,
    GrantAccess,
    BreakGlass,
    /// Take evidence out.
    Export,
    /// Restore, copy or recover the store.
    Restore,
    RotateKeys,
    /// Stage and consent to policies and the table of persons.
    ChangePolicy,
}

impl Action {
    pub const ALL: [Self; 21] = [
        Self::Read,
        Self::Validate,
        Self::Reach,
        Self::Plan,
        Self::Request,
        Self::Approve,
        Self::Execute,
        Self::ChangeEstate,
        Self::Clean,
        Self::Escalate,
        Self::Rollback,
        Self::SweepDecide,
        Self::Skip,
        Self::Attest,
        Self::Destroy,
        Self::GrantAccess,
        Self::BreakGlass,
        Self::Export,
        Self::Restore,
        Self::RotateKeys,
        Self::ChangePolicy,
    ];

    /// The word in policies, on the command line and in entries.
    #[must_use]
    pub const fn word(self) -> &'static str {
        match self {
            Self::Read => "read",
            Self::Validate => "validate",
            Self::Reach => "reach",
            Self::Plan => "plan",
            Self::Request => "request",
            Self::Approve => "approve",
            Self::Execute => "execute",
            Self::ChangeEstate => "change-estate",
            Self::Clean => "clean",
            Self::Escalate => "escalate",
            Self::Rollback => "rollback",
            Self::SweepDecide => "sweep-decide",
            Self::Skip => "skip",
            Self::Attest => "attest",
            Self::Destroy => "destroy",
            Self::GrantAccess => "grant-access",
            Self::BreakGlass => "break-glass",
            Self::Export => "export",
            Self::Restore => "restore",
            Self::RotateKeys => "rotate-keys",
            Self::ChangePolicy => "change-policy",
        }
    }

    /// True for what only looks ahead: it is open where nobody decides.
    #[must_use]
    pub const fn only_looks_ahead(self) -> bool {
        matches!(self, Self::Validate | Self::Reach | Self::Plan)
    }

    /// True for what changes nothing: its decisions are no entries.
    #[must_use]
    pub const fn only_looks(self) -> bool {
        matches!(self, Self::Read | Self::Validate | Self::Reach | Self::Plan)
    }
}

impl fmt::Display for Action {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.word())
    }
}

impl FromStr for Action {
    type Err = String;

    fn from_str(word: &str) -> Result<Self, String> {
        Self::ALL.into_iter().find(|action| action.word() == word).ok_or_else(|| {
            let words = Self::ALL.map(Self::word).join(", ");
            format!("`{word}` is no action; they are {words}")
        })
    }
}
