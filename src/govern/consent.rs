//! What waits for a second person: a charter, or a change of the estate that touches what protects it.

use jiff::Timestamp;
use remint_core::approval::Party;
use remint_core::digest::Digest;
use serde::{Deserialize, Serialize};

/// A proposal, and who stands for it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Consent {
    /// Of what is proposed.
    pub digest: Digest,
    /// Of what was active when it was proposed; another one voids it.
    pub under: Option<Digest>,
    pub by: Vec<Party>,
    pub at: Timestamp,
}

/// So many persons: one proposes, another consents.
const PERSONS: usize = 2;

impl Consent {
    /// Somebody proposes.
    #[must_use]
    pub fn propose(digest: Digest, under: Option<Digest>, by: Party, at: Timestamp) -> Self {
        Self { digest, under, by: vec![by], at }
    }

    /// One more stands for it. A person who does so twice, through whichever principal, is one.
    #[must_use]
    pub fn and(mut self, by: Party) -> Self {
        if !self.by.iter().any(|known| known.overlaps(&by)) {
            self.by.push(by);
        }
        self
    }

    /// True when enough different persons stand for it. Only persons count: a program consents to nothing.
    #[must_use]
    pub fn given(&self) -> bool {
        let mut persons: Vec<_> = self.by.iter().filter_map(Party::person).collect();
        persons.sort_unstable();
        persons.dedup();
        persons.len() >= PERSONS
    }
}

#[cfg(test)]
mod tests {
    use remint_core::approval::Person;

    use super::*;

    fn person(name: &str, principal: &str) -> Party {
        Party::Person { principal: principal.to_owned(), person: Person(name.to_owned()) }
    }

    #[test]
    fn two_principals_of_one_person_a_program_and_nobody_are_no_second_person() {
        let proposed = Consent::propose(Digest::of(b"x"), None, person("alice", "unix:1"), Timestamp::UNIX_EPOCH);
        let owners = [Person("bob".into())].into();
        for other in [
            person("alice", "oidc:alice"),
            Party::Unmapped { principal: "oidc:who".into() },
            Party::Service { principal: "token:ci".into(), name: "ci".into(), owners },
        ] {
            assert!(!proposed.clone().and(other).given());
        }
        assert!(proposed.and(person("bob", "unix:2")).given());
    }
}
