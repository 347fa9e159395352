//! Workloads on a real controller manager, with pods that a double of the kubelet makes ready: one roll-out for several
//! values, and no confirmation without the pods' own word.

use std::sync::Arc;

use remint_contract::{Call, Connector, Expected, Material, SecretValue, Seen, Workload, WriteRequest};
use serde_json::{Value, json};

use crate::cluster::{Cluster, Kubelet, Mounts, RIGHTS, open};

struct Host {
    cluster: Arc<Cluster>,
    namespace: String,
    connector: Arc<dyn Connector>,
    actor: Arc<Material>,
    kubelet: Kubelet,
}

impl Host {
    async fn new(settings: Value) -> Self {
        let cluster = Arc::new(Cluster::find());
        let namespace = cluster.namespace().await;
        let mut settings = settings;
        settings["ca"] = json!({"file": cluster.ca});
        let connector = open(&cluster.address, &namespace, &settings);
        let actor = cluster.actor(&namespace, RIGHTS).await;
        let kubelet = Kubelet::of(&cluster, &namespace);
        Self { cluster, namespace, connector, actor, kubelet }
    }

    fn call(&self) -> Call {
        self.cluster.acting(&self.actor)
    }

    async fn write(&self, path: &str, value: &str) -> String {
        let fields = [("password".to_owned(), SecretValue::from(value))].into();
        let request = WriteRequest { path: path.to_owned(), fields, expect: None };
        self.connector.write(&self.call(), &request).await.unwrap().version
    }

    /// As the engine asks: for a value that was delivered to these places of this cluster.
    async fn reload(&self, reference: &str, delivered: &[&str]) {
        let settings = json!({"reload": {"how": "rollout"}, "delivered": delivered});
        let workload = Workload { settings, ..workload(reference) };
        self.connector.reload(&self.call(), &workload).await.unwrap();
    }

    async fn seen(&self, reference: &str, path: &str) -> Seen {
        let print = |text: &str| Material::of(SecretValue::from(text)).fingerprint();
        let expected = Expected { new: print(NEW), old: Some(print(OLD)), path: Some(path.to_owned()) };
        self.connector.observe(&self.call(), &workload(reference), &expected).await.unwrap().seen
    }

    async fn generation(&self, name: &str) -> i64 {
        let path = format!("/apis/apps/v1/namespaces/{}/deployments/{name}", self.namespace);
        self.cluster.get(&path).await["metadata"]["generation"].as_i64().unwrap()
    }

    async fn rolled_out(&self, kind: &str, name: &str) {
        self.cluster.rolled_out(kind, &self.namespace, name).await;
    }
}

fn workload(reference: &str) -> Workload {
    Workload { name: "web".to_owned(), reference: reference.to_owned(), settings: Value::Null }
}

const OLD: &str = "old-marker-value";
const NEW: &str = "new-marker-value";

#[tokio::test]
async fn every_kind_of_workload_rolls_and_is_seen_on_the_value_that_its_pods_read() {
    let host = Host::new(json!({})).await;
    host.write("db", OLD).await;
    // Pods of a DaemonSet are one per node.
    let node = json!({"metadata": {"name": host.cluster.name()}});
    let node = host.cluster.post("/api/v1/nodes", node).await;
    for (kind, plural) in [("Deployment", "deployments"), ("StatefulSet", "statefulsets"), ("DaemonSet", "daemonsets")]
    {
        host.write("db", OLD).await;
        let name = kind.to_lowercase();
        host.cluster.workload(plural, &host.namespace, &name, "db").await;
        host.rolled_out(plural, &name).await;
        host.write("db", NEW).await;
        let reference = format!("{kind}/{name}");
        assert_eq!(host.seen(&reference, "db").await, Seen::Old, "{kind}");
        host.reload(&reference, &["db"]).await;
        host.rolled_out(plural, &name).await;
        assert_eq!(host.seen(&reference, "db").await, Seen::New, "{kind}");
    }
    let name = node["metadata"]["name"].as_str().unwrap();
    host.cluster.ask("DELETE", &format!("/api/v1/nodes/{name}"), Value::Null).await;
}

#[tokio::test]
async fn a_workload_whose_pods_mount_another_secret_or_an_older_version_is_never_confirmed() {
    let host = Host::new(json!({})).await;
    let old = host.write("db", OLD).await;
    host.write("other", NEW).await;
    host.cluster.workload("deployments", &host.namespace, "right", "db").await;
    host.cluster.workload("deployments", &host.namespace, "wrong", "other").await;
    host.write("db", NEW).await;
    // The roll-out ends, and its pods read what was there before.
    host.kubelet.mounts(Mounts::Older(old));
    for name in ["right", "wrong"] {
        host.reload(&format!("Deployment/{name}"), &["db"]).await;
        host.rolled_out("deployments", name).await;
    }
    assert_eq!(host.seen("Deployment/right", "db").await, Seen::Old);
    assert_eq!(host.seen("Deployment/wrong", "db").await, Seen::Other);
    host.kubelet.mounts(Mounts::Older("1".to_owned()));
    host.reload("Deployment/right", &[]).await;
    host.rolled_out("deployments", "right").await;
    assert_eq!(host.seen("Deployment/right", "db").await, Seen::Other);
    host.kubelet.mounts(Mounts::Current);
    for name in ["right", "wrong"] {
        host.reload(&format!("Deployment/{name}"), &[]).await;
        host.rolled_out("deployments", name).await;
    }
    assert_eq!(host.seen("Deployment/right", "db").await, Seen::New);
    assert_eq!(host.seen("Deployment/wrong", "db").await, Seen::Other);
}

#[tokio::test]
async fn a_roll_out_that_has_not_ended_confirms_nothing() {
    let host = Host::new(json!({})).await;
    host.write("db", OLD).await;
    host.cluster.workload("deployments", &host.namespace, "web", "db").await;
    host.rolled_out("deployments", "web").await;
    host.write("db", NEW).await;
    host.kubelet.mounts(Mounts::Never);
    host.reload("Deployment/web", &["db"]).await;
    assert_ne!(host.seen("Deployment/web", "db").await, Seen::New);
}

#[tokio::test]
async fn where_no_node_says_what_it_mounted_the_stamp_of_the_roll_out_does() {
    let host = Host::new(json!({})).await;
    host.write("db", OLD).await;
    host.kubelet.mounts(Mounts::Silent);
    host.cluster.workload("deployments", &host.namespace, "web", "db").await;
    host.rolled_out("deployments", "web").await;
    host.write("db", NEW).await;
    assert_eq!(host.seen("Deployment/web", "db").await, Seen::Nothing);
    host.reload("Deployment/web", &["db"]).await;
    host.rolled_out("deployments", "web").await;
    assert_eq!(host.seen("Deployment/web", "db").await, Seen::New);
    // Somebody writes again: what the pods were rolled out for is not in place any more.
    host.write("db", "a third value").await;
    assert_ne!(host.seen("Deployment/web", "db").await, Seen::New);
}

#[tokio::test]
async fn several_secrets_are_one_roll_out_and_two_within_a_second_are_two() {
    let host = Host::new(json!({})).await;
    host.write("db", OLD).await;
    host.write("cache", OLD).await;
    host.cluster.workload("deployments", &host.namespace, "web", "db").await;
    let path = format!("/apis/apps/v1/namespaces/{}/deployments/web", host.namespace);
    let volumes =
        json!([{"name": "db", "secret": {"secretName": "db"}}, {"name": "c", "secret": {"secretName": "cache"}}]);
    host.cluster.ask("PATCH", &path, json!({"spec": {"template": {"spec": {"volumes": volumes}}}})).await;
    let before = host.generation("web").await;
    host.write("db", NEW).await;
    host.write("cache", NEW).await;
    host.reload("Deployment/web", &["db"]).await;
    host.reload("Deployment/web", &["cache"]).await;
    assert_eq!(host.generation("web").await, before + 1);
    // A value that lies elsewhere cannot be known to be read: it rolls, however soon.
    host.reload("Deployment/web", &[]).await;
    host.reload("Deployment/web", &[]).await;
    assert_eq!(host.generation("web").await, before + 3);
    // So does a Secret that was written after the last one.
    host.write("cache", "a third value").await;
    host.reload("Deployment/web", &["cache"]).await;
    assert_eq!(host.generation("web").await, before + 4);
}

#[tokio::test]
async fn a_repeat_of_one_operation_rolls_once() {
    let host = Host::new(json!({})).await;
    host.write("db", OLD).await;
    host.cluster.workload("deployments", &host.namespace, "web", "db").await;
    let before = host.generation("web").await;
    let call = host.call();
    for _ in 0..3 {
        host.connector.reload(&call, &workload("Deployment/web")).await.unwrap();
    }
    assert_eq!(host.generation("web").await, before + 1);
}

#[tokio::test]
async fn a_workload_moves_from_one_immutable_version_to_the_next() {
    let host = Host::new(json!({"secrets": "versioned"})).await;
    host.write("db", OLD).await;
    host.cluster.workload("deployments", &host.namespace, "web", "db-1").await;
    host.rolled_out("deployments", "web").await;
    host.write("db", NEW).await;
    assert_eq!(host.seen("Deployment/web", "db").await, Seen::Old);
    host.reload("Deployment/web", &["db"]).await;
    host.rolled_out("deployments", "web").await;
    assert_eq!(host.seen("Deployment/web", "db").await, Seen::New);
    let path = format!("/apis/apps/v1/namespaces/{}/deployments/web", host.namespace);
    let template = &host.cluster.get(&path).await["spec"]["template"];
    assert_eq!(template["spec"]["volumes"][0]["secret"]["secretName"], "db-2");
    host.connector.destroy_version(&host.call(), "db", "1").await.unwrap();
    assert_eq!(host.connector.versions(&host.call(), "db").await.unwrap(), ["2"]);
}
