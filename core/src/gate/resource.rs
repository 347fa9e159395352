//! What something is done to.

use std::collections::BTreeSet;
use std::fmt;

use remint_contract::Ref;
use serde::{Deserialize, Serialize};

use crate::approval::Person;
use crate::estate::{ClassOfIdentity, Estate, Tier};
use crate::plan::Plan;
use crate::step::Path;

/// A thing that policies speak of.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Resource {
    Reset(Scope),
    Credential(Scope),
    /// The documents as a whole.
    Estate,
    /// Where the state is kept.
    Store,
    /// The policies and the table of persons.
    Policy,
    Node(String),
    Keys,
    Log,
}

/// What is in it: of a reset all its credentials, of a credential itself.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct Scope {
    pub id: String,
    pub tiers: BTreeSet<Tier>,
    pub classes: BTreeSet<ClassOfIdentity>,
    pub namespaces: BTreeSet<String>,
    pub environments: BTreeSet<String>,
    /// Something is stopped before it is replaced.
    pub contains: bool,
    /// Who asked for it, where somebody did.
    pub requester: Option<Person>,
}

impl Scope {
    /// Of a reset with this plan.
    #[must_use]
    pub fn of_plan(id: &str, plan: &Plan, estate: &Estate, requester: Option<Person>) -> Self {
        let mut scope = Self { id: id.to_owned(), requester, ..Self::default() };
        for member in &plan.members {
            scope.add(estate, &member.credential);
        }
        for exception in &plan.exceptions {
            scope.add(estate, exception);
        }
        scope.contains = plan.members.iter().any(|member| member.path == Path::Contain);
        scope
    }

    /// Of these credentials, as those of a reset.
    #[must_use]
    pub fn of_credentials<'c>(
        id: &str,
        credentials: impl Iterator<Item = &'c Ref>,
        estate: &Estate,
        requester: Option<Person>,
    ) -> Self {
        let mut scope = Self { id: id.to_owned(), requester, ..Self::default() };
        credentials.for_each(|credential| scope.add(estate, credential));
        scope
    }

    /// Of one credential.
    #[must_use]
    pub fn of_credential(credential: &Ref, estate: &Estate) -> Self {
        let mut scope = Self { id: credential.to_string(), ..Self::default() };
        scope.add(estate, credential);
        scope
    }

    fn add(&mut self, estate: &Estate, credential: &Ref) {
        if !self.namespaces.contains(credential.namespace.as_str()) {
            self.namespaces.insert(credential.namespace.as_str().to_owned());
        }
        let identity = estate.credentials.get(credential).and_then(|known| estate.identities.get(&known.identity));
        // What nobody knows is treated as the most that it can be.
        self.tiers.insert(identity.map_or(Tier::Privileged, |identity| identity.tier));
        let Some(identity) = identity else { return };
        self.classes.insert(identity.class);
        if let Some(environment) = &identity.environment
            && !self.environments.contains(environment)
        {
            self.environments.insert(environment.clone());
        }
    }
}

impl Resource {
    /// The kind's word.
    #[must_use]
    pub const fn kind(&self) -> &'static str {
        match self {
            Self::Reset(_) => "Reset",
            Self::Credential(_) => "Credential",
            Self::Estate => "Estate",
            Self::Store => "Store",
            Self::Policy => "Policy",
            Self::Node(_) => "Node",
            Self::Keys => "Keys",
            Self::Log => "Log",
        }
    }

    /// Which one of its kind.
    #[must_use]
    pub fn id(&self) -> &str {
        match self {
            Self::Reset(scope) | Self::Credential(scope) => &scope.id,
            Self::Node(node) => node,
            Self::Estate | Self::Store | Self::Policy | Self::Keys | Self::Log => "this",
        }
    }
}

impl fmt::Display for Resource {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Reset(scope) => write!(f, "reset {}", scope.id),
            Self::Credential(scope) => f.write_str(&scope.id),
            Self::Node(node) => f.write_str(node),
            Self::Estate => f.write_str("the estate"),
            Self::Store => f.write_str("the store"),
            Self::Policy => f.write_str("the policies"),
            Self::Keys => f.write_str("the keys"),
            Self::Log => f.write_str("the log"),
        }
    }
}
