//! A real API server of a test's own, with etcd and the controllers: definitions and webhooks belong to a whole cluster, so
//! that no other test may share it.

use std::fs;
use std::io::Write as _;
use std::net::TcpListener;
use std::path::PathBuf;
use std::process::{Child, Command, Stdio};
use std::time::Duration;

use serde_json::{Value, json};

/// Longer than anything here takes.
const LONG: Duration = Duration::from_secs(120);

pub(crate) struct Server {
    child: Child,
    folder: tempfile::TempDir,
    pub(crate) address: String,
    token: String,
    http: reqwest::Client,
}

/// What a request came to.
#[derive(Debug, Clone)]
pub(crate) struct Answer {
    pub(crate) status: u16,
    pub(crate) body: Value,
    /// What the server tells the author beside.
    #[allow(dead_code, reason = "one of two programs does")]
    pub(crate) warnings: Vec<String>,
}

impl Answer {
    #[track_caller]
    pub(crate) fn ok(self) -> Value {
        assert!((200..300).contains(&self.status), "{} {}", self.status, self.body);
        self.body
    }

    /// The sentence of a refusal.
    #[track_caller]
    pub(crate) fn refused(self) -> String {
        // A field that no schema has is the server's 500 when it is applied.
        assert!((400..=500).contains(&self.status), "{} {}", self.status, self.body);
        self.body["message"].as_str().unwrap_or_default().to_owned()
    }
}

impl Server {
    /// # Panics
    /// No server was built for the tests: what is not tested is not claimed.
    pub(crate) async fn start() -> Self {
        let Some(program) = program() else {
            panic!(
                "no Kubernetes: REMINT_TEST_KUBERNETES_PROGRAM is not set; run `cargo xtask test`, or export what `cargo xtask servers up kubernetes` prints"
            )
        };
        writeln!(std::io::stderr(), "SERVER Kubernetes").unwrap();
        let folder = tempfile::tempdir().unwrap();
        let port = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port();
        let log = fs::File::create(folder.path().join("log")).unwrap();
        let mut command = Command::new(program);
        command.arg("serve").arg(folder.path()).arg(port.to_string()).env_clear().env("HOME", folder.path());
        let child = command.stdin(Stdio::null()).stdout(log.try_clone().unwrap()).stderr(log).spawn().unwrap();
        let http = reqwest::Client::builder().no_proxy();
        let mut server =
            Self { child, folder, address: String::new(), token: String::new(), http: http.build().unwrap() };
        server.address = until("the API server is ready", async || {
            let said = fs::read_to_string(server.file("ready")).ok()?;
            said.split_once(' ').map(|(address, _)| address.to_owned())
        })
        .await;
        server.token = fs::read_to_string(server.file("token")).unwrap();
        let authorities = reqwest::Certificate::from_pem_bundle(&fs::read(server.file("ca.crt")).unwrap()).unwrap();
        server.http = reqwest::Client::builder().no_proxy().tls_certs_only(authorities).build().unwrap();
        server
    }

    pub(crate) fn file(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    pub(crate) fn admin(&self) -> &str {
        &self.token
    }

    pub(crate) async fn ask(&self, method: &str, path: &str, body: &Value) -> Answer {
        let body = if body.is_null() { String::new() } else { body.to_string() };
        self.ask_as(&self.token, method, path, "application/json", body).await
    }

    /// As `kubectl apply --server-side`, with the text of one document as it stands.
    pub(crate) async fn apply_as(&self, token: &str, path: &str, text: &[u8]) -> Answer {
        let path = format!("{path}?fieldManager=kubectl&fieldValidation=Strict");
        self.ask_as(token, "PATCH", &path, "application/apply-patch+yaml", text.to_vec()).await
    }

    pub(crate) async fn apply(&self, object: &Value) -> Answer {
        self.apply_as(&self.token, &place(object), object.to_string().as_bytes()).await
    }

    pub(crate) async fn ask_as(
        &self,
        token: &str,
        method: &str,
        path: &str,
        content: &str,
        body: impl Into<reqwest::Body>,
    ) -> Answer {
        let url = format!("{}{path}", self.address);
        let request =
            self.http.request(method.parse().unwrap(), url).bearer_auth(token).header("content-type", content);
        let answer = request.body(body).send().await;
        let Ok(answer) = answer else {
            return Answer { status: 599, body: json!({"message": "no answer"}), warnings: Vec::new() };
        };
        let status = answer.status().as_u16();
        let warnings = answer.headers().get_all("warning").iter();
        let warnings = warnings.filter_map(|one| one.to_str().ok()).map(str::to_owned).collect();
        let body = serde_json::from_str(&answer.text().await.unwrap_or_default()).unwrap_or(Value::Null);
        Answer { status, body, warnings }
    }

    /// An answer that is no JSON.
    #[allow(dead_code, reason = "the program that has the daemon reads metrics")]
    pub(crate) async fn text(&self, path: &str) -> String {
        let asked = self.http.get(format!("{}{path}", self.address)).bearer_auth(&self.token).send().await;
        asked.unwrap().text().await.unwrap()
    }

    /// The definitions, accepted and served.
    pub(crate) async fn define(&self) {
        for resource in remint_cluster::RESOURCES {
            let definition = resource.definition();
            let path = format!("{DEFINITIONS}/{}.remint.dev", resource.plural);
            self.apply_as(&self.token, &path, definition.to_string().as_bytes()).await.ok();
            until("a kind is served", async || {
                let seen = self.ask("GET", &path, &Value::Null).await.ok();
                let says = |kind: &str| {
                    let all = seen["status"]["conditions"].as_array()?;
                    all.iter().find(|one| one["type"] == kind).map(|one| one["status"] == "True")
                };
                assert_ne!(says("NonStructuralSchema"), Some(true), "{seen}");
                (says("Established") == Some(true)).then_some(())
            })
            .await;
            let all = format!("/apis/remint.dev/v1alpha1/{}", resource.plural);
            until("the kind can be listed", async || {
                (self.ask("GET", &all, &Value::Null).await.status == 200).then_some(())
            })
            .await;
        }
    }

    #[allow(dead_code, reason = "one of two programs does")]
    pub(crate) async fn namespace(&self, name: &str) {
        self.ask("POST", "/api/v1/namespaces", &json!({"metadata": {"name": name}})).await.ok();
    }

    /// Ends the API server's process; its keeper starts another.
    #[allow(dead_code, reason = "one of two programs does")]
    pub(crate) async fn restart(&self) {
        let pid = fs::read_to_string(self.file("apiserver.pid")).unwrap();
        let ended = Command::new("kill").arg("-9").arg(pid.trim()).status().unwrap();
        assert!(ended.success());
        until("another API server answers", async || {
            let other = fs::read_to_string(self.file("apiserver.pid")).ok().filter(|other| *other != pid)?;
            (!other.is_empty() && self.ask("GET", "/readyz", &Value::Null).await.status == 200).then_some(())
        })
        .await;
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        // Its children die with it; what it wrote goes with the folder.
        let _ = Command::new("kill").arg(self.child.id().to_string()).status();
        let _ = self.child.wait();
    }
}

const DEFINITIONS: &str = "/apis/apiextensions.k8s.io/v1/customresourcedefinitions";

/// Where an object of ours lies.
pub(crate) fn place(object: &Value) -> String {
    let kind = object["kind"].as_str().unwrap_or_default();
    let name = object["metadata"]["name"].as_str().unwrap_or("nameless");
    let resource = remint_cluster::Resource::named(kind);
    let plural = resource.map_or("unknown", |resource| resource.plural);
    if resource.is_some_and(|resource| resource.namespaced) {
        let space = object["metadata"]["namespace"].as_str().unwrap_or("default");
        return format!("/apis/remint.dev/v1alpha1/namespaces/{space}/{plural}/{name}");
    }
    format!("/apis/remint.dev/v1alpha1/{plural}/{name}")
}

fn program() -> Option<String> {
    std::env::var("REMINT_TEST_KUBERNETES_PROGRAM").ok()
}

/// Asks again until there is an answer: what a cluster does by itself gives no signal.
pub(crate) async fn until<T>(what: &str, mut answer: impl AsyncFnMut() -> Option<T>) -> T {
    let asked = async {
        loop {
            if let Some(answer) = answer().await {
                return answer;
            }
            tokio::time::sleep(Duration::from_millis(40)).await;
        }
    };
    tokio::time::timeout(LONG, asked).await.unwrap_or_else(|_| panic!("in vain: {what}"))
}
