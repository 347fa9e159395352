//! The fake kind with a list of what was asked of the issuer, in order, and targets that always fail.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::{Arc, Mutex};

use async_trait::async_trait;
use jiff::Timestamp;
use remint_contract::{
    Call, Capabilities, Connector, ConnectorKind, Derived, Ended, Error, ErrorKind, Expected, HostRules, Intent, Kinds,
    Live, Material, MintRequest, Minted, Observation, ReadBack, Recovered, RightsChange, SecretValue, SettingProblem,
    Target, Use, Verb, Verdict, Verified, VersionId, Workload, WriteRequest, Written,
};
use remint_fake::FakeKind;

/// One answer of the issuer to a changing verb.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Asked {
    pub(crate) verb: Verb,
    pub(crate) target: String,
    pub(crate) done: bool,
}

#[derive(Default)]
pub(crate) struct Watched {
    pub(crate) failing: BTreeSet<String>,
    pub(crate) asked: Mutex<Vec<Asked>>,
}

/// The kinds of a build that has this one only.
pub(crate) struct OnlyWatched(pub(crate) Arc<Watched>);

struct Instance {
    inner: Arc<dyn Connector>,
    watched: Arc<Watched>,
}

impl Watched {
    fn note(&self, verb: Verb, target: &Target, done: bool) {
        self.asked.lock().unwrap().push(Asked { verb, target: target.name.clone(), done });
    }

    /// The places in the list of what fits.
    pub(crate) fn places(&self, fits: impl Fn(&Asked) -> bool) -> Vec<usize> {
        let asked = self.asked.lock().unwrap();
        asked.iter().enumerate().filter(|(_, asked)| fits(asked)).map(|(place, _)| place).collect()
    }
}

impl Kinds for OnlyWatched {
    fn kind(&self, name: &str) -> Option<&dyn ConnectorKind> {
        (name == "fake").then_some(self as &dyn ConnectorKind)
    }

    fn names(&self) -> Vec<&'static str> {
        vec!["fake"]
    }
}

impl ConnectorKind for OnlyWatched {
    fn name(&self) -> &'static str {
        "fake"
    }

    fn describe(&self, settings: &serde_json::Value) -> Result<Capabilities, Vec<SettingProblem>> {
        FakeKind.describe(settings)
    }

    fn open(&self, settings: &serde_json::Value, rules: &HostRules) -> Result<Arc<dyn Connector>, Error> {
        let inner = FakeKind.open(settings, rules)?;
        Ok(Arc::new(Instance { inner, watched: Arc::clone(&self.0) }))
    }
}

#[async_trait]
impl Connector for Instance {
    fn describe(&self) -> Capabilities {
        self.inner.describe()
    }

    async fn check(&self, call: &Call, path: Option<&str>) -> Result<(), Error> {
        self.inner.check(call, path).await
    }

    async fn mint(&self, call: &Call, request: &MintRequest) -> Result<Minted, Error> {
        let answer = self.inner.mint(call, request).await;
        self.watched.note(Verb::Mint, &request.target, answer.is_ok());
        answer
    }

    async fn verify(&self, call: &Call, target: &Target, material: &Material) -> Result<Verified, Error> {
        self.inner.verify(call, target, material).await
    }

    async fn compare_rights(
        &self,
        call: &Call,
        target: &Target,
        old: &VersionId,
        new: &VersionId,
    ) -> Result<RightsChange, Error> {
        self.inner.compare_rights(call, target, old, new).await
    }

    async fn disable(&self, call: &Call, target: &Target, version: &VersionId) -> Result<(), Error> {
        let answer = if self.watched.failing.contains(&target.name) {
            Err(Error::new(ErrorKind::Unreachable, Verb::Disable, "the target does not answer"))
        } else {
            self.inner.disable(call, target, version).await
        };
        self.watched.note(Verb::Disable, target, answer.is_ok());
        answer
    }

    async fn revoke(&self, call: &Call, target: &Target, version: &VersionId) -> Result<(), Error> {
        let answer = self.inner.revoke(call, target, version).await;
        self.watched.note(Verb::Revoke, target, answer.is_ok());
        answer
    }

    async fn list_derived(&self, call: &Call, target: &Target, version: &VersionId) -> Result<Vec<Derived>, Error> {
        self.inner.list_derived(call, target, version).await
    }

    async fn end_derived(&self, call: &Call, target: &Target, version: &VersionId) -> Result<Vec<Ended>, Error> {
        self.inner.end_derived(call, target, version).await
    }

    async fn probe(
        &self,
        call: &Call,
        target: &Target,
        material: &Material,
        endpoint: usize,
    ) -> Result<Verdict, Error> {
        self.inner.probe(call, target, material, endpoint).await
    }

    async fn enumerate(&self, call: &Call, targets: &[Target]) -> Result<Vec<Live>, Error> {
        self.inner.enumerate(call, targets).await
    }

    async fn last_used(
        &self,
        call: &Call,
        target: &Target,
        version: &VersionId,
        since: Timestamp,
    ) -> Result<Vec<Use>, Error> {
        self.inner.last_used(call, target, version, since).await
    }

    async fn recover(&self, call: &Call, intent: &Intent) -> Result<Recovered, Error> {
        self.inner.recover(call, intent).await
    }

    fn fits(&self, path: &str, fields: &BTreeMap<String, SecretValue>) -> Result<(), Error> {
        self.inner.fits(path, fields)
    }

    async fn write(&self, call: &Call, request: &WriteRequest) -> Result<Written, Error> {
        self.inner.write(call, request).await
    }

    async fn read(&self, call: &Call, path: &str) -> Result<ReadBack, Error> {
        self.inner.read(call, path).await
    }

    async fn promote(&self, call: &Call, path: &str, version: &str) -> Result<(), Error> {
        self.inner.promote(call, path, version).await
    }

    async fn versions(&self, call: &Call, path: &str) -> Result<Vec<String>, Error> {
        self.inner.versions(call, path).await
    }

    async fn destroy_version(&self, call: &Call, path: &str, version: &str) -> Result<(), Error> {
        self.inner.destroy_version(call, path, version).await
    }

    async fn reload(&self, call: &Call, workload: &Workload) -> Result<(), Error> {
        self.inner.reload(call, workload).await
    }

    async fn observe(&self, call: &Call, workload: &Workload, expected: &Expected) -> Result<Observation, Error> {
        self.inner.observe(call, workload, expected).await
    }
}
