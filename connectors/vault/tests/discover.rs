//! What policies open, read from a real server.

use remint_contract::{ErrorKind, Verb};
use serde_json::{Value, json};

use crate::bao::{Bao, open};

fn find(documents: &[Value], kind: &str, name: &str) -> Value {
    let is = |one: &&Value| one["kind"] == kind && one["metadata"]["name"] == name;
    documents.iter().find(is).unwrap_or_else(|| panic!("no {kind} {name} in {documents:?}")).clone()
}

#[tokio::test]
async fn policies_of_roles_are_read_into_edges() {
    let bao = Bao::find();
    let kv = bao.mount("sys/mounts", "kv", json!({"version": "2"})).await;
    let logins = bao.mount("sys/auth", "approle", Value::Null).await;
    let team = format!("{kv}/data/team/*");
    let reads = bao.policy(&[(&team, &["read"]), ("sys/leases/*", &["list"])]).await;
    let writes = bao.policy(&[(&format!("auth/{logins}/role/reader/secret-id"), &["update"])]).await;
    let gone = bao.name();
    for (role, policies) in [("reader", vec![&reads, &gone]), ("maker", vec![&writes])] {
        bao.post(&format!("auth/{logins}/role/{role}"), json!({ "token_policies": policies })).await;
    }
    let settings = json!({"engine": "approle", "mount": logins});
    let connector = open(&bao.address, &settings);
    assert!(connector.describe().verbs.contains(&Verb::Discover));
    let documents = connector.discover(&bao.call()).await.unwrap();
    let reader = find(&documents, "Credential", "reader");
    assert_eq!(reader["spec"]["unlocks"], json!([{"what": format!("{kv}:team/*"), "verb": "read"}]));
    assert_eq!(reader["spec"]["issuedBy"], json!({"system": "this", "target": "reader"}));
    let maker = find(&documents, "Credential", "maker");
    assert_eq!(maker["spec"]["unlocks"], json!([{"what": "this:reader", "verb": "mint"}]));
    // The mount that is opened is described beside it, and no other.
    let system = find(&documents, "System", &kv);
    assert_eq!(system["spec"]["vault"], json!({"address": bao.address, "engine": "kv2", "mount": kv}));
    assert_eq!(documents.len(), 3, "{documents:?}");
    // What may not be read is said, not left out.
    let nobody = bao.token(&["default"]).await;
    assert_eq!(connector.discover(&bao.acting(&nobody)).await.unwrap_err().kind, ErrorKind::Denied);
}

#[tokio::test]
async fn a_token_role_opens_what_its_policies_do_and_everything_where_it_names_none() {
    let bao = Bao::find();
    let kv = bao.mount("sys/mounts", "kv", Value::Null).await;
    let policy = bao.policy(&[(&format!("{kv}/app"), &["read", "update"])]).await;
    let (named, free) = (bao.name(), bao.name());
    bao.post(&format!("auth/token/roles/{named}"), json!({"allowed_policies": [policy], "orphan": true})).await;
    bao.post(&format!("auth/token/roles/{free}"), json!({"orphan": true})).await;
    let connector = open(&bao.address, &json!({"engine": "token"}));
    let documents = connector.discover(&bao.call()).await.unwrap();
    let opened = find(&documents, "Credential", &named)["spec"]["unlocks"].clone();
    let edge = |verb: &str| json!({"what": format!("{kv}:app"), "verb": verb});
    assert_eq!(opened, json!([edge("read"), edge("write")]));
    let everything = find(&documents, "Credential", &free)["spec"]["unlocks"].clone();
    assert!(everything.as_array().unwrap().contains(&json!({"what": "System/this", "verb": "admin"})), "{everything}");
}
