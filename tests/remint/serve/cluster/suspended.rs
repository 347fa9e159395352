//! `suspend` of a reset that runs.

use std::time::Duration;

use remint_fake::world::{Fault, Trouble};
use serde_json::{Value, json};

use super::incident::yes;
use super::{Cluster, Place, act, until};

/// So many that it is still under way when somebody says stop.
const COUNT: usize = 12;

fn minted(place: &Place) -> u64 {
    place.rig.issuer.counts().of("remint").of("mint")
}

fn message(reset: &Value) -> String {
    let all = reset["status"]["conditions"].as_array().cloned().unwrap_or_default();
    let ready = all.into_iter().find(|one| one["type"] == "Ready").unwrap_or_default();
    ready["message"].as_str().unwrap_or_default().to_owned()
}

#[tokio::test]
async fn a_reset_that_runs_stands_still_while_somebody_who_may_says_so_and_goes_on_after() {
    let cluster = Cluster::start().await;
    let place = Place::new(COUNT).await;
    // One after another, and each takes so long that a slow machine has time to say stop.
    let text = place.documents().replace("concurrency: 64", "concurrency: 1");
    let slow = place.rig.world.fault("bank", Fault::on("mint", Trouble::Latency(Duration::from_secs(3)))).unwrap();
    cluster.documents(&text).await;
    let daemon = cluster.serve(&place, place.open().await).await;
    let mallory = cluster.account("mallory").await;
    let from: Vec<String> = (0..COUNT).map(|index| format!("Credential/app{index}")).collect();
    let mut asked = act("Reset", "inc-1", json!({"from": from, "reason": "INC-1", "suspend": true}));
    cluster.server.apply(&asked).await.ok();
    let there = cluster.stands(&asked, "/status/phase", "Requested").await;
    assert!(there["status"]["plan"].is_null() && message(&there).contains("suspended"), "{there}");

    // Taken back before it began, it begins.
    cluster.merge(&asked, &json!({"spec": {"suspend": false}})).await.ok();
    let there = until("it is planned", async || {
        let there = cluster.get(&asked).await;
        there["status"]["plan"].is_string().then_some(there)
    })
    .await;
    cluster.server.apply(&yes(&there, "yes-1")).await.ok();
    until("something is minted", async || (minted(&place) > 0).then_some(())).await;

    // Whoever may nothing here may not stop it either, whatever the API server lets him write.
    let path = super::rig::place(&asked);
    let stop = json!({"spec": {"suspend": true}});
    let by = async |token: &str, patch: &Value| {
        let content = "application/merge-patch+json";
        cluster.server.ask_as(token, "PATCH", &path, content, patch.to_string()).await
    };
    by(&mallory, &stop).await.ok();
    let there = until("he is told", async || {
        let there = cluster.get(&asked).await;
        message(&there).contains("`suspend` of system:serviceaccount:default:mallory is not heeded").then_some(there)
    })
    .await;
    assert_eq!(there["status"]["phase"], "Running");
    // Nor does he get past it with the word of another one.
    by(&mallory, &json!({"spec": {"suspend": false}})).await.ok();
    let forged = json!({
        "metadata": {"annotations": {"remint.dev/suspended-by": "{\"user\": \"admin\", \"at\": \"2026-11-22T10:00:00Z\"}"}},
    });
    let refused = by(&mallory, &forged).await.refused();
    assert!(refused.contains("it is not what was stamped"), "{refused}");

    // Somebody who may.
    cluster.merge(&asked, &stop).await.ok();
    let there = cluster.stands(&asked, "/status/phase", "Paused").await;
    assert_eq!(there["status"]["nextAction"], "take `suspend` out of it");
    let id = there["status"]["reset"].as_str().unwrap();
    let shown = daemon.status(id, "paused").await;
    assert!(shown.to_string().contains("suspend"), "{shown}");
    // What was under way ends; that other acts are answered meanwhile shows that nothing else begins.
    until("what was under way has ended", async || {
        let shown = daemon.client.get(&format!("/v1/records/resets/{id}")).await.ok();
        (shown["busy"] == false).then_some(())
    })
    .await;
    place.rig.issuer.end_fault(slow);
    let stood = minted(&place);
    assert!(stood < COUNT as u64, "{stood}");
    let again = cluster.asks("another", "Credential/root").await;
    cluster.stands(&again, "/status/phase", "Requested").await;
    assert_eq!(minted(&place), stood);

    // Its author goes on applying what it was, without the word: it goes on.
    asked["spec"]["suspend"] = json!(false);
    cluster.merge(&asked, &json!({"spec": {"suspend": false}})).await.ok();
    let ended = cluster.stands(&asked, "/status/phase", "Complete").await;
    assert_eq!(ended["status"]["states"], json!({"settled": COUNT}));
    assert_eq!(minted(&place), COUNT as u64, "each once");
    daemon.stop().await;
}
