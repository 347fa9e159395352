//! Custom resources on a real API server, with the daemon behind it.

mod admission;
mod asked;
mod between;
mod carried;
mod examples;
mod few;
mod incident;
mod last_week;
mod many;
#[path = "../../../cluster/tests/cluster/rig.rs"]
mod rig;
mod signed;
mod space;
mod suspended;
mod tenants;
mod two;
mod watched;

use std::path::PathBuf;

use rcgen::ExtendedKeyUsagePurpose;
use remint::app::App;
use remint::serve::{Certificates, ClusterAt, Listen, Options};
use remint_cluster::webhook::{self, Place as Where};
use serde_json::{Value, json};

use super::client::Client;
use super::entrances::{Authority, write};
use super::{Daemon, Place};
use rig::{Answer, Server, place, until};

/// A cluster and what daemons show to it.
struct Cluster {
    server: Server,
    authority: Authority,
    files: tempfile::TempDir,
}

impl Cluster {
    async fn start() -> Self {
        // Both sides of TLS are in this program; a second install is refused, which is fine.
        let _ = rustls::crypto::aws_lc_rs::default_provider().install_default();
        let server = Server::start().await;
        server.define().await;
        Self { server, authority: Authority::new(), files: tempfile::tempdir().unwrap() }
    }

    fn at(&self) -> ClusterAt {
        ClusterAt {
            server: self.server.address.clone(),
            token_file: self.server.file("token"),
            ca: self.server.file("ca.crt"),
            namespace: "default".to_owned(),
            operator: Some("admin".to_owned()),
            ..ClusterAt::default()
        }
    }

    /// A daemon whose estate lies here; with the webhooks, which the API server asks from then on.
    async fn serve(&self, place: &Place, app: App) -> Daemon {
        self.serve_at(self.at(), place, app).await
    }

    /// The same, where the daemon reaches the API server at another address.
    async fn serve_through(&self, address: &str, place: &Place, app: App) -> Daemon {
        self.serve_at(ClusterAt { server: address.to_owned(), ..self.at() }, place, app).await
    }

    async fn serve_at(&self, at: ClusterAt, place: &Place, app: App) -> Daemon {
        let options = Options { cluster: Some(at), ..place.options(Listen::Socket(place.socket())) };
        let (webhooks, address) = self.listen();
        let options = Options { webhooks: Some(webhooks), ..options };
        let daemon = Place::serving_app(app, options, Client::socket(place.socket())).await;
        self.register(&address).await;
        daemon
    }

    fn listen(&self) -> (Listen, String) {
        let [certificate, key]: [PathBuf; 2] = ["hook.pem", "hook.key"].map(|name| self.files.path().join(name));
        let shown = self.authority.signs("127.0.0.1", ExtendedKeyUsagePurpose::ServerAuth);
        write(&certificate, &shown.0);
        write(&key, &shown.1);
        let files = Certificates { certificate, key, clients: None };
        let listen = Listen::tls("127.0.0.1:0".parse().unwrap(), files).unwrap();
        let address = listen.address().unwrap();
        (listen, format!("https://{address}"))
    }

    /// Until the API server asks there: it learns of it by itself.
    async fn register(&self, address: &str) {
        for hook in webhook::configurations(&Where::Url(address), self.authority.pem().as_bytes()) {
            let path = hooks(&hook);
            self.server.apply_as(self.server.admin(), &path, hook.to_string().as_bytes()).await.ok();
        }
        let robot = object("Identity", "robot", json!({"class": "agent", "environment": "AKIAEXAMPLEEXAMPLE42"}));
        until("the webhooks are asked", async || {
            let path = format!("{}?fieldManager=kubectl&dryRun=All", place(&robot));
            let content = "application/apply-patch+yaml";
            let admin = self.server.admin();
            let answer = self.server.ask_as(admin, "PATCH", &path, content, robot.to_string()).await;
            answer.body["message"].as_str().unwrap_or_default().contains("a secret value stands here").then_some(())
        })
        .await;
    }

    async fn forget_webhooks(&self) {
        for hook in webhook::configurations(&Where::Url("https://127.0.0.1:1"), b"") {
            self.server.ask("DELETE", &hooks(&hook), &Value::Null).await.ok();
        }
        // An empty spec of a kind that the schema lets pass.
        let probe = act("Reset", "probe", json!({"from": ["Workload/none"], "reason": "probe"}));
        until("the webhooks are asked no more", async || {
            let there = self.server.apply(&probe).await;
            let stamped = there.body["spec"]["requestedBy"].is_object();
            self.server.ask("DELETE", &place(&probe), &Value::Null).await;
            ((200..300).contains(&there.status) && !stamped).then_some(())
        })
        .await;
    }

    /// A Reset that is asked for now.
    async fn asks(&self, name: &str, from: &str) -> Value {
        let asked = act("Reset", name, json!({"from": [from], "reason": format!("INC {name}")}));
        self.server.apply(&asked).await.ok();
        asked
    }

    /// The token of an account that may do everything at the API server, and is nobody more to Remint.
    async fn account(&self, name: &str) -> String {
        let path = "/api/v1/namespaces/default/serviceaccounts";
        self.server.ask("POST", path, &json!({"metadata": {"name": name}})).await.ok();
        let bound = json!({
            "metadata": {"name": format!("account-{name}")},
            "roleRef": {"apiGroup": "rbac.authorization.k8s.io", "kind": "ClusterRole", "name": "cluster-admin"},
            "subjects": [{"kind": "ServiceAccount", "name": name, "namespace": "default"}],
        });
        self.server.ask("POST", "/apis/rbac.authorization.k8s.io/v1/clusterrolebindings", &bound).await.ok();
        let token = self.server.ask("POST", &format!("{path}/{name}/token"), &json!({"spec": {}})).await.ok();
        let token = token["status"]["token"].as_str().unwrap().to_owned();
        until("the account may", async || {
            let all = "/apis/remint.dev/v1alpha1/resets";
            let seen = self.server.ask_as(&token, "GET", all, "application/json", String::new()).await;
            (seen.status == 200).then_some(())
        })
        .await;
        token
    }

    /// Applies every document of a text.
    async fn documents(&self, text: &str) {
        for document in documents(text) {
            self.server.apply(&document).await.ok();
        }
    }

    async fn get(&self, object: &Value) -> Value {
        self.server.ask("GET", &place(object), &Value::Null).await.ok()
    }

    /// The object, once its status is that.
    async fn stands(&self, object: &Value, pointer: &str, wanted: &str) -> Value {
        let what = format!("{} {pointer} is {wanted}", place(object));
        let mut last = Value::Null;
        let seen = tokio::time::timeout(super::LONG * 6, async {
            loop {
                let there = self.server.ask("GET", &place(object), &Value::Null).await.body;
                if there.pointer(pointer).is_some_and(|found| found == wanted) {
                    return there;
                }
                last = there;
                tokio::time::sleep(std::time::Duration::from_millis(50)).await;
            }
        })
        .await;
        seen.unwrap_or_else(|_| panic!("in vain: {what}; it is {last:#}"))
    }

    async fn merge(&self, object: &Value, patch: &Value) -> Answer {
        let content = "application/merge-patch+json";
        self.server.ask_as(self.server.admin(), "PATCH", &place(object), content, patch.to_string()).await
    }

    /// How many requests of this sort the API server has answered.
    async fn asked(&self, sort: &[&str]) -> u64 {
        let text = self.server.text("/metrics").await;
        let lines = text.lines().filter(|line| line.starts_with("apiserver_request_total{"));
        let lines = lines.filter(|line| sort.iter().all(|word| line.contains(word)));
        lines.filter_map(|line| line.rsplit(' ').next()?.parse::<f64>().ok()).map(|count| count as u64).sum()
    }
}

fn hooks(hook: &Value) -> String {
    let plural = hook["kind"].as_str().unwrap().to_lowercase();
    format!("/apis/admissionregistration.k8s.io/v1/{plural}s/remint")
}

fn object(kind: &str, name: &str, spec: Value) -> Value {
    let mut made = json!({"apiVersion": "remint.dev/v1alpha1", "kind": kind, "metadata": {"name": name}, "spec": spec});
    if kind != "System" && kind != "ApprovalPolicy" {
        made["metadata"]["namespace"] = json!("default");
    }
    made
}

/// An act that is asked for now.
fn act(kind: &str, name: &str, mut spec: Value) -> Value {
    let now = jiff::Timestamp::now();
    spec["requestedAt"] = json!(jiff::Timestamp::from_second(now.as_second()).unwrap().to_string());
    object(kind, name, spec)
}

/// The documents of a file, each as it stands, with where it belongs.
fn documents(text: &str) -> Vec<Value> {
    let all = text.split("\n---\n").filter_map(|one| {
        let read: Option<Value> = serde_yaml::from_str(one).ok();
        read.filter(Value::is_object)
    });
    all.collect()
}

#[test]
fn a_system_can_be_of_every_connector_of_this_build_and_no_other() {
    use remint_contract::Kinds as _;
    let mut names = remint::registry::Registry::new().names();
    names.sort_unstable();
    assert_eq!(names, remint_cluster::crd::CONNECTORS);
}
