//! A replica that stops as a whole inside one call, as a process does that is suspended or swapped out: its thread waits
//! at a gate, so that it renews no lease, times nothing out and writes nothing until the gate opens.

use std::collections::BTreeMap;
use std::future::Future;
use std::pin::Pin;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Condvar, Mutex};

use async_trait::async_trait;
use jiff::Timestamp;
use remint_contract::{
    Call, Capabilities, Connector, ConnectorKind, Derived, Ended, Error, Expected, HostRules, Intent, Kinds, Live,
    Material, MintRequest, Minted, Observation, ReadBack, Recovered, RightsChange, SecretValue, SettingProblem, Target,
    Use, Verb, Verdict, Verified, VersionId, Workload, WriteRequest, Written,
};
use remint_fake::FakeKind;
use tokio::runtime::Handle;
use tokio::sync::Notify;

/// Where in a call the replica stops.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Moment {
    /// What it asks for is sent when it is woken.
    Before,
    /// It was done; the answer is read when it is woken.
    After,
}

/// Stops the thread that makes the first call of a verb.
pub(crate) struct Gate {
    verb: Verb,
    moment: Moment,
    struck: AtomicBool,
    /// What is sent late goes out of here, whatever becomes of the replica.
    world: Handle,
    open: Mutex<bool>,
    opened: Condvar,
    stopped: Notify,
    landed: Notify,
}

impl Gate {
    pub(crate) fn new(verb: Verb, moment: Moment) -> Arc<Self> {
        Arc::new(Self {
            verb,
            moment,
            struck: AtomicBool::new(false),
            world: Handle::current(),
            open: Mutex::new(false),
            opened: Condvar::new(),
            stopped: Notify::new(),
            landed: Notify::new(),
        })
    }

    /// Returns once somebody stands still here.
    pub(crate) async fn stopped(&self) {
        self.stopped.notified().await;
    }

    /// Wakes it; returns when the effect is there.
    pub(crate) async fn wake(&self) {
        *self.open.lock().unwrap() = true;
        self.opened.notify_all();
        self.landed.notified().await;
    }

    fn strikes(&self, verb: Verb) -> bool {
        verb == self.verb && !self.struck.swap(true, Ordering::SeqCst)
    }

    /// The whole thread stands still.
    fn stand(&self) {
        self.stopped.notify_one();
        drop(self.opened.wait_while(self.open.lock().unwrap(), |open| !*open).unwrap());
    }
}

/// The fake kind, behind the gate.
pub(crate) struct Gated {
    pub(crate) gate: Arc<Gate>,
    /// What late calls are made through: of a process that does not stand still.
    pub(crate) late: Arc<dyn Kinds>,
}

impl Kinds for Gated {
    fn kind(&self, name: &str) -> Option<&dyn ConnectorKind> {
        (name == "fake").then_some(self as &dyn ConnectorKind)
    }

    fn names(&self) -> Vec<&'static str> {
        vec!["fake"]
    }
}

impl ConnectorKind for Gated {
    fn name(&self) -> &'static str {
        "fake"
    }

    fn describe(&self, settings: &serde_json::Value) -> Result<Capabilities, Vec<SettingProblem>> {
        FakeKind.describe(settings)
    }

    fn open(&self, settings: &serde_json::Value, rules: &HostRules) -> Result<Arc<dyn Connector>, Error> {
        let late = self.late.kind("fake").unwrap().open(settings, rules)?;
        Ok(Arc::new(Instance { inner: FakeKind.open(settings, rules)?, late, gate: Arc::clone(&self.gate) }))
    }
}

struct Instance {
    inner: Arc<dyn Connector>,
    late: Arc<dyn Connector>,
    gate: Arc<Gate>,
}

type Sent<T> = Pin<Box<dyn Future<Output = Result<T, Error>> + Send>>;

impl Instance {
    async fn through<T: Send + 'static>(
        &self,
        verb: Verb,
        send: impl Fn(Arc<dyn Connector>) -> Sent<T> + Send + Sync,
    ) -> Result<T, Error> {
        let gate = &self.gate;
        if !gate.strikes(verb) {
            return send(Arc::clone(&self.inner)).await;
        }
        if gate.moment == Moment::After {
            let answer = send(Arc::clone(&self.inner)).await;
            gate.stand();
            gate.landed.notify_one();
            return answer;
        }
        gate.stand();
        let (late, told) = (send(Arc::clone(&self.late)), Arc::clone(gate));
        // Whoever waits for the answer may have given up by now; it lands nevertheless.
        let landing = gate.world.spawn(async move {
            let answer = late.await;
            told.landed.notify_one();
            answer
        });
        landing.await.unwrap()
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
        self.through(Verb::Mint, |connector| {
            let (call, request) = (call.clone(), request.clone());
            Box::pin(async move { connector.mint(&call, &request).await })
        })
        .await
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
        self.through(Verb::Disable, |connector| {
            let (call, target, version) = (call.clone(), target.clone(), version.clone());
            Box::pin(async move { connector.disable(&call, &target, &version).await })
        })
        .await
    }

    async fn revoke(&self, call: &Call, target: &Target, version: &VersionId) -> Result<(), Error> {
        self.through(Verb::Revoke, |connector| {
            let (call, target, version) = (call.clone(), target.clone(), version.clone());
            Box::pin(async move { connector.revoke(&call, &target, &version).await })
        })
        .await
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
        self.through(Verb::Write, |connector| {
            let (call, request) = (call.clone(), request.clone());
            Box::pin(async move { connector.write(&call, &request).await })
        })
        .await
    }

    async fn read(&self, call: &Call, path: &str) -> Result<ReadBack, Error> {
        self.inner.read(call, path).await
    }

    async fn promote(&self, call: &Call, path: &str, version: &str) -> Result<(), Error> {
        self.through(Verb::Promote, |connector| {
            let (call, path, version) = (call.clone(), path.to_owned(), version.to_owned());
            Box::pin(async move { connector.promote(&call, &path, &version).await })
        })
        .await
    }

    async fn versions(&self, call: &Call, path: &str) -> Result<Vec<String>, Error> {
        self.inner.versions(call, path).await
    }

    async fn destroy_version(&self, call: &Call, path: &str, version: &str) -> Result<(), Error> {
        self.through(Verb::DestroyVersion, |connector| {
            let (call, path, version) = (call.clone(), path.to_owned(), version.to_owned());
            Box::pin(async move { connector.destroy_version(&call, &path, &version).await })
        })
        .await
    }

    async fn reload(&self, call: &Call, workload: &Workload) -> Result<(), Error> {
        self.through(Verb::Reload, |connector| {
            let (call, workload) = (call.clone(), workload.clone());
            Box::pin(async move { connector.reload(&call, &workload).await })
        })
        .await
    }

    async fn observe(&self, call: &Call, workload: &Workload, expected: &Expected) -> Result<Observation, Error> {
        self.inner.observe(call, workload, expected).await
    }
}
