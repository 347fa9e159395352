//! What a System document says below `sim:`, and what such a system can do.

use std::collections::BTreeSet;
use std::time::Duration;

use remint_contract::{
    Capabilities, ConfirmGrade, ConsumerCapabilities, IssuerCapabilities, MadeBy, ProbeCost, Slots, StoreCapabilities,
    Strategy, Verb,
};
use serde::{Deserialize, Serialize};

/// What a System document says below `sim:`.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub(crate) struct Settings {
    pub(crate) name: String,
    pub(crate) role: Role,
    #[serde(default = "many")]
    pub(crate) slots: Slots,
    #[serde(default = "by_remint")]
    pub(crate) made_by: MadeBy,
    #[serde(default)]
    pub(crate) staged: bool,
    #[serde(default)]
    pub(crate) versioned: bool,
    #[serde(default)]
    pub(crate) compares: bool,
    #[serde(default)]
    pub(crate) issues: Issues,
    /// How long until its last endpoint, or its readers, see a change, in milliseconds.
    #[serde(default)]
    pub(crate) lag: u64,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) enum Role {
    Issuer,
    Store,
    Floor,
}

/// What an issuer issues.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
pub(crate) enum Issues {
    /// Values that are shown to get in.
    #[default]
    Logins,
    /// Values that consumers fetch by themselves.
    Leases,
    /// Keys that sign, known to its two endpoints by itself.
    Signing,
    /// Keys that sign, known to whom a bundle tells of them.
    Bundled,
    /// Keys that data are encrypted under.
    Encryption,
}

impl Issues {
    /// Is a version activated at the issuer, so that all is signed or encrypted with it from then on?
    pub(crate) const fn activates(self) -> bool {
        matches!(self, Self::Signing | Self::Encryption)
    }

    pub(crate) const fn endpoints(self) -> usize {
        if matches!(self, Self::Signing) { 2 } else { 1 }
    }

    fn strategies(self) -> BTreeSet<Strategy> {
        match self {
            Self::Logins => [Strategy::Overlap, Strategy::Alternate, Strategy::InPlace].into(),
            Self::Leases => [Strategy::Ephemeral].into(),
            Self::Signing | Self::Bundled => [Strategy::DualTrust].into(),
            Self::Encryption => [Strategy::Overlap].into(),
        }
    }
}

const fn many() -> Slots {
    Slots::Many
}

const fn by_remint() -> MadeBy {
    MadeBy::Remint
}

impl Settings {
    pub(super) fn describe(&self) -> Capabilities {
        use Verb::{
            Check, CompareRights, DestroyVersion, Disable, Enable, EndDerived, Enumerate, LastUsed, ListDerived, Mint,
            Observe, Probe, Promote, Read, Recover, Reload, Revoke, Verify, Versions, Write,
        };
        let mut verbs: BTreeSet<Verb> = match self.role {
            Role::Issuer => [
                Check,
                Mint,
                Verify,
                CompareRights,
                Disable,
                Enable,
                Revoke,
                ListDerived,
                EndDerived,
                Probe,
                Enumerate,
                LastUsed,
                Recover,
            ]
            .into(),
            Role::Store => [Check, Write, Read, Recover].into(),
            Role::Floor => [Check, Reload, Observe, Recover].into(),
        };
        if self.staged || self.role == Role::Issuer && self.issues.activates() {
            verbs.insert(Promote);
        }
        if self.versioned {
            verbs.extend([Versions, DestroyVersion]);
        }
        Capabilities {
            verbs,
            issuer: (self.role == Role::Issuer).then(|| IssuerCapabilities {
                verifies_at: None,
                slots: self.slots,
                made_by: self.made_by,
                probe: ProbeCost::Free,
                propagation: Duration::from_millis(self.lag),
                strategies: self.issues.strategies(),
                endpoints: (0..self.issues.endpoints()).map(|at| format!("sim://{}/{at}", self.name)).collect(),
                reversible_disable: true,
                dies_with_issuer: false,
                calls: vec![(Strategy::Overlap, 12)],
            }),
            store: (self.role == Role::Store).then_some(StoreCapabilities {
                compare_and_set: self.compares,
                staged: self.staged,
                versioned: self.versioned,
                own_login: false,
            }),
            consumer: (self.role == Role::Floor)
                .then(|| ConsumerCapabilities { grades: [ConfirmGrade::SelfReported].into() }),
        }
    }
}
