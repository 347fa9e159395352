//! What whoever watches is told.

use jiff::Timestamp;
use remint_contract::{CredentialId, Ref, ResetId};
use remint_core::machine::State;
use serde::{Deserialize, Serialize};

/// One thing that happened in a running reset.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case", tag = "progress")]
pub enum Progress {
    /// A member came to a state.
    Moved { reset: ResetId, index: usize, credential: CredentialId, state: State, at: Timestamp },
    /// An announced outage began or ended, for the members of a cut.
    Outage { reset: ResetId, cut: usize, began: bool, at: Timestamp },
    /// The old value was used after every known consumer had moved: an unknown consumer, or an intruder.
    OldUsed { reset: ResetId, credential: CredentialId, source: String, at: Timestamp },
    /// Dead, and without a value until its readers are clean; told again while it lasts.
    Dark { reset: ResetId, credential: CredentialId, since: Timestamp, at: Timestamp },
    /// A wave opened.
    Wave { reset: ResetId, number: usize, of: usize, at: Timestamp },
    /// Somebody paused, resumed or aborted it.
    Standstill { reset: ResetId, word: String, reason: String, at: Timestamp },
    /// When it will be done, as far as can be told; `late` when that is after the deadline.
    Eta { reset: ResetId, done: Timestamp, deadline: Option<Timestamp>, late: bool, at: Timestamp },
    /// A system's circuit opened, and nothing is sent before `until`; or it closed.
    Circuit { system: Ref, until: Option<Timestamp>, at: Timestamp },
}
