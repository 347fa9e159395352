//! The conformance suite over a real Kubernetes API server (see `cargo xtask test`); the kubelet is a double.
#![expect(clippy::unwrap_used, clippy::panic, reason = "what cannot be set up ends the test")]

mod calls;
mod cluster;
mod resources;
mod restarted;
mod secrets;
mod tokens;
mod workloads;

use std::sync::{Arc, Mutex};

use async_trait::async_trait;
use base64::Engine as _;
use base64::engine::general_purpose::{STANDARD, URL_SAFE_NO_PAD};
use remint_conformance::gate::Gate;
use remint_conformance::{ConsumerCase, Fault, Harness, IssuerCase, Report, StoreCase, assert_passes, run};
use remint_contract::{
    Call, Connector, Expected, Material, MintRequest, SecretValue, Strategy, Target, Verb, Workload, WriteRequest,
};
use serde_json::{Value, json};

use crate::cluster::{Cluster, Kubelet, Proxy, RIGHTS, Trouble, nowhere, open, pause};

/// A namespace with a connector that goes through a proxy, as an actor with the rights that the page names.
struct Rig {
    cluster: Arc<Cluster>,
    proxy: Proxy,
    namespace: String,
    settings: Value,
    connector: Arc<dyn Connector>,
    actor: Arc<Material>,
    nobody: Arc<Material>,
    /// Tokens that the server has seen without the proxy.
    given: Mutex<Vec<String>>,
    _kubelet: Kubelet,
}

impl Rig {
    async fn new(settings: Value) -> Self {
        let cluster = Arc::new(Cluster::find());
        let namespace = cluster.namespace().await;
        let proxy = Proxy::to(&cluster).await;
        let connector = open(&proxy.address, &namespace, &settings);
        let actor = cluster.actor(&namespace, RIGHTS).await;
        let nobody = cluster.actor(&namespace, &[]).await;
        let kubelet = Kubelet::of(&cluster, &namespace);
        Self {
            cluster,
            proxy,
            namespace,
            settings,
            connector,
            actor,
            nobody,
            given: Mutex::default(),
            _kubelet: kubelet,
        }
    }

    async fn write(&self, path: &str, field: &str, value: &str) {
        let fields = [(field.to_owned(), SecretValue::from(value))].into();
        let request = WriteRequest { path: path.to_owned(), fields, expect: None };
        self.connector.write(&self.cluster.acting(&self.actor), &request).await.unwrap();
    }
}

#[async_trait]
impl Harness for Rig {
    fn connector(&self) -> Arc<dyn Connector> {
        Arc::clone(&self.connector)
    }

    async fn call(&self) -> Call {
        self.cluster.acting(&self.actor)
    }

    async fn issuer_case(&self, strategy: Strategy) -> Option<IssuerCase> {
        let name = self.cluster.account(&self.namespace).await;
        let target = Target { name, settings: Value::Null };
        let request = MintRequest { target: target.clone(), strategy, old: None, old_username: None, proposed: None };
        let old = self.connector.mint(&self.call().await, &request).await.unwrap();
        // Once the server has seen it, it remembers for a while.
        let token = old.material.secret.expose_str()?;
        while !self.cluster.lives(token).await {
            pause().await;
        }
        self.given.lock().unwrap().push(token.to_owned());
        let missing = Target { name: self.cluster.name(), settings: Value::Null };
        Some(IssuerCase { target, old, missing })
    }

    async fn store_case(&self) -> Option<StoreCase> {
        let name = self.cluster.name();
        let kept = format!("kept-marker-{name}");
        self.cluster.secret(&self.namespace, &name, json!({"kept": kept})).await;
        Some(StoreCase {
            path: format!("{}/{name}", self.namespace),
            field: "password".to_owned(),
            kept: Some(("kept".to_owned(), SecretValue::from(kept))),
            missing: format!("{}/{}", self.namespace, self.cluster.name()),
        })
    }

    async fn consumer_case(&self) -> Option<ConsumerCase> {
        let name = self.cluster.name();
        let (old, new) = (format!("old-marker-{name}"), format!("new-marker-{name}"));
        self.write(&name, "password", &old).await;
        let mounted = if self.settings["secrets"] == "versioned" { format!("{name}-1") } else { name.clone() };
        self.cluster.workload("deployments", &self.namespace, &name, &mounted).await;
        self.cluster.rolled_out("deployments", &self.namespace, &name).await;
        self.write(&name, "password", &new).await;
        let print = |text: &str| Material::of(SecretValue::from(text)).fingerprint();
        let workload = |name: String| Workload {
            name: "web".to_owned(),
            reference: format!("Deployment/{name}"),
            settings: Value::Null,
        };
        Some(ConsumerCase {
            workload: workload(name.clone()),
            expected: Expected { new: print(&new), old: Some(print(&old)), path: Some(name) },
            missing: Some(workload(self.cluster.name())),
        })
    }

    async fn wrong_actor(&self) -> Option<Call> {
        Some(self.cluster.acting(&self.nobody))
    }

    async fn unreachable(&self) -> Option<Arc<dyn Connector>> {
        Some(open(&nowhere(), &self.namespace, &self.settings))
    }

    async fn requests(&self) -> Option<u64> {
        Some(self.proxy.requests())
    }

    fn gate(&self) -> Option<&Gate> {
        Some(&self.proxy.gate)
    }

    async fn fault(&self, fault: Fault) -> bool {
        self.proxy.arm(Some(match fault {
            Fault::LostAnswer(Verb::Mint) if self.settings["tokens"] == "bound" => Trouble::Lost("POST", "/token"),
            Fault::LostAnswer(Verb::Mint) => Trouble::Lost("POST", "/secrets"),
            Fault::LyingRevoke => Trouble::Lie("DELETE"),
            Fault::Throttle => Trouble::Throttled,
            // The server's own memory of tokens that it has seen.
            Fault::Lagging => return true,
            Fault::LostAnswer(_) => return false,
        }));
        true
    }

    async fn settle(&self) {
        self.proxy.arm(None);
        let given = self.given.lock().unwrap().clone();
        for token in self.proxy.tokens().into_iter().chain(given) {
            if self.is_revoked(&token).await {
                while self.cluster.lives(&token).await {
                    pause().await;
                }
                self.given.lock().unwrap().retain(|given| *given != token);
            }
        }
        // A legacy token is refused until the server has seen its Secret filled.
        for token in self.legacy().await {
            while !self.cluster.lives(&token).await {
                pause().await;
            }
        }
        let path = format!("/apis/apps/v1/namespaces/{}/deployments", self.namespace);
        for found in self.cluster.get(&path).await["items"].as_array().unwrap() {
            let name = found["metadata"]["name"].as_str().unwrap();
            self.cluster.rolled_out("deployments", &self.namespace, name).await;
        }
    }

    async fn plant_foreign(&self, _target: &Target) -> Option<String> {
        let (name, account) = (self.cluster.name(), self.cluster.account(&self.namespace).await);
        let secret = json!({
            "metadata": {"name": name, "annotations": {"kubernetes.io/service-account.name": account}},
            "type": "kubernetes.io/service-account-token",
        });
        self.cluster.post(&format!("/api/v1/namespaces/{}/secrets", self.namespace), secret).await;
        Some(name)
    }
}

impl Rig {
    /// Tokens that lie in Secrets.
    async fn legacy(&self) -> Vec<String> {
        let path = format!("/api/v1/namespaces/{}/secrets?fieldSelector=type%3D{SORT}", self.namespace);
        let found = self.cluster.get(&path).await;
        let tokens = found["items"].as_array().unwrap().iter().filter_map(|secret| secret["data"]["token"].as_str());
        tokens.map(|token| String::from_utf8(STANDARD.decode(token).unwrap()).unwrap()).collect()
    }

    /// Is the Secret that a token lives with gone?
    async fn is_revoked(&self, token: &str) -> bool {
        let Some(payload) = token.split('.').nth(1).and_then(|text| URL_SAFE_NO_PAD.decode(text).ok()) else {
            return false;
        };
        let claims: Value = serde_json::from_slice(&payload).unwrap();
        let name = claims.pointer("/kubernetes.io/secret/name").or(claims.get(LEGACY)).and_then(Value::as_str);
        let Some(name) = name else { return false };
        let path = format!("/api/v1/namespaces/{}/secrets/{name}", self.namespace);
        self.cluster.try_as(self.cluster.admin.secret.expose_str().unwrap(), "GET", &path, Value::Null).await.0 == 404
    }
}

const SORT: &str = "kubernetes.io%2Fservice-account-token";
const LEGACY: &str = "kubernetes.io/serviceaccount/secret.name";

fn not_shown(report: &Report) -> Vec<&str> {
    report.not_shown.iter().map(|(name, _)| name.as_str()).collect()
}

#[tokio::test]
async fn replaced_secrets_bound_tokens_and_workloads_behave_as_the_contract_says() {
    let report = run(&Rig::new(json!({"tokens": "bound"})).await).await;
    assert_passes(&report);
    assert_eq!(
        not_shown(&report),
        [
            "Overlap: disable stops a version and enable brings it back",
            "Overlap: what came from a version ends, and is seen to end",
            "store: readers see a staged value only after promote, which may be repeated",
            "store: a late promote of an older version leaves the newer value alone",
            "store: a destroyed version is gone, and destroying it again is fine"
        ],
        "{report}"
    );
}

#[tokio::test]
async fn versioned_secrets_behave_as_the_contract_says() {
    let report = run(&Rig::new(json!({"secrets": "versioned"})).await).await;
    assert_passes(&report);
    assert_eq!(
        not_shown(&report),
        [
            "store: readers see a staged value only after promote, which may be repeated",
            "store: a late promote of an older version leaves the newer value alone"
        ],
        "{report}"
    );
}

#[tokio::test]
async fn legacy_tokens_behave_as_the_contract_says() {
    let report = run(&Rig::new(json!({"tokens": "legacy", "secrets": "none", "workloads": false})).await).await;
    assert_passes(&report);
    assert_eq!(
        not_shown(&report),
        [
            "Overlap: disable stops a version and enable brings it back",
            "Overlap: what came from a version ends, and is seen to end"
        ],
        "{report}"
    );
}
