//! Where a rotation stands, and why it is parked.

use std::collections::BTreeSet;
use std::fmt;

use jiff::Timestamp;
use remint_contract::{ProofGrade, Ref, ResetId, VersionId};
use serde::{Deserialize, Serialize};

use crate::step::Step;

/// Where a rotation stands.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case", tag = "state")]
pub enum State {
    Planned,
    Waiting {
        step: Step,
    },
    Doing {
        step: Step,
    },
    Unknown {
        step: Step,
    },
    Parked {
        step: Step,
        reason: Reason,
    },
    Dark {
        since: Timestamp,
    },
    /// `last`: no re-proof is due any more.
    Settled {
        last: bool,
    },
    Superseded {
        by: ResetId,
    },
    /// Waits for another reset, which owns the credential.
    Queued {
        behind: ResetId,
    },
    /// Another reset's evidence will count for this one, too.
    Joined {
        with: ResetId,
    },
    RolledBack,
}

/// Why a rotation is parked.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case", tag = "why")]
pub enum Reason {
    /// These consumers were not seen on the new version; the old one lives.
    Unconfirmed { workloads: BTreeSet<Ref> },
    /// These verifiers do not trust the new version yet; the old one is in use.
    Untrusted { verifiers: Vec<String> },
    /// Something is still encrypted under the old version; it is not stopped.
    Encrypted { left: u64 },
    /// Every slot at the issuer is taken: by these, beside the version in use. Each needs a decision.
    Full { versions: Vec<VersionId>, held_by: Vec<String> },
    /// The old value was not refused everywhere.
    Alive { endpoints: Vec<String> },
    /// It was refused, but the proof is weaker than asked for.
    WeakProof { grade: ProofGrade },
    /// Versions at the issuer that nobody here knows; each needs a decision.
    Foreign { versions: Vec<VersionId> },
    /// The estate or the world is not what the plan says.
    Drifted { what: String },
    /// The new version has other rights than the old one.
    Rights { change: String },
    /// A person has to do or attest something.
    Task { what: String },
    /// A call failed for good.
    Failed { what: String },
    /// A system could not be reached, or had no time for us: nothing was done.
    Unreachable { what: String },
    /// The old value was used after every known consumer had moved: an unknown consumer, or an intruder.
    InUse { sources: BTreeSet<String>, decider: String },
    /// An effect's outcome could not be found out.
    Unclear { what: String },
}

impl State {
    /// The word of the drawing.
    #[must_use]
    pub const fn name(&self) -> &'static str {
        match self {
            Self::Planned => "planned",
            Self::Waiting { .. } => "waiting",
            Self::Doing { .. } => "doing",
            Self::Unknown { .. } => "unknown",
            Self::Parked { .. } => "parked",
            Self::Dark { .. } => "dark",
            Self::Settled { .. } => "settled",
            Self::Superseded { .. } => "superseded",
            Self::Queued { .. } => "queued",
            Self::Joined { .. } => "joined",
            Self::RolledBack => "rolled-back",
        }
    }

    /// The step it is about, when it is about one.
    #[must_use]
    pub const fn step(&self) -> Option<Step> {
        match self {
            Self::Waiting { step } | Self::Doing { step } | Self::Unknown { step } | Self::Parked { step, .. } => {
                Some(*step)
            }
            Self::Planned
            | Self::Dark { .. }
            | Self::Settled { .. }
            | Self::Superseded { .. }
            | Self::Queued { .. }
            | Self::Joined { .. }
            | Self::RolledBack => None,
        }
    }

    /// True when nothing will happen without a person, another reset, or a due re-proof.
    #[must_use]
    pub const fn rests(&self) -> bool {
        matches!(
            self,
            Self::Parked { .. }
                | Self::Dark { .. }
                | Self::Settled { .. }
                | Self::Superseded { .. }
                | Self::Queued { .. }
                | Self::Joined { .. }
                | Self::RolledBack
        )
    }
}

impl fmt::Display for State {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Waiting { step } => write!(f, "waiting to {step}"),
            Self::Doing { step } => write!(f, "doing {step}"),
            Self::Unknown { step } => write!(f, "unknown after {step}"),
            Self::Parked { step, .. } => write!(f, "parked at {step}"),
            Self::Settled { last: false } => f.write_str("settled (provisional)"),
            Self::Superseded { by } => write!(f, "superseded by reset {by}"),
            Self::Queued { behind } => write!(f, "waiting for reset {behind}"),
            Self::Joined { with } => write!(f, "joined with reset {with}"),
            Self::Dark { .. } | Self::Planned | Self::Settled { .. } | Self::RolledBack => f.write_str(self.name()),
        }
    }
}

impl fmt::Display for Reason {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fn list<T: fmt::Display>(items: impl IntoIterator<Item = T>) -> String {
            items.into_iter().map(|item| item.to_string()).collect::<Vec<_>>().join(", ")
        }
        match self {
            Self::Unconfirmed { workloads } => {
                write!(f, "not seen on the new version: {}; the old one lives", list(workloads))
            }
            Self::Untrusted { verifiers } => {
                write!(f, "the new version is not trusted yet by {}; the old one is in use", list(verifiers))
            }
            Self::Encrypted { left } => {
                write!(f, "{left} things are still encrypted under the old version; it was not stopped")
            }
            Self::Full { held_by, .. } => write!(
                f,
                "no room for a new version at the issuer: {}; decide each with `remint decide`, then it goes on",
                list(held_by)
            ),
            Self::Alive { endpoints } => write!(f, "the old value was not refused at {}", list(endpoints)),
            Self::WeakProof { grade } => write!(f, "the proof is only {grade:?}, weaker than the policy asks"),
            Self::Foreign { versions } => write!(f, "unknown versions at the issuer: {}", list(versions)),
            Self::Drifted { what } => write!(f, "not what the plan says: {what}"),
            Self::Rights { change } => write!(f, "the new version's rights differ: {change}"),
            Self::Task { what } => write!(f, "waits for a person: {what}"),
            Self::Failed { what } | Self::Unreachable { what } => write!(f, "{what}"),
            Self::InUse { sources, decider } => write!(
                f,
                "the old value was used after every known consumer had moved, by {}; {decider} decides",
                list(sources)
            ),
            Self::Unclear { what } => write!(f, "outcome unknown: {what}"),
        }
    }
}
