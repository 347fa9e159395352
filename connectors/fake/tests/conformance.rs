//! The conformance suite over sockets: issuers of every way of making a secret, stores, and a host of workloads.
#![expect(clippy::unwrap_used, reason = "what cannot be set up ends the test")]

use std::sync::atomic::{AtomicU32, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use async_trait::async_trait;
use jiff::Timestamp;
use remint_conformance::gate::Gate;
use remint_conformance::{ConsumerCase, Fault as Asked, Harness, IssuerCase, StoreCase, assert_passes, run};
use remint_contract::{
    Call, Connector, ConnectorKind, Expected, HostRules, MadeBy, Material, Minted, OperationId, SecretValue, Strategy,
    Target, Verb, Workload,
};
use remint_fake::FakeKind;
use remint_fake::world::{
    Fault, FaultId, Holding, HostSpec, Issuer, IssuerSpec, Store, StoreSpec, TargetSpec, Trouble, WorkloadSpec, World,
};
use serde_json::json;

struct Fake {
    world: tokio::sync::Mutex<World>,
    issuer: Arc<Issuer>,
    store: Arc<Store>,
    settings: serde_json::Value,
    gate: Gate,
    admin: Material,
    made: AtomicU32,
    faults: Mutex<Vec<FaultId>>,
    sessions: Mutex<Vec<Material>>,
}

impl Fake {
    async fn new(role: &str, made_by: MadeBy) -> Self {
        let mut world = World::start().await.unwrap();
        let spec = IssuerSpec { made_by, endpoints: 2, ..IssuerSpec::new("ids") };
        let issuer = world.issuer(spec.with(TargetSpec::admin("root")).with(TargetSpec::new("plain"))).await.unwrap();
        let admin = issuer.seed("root").unwrap().1;
        let store = world.store(StoreSpec::new("vault").writable("ids", "root", "")).await.unwrap();
        let urls = match role {
            "issuer" => issuer.urls(),
            "store" => store.urls(),
            _ => {
                let holds = |name: &str| {
                    let secret = SecretValue::from(format!("old-marker-{name}"));
                    store.put(name, &[("secret", &secret)]).unwrap();
                    WorkloadSpec { name: name.to_owned(), holds: vec![Holding::new("vault", name, "ids")] }
                };
                let workloads = WORKLOADS.into_iter().map(holds).collect();
                world
                    .workloads(HostSpec { name: "host".into(), latency: Duration::ZERO, workloads })
                    .await
                    .unwrap()
                    .urls()
            }
        };
        // What changes something goes to the first endpoint.
        let mut urls: Vec<String> = urls.into_iter().map(|url| url.to_string()).collect();
        let gate = Gate::to(&urls[0]).await;
        urls[0] = format!("http://{}", gate.address);
        let settings =
            json!({"role": role, "endpoints": urls, "madeBy": made_by, "strategies": ["overlap", "in-place"]});
        Self {
            world: tokio::sync::Mutex::new(world),
            issuer,
            store,
            settings,
            gate,
            admin,
            made: AtomicU32::new(0),
            faults: Mutex::default(),
            sessions: Mutex::default(),
        }
    }

    fn next(&self) -> u32 {
        self.made.fetch_add(1, Ordering::Relaxed)
    }

    fn call_by(&self, actor: &Material) -> Call {
        let operation = OperationId(format!("operation-{}", self.next()));
        Call { operation, deadline: Timestamp::MAX, actor: Some(Arc::new(actor.clone())) }
    }
}

fn open(settings: &serde_json::Value) -> Arc<dyn Connector> {
    FakeKind.open(settings, &HostRules::default()).unwrap()
}

fn workload(name: &str) -> Workload {
    Workload { name: name.to_owned(), reference: name.to_owned(), settings: serde_json::Value::Null }
}

#[async_trait]
impl Harness for Fake {
    fn connector(&self) -> Arc<dyn Connector> {
        open(&self.settings)
    }

    async fn call(&self) -> Call {
        self.call_by(&self.admin)
    }

    async fn issuer_case(&self, _strategy: Strategy) -> Option<IssuerCase> {
        let target = |name: String| Target { name, settings: serde_json::Value::Null };
        let name = format!("web-{}", self.next());
        self.issuer.add_target(TargetSpec::new(&name));
        let (version, material) = self.issuer.seed(&name).unwrap();
        Some(IssuerCase { target: target(name), old: Minted { version, material }, missing: target("none".to_owned()) })
    }

    async fn store_case(&self) -> Option<StoreCase> {
        let path = format!("app-{}", self.next());
        let kept = SecretValue::from("kept-marker-0815");
        self.store.put(&path, &[("kept", &kept)]).unwrap();
        let kept = Some(("kept".to_owned(), kept));
        Some(StoreCase { path, field: "secret".to_owned(), kept, missing: "nowhere".to_owned() })
    }

    async fn consumer_case(&self) -> Option<ConsumerCase> {
        let name = WORKLOADS[usize::try_from(self.next()).unwrap() % WORKLOADS.len()];
        let old = SecretValue::from(format!("old-marker-{name}"));
        let new = SecretValue::from(format!("new-marker-{name}"));
        self.store.put(name, &[("secret", &old)]).unwrap();
        self.world.lock().await.hosts()["host"].restart(name).await;
        self.store.put(name, &[("secret", &new)]).unwrap();
        let (new, old) = (Material::of(new).fingerprint(), Material::of(old).fingerprint());
        let expected = Expected { new, old: Some(old), path: None };
        Some(ConsumerCase { workload: workload(name), expected, missing: Some(workload("nobody")) })
    }

    async fn wrong_actor(&self) -> Option<Call> {
        match self.settings["role"].as_str() {
            Some("issuer") => Some(self.call_by(&self.issuer.seed("plain").unwrap().1)),
            // Without a path a store asks only who it is: a bearer without any grant is let through.
            Some("store") => Some(self.call_by(&Material::of("no-credential-of-anybody".into()))),
            _ => None,
        }
    }

    async fn unreachable(&self) -> Option<Arc<dyn Connector>> {
        let closed = std::net::TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap();
        let mut settings = self.settings.clone();
        settings["endpoints"] = json!([format!("http://{closed}")]);
        Some(open(&settings))
    }

    async fn requests(&self) -> Option<u64> {
        let world = self.world.lock().await;
        let service = match self.settings["role"].as_str() {
            Some("issuer") => "ids",
            Some("store") => "vault",
            _ => "host",
        };
        Some(world.service(service)?.counts().of("remint").calls)
    }

    fn gate(&self) -> Option<&Gate> {
        Some(&self.gate)
    }

    async fn fault(&self, fault: Asked) -> bool {
        let fault = match fault {
            Asked::LyingRevoke => Fault::on("revoke", Trouble::Lie).times(1),
            Asked::LostAnswer(Verb::Mint) => Fault::on("mint", Trouble::LostAfter).times(1),
            Asked::Throttle => Fault::on("revoke", Trouble::Throttle(Duration::from_secs(1))).times(1),
            // An endpoint that is behind does not know of a version that was made just now: nothing to show here.
            Asked::LostAnswer(_) | Asked::Lagging => return false,
        };
        self.faults.lock().unwrap().push(self.issuer.fault(fault));
        true
    }

    async fn settle(&self) {
        for fault in self.faults.lock().unwrap().drain(..) {
            self.issuer.end_fault(fault);
        }
    }

    async fn plant_foreign(&self, target: &Target) -> Option<String> {
        self.issuer.plant(&target.name, "planted-by-nobody", None).unwrap();
        Some("planted-by-nobody".to_owned())
    }

    async fn open_session(&self, target: &Target, material: &Material) -> Option<u64> {
        let version = self.connector().verify(&self.call().await, target, material).await.unwrap().version;
        let mut sessions = self.sessions.lock().unwrap();
        sessions.push(self.issuer.open_session(&version).unwrap());
        u64::try_from(sessions.len() - 1).ok()
    }

    async fn session_alive(&self, session: u64) -> bool {
        let sessions = self.sessions.lock().unwrap();
        self.issuer.accepts(&sessions[usize::try_from(session).unwrap()])
    }
}

#[tokio::test]
async fn issuers_conform_however_the_secret_is_made() {
    for made_by in [MadeBy::Remint, MadeBy::Issuer, MadeBy::IssuerOnce] {
        assert_passes(&run(&Fake::new("issuer", made_by).await).await);
    }
}

#[tokio::test]
async fn stores_conform() {
    assert_passes(&run(&Fake::new("store", MadeBy::Issuer).await).await);
}

#[tokio::test]
async fn hosts_conform() {
    assert_passes(&run(&Fake::new("workloads", MadeBy::Issuer).await).await);
}

const WORKLOADS: [&str; 3] = ["shop", "mail", "search"];
