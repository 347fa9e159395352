//! What the engine keeps in the store, as typed records.

use std::collections::BTreeSet;

use jiff::Timestamp;
use remint_contract::{CredentialId, OperationId, Ref, ResetId, Verb, VersionId};
use remint_core::approval::Case;
use remint_core::digest::Digest;
use remint_core::machine::{Rotation, Version};
use remint_core::plan::Plan;
use remint_core::step::Path;
use remint_evidence_format::Draft;
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};

use crate::engine::pause::Standstill;
use crate::engine::planned::Planned;
use crate::engine::reset::plan_hash;
use crate::store::{Key, Put, Record, Rule, StoreError};

/// One reset: what was asked, what was approved, and where it stands.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Reset<P = Planned> {
    pub id: ResetId,
    /// In the record, the name of the plan's own record.
    pub plan: P,
    pub reason: String,
    pub requested_by: String,
    pub requested_at: Timestamp,
    pub approval: Option<Approval>,
    pub status: ResetStatus,
    /// Who gives way to whom.
    #[serde(default)]
    pub urgency: Urgency,
    /// Since when the attacker may have what he has; a value that was minted later is none of his.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub exposed_at: Option<Timestamp>,
    /// A plan that would take the place of this one, and waits for approval; until then this one goes on.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub revision: Option<Revision>,
    /// Dirty nodes that were attested or probed clean since.
    #[serde(default)]
    pub cleaned: BTreeSet<Ref>,
    /// When the old values are tried again; what is due is taken from the front.
    #[serde(default)]
    pub reproofs: Vec<Timestamp>,
    /// Why it stands still, when it is paused or aborted.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub standstill: Option<Standstill>,
    /// When the daemon tries again what could not be reached.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub again: Option<Again>,
    /// Who asked and who signed what, where the state is governed.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub case: Option<Case>,
}

impl Reset<String> {
    /// The same, with the plan that it names.
    pub(crate) fn with(self, plan: Planned) -> Reset {
        Reset {
            id: self.id,
            plan,
            reason: self.reason,
            requested_by: self.requested_by,
            requested_at: self.requested_at,
            approval: self.approval,
            status: self.status,
            urgency: self.urgency,
            exposed_at: self.exposed_at,
            revision: self.revision,
            cleaned: self.cleaned,
            reproofs: self.reproofs,
            standstill: self.standstill,
            again: self.again,
            case: self.case,
        }
    }
}

impl Reset {
    /// What waits to be approved: the revision where there is one, else the plan; its digest, and the SHA-256 of its file.
    #[must_use]
    pub fn waits(&self) -> (Digest, String) {
        match &self.revision {
            Some(revision) => (revision.plan.digest, plan_hash(&revision.plan)),
            None => (self.plan.digest, self.plan.hash().to_owned()),
        }
    }
}

/// The next automatic try.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Again {
    pub at: Timestamp,
    /// How often it was put off already.
    pub times: u32,
}

/// Who said yes to exactly this plan.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Approval {
    pub by: String,
    pub at: Timestamp,
    /// The plan's digest as approved; a plan with another one does not run.
    pub digest: String,
    /// `recorded`: a word on the command line, verified by nobody.
    pub grade: String,
}

/// How urgent a reset is: a more urgent one takes over what a less urgent one has begun.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Default, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Urgency {
    /// A drill, or by schedule.
    Scheduled,
    #[default]
    Incident,
    /// An incident in which something is stopped before it is replaced.
    Contain,
}

impl Urgency {
    /// Of an incident with this plan.
    #[must_use]
    pub fn of(plan: &Plan) -> Self {
        let contains = plan.members.iter().any(|member| member.path == Path::Contain);
        if contains { Self::Contain } else { Self::Incident }
    }
}

/// A revised plan that waits for approval.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Revision {
    /// Its parent is the plan that it would replace.
    pub plan: Plan,
    pub reason: String,
    pub by: String,
    pub at: Timestamp,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum ResetStatus {
    /// Waits for approval.
    Requested,
    Rejected,
    /// Under way, or interrupted while it was.
    Running,
    /// Somebody said so: no further step begins.
    Paused,
    /// Stopped for good; what is half done is to be finished.
    Aborted,
    /// Nothing more happens without a person: something is parked, dark or undecided.
    Resting,
    /// Everything settled; re-proofs are due.
    Provisional,
    /// Everything settled, and refused again at the last re-proof.
    Complete,
}

/// One rotation of a reset.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct RotationRecord {
    pub reset: ResetId,
    /// The place in the plan's members.
    pub index: usize,
    pub credential: CredentialId,
    pub rotation: Rotation,
    /// When it came to this state.
    pub since: Timestamp,
}

/// An effect that was intended.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct IntentRecord {
    pub operation: OperationId,
    pub credential: CredentialId,
    pub system: Ref,
    pub verb: Verb,
    /// What tells this effect from others of the same verb: the place, the workload, the version.
    pub about: String,
    pub version: Option<VersionId>,
    /// The sealed value that a mint proposed.
    pub sealed: Option<String>,
    pub outcome: IntentOutcome,
}

#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum IntentOutcome {
    /// Neither done nor undone, as far as is known. What the target says of it is never kept: whoever tries it again
    /// may be interrupted again, and whoever comes after has to ask again.
    Open,
    /// The target says that it minted this.
    Minted(Version),
}

/// Something at an issuer that nobody here knows.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Finding {
    pub id: String,
    pub reset: ResetId,
    pub system: Ref,
    /// The credential whose target it belongs to, when it belongs to one.
    pub credential: Option<CredentialId>,
    pub version: VersionId,
    pub label: String,
    pub found_at: Timestamp,
    pub decision: Option<Decision>,
}

/// What a person said of a finding.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Decision {
    pub word: DecisionWord,
    pub by: String,
    pub at: Timestamp,
    pub reason: String,
    /// Carried out, where the word asks for something to be done.
    pub done: bool,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum DecisionWord {
    /// It is ours: it will be in the estate.
    Adopt,
    /// Kill it.
    Revoke,
    /// It stays, on somebody's word.
    Except,
}

/// Something a person has to do.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct TaskRecord {
    pub id: String,
    pub reset: ResetId,
    pub about: Ref,
    pub what: String,
    pub attested: Option<Attestation>,
    /// Until when it is to be done.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub due: Option<Timestamp>,
    /// When it was said that it is overdue.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub reminded: Option<Timestamp>,
}

#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Attestation {
    pub by: String,
    pub at: Timestamp,
    pub words: String,
}

/// Which reset owns a credential now.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Owner {
    pub reset: ResetId,
}

/// The kinds of records.
pub mod kind {
    pub const RESET: &str = "reset";
    pub const ROTATION: &str = "rotation";
    pub const INTENT: &str = "intent";
    pub const FINDING: &str = "finding";
    pub const TASK: &str = "task";
    pub const OWNER: &str = "owner";
    pub const ESTATE: &str = "estate";
    /// Named by the hash of its bytes.
    pub const PLAN: &str = "plan";
    pub const EXCEPTION: &str = "exception";
    /// A reset for which the glass was broken.
    pub const BROKEN: &str = "broken";
    /// What is approved in advance.
    pub const STANDING: &str = "standing";
    /// Moves with every act of a kind, so that no two of them do not know of each other.
    pub const GUARD: &str = "guard";
    /// What a person signed, by the hash of the note; it can be erased with his name.
    pub const APPROVAL: &str = "approval";
    /// Rung whenever something was said of a reset.
    pub const SIGNAL: &str = "signal";
    /// When a running reset will be done, as far as can be told.
    pub const ETA: &str = "eta";
    /// How far a window was looked at.
    pub const WINDOW: &str = "window";
    /// An opening of a window, kept for ever: what was opened is never opened again.
    pub const OPENING: &str = "opening";
    /// What all replicas share of a system's budget.
    pub const BUDGET: &str = "budget";
}

impl Finding {
    /// What the evidence calls it: a foreign version is a subject of its own.
    #[must_use]
    pub fn subject(&self) -> String {
        foreign(&self.system, &self.version)
    }
}

/// The subject of a foreign version.
#[must_use]
pub fn foreign(system: &Ref, version: &VersionId) -> String {
    format!("{system} version {version}")
}

impl RotationRecord {
    /// Sorted by reset, then by place.
    #[must_use]
    pub fn key(&self) -> Key {
        Self::key_of(&self.reset, self.index)
    }

    /// The key of a member's record.
    #[must_use]
    pub fn key_of(reset: &ResetId, index: usize) -> Key {
        Key { kind: kind::ROTATION, id: format!("{reset}/{index:06}") }
    }
}

/// A put of any record of ours.
pub fn put<T: Serialize>(
    kind: &'static str,
    id: impl Into<String>,
    scope: &str,
    body: &T,
    rule: Rule,
) -> Result<Put, StoreError> {
    Ok(Put {
        key: Key { kind, id: id.into() },
        scope: scope.to_owned(),
        body: serde_json::to_value(body).map_err(|error| unreadable("cannot write a record", error))?,
        rule,
    })
}

/// Reads a record back.
pub fn read<T: serde::de::DeserializeOwned>(record: Record) -> Result<T, StoreError> {
    serde_json::from_value(record.body)
        .map_err(|error| unreadable(&format!("holds a record `{}` that cannot be read", record.id), error))
}

fn unreadable(what: &str, error: serde_json::Error) -> StoreError {
    StoreError::Broken { what: what.to_owned(), source: Some(Box::new(error)) }
}

/// An entry about something.
#[must_use]
pub fn entry(
    kind: &str,
    at: Timestamp,
    reset: Option<&ResetId>,
    subject: Option<&dyn std::fmt::Display>,
    body: &Value,
) -> Draft {
    Draft {
        kind: kind.to_owned(),
        at: at.to_string(),
        reset: reset.map(ToString::to_string),
        subject: subject.map(ToString::to_string),
        body: body.as_object().map_or_else(Map::new, |body| {
            // The format knows no null: what is not known is not there.
            body.iter().filter(|(_, value)| !value.is_null()).map(|(key, value)| (key.clone(), value.clone())).collect()
        }),
    }
}
