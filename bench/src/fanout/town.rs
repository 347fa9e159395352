//! The target: four systems in this process, each an issuer, a store and a host of workloads at once. Every call takes
//! its latency and is counted and timed by the system itself, never by Remint.

use std::collections::{HashMap, HashSet};
use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use async_trait::async_trait;
use remint_contract::{
    Call, Capabilities, ConfirmGrade, Connector, ConnectorKind, ConsumerCapabilities, Derived, Ended, Error, ErrorKind,
    Expected, HostRules, Intent, IssuerCapabilities, Kinds, Live, MadeBy, Material, MintRequest, Minted, Observation,
    OperationId, ProbeCost, ReadBack, Recovered, SecretValue, Seen, SettingProblem, Slots, StoreCapabilities, Strategy,
    Target, Verb, Verdict, Verified, VersionId, Workload, WriteRequest, Written,
};

/// The field of every place.
pub(crate) const FIELD: &str = "KEY";

/// All systems, by the number in their settings.
pub(crate) struct Town {
    pub(super) systems: Vec<Arc<System>>,
}

/// One system.
pub(super) struct System {
    latency: Duration,
    state: Mutex<State>,
    pub(super) counts: Counts,
}

/// What a system measured of itself.
#[derive(Default)]
pub(super) struct Counts {
    calls: AtomicU64,
    nanoseconds: AtomicU64,
    in_flight: AtomicUsize,
    most: AtomicUsize,
    /// When the first call began and the last one ended.
    span: Mutex<Option<(Instant, Instant)>>,
}

#[derive(Default)]
struct State {
    targets: HashMap<String, Vec<Version>>,
    /// What lies at a place, and how often it was written.
    places: HashMap<String, (SecretValue, u64)>,
    /// The fingerprint of what a workload read last, by its name; it reads the place of the same name.
    workloads: HashMap<String, String>,
    minted: u64,
    failing: HashSet<String>,
    /// What was minted with a version, and dies with it.
    children: HashMap<u64, Vec<(String, u64)>>,
    /// Which version a value is.
    by_value: HashMap<Vec<u8>, u64>,
}

struct Version {
    id: u64,
    secret: SecretValue,
    operation: Option<OperationId>,
    disabled: bool,
}

impl Town {
    /// Systems that answer after `latency`.
    pub(crate) fn new(systems: usize, latency: Duration) -> Self {
        let system = || Arc::new(System { latency, state: Mutex::new(State::default()), counts: Counts::default() });
        Self { systems: (0..systems).map(|_| system()).collect() }
    }

    /// A credential that lives at a system, lies at the place of its name there, and is used by the workload of its name.
    /// With `by`, it was minted with that one and dies with it.
    pub(crate) fn settle(&self, system: usize, name: &str, by: Option<&str>) {
        let mut state = self.systems[system].state();
        let secret = SecretValue::new(format!("old-value-of-{name}-at-{system}").into_bytes());
        let by = by.and_then(|by| state.targets.get(by)?.first().map(|version| version.id));
        state.make(name, &secret, None, by);
        state.workloads.insert(name.to_owned(), Material::of(secret.clone()).fingerprint());
        state.places.insert(name.to_owned(), (secret, 1));
    }

    /// These targets cannot be stopped.
    pub(super) fn fail(&self, system: usize, names: impl Iterator<Item = String>) {
        self.systems[system].state().failing.extend(names);
    }

    /// Old values of working targets that are accepted still.
    pub(super) fn old_values(&self) -> usize {
        let living = |state: &State| {
            let working = state.targets.iter().filter(|(name, _)| !state.failing.contains(*name));
            let old = |version: &&Version| version.operation.is_none() && !version.disabled;
            working.map(|(_, versions)| versions.iter().filter(old).count()).sum::<usize>()
        };
        self.systems.iter().map(|system| living(&system.state())).sum()
    }

    /// Values that were ever made.
    pub(super) fn minted(&self) -> u64 {
        self.systems.iter().map(|system| system.state().minted).sum()
    }

    /// Calls of all systems, and the mean time that one took.
    pub(super) fn measured(&self) -> (u64, Duration) {
        let sum = |count: fn(&Counts) -> &AtomicU64| -> u64 {
            self.systems.iter().map(|system| count(&system.counts).load(Ordering::Relaxed)).sum()
        };
        let calls = sum(|counts| &counts.calls);
        (calls, Duration::from_nanos(sum(|counts| &counts.nanoseconds) / calls.max(1)))
    }

    /// Calls of each system, and the most that were under way there at once.
    pub(super) fn load(&self) -> Vec<(u64, usize)> {
        let of = |counts: &Counts| (counts.calls.load(Ordering::Relaxed), counts.most.load(Ordering::Relaxed));
        self.systems.iter().map(|system| of(&system.counts)).collect()
    }

    /// When the first call began, when the last one ended, and the share of what the budgets allow between them that was
    /// made use of.
    pub(super) fn span(&self, budget: usize) -> Option<(Instant, Instant, f64)> {
        let spans = self.systems.iter().filter_map(|system| *lock(&system.counts.span));
        let (first, last) = spans.reduce(|one, two| (one.0.min(two.0), one.1.max(two.1)))?;
        let (calls, each) = self.measured();
        let could = last.duration_since(first).as_secs_f64() * super::count(budget * self.systems.len());
        Some((first, last, super::ratio(calls, 1.0) * each.as_secs_f64() / could))
    }

    /// Names of credentials that are not exactly one version, the one that lies at the place and that the workload uses.
    pub(super) fn wrong(&self) -> Vec<String> {
        let mut wrong = Vec::new();
        for system in &self.systems {
            let state = system.state();
            for (name, versions) in &state.targets {
                let place = state.places.get(name).map(|(secret, _)| secret);
                let used = state.workloads.get(name);
                let right = matches!(versions.as_slice(), [only] if !only.disabled && only.operation.is_some()
                    && Some(&only.secret) == place
                    && Some(&Material::of(only.secret.clone()).fingerprint()) == used);
                if !right {
                    wrong.push(name.clone());
                }
            }
        }
        wrong
    }
}

impl System {
    fn state(&self) -> MutexGuard<'_, State> {
        lock(&self.state)
    }

    /// One call: it takes the latency, then it is done.
    async fn answer<T>(&self, act: impl FnOnce(&mut State) -> T) -> T {
        let began = Instant::now();
        let now = self.counts.in_flight.fetch_add(1, Ordering::Relaxed) + 1;
        self.counts.most.fetch_max(now, Ordering::Relaxed);
        if !self.latency.is_zero() {
            tokio::time::sleep(self.latency).await;
        }
        let answer = act(&mut self.state());
        self.counts.in_flight.fetch_sub(1, Ordering::Relaxed);
        self.counts.calls.fetch_add(1, Ordering::Relaxed);
        lock(&self.counts.span).get_or_insert((began, began)).1 = Instant::now();
        let took = u64::try_from(began.elapsed().as_nanos()).unwrap_or(u64::MAX);
        self.counts.nanoseconds.fetch_add(took, Ordering::Relaxed);
        answer
    }
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

impl State {
    fn make(&mut self, name: &str, secret: &SecretValue, operation: Option<OperationId>, by: Option<u64>) -> u64 {
        self.minted += 1;
        let id = self.minted;
        let version = Version { id, secret: secret.clone(), operation, disabled: false };
        self.targets.entry(name.to_owned()).or_default().push(version);
        self.by_value.insert(secret.expose().to_vec(), id);
        if let Some(by) = by {
            self.children.entry(by).or_default().push((name.to_owned(), id));
        }
        id
    }

    fn kill(&mut self, name: &str, id: u64) {
        let mut work = vec![(name.to_owned(), id)];
        while let Some((name, id)) = work.pop() {
            if let Some(versions) = self.targets.get_mut(&name) {
                versions.retain(|version| version.id != id);
            }
            work.extend(self.children.remove(&id).unwrap_or_default());
        }
    }

    fn accepted(&self, target: &Target, secret: &SecretValue) -> Option<u64> {
        let versions = self.targets.get(&target.name)?;
        versions.iter().find(|version| !version.disabled && version.secret == *secret).map(|version| version.id)
    }

    fn version(&mut self, target: &Target, id: &VersionId) -> Option<&mut Version> {
        let versions = self.targets.get_mut(&target.name)?;
        versions.iter_mut().find(|version| version.id.to_string() == id.0)
    }
}

fn capabilities() -> Capabilities {
    Capabilities {
        verbs: [
            Verb::Check,
            Verb::Mint,
            Verb::Verify,
            Verb::Write,
            Verb::Promote,
            Verb::Read,
            Verb::Reload,
            Verb::Observe,
            Verb::Disable,
            Verb::Enable,
            Verb::Revoke,
            Verb::ListDerived,
            Verb::EndDerived,
            Verb::Probe,
            Verb::Enumerate,
            Verb::Recover,
        ]
        .into(),
        issuer: Some(IssuerCapabilities {
            slots: Slots::Many,
            made_by: MadeBy::Remint,
            probe: ProbeCost::Free,
            propagation: Duration::ZERO,
            strategies: [Strategy::Overlap].into(),
            endpoints: vec!["town".to_owned()],
            verifies_at: None,
            reversible_disable: true,
            dies_with_issuer: true,
            calls: vec![(Strategy::Overlap, 12)],
        }),
        store: Some(StoreCapabilities { compare_and_set: false, staged: false, versioned: false, own_login: false }),
        consumer: Some(ConsumerCapabilities { grades: [ConfirmGrade::SelfReported].into() }),
    }
}

#[async_trait]
impl Connector for System {
    fn describe(&self) -> Capabilities {
        capabilities()
    }

    async fn check(&self, _call: &Call, _path: Option<&str>) -> Result<(), Error> {
        self.answer(|_| Ok(())).await
    }

    async fn mint(&self, call: &Call, request: &MintRequest) -> Result<Minted, Error> {
        let invalid = || Error::new(ErrorKind::Invalid, Verb::Mint, "no value was proposed");
        let secret = request.proposed.clone().ok_or_else(invalid)?;
        let actor = call.actor.clone();
        self.answer(|state| {
            let by = actor.and_then(|actor| state.by_value.get(actor.secret.expose()).copied());
            let id = state.make(&request.target.name, &secret, Some(call.operation.clone()), by);
            Ok(Minted { version: VersionId(id.to_string()), material: Material::of(secret) })
        })
        .await
    }

    async fn verify(&self, _call: &Call, target: &Target, material: &Material) -> Result<Verified, Error> {
        self.answer(|state| match state.accepted(target, &material.secret) {
            Some(id) => {
                Ok(Verified { version: VersionId(id.to_string()), principal: target.name.clone(), expires: None })
            }
            None => Err(Error::new(ErrorKind::Denied, Verb::Verify, "not accepted")),
        })
        .await
    }

    async fn disable(&self, _call: &Call, target: &Target, version: &VersionId) -> Result<(), Error> {
        self.answer(|state| {
            if state.failing.contains(&target.name) {
                return Err(Error::new(ErrorKind::Unreachable, Verb::Disable, "the target does not answer"));
            }
            if let Some(version) = state.version(target, version) {
                version.disabled = true;
            }
            Ok(())
        })
        .await
    }

    async fn enable(&self, _call: &Call, target: &Target, version: &VersionId) -> Result<(), Error> {
        self.answer(|state| {
            if let Some(version) = state.version(target, version) {
                version.disabled = false;
            }
            Ok(())
        })
        .await
    }

    async fn revoke(&self, _call: &Call, target: &Target, version: &VersionId) -> Result<(), Error> {
        self.answer(|state| {
            if let Ok(id) = version.0.parse() {
                state.kill(&target.name, id);
            }
            Ok(())
        })
        .await
    }

    async fn list_derived(&self, _call: &Call, _target: &Target, _version: &VersionId) -> Result<Vec<Derived>, Error> {
        self.answer(|_| Ok(Vec::new())).await
    }

    async fn end_derived(&self, _call: &Call, _target: &Target, _version: &VersionId) -> Result<Vec<Ended>, Error> {
        self.answer(|_| Ok(Vec::new())).await
    }

    async fn probe(
        &self,
        _call: &Call,
        target: &Target,
        material: &Material,
        _endpoint: usize,
    ) -> Result<Verdict, Error> {
        self.answer(|state| {
            let accepted = state.accepted(target, &material.secret).is_some();
            Ok(if accepted { Verdict::Accepted } else { Verdict::Denied })
        })
        .await
    }

    async fn enumerate(&self, _call: &Call, targets: &[Target]) -> Result<Vec<Live>, Error> {
        let known: std::collections::HashSet<&str> = targets.iter().map(|target| target.name.as_str()).collect();
        self.answer(|state| {
            let mut live = Vec::with_capacity(state.targets.len());
            for (name, versions) in &state.targets {
                live.extend(versions.iter().map(|version| Live {
                    version: VersionId(version.id.to_string()),
                    target: known.contains(name.as_str()).then(|| name.clone()),
                    label: name.clone(),
                    operation: version.operation.clone(),
                    created: None,
                }));
            }
            Ok(live)
        })
        .await
    }

    async fn recover(&self, _call: &Call, intent: &Intent) -> Result<Recovered, Error> {
        self.answer(|state| {
            let versions = state.targets.get(&intent.target.name);
            let mine = versions.into_iter().flatten().find(|made| made.operation.as_ref() == Some(&intent.operation));
            Ok(mine.map_or(Recovered::NotDone, |made| {
                Recovered::Done(Some(Minted {
                    version: VersionId(made.id.to_string()),
                    material: Material::of(made.secret.clone()),
                }))
            }))
        })
        .await
    }

    async fn write(&self, _call: &Call, request: &WriteRequest) -> Result<Written, Error> {
        let invalid = || Error::new(ErrorKind::Invalid, Verb::Write, "no such field");
        let value = request.fields.get(FIELD).cloned().ok_or_else(invalid)?;
        self.answer(|state| {
            let place = state.places.entry(request.path.clone()).or_insert_with(|| (value.clone(), 0));
            *place = (value, place.1 + 1);
            Ok(Written { version: place.1.to_string() })
        })
        .await
    }

    async fn promote(&self, _call: &Call, _path: &str, _version: &str) -> Result<(), Error> {
        self.answer(|_| Ok(())).await
    }

    async fn read(&self, _call: &Call, path: &str) -> Result<ReadBack, Error> {
        self.answer(|state| match state.places.get(path) {
            Some((secret, version)) => {
                Ok(ReadBack { version: version.to_string(), fields: [(FIELD.to_owned(), secret.clone())].into() })
            }
            None => Err(Error::new(ErrorKind::Missing, Verb::Read, "nothing lies there")),
        })
        .await
    }

    async fn reload(&self, _call: &Call, workload: &Workload) -> Result<(), Error> {
        self.answer(|state| {
            if let Some((secret, _)) = state.places.get(&workload.reference) {
                let fingerprint = Material::of(secret.clone()).fingerprint();
                state.workloads.insert(workload.reference.clone(), fingerprint);
            }
            Ok(())
        })
        .await
    }

    async fn observe(&self, _call: &Call, workload: &Workload, expected: &Expected) -> Result<Observation, Error> {
        self.answer(|state| {
            let used = state.workloads.get(&workload.reference);
            let seen = match used {
                Some(used) if *used == expected.new => Seen::New,
                Some(used) if Some(used) == expected.old.as_ref() => Seen::Old,
                Some(_) => Seen::Other,
                None => Seen::Nothing,
            };
            Ok(Observation { seen, grade: ConfirmGrade::SelfReported })
        })
        .await
    }
}

impl ConnectorKind for Town {
    fn name(&self) -> &'static str {
        "town"
    }

    fn describe(&self, _settings: &serde_json::Value) -> Result<Capabilities, Vec<SettingProblem>> {
        Ok(capabilities())
    }

    fn open(&self, settings: &serde_json::Value, _rules: &HostRules) -> Result<Arc<dyn Connector>, Error> {
        let number = settings.get("number").and_then(serde_json::Value::as_u64);
        let system = number.and_then(|number| self.systems.get(usize::try_from(number).ok()?));
        let system = system.ok_or_else(|| Error::new(ErrorKind::Invalid, Verb::Check, "no such system"))?;
        Ok(Arc::clone(system) as Arc<dyn Connector>)
    }
}

impl Kinds for Town {
    fn kind(&self, name: &str) -> Option<&dyn ConnectorKind> {
        (name == "town").then_some(self as &dyn ConnectorKind)
    }

    fn names(&self) -> Vec<&'static str> {
        vec!["town"]
    }
}
