//! A double of the kubelet: it makes pods ready, and says which version of each Secret it "mounted" into them.
//!
//! It is no kubelet: nothing runs, nothing is mounted. What it says is what a node would have read at that moment, and it can
//! be told to mount an older version, or to say nothing.

use std::collections::BTreeSet;
use std::sync::{Arc, Mutex};

use serde_json::{Value, json};

use super::Cluster;

/// What pods are given from now on.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Mounts {
    /// The Secret as it is.
    Current,
    /// Another version than the one in place.
    Older(String),
    /// Nobody says what.
    Silent,
    /// Pods do not get ready.
    Never,
}

pub(crate) struct Kubelet {
    mounts: Arc<Mutex<Mounts>>,
    running: tokio::task::JoinHandle<()>,
}

impl Kubelet {
    /// For all pods of a namespace.
    pub(crate) fn of(cluster: &Arc<Cluster>, namespace: &str) -> Self {
        let mounts = Arc::new(Mutex::new(Mounts::Current));
        let (cluster, namespace, told) = (Arc::clone(cluster), namespace.to_owned(), Arc::clone(&mounts));
        let running = tokio::spawn(async move { run(&cluster, &namespace, &told).await });
        Self { mounts, running }
    }

    pub(crate) fn mounts(&self, mounts: Mounts) {
        *self.mounts.lock().unwrap() = mounts;
    }
}

impl Drop for Kubelet {
    fn drop(&mut self) {
        self.running.abort();
    }
}

async fn run(cluster: &Cluster, namespace: &str, mounts: &Mutex<Mounts>) {
    let url = format!("{}/api/v1/namespaces/{namespace}/pods?watch=true", cluster.address);
    let token = cluster.admin.secret.expose_str().unwrap();
    let mut done = BTreeSet::new();
    // A watch that ends begins anew, with every pod as if it were new.
    loop {
        let Ok(mut events) = cluster.http.get(&url).bearer_auth(token).send().await else { continue };
        let mut read = Vec::new();
        while let Ok(Some(chunk)) = events.chunk().await {
            read.extend_from_slice(&chunk);
            while let Some(end) = read.iter().position(|byte| *byte == b'\n') {
                let line: Vec<u8> = read.drain(..=end).collect();
                let event: Value = serde_json::from_slice(&line).unwrap();
                let pod = &event["object"];
                let fresh = event["type"] == "ADDED" && pod["metadata"]["deletionTimestamp"].is_null();
                if fresh && done.insert(pod["metadata"]["uid"].to_string()) {
                    let mounts = mounts.lock().unwrap().clone();
                    start(cluster, namespace, pod, &mounts).await;
                }
            }
        }
    }
}

async fn start(cluster: &Cluster, namespace: &str, pod: &Value, mounts: &Mounts) {
    let token = cluster.admin.secret.expose_str().unwrap();
    let path = format!("/api/v1/namespaces/{namespace}/pods/{}", pod["metadata"]["name"].as_str().unwrap());
    let mut mounted = Vec::new();
    for volume in pod["spec"]["volumes"].as_array().into_iter().flatten() {
        let Some(name) = volume["secret"]["secretName"].as_str() else { continue };
        let version = match mounts {
            Mounts::Older(version) => version.clone(),
            Mounts::Current | Mounts::Silent | Mounts::Never => {
                let secret = format!("/api/v1/namespaces/{namespace}/secrets/{name}");
                let (_, secret) = cluster.try_as(token, "GET", &secret, Value::Null).await;
                secret["metadata"]["resourceVersion"].as_str().unwrap_or("none").to_owned()
            }
        };
        mounted.push(format!("{name}={version}"));
    }
    // A pod may be gone by now, which is no fault of anybody.
    if *mounts != Mounts::Silent {
        let annotations = json!({"metadata": {"annotations": {"remint.dev/mounted": mounted.join(",")}}});
        cluster.try_as(token, "PATCH", &path, annotations).await;
    }
    if *mounts != Mounts::Never {
        let ready = json!({"status": {"phase": "Running", "conditions": [
            {"type": "Ready", "status": "True", "lastTransitionTime": "2020-01-01T00:00:00Z"}
        ]}});
        cluster.try_as(token, "PATCH", &format!("{path}/status"), ready).await;
    }
}
