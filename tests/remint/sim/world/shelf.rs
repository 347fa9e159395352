//! A store of values: what is staged, what readers see, and what can still be read.

use std::collections::BTreeMap;
use std::time::Duration;

use remint_contract::{ErrorKind, SecretValue};

use super::No;

pub(crate) type Fields = BTreeMap<String, SecretValue>;

#[derive(Default, Clone)]
#[expect(clippy::struct_excessive_bools, reason = "each is a thing that a store can do or not")]
pub(crate) struct Shelf {
    pub(crate) staged: bool,
    pub(crate) versioned: bool,
    /// Holds a write to the version that it expects.
    pub(crate) compares: bool,
    /// Remembers operations, so that one that is repeated writes once.
    pub(crate) remembers: bool,
    pub(crate) deadlines: bool,
    /// How long until readers see what was written; who writes sees it at once.
    pub(crate) lag: Duration,
    /// The world's time.
    pub(crate) now: Duration,
    places: BTreeMap<String, Place>,
    operations: BTreeMap<String, u64>,
}

#[derive(Default, Clone)]
struct Place {
    staged: BTreeMap<u64, Fields>,
    versions: BTreeMap<u64, Fields>,
    current: Option<u64>,
    next: u64,
    /// What readers see, each until when.
    was: Vec<(Duration, Fields)>,
}

impl Shelf {
    /// As if it had always been there.
    pub(crate) fn put(&mut self, path: &str, fields: Fields) {
        let place = self.places.entry(path.to_owned()).or_default();
        place.next += 1;
        place.versions = BTreeMap::from([(place.next, fields)]);
        place.current = Some(place.next);
    }

    pub(crate) fn write(
        &mut self,
        path: &str,
        fields: &Fields,
        expect: Option<&str>,
        operation: &str,
    ) -> Result<u64, No> {
        if let Some(version) = self.operations.get(operation).filter(|_| self.remembers) {
            return Ok(*version);
        }
        let place = self.places.entry(path.to_owned()).or_default();
        if self.compares && expect.is_some_and(|expect| expect != place.current.unwrap_or(0).to_string()) {
            return Err((ErrorKind::Conflict, "another version is current"));
        }
        place.next += 1;
        let version = place.next;
        place.staged.insert(version, fields.clone());
        if self.remembers {
            self.operations.insert(operation.to_owned(), version);
        }
        if !self.staged {
            self.promote(path, &version.to_string())?;
        }
        Ok(version)
    }

    pub(crate) fn promote(&mut self, path: &str, version: &str) -> Result<(), No> {
        let missing = (ErrorKind::Missing, "there is no such version at this path");
        let place = self.places.get_mut(path).ok_or(missing)?;
        let version: u64 = version.parse().map_err(|_| missing)?;
        if place.versions.contains_key(&version) {
            let same = place.current == Some(version);
            return if same { Ok(()) } else { Err((ErrorKind::Conflict, "a later version is current")) };
        }
        let fields = place.staged.remove(&version).ok_or(missing)?;
        // What was staged before and touches the same fields would bring an old value back.
        place.staged.retain(|&other, staged| other > version || !staged.keys().any(|field| fields.contains_key(field)));
        if self.lag > Duration::ZERO
            && let Some(fields) = place.current.and_then(|current| place.versions.get(&current))
        {
            place.was.push((self.now + self.lag, fields.clone()));
        }
        let mut merged = place.current.and_then(|current| place.versions.get(&current)).cloned().unwrap_or_default();
        merged.extend(fields);
        if !self.versioned {
            place.versions.clear();
        }
        place.versions.insert(version, merged);
        place.current = Some(version);
        Ok(())
    }

    pub(crate) fn read(&self, path: &str) -> Option<(u64, &Fields)> {
        let place = self.places.get(path)?;
        let current = place.current?;
        Some((current, place.versions.get(&current)?))
    }

    /// What readers see now.
    pub(crate) fn seen(&self, path: &str) -> Option<&Fields> {
        let place = self.places.get(path)?;
        let was = place.was.iter().find(|(until, _)| self.now < *until).map(|(_, fields)| fields);
        was.or_else(|| place.versions.get(&place.current?))
    }

    /// What can still be read, the current version first.
    pub(crate) fn versions(&self, path: &str) -> Vec<String> {
        let Some(place) = self.places.get(path) else { return Vec::new() };
        let old = place.versions.keys().rev().filter(|version| Some(**version) != place.current);
        place.current.iter().chain(old).map(u64::to_string).collect()
    }

    pub(crate) fn destroy(&mut self, path: &str, version: &str) -> Result<(), No> {
        let missing = (ErrorKind::Missing, "there is no such version at this path");
        let place = self.places.get_mut(path).ok_or(missing)?;
        let version: u64 = version.parse().map_err(|_| missing)?;
        if place.current == Some(version) {
            return Err((ErrorKind::Conflict, "the current version cannot be destroyed"));
        }
        place.versions.remove(&version);
        place.staged.remove(&version);
        Ok(())
    }

    pub(crate) fn done(&self, operation: &str) -> bool {
        self.operations.contains_key(operation)
    }
}
