//! The typed documents of an estate, after loading: references resolved to full form, durations parsed, defaults filled.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use jiff::Timestamp;
use remint_contract::{ConfirmGrade, Location, Name, Pattern, Ref, Strategy, Target, Template};
use serde::{Deserialize, Serialize};

use crate::approval::Obligations;
use crate::digest::{Digest, is_default};
use crate::estate::window::RotationWindow;

/// All documents of one moment. Maps are sorted, so that equal estates have equal digests.
#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize)]
pub struct Estate {
    pub systems: BTreeMap<Ref, System>,
    pub identities: BTreeMap<Ref, Identity>,
    pub credentials: BTreeMap<Ref, Credential>,
    pub workloads: BTreeMap<Ref, Workload>,
    pub windows: BTreeMap<Ref, RotationWindow>,
    pub grants: BTreeMap<Ref, Grant>,
    #[serde(default, skip_serializing_if = "is_default")]
    pub approvals: BTreeMap<Ref, ApprovalPolicy>,
}

impl Estate {
    /// Pins the whole estate: SHA-256 over its JSON form with sorted keys.
    #[must_use]
    pub fn digest(&self) -> Digest {
        // serde_json on maps with string keys and no floats cannot fail; an empty digest would be noticed at once.
        Digest::of_written(|out| serde_json::to_writer(out, self)).unwrap_or_else(|| Digest::of(&[]))
    }
}

/// What every document carries.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Meta {
    pub name: Name,
    pub namespace: Name,
    #[serde(default, skip_serializing_if = "is_default")]
    pub labels: BTreeMap<String, String>,
}

/// One reachable target.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct System {
    pub meta: Meta,
    /// The connector's kind: the one key of `spec` that is not ours.
    pub connector: String,
    /// The connector's own block, opaque here.
    #[serde(default, skip_serializing_if = "is_default")]
    pub settings: serde_json::Value,
    /// The credential Remint acts with here (`auth: {credential: name}`).
    #[serde(default, skip_serializing_if = "is_default")]
    pub auth: Option<Ref>,
    pub budget: Budget,
    /// How long a change takes to be seen everywhere (`propagation: 2s`; default: the connector's own).
    #[serde(default, skip_serializing_if = "is_default")]
    pub propagation: Option<Duration>,
    #[serde(default, skip_serializing_if = "is_default")]
    pub zone: Option<String>,
}

/// How hard a system may be worked.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct Budget {
    /// Calls at a time. Default 8.
    pub concurrency: u32,
    /// Calls per second; `None` is no limit.
    #[serde(default, skip_serializing_if = "is_default")]
    pub per_second: Option<u32>,
    /// Workloads that it runs and that restart at a time, from reload until they are confirmed (`budget: {restarts: 4}`).
    #[serde(default, skip_serializing_if = "is_default")]
    pub restarts: Option<u32>,
}

impl Default for Budget {
    fn default() -> Self {
        Self { concurrency: 8, per_second: None, restarts: None }
    }
}

impl Budget {
    /// Workloads that may restart at a time: as many as calls, where nothing is said.
    #[must_use]
    pub fn restarts(self) -> u32 {
        self.restarts.unwrap_or(self.concurrency)
    }
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum ClassOfIdentity {
    Workload,
    Machine,
    Agent,
    Human,
    Emergency,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Tier {
    Standard,
    Privileged,
}

impl Tier {
    pub const ALL: [Self; 2] = [Self::Standard, Self::Privileged];
}

/// Who answers for an identity. A missing one is a finding.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct Owners {
    #[serde(default, skip_serializing_if = "is_default")]
    pub policy: Option<String>,
    #[serde(default, skip_serializing_if = "is_default")]
    pub execution: Option<String>,
    #[serde(default, skip_serializing_if = "is_default")]
    pub business: Option<String>,
}

/// A non-human (or emergency) identity.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Identity {
    pub meta: Meta,
    pub class: ClassOfIdentity,
    pub tier: Tier,
    #[serde(default, skip_serializing_if = "is_default")]
    pub environment: Option<String>,
    #[serde(default, skip_serializing_if = "is_default")]
    pub owners: Owners,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Default, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum CredentialClass {
    /// Shown to get in.
    #[default]
    Authenticator,
    /// A signing key with verifiers elsewhere: they learn the new one first.
    VerifierPair,
    /// Encrypts data: they move to the new version before the old one is stopped, and it is never destroyed by a reset.
    Encryption,
}

/// A credential: a set of versions at its issuer.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Credential {
    pub meta: Meta,
    #[serde(default, skip_serializing_if = "is_default")]
    pub class: CredentialClass,
    /// Free word for people and selectors: `database-login`, `api-key`.
    pub kind: String,
    pub identity: Ref,
    pub issued_by: IssuedBy,
    /// Where its value lies. Exactly one is the source of truth when there is more than one; a single one is it.
    #[serde(default, skip_serializing_if = "is_default")]
    pub delivered_to: Vec<Destination>,
    #[serde(default, skip_serializing_if = "is_default")]
    pub consumed_by: BTreeSet<Ref>,
    /// Places that must trust a new version before it is used.
    #[serde(default, skip_serializing_if = "is_default")]
    pub trusted_by: Vec<Location>,
    /// Workloads that verify it: each must be seen to trust a new version before it is used.
    #[serde(default, skip_serializing_if = "is_default")]
    pub verified_by: BTreeSet<Ref>,
    #[serde(default, skip_serializing_if = "is_default")]
    pub unlocks: Vec<Unlock>,
    #[serde(default, skip_serializing_if = "is_default")]
    pub begets: Begets,
    #[serde(default, skip_serializing_if = "is_default")]
    pub generate: Generate,
    #[serde(default, skip_serializing_if = "is_default")]
    pub rotation: Rotation,
    /// True when the document is gone but no version was proven dead: it stays in reach and in resets.
    #[serde(default, skip_serializing_if = "is_default")]
    pub ghost: bool,
}

impl Credential {
    /// The place that is the source of truth.
    #[must_use]
    pub fn source(&self) -> Option<&Destination> {
        self.delivered_to.iter().find(|place| place.source).or_else(|| self.delivered_to.first())
    }
}

/// `issuedBy: {system, target, by, diesWithIssuer, …the connector's own}`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct IssuedBy {
    pub system: Ref,
    pub target: Target,
    /// The credential that mints it, when that is not the system's `auth`.
    #[serde(default, skip_serializing_if = "is_default")]
    pub by: Option<Ref>,
    /// True when it dies with the version that minted it (child tokens, leaves, leases).
    pub dies_with_issuer: bool,
}

/// One place where the value lies: one write of all its fields.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub struct Destination {
    /// System and path, without a field.
    pub at: Location,
    /// Field → template. `at: sys:path#field` is short for `{field: "{secret}"}`.
    pub fields: BTreeMap<String, Template>,
    /// The system of record, where the old value is captured from.
    pub source: bool,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum UnlockVerb {
    /// Can see values there. Followed by reach.
    Read,
    /// Can plant values there. Reported.
    Write,
    /// Can make new versions of a credential, or at a system. Followed.
    Mint,
    /// All of it. Followed.
    Admin,
    /// Can use the service. A leaf.
    Use,
}

/// What a credential opens: places, a whole system, or another credential (to mint).
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum UnlockWhat {
    Places(Pattern),
    Node(Ref),
}

#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub struct Unlock {
    pub what: UnlockWhat,
    pub verb: UnlockVerb,
}

/// What comes from using it, and how long that lives at most. Empty: nothing.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct Begets {
    #[serde(default, skip_serializing_if = "is_default")]
    pub sessions: Option<Duration>,
    #[serde(default, skip_serializing_if = "is_default")]
    pub tokens: Option<Duration>,
    #[serde(default, skip_serializing_if = "is_default")]
    pub leases: Option<Duration>,
}

/// How a new value is made, where Remint makes it. The default is not written, so it can never be another one.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Generate {
    /// Characters. Default 32, least 16.
    pub length: u16,
    /// The characters to draw from. Default: letters and digits (no quoting problem anywhere).
    pub alphabet: String,
}

impl Default for Generate {
    fn default() -> Self {
        Self { length: 32, alphabet: "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789".to_owned() }
    }
}

/// `rotation:`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Rotation {
    /// Default `overlap`.
    pub strategy: Strategy,
    /// How long the old version is kept after everything is confirmed (`overlap: 10m`); a reset for an incident skips it.
    #[serde(default, skip_serializing_if = "is_default")]
    pub hold: Option<Duration>,
    /// How long nobody may use the old version after everything is confirmed, before it is revoked (`quiet: 1h`).
    #[serde(default, skip_serializing_if = "is_default")]
    pub quiet: Option<Duration>,
    /// How old a version may become; a window that is the last one before that replaces it.
    #[serde(default, skip_serializing_if = "is_default")]
    pub max_age: Option<Duration>,
    /// How much sooner than that it may be replaced (`earlyStart: 7d`).
    #[serde(default, skip_serializing_if = "is_default")]
    pub early_start: Option<Duration>,
    /// Credentials of one group are cut over together.
    #[serde(default, skip_serializing_if = "is_default")]
    pub group: Option<String>,
    /// Credentials of one pair have one turn in a window, each its own offset after it.
    #[serde(default, skip_serializing_if = "is_default")]
    pub pair: Option<String>,
    /// How long after the turn of its pair it begins.
    #[serde(default, skip_serializing_if = "is_default")]
    pub offset: Option<Duration>,
    /// The approved word: consumers may be without a working value for at most this long (`outage: 30s`).
    #[serde(default, skip_serializing_if = "is_default")]
    pub outage: Option<Duration>,
    /// What a person has to know to do it by hand (`manual`): stands in his task, word for word.
    #[serde(default, skip_serializing_if = "is_default")]
    pub instructions: Option<String>,
    /// How long a person has for a task of it, from when it was opened (`due: 2d`, `manual`).
    #[serde(default, skip_serializing_if = "is_default")]
    pub due: Option<Duration>,
}

impl Default for Rotation {
    fn default() -> Self {
        Self {
            strategy: Strategy::Overlap,
            hold: None,
            quiet: None,
            max_age: None,
            early_start: None,
            group: None,
            pair: None,
            offset: None,
            outage: None,
            instructions: None,
            due: None,
        }
    }
}

/// Something that reads credentials.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Workload {
    pub meta: Meta,
    #[serde(default, skip_serializing_if = "is_default")]
    pub runs_on: Option<RunsOn>,
    pub reload: Reload,
    pub confirm: Confirm,
    /// Places it can read beside what it consumes.
    #[serde(default, skip_serializing_if = "is_default")]
    pub reads: Vec<Pattern>,
}

#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct RunsOn {
    pub system: Ref,
    pub reference: String,
}

/// `reload: none | signal | http | command | rollout`, or `{signal: {…}}` with the connector's own settings.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Reload {
    pub how: String,
    #[serde(default, skip_serializing_if = "is_default")]
    pub settings: serde_json::Value,
}

/// `confirm: {how, within, source, …}`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Confirm {
    pub how: ConfirmHow,
    /// How long to wait before it parks. Default 5 minutes.
    pub within: Duration,
    /// For `issuer-seen` with several consumers: what the issuer calls this one.
    #[serde(default, skip_serializing_if = "is_default")]
    pub source: Option<String>,
    #[serde(default, skip_serializing_if = "is_default")]
    pub settings: serde_json::Value,
}

/// How a workload is confirmed; the grade it gives.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(transparent)]
pub struct ConfirmHow(pub ConfirmGrade);

/// Lets documents of one namespace refer to documents of the Grant's own.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Grant {
    pub meta: Meta,
    pub from_namespace: Name,
    /// References granted; empty means every document of the Grant's namespace.
    pub to: BTreeSet<Ref>,
}

/// An estate with the time in which it was active.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Era {
    pub estate: Estate,
    pub from: Timestamp,
    /// `None`: still active.
    pub until: Option<Timestamp>,
}

/// What it takes to rotate the credentials of some identities.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct ApprovalPolicy {
    pub meta: Meta,
    #[serde(default, skip_serializing_if = "is_default")]
    pub select: Selection,
    pub require: Obligations,
}

/// Whose credentials: every set that is not empty must hold the identity's own value.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct Selection {
    #[serde(default, skip_serializing_if = "is_default")]
    pub classes: BTreeSet<ClassOfIdentity>,
    #[serde(default, skip_serializing_if = "is_default")]
    pub tiers: BTreeSet<Tier>,
    #[serde(default, skip_serializing_if = "is_default")]
    pub environments: BTreeSet<String>,
}
