//! A governed state: persons by their accounts in the cluster, one who only carries what others wrote, and exceptions.

use remint::serve::ClusterAt;
use serde_json::{Value, json};

use super::incident::yes;
use super::{Cluster, Place, act, object};

/// One person's yes to whatever another asked for.
const POLICY: &str = "---\napiVersion: remint.dev/v1alpha1\nkind: ApprovalPolicy\nmetadata: {name: all}\nspec:\n  \
                      require: {approvals: 1, separate: [requester-approver]}\n";

const NAMES: [&str; 3] = ["alice", "bob", "carol"];

fn account(name: &str) -> String {
    format!("kubernetes:system:serviceaccount:default:{name}")
}

/// Persons with an account each, and a controller that carries.
struct Crew {
    cluster: Cluster,
    place: Place,
    tokens: Vec<(&'static str, String)>,
}

impl Crew {
    async fn new(count: usize) -> (Self, super::Daemon) {
        let cluster = Cluster::start().await;
        let mut persons = "persons:\n".to_owned();
        for name in NAMES {
            persons += &format!("  {name}: {{principals: ['{}'], groups: [all]}}\n", account(name));
        }
        persons +=
            &format!("services:\n  argo: {{principals: ['{}'], groups: [all], owners: [alice]}}\n", account("argo"));
        let place = Place::governed(count, &persons).await;
        place.write(&(place.documents() + POLICY));
        cluster.documents(&(place.documents() + POLICY)).await;
        let at = ClusterAt {
            carriers: vec!["system:serviceaccount:default:ar*".to_owned()],
            operator: None,
            ..cluster.at()
        };
        let daemon = cluster.serve_at(at, &place, place.decided().await).await;
        let mut tokens = Vec::new();
        for name in NAMES.into_iter().chain(["argo", "mallory"]) {
            tokens.push((name, cluster.account(name).await));
        }
        (Self { cluster, place, tokens }, daemon)
    }

    async fn applies(&self, who: &str, object: &Value) {
        let token = &self.tokens.iter().find(|(name, _)| *name == who).unwrap().1;
        self.cluster.server.apply_as(token, &super::rig::place(object), object.to_string().as_bytes()).await.ok();
    }

    /// Applies, and waits for what came of it.
    async fn comes_to(&self, who: &str, object: &Value, phase: &str) -> Value {
        self.applies(who, object).await;
        self.cluster.stands(object, "/status/phase", phase).await
    }
}

fn said(object: &Value) -> String {
    object["status"].to_string()
}

#[tokio::test]
async fn what_a_carrier_brings_takes_one_person_more_and_his_word_counts_for_nothing() {
    let (crew, daemon) = Crew::new(3).await;
    let asks = |name: &str, from: &str| act("Reset", name, json!({"from": [from], "reason": "INC"}));

    // A person asks: one other is enough, and it is another.
    let own = crew.comes_to("alice", &asks("own", "Credential/app0"), "Requested").await;
    assert_eq!(own["spec"]["requestedBy"]["user"], "system:serviceaccount:default:alice");
    let alone = crew.comes_to("alice", &yes(&own, "own-alice"), "Recorded").await;
    assert!(!alone["status"]["nextAction"].as_str().unwrap_or_default().is_empty(), "it lacks somebody: {alone}");
    let before = crew.place.values(3);
    crew.comes_to("bob", &yes(&own, "own-bob"), "Recorded").await;
    crew.cluster.stands(&own, "/status/phase", "Complete").await;
    assert_ne!(crew.place.values(3)[0], before[0]);

    // A controller brings it: nobody knows who wrote it, so one person more looks at it.
    let brought = crew.comes_to("argo", &asks("brought", "Credential/app1"), "Requested").await;
    let himself = yes(&brought, "brought-argo");
    crew.applies("argo", &himself).await;
    let one = crew.comes_to("bob", &yes(&brought, "brought-bob"), "Recorded").await;
    assert!(!one["status"]["nextAction"].as_str().unwrap_or_default().is_empty(), "it lacks one more: {one}");
    assert_eq!(crew.cluster.get(&brought).await["status"]["phase"], "Requested");
    assert_eq!(crew.place.values(3)[1], before[1], "one person and the carrier are not enough");
    let carried = crew.cluster.get(&himself).await;
    assert_ne!(carried["status"]["phase"], Value::Null, "{carried}");
    crew.comes_to("carol", &yes(&brought, "brought-carol"), "Recorded").await;
    crew.cluster.stands(&brought, "/status/phase", "Complete").await;
    assert_ne!(crew.place.values(3)[1], before[1]);

    // Whoever is nobody to Remint is nobody, whatever the API server lets him do.
    let nobody = crew.comes_to("mallory", &asks("nobody", "Credential/app2"), "Refused").await;
    assert!(said(&nobody).contains("kubernetes:system:serviceaccount:default:mallory"), "{nobody}");
    assert_eq!(crew.place.values(3)[2], before[2]);
    daemon.stop().await;
}

#[tokio::test]
async fn an_exception_is_asked_for_by_an_object_and_holds_once_persons_said_so() {
    let (crew, daemon) = Crew::new(2).await;
    let until = (jiff::Timestamp::now() + jiff::SignedDuration::from_hours(24)).to_string();
    let excuse = |name: &str, credential: &str, until: &str| {
        act(
            "Exception",
            name,
            json!({"credential": credential, "owner": "desk", "until": until, "reason": "the vendor"}),
        )
    };
    let asked = crew.comes_to("alice", &excuse("vendor", "app1", &until), "Recorded").await;
    assert!(asked["status"]["nextAction"].as_str().unwrap().contains("remint approve"), "{asked}");
    assert!(asked["status"]["id"].as_str().unwrap().starts_with("x-"), "{asked}");

    // Until then nothing is left out of a reset on its word.
    let mut all = act("Reset", "all", json!({"from": ["Credential/app0", "Credential/app1"], "reason": "INC-1"}));
    all["spec"]["except"] = json!(["Credential/app1"]);
    let refused = crew.comes_to("alice", &all, "Refused").await;
    assert!(said(&refused).contains("nobody approved leaving out Credential/app1"), "{refused}");

    // What nobody may ask for, or not so.
    let mut old = excuse("old", "app1", &until);
    old["spec"]["requestedAt"] = json!((jiff::Timestamp::now() - jiff::SignedDuration::from_hours(7 * 24)).to_string());
    crew.comes_to("alice", &old, "Expired").await;
    let far = crew.comes_to("alice", &excuse("far", "app1", "2036-01-01T00:00:00Z"), "Refused").await;
    assert!(said(&far).contains("at most 90 days"), "{far}");
    let none = crew.comes_to("alice", &excuse("none", "nothing", &until), "Refused").await;
    assert!(said(&none).contains("Credential/nothing"), "{none}");
    let other = crew.comes_to("alice", &excuse("other", "team/app1", &until), "Refused").await;
    assert!(said(&other).contains("in another namespace"), "{other}");
    crew.comes_to("mallory", &excuse("nobody", "app1", &until), "Refused").await;

    // Its object again, and another daemon's look at it, ask for nothing more.
    let path = super::rig::place(&object("Exception", "vendor", json!({})));
    crew.cluster.server.ask("DELETE", &path, &Value::Null).await.ok();
    let mut again = asked.clone();
    again["metadata"] = json!({"name": "vendor", "namespace": "default"});
    again["status"].take();
    again["spec"].as_object_mut().unwrap().remove("requestedBy");
    let again = crew.comes_to("alice", &again, "Recorded").await;
    assert_eq!(again["status"]["id"], asked["status"]["id"]);
    daemon.stop().await;
}
