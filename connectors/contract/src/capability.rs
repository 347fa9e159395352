//! What a connector says it can do. The planner and the conformance suite go by it.

use std::collections::BTreeSet;
use std::fmt;
use std::time::Duration;

use serde::{Deserialize, Serialize};

/// Every verb of the contract.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Verb {
    Check,
    Mint,
    Verify,
    CompareRights,
    Write,
    Read,
    Promote,
    Versions,
    DestroyVersion,
    Reload,
    Observe,
    Disable,
    Enable,
    Revoke,
    RevokeValue,
    ListDerived,
    EndDerived,
    Probe,
    Enumerate,
    LastUsed,
    Recover,
    Discover,
}

impl Verb {
    /// Every verb, in the order in which a contract lists them.
    pub const ALL: [Self; 22] = [
        Self::Check,
        Self::Mint,
        Self::Verify,
        Self::CompareRights,
        Self::Write,
        Self::Read,
        Self::Promote,
        Self::Versions,
        Self::DestroyVersion,
        Self::Reload,
        Self::Observe,
        Self::Disable,
        Self::Enable,
        Self::Revoke,
        Self::RevokeValue,
        Self::ListDerived,
        Self::EndDerived,
        Self::Probe,
        Self::Enumerate,
        Self::LastUsed,
        Self::Recover,
        Self::Discover,
    ];

    /// Does the verb change something? Then a lost answer leaves it open whether it was done.
    #[must_use]
    pub const fn changes(self) -> bool {
        match self {
            Self::Mint
            | Self::Write
            | Self::Promote
            | Self::DestroyVersion
            | Self::Reload
            | Self::Disable
            | Self::Enable
            | Self::Revoke
            | Self::RevokeValue
            | Self::EndDerived => true,
            Self::Check
            | Self::Verify
            | Self::CompareRights
            | Self::Read
            | Self::Versions
            | Self::Observe
            | Self::ListDerived
            | Self::Probe
            | Self::Enumerate
            | Self::LastUsed
            | Self::Recover
            | Self::Discover => false,
        }
    }
}

impl fmt::Display for Verb {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Check => "check",
            Self::Mint => "mint",
            Self::Verify => "verify",
            Self::CompareRights => "compare-rights",
            Self::Write => "write",
            Self::Read => "read",
            Self::Promote => "promote",
            Self::Versions => "versions",
            Self::DestroyVersion => "destroy-version",
            Self::Reload => "reload",
            Self::Observe => "observe",
            Self::Disable => "disable",
            Self::Enable => "enable",
            Self::Revoke => "revoke",
            Self::RevokeValue => "revoke-value",
            Self::ListDerived => "list-derived",
            Self::EndDerived => "end-derived",
            Self::Probe => "probe",
            Self::Enumerate => "enumerate",
            Self::LastUsed => "last-used",
            Self::Recover => "recover",
            Self::Discover => "discover",
        })
    }
}

/// How one credential is replaced.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Strategy {
    /// A second version lives beside the first until every consumer moved.
    Overlap,
    /// Two identities take turns (two database login roles under one group role).
    Alternate,
    /// The one value is overwritten: consumers fail until they read the new one. Needs the approved word `outage`.
    InPlace,
    /// A new certificate from the same authority.
    Reissue,
    /// Consumers fetch anew; leases older than a moment are revoked.
    Ephemeral,
    /// Verifiers trust both during the change.
    DualTrust,
    /// A person does it and attests.
    Manual,
}

/// How many versions may live at once at the issuer.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Slots {
    One,
    Two,
    Many,
}

/// Who makes the secret's bytes.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum MadeBy {
    /// Remint proposes the value: it is sealed before it is sent.
    Remint,
    /// The issuer makes it and can show it again.
    Issuer,
    /// The issuer makes it and shows it once: a lost answer leaves an orphan.
    IssuerOnce,
}

/// What trying a credential costs.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum ProbeCost {
    Free,
    /// A failed try counts somewhere (lock-out, rate limit).
    Counted,
    /// A try changes state: never made without being told.
    Unsafe,
}

/// How a consumer was seen on the new value, strongest first.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum ConfirmGrade {
    /// The issuer saw the consumer use it.
    IssuerSeen,
    /// The consumer reports the fingerprint of the value it uses.
    SelfReported,
    /// The new serial is served on the wire.
    Served,
    /// The roll-out finished.
    RolledOut,
    /// A person says so.
    Attested,
}

/// How the old value is known to be dead, strongest first.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum ProofGrade {
    /// Accepted before, denied after, by the same probe, with the new one accepted as control; at every endpoint, twice.
    Refused,
    /// Denied after, but without the whole control.
    RefusedUncontrolled,
    /// On the issuer's revocation list.
    Published,
    /// The issuer says it is gone.
    Absent,
    /// A person says so.
    Attested,
}

/// What a connector supports, for the settings it was given. Reading it makes no call.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Capabilities {
    /// The verbs that work; all others answer `Unsupported`.
    pub verbs: BTreeSet<Verb>,
    pub issuer: Option<IssuerCapabilities>,
    pub store: Option<StoreCapabilities>,
    pub consumer: Option<ConsumerCapabilities>,
}

impl Capabilities {
    /// True when what is encrypted under a version can be counted and moved, and the version stopped reversibly after.
    #[must_use]
    pub fn can_rewrap(&self) -> bool {
        let verbs = [Verb::ListDerived, Verb::EndDerived, Verb::Disable];
        verbs.iter().all(|verb| self.verbs.contains(verb))
            && self.issuer.as_ref().is_some_and(|issuer| issuer.reversible_disable)
    }
}

#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct IssuerCapabilities {
    pub slots: Slots,
    pub made_by: MadeBy,
    pub probe: ProbeCost,
    /// How long until a change is seen at every endpoint.
    pub propagation: Duration,
    pub strategies: BTreeSet<Strategy>,
    /// Every address where the credential is accepted; the old value must be refused at each.
    pub endpoints: Vec<String>,
    /// The endpoint (an index into `endpoints`) at which `verify` is the same try as `probe`: it accepts a value exactly
    /// when the probe there does. Whoever has asked one need not ask the other. `None`: the two are different tries.
    #[serde(default)]
    pub verifies_at: Option<usize>,
    /// True when `disable` can be undone by `enable`.
    pub reversible_disable: bool,
    /// True when a version dies with the version that minted it.
    pub dies_with_issuer: bool,
    /// API calls of one rotation per strategy, for the ETA: (strategy, calls).
    pub calls: Vec<(Strategy, u32)>,
}

#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[expect(clippy::struct_excessive_bools, reason = "each is one thing that a store does or does not do")]
pub struct StoreCapabilities {
    pub compare_and_set: bool,
    /// `write` only stages; readers see the value after `promote`. When false, `promote` is not called and `write` is seen at once.
    pub staged: bool,
    /// Old versions stay readable until `destroy_version`.
    pub versioned: bool,
    /// What lies there is what the issuer of the same system works with (a database's login in a vault that makes others with
    /// it): it is replaced before it is stopped, in every mode, else nothing could be stopped there.
    #[serde(default)]
    pub own_login: bool,
}

#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct ConsumerCapabilities {
    /// Grades that `observe` can give.
    pub grades: BTreeSet<ConfirmGrade>,
}
