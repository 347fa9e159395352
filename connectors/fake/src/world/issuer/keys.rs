//! What some issuers do beside making versions: leases for whoever asks, a revocation list, keys that sign what its
//! endpoints verify, and keys that data are encrypted under.

use std::collections::{BTreeMap, HashMap};
use std::sync::Arc;

use jiff::Timestamp;
use remint_contract::VersionId;

use super::versions::Versions;
use super::{Issuer, allow, allow_version, forbidden, refusal};
use crate::wire::{Leased, Nothing, OfSerial, OfTarget, OfVersion, OnList, Secret, Sessions, VersionAt, VersionState};
use crate::world::WorldError;
use crate::world::service::{Answer, Asked, lock};
use crate::world::store::Store;

/// How many things one call moves to another key.
const BATCH: usize = 3;

#[derive(Default)]
pub(super) struct Keys {
    /// Target → the version that signs or encrypts.
    primary: HashMap<String, String>,
    /// Thing → the version that it is encrypted under.
    data: BTreeMap<u64, String>,
    next: u64,
    /// Versions that were activated before every endpoint knew them.
    early: Vec<VersionId>,
    /// Things that could not be read at some time.
    stranded: u64,
    /// Where its verifiers read whom to trust.
    bundle: Option<(Arc<Store>, String, String)>,
}

impl Keys {
    /// After a version was stopped: what is under it cannot be read any more.
    pub(super) fn stranded(&mut self, versions: &Versions, now: Timestamp) {
        let stopped = |id: &&String| versions.state(id, now) != Ok(VersionState::Live);
        let stranded = self.data.values().filter(stopped).count();
        self.stranded = self.stranded.max(u64::try_from(stranded).unwrap_or(u64::MAX));
    }
}

impl Issuer {
    /// From now on its endpoints trust only what stands in this bundle, by the user name of the version.
    pub fn trusts(&self, store: &Arc<Store>, path: &str, field: &str) {
        lock(&self.keys).bundle = Some((Arc::clone(store), path.to_owned(), field.to_owned()));
    }

    /// Encrypts so many things under the version in use.
    ///
    /// # Errors
    /// The target has no live version.
    pub fn encrypt(&self, target: &str, things: u64) -> Result<(), WorldError> {
        let versions = lock(&self.versions);
        let mut keys = lock(&self.keys);
        let id = keys
            .in_use(&versions, target, self.service.now())
            .ok_or_else(|| WorldError::Seed { target: target.to_owned(), why: "no version encrypts".to_owned() })?;
        for _ in 0..things {
            let next = keys.next;
            keys.next += 1;
            keys.data.insert(next, id.clone());
        }
        Ok(())
    }

    /// Encrypts so many things under this version, whichever is in use.
    pub fn encrypt_under(&self, version: &VersionId, things: u64) {
        let mut keys = lock(&self.keys);
        for _ in 0..things {
            let next = keys.next;
            keys.next += 1;
            keys.data.insert(next, version.0.clone());
        }
    }

    /// Deletes what is encrypted under a version.
    pub fn forget_data(&self, version: &VersionId) {
        lock(&self.keys).data.retain(|_, id| *id != version.0);
    }

    /// Stops a version behind everybody's back; what cannot be stopped stays as it is.
    pub fn disable(&self, version: &VersionId) {
        let now = self.service.now();
        let _ = lock(&self.versions).switch(&version.0, VersionState::Disabled, now);
    }

    /// Brings a stopped version back.
    pub fn enable(&self, version: &VersionId) {
        let now = self.service.now();
        let _ = lock(&self.versions).switch(&version.0, VersionState::Live, now);
    }

    /// How many things are encrypted under a version.
    pub fn encrypted_under(&self, version: &VersionId) -> usize {
        lock(&self.keys).data.values().filter(|id| **id == version.0).count()
    }

    /// How many things could not be read at the worst time.
    pub fn stranded(&self) -> u64 {
        lock(&self.keys).stranded
    }

    /// Versions that were activated before every endpoint knew and trusted them.
    pub fn early(&self) -> Vec<VersionId> {
        lock(&self.keys).early.clone()
    }

    /// The version that signs or encrypts.
    pub fn in_use(&self, target: &str) -> Option<VersionId> {
        let versions = lock(&self.versions);
        lock(&self.keys).in_use(&versions, target, self.service.now()).map(VersionId)
    }

    pub(super) fn trusted(&self, versions: &Versions, id: &str) -> bool {
        let keys = lock(&self.keys);
        let Some((store, path, field)) = &keys.bundle else { return true };
        let Some(name) = versions.version(id).and_then(|version| version.material.username.as_deref()) else {
            return true;
        };
        let bundle = store.value(path, field);
        bundle.as_ref().and_then(|bundle| bundle.expose_str()).is_some_and(|text| text.lines().any(|line| line == name))
    }

    /// A value of the generation in use. Whoever reaches a fake may fetch.
    pub(super) fn lease(&self, asked: &Asked) -> Result<Answer, Answer> {
        let OfTarget { target } = asked.read()?;
        let token = self.make();
        let mut versions = lock(&self.versions);
        let living = versions.living(&target, asked.now);
        let live = living.into_iter().rev().find(|id| versions.state(id, asked.now) == Ok(VersionState::Live));
        let version = live.ok_or_else(forbidden)?;
        versions.open_session(&version, &token, asked.now);
        versions.note_use(&version, &asked.source, asked.now);
        Ok(Answer::ok(&Leased { version, token: Secret(token) }))
    }

    /// Is this serial on the list that the endpoint publishes?
    pub(super) fn revoked(&self, asked: &Asked) -> Result<Answer, Answer> {
        let OfSerial { serial } = asked.read()?;
        let at = self.seen_at(asked);
        let versions = lock(&self.versions);
        let state = versions.named(&serial).map(|id| versions.state(id, at));
        // A list that is behind does not know yet that the certificate exists: it is not on it.
        Ok(Answer::ok(&OnList { listed: state.map(|state| !matches!(state, Ok(VersionState::Live) | Err(_))) }))
    }

    pub(super) fn activate(&self, asked: &Asked) -> Result<Answer, Answer> {
        let VersionAt { path: target, version, .. } = asked.read()?;
        let lags: Vec<Timestamp> = (0..lock(&self.versions).spec.endpoints)
            .map(|endpoint| {
                let lag = lock(&self.lag).get(&endpoint).copied().unwrap_or_default();
                asked.now.saturating_sub(lag).unwrap_or(asked.now)
            })
            .collect();
        let versions = lock(&self.versions);
        allow(&versions, asked, Some(&target))?;
        allow_version(&versions, asked, &version)?;
        let known = lags.into_iter().all(|at| versions.lives(&version, at)) && self.trusted(&versions, &version);
        let mut keys = lock(&self.keys);
        if !known {
            keys.early.push(VersionId(version.clone()));
        }
        if !asked.lie {
            keys.primary.insert(target, version);
        }
        Ok(Answer::ok(&Nothing {}))
    }

    /// What is encrypted under a version; `rewrap` moves a part of it to the version in use.
    pub(super) fn data(&self, asked: &Asked) -> Result<Answer, Answer> {
        let OfVersion { version } = asked.read()?;
        let versions = lock(&self.versions);
        allow_version(&versions, asked, &version)?;
        let mut keys = lock(&self.keys);
        let mut things: Vec<u64> =
            keys.data.iter().filter(|(_, id)| **id == version).map(|(thing, _)| *thing).collect();
        if asked.verb == "rewrap" {
            // What is under a stopped key can be read by nobody, so it cannot be moved.
            if versions.state(&version, asked.now) != Ok(VersionState::Live) {
                return Err(Answer::refuse(409, "stopped", "this version decrypts nothing"));
            }
            let target = versions.version(&version).map(|version| version.target.clone()).unwrap_or_default();
            let to = keys.in_use(&versions, &target, asked.now).ok_or_else(|| refusal(&super::No::Version))?;
            things.truncate(BATCH);
            if asked.lie || to == version {
                things.clear();
            }
            for thing in &things {
                keys.data.insert(*thing, to.clone());
            }
        }
        Ok(Answer::ok(&Sessions { sessions: things.iter().map(|thing| format!("thing-{thing}")).collect() }))
    }
}

impl Keys {
    /// What was activated, else the oldest version that lives.
    fn in_use(&self, versions: &Versions, target: &str, now: Timestamp) -> Option<String> {
        let live = |id: &String| versions.state(id, now) == Ok(VersionState::Live);
        let primary = self.primary.get(target).filter(|id| live(id)).cloned();
        primary.or_else(|| versions.living(target, now).into_iter().find(live))
    }
}
