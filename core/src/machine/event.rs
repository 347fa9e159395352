//! What happens to a rotation: events, and what a finished step established.

use std::collections::{BTreeMap, BTreeSet};

use jiff::Timestamp;
use remint_contract::{ConfirmGrade, Location, ProofGrade, Ref, ResetId, VersionId};
use serde::{Deserialize, Serialize};

use super::{Reason, Version};
use crate::step::Step;

/// What happened.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case", tag = "event")]
pub enum Event {
    Start,
    Cleared,
    Done {
        facts: Done,
    },
    Lost,
    Spoiled,
    FoundDone,
    FoundUndone,
    Failed {
        reason: Reason,
    },
    /// The new version was killed before anybody saw it.
    Destroyed {
        change: String,
    },
    Drifted {
        what: String,
    },
    Retry,
    Cleaned,
    Reproved {
        last: bool,
    },
    Delivered {
        places: BTreeSet<Location>,
    },
    Resurrected {
        endpoints: Vec<String>,
    },
    RolledBack,
    /// The store is older than the world: what it knows of this rotation does not hold.
    Recovered {
        what: String,
    },
    Superseded {
        by: ResetId,
    },
    /// Another reset owns the credential.
    Queued {
        behind: ResetId,
    },
    /// Another reset's new value is as good as this one's would be.
    Joined {
        with: ResetId,
    },
    /// Nobody else stands in the way any more.
    Freed,
    /// The reset that was joined settled it, with these facts.
    Vouched {
        facts: Box<super::Facts>,
    },
    /// The plan was revised: the member has another path.
    Revised,
}

/// What a finished step established.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case", tag = "what")]
pub enum Done {
    Captured {
        old: Option<Version>,
    },
    Minted {
        new: Version,
    },
    Promoted {
        places: BTreeSet<Location>,
    },
    Confirmed {
        consumers: BTreeMap<Ref, ConfirmGrade>,
    },
    Proved {
        grade: ProofGrade,
    },
    /// Who was seen to trust the new version.
    Propagated {
        verifiers: BTreeSet<Ref>,
        endpoints: BTreeSet<String>,
    },
    /// How many things are still encrypted under the old version.
    Rewrapped {
        left: u64,
    },
    Swept {
        undecided: Vec<VersionId>,
    },
    /// At `now`: the moment is recorded as `dark since`.
    Contained {
        undecided: Vec<VersionId>,
        now: Timestamp,
    },
    /// A step that establishes nothing but its own end.
    Plain {
        step: Step,
    },
}

impl Done {
    /// Each step has one kind of outcome.
    pub(super) fn fits(&self, step: Step) -> bool {
        match self {
            Self::Captured { .. } => step == Step::Capture,
            Self::Minted { .. } => step == Step::Mint,
            Self::Promoted { .. } => step == Step::Promote,
            Self::Confirmed { .. } => step == Step::Confirm,
            Self::Proved { .. } => matches!(step, Step::Prove | Step::FinalProve),
            Self::Propagated { .. } => step == Step::Propagate,
            Self::Rewrapped { .. } => step == Step::Rewrap,
            Self::Swept { .. } => matches!(step, Step::Sweep | Step::FinalSweep),
            Self::Contained { .. } => step == Step::Sweep,
            Self::Plain { step: plain } => {
                *plain == step
                    && matches!(
                        step,
                        Step::Verify
                            | Step::Deliver
                            | Step::Reload
                            | Step::Hold
                            | Step::Disable
                            | Step::Revoke
                            | Step::EndDerived
                            | Step::Publish
                            | Step::Activate
                            | Step::Drain
                    )
            }
        }
    }
}

impl Event {
    /// The word of the drawing.
    #[must_use]
    pub const fn name(&self) -> &'static str {
        match self {
            Self::Start => "start",
            Self::Cleared => "cleared",
            Self::Done { .. } => "done",
            Self::Lost => "lost",
            Self::Spoiled => "spoiled",
            Self::FoundDone => "found-done",
            Self::FoundUndone => "found-undone",
            Self::Failed { .. } => "failed",
            Self::Destroyed { .. } => "destroyed",
            Self::Drifted { .. } => "drifted",
            Self::Retry => "retry",
            Self::Cleaned => "cleaned",
            Self::Reproved { .. } => "reproved",
            Self::Delivered { .. } => "delivered",
            Self::Resurrected { .. } => "resurrected",
            Self::RolledBack => "rolled-back",
            Self::Recovered { .. } => "recovered",
            Self::Superseded { .. } => "superseded",
            Self::Queued { .. } => "queued",
            Self::Joined { .. } => "joined",
            Self::Freed => "freed",
            Self::Vouched { .. } => "vouched",
            Self::Revised => "revised",
        }
    }
}
