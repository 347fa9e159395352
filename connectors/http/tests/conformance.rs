//! The conformance suite for the recipe gitlab-project-token over a small server of this test, which answers as GitLab's
//! documentation says. It is not GitLab: nothing here was tried against gitlab.com.
#![expect(clippy::unwrap_used, reason = "what cannot be set up ends the test")]

mod vendor;

use std::collections::BTreeSet;
use std::sync::Arc;

use async_trait::async_trait;
use remint_conformance::gate::Gate;
use remint_conformance::leaks::Leaks;
use remint_conformance::{Fault, Harness, IssuerCase, assert_passes, run};
use remint_contract::{
    Call, Connector, ConnectorKind as _, ErrorKind, HostRules, Material, MintRequest, OperationId, RightsChange,
    Strategy, Target, Verb, Verdict, VersionId,
};
use serde_json::json;
use vendor::{ADMIN, Vendor};

struct GitLab(Vendor, Gate);

fn open(address: &str) -> Arc<dyn Connector> {
    let rules = HostRules { hosts: BTreeSet::from([address.to_owned()]), ..HostRules::default() };
    let settings = json!({"recipe": "gitlab-project-token", "base": format!("http://{address}/api/v4")});
    remint_http::kind().open(&settings, &rules).unwrap()
}

fn target(project: u64) -> Target {
    let settings = json!({"project": project, "scopes": ["read_api"], "accessLevel": 30, "lifetimeDays": 90});
    Target { name: format!("ci-{project}"), settings }
}

impl GitLab {
    async fn new() -> Self {
        let vendor = Vendor::start().await;
        let gate = Gate::to(&vendor.address).await;
        vendor.world().public = Some(gate.address.clone());
        Self(vendor, gate)
    }

    fn acting(&self, actor: &str) -> Call {
        let operation = OperationId(format!("operation-{}", self.0.world().next()));
        let deadline = "2026-11-21T17:00:00Z".parse().unwrap();
        Call { operation, deadline, actor: Some(Arc::new(Material::of(actor.into()))) }
    }

    fn request(&self, target: &Target) -> MintRequest {
        let (old, old_username, proposed) = (None, None, None);
        MintRequest { target: target.clone(), strategy: Strategy::Overlap, old, old_username, proposed }
    }
}

#[async_trait]
impl Harness for GitLab {
    fn connector(&self) -> Arc<dyn Connector> {
        open(&self.1.address)
    }

    async fn call(&self) -> Call {
        self.acting(ADMIN)
    }

    async fn issuer_case(&self, _strategy: Strategy) -> Option<IssuerCase> {
        let project = self.0.world().project();
        let case = target(project);
        let old = self.connector().mint(&self.call().await, &self.request(&case)).await.unwrap();
        Some(IssuerCase { target: case, old, missing: target(999_999) })
    }

    async fn wrong_actor(&self) -> Option<Call> {
        Some(self.acting("nobody-marker-4711"))
    }

    async fn unreachable(&self) -> Option<Arc<dyn Connector>> {
        let free = std::net::TcpListener::bind(("127.0.0.1", 0)).unwrap().local_addr().unwrap();
        Some(open(&free.to_string()))
    }

    async fn requests(&self) -> Option<u64> {
        Some(self.0.world().asked.len() as u64)
    }

    fn gate(&self) -> Option<&Gate> {
        Some(&self.1)
    }

    async fn fault(&self, fault: Fault) -> bool {
        self.0.world().fault = Some(match fault {
            Fault::LyingRevoke => vendor::Fault::LyingDelete,
            Fault::Lagging => vendor::Fault::LaggingDelete,
            Fault::LostAnswer(Verb::Mint) => vendor::Fault::LostPost,
            Fault::Throttle => vendor::Fault::Throttle,
            Fault::LostAnswer(_) => return false,
        });
        true
    }

    async fn settle(&self) {
        self.0.world().settle();
    }

    async fn plant_foreign(&self, target: &Target) -> Option<String> {
        let project = target.settings["project"].as_u64()?;
        self.0.world().make(project, "planted", json!(["api"]), json!(50), json!("2027-01-01"));
        Some("planted".to_owned())
    }
}

#[tokio::test]
async fn a_recipe_behaves_as_the_contract_says() {
    let gitlab = GitLab::new().await;
    let report = run(&gitlab).await;
    assert_passes(&report);
    let not_shown: Vec<_> = report.not_shown.iter().map(|(name, _)| name.as_str()).collect();
    let expected = [
        "Overlap: verify and the probe of the endpoint that it stands for accept and refuse the same",
        "Overlap: disable stops a version and enable brings it back",
        "Overlap: what came from a version ends, and is seen to end",
    ];
    assert_eq!(not_shown, expected, "{report}");
    let mut leaks = Leaks::default();
    leaks.watch(&ADMIN.into());
    leaks.watch(&"glpat-made-marker".into());
    leaks.scan("an address", &gitlab.0.world().asked.join("\n"));
    assert!(leaks.found().is_empty());
}

#[tokio::test]
async fn a_token_is_made_as_the_target_says_and_its_rights_and_last_use_are_read() {
    let gitlab = GitLab::new().await;
    let (connector, project) = (gitlab.connector(), gitlab.0.world().project());
    let (call, target) = (gitlab.call().await, target(project));
    let made = connector.mint(&call, &gitlab.request(&target)).await.unwrap();
    let verified = connector.verify(&call, &target, &made.material).await.unwrap();
    assert_eq!(verified.principal, project.to_string());
    assert_eq!(verified.expires, Some("2027-02-19T00:00:00Z".parse().unwrap()), "90 days later, at midnight");
    let wider = gitlab.0.world().make(project, "wider", json!(["read_api", "api"]), json!(30), json!("2027-01-01"));
    let wider = VersionId(wider["id"].to_string());
    let change = connector.compare_rights(&call, &target, &made.version, &wider).await.unwrap();
    assert_eq!(change, RightsChange::Broader(vec!["scopes api".to_owned()]));
    let since = "2026-11-21T10:30:00Z".parse().unwrap();
    assert_eq!(connector.last_used(&call, &target, &made.version, since).await.unwrap().len(), 1);
    assert!(connector.last_used(&call, &target, &made.version, call.deadline).await.unwrap().is_empty());
}

#[tokio::test]
async fn what_is_not_a_denial_of_the_token_proves_nothing() {
    let gitlab = GitLab::new().await;
    let (connector, project) = (gitlab.connector(), gitlab.0.world().project());
    let (call, target) = (gitlab.call().await, target(project));
    let made = connector.mint(&call, &gitlab.request(&target)).await.unwrap();
    for fault in [vendor::Fault::Forbid, vendor::Fault::Throttle, vendor::Fault::Redirect] {
        gitlab.0.world().fault = Some(fault);
        let verdict = connector.probe(&call, &target, &made.material, 0).await.unwrap();
        assert!(matches!(verdict, Verdict::Unclear(_)), "{verdict:?}");
        let error = connector.verify(&call, &target, &made.material).await.unwrap_err();
        assert_ne!(error.kind, ErrorKind::Denied, "{error}");
        assert!(!format!("{error} {error:?}").contains("marker"), "{error:?}");
    }
    assert!(!gitlab.0.world().asked.iter().any(|path| path.contains("elsewhere")), "the redirect was followed");
}

#[tokio::test]
async fn a_next_page_on_another_host_is_not_read() {
    let gitlab = GitLab::new().await;
    let elsewhere = Vendor::start().await;
    let (connector, project) = (gitlab.connector(), gitlab.0.world().project());
    let (call, target) = (gitlab.call().await, target(project));
    gitlab.0.world().link = Some(format!("http://{}/api/v4/projects/{project}/access_tokens", elsewhere.address));
    let error = connector.enumerate(&call, &[target]).await.unwrap_err();
    assert_eq!(error.kind, ErrorKind::Invalid, "{error}");
    assert!(elsewhere.world().asked.is_empty());
}
