//! What goes wrong between a daemon and the API server: watches that come too late, and somebody who is quicker.

use std::sync::Arc;

use serde_json::{Value, json};

use super::between::Between;
use super::incident::yes;
use super::rig::place;
use super::{Cluster, Place, act, object, until};

/// A daemon behind a way that can be cut, with two credentials.
async fn behind(cluster: &Cluster, place_: &Place) -> (Between, super::Daemon) {
    cluster.documents(&place_.documents()).await;
    let between = Between::open(&cluster.server).await;
    let daemon = cluster.serve_through(&between.address, place_, place_.open().await).await;
    (between, daemon)
}

#[tokio::test]
async fn what_happened_while_its_watch_was_too_old_is_seen_all_the_same() {
    let cluster = Cluster::start().await;
    let place_ = Place::new(2).await;
    let (between, daemon) = behind(&cluster, &place_).await;
    let active = daemon.client.get("/v1/estate").await.ok()["active"].clone();
    assert!(active.is_string());
    let before = cluster.asks("before", "Credential/app0").await;
    cluster.stands(&before, "/status/phase", "Requested").await;

    // While nothing is heard, one act comes, another goes, a document comes, and the API server forgets what was before.
    between.cut();
    let missed = cluster.asks("missed", "Credential/app1").await;
    cluster.server.ask("DELETE", &place(&before), &Value::Null).await.ok();
    cluster.server.apply(&object("Identity", "late", json!({"class": "agent"}))).await.ok();
    cluster.server.restart().await;
    // Until its caches are filled it answers nothing, and whoever is answered nothing lists again.
    for resource in remint_cluster::RESOURCES {
        let path = format!("/apis/remint.dev/v1alpha1/{}?resourceVersion=0", resource.plural);
        until("it knows every kind again", async || {
            (cluster.server.ask("GET", &path, &Value::Null).await.status == 200).then_some(())
        })
        .await;
    }
    assert_eq!(between.gone(), 0);
    between.mend();

    let missed = cluster.stands(&missed, "/status/phase", "Requested").await;
    cluster.server.apply(&yes(&missed, "missed")).await.ok();
    cluster.stands(&missed, "/status/phase", "Complete").await;
    until("the API server said 410", async || (between.gone() > 0).then_some(())).await;
    println!("MEASURED {} watches were answered 410 Gone by the API server itself", between.gone());
    let late = object("Identity", "late", json!({}));
    until("the document is looked at", async || {
        let there = cluster.get(&late).await;
        there["status"]["conditions"].as_array()?.iter().find(|one| one["type"] == "Valid").map(|_| ())
    })
    .await;
    // What went is gone for it too: an Approval of it waits for a Reset.
    let orphan = act("Approval", "orphan", json!({"reset": "before", "plan": "0".repeat(64)}));
    cluster.server.apply(&orphan).await.ok();
    let there = cluster.stands(&orphan, "/status/phase", "Requested").await;
    assert!(there["status"].to_string().contains("there is no such Reset"), "{there}");
    daemon.stop().await;
}

#[tokio::test]
async fn whoever_is_quicker_with_an_object_has_nothing_lost_and_nothing_overwritten() {
    let cluster = Arc::new(Cluster::start().await);
    let place_ = Place::new(2).await;
    let (between, daemon) = behind(&cluster, &place_).await;

    // Somebody writes a Credential between our look and our finalizer.
    let app0 = object("Credential", "app0", json!({}));
    until("it is held", async || {
        (cluster.get(&app0).await["metadata"]["finalizers"] == json!(["remint.dev/live"])).then_some(())
    })
    .await;
    let other = Arc::clone(&cluster);
    let touched = app0.clone();
    between.before("PATCH", "/credentials/app0", async move {
        let label = json!({"metadata": {"labels": {"touched": "yes"}, "finalizers": ["example.com/other"]}});
        other.merge(&touched, &label).await.ok();
    });
    cluster.merge(&app0, &json!({"metadata": {"finalizers": null}})).await.ok();
    let both = until("both hold it", async || {
        let there = cluster.get(&app0).await;
        let held = there["metadata"]["finalizers"].as_array().map_or(0, Vec::len);
        (held == 2 && between.tricked()).then_some(there)
    })
    .await;
    assert_eq!(both["metadata"]["finalizers"], json!(["example.com/other", "remint.dev/live"]));
    assert_eq!(both["metadata"]["labels"]["touched"], "yes");
    let refused = between.went().into_iter().filter(|one| one.path.ends_with("/credentials/app0") && one.status == 409);
    assert!(refused.count() >= 1, "the API server itself refused the older version");

    // A Reset goes and comes again between our look and our word on it: of another object nothing is said.
    let first = act("Reset", "again", json!({"from": ["Credential/app0"], "reason": "INC-1"}));
    let (other, second) = (Arc::clone(&cluster), first.clone());
    between.before("PATCH", "/resets/again/status", async move {
        other.server.ask("DELETE", &place(&second), &Value::Null).await.ok();
        other.server.apply(&second).await.ok();
    });
    cluster.server.apply(&first).await.ok();
    let there = cluster.stands(&first, "/status/phase", "Requested").await;
    assert!(between.tricked());
    let refused = |one: &super::between::Went| one.path.ends_with("/resets/again/status") && one.status == 409;
    let went: Vec<_> = between.went().into_iter().filter(|one| one.path.contains("/resets/again")).collect();
    assert!(went.iter().any(refused), "the API server itself refused what was said of the first: {went:#?}");

    // Somebody else says in its status that it is over, and the server lets him, as he insists: nobody believes it.
    let lie = json!({
        "apiVersion": first["apiVersion"], "kind": "Reset", "metadata": {"name": "again"},
        "status": {"phase": "Complete", "observedGeneration": there["metadata"]["generation"], "states": {"settled": 9}},
    });
    let path = format!("{}/status?fieldManager=somebody", place(&first));
    let content = "application/apply-patch+yaml";
    let lies = async |force: &str| {
        cluster
            .server
            .ask_as(cluster.server.admin(), "PATCH", &format!("{path}{force}"), content, lie.to_string())
            .await
    };
    let conflict = lies("").await;
    assert_eq!(conflict.status, 409, "{conflict:?}");
    assert!(conflict.body["message"].as_str().unwrap().contains("conflict"), "{conflict:?}");
    lies("&force=true").await.ok();
    let before = place_.values(2);
    cluster.server.apply(&yes(&there, "again")).await.ok();
    let ended = until("it is over in truth", async || {
        let there = cluster.get(&first).await;
        (there["status"]["states"] == json!({"settled": 1}) && there["status"]["phase"] == "Complete").then_some(there)
    })
    .await;
    assert_eq!(ended["status"]["proofs"], json!({"refused": 1}));
    assert!(place_.values(2)[0] != before[0]);
    daemon.stop().await;
}

#[tokio::test]
async fn an_event_that_was_lost_is_made_again_before_its_word_is_said() {
    let cluster = Cluster::start().await;
    let place_ = Place::new(1).await;
    let (between, daemon) = behind(&cluster, &place_).await;
    let asked = cluster.asks("inc-1", "Credential/app0").await;
    let planned = cluster.stands(&asked, "/status/phase", "Requested").await;
    between.lose("POST", "/events");
    cluster.server.apply(&yes(&planned, "yes")).await.ok();
    cluster.stands(&object("Credential", "app0", json!({})), "/status/state", "Settled").await;
    assert!(between.lost());
    assert_eq!(super::incident::events(&cluster, "app0").await, ["Revoked", "Rotated"]);
    daemon.stop().await;
}
