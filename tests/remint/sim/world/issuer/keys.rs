//! What some issuers do beside making versions: leases for whoever asks, keys that sign what their endpoints verify, and
//! keys that data are encrypted under.

use std::time::Duration;

use remint_contract::{ErrorKind, Material, SecretValue};

use super::{Issuer, Life};
use crate::sim::connector::Issues;
use crate::sim::world::No;

/// How many things one call encrypts anew.
const PART: usize = 2;

/// How many things are encrypted under a key when the world begins.
const THINGS: usize = 3;

/// A value of a version that somebody fetched.
#[derive(Clone)]
pub(crate) struct Lease {
    pub(super) version: String,
    pub(super) token: SecretValue,
    pub(super) operation: Option<String>,
    ended: bool,
}

impl Issuer {
    /// The first version of a target signs or encrypts from the beginning.
    pub(super) fn begin(&mut self, target: &str, id: &str) {
        if self.issues.activates() {
            self.primary.insert(target.to_owned(), id.to_owned());
        }
        if self.issues == Issues::Encryption {
            (0..THINGS).for_each(|_| self.encrypt(target));
        }
    }

    /// The version that signs or encrypts.
    pub(crate) fn in_use(&self, target: &str) -> Option<&str> {
        self.primary.get(target).map(String::as_str)
    }

    /// From now on this version signs or encrypts. A request that is late brings none back that another one came after.
    pub(crate) fn activate(&mut self, actor: Option<&Material>, target: &str, id: &str) -> Result<(), No> {
        self.allow(actor, Some(target))?;
        let version = self.versions.get(id).filter(|version| version.target == target);
        let version = version.ok_or((ErrorKind::Missing, "there is no such version"))?;
        if version.life != Life::Live {
            return Err((ErrorKind::Conflict, "it is stopped"));
        }
        if self.in_use(target).is_some_and(|other| number(other) > number(id)) {
            return Err((ErrorKind::Conflict, "a later version is in use"));
        }
        self.primary.insert(target.to_owned(), id.to_owned());
        // Somebody goes on working meanwhile.
        self.encrypt(target);
        Ok(())
    }

    /// Something more is encrypted under the version in use.
    pub(crate) fn encrypt(&mut self, target: &str) {
        if self.issues == Issues::Encryption
            && let Some(id) = self.in_use(target).filter(|id| self.lives(id)).map(str::to_owned)
        {
            let next = self.things.len() as u64;
            self.things.insert(next, id);
        }
    }

    /// How many things are under a version.
    pub(crate) fn encrypted_under(&self, id: &str) -> usize {
        self.things.values().filter(|under| *under == id).count()
    }

    /// Things that nobody can read now, and keys in use that are dead, in words.
    pub(crate) fn unreadable(&self) -> Vec<String> {
        if self.issues != Issues::Encryption {
            return Vec::new();
        }
        let things = self.things.iter().filter(|(_, id)| !self.lives(id));
        let things = things.map(|(thing, id)| format!("thing {thing} under {id} cannot be read"));
        let used =
            self.primary.values().filter(|id| !self.lives(id)).map(|id| format!("{id} encrypts, and is stopped"));
        things.chain(used).collect()
    }

    /// How many things are under a version; `again` encrypts a part of them under the one in use.
    pub(super) fn under(&mut self, id: &str, again: bool) -> Result<u32, No> {
        let version = self.versions.get(id).ok_or((ErrorKind::Missing, "there is no such version"))?;
        let target = version.target.clone();
        let mut mine: Vec<u64> =
            self.things.iter().filter(|(_, under)| *under == id).map(|(thing, _)| *thing).collect();
        if again {
            // What is under a stopped key can be read by nobody, so it cannot be moved.
            if !self.lives(id) {
                return Err((ErrorKind::Conflict, "it decrypts nothing"));
            }
            let to = self.in_use(&target).ok_or((ErrorKind::Missing, "no version encrypts"))?.to_owned();
            mine.truncate(if to == id { 0 } else { PART });
            for thing in &mine {
                self.things.insert(*thing, to.clone());
            }
        }
        Ok(u32::try_from(mine.len()).unwrap_or(u32::MAX))
    }

    /// A value of the youngest version that lives.
    pub(crate) fn lease(
        &mut self,
        target: &str,
        token: SecretValue,
        operation: Option<&str>,
    ) -> Result<(String, Material), No> {
        if let Some(operation) = operation
            && let Some(known) = self.find(operation, None)
        {
            return Ok(known);
        }
        let version = self.lent_from(target).ok_or((ErrorKind::Denied, "nothing is lent now"))?.to_owned();
        let operation = operation.map(str::to_owned);
        self.leases.push(Lease { version: version.clone(), token: token.clone(), operation, ended: false });
        Ok((version, Material::of(token)))
    }

    /// The youngest version that lives.
    fn lent_from(&self, target: &str) -> Option<&str> {
        let living = self.living(target).into_iter().filter(|id| self.lives(id));
        living.max_by_key(|id| number(id))
    }

    /// Would somebody who asks be lent a value?
    pub(crate) fn lends(&self, target: &str) -> bool {
        self.lent_from(target).is_some()
    }

    /// A lease for a consumer.
    pub(crate) fn fetch(&mut self, target: &str) -> Option<Material> {
        let token = SecretValue::from(format!("lease-{target}-{:08}", self.leases.len()));
        self.lease(target, token, None).ok().map(|(_, material)| material)
    }

    /// The version that a lease is of, when it is accepted.
    pub(super) fn leased(&self, token: &SecretValue, at: Duration) -> Option<&str> {
        let found = self.leases.iter().find(|lease| !lease.ended && lease.token == *token);
        found.map(|lease| lease.version.as_str()).filter(|id| self.lives_at(id, at))
    }

    /// The version that a lease is of, whether it is accepted or not.
    pub(crate) fn lease_of(&self, token: &SecretValue) -> Option<&str> {
        self.leases.iter().find(|lease| lease.token == *token).map(|lease| lease.version.as_str())
    }

    /// How many leases of a version run; `end` ends them.
    pub(super) fn lent(&mut self, id: &str, end: bool) -> Result<u32, No> {
        if !self.versions.contains_key(id) {
            return Err((ErrorKind::Missing, "there is no such version"));
        }
        let mut count = 0;
        for lease in self.leases.iter_mut().filter(|lease| lease.version == id && !lease.ended) {
            count += 1;
            lease.ended |= end;
        }
        Ok(count)
    }

    /// How many leases of a version run.
    pub(crate) fn running(&self, id: &str) -> usize {
        self.leases.iter().filter(|lease| lease.version == id && !lease.ended).count()
    }
}

/// Versions are numbered in the order in which they are made.
fn number(id: &str) -> Option<u64> {
    id.rsplit('@').next()?.parse().ok()
}
