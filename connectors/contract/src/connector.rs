//! The connector traits: every verb, with a default that says "unsupported".

use std::collections::{BTreeMap, BTreeSet};
use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use jiff::Timestamp;
use serde::{Deserialize, Serialize};

use crate::capability::{Capabilities, ConfirmGrade, ProofGrade, Strategy, Verb};
use crate::error::Error;
use crate::material::Material;
use crate::names::{OperationId, VersionId};
use crate::secret::SecretValue;

/// What goes with every call.
#[derive(Debug, Clone)]
pub struct Call {
    /// The intent that this call serves: put it on what is made where the target can hold a label.
    pub operation: OperationId,
    /// The host gives up at this moment; an irreversible request must carry it where the protocol can.
    pub deadline: Timestamp,
    /// The credential Remint acts with. `None`: the system needs none.
    pub actor: Option<Arc<Material>>,
}

/// What a credential is at its issuer: `issuedBy.target` and the connector's own settings beside it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Target {
    pub name: String,
    #[serde(default, skip_serializing_if = "serde_json::Value::is_null")]
    pub settings: serde_json::Value,
}

/// A workload as its host knows it: `runsOn.ref` and the connector's own settings beside it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Workload {
    /// The document's name, for messages.
    pub name: String,
    /// `runsOn.ref`.
    pub reference: String,
    /// `reload` and `confirm` as written, for the connector to read its own part. At a reload also `delivered`: the paths
    /// on this system where the value was put, of which there may be none.
    #[serde(default)]
    pub settings: serde_json::Value,
}

/// What to mint.
#[derive(Debug, Clone)]
pub struct MintRequest {
    pub target: Target,
    pub strategy: Strategy,
    /// The version in use, when known. Its slot is never overwritten, except by `in-place`.
    pub old: Option<VersionId>,
    /// The user name in use, when known.
    pub old_username: Option<String>,
    /// The value to set, for targets whose secret Remint makes; sealed before this call.
    pub proposed: Option<SecretValue>,
}

/// What was minted.
#[derive(Debug, Clone)]
pub struct Minted {
    pub version: VersionId,
    pub material: Material,
}

/// What the issuer says about a value that it accepted.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Verified {
    /// Which version this value is.
    pub version: VersionId,
    /// Who the issuer takes the bearer for (the group role, the service account): must stay the same.
    pub principal: String,
    /// When the value ends by itself.
    pub expires: Option<Timestamp>,
}

/// How the rights of a new version differ from the old one's.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum RightsChange {
    Equal,
    /// Something is missing: stop and ask.
    Narrower(Vec<String>),
    /// Something was added: destroy it.
    Broader(Vec<String>),
    /// It is somebody else: destroy it.
    OtherIdentity(String),
}

/// What trying a value gave.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Verdict {
    /// The value was accepted.
    Accepted,
    /// The value was denied *as an authentication*, by the issuer's own word for that.
    Denied,
    /// Anything else: rights, throttling, lock-out, TLS, time-out. Proves nothing.
    Unclear(String),
}

/// Something alive at the issuer.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Live {
    pub version: VersionId,
    /// The target that it belongs to, of those asked about; `None` when it belongs to none of them.
    pub target: Option<String>,
    /// A public label for a person to recognise it by.
    pub label: String,
    /// The intent that made it, when the label still says so.
    pub operation: Option<OperationId>,
    pub created: Option<Timestamp>,
}

/// A session, token, lease or assumed role that came from a version.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Derived {
    pub id: String,
    /// `session`, `token`, `lease`, `role`.
    pub what: String,
    pub expires: Option<Timestamp>,
}

/// What became of one derived thing.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum DerivedOutcome {
    Ended,
    DeniedByPolicy,
    ExpiresAt(Timestamp),
    Unknown,
}

/// The answer to `end_derived`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Ended {
    pub derived: Derived,
    pub outcome: DerivedOutcome,
}

/// A use of a version that the issuer saw.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Use {
    pub at: Timestamp,
    /// Who, in the issuer's words: application name, address, user agent.
    pub source: String,
}

/// What to write where.
#[derive(Debug, Clone)]
pub struct WriteRequest {
    pub path: String,
    /// Every field of the one write; other fields at that path stay as they are.
    pub fields: BTreeMap<String, SecretValue>,
    /// The version that must be current, where the store has compare-and-set.
    pub expect: Option<String>,
}

/// The answer to a write.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Written {
    /// The store's own version of what was written (staged or current), for `promote`.
    pub version: String,
}

/// What lies at a path.
#[derive(Debug, Clone)]
pub struct ReadBack {
    pub version: String,
    pub fields: BTreeMap<String, SecretValue>,
}

/// What a consumer should be seen on.
#[derive(Debug, Clone)]
pub struct Expected {
    /// [`Material::fingerprint`] of the new value.
    pub new: String,
    /// Of the old value, when it is known.
    pub old: Option<String>,
    /// Where the consumer reads it, when it is on this system.
    pub path: Option<String>,
}

/// Which value a consumer was seen on.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Seen {
    New,
    Old,
    Other,
    Nothing,
}

/// The answer to `observe`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Observation {
    pub seen: Seen,
    pub grade: ConfirmGrade,
}

/// An intent whose outcome is not known.
#[derive(Debug, Clone)]
pub struct Intent {
    pub operation: OperationId,
    pub verb: Verb,
    pub target: Target,
    /// The version that a `revoke`, `disable` or `end-derived` named.
    pub version: Option<VersionId>,
    /// For a mint: the request, with the sealed value opened again.
    pub mint: Option<MintRequest>,
}

/// What the target says of an intent.
#[derive(Debug, Clone)]
pub enum Recovered {
    /// It never happened; it may be tried again.
    NotDone,
    /// It happened; a mint comes with what was made when that can be had again.
    Done(Option<Minted>),
    /// Something was made whose secret is lost: it must be revoked and made anew.
    Orphan(VersionId),
}

/// A system as Remint sees it. Every method may be called twice, late, and from several tasks at once.
///
/// Guarantees asked of an implementation: errors are classed by [`crate::ErrorKind`]; `Unclear` whenever a request may
/// have been done; an irreversible verb names one version and leaves any other alone; what is already done is `Ok`.
#[async_trait]
pub trait Connector: Send + Sync {
    /// What it can do; makes no call.
    fn describe(&self) -> Capabilities;

    /// The most that `Denied` at an endpoint shows: `Refused` where somebody turned the value away, `Published` where it
    /// stands on a list. Makes no call.
    fn denial(&self, strategy: Strategy, _endpoint: usize) -> ProofGrade {
        if strategy == Strategy::Reissue { ProofGrade::Published } else { ProofGrade::Refused }
    }

    /// True where a version cannot be taken away, only replaced: `revoke` leaves another one in its place, whose value
    /// nobody was given. Makes no call.
    fn replaces(&self) -> bool {
        false
    }

    /// Is it reachable, and may the actor do what the verbs need? With `path`: may it write there? Changes nothing.
    async fn check(&self, call: &Call, path: Option<&str>) -> Result<(), Error>;

    // ---- issuer ----

    /// Makes a new version. The old one stays as it is, except with `in-place`.
    async fn mint(&self, _call: &Call, _request: &MintRequest) -> Result<Minted, Error> {
        Err(Error::unsupported(Verb::Mint))
    }

    /// Uses the value as a consumer would, and says which version it is and who it speaks for. Acts as the bearer,
    /// not as the actor. `Denied` when the value is not accepted.
    async fn verify(&self, _call: &Call, _target: &Target, _material: &Material) -> Result<Verified, Error> {
        Err(Error::unsupported(Verb::Verify))
    }

    /// How the new version's scopes, expiry and allow-lists differ from the old one's.
    async fn compare_rights(
        &self,
        _call: &Call,
        _target: &Target,
        _old: &VersionId,
        _new: &VersionId,
    ) -> Result<RightsChange, Error> {
        Err(Error::unsupported(Verb::CompareRights))
    }

    /// Stops a version from being accepted, so that `enable` can bring it back.
    async fn disable(&self, _call: &Call, _target: &Target, _version: &VersionId) -> Result<(), Error> {
        Err(Error::unsupported(Verb::Disable))
    }

    /// Undoes `disable`.
    async fn enable(&self, _call: &Call, _target: &Target, _version: &VersionId) -> Result<(), Error> {
        Err(Error::unsupported(Verb::Enable))
    }

    /// Kills a version for good.
    async fn revoke(&self, _call: &Call, _target: &Target, _version: &VersionId) -> Result<(), Error> {
        Err(Error::unsupported(Verb::Revoke))
    }

    /// Kills the one version that a value is, for good: of what a person made, where the issuer takes back whatever it is
    /// shown. What is dead already is `Ok`.
    async fn revoke_value(&self, _call: &Call, _target: &Target, _material: &Material) -> Result<(), Error> {
        Err(Error::unsupported(Verb::RevokeValue))
    }

    /// What lives of what came from a version. Of an encryption key: what is encrypted under it, each item as large as
    /// the system counts (a row, a file, a wrapped data key). Of leases: those not younger than the version.
    async fn list_derived(&self, _call: &Call, _target: &Target, _version: &VersionId) -> Result<Vec<Derived>, Error> {
        Err(Error::unsupported(Verb::ListDerived))
    }

    /// Ends what came from a version, and says for each what became of it. Of an encryption key: encrypts it under the
    /// version in use; a call may do a part, and is made again until nothing is listed.
    async fn end_derived(&self, _call: &Call, _target: &Target, _version: &VersionId) -> Result<Vec<Ended>, Error> {
        Err(Error::unsupported(Verb::EndDerived))
    }

    /// Tries a value at one endpoint (an index into the declared endpoints). Never retried inside.
    ///
    /// Of a signing key the endpoints are its verifiers, and what is shown is something that the value signed. Of a
    /// certificate (`reissue`) they are the places of its revocation list: `Denied` means that it is on the list.
    async fn probe(
        &self,
        _call: &Call,
        _target: &Target,
        _material: &Material,
        _endpoint: usize,
    ) -> Result<Verdict, Error> {
        Err(Error::unsupported(Verb::Probe))
    }

    /// Everything alive at the issuer, each attributed to one of `targets` or to none.
    async fn enumerate(&self, _call: &Call, _targets: &[Target]) -> Result<Vec<Live>, Error> {
        Err(Error::unsupported(Verb::Enumerate))
    }

    /// The uses of a version since a moment, newest first, as far as the issuer remembers.
    async fn last_used(
        &self,
        _call: &Call,
        _target: &Target,
        _version: &VersionId,
        _since: Timestamp,
    ) -> Result<Vec<Use>, Error> {
        Err(Error::unsupported(Verb::LastUsed))
    }

    /// Asks the target what became of an intent.
    async fn recover(&self, _call: &Call, _intent: &Intent) -> Result<Recovered, Error> {
        Err(Error::unsupported(Verb::Recover))
    }

    /// What lies in the system that an estate could describe, as proposed documents. They call the system itself `this`.
    async fn discover(&self, _call: &Call) -> Result<Vec<serde_json::Value>, Error> {
        Err(Error::unsupported(Verb::Discover))
    }

    // ---- store ----

    /// Could the store carry these fields at that path? Makes no call; errors are `RefusedValue`.
    fn fits(&self, _path: &str, _fields: &BTreeMap<String, SecretValue>) -> Result<(), Error> {
        Ok(())
    }

    /// Writes (or stages, see [`crate::StoreCapabilities::staged`]) all fields at once.
    async fn write(&self, _call: &Call, _request: &WriteRequest) -> Result<Written, Error> {
        Err(Error::unsupported(Verb::Write))
    }

    /// What readers see at a path.
    async fn read(&self, _call: &Call, _path: &str) -> Result<ReadBack, Error> {
        Err(Error::unsupported(Verb::Read))
    }

    /// Makes a staged version the one that readers see. At an issuer of signing or encryption keys `path` is the
    /// target's name: from now on this version signs or encrypts, and the others only verify or decrypt.
    async fn promote(&self, _call: &Call, _path: &str, _version: &str) -> Result<(), Error> {
        Err(Error::unsupported(Verb::Promote))
    }

    /// The versions that can still be read at a path, current one first.
    async fn versions(&self, _call: &Call, _path: &str) -> Result<Vec<String>, Error> {
        Err(Error::unsupported(Verb::Versions))
    }

    /// Destroys an old version's value.
    async fn destroy_version(&self, _call: &Call, _path: &str, _version: &str) -> Result<(), Error> {
        Err(Error::unsupported(Verb::DestroyVersion))
    }

    // ---- consumer host ----

    /// Makes the workload read its credentials again.
    async fn reload(&self, _call: &Call, _workload: &Workload) -> Result<(), Error> {
        Err(Error::unsupported(Verb::Reload))
    }

    /// Which value the workload uses now.
    async fn observe(&self, _call: &Call, _workload: &Workload, _expected: &Expected) -> Result<Observation, Error> {
        Err(Error::unsupported(Verb::Observe))
    }
}

/// What is wrong with a connector's settings, by the path of keys inside them.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SettingProblem {
    /// Keys and indexes from the settings' root; empty for the whole.
    pub path: Vec<String>,
    /// What is wrong and what to write instead.
    pub message: String,
}

impl fmt::Display for SettingProblem {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.path.is_empty() {
            return f.write_str(&self.message);
        }
        write!(f, "{}: {}", self.path.join("."), self.message)
    }
}

/// What the daemon's own configuration allows, which no document can.
#[derive(Debug, Clone, Default)]
pub struct HostRules {
    /// Commands that a document may select by name: name → program and fixed arguments.
    pub commands: BTreeMap<String, Vec<String>>,
    /// Hosts, as `host:port`, that a document may name though no recipe does, or though their address is private.
    pub hosts: BTreeSet<String>,
    /// The longest a connection may take.
    pub connect_timeout: Option<Duration>,
}

/// One kind of connector: reads its settings and opens instances. Reading makes no call.
pub trait ConnectorKind: Send + Sync {
    /// The word in a System document.
    fn name(&self) -> &'static str;

    /// What an instance with these settings could do.
    ///
    /// # Errors
    /// Every problem of the settings.
    fn describe(&self, settings: &serde_json::Value) -> Result<Capabilities, Vec<SettingProblem>>;

    /// Every problem of a target's settings (`issuedBy`, without `system`, `target`, `by`).
    fn check_target(
        &self,
        _settings: &serde_json::Value,
        _target: &Target,
        _strategy: Strategy,
    ) -> Vec<SettingProblem> {
        Vec::new()
    }

    /// Opens an instance; connects lazily.
    ///
    /// # Errors
    /// The settings cannot be used on this machine.
    fn open(&self, settings: &serde_json::Value, rules: &HostRules) -> Result<Arc<dyn Connector>, Error>;
}

/// The kinds that this build has.
pub trait Kinds: Send + Sync {
    /// The kind of that name.
    fn kind(&self, name: &str) -> Option<&dyn ConnectorKind>;
    /// All names, sorted.
    fn names(&self) -> Vec<&'static str>;
}
