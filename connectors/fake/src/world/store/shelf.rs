//! What a store holds, free of HTTP: versions by path, the current one, what is staged, and who did it.

use std::collections::{BTreeMap, HashMap};

use remint_contract::SecretValue;

pub(crate) type Fields = BTreeMap<String, SecretValue>;

/// Why a store says no.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum No {
    /// Nothing at that path.
    Path,
    /// No such version.
    Version,
    /// Another version is current than was expected.
    Changed,
    /// The current version cannot be destroyed.
    Current,
}

#[derive(Default)]
pub(crate) struct Shelf {
    paths: BTreeMap<String, Place>,
    /// Every change that a caller named, so that a repeated one is done once and a lost one can be asked for.
    operations: HashMap<String, (String, u64)>,
}

#[derive(Default)]
struct Place {
    /// Only the fields that were written: the rest is taken from what is current at promotion.
    staged: BTreeMap<u64, Fields>,
    versions: BTreeMap<u64, Fields>,
    current: Option<u64>,
    next: u64,
}

impl Shelf {
    /// Stages fields at a path. `expect` must be the current version, `0` for none.
    pub(crate) fn stage(
        &mut self,
        path: &str,
        fields: Fields,
        expect: Option<&str>,
        operation: Option<String>,
    ) -> Result<u64, No> {
        if let Some((_, version)) = operation.as_ref().and_then(|operation| self.operations.get(operation)) {
            return Ok(*version);
        }
        let place = self.paths.entry(path.to_owned()).or_default();
        if let Some(expect) = expect
            && expect != place.current.unwrap_or(0).to_string()
        {
            return Err(No::Changed);
        }
        place.next += 1;
        let version = place.next;
        place.staged.insert(version, fields);
        if let Some(operation) = operation {
            self.operations.insert(operation, (path.to_owned(), version));
        }
        Ok(version)
    }

    /// Makes a staged version current; fields it does not have stay as they are. `keep`: the one before stays readable.
    pub(crate) fn promote(
        &mut self,
        path: &str,
        version: &str,
        keep: bool,
        operation: Option<String>,
    ) -> Result<(), No> {
        let place = self.paths.get_mut(path).ok_or(No::Path)?;
        let version: u64 = version.parse().map_err(|_| No::Version)?;
        if place.versions.contains_key(&version) {
            return if place.current == Some(version) { Ok(()) } else { Err(No::Changed) };
        }
        let fields = place.staged.remove(&version).ok_or(No::Version)?;
        // What was staged before and touches the same fields would bring an old value back.
        place.staged.retain(|&other, staged| other > version || !staged.keys().any(|field| fields.contains_key(field)));
        let mut merged = place.current.and_then(|current| place.versions.get(&current)).cloned().unwrap_or_default();
        merged.extend(fields);
        if !keep {
            place.versions.clear();
        }
        place.versions.insert(version, merged);
        place.current = Some(version);
        if let Some(operation) = operation {
            self.operations.insert(operation, (path.to_owned(), version));
        }
        Ok(())
    }

    /// What readers see, or an old version that is still there.
    pub(crate) fn read(&self, path: &str, version: Option<&str>) -> Result<(u64, &Fields), No> {
        let place = self.paths.get(path).ok_or(No::Path)?;
        let version = match version {
            Some(version) => version.parse().map_err(|_| No::Version)?,
            None => place.current.ok_or(No::Path)?,
        };
        place.versions.get(&version).map(|fields| (version, fields)).ok_or(No::Version)
    }

    /// What can be read at a path: the current version first, then the newest.
    pub(crate) fn versions(&self, path: &str) -> Result<Vec<u64>, No> {
        let place = self.paths.get(path).ok_or(No::Path)?;
        let old = place.versions.keys().rev().filter(|&&version| Some(version) != place.current);
        Ok(place.current.into_iter().chain(old.copied()).collect())
    }

    /// Destroys an old or staged version; one that is gone already is done.
    pub(crate) fn destroy(&mut self, path: &str, version: &str) -> Result<(), No> {
        let place = self.paths.get_mut(path).ok_or(No::Path)?;
        let version: u64 = version.parse().map_err(|_| No::Version)?;
        if place.current == Some(version) {
            return Err(No::Current);
        }
        place.versions.remove(&version);
        place.staged.remove(&version);
        Ok(())
    }

    /// Did this operation happen here?
    pub(crate) fn done(&self, operation: &str) -> bool {
        self.operations.contains_key(operation)
    }

    /// What lies in any version of any place, staged ones too.
    pub(crate) fn values(&self) -> impl Iterator<Item = SecretValue> {
        let fields = self.paths.values().flat_map(|place| place.versions.values().chain(place.staged.values()));
        fields.flat_map(|fields| fields.values().cloned())
    }

    pub(crate) fn paths(&self) -> impl Iterator<Item = &String> {
        self.paths.iter().filter(|(_, place)| place.current.is_some()).map(|(path, _)| path)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn fields(pairs: &[(&str, &str)]) -> Fields {
        pairs.iter().map(|&(field, value)| (field.to_owned(), SecretValue::from(value))).collect()
    }

    #[test]
    fn two_staged_writes_of_different_fields_do_not_undo_one_another() {
        let mut shelf = Shelf::default();
        let first = shelf.stage("p", fields(&[("a", "a1"), ("b", "b1")]), None, None).unwrap();
        shelf.promote("p", &first.to_string(), true, None).unwrap();
        let a = shelf.stage("p", fields(&[("a", "a2")]), None, None).unwrap();
        let b = shelf.stage("p", fields(&[("b", "b2")]), None, None).unwrap();
        assert_eq!(shelf.read("p", None).unwrap().1, &fields(&[("a", "a1"), ("b", "b1")]));
        shelf.promote("p", &b.to_string(), true, None).unwrap();
        assert_eq!(shelf.read("p", None).unwrap().1, &fields(&[("a", "a1"), ("b", "b2")]));
        shelf.promote("p", &a.to_string(), true, None).unwrap();
        assert_eq!(shelf.read("p", None).unwrap().1, &fields(&[("a", "a2"), ("b", "b2")]));
    }

    #[test]
    fn old_versions_are_readable_until_they_are_destroyed() {
        let mut shelf = Shelf::default();
        for value in ["one", "two"] {
            let version = shelf.stage("p", fields(&[("v", value)]), None, None).unwrap();
            shelf.promote("p", &version.to_string(), true, None).unwrap();
        }
        assert_eq!(shelf.versions("p"), Ok(vec![2, 1]));
        assert_eq!(shelf.read("p", Some("1")).unwrap().1, &fields(&[("v", "one")]));
        assert_eq!(shelf.destroy("p", "2"), Err(No::Current));
        shelf.destroy("p", "1").unwrap();
        assert_eq!(shelf.read("p", Some("1")), Err(No::Version));
        assert_eq!(shelf.destroy("p", "1"), Ok(()));
    }

    #[test]
    fn a_write_that_expects_another_version_is_refused() {
        let mut shelf = Shelf::default();
        let version = shelf.stage("p", fields(&[("v", "one")]), Some("0"), None).unwrap();
        shelf.promote("p", &version.to_string(), true, None).unwrap();
        assert_eq!(shelf.stage("p", fields(&[("v", "two")]), Some("0"), None), Err(No::Changed));
        assert_eq!(shelf.stage("p", fields(&[("v", "two")]), Some("1"), None), Ok(2));
    }

    #[test]
    fn a_repeated_operation_writes_once() {
        let mut shelf = Shelf::default();
        let again = |shelf: &mut Shelf| shelf.stage("p", fields(&[("v", "one")]), None, Some("op-1".into()));
        assert_eq!(again(&mut shelf), Ok(1));
        assert_eq!(again(&mut shelf), Ok(1));
        assert!(shelf.done("op-1") && !shelf.done("op-2"));
    }
}
