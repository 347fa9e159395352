//! A state that is gone, and the objects of last week applied again by whoever keeps them in a repository.

use serde_json::{Value, json};

use super::incident::yes;
use super::rig::place;
use super::{Cluster, Place, act, object};

fn of_last_week(mut object: Value, name: &str) -> Value {
    let then = jiff::Timestamp::now() - jiff::SignedDuration::from_hours(7 * 24);
    object["spec"]["requestedAt"] = json!(then.to_string());
    object["metadata"]["name"] = json!(name);
    object
}

fn conditions(object: &Value) -> String {
    format!("{} {}", object["status"]["conditions"], object["status"]["nextAction"])
}

#[tokio::test]
async fn nothing_of_last_week_runs_in_a_new_state_and_each_object_says_what_to_do() {
    let cluster = Cluster::start().await;
    let first = Place::new(2).await;
    cluster.documents(&first.documents()).await;
    let daemon = cluster.serve(&first, first.open().await).await;
    let asked = cluster.asks("inc-1", "Credential/app0").await;
    let there = cluster.stands(&asked, "/status/phase", "Requested").await;
    cluster.server.apply(&yes(&there, "yes-1")).await.ok();
    cluster.stands(&asked, "/status/phase", "Complete").await;
    let plan = there["status"]["plan"].clone();
    daemon.stop().await;

    // The store is gone. Everything that lay in the cluster is taken away and applied again, with what is older.
    let second = Place::new(2).await;
    let app = second.open().await;
    let store = std::sync::Arc::clone(&app.engine.store);
    let values = (first.values(2), second.values(2));
    cluster.server.ask("DELETE", &place(&asked), &Value::Null).await.ok();
    cluster.server.ask("DELETE", &place(&object("Approval", "yes-1", json!({}))), &Value::Null).await.ok();
    let daemon = cluster.serve(&second, app).await;
    let reset = json!({"from": ["Credential/app0"], "reason": "INC-0"});
    let until = (jiff::Timestamp::now() + jiff::SignedDuration::from_hours(24)).to_string();
    let excuse = json!({"credential": "app0", "owner": "o", "until": until, "reason": "r"});
    let yes_1 = json!({"reset": "inc-1", "plan": plan});
    let all = [
        asked.clone(),
        act("Approval", "yes-1", yes_1.clone()),
        of_last_week(act("Reset", "x", reset), "inc-0"),
        of_last_week(act("Approval", "x", yes_1), "yes-0"),
        of_last_week(act("Exception", "x", excuse.clone()), "excuse-0"),
        act("Exception", "excuse-1", excuse),
    ];
    for object in &all {
        cluster.server.apply(object).await.ok();
    }
    let app0 = object("Credential", "app0", json!({}));
    let word = json!({"metadata": {"annotations": {"remint.dev/requested-at": jiff::Timestamp::now().to_string()}}});
    cluster.merge(&app0, &word).await.ok();
    for object in &all {
        let held = cluster.stands(object, "/status/phase", "Held").await;
        let said = conditions(&held);
        assert!(said.contains("belong to another state"), "{said}");
        assert!(said.contains("remint store recover") && said.contains("remint.dev/state"), "{said}");
    }
    for kind in ["reset", "exception"] {
        assert!(store.list(kind, None).await.unwrap().is_empty(), "{kind}");
    }
    assert_eq!((first.values(2), second.values(2)), values, "nothing ran");

    // Somebody says that all of it begins anew: what is old is expired, and what is young waits for its approval.
    let lease = "/apis/coordination.k8s.io/v1/namespaces/default/leases/remint";
    let anew = json!({"metadata": {"annotations": {"remint.dev/state": null}}}).to_string();
    let admin = cluster.server.admin();
    cluster.server.ask_as(admin, "PATCH", lease, "application/merge-patch+json", anew).await.ok();
    for object in [&all[2], &all[3], &all[4]] {
        let old = cluster.stands(object, "/status/phase", "Expired").await;
        assert!(conditions(&old).contains("more than its `notAfter`"), "{old}");
    }
    cluster.stands(&all[0], "/status/phase", "Requested").await;
    // The word on the Credential is young as well, and waits for nobody's yes: app0 may have another value by now.
    assert_eq!((&first.values(2)[1], &second.values(2)[1]), (&values.0[1], &values.1[1]), "nothing ran");
    daemon.stop().await;
}
