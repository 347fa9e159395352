//! What lives at an issuer, as one enumeration gave it, looked up by target: every member of a reset asks the same list.

use std::collections::{HashMap, HashSet};

use remint_contract::{Live, VersionId};

/// One enumeration.
#[derive(Debug, Default)]
pub struct Listing {
    by_target: HashMap<String, Vec<Live>>,
    strangers: Vec<Live>,
    versions: HashSet<VersionId>,
}

impl Listing {
    #[must_use]
    pub fn new(all: Vec<Live>) -> Self {
        let mut listing = Self::default();
        for live in all {
            listing.versions.insert(live.version.clone());
            match live.target.clone() {
                Some(target) => listing.by_target.entry(target).or_default().push(live),
                None => listing.strangers.push(live),
            }
        }
        listing
    }

    /// What belongs to a target.
    #[must_use]
    pub fn of(&self, target: &str) -> &[Live] {
        self.by_target.get(target).map_or(&[], Vec::as_slice)
    }

    /// What belongs to no target that was asked about.
    #[must_use]
    pub fn strangers(&self) -> &[Live] {
        &self.strangers
    }

    /// True when the issuer lists this version, whoever it belongs to.
    #[must_use]
    pub fn lists(&self, version: &VersionId) -> bool {
        self.versions.contains(version)
    }
}
