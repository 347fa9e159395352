//! A small estate of fake services with an engine over it.

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use crate::sorts::Sort;
use remint::context::Context;
use remint::engine::record::{Reset, ResetStatus, kind};
use remint::engine::reset::Request;
use remint::engine::{Engine, EngineError, EngineSettings};
use remint::escrow::{Escrow, Kek, SystemRandomness};
use remint::store::Store;
use remint::store::sqlite::SqliteStore;
use remint_contract::{
    Capabilities, Clock, ConfirmGrade, Connector, ConnectorKind, Error, HostRules, Kinds, MadeBy, Material, Ref,
    ResetId, SecretValue, SettingProblem, Slots, TestClock,
};
use remint_core::digest::Digest;
use remint_core::estate::{Estate, SourceFile, load};
use remint_core::plan::{Cut, Limits, Member, Plan, Precedence, Row};
use remint_core::step::{Path, Step};
use remint_evidence_format::ledger::Ledger;
use remint_fake::FakeKind;
use remint_fake::world::{Host, HostSpec, Issuer, IssuerSpec, Store as FakeStore, StoreSpec, TargetSpec, World};

/// The fake kind and no other. A system is opened once for all engines of a rig: building an HTTP client takes longer
/// than a whole rotation.
#[derive(Default)]
pub(crate) struct OnlyFake {
    open: Mutex<HashMap<String, Arc<dyn Connector>>>,
}

impl ConnectorKind for OnlyFake {
    fn name(&self) -> &'static str {
        "fake"
    }

    fn describe(&self, settings: &serde_json::Value) -> Result<Capabilities, Vec<SettingProblem>> {
        FakeKind.describe(settings)
    }

    fn open(&self, settings: &serde_json::Value, rules: &HostRules) -> Result<Arc<dyn Connector>, Error> {
        let mut open = self.open.lock().unwrap();
        if let Some(known) = open.get(&settings.to_string()) {
            return Ok(Arc::clone(known));
        }
        let opened = FakeKind.open(settings, rules)?;
        open.insert(settings.to_string(), Arc::clone(&opened));
        Ok(opened)
    }
}

impl Kinds for OnlyFake {
    fn kind(&self, name: &str) -> Option<&dyn ConnectorKind> {
        (name == "fake").then_some(self as &dyn ConnectorKind)
    }

    fn names(&self) -> Vec<&'static str> {
        vec!["fake"]
    }
}

/// What lies under an encryption key at first.
pub(crate) const THINGS: u64 = 10;

/// What the world of a rig is like.
#[derive(Clone)]
pub(crate) struct Shape {
    /// What the credentials are.
    pub(crate) sort: Sort,
    /// Credentials, each with its place and its workload.
    pub(crate) count: usize,
    pub(crate) made_by: MadeBy,
    pub(crate) slots: Slots,
    pub(crate) endpoints: usize,
    /// How long the issuer is said to take until all endpoints know.
    pub(crate) propagation_millis: u64,
    pub(crate) staged: bool,
    /// The budget of every system.
    pub(crate) concurrency: u32,
    pub(crate) latency: Duration,
    /// The world's own clock; the engine has the machine's.
    pub(crate) clock: Option<Arc<TestClock>>,
}

impl Default for Shape {
    fn default() -> Self {
        Self {
            sort: Sort::Login,
            count: 1,
            made_by: MadeBy::Remint,
            slots: Slots::Many,
            endpoints: 1,
            propagation_millis: 0,
            staged: true,
            concurrency: 64,
            latency: Duration::ZERO,
            clock: None,
        }
    }
}

/// An issuer, a store and a workload for each of `count` credentials; `root` is what Remint acts with.
pub(crate) struct Rig {
    pub(crate) sort: Sort,
    pub(crate) world: World,
    pub(crate) issuer: Arc<Issuer>,
    pub(crate) store: Arc<FakeStore>,
    pub(crate) host: Arc<Host>,
    pub(crate) estate: Estate,
    pub(crate) folder: tempfile::TempDir,
    keys: tempfile::TempDir,
    /// Tasks that the person behind this rig has done.
    by_hand: Mutex<BTreeSet<String>>,
    pub(crate) kinds: Arc<OnlyFake>,
    pub(crate) settings: EngineSettings,
}

impl Rig {
    pub(crate) async fn start(count: usize) -> Self {
        Self::with(Shape { count, ..Shape::default() }).await
    }

    pub(crate) async fn with(shape: Shape) -> Self {
        let mut world = match &shape.clock {
            Some(clock) => World::with(Arc::clone(clock) as Arc<dyn Clock>, 0).unwrap(),
            None => World::start().await.unwrap(),
        };
        let mut spec = IssuerSpec::new("bank").with(TargetSpec::admin("root"));
        spec.made_by = shape.made_by;
        spec.slots = shape.slots;
        spec.endpoints = shape.endpoints;
        spec.latency = shape.latency;
        for index in 0..shape.count {
            spec = spec.with(shape.sort.target(&format!("app{index}")));
        }
        let issuer = world.issuer(spec).await.unwrap();
        let mut spec = StoreSpec::new("shelf").open();
        spec.staged = shape.staged;
        let store = world.store(spec).await.unwrap();
        let (_, root) = issuer.seed("root").unwrap();
        store.put("keep/root", &[("secret", &root.secret)]).unwrap();
        let (mut workloads, mut trusted) = (Vec::new(), String::new());
        for index in 0..shape.count {
            let (_, material) = issuer.seed(&format!("app{index}")).unwrap();
            let username = material.username.clone().map(SecretValue::from);
            let mut fields = vec![("secret", &material.secret)];
            fields.extend(username.as_ref().map(|name| ("username", name)));
            if shape.sort != Sort::Lease {
                store.put(&format!("apps/{index}"), &fields).unwrap();
            }
            trusted.push_str(&material.username.map(|name| format!("{name}\n")).unwrap_or_default());
            if shape.sort == Sort::EncryptionKey {
                issuer.encrypt(&format!("app{index}"), THINGS).unwrap();
            }
            workloads.extend(shape.sort.workloads(index));
        }
        if shape.sort == Sort::Trusted {
            store.put("trust/all", &[("keys", &SecretValue::from(trusted))]).unwrap();
            issuer.trusts(&store, "trust/all", "keys");
        }
        let host =
            world.workloads(HostSpec { name: "floor".to_owned(), latency: Duration::ZERO, workloads }).await.unwrap();
        let text = documents(&shape, &world);
        let files = [SourceFile { name: "estate.yaml".to_owned(), bytes: text.into_bytes() }];
        let estate = load(&files, &OnlyFake::default()).map_err(|problems| panic!("{problems}")).unwrap().estate;
        let mut settings = EngineSettings {
            poll: Duration::from_millis(2),
            patience: Duration::from_secs(5),
            reproofs: vec![Duration::ZERO],
            ..EngineSettings::default()
        };
        settings.host.backoff = Duration::from_millis(1);
        Self {
            sort: shape.sort,
            world,
            issuer,
            store,
            host,
            estate,
            folder: state_folder(),
            keys: state_folder(),
            by_hand: Mutex::default(),
            kinds: Arc::default(),
            settings,
        }
    }

    /// From now on an empty state folder: what happened before is known to the world only.
    pub(crate) fn forget(&mut self) {
        self.folder = state_folder();
    }

    /// What readers see at a credential's place, or a lease that a consumer fetches now.
    pub(crate) fn value(&self, index: usize) -> Material {
        if self.sort == Sort::Lease {
            let living = self.issuer.live_versions(&format!("app{index}"));
            return self.issuer.open_session(&living.last().unwrap().version).unwrap();
        }
        let path = format!("apps/{index}");
        let username = self.store.value(&path, "username").map(|name| name.expose_str().unwrap().to_owned());
        Material { username, secret: self.store.value(&path, "secret").unwrap() }
    }

    /// An engine over the state folder: a new process, as far as it knows.
    pub(crate) fn engine(&self) -> Engine {
        self.engine_over(Arc::new(SqliteStore::open(self.folder.path()).unwrap()))
    }

    pub(crate) fn engine_over(&self, store: Arc<dyn Store>) -> Engine {
        let path = self.keys.path().join("kek");
        Kek::create(&path, self.folder.path(), false, &SystemRandomness).unwrap();
        let kek = Kek::load(&path, self.folder.path(), false).unwrap();
        let escrow = Arc::new(Escrow::new(kek, Box::new(SystemRandomness)));
        Engine::new(
            store,
            escrow,
            Arc::clone(&self.kinds) as Arc<dyn Kinds>,
            HostRules::default(),
            Context::system(),
            self.settings.clone(),
        )
    }

    /// A plan by hand: every application's credential, rolling, nothing before anything.
    pub(crate) fn plan(&self) -> Plan {
        let members: Vec<Member> = self
            .estate
            .credentials
            .values()
            .filter(|credential| credential.meta.name.as_str() != "root")
            .map(|credential| Member {
                credential: Ref::credential(credential.meta.name.as_str()).unwrap(),
                strategy: credential.rotation.strategy,
                path: Path::Rolling,
                destinations: credential.delivered_to.clone(),
                withheld: Vec::new(),
                consumers: credential.consumed_by.iter().cloned().collect(),
                dirty_consumers: Vec::new(),
                endpoints: self.issuer.urls(),
                exposed_by: None,
                dark: false,
                late: Vec::new(),
                withheld_after: Vec::new(),
                awaits: BTreeSet::new(),
                group: None,
                remint_acts: false,
                cut: None,
                least_confirm: ConfirmGrade::RolledOut,
                least_proof: self.sort.proof(),
                outage: None,
                hold: Duration::ZERO,
                quiet: None,
                confirm_within: Duration::from_secs(1),
                class: credential.class,
                verifiers: credential.verified_by.iter().cloned().collect(),
                dirty_verifiers: Vec::new(),
            })
            .collect();
        Plan {
            digest: Digest::of(b"by hand"),
            parent: None,
            estate: self.estate.digest(),
            from: Vec::new(),
            reached: Vec::new(),
            dirty: BTreeSet::new(),
            waves: vec![(0..members.len()).collect()],
            members,
            precedences: Vec::new(),
            cuts: Vec::new(),
            tasks: Vec::new(),
            exceptions: Vec::new(),
            new_destinations: Vec::new(),
            limits: Limits::default(),
            eta: Duration::ZERO,
            occasion: None,
        }
    }

    /// The plan with its first two members closing a cycle: all of both is dead before any of it is delivered.
    pub(crate) fn cut(&self) -> Plan {
        let mut plan = self.plan();
        for member in &mut plan.members[..2] {
            member.path = Path::Cut;
            member.cut = Some(0);
        }
        let row = Row::Cut;
        plan.precedences = vec![
            Precedence { before: (0, Step::Sweep), after: (1, Step::Deliver), row },
            Precedence { before: (1, Step::Sweep), after: (0, Step::Deliver), row },
        ];
        plan.cuts = vec![Cut {
            members: vec![0, 1],
            because: vec![Row::Read],
            outage: Duration::from_secs(1),
            consumers: BTreeSet::new(),
        }];
        plan
    }

    /// The plan with what Remint itself acts with as its last member.
    pub(crate) fn with_own(&self) -> Plan {
        let mut plan = self.plan();
        let credential: Ref = "Credential/root".parse().unwrap();
        let mut own = plan.members[0].clone();
        own.destinations.clone_from(&self.estate.credentials[&credential].delivered_to);
        own.credential = credential;
        own.consumers = vec!["Workload/remint".parse().unwrap()];
        own.remint_acts = true;
        plan.waves[0].push(plan.members.len());
        plan.members.push(own);
        plan
    }

    /// Asks for a plan, approves it, and records who did.
    pub(crate) async fn approved(&self, engine: &Engine, plan: Plan) -> ResetId {
        let id = engine.context.reset().unwrap();
        let request = Request {
            id: id.clone(),
            plan,
            estate: self.estate.clone(),
            reason: "INC-1".to_owned(),
            by: "tester".to_owned(),
            at: engine.context.clock.now(),
        };
        engine.request(request).await.unwrap();
        engine.approve(&id, "tester").await.unwrap();
        id
    }

    /// A whole reset.
    pub(crate) async fn reset(&self, engine: &Engine, plan: Plan) -> Reset {
        let id = self.approved(engine, plan).await;
        self.drive(engine, &id).await.unwrap()
    }

    /// Runs a reset, and does what it asks a person for, until it asks for nothing more.
    pub(crate) async fn drive(&self, engine: &Engine, id: &ResetId) -> Result<Reset, EngineError> {
        loop {
            let reset = engine.run(id).await?;
            let open: Vec<_> =
                engine.tasks(Some(id)).await?.into_iter().filter(|task| task.attested.is_none()).collect();
            if open.is_empty() {
                return Ok(reset);
            }
            for task in open {
                // What was done once is not done again, whatever became of the word that it was.
                let fresh = self.by_hand.lock().unwrap().insert(task.id.clone());
                if fresh {
                    self.do_by_hand(task.about.name.as_str(), &task.id);
                }
                engine.attest(&task.id, "somebody", "done").await?;
            }
        }
    }

    fn do_by_hand(&self, target: &str, task: &str) {
        let living = self.issuer.live_versions(target);
        if task.ends_with("mint") {
            let (_, material) = self.issuer.plant(target, "by hand", None).unwrap();
            self.store.put(&format!("apps/{}", &target[3..]), &[("secret", &material.secret)]).unwrap();
        } else if task.ends_with("disable") {
            living.iter().for_each(|version| self.issuer.kill(&version.version));
        } else {
            living.iter().rev().skip(1).for_each(|version| self.issuer.kill(&version.version));
        }
    }
}

/// The documents of the estate, as a folder would hold them.
pub(crate) fn documents(shape: &Shape, world: &World) -> String {
    let urls = |service: &str| serde_json::to_string(&world.service(service).unwrap().urls()).unwrap();
    let made_by = serde_json::to_string(&shape.made_by).unwrap();
    let slots = serde_json::to_string(&shape.slots).unwrap();
    let Shape { concurrency, staged, propagation_millis, .. } = shape;
    let issues = shape.sort.issues();
    let mut text = format!(
        "apiVersion: remint.dev/v1alpha1\nkind: System\nmetadata: {{name: bank}}\nspec:\n  fake: {{role: issuer, issues: {issues}, endpoints: {}, madeBy: {made_by}, slots: {slots}, propagationMillis: {propagation_millis}}}\n  auth: {{credential: root}}\n  budget: {{concurrency: {concurrency}}}\n\
         ---\napiVersion: remint.dev/v1alpha1\nkind: System\nmetadata: {{name: shelf}}\nspec:\n  fake: {{role: store, endpoints: {}, staged: {staged}}}\n  budget: {{concurrency: {concurrency}}}\n\
         ---\napiVersion: remint.dev/v1alpha1\nkind: System\nmetadata: {{name: floor}}\nspec:\n  fake: {{role: workloads, endpoints: {}}}\n  budget: {{concurrency: {concurrency}}}\n\
         ---\napiVersion: remint.dev/v1alpha1\nkind: Identity\nmetadata: {{name: apps}}\nspec: {{class: workload, tier: standard, owners: {{business: b, policy: p, execution: e}}}}\n\
         ---\napiVersion: remint.dev/v1alpha1\nkind: Credential\nmetadata: {{name: root}}\nspec:\n  type: api-key\n  identity: apps\n  issuedBy: {{system: bank, target: root}}\n  deliveredTo: [{{at: \"shelf:keep/root#secret\"}}]\n",
        urls("bank"),
        urls("shelf"),
        urls("floor"),
    );
    for index in 0..shape.count {
        text.push_str(&shape.sort.documents(index));
    }
    text
}

/// Counts by state, for assertions a person can read.
pub(crate) fn states(records: &[remint::engine::record::RotationRecord]) -> BTreeMap<String, usize> {
    let mut counts = BTreeMap::new();
    for record in records {
        *counts.entry(record.rotation.state.to_string()).or_default() += 1;
    }
    counts
}

/// In memory where the machine has such a folder: these tests end processes, not machines.
fn state_folder() -> tempfile::TempDir {
    tempfile::tempdir_in("/dev/shm").or_else(|_| tempfile::tempdir()).unwrap()
}

/// What must be so after a reset that settled, whatever happened on the way: every old value is refused, one version of
/// every target lives and lies in the store, nothing is open, and the entries add up.
pub(crate) async fn assert_settled(rig: &Rig, engine: &Engine, reset: &Reset, old: &[Material], why: &str) {
    let records = engine.rotations(&reset.id).await.unwrap();
    assert_eq!(states(&records), [("settled (provisional)".to_owned(), records.len())].into(), "{why}: {records:#?}");
    assert_eq!(reset.status, ResetStatus::Provisional, "{why}");
    for (index, old) in old.iter().enumerate() {
        assert!(!rig.issuer.accepts(old), "{why}: the old value of app{index} lives");
        assert!(rig.issuer.accepts(&rig.value(index)), "{why}: what lies in the store is not accepted");
        let living = rig.issuer.live_versions(&format!("app{index}"));
        // An encryption key is only stopped.
        let living: Vec<_> = living.into_iter().filter(|version| !version.disabled).collect();
        assert_eq!(living.len(), 1, "{why}: {living:?}");
        let record = records.iter().find(|record| record.credential.name.as_str() == format!("app{index}")).unwrap();
        assert_eq!(record.rotation.facts.new.as_ref().unwrap().id.as_ref(), Some(&living[0].version), "{why}");
        assert_eq!(record.rotation.facts.proof, Some(rig.sort.proof()), "{why}");
    }
    let open = engine.store.list(kind::INTENT, Some(&reset.id.0)).await.unwrap();
    assert!(open.is_empty(), "{why}: {open:#?}");
    assert_chained(engine, &reset.id).await;
}

/// The entries are numbered and chained, and say what the format understands.
pub(crate) async fn assert_chained(engine: &Engine, id: &ResetId) -> Ledger {
    let entries = engine.store.entries_of(id).await.unwrap();
    Ledger::of(&id.0, entries.iter().map(|entry| entry.bytes.as_slice())).unwrap()
}

/// The kind and subject of every entry of a reset, in order.
pub(crate) async fn told(engine: &Engine, id: &ResetId) -> Vec<(String, String, serde_json::Value)> {
    let entries = engine.store.entries_of(id).await.unwrap();
    let read = |bytes: &[u8]| {
        let entry = remint_evidence_format::entry::parse(bytes).unwrap();
        let subject = entry.subject.as_deref().unwrap_or_default().to_owned();
        (entry.kind.to_string(), subject, serde_json::Value::Object(entry.body().unwrap()))
    };
    entries.iter().map(|entry| read(&entry.bytes)).collect()
}
