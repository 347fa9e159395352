//! An incident with nothing but manifests, and what is tried to have more done, or to have it done twice.

use serde_json::{Value, json};

use super::rig::place;
use super::{Cluster, Place, act, until};

/// Its Approval, of the plan that its status shows.
pub(super) fn yes(reset: &Value, name: &str) -> Value {
    let plan = reset["status"]["plan"].clone();
    act("Approval", name, json!({"reset": reset["metadata"]["name"], "plan": plan}))
}

pub(super) async fn events(cluster: &Cluster, name: &str) -> Vec<String> {
    let path = format!("/api/v1/namespaces/default/events?fieldSelector=involvedObject.name={name}");
    let all = cluster.server.ask("GET", &path, &Value::Null).await.ok();
    let mut reasons: Vec<String> =
        all["items"].as_array().unwrap().iter().map(|one| one["reason"].as_str().unwrap().to_owned()).collect();
    reasons.sort();
    reasons
}

#[tokio::test]
async fn the_whole_incident_runs_through_custom_resources_and_once() {
    let cluster = Cluster::start().await;
    let place_ = Place::new(3).await;
    cluster.documents(&place_.documents()).await;
    let before = place_.values(3);
    let daemon = cluster.serve(&place_, place_.open().await).await;

    // Asked by somebody who says that he is somebody else.
    let mut asked = act("Reset", "inc-1", json!({"from": ["Credential/app0", "Credential/app1"], "reason": "INC-1"}));
    let when = asked["spec"]["requestedAt"].clone();
    asked["spec"]["requestedBy"] = json!({"user": "boss", "at": when, "stamp": "0".repeat(64)});
    cluster.server.apply(&asked).await.ok();
    let asked = cluster.stands(&asked, "/status/phase", "Requested").await;
    assert_eq!(asked["spec"]["requestedBy"]["user"], "admin");
    assert_eq!(place_.values(3), before, "nobody approved it");

    // What was looked at is what is approved, and what was approved is not changed.
    let mut other = yes(&asked, "wrong");
    other["spec"]["plan"] = json!("0".repeat(64));
    cluster.server.apply(&other).await.ok();
    cluster.stands(&other, "/status/phase", "Refused").await;
    let statuses = ["resource=\"credentials\"", "subresource=\"status\"", "verb=\"APPLY\""];
    let (told, made) = (cluster.asked(&statuses).await, cluster.asked(&["resource=\"events\"", "verb=\"POST\""]).await);
    cluster.server.apply(&yes(&asked, "right")).await.ok();
    let more = cluster.merge(&asked, &json!({"spec": {"from": ["Credential/app2"]}})).await.refused();
    assert!(more.contains("an act is asked once") || more.contains("`from` cannot be changed"), "{more}");
    let ended = cluster.stands(&asked, "/status/phase", "Complete").await;
    assert_eq!(
        (&ended["status"]["states"], &ended["status"]["proofs"]),
        (&json!({"settled": 2}), &json!({"refused": 2}))
    );
    assert!(ended["status"].to_string().len() < 32 << 10);
    let after = place_.values(3);
    assert!(after[0] != before[0] && after[1] != before[1] && after[2] == before[2]);

    // Each credential says so, in few words.
    for name in ["app0", "app1"] {
        let credential = super::object("Credential", name, json!({}));
        let there = cluster.stands(&credential, "/status/state", "Settled").await;
        assert_eq!(there["status"]["proof"], "refused", "{there}");
        assert!(there["status"]["lastRotated"].is_string() && there["status"]["oldDiesAt"].is_null(), "{there}");
        until("two events", async || (events(&cluster, name).await == ["Revoked", "Rotated"]).then_some(())).await;
    }
    let told = cluster.asked(&statuses).await - told;
    let made = cluster.asked(&["resource=\"events\"", "verb=\"POST\""]).await - made;
    println!("MEASURED {told} words on 4 Credentials and {made} Events for 2 rotations");
    assert!(told <= 3 * 4 && made <= 2 * 2 + 4, "{told} and {made}");

    // The same object again is the same act; one from last week is none.
    cluster.server.ask("DELETE", &place(&asked), &Value::Null).await.ok();
    let again = json!({"apiVersion": asked["apiVersion"], "kind": "Reset", "metadata": {"name": "inc-1", "namespace": "default"},
        "spec": {"from": asked["spec"]["from"], "reason": "INC-1", "requestedAt": when}});
    cluster.server.apply(&again).await.ok();
    let seen = cluster.stands(&again, "/status/phase", "Complete").await;
    assert_eq!(seen["status"]["reset"], ended["status"]["reset"]);
    let mut old = again.clone();
    old["metadata"]["name"] = json!("last-week");
    old["spec"]["requestedAt"] = json!((jiff::Timestamp::now() - jiff::SignedDuration::from_hours(7 * 24)).to_string());
    cluster.server.apply(&old).await.ok();
    let expired = cluster.stands(&old, "/status/phase", "Expired").await;
    assert!(expired["status"]["reset"].is_null(), "{expired}");
    assert_eq!(place_.values(3), after, "nothing ran again");

    // The API server goes away in the middle of another one.
    let second = act("Reset", "inc-2", json!({"from": ["Credential/app2"], "reason": "INC-2"}));
    cluster.server.apply(&second).await.ok();
    let second = cluster.stands(&second, "/status/phase", "Requested").await;
    cluster.server.apply(&yes(&second, "second")).await.ok();
    cluster.server.restart().await;
    cluster.stands(&second, "/status/phase", "Complete").await;
    assert_ne!(place_.values(3)[2], after[2]);

    // A word on the Credential itself.
    let app2 = super::object("Credential", "app2", json!({}));
    let now = jiff::Timestamp::now().to_string();
    let third = place_.values(3);
    cluster.merge(&app2, &json!({"metadata": {"annotations": {"remint.dev/requested-at": now}}})).await.ok();
    let there = cluster.stands(&app2, "/status/handledRequest", &now).await;
    assert!(there["metadata"]["annotations"]["remint.dev/requested-by"].as_str().unwrap().contains("\"admin\""));
    until("it is replaced", async || (place_.values(3)[2] != third[2]).then_some(())).await;
    until("its old value is revoked", async || (events(&cluster, "app2").await.len() == 4).then_some(())).await;

    // Past the webhooks nothing is an act, whatever stands in it.
    cluster.forget_webhooks().await;
    let mut past = act("Reset", "past", json!({"from": ["Credential/app0"], "reason": "INC-3"}));
    cluster.server.apply(&past).await.ok();
    cluster.stands(&past, "/status/phase", "Refused").await;
    past["metadata"]["name"] = json!("forged");
    past["spec"]["requestedBy"] = ended["spec"]["requestedBy"].clone();
    cluster.server.apply(&past).await.ok();
    let forged = cluster.stands(&past, "/status/phase", "Refused").await;
    assert!(forged["status"]["conditions"].to_string().contains("it is not what was stamped"), "{forged}");

    // What lives is held: it goes at somebody's word, and not before.
    let app1 = super::object("Credential", "app1", json!({}));
    until("it is held", async || {
        (cluster.get(&app1).await["metadata"]["finalizers"] == json!(["remint.dev/live"])).then_some(())
    })
    .await;
    cluster.server.ask("DELETE", &place(&app1), &Value::Null).await.ok();
    assert!(cluster.get(&app1).await["metadata"]["deletionTimestamp"].is_string());
    cluster.merge(&app1, &json!({"metadata": {"annotations": {"remint.dev/release": "true"}}})).await.ok();
    until("it is let go", async || {
        (cluster.server.ask("GET", &place(&app1), &Value::Null).await.status == 404).then_some(())
    })
    .await;

    let shown = daemon.client.get("/v1/resets").await.ok();
    assert_eq!(shown.as_array().unwrap().len(), 3, "{shown}");
    daemon.stop().await;
}

#[tokio::test]
async fn a_state_that_never_knew_them_begins_nothing_of_what_lies_there() {
    let cluster = Cluster::start().await;
    let first = Place::new(2).await;
    cluster.documents(&first.documents()).await;
    let daemon = cluster.serve(&first, first.open().await).await;
    let asked = act("Reset", "inc-1", json!({"from": ["Credential/app0"], "reason": "INC-1"}));
    cluster.server.apply(&asked).await.ok();
    let there = cluster.stands(&asked, "/status/phase", "Requested").await;
    cluster.server.apply(&yes(&there, "yes")).await.ok();
    cluster.stands(&asked, "/status/phase", "Complete").await;
    daemon.stop().await;

    // The store is gone; the objects are not, and are applied again.
    let second = Place::new(2).await;
    let values = (first.values(2), second.values(2));
    let app = second.open().await;
    let store = std::sync::Arc::clone(&app.engine.store);
    let daemon = cluster.serve(&second, app).await;
    cluster.server.ask("DELETE", &place(&asked), &Value::Null).await.ok();
    cluster.server.apply(&asked).await.ok();
    let held = cluster.stands(&asked, "/status/phase", "Held").await;
    assert!(held["status"]["nextAction"].as_str().unwrap().contains("remint store recover"), "{held}");
    let fresh = act("Reset", "inc-2", json!({"from": ["Credential/app1"], "reason": "INC-2"}));
    cluster.server.apply(&fresh).await.ok();
    cluster.stands(&fresh, "/status/phase", "Held").await;
    let none = store.list("reset", None).await.unwrap();
    assert!(none.is_empty(), "{}", none.len());
    assert_eq!((first.values(2), second.values(2)), values, "nothing ran");
    daemon.stop().await;
}
