//! Secrets as a store, beyond the suite: who owns which field, logins for registries, immutable versions.

use std::collections::BTreeMap;
use std::sync::Arc;

use remint_contract::{Call, Connector, Error, ErrorKind, SecretValue, WriteRequest, Written};
use serde_json::{Value, json};

use crate::cluster::{Cluster, RIGHTS, open};

struct Store {
    cluster: Cluster,
    namespace: String,
    connector: Arc<dyn Connector>,
    call: Call,
}

impl Store {
    async fn new(settings: Value) -> Self {
        let cluster = Cluster::find();
        let namespace = cluster.namespace().await;
        let mut settings = settings;
        settings["ca"] = json!({"file": cluster.ca});
        let connector = open(&cluster.address, &namespace, &settings);
        let call = cluster.acting(&cluster.actor(&namespace, RIGHTS).await);
        Self { cluster, namespace, connector, call }
    }

    async fn write(&self, path: &str, fields: &[(&str, &str)]) -> Result<Written, Error> {
        let fields: BTreeMap<_, _> =
            fields.iter().map(|(field, value)| ((*field).to_owned(), SecretValue::from(*value))).collect();
        self.connector.write(&self.call, &WriteRequest { path: path.to_owned(), fields, expect: None }).await
    }

    async fn value(&self, path: &str, field: &str) -> Option<String> {
        let read = self.connector.read(&self.call, path).await.unwrap();
        read.fields.get(field).map(|value| value.expose_str().unwrap().to_owned())
    }

    async fn secret(&self, name: &str) -> Value {
        self.cluster.get(&format!("/api/v1/namespaces/{}/secrets/{name}", self.namespace)).await
    }
}

#[tokio::test]
async fn a_field_that_somebody_else_owns_is_a_conflict_that_names_him() {
    let store = Store::new(json!({})).await;
    store.cluster.secret(&store.namespace, "db", json!({"password": "theirs"})).await;
    let refused = store.write("db", &[("password", "ours-marker")]).await.unwrap_err();
    assert_eq!(refused.kind, ErrorKind::Conflict);
    assert!(refused.to_string().contains("another owns password"), "{refused}");
    assert_eq!(store.value("db", "password").await.as_deref(), Some("theirs"));

    let settings = json!({"takeOver": ["another"], "ca": {"file": store.cluster.ca}});
    let store = Store { connector: open(&store.cluster.address, &store.namespace, &settings), ..store };
    store.write("db", &[("password", "ours-marker")]).await.unwrap();
    assert_eq!(store.value("db", "password").await.as_deref(), Some("ours-marker"));
    // From now on it is ours: whoever applies it anew is told so by the server.
    let managed = store.secret("db").await["metadata"]["managedFields"].to_string();
    assert!(managed.contains(r#""manager":"remint","operation":"Apply""#), "{managed}");
}

#[tokio::test]
async fn one_field_written_later_does_not_take_the_other_away() {
    let store = Store::new(json!({})).await;
    store.write("db", &[("password", "one")]).await.unwrap();
    store.write("db", &[("token", "two")]).await.unwrap();
    assert_eq!(store.value("db", "password").await.as_deref(), Some("one"));
    assert_eq!(store.value("db", "token").await.as_deref(), Some("two"));
    let again = store.write("db", &[("password", "one")]).await.unwrap();
    assert_eq!(store.secret("db").await["metadata"]["resourceVersion"], json!(again.version));
}

#[tokio::test]
async fn a_login_for_one_registry_is_written_beside_the_others() {
    let store = Store::new(json!({"takeOver": ["another"]})).await;
    let path = format!("/api/v1/namespaces/{}/secrets?fieldManager=another", store.namespace);
    let config = r#"{"auths":{"other.test":{"auth":"b3RoZXI6b3RoZXI="}}}"#;
    let secret = json!({"metadata": {"name": "pull"}, "type": "kubernetes.io/dockerconfigjson",
        "stringData": {".dockerconfigjson": config}});
    store.cluster.post(&path, secret).await;
    for name in ["pull", "fresh"] {
        let fields = [("auths/images.test/username", "robot"), ("auths/images.test/password", "pass-marker")];
        store.write(name, &fields).await.unwrap();
        assert_eq!(store.secret(name).await["type"], "kubernetes.io/dockerconfigjson");
        let config: Value = serde_json::from_str(&store.value(name, ".dockerconfigjson").await.unwrap()).unwrap();
        assert_eq!(config["auths"]["images.test"]["auth"], "cm9ib3Q6cGFzcy1tYXJrZXI=");
        assert_eq!(store.value(name, "auths/images.test/password").await.as_deref(), Some("pass-marker"));
    }
    let config: Value = serde_json::from_str(&store.value("pull", ".dockerconfigjson").await.unwrap()).unwrap();
    assert_eq!(config["auths"]["other.test"]["auth"], "b3RoZXI6b3RoZXI=");
}

#[tokio::test]
async fn an_immutable_secret_is_refused_in_place_and_followed_by_a_version() {
    let store = Store::new(json!({})).await;
    let path = format!("/api/v1/namespaces/{}/secrets?fieldManager=another", store.namespace);
    let secret =
        json!({"metadata": {"name": "db"}, "immutable": true, "stringData": {"password": "first", "host": "h"}});
    store.cluster.post(&path, secret).await;
    let settings = json!({"takeOver": ["another"], "ca": {"file": store.cluster.ca}});
    let store = Store { connector: open(&store.cluster.address, &store.namespace, &settings), ..store };
    let refused = store.write("db", &[("password", "second")]).await.unwrap_err();
    assert_eq!(refused.kind, ErrorKind::Invalid);
    assert!(refused.to_string().contains("secrets: versioned"), "{refused}");

    let settings = json!({"secrets": "versioned", "ca": {"file": store.cluster.ca}});
    let store = Store { connector: open(&store.cluster.address, &store.namespace, &settings), ..store };
    assert_eq!(store.write("db", &[("password", "second")]).await.unwrap().version, "1");
    let made = store.secret("db-1").await;
    assert_eq!((&made["immutable"], &made["data"]["host"]), (&json!(true), &json!("aA==")));
    assert_eq!(store.value("db", "password").await.as_deref(), Some("second"));
    // What is not ours is not touched.
    store.connector.destroy_version(&store.call, "db", "0").await.unwrap();
    store.secret("db").await;
}
