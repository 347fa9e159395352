//! More than a thousand documents: what comes is judged beside those that it has to do with, as it is beside a few.

use std::time::Instant;

use futures::StreamExt as _;
use serde_json::{Value, json};

use super::{Cluster, Place, object};

const COUNT: usize = 1200;

fn credential(name: &str, at: &Value) -> Value {
    let spec = json!({
        "type": "api-key", "identity": "apps", "issuedBy": {"system": "bank", "target": name},
        "deliveredTo": [{"at": at}],
    });
    object("Credential", name, spec)
}

#[tokio::test]
async fn among_more_than_a_thousand_documents_what_contradicts_another_is_refused_too() {
    let cluster = Cluster::start().await;
    let place_ = Place::new(1).await;
    cluster.documents(&place_.documents()).await;
    let many = (0..COUNT).map(|index| object("Identity", &format!("many{index}"), json!({"class": "machine"})));
    let server = &cluster.server;
    let each = futures::stream::iter(many).for_each_concurrent(16, |one| async move {
        server.apply(&one).await.ok();
    });
    each.await;
    let daemon = cluster.serve(&place_, place_.open().await).await;

    // Where another one's value lies, as an object that was there before says.
    let app = cluster.get(&object("Credential", "app0", json!({}))).await;
    let begun = Instant::now();
    let said = server.apply(&credential("thief", &app["spec"]["deliveredTo"][0]["at"])).await.refused();
    println!("MEASURED refused beside {COUNT} others in {:?}", begun.elapsed());
    assert!(said.contains("Credential/app0 is written to System/shelf:apps/0"), "{said}");
    // And as one says that was let in a moment ago.
    server.apply(&credential("first", &json!("shelf:new#secret"))).await.ok();
    let said = server.apply(&credential("second", &json!("shelf:new#secret"))).await.refused();
    assert!(said.contains("Credential/first is written to System/shelf:new"), "{said}");
    // A reference into another namespace that nobody granted, and a slip with its advice.
    let mut foreign = credential("foreign", &json!("shelf:foreign#secret"));
    foreign["spec"]["identity"] = json!("many8x");
    let warned = server.apply(&foreign).await;
    assert!(warned.warnings.iter().any(|one| one.contains("did you mean `many")), "{warned:?}");
    cluster.server.namespace("team").await;
    foreign["metadata"]["namespace"] = json!("team");
    foreign["spec"]["identity"] = json!("default/apps");
    let said = server.apply(&foreign).await.refused();
    assert!(said.contains("no Grant lets team refer to it"), "{said}");
    daemon.stop().await;
}
