//! ExternalSecrets and Certificates: their definitions are ours and minimal, and their controllers are doubles, played by the
//! test. What External Secrets and cert-manager themselves do is *not shown* here.

use remint_contract::{Expected, Material, SecretValue, Seen, Workload};
use serde_json::{Value, json};

use crate::cluster::{Cluster, open, pause};

/// A namespaced kind whose objects may hold anything.
async fn define(cluster: &Cluster, group: &str, plural: &str, kind: &str) {
    let any = json!({"type": "object", "x-kubernetes-preserve-unknown-fields": true});
    let definition = json!({
        "metadata": {"name": format!("{plural}.{group}")},
        "spec": {
            "group": group, "scope": "Namespaced", "names": {"plural": plural, "kind": kind},
            "versions": [{"name": "v1", "served": true, "storage": true, "subresources": {"status": {}},
                "schema": {"openAPIV3Schema": any}}],
        },
    });
    let path = "/apis/apiextensions.k8s.io/v1/customresourcedefinitions";
    let admin = cluster.admin.secret.expose_str().unwrap();
    let (status, answer) = cluster.try_as(admin, "POST", path, definition).await;
    assert!(matches!(status, 201 | 409), "{answer}");
    let served = format!("/apis/{group}/v1/{plural}");
    while cluster.try_as(admin, "GET", &served, Value::Null).await.0 != 200 {
        pause().await;
    }
}

struct Made {
    path: String,
    workload: Workload,
    expected: Expected,
}

/// A resource whose Secret holds the old value.
async fn made(cluster: &Cluster, namespace: &str, group: &str, plural: &str, kind: &str, spec: Value) -> Made {
    define(cluster, group, plural, kind).await;
    let path = format!("/apis/{group}/v1/namespaces/{namespace}/{plural}");
    cluster
        .post(
            &path,
            json!({"apiVersion": format!("{group}/v1"), "kind": kind, "metadata": {"name": "web"}, "spec": spec}),
        )
        .await;
    cluster.secret(namespace, "kept", json!({"tls.key": "old-marker"})).await;
    let print = |text: &str| Material::of(SecretValue::from(text)).fingerprint();
    Made {
        path: format!("{path}/web"),
        workload: Workload { name: "web".into(), reference: format!("{kind}/web"), settings: Value::Null },
        expected: Expected { new: print("new-marker"), old: Some(print("old-marker")), path: None },
    }
}

/// What the controller would do: the new value in its Secret, and its word for it.
async fn controller(cluster: &Cluster, namespace: &str, path: &str) {
    let secret = format!("/api/v1/namespaces/{namespace}/secrets/kept");
    cluster.ask("PATCH", &secret, json!({"stringData": {"tls.key": "new-marker"}})).await;
    let ready = json!({"status": {"conditions": [{"type": "Ready", "status": "True"}]}});
    cluster.ask("PATCH", &format!("{path}/status"), ready).await;
}

#[tokio::test]
async fn an_external_secret_is_asked_to_sync_and_seen_by_the_secret_that_it_keeps() {
    let cluster = Cluster::find();
    let namespace = cluster.namespace().await;
    let connector = open(&cluster.address, &namespace, &json!({"ca": {"file": cluster.ca}}));
    let spec = json!({"target": {"name": "kept"}});
    let made = made(&cluster, &namespace, "external-secrets.io", "externalsecrets", "ExternalSecret", spec).await;
    let call = cluster.acting(&cluster.admin);
    let seen = async || connector.observe(&call, &made.workload, &made.expected).await.unwrap().seen;
    assert_eq!(seen().await, Seen::Old);
    connector.reload(&call, &made.workload).await.unwrap();
    let asked = cluster.get(&made.path).await;
    assert_eq!(asked["metadata"]["annotations"]["force-sync"], json!(call.operation.0));
    controller(&cluster, &namespace, &made.path).await;
    assert_eq!(seen().await, Seen::New);
}

#[tokio::test]
async fn a_certificate_is_asked_to_renew_and_not_seen_before_it_is_ready() {
    let cluster = Cluster::find();
    let namespace = cluster.namespace().await;
    let connector = open(&cluster.address, &namespace, &json!({"ca": {"file": cluster.ca}}));
    let spec = json!({"secretName": "kept"});
    let made = made(&cluster, &namespace, "cert-manager.io", "certificates", "Certificate", spec).await;
    let call = cluster.acting(&cluster.admin);
    let seen = async || connector.observe(&call, &made.workload, &made.expected).await.unwrap().seen;
    for _ in 0..2 {
        connector.reload(&call, &made.workload).await.unwrap();
    }
    let conditions = cluster.get(&made.path).await["status"]["conditions"].clone();
    assert_eq!((conditions.as_array().unwrap().len(), &conditions[0]["type"]), (1, &json!("Issuing")));
    // The Secret holds it already, and the resource is still at it.
    let secret = format!("/api/v1/namespaces/{namespace}/secrets/kept");
    cluster.ask("PATCH", &secret, json!({"stringData": {"tls.key": "new-marker"}})).await;
    assert_eq!(seen().await, Seen::Nothing);
    controller(&cluster, &namespace, &made.path).await;
    assert_eq!(seen().await, Seen::New);
}

#[tokio::test]
async fn roles_and_mounts_are_read_into_edges() {
    let cluster = Cluster::find();
    let namespace = cluster.namespace().await;
    let connector = open(&cluster.address, &namespace, &json!({"ca": {"file": cluster.ca}}));
    let reader = cluster.account(&namespace).await;
    cluster.grant(&namespace, &reader, &[("", &["secrets"], &["get", "list"])]).await;
    cluster.workload("deployments", &namespace, "web", "db").await;
    // Every namespace gets this account, in its own time.
    let account = format!("/api/v1/namespaces/{namespace}/serviceaccounts/default");
    let admin = cluster.admin.secret.expose_str().unwrap();
    while cluster.try_as(admin, "GET", &account, Value::Null).await.0 != 200 {
        pause().await;
    }
    let documents = connector.discover(&cluster.acting(&cluster.admin)).await.unwrap();
    let find = |kind: &str, name: &str| {
        let is = |one: &&Value| one["kind"] == kind && one["metadata"]["name"] == name;
        documents.iter().find(is).unwrap_or_else(|| panic!("no {kind} {name} in {documents:?}"))["spec"].clone()
    };
    let web = find("Workload", "deployment-web");
    assert_eq!(web["reads"], json!([format!("this:{namespace}/db")]));
    assert_eq!(web["runsOn"]["ref"], format!("Deployment/{namespace}/web"));
    let token = find("Credential", &reader);
    assert_eq!(token["unlocks"], json!([{"what": format!("this:{namespace}/*"), "verb": "read"}]));
    assert_eq!(token["issuedBy"]["target"], format!("{namespace}/{reader}"));
    assert_eq!(find("Credential", "default")["consumedBy"], json!(["deployment-web"]));
    // What may not be listed is said, not left out.
    let nobody = cluster.actor(&namespace, &[]).await;
    let refused = connector.discover(&cluster.acting(&nobody)).await.unwrap_err();
    assert_eq!(refused.kind, remint_contract::ErrorKind::Denied);
}
