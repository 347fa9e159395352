//! The table of persons: which principals are whose, and who is in which group.
//!
//! ```yaml
//! persons:
//!   alice: {principals: ["unix:1000", "oidc:https://id.example|alice"], groups: [security]}
//! services:
//!   pipeline: {principals: ["token:pipeline"], groups: [ci], owners: [alice]}
//! ```

use std::collections::{BTreeMap, BTreeSet};

use serde::{Deserialize, Serialize};

use crate::approval::{Party, Person};

/// Who is who.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Table {
    #[serde(default)]
    persons: BTreeMap<String, Human>,
    #[serde(default)]
    services: BTreeMap<String, Service>,
    /// Principal → whose it is; filled when it is read.
    #[serde(skip)]
    index: BTreeMap<String, (bool, String)>,
}

#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Human {
    principals: BTreeSet<String>,
    /// The public keys that he signs approvals with.
    #[serde(default, skip_serializing_if = "BTreeSet::is_empty")]
    keys: BTreeSet<String>,
    #[serde(default)]
    groups: BTreeSet<String>,
}

#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Service {
    principals: BTreeSet<String>,
    #[serde(default)]
    groups: BTreeSet<String>,
    /// Who answers for it, and may act through it.
    owners: BTreeSet<String>,
}

/// Why a table is none.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum TableError {
    #[error("the table of persons cannot be read: {0}")]
    Unreadable(String),
    #[error("the principal `{principal}` is of {first} and of {second}; one principal is one party's")]
    Twice { principal: String, first: String, second: String },
    #[error("`{0}` is the name of a person and of a service; choose another")]
    Both(String),
    #[error("the service `{0}` has no owners; name the persons who may act through it")]
    NoOwners(String),
    #[error("the service `{service}` is owned by `{owner}`, who is no person of this table")]
    UnknownOwner { service: String, owner: String },
    #[error(
        "`{group}` in the groups of `{of}` is a person, a service or another form of one; a group holds persons, no groups"
    )]
    Nested { group: String, of: String },
    #[error("`{0}` is no principal: write KIND:NAME, like unix:1000 or oidc:ISSUER|SUBJECT")]
    Form(String),
    #[error("the table has {0} persons; where hands have to differ it takes two at least")]
    TooFew(usize),
}

impl Table {
    /// Reads a table.
    ///
    /// # Errors
    /// It cannot be read, or leaves open who is who.
    pub fn parse(text: &str) -> Result<Self, TableError> {
        let mut table: Self = serde_yaml::from_str(text).map_err(|error| TableError::Unreadable(error.to_string()))?;
        table.fill()?;
        Ok(table)
    }

    fn fill(&mut self) -> Result<(), TableError> {
        let mut index: BTreeMap<String, (bool, String)> = BTreeMap::new();
        let persons = self.persons.iter().map(|(name, human)| (true, name, &human.principals, &human.groups));
        let services = self.services.iter().map(|(name, one)| (false, name, &one.principals, &one.groups));
        for (human, name, principals, groups) in persons.chain(services) {
            for principal in principals {
                let form = principal.split_once(':').is_some_and(|(kind, name)| !kind.is_empty() && !name.is_empty());
                if !form || principal.chars().any(char::is_control) {
                    return Err(TableError::Form(principal.clone()));
                }
                if let Some((_, first)) = index.insert(principal.clone(), (human, name.clone())) {
                    return Err(TableError::Twice { principal: principal.clone(), first, second: name.clone() });
                }
            }
            let named = |group: &&String| {
                self.persons.contains_key(*group) || self.services.contains_key(*group) || group.contains([':', '/'])
            };
            if let Some(group) = groups.iter().find(named) {
                return Err(TableError::Nested { group: group.clone(), of: name.clone() });
            }
        }
        for (name, service) in &self.services {
            if self.persons.contains_key(name) {
                return Err(TableError::Both(name.clone()));
            }
            if service.owners.is_empty() {
                return Err(TableError::NoOwners(name.clone()));
            }
            if let Some(owner) = service.owners.iter().find(|owner| !self.persons.contains_key(*owner)) {
                return Err(TableError::UnknownOwner { service: name.clone(), owner: owner.clone() });
            }
        }
        if self.persons.len() < 2 {
            return Err(TableError::TooFew(self.persons.len()));
        }
        self.index = index;
        Ok(())
    }

    /// Whose principal this is.
    #[must_use]
    pub fn party(&self, principal: &str) -> Party {
        let principal_text = principal.to_owned();
        match self.index.get(principal) {
            Some((true, name)) => Party::Person { principal: principal_text, person: Person(name.clone()) },
            Some((false, name)) => {
                let owners = self.services.get(name).map(|service| &service.owners);
                let owners = owners.into_iter().flatten().map(|owner| Person(owner.clone())).collect();
                Party::Service { principal: principal_text, name: name.clone(), owners }
            }
            None => Party::Unmapped { principal: principal_text },
        }
    }

    /// The groups that a party is in. Nobody knows of an unmapped one that it is in any.
    #[must_use]
    pub fn groups(&self, party: &Party) -> BTreeSet<String> {
        match party {
            Party::Person { person, .. } => self.persons.get(&person.0).map(|human| human.groups.clone()),
            Party::Service { name, .. } => self.services.get(name).map(|service| service.groups.clone()),
            Party::Unmapped { .. } => None,
        }
        .unwrap_or_default()
    }

    /// The public keys that a person signs with.
    #[must_use]
    pub fn keys(&self, person: &Person) -> BTreeSet<String> {
        self.persons.get(&person.0).map(|human| human.keys.clone()).unwrap_or_default()
    }

    /// Every person's name.
    pub fn persons(&self) -> impl Iterator<Item = Person> + '_ {
        self.persons.keys().map(|name| Person(name.clone()))
    }
}
