//! Who acts: a principal, and the persons that stand behind it.

use std::collections::BTreeSet;
use std::fmt;

use serde::{Deserialize, Serialize};

/// A human being, by the name that the table of persons gives.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Person(pub String);

impl fmt::Display for Person {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// A verified principal, and what the table of persons says of it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Party {
    /// A person, through one of his principals.
    Person { principal: String, person: Person },
    /// A program; whoever answers for it may act through it.
    Service { principal: String, name: String, owners: BTreeSet<Person> },
    /// Nobody knows whose it is.
    Unmapped { principal: String },
}

impl Party {
    /// The name that it was verified under.
    #[must_use]
    pub fn principal(&self) -> &str {
        match self {
            Self::Person { principal, .. } | Self::Service { principal, .. } | Self::Unmapped { principal } => {
                principal
            }
        }
    }

    /// The person, where it is one.
    #[must_use]
    pub const fn person(&self) -> Option<&Person> {
        match self {
            Self::Person { person, .. } => Some(person),
            Self::Service { .. } | Self::Unmapped { .. } => None,
        }
    }

    /// True when this person may stand behind it; what nobody knows may be anybody.
    #[must_use]
    pub fn may_be(&self, person: &Person) -> bool {
        match self {
            Self::Person { person: own, .. } => own == person,
            Self::Service { owners, .. } => owners.contains(person),
            Self::Unmapped { .. } => true,
        }
    }

    /// True when one person may stand behind both.
    #[must_use]
    pub fn overlaps(&self, other: &Self) -> bool {
        match (self, other) {
            (Self::Unmapped { .. }, _) | (_, Self::Unmapped { .. }) => true,
            (Self::Person { person, .. }, other) | (other, Self::Person { person, .. }) => other.may_be(person),
            (Self::Service { owners, .. }, Self::Service { owners: others, .. }) => !owners.is_disjoint(others),
        }
    }
}

impl fmt::Display for Party {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Person { principal, person } => write!(f, "{person} ({principal})"),
            Self::Service { principal, name, .. } => write!(f, "service {name} ({principal})"),
            Self::Unmapped { principal } => f.write_str(principal),
        }
    }
}

/// Who carries out what was approved.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Executor {
    /// The daemon: no person has a hand in it.
    #[default]
    Remint,
    /// Whoever runs the command line alone.
    By(Party),
}
