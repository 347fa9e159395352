//! A charter, persons with accounts in the cluster, and a controller that carries.

use std::os::unix::fs::MetadataExt as _;
use std::path::Path;

use serde_json::{Value, json};

use super::super::Place;
use super::rig::until;
use super::{Installed, place, rights};

/// What the team's policies have no word for: the pod itself, which everybody is who may `kubectl exec` into it.
const POD: &str = "@id(\"the-pod\")
@because(\"the daemon carries out what persons decided; its first estate is activated in its pod\")
permit (
  principal in Remint::Group::\"pods\",
  action in [Remint::Action::\"execute\", Remint::Action::\"change-estate\"],
  resource
);
";

const NAMES: [&str; 5] = ["alice", "bob", "carol", "argo", "mallory"];

fn principal(name: &str) -> String {
    format!("kubernetes:system:serviceaccount:default:{name}")
}

/// The folder of a charter as a `ConfigMap`.
fn charter() -> Value {
    // In a pod it is the user of its securityContext.
    let unix = std::fs::metadata("/proc/self").unwrap().uid();
    let persons = format!(
        "persons:\n  alice: {{principals: ['{}'], groups: [responders, approvers]}}\n  \
         bob: {{principals: ['{}'], groups: [approvers]}}\n  carol: {{principals: ['{}'], groups: [approvers]}}\n\
         services:\n  argo: {{principals: ['{}'], groups: [responders], owners: [alice]}}\n  \
         pod: {{principals: ['unix:{unix}'], groups: [pods], owners: [carol]}}\n",
        principal("alice"),
        principal("bob"),
        principal("carol"),
        principal("argo")
    );
    let team = Path::new(env!("CARGO_MANIFEST_DIR")).join("policy/tests/policy/team.cedar");
    let team = std::fs::read_to_string(team).unwrap();
    json!({"kind": "ConfigMap", "metadata": {"name": "remint-charter"},
        "data": {"persons.yaml": persons, "team.cedar": team, "pod.cedar": POD}})
}

/// Accounts that may ask and approve in the namespace `default`, and nothing else.
struct Crew<'i> {
    installed: &'i Installed,
    tokens: Vec<(&'static str, String)>,
}

impl<'i> Crew<'i> {
    async fn new(installed: &'i Installed) -> Self {
        let server = &installed.server;
        let rbac = "/apis/rbac.authorization.k8s.io/v1/namespaces/default";
        let acts = ["resets", "approvals"];
        let role = json!({"metadata": {"name": "acts"},
            "rules": [{"apiGroups": ["remint.dev"], "resources": acts, "verbs": ["get", "create", "patch"]}]});
        server.ask("POST", &format!("{rbac}/roles"), &role).await.ok();
        let accounts = "/api/v1/namespaces/default/serviceaccounts";
        let mut tokens = Vec::new();
        for name in NAMES {
            server.ask("POST", accounts, &json!({"metadata": {"name": name}})).await.ok();
            let bound = json!({
                "metadata": {"name": format!("acts-{name}")},
                "roleRef": {"apiGroup": "rbac.authorization.k8s.io", "kind": "Role", "name": "acts"},
                "subjects": [{"kind": "ServiceAccount", "name": name, "namespace": "default"}],
            });
            server.ask("POST", &format!("{rbac}/rolebindings"), &bound).await.ok();
            let token = server.ask("POST", &format!("{accounts}/{name}/token"), &json!({"spec": {}})).await.ok();
            let token = token["status"]["token"].as_str().unwrap().to_owned();
            until("the account may", async || {
                let none = "/apis/remint.dev/v1alpha1/namespaces/default/resets/none";
                let seen = server.ask_as(&token, "GET", none, "application/json", String::new()).await;
                (seen.status == 404).then_some(())
            })
            .await;
            tokens.push((name, token));
        }
        Self { installed, tokens }
    }

    async fn applies(&self, who: &str, object: &Value) {
        let token = &self.tokens.iter().find(|(name, _)| *name == who).unwrap().1;
        self.installed.takes(token, object).await.ok();
    }

    /// Applies, and waits for what came of it.
    async fn comes_to(&self, who: &str, object: &Value, phase: &str) -> Value {
        self.applies(who, object).await;
        self.installed.stands(object, "/status/phase", phase).await
    }

    /// Somebody asks for one credential.
    async fn asks(&self, who: &str, name: &str, credential: &str, phase: &str) -> Value {
        let from = [format!("Credential/{credential}")];
        let reset = Installed::act("Reset", name, json!({"from": from, "reason": "INC-1"}));
        self.comes_to(who, &reset, phase).await
    }

    async fn says_yes(&self, who: &str, reset: &Value, phase: &str) -> Value {
        let of = reset["metadata"]["name"].as_str().unwrap();
        let spec = json!({"reset": of, "plan": reset["status"]["plan"]});
        self.comes_to(who, &Installed::act("Approval", &format!("{of}-{who}"), spec), phase).await
    }
}

fn next(object: &Value) -> &str {
    object["status"]["nextAction"].as_str().unwrap_or_default()
}

#[tokio::test]
async fn installed_with_a_charter_nobody_approves_what_he_asked_for_and_a_carrier_takes_one_person_more() {
    let values = [
        "--set",
        "governance.charter=remint-charter",
        "--set",
        "operator.carriers={system:serviceaccount:default:ar*}",
    ];
    let installed = Installed::over(Place::bare(4).await, &[charter()], &values).await;
    let (server, pods) = (&installed.server, &installed.pods);
    let log = rights::Audit::of(&installed, &["default"]).await;
    let daemon = pods.daemon(server).await;

    // A pod may go at any time, also before anybody said that what was applied is the estate.
    installed.documents().await;
    let bank = json!({"kind": "System", "metadata": {"name": "bank"}});
    until("it waits for somebody's word", async || {
        let seen = server.ask("GET", &place(&bank), &Value::Null).await.body;
        seen["status"]["conditions"].to_string().contains("remint estate activate sha256:").then_some(())
    })
    .await;
    daemon.stop().await;
    let daemon = pods.daemon(server).await;
    installed.ready().await;
    let before = installed.place.values(4);
    let crew = Crew::new(&installed).await;

    // One asks, another says yes; he himself may not, though he is one of those who may.
    let own = crew.asks("alice", "own", "app0", "Requested").await;
    assert_eq!(own["spec"]["requestedBy"]["user"], "system:serviceaccount:default:alice");
    let alone = crew.says_yes("alice", &own, "Refused").await;
    assert!(alone["status"].to_string().contains("may not approve"), "{alone}");
    assert_eq!(installed.get(&place(&own)).await["status"]["phase"], "Requested");
    assert_eq!(installed.place.values(4), before, "nobody else approved it");
    crew.says_yes("bob", &own, "Recorded").await;
    installed.rotated(&own, "app0").await;
    assert_ne!(installed.place.values(4)[0], before[0]);

    // Whoever only carries is nobody's word: two persons look at it.
    let brought = crew.asks("argo", "brought", "app1", "Requested").await;
    crew.says_yes("argo", &brought, "Refused").await;
    let one = crew.says_yes("bob", &brought, "Recorded").await;
    assert!(!next(&one).is_empty(), "it lacks one more: {one}");
    assert_eq!(installed.get(&place(&brought)).await["status"]["phase"], "Requested");
    assert_eq!(installed.place.values(4)[1], before[1], "one person and the carrier are not enough");
    crew.says_yes("carol", &brought, "Recorded").await;
    installed.rotated(&brought, "app1").await;
    assert_ne!(installed.place.values(4)[1], before[1]);

    // Who may only approve asks for nothing, and whoever is not in the table is nobody.
    for who in ["bob", "mallory"] {
        let refused = crew.asks(who, who, "app2", "Refused").await;
        assert!(refused["status"].to_string().contains("may not request"), "{refused}");
    }
    // Nor is the user of the cluster who may do everything there.
    let reset = Installed::act("Reset", "admin", json!({"from": ["Credential/app2"], "reason": "INC-2"}));
    installed.apply(&reset).await;
    installed.stands(&reset, "/status/phase", "Refused").await;
    assert_eq!(installed.place.values(4)[2..], before[2..]);
    daemon.stop().await;
    log.nothing_was_refused();
}
