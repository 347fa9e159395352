//! A small estate of fake services with an engine over it.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt::Write as _;
use std::sync::Arc;
use std::time::Duration;

use remint::context::Context;
use remint::engine::record::Reset;
use remint::engine::reset::Request;
use remint::engine::{Engine, EngineSettings};
use remint::escrow::{Escrow, Kek, SystemRandomness};
use remint::store::Store;
use remint::store::sqlite::SqliteStore;
use remint_contract::{ConfirmGrade, ConnectorKind, HostRules, Kinds, ProofGrade, Ref, ResetId};
use remint_core::digest::Digest;
use remint_core::estate::{Estate, SourceFile, load};
use remint_core::plan::{Limits, Member, Plan};
use remint_core::step::Path;
use remint_fake::FakeKind;
use remint_fake::world::{
    Holding, Host, HostSpec, Issuer, IssuerSpec, Store as FakeStore, StoreSpec, TargetSpec, WorkloadSpec, World,
};

/// The fake kind and no other.
pub struct OnlyFake(pub FakeKind);

impl Kinds for OnlyFake {
    fn kind(&self, name: &str) -> Option<&dyn ConnectorKind> {
        (name == "fake").then_some(&self.0 as &dyn ConnectorKind)
    }

    fn names(&self) -> Vec<&'static str> {
        vec!["fake"]
    }
}

/// An issuer, a store and a workload for each of `count` credentials; `admin` is what Remint acts with.
pub struct Rig {
    pub world: World,
    pub issuer: Arc<Issuer>,
    pub store: Arc<FakeStore>,
    pub host: Arc<Host>,
    pub estate: Estate,
    pub folder: tempfile::TempDir,
    keys: tempfile::TempDir,
    pub settings: EngineSettings,
}

impl Rig {
    pub async fn start(count: usize) -> Self {
        Self::with(count, |_| {}).await
    }

    /// `shape` changes the issuer before it starts.
    pub async fn with(count: usize, shape: impl FnOnce(&mut IssuerSpec)) -> Self {
        let mut world = World::start().await.unwrap();
        let mut spec = IssuerSpec::new("bank").with(TargetSpec::admin("root"));
        for index in 0..count {
            spec = spec.with(TargetSpec::new(&format!("app{index}")));
        }
        shape(&mut spec);
        let issuer = world.issuer(spec).await.unwrap();
        let store = world.store(StoreSpec::new("shelf").open()).await.unwrap();
        let (_, root) = issuer.seed("root").unwrap();
        store.put("keep/root", &[("secret", &root.secret)]).unwrap();
        let mut workloads = Vec::new();
        for index in 0..count {
            let (_, material) = issuer.seed(&format!("app{index}")).unwrap();
            let path = format!("apps/{index}");
            store.put(&path, &[("secret", &material.secret)]).unwrap();
            workloads
                .push(WorkloadSpec { name: format!("w{index}"), holds: vec![Holding::new("shelf", &path, "bank")] });
        }
        let host =
            world.workloads(HostSpec { name: "floor".to_owned(), latency: Duration::ZERO, workloads }).await.unwrap();
        let text = documents(count, &world);
        let files = [SourceFile { name: "estate.yaml".to_owned(), bytes: text.into_bytes() }];
        let estate = load(&files, &OnlyFake(FakeKind)).map_err(|problems| panic!("{problems}")).unwrap().estate;
        let settings = EngineSettings {
            poll: Duration::from_millis(5),
            patience: Duration::from_secs(2),
            reproofs: vec![Duration::ZERO],
            ..EngineSettings::default()
        };
        Self {
            world,
            issuer,
            store,
            host,
            estate,
            folder: tempfile::tempdir().unwrap(),
            keys: tempfile::tempdir().unwrap(),
            settings,
        }
    }

    /// An engine over the state folder: a new process, as far as it knows.
    pub fn engine(&self) -> Engine {
        self.engine_over(Arc::new(SqliteStore::open(self.folder.path()).unwrap()))
    }

    pub fn engine_over(&self, store: Arc<dyn Store>) -> Engine {
        let path = self.keys.path().join("kek");
        Kek::create(&path, self.folder.path(), false, &SystemRandomness).unwrap();
        let kek = Kek::load(&path, self.folder.path(), false).unwrap();
        let escrow = Arc::new(Escrow::new(kek, Box::new(SystemRandomness)));
        Engine::new(
            store,
            escrow,
            Arc::new(OnlyFake(FakeKind)),
            HostRules::default(),
            Context::system(),
            self.settings.clone(),
        )
    }

    /// A plan by hand: every application's credential, rolling, nothing before anything.
    pub fn plan(&self) -> Plan {
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
                least_proof: ProofGrade::Refused,
                outage: None,
                hold: Duration::ZERO,
                confirm_within: Duration::from_secs(2),
            })
            .collect();
        Plan {
            digest: Digest::of(b"by hand"),
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
        }
    }

    /// Asks for a plan, approves it, and records who did.
    pub async fn approved(&self, engine: &Engine, plan: Plan) -> ResetId {
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
    pub async fn reset(&self, engine: &Engine, plan: Plan) -> Reset {
        let id = self.approved(engine, plan).await;
        engine.run(&id).await.unwrap()
    }
}

/// The documents of the estate, as a folder would hold them.
pub fn documents(count: usize, world: &World) -> String {
    let urls = |service: &str| serde_json::to_string(&world.service(service).unwrap().urls()).unwrap();
    let mut text = format!(
        "apiVersion: remint.dev/v1alpha1\nkind: System\nmetadata: {{name: bank}}\nspec:\n  fake: {{role: issuer, endpoints: {}}}\n  auth: {{credential: root}}\n  budget: {{concurrency: 64}}\n\
         ---\napiVersion: remint.dev/v1alpha1\nkind: System\nmetadata: {{name: shelf}}\nspec:\n  fake: {{role: store, endpoints: {}}}\n  budget: {{concurrency: 64}}\n\
         ---\napiVersion: remint.dev/v1alpha1\nkind: System\nmetadata: {{name: floor}}\nspec:\n  fake: {{role: workloads, endpoints: {}}}\n  budget: {{concurrency: 64}}\n\
         ---\napiVersion: remint.dev/v1alpha1\nkind: Identity\nmetadata: {{name: apps}}\nspec: {{class: workload, tier: standard, owners: {{business: b, policy: p, execution: e}}}}\n\
         ---\napiVersion: remint.dev/v1alpha1\nkind: Credential\nmetadata: {{name: root}}\nspec:\n  type: api-key\n  identity: apps\n  issuedBy: {{system: bank, target: root}}\n  deliveredTo: [{{at: \"shelf:keep/root#secret\"}}]\n",
        urls("bank"),
        urls("shelf"),
        urls("floor"),
    );
    for index in 0..count {
        write!(
            text,
            "---\napiVersion: remint.dev/v1alpha1\nkind: Credential\nmetadata: {{name: app{index}}}\nspec:\n  type: api-key\n  identity: apps\n  issuedBy: {{system: bank, target: app{index}}}\n  deliveredTo: [{{at: \"shelf:apps/{index}#secret\"}}]\n  consumedBy: [w{index}]\n\
             ---\napiVersion: remint.dev/v1alpha1\nkind: Workload\nmetadata: {{name: w{index}}}\nspec:\n  runsOn: {{system: floor, ref: w{index}}}\n  reload: http\n  confirm: {{how: self-reported, within: 2s}}\n"
        )
        .unwrap();
    }
    text
}

/// Counts by state, for assertions a person can read.
pub fn states(records: &[remint::engine::record::RotationRecord]) -> BTreeMap<String, usize> {
    let mut counts = BTreeMap::new();
    for record in records {
        *counts.entry(record.rotation.state.to_string()).or_default() += 1;
    }
    counts
}

/// Every value that was ever delivered, in the order in which it was seen.
pub type Values = BTreeSet<Vec<u8>>;
