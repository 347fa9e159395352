//! The real API server of `cargo xtask test`, as its administrator sees it; a way to it that can lose things; and a double of
//! the kubelet, which no cluster of these tests has.

pub(crate) mod kubelet;
pub(crate) mod proxy;

use std::io::Write as _;
use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use remint_contract::{Call, Connector, ConnectorKind as _, HostRules, Material, OperationId, SecretValue};
use serde_json::{Value, json};

pub(crate) use kubelet::{Kubelet, Mounts};
pub(crate) use proxy::{Proxy, Trouble};

/// A cluster, its administrator's token, and names that no other test has.
pub(crate) struct Cluster {
    pub(crate) address: String,
    pub(crate) ca: PathBuf,
    pub(crate) admin: Arc<Material>,
    pub(crate) prefix: String,
    pub(crate) http: reqwest::Client,
    made: AtomicU64,
}

impl Cluster {
    /// # Panics
    /// Nobody started a server for the tests: what is not tested is not claimed.
    pub(crate) fn find() -> Self {
        let (Some(address), Some(token), Some(ca)) = (told(""), told("_TOKEN"), told("_CA")) else {
            panic!(
                "no Kubernetes: REMINT_TEST_KUBERNETES, …_TOKEN and …_CA are not set; run `cargo xtask test`, or export \
                 what `cargo xtask servers up kubernetes` prints"
            );
        };
        Self::at(address, token, ca.into())
    }

    /// The one at an address.
    pub(crate) fn at(address: String, token: String, ca: PathBuf) -> Self {
        // Past the harness, which hides what a passing test prints.
        let mut out = std::io::stderr();
        writeln!(out, "SERVER Kubernetes").unwrap();
        let mut random = [0; 4];
        aws_lc_rs::rand::fill(&mut random).unwrap();
        let authorities = reqwest::Certificate::from_pem_bundle(&std::fs::read(&ca).unwrap()).unwrap();
        Self {
            address,
            ca,
            admin: Arc::new(Material::of(SecretValue::from(token))),
            prefix: format!("k{:08x}", u32::from_ne_bytes(random)),
            http: reqwest::Client::builder().no_proxy().tls_certs_only(authorities).build().unwrap(),
            made: AtomicU64::new(0),
        }
    }

    /// A name of this test's own.
    pub(crate) fn name(&self) -> String {
        format!("{}-{}", self.prefix, self.made.fetch_add(1, Ordering::Relaxed))
    }

    /// A call of a new operation.
    pub(crate) fn acting(&self, actor: &Arc<Material>) -> Call {
        Call {
            operation: OperationId(format!("op-{}", self.name())),
            deadline: "9000-01-01T00:00:00Z".parse().unwrap(),
            actor: Some(Arc::clone(actor)),
        }
    }

    /// What the administrator may do; the answer must be a success.
    pub(crate) async fn ask(&self, method: &str, path: &str, body: Value) -> Value {
        let (status, answer) = self.try_as(self.admin.secret.expose_str().unwrap(), method, path, body).await;
        assert!((200..300).contains(&status), "{method} {path}: {status} {answer}");
        answer
    }

    pub(crate) async fn get(&self, path: &str) -> Value {
        self.ask("GET", path, Value::Null).await
    }

    pub(crate) async fn post(&self, path: &str, body: Value) -> Value {
        self.ask("POST", path, body).await
    }

    /// What the bearer of a token may do.
    pub(crate) async fn try_as(&self, token: &str, method: &str, path: &str, body: Value) -> (u16, Value) {
        let url = format!("{}{path}", self.address);
        let request = self.http.request(method.parse().unwrap(), url).bearer_auth(token);
        let request = if body.is_null() { request } else { request.body(body.to_string()) };
        let content = if method == "PATCH" { "application/merge-patch+json" } else { "application/json" };
        let answer = request.header("content-type", content).send().await.unwrap();
        let status = answer.status().as_u16();
        (status, serde_json::from_str(&answer.text().await.unwrap()).unwrap_or(Value::Null))
    }

    /// A namespace of this test's own.
    pub(crate) async fn namespace(&self) -> String {
        let name = self.name();
        self.post("/api/v1/namespaces", json!({"metadata": {"name": name}})).await;
        name
    }

    pub(crate) async fn account(&self, namespace: &str) -> String {
        let name = self.name();
        let path = format!("/api/v1/namespaces/{namespace}/serviceaccounts");
        self.post(&path, json!({"metadata": {"name": name}})).await;
        name
    }

    /// The token of an account that has these rules in the namespace: (groups, resources, verbs).
    pub(crate) async fn actor(&self, namespace: &str, rules: &[(&str, &[&str], &[&str])]) -> Arc<Material> {
        let name = self.account(namespace).await;
        self.grant(namespace, &name, rules).await;
        let path = format!("/api/v1/namespaces/{namespace}/serviceaccounts/{name}/token");
        let given = self.post(&path, json!({"spec": {"expirationSeconds": 3600}})).await;
        Arc::new(Material::of(SecretValue::from(given["status"]["token"].as_str().unwrap())))
    }

    pub(crate) async fn grant(&self, namespace: &str, account: &str, rules: &[(&str, &[&str], &[&str])]) {
        let rules: Vec<_> = rules
            .iter()
            .map(|(group, resources, verbs)| json!({"apiGroups": [group], "resources": resources, "verbs": verbs}))
            .collect();
        let rbac = format!("/apis/rbac.authorization.k8s.io/v1/namespaces/{namespace}");
        let meta = json!({"name": account});
        self.post(&format!("{rbac}/roles"), json!({"metadata": meta, "rules": rules})).await;
        let binding = json!({
            "metadata": meta,
            "roleRef": {"apiGroup": "rbac.authorization.k8s.io", "kind": "Role", "name": account},
            "subjects": [{"kind": "ServiceAccount", "name": account, "namespace": namespace}],
        });
        self.post(&format!("{rbac}/rolebindings"), binding).await;
    }

    /// A Secret that another manager made.
    pub(crate) async fn secret(&self, namespace: &str, name: &str, data: Value) -> Value {
        let path = format!("/api/v1/namespaces/{namespace}/secrets?fieldManager=another");
        self.post(&path, json!({"metadata": {"name": name}, "stringData": data})).await
    }

    /// A workload of two pods that mount a Secret.
    pub(crate) async fn workload(&self, kind: &str, namespace: &str, name: &str, secret: &str) {
        let labels = json!({"app": name});
        let mut spec = json!({
            "replicas": 2,
            "selector": {"matchLabels": labels},
            "template": {"metadata": {"labels": labels}, "spec": {
                "containers": [{"name": "app", "image": "none.test/none"}],
                "volumes": [{"name": "db", "secret": {"secretName": secret}}],
            }},
        });
        if kind == "daemonsets" {
            spec.as_object_mut().unwrap().remove("replicas");
        }
        let path = format!("/apis/apps/v1/namespaces/{namespace}/{kind}");
        self.post(&path, json!({"metadata": {"name": name}, "spec": spec})).await;
    }

    /// Until the controllers say that a workload's pods are all of its template, and ready.
    pub(crate) async fn rolled_out(&self, kind: &str, namespace: &str, name: &str) {
        while !self.is_rolled_out(kind, namespace, name).await {
            pause().await;
        }
    }

    async fn is_rolled_out(&self, kind: &str, namespace: &str, name: &str) -> bool {
        let found = self.get(&format!("/apis/apps/v1/namespaces/{namespace}/{kind}/{name}")).await;
        let (status, wanted) = (&found["status"], &found["spec"]["replicas"]);
        let all = |names: &[&str], wanted: &Value| names.iter().all(|name| status[*name] == *wanted);
        status["observedGeneration"] == found["metadata"]["generation"]
            && match kind {
                "daemonsets" => {
                    let nodes = &status["desiredNumberScheduled"];
                    nodes.as_u64().unwrap_or(0) > 0 && all(&["updatedNumberScheduled", "numberAvailable"], nodes)
                }
                "statefulsets" => {
                    status["updateRevision"] == status["currentRevision"] && all(&["readyReplicas"], wanted)
                }
                _ => all(&["updatedReplicas", "availableReplicas", "replicas"], wanted),
            }
    }

    pub(crate) async fn lives(&self, token: &str) -> bool {
        let review = "/apis/authentication.k8s.io/v1/selfsubjectreviews";
        self.try_as(token, "POST", review, json!({})).await.0 == 201
    }
}

/// Everything that Remint is given in a namespace, as the catalogue's page has it.
pub(crate) const RIGHTS: &[(&str, &[&str], &[&str])] = &[
    ("", &["secrets"], &["get", "list", "watch", "create", "patch", "delete"]),
    ("", &["serviceaccounts"], &["get"]),
    ("", &["serviceaccounts/token"], &["create"]),
    ("", &["pods"], &["list"]),
    ("apps", &["deployments", "statefulsets", "daemonsets"], &["get", "patch"]),
];

/// The environment of `cargo xtask servers`.
#[expect(clippy::disallowed_methods, reason = "where the test server is comes from the environment")]
pub(crate) fn told(what: &str) -> Option<String> {
    std::env::var(format!("REMINT_TEST_KUBERNETES{what}")).ok()
}

/// Between two looks at what the controllers do, which give no signal; the test's own end is the bound.
pub(crate) async fn pause() {
    tokio::time::sleep(Duration::from_millis(40)).await;
}

/// The connector on an address.
pub(crate) fn open(address: &str, namespace: &str, settings: &Value) -> Arc<dyn Connector> {
    let mut settings = settings.clone();
    settings["server"] = address.into();
    settings["namespace"] = namespace.into();
    remint_kubernetes::kind().open(&settings, &HostRules::default()).unwrap()
}

/// An address of this machine where nothing answers.
pub(crate) fn nowhere() -> String {
    let free = std::net::TcpListener::bind(("127.0.0.1", 0)).unwrap().local_addr().unwrap();
    format!("http://{free}")
}
