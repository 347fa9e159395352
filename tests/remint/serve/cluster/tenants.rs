//! What one namespace writes holds up no other.

use serde_json::{Value, json};

use super::{Cluster, Place, documents, object};

fn of(space: &str, mut object: Value) -> Value {
    object["metadata"]["namespace"] = json!(space);
    object
}

fn identity(labels: &Value) -> Value {
    let mut made = object("Identity", "robot", json!({"class": "agent"}));
    made["metadata"]["labels"] = labels.clone();
    made
}

async fn ready(cluster: &Cluster, object: &Value, reason: &str) -> Value {
    super::super::until("it is said how it stands", async || {
        let there = cluster.get(object).await;
        let all = there["status"]["conditions"].as_array()?.clone();
        all.into_iter().find(|one| one["type"] == "Ready" && one["reason"] == reason)
    })
    .await
}

#[tokio::test]
async fn a_namespace_with_something_wrong_stays_as_it_is_and_the_others_go_on() {
    let cluster = Cluster::start().await;
    let place_ = Place::new(1).await;
    for space in ["team-a", "team-b"] {
        cluster.server.namespace(space).await;
        cluster.server.apply(&of(space, identity(&json!({})))).await.ok();
    }
    for document in documents(&place_.documents()) {
        cluster.server.apply(&document).await.ok();
    }
    let daemon = cluster.serve(&place_, place_.open().await).await;

    // It refers to what is not there: that may still come, so that it is let in.
    let spec = json!({
        "type": "api-key", "identity": "nobody", "issuedBy": {"system": "default/bank", "target": "x"},
    });
    let wrong = of("team-a", object("Credential", "wrong", spec));
    cluster.server.apply(&wrong).await.ok();
    let told = ready(&cluster, &wrong, "Invalid").await;
    assert!(told["message"].as_str().unwrap().contains("Identity/team-a/nobody does not exist"), "{told}");

    // Both write something that nobody has to say yes to.
    let labels = json!({"colour": "red"});
    for space in ["team-a", "team-b"] {
        cluster.server.apply(&of(space, identity(&labels))).await.ok();
    }
    let labelled = super::super::until("the label of team-b is active", async || {
        let text = daemon.client.get("/v1/estate").await.body.to_string();
        let digest = daemon.client.get("/v1/estate").await.body["active"].as_str()?.to_owned();
        let estate = daemon.client.get(&format!("/v1/records/estates/{digest}")).await.body;
        estate.to_string().contains("red").then_some((estate, text))
    })
    .await;
    let (estate, standing) = labelled;
    assert!(standing.contains("Identity/team-a/nobody does not exist"), "it stays said: {standing}");
    let red = estate.to_string().matches("\"red\"").count();
    assert_eq!(red, 1, "team-a is as it was: {estate:#}");
    let told = ready(&cluster, &of("team-a", identity(&labels)), "OthersInvalid").await;
    assert_eq!(told["status"], "Unknown");
    ready(&cluster, &of("team-b", identity(&labels)), "Active").await;

    // Mended, it is as everybody else.
    cluster.server.ask("DELETE", &super::place(&wrong), &Value::Null).await;
    ready(&cluster, &of("team-a", identity(&labels)), "Active").await;
    daemon.stop().await;
}
