//! What a credential's rotation takes, merged from every policy that matches.

use std::collections::BTreeSet;
use std::time::Duration;

use remint_contract::{ConfirmGrade, Name, ProofGrade, Ref};
use serde::{Deserialize, Serialize};

use crate::digest::is_default;
use crate::estate::{ApprovalPolicy, Estate, Identity, Tier};

/// Two hands that must not be of one person.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Separate {
    RequesterApprover,
    ApproverExecutor,
    RequesterExecutor,
}

impl Separate {
    /// All of them: the strict default.
    pub const ALL: [Self; 3] = [Self::RequesterApprover, Self::ApproverExecutor, Self::RequesterExecutor];
}

/// What it takes to rotate one credential.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Obligations {
    /// So many different persons.
    pub approvals: u32,
    /// Groups, each of which at least one of the approvers must be in.
    #[serde(default, skip_serializing_if = "is_default")]
    pub roles: BTreeSet<String>,
    #[serde(default, skip_serializing_if = "is_default")]
    pub separate: BTreeSet<Separate>,
    /// How long ago an approver may have proven who he is, when he signs.
    #[serde(default, skip_serializing_if = "is_default")]
    pub step_up: Option<Duration>,
    /// How long a signature counts.
    pub expires: Duration,
    /// Between the last signature that was needed and the first effect.
    #[serde(default, skip_serializing_if = "is_default")]
    pub cool_down: Duration,
    /// Members of the first wave, at most.
    #[serde(default, skip_serializing_if = "is_default")]
    pub canary: Option<usize>,
    #[serde(default, skip_serializing_if = "is_default")]
    pub least_confirm: Option<ConfirmGrade>,
    #[serde(default, skip_serializing_if = "is_default")]
    pub least_proof: Option<ProofGrade>,
    /// Of a privileged identity: only persons that the table knows may approve.
    #[serde(default, skip_serializing_if = "is_default")]
    pub privileged: bool,
}

impl Obligations {
    /// How long a signature counts where nothing is said.
    pub const EXPIRES: Duration = Duration::from_hours(8);

    /// What holds where no policy matches.
    #[must_use]
    pub fn strict() -> Self {
        Self {
            approvals: 2,
            roles: BTreeSet::new(),
            separate: Separate::ALL.into(),
            step_up: Some(Duration::from_mins(15)),
            expires: Duration::from_hours(1),
            cool_down: Duration::ZERO,
            canary: Some(1),
            least_confirm: Some(ConfirmGrade::Served),
            least_proof: Some(ProofGrade::Refused),
            privileged: false,
        }
    }

    /// The stricter value of each field.
    #[must_use]
    pub fn and(&self, other: &Self) -> Self {
        Self {
            approvals: self.approvals.max(other.approvals),
            roles: self.roles.union(&other.roles).cloned().collect(),
            separate: self.separate.union(&other.separate).copied().collect(),
            step_up: least(self.step_up, other.step_up),
            expires: self.expires.min(other.expires),
            cool_down: self.cool_down.max(other.cool_down),
            canary: least(self.canary, other.canary),
            least_confirm: least(self.least_confirm, other.least_confirm),
            least_proof: least(self.least_proof, other.least_proof),
            privileged: self.privileged || other.privileged,
        }
    }

    /// Of a credential, by every policy of this estate that matches its identity. A credential that the estate does not
    /// know has the strict default, as if it were privileged.
    #[must_use]
    pub fn of(estate: &Estate, credential: &Ref) -> Self {
        let identity = estate.credentials.get(credential).and_then(|known| estate.identities.get(&known.identity));
        let Some(identity) = identity else { return Self { privileged: true, ..Self::strict() } };
        Self::of_identity(estate, &credential.namespace, identity)
    }

    /// Of the credentials of an identity in a namespace.
    #[must_use]
    pub fn of_identity(estate: &Estate, namespace: &Name, identity: &Identity) -> Self {
        let merged = Self::matching(estate, namespace, identity).unwrap_or_else(Self::strict);
        Self { privileged: identity.tier == Tier::Privileged, ..merged }
    }

    /// What the policies of this estate say of it; `None`: none does.
    pub(crate) fn matching(estate: &Estate, namespace: &Name, identity: &Identity) -> Option<Self> {
        let matching = estate.approvals.values().filter(|policy| policy.covers(namespace, identity));
        matching.map(|policy| policy.require.clone()).reduce(|all, one| all.and(&one))
    }

    /// What these two estates say, whichever is stricter: a policy that was relaxed for an hour relaxes nothing.
    #[must_use]
    pub fn of_both(planned: &Estate, active: &Estate, credential: &Ref) -> Self {
        let then = Self::of(planned, credential);
        // What is no longer in the active estate has drifted, and parks for that.
        if active.credentials.contains_key(credential) { then.and(&Self::of(active, credential)) } else { then }
    }
}

impl ApprovalPolicy {
    /// True when it has a say about the credentials of this identity in this namespace. A policy of the default namespace
    /// has a say in every one.
    #[must_use]
    pub fn covers(&self, namespace: &Name, identity: &Identity) -> bool {
        let select = &self.select;
        let here = self.meta.namespace == *namespace || self.meta.namespace == Name::default_namespace();
        let environment = |named: &String| identity.environment.as_ref() == Some(named);
        here && (select.classes.is_empty() || select.classes.contains(&identity.class))
            && (select.tiers.is_empty() || select.tiers.contains(&identity.tier))
            && (select.environments.is_empty() || select.environments.iter().any(environment))
    }
}

/// The smaller of what is said: shorter times and stronger grades are smaller.
fn least<T: Ord>(one: Option<T>, other: Option<T>) -> Option<T> {
    match (one, other) {
        (Some(one), Some(other)) => Some(one.min(other)),
        (one, other) => one.or(other),
    }
}
