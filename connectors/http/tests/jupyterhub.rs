//! The conformance suite for the recipe jupyterhub-user-token over a real JupyterHub, and how many requests a rotation is.
#![expect(clippy::unwrap_used, clippy::panic, reason = "what cannot be set up ends the test")]

mod hub;

use std::collections::BTreeSet;
use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};

use async_trait::async_trait;
use hub::{Hub, Trouble, Way};
use remint_conformance::gate::Gate;
use remint_conformance::leaks::Leaks;
use remint_conformance::{Fault, Harness, IssuerCase, assert_passes, run};
use remint_contract::{
    Call, Connector, ConnectorKind as _, HostRules, Intent, Material, MintRequest, OperationId, Recovered,
    RightsChange, Strategy, Target, Verb, Verdict, VersionId,
};
use serde_json::json;

struct Case {
    hub: Hub,
    way: Way,
    gate: Gate,
    made: AtomicU32,
}

fn open(address: &str) -> Arc<dyn Connector> {
    let rules = HostRules { hosts: BTreeSet::from([address.to_owned()]), ..HostRules::default() };
    let settings = json!({"recipe": "jupyterhub-user-token", "base": format!("http://{address}/hub/api")});
    remint_http::kind().open(&settings, &rules).unwrap()
}

fn target(user: &str) -> Target {
    Target { name: format!("token-of-{user}"), settings: json!({"user": user, "scopes": ["self"], "lifetimeDays": 30}) }
}

impl Case {
    async fn new() -> Self {
        let hub = Hub::find();
        let way = Way::to(&hub.address).await;
        let gate = Gate::to(&way.address).await;
        Self { hub, way, gate, made: AtomicU32::new(0) }
    }

    fn acting(&self, actor: &str) -> Call {
        let operation = OperationId(format!("operation-{}", self.made.fetch_add(1, Ordering::Relaxed)));
        let deadline = "9000-01-01T00:00:00Z".parse().unwrap();
        Call { operation, deadline, actor: Some(Arc::new(Material::of(actor.into()))) }
    }

    fn admin(&self) -> Call {
        self.acting(&self.hub.token)
    }

    fn request(target: &Target) -> MintRequest {
        let (old, old_username, proposed) = (None, None, None);
        MintRequest { target: target.clone(), strategy: Strategy::Overlap, old, old_username, proposed }
    }
}

#[async_trait]
impl Harness for Case {
    fn connector(&self) -> Arc<dyn Connector> {
        open(&self.gate.address)
    }

    async fn call(&self) -> Call {
        self.admin()
    }

    async fn issuer_case(&self, _strategy: Strategy) -> Option<IssuerCase> {
        let case = target(&self.hub.user().await);
        let old = self.connector().mint(&self.admin(), &Self::request(&case)).await.unwrap();
        Some(IssuerCase { target: case, old, missing: target("nobody") })
    }

    async fn wrong_actor(&self) -> Option<Call> {
        Some(self.acting("nobody-marker-4711"))
    }

    async fn unreachable(&self) -> Option<Arc<dyn Connector>> {
        let free = std::net::TcpListener::bind(("127.0.0.1", 0)).unwrap().local_addr().unwrap();
        Some(open(&free.to_string()))
    }

    async fn requests(&self) -> Option<u64> {
        Some(self.way.seen().requests)
    }

    fn gate(&self) -> Option<&Gate> {
        Some(&self.gate)
    }

    async fn fault(&self, fault: Fault) -> bool {
        self.way.seen().trouble = Some(match fault {
            Fault::LyingRevoke => Trouble::Lie,
            Fault::Lagging => Trouble::Hold,
            Fault::LostAnswer(Verb::Mint) => Trouble::Lose,
            Fault::Throttle => Trouble::Throttle,
            Fault::LostAnswer(_) => return false,
        });
        true
    }

    async fn settle(&self) {
        self.way.settle().await;
    }

    async fn plant_foreign(&self, target: &Target) -> Option<String> {
        let user = target.settings["user"].as_str()?;
        self.hub.post(&format!("/users/{user}/tokens"), json!({"note": "planted"})).await;
        Some("planted".to_owned())
    }
}

#[tokio::test]
async fn tokens_of_a_real_hub_behave_as_the_contract_says() {
    let case = Case::new().await;
    let report = run(&case).await;
    assert_passes(&report);
    let not_shown: Vec<_> = report.not_shown.iter().map(|(name, _)| name.as_str()).collect();
    let expected = [
        "Overlap: disable stops a version and enable brings it back",
        "Overlap: what came from a version ends, and is seen to end",
    ];
    assert_eq!(not_shown, expected, "{report}");
    let mut leaks = Leaks::default();
    leaks.watch(&case.hub.token.as_str().into());
    leaks.scan("an address or a body", &case.way.seen().asked.join("\n"));
    assert!(leaks.found().is_empty());
}

/// What the engine asks of an issuer for one rotation at one endpoint: the old value before, the new one, its rights, the
/// change, the old value twice and the new one as control, and what lives.
#[tokio::test]
async fn one_rotation_is_as_many_requests_as_declared_and_written_down() {
    let case = Case::new().await;
    let (connector, target) = (case.connector(), target(&case.hub.user().await));
    let call = case.admin();
    let old = connector.mint(&call, &Case::request(&target)).await.unwrap();
    let before = case.way.seen().requests;
    connector.probe(&call, &target, &old.material, 0).await.unwrap();
    let next = case.admin();
    let new = connector.mint(&next, &Case::request(&target)).await.unwrap();
    connector.verify(&call, &target, &new.material).await.unwrap();
    let change = connector.compare_rights(&call, &target, &old.version, &new.version).await.unwrap();
    assert_eq!(change, RightsChange::Equal);
    connector.revoke(&call, &target, &old.version).await.unwrap();
    for material in [&old.material, &old.material, &new.material] {
        connector.probe(&call, &target, material, 0).await.unwrap();
    }
    let live = connector.enumerate(&call, std::slice::from_ref(&target)).await.unwrap();
    assert_eq!(live.len(), 1);
    let requests = u32::try_from(case.way.seen().requests - before).unwrap();
    let declared = connector.describe().issuer.unwrap().calls;
    assert_eq!(declared, [(Strategy::Overlap, requests)]);
    let line = format!("| jupyterhub-user-token | overlap | {requests} |");
    assert!(
        include_str!("../../../src/docs/catalogue/http.md").contains(&line),
        "src/docs/catalogue/http.md lacks: {line}"
    );
}

/// Over SQLite the id of the newest token is given again once that is deleted.
#[tokio::test]
async fn a_token_that_got_the_id_of_a_dead_one_is_another_version_and_stays() {
    let case = Case::new().await;
    let (connector, target) = (case.connector(), target(&case.hub.user().await));
    let id = |version: &VersionId| version.0.split('@').next().unwrap().to_owned();
    let mint = async || connector.mint(&case.admin(), &Case::request(&target)).await.unwrap();
    // Other tests make tokens meanwhile, so that it may take some tries.
    let (dead, alive) = loop {
        let dead = mint().await;
        connector.revoke(&case.admin(), &target, &dead.version).await.unwrap();
        let alive = mint().await;
        if id(&dead.version) == id(&alive.version) {
            break (dead, alive);
        }
    };
    assert_ne!(dead.version, alive.version);
    let verified = connector.verify(&case.admin(), &target, &alive.material).await.unwrap();
    assert_eq!(verified.version, alive.version);
    connector.revoke(&case.admin(), &target, &dead.version).await.unwrap();
    let verdict = connector.probe(&case.admin(), &target, &alive.material, 0).await.unwrap();
    assert_eq!(verdict, Verdict::Accepted, "what was said of the dead one did not reach it");
    let live = connector.enumerate(&case.admin(), std::slice::from_ref(&target)).await.unwrap();
    assert!(live.iter().any(|one| one.version == alive.version));
    assert!(live.iter().all(|one| one.version != dead.version));
    let intent = Intent {
        operation: case.admin().operation,
        verb: Verb::Revoke,
        target: target.clone(),
        version: Some(dead.version),
        mint: None,
    };
    assert!(matches!(connector.recover(&case.admin(), &intent).await.unwrap(), Recovered::Done(None)));
}
