//! What a reset is asked to do, and why a plan can be refused.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt;
use std::str::FromStr;

use jiff::Timestamp;
use remint_contract::{Location, Ref};

use crate::estate::{Credential, Estate, Tier};

use super::{Node, Occasion};

/// What is asked. [`Request::new`] fills the rest with what is safe.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Request {
    /// The compromised nodes.
    pub from: Vec<Node>,
    /// What is killed first and replaced after; its clean consumers accept the outage.
    pub contain: Option<Selector>,
    /// Killed first whatever the selector says, and replaced first whatever it says: what a revision keeps.
    pub stop: BTreeSet<Ref>,
    pub roll: BTreeSet<Ref>,
    /// Nodes attested or probed clean.
    pub clean: BTreeSet<Node>,
    /// Credentials approved to stay as they are.
    pub exceptions: BTreeSet<Ref>,
    /// Only with a deadline is a value ever exposed.
    pub deadline: Option<Timestamp>,
    /// Destinations as of the last settled rotation; a credential without an entry has only new ones.
    pub known_destinations: BTreeMap<Ref, BTreeSet<Location>>,
    /// An incident skips the hold.
    pub incident: bool,
    pub canary: usize,
    pub growth: usize,
    pub failure_budget: usize,
    /// An opening of a window: exactly what is named is replaced.
    pub occasion: Option<Occasion>,
}

impl Request {
    /// An incident that starts at `from`.
    #[must_use]
    pub fn new(from: Vec<Node>) -> Self {
        Self {
            from,
            contain: None,
            stop: BTreeSet::new(),
            roll: BTreeSet::new(),
            clean: BTreeSet::new(),
            exceptions: BTreeSet::new(),
            deadline: None,
            known_destinations: BTreeMap::new(),
            incident: true,
            canary: 1,
            growth: 4,
            failure_budget: 0,
            occasion: None,
        }
    }
}

/// `*`, or `key=value` joined by commas, all of which must hold: `identity`, `tier`, `name`, `kind`, or a label.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Selector(Vec<(String, String)>);

#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("`{0}` is not a selector: write `*`, or key=value joined by commas, like identity=ci,tier=privileged")]
pub struct SelectorError(String);

impl FromStr for Selector {
    type Err = SelectorError;

    fn from_str(text: &str) -> Result<Self, SelectorError> {
        if text == "*" {
            return Ok(Self(Vec::new()));
        }
        text.split(',')
            .map(|part| {
                part.split_once('=')
                    .map(|(key, value)| (key.trim().to_owned(), value.trim().to_owned()))
                    .filter(|(key, value)| !key.is_empty() && !value.is_empty())
                    .ok_or_else(|| SelectorError(text.chars().take(80).collect()))
            })
            .collect::<Result<_, _>>()
            .map(Self)
    }
}

impl Selector {
    /// True when every term holds for the credential.
    #[must_use]
    pub fn matches(&self, estate: &Estate, credential: &Credential) -> bool {
        self.0.iter().all(|(key, value)| match key.as_str() {
            "identity" => credential.identity.name.as_str() == value,
            "name" => credential.meta.name.as_str() == value,
            "kind" => credential.kind == *value,
            "tier" => estate.identities.get(&credential.identity).is_some_and(|identity| {
                value == if identity.tier == Tier::Privileged { "privileged" } else { "standard" }
            }),
            label => credential.meta.labels.get(label) == Some(value),
        })
    }
}

impl From<&BTreeMap<String, String>> for Selector {
    fn from(pairs: &BTreeMap<String, String>) -> Self {
        Self(pairs.iter().map(|(key, value)| (key.clone(), value.clone())).collect())
    }
}

impl fmt::Display for Selector {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.0.is_empty() {
            return f.write_str("*");
        }
        for (index, (key, value)) in self.0.iter().enumerate() {
            write!(f, "{}{key}={value}", if index == 0 { "" } else { "," })?;
        }
        Ok(())
    }
}

/// Why there is no plan. Each sentence names the thing and what to do next.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Refusal {
    #[error("{0} is not in the estate: check the name with `remint graph`, or add the document first")]
    UnknownStart(Node),
    #[error(
        "{credential} cannot roll: its issuer keeps one version and shows it once, so a lost answer would leave nobody with a value. Add a second path to mint it, or name it in --contain"
    )]
    OneSlotShownOnce { credential: Ref },
    #[error(
        "{credential} is replaced in place, which leaves its consumers without a working value for a while: write `outage:` with a bound into its rotation, or choose another strategy"
    )]
    InPlaceWithoutOutage { credential: Ref },
    #[error(
        "{credential} is Remint's only access to {system} and has no place where its new value can be written: add a destination to `deliveredTo` that no dirty node can read"
    )]
    LastAccess { credential: Ref, system: Ref },
    #[error(
        "{credential} is Remint's only access to {system}, and only through itself could it be minted again: its issuer keeps one version, so a lost answer would lock Remint out. Add a second credential that may mint it, as `issuedBy.by`"
    )]
    OnlyWay { credential: Ref, system: Ref },
    #[error("{credential} dies with a credential that dies with it in turn: correct `issuedBy.by` of one of them")]
    DiesWithItself { credential: Ref },
    #[error(
        "the scope would change: what is reached by now is not what the reset was asked for. Ask for another reset of what was added; it takes over, joins or queues"
    )]
    OtherScope,
    #[error("the order of {} has a cycle that no cut ends: except one of them with --except, and plan again", names(.0))]
    Uncuttable(Vec<Ref>),
}

fn names(refs: &[Ref]) -> String {
    refs.iter().map(ToString::to_string).collect::<Vec<_>>().join(", ")
}
