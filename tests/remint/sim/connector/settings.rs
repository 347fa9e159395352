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
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) enum Role {
    Issuer,
    Store,
    Floor,
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
        if self.staged {
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
                propagation: Duration::ZERO,
                strategies: [Strategy::Overlap, Strategy::Alternate, Strategy::InPlace].into(),
                endpoints: vec![format!("sim://{}", self.name)],
                reversible_disable: true,
                dies_with_issuer: false,
                calls: vec![(Strategy::Overlap, 12)],
            }),
            store: (self.role == Role::Store).then_some(StoreCapabilities {
                compare_and_set: self.compares,
                staged: self.staged,
                versioned: self.versioned,
            }),
            consumer: (self.role == Role::Floor)
                .then(|| ConsumerCapabilities { grades: [ConfirmGrade::SelfReported].into() }),
        }
    }
}
