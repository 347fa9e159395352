//! The real OpenBao of `cargo xtask test`, as its administrator sees it, and a way to it that can lose things.

pub(crate) mod proxy;

use std::io::Write as _;
use std::path::PathBuf;
use std::process::Stdio;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use remint_contract::{Call, Connector, ConnectorKind as _, HostRules, Material, OperationId, SecretValue};
use serde_json::{Value, json};

pub(crate) use proxy::Proxy;

/// Below a pki mount: makes an authority whose key stays in the server.
pub(crate) const AUTHORITY: &str = "root/generate/internal";

/// A server, its root token, and names that no other test has.
pub(crate) struct Bao {
    pub(crate) address: String,
    pub(crate) root: Arc<Material>,
    pub(crate) prefix: String,
    http: reqwest::Client,
    made: AtomicU64,
}

impl Bao {
    /// # Panics
    /// Nobody started a server for the tests: what is not tested is not claimed.
    #[expect(clippy::disallowed_methods, reason = "where the test server is comes from the environment")]
    pub(crate) fn find() -> Self {
        let (Ok(address), Ok(token)) =
            (std::env::var("REMINT_TEST_OPENBAO"), std::env::var("REMINT_TEST_OPENBAO_TOKEN"))
        else {
            panic!(
                "no OpenBao: REMINT_TEST_OPENBAO and REMINT_TEST_OPENBAO_TOKEN are not set; run `cargo xtask test`, or \
                 export what `cargo xtask servers up openbao` prints"
            );
        };
        // Past the harness, which hides what a passing test prints.
        let mut out = std::io::stderr();
        writeln!(out, "SERVER OpenBao").unwrap();
        Self::at(address, &token)
    }

    pub(crate) fn at(address: String, token: &str) -> Self {
        Self::through(reqwest::Client::builder(), address, token)
    }

    fn through(builder: reqwest::ClientBuilder, address: String, token: &str) -> Self {
        let mut random = [0; 4];
        aws_lc_rs::rand::fill(&mut random).unwrap();
        Self {
            address,
            root: Arc::new(Material::of(SecretValue::from(token))),
            prefix: format!("k{:08x}", u32::from_ne_bytes(random)),
            http: builder.no_proxy().build().unwrap(),
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

    pub(crate) fn call(&self) -> Call {
        self.acting(&self.root)
    }

    /// What the root may do; the answer must be a success.
    pub(crate) async fn ask(&self, method: &str, path: &str, body: Value) -> Value {
        let (status, answer) = self.try_as(self.root.secret.expose_str().unwrap(), method, path, body).await;
        assert!((200..300).contains(&status), "{method} {path}: {status} {answer}");
        answer
    }

    pub(crate) async fn post(&self, path: &str, body: Value) -> Value {
        self.ask("POST", path, body).await
    }

    /// What the bearer of a token may do.
    pub(crate) async fn try_as(&self, token: &str, method: &str, path: &str, body: Value) -> (u16, Value) {
        let url = format!("{}/v1/{path}", self.address);
        let request = self.http.request(method.parse().unwrap(), url).header("x-vault-token", token);
        let request = if body.is_null() { request } else { request.json(&body) };
        let answer = request.send().await.unwrap();
        let status = answer.status().as_u16();
        (status, serde_json::from_str(&answer.text().await.unwrap()).unwrap_or(Value::Null))
    }

    /// A token of these policies.
    pub(crate) async fn token(&self, policies: &[&str]) -> Arc<Material> {
        let made = self.post("auth/token/create", json!({"policies": policies, "no_parent": true})).await;
        Arc::new(Material::of(SecretValue::from(made["auth"]["client_token"].as_str().unwrap())))
    }

    /// A policy of this test's own: (path, capabilities).
    pub(crate) async fn policy(&self, rules: &[(&str, &[&str])]) -> String {
        let name = self.name();
        let rules: Vec<String> =
            rules.iter().map(|(path, rights)| format!("path \"{path}\" {{ capabilities = {rights:?} }}")).collect();
        let rules = rules.join("\n");
        self.post(&format!("sys/policies/acl/{name}"), json!({"policy": rules})).await;
        name
    }

    /// A mount of this test's own; where it is.
    pub(crate) async fn mount(&self, place: &str, kind: &str, options: Value) -> String {
        let name = self.name();
        self.post(&format!("{place}/{name}"), json!({"type": kind, "options": options})).await;
        name
    }

    /// Does this token still work?
    pub(crate) async fn lives(&self, token: &str) -> bool {
        self.try_as(token, "GET", "auth/token/lookup-self", Value::Null).await.0 == 200
    }
}

/// The connector on an address.
pub(crate) fn open(address: &str, settings: &Value) -> Arc<dyn Connector> {
    let mut settings = settings.clone();
    settings["address"] = address.into();
    remint_vault::kind().open(&settings, &HostRules::default()).unwrap()
}

/// An address of this machine where nothing answers.
pub(crate) fn nowhere() -> String {
    let free = std::net::TcpListener::bind(("127.0.0.1", 0)).unwrap().local_addr().unwrap();
    format!("http://{free}")
}

/// A server of one test's own, which may be sealed.
pub(crate) struct Own {
    pub(crate) bao: Bao,
    /// The authority of its certificate, where it has one.
    pub(crate) authority: PathBuf,
    _server: tokio::process::Child,
    _data: tempfile::TempDir,
}

impl Own {
    pub(crate) async fn start() -> Self {
        Self::begin("-dev", "http").await
    }

    /// With TLS, and so with an eye for its clients' certificates.
    pub(crate) async fn start_tls() -> Self {
        Self::begin("-dev-tls", "https").await
    }

    #[expect(clippy::disallowed_methods, reason = "where the server's program is comes from the environment")]
    async fn begin(mode: &str, scheme: &str) -> Self {
        let program = std::env::var("REMINT_TEST_OPENBAO_PROGRAM")
            .expect("no OpenBao: REMINT_TEST_OPENBAO_PROGRAM is not set; run `cargo xtask test`");
        let data = tempfile::tempdir().unwrap();
        let address = nowhere().replace("http:", &format!("{scheme}:"));
        let mut command = tokio::process::Command::new(program);
        command.args(["server", mode, "-dev-no-store-token", "-dev-listen-address"]);
        command.arg(address.split_once("://").unwrap().1);
        if scheme == "https" {
            command.arg("-dev-tls-cert-dir").arg(data.path());
        }
        let server = command
            .env_clear()
            .env("HOME", data.path())
            .env("BAO_DEV_ROOT_TOKEN_ID", "own-root")
            .env("VAULT_DEV_ROOT_TOKEN_ID", "own-root")
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .kill_on_drop(true)
            .spawn()
            .unwrap();
        let authority = data.path().join("vault-ca.pem");
        // Until it listens, with its certificate written; the test's own end is the bound.
        let bao = loop {
            tokio::task::yield_now().await;
            let mut builder = reqwest::Client::builder();
            if scheme == "https" {
                let Ok(pem) = std::fs::read(&authority) else { continue };
                let Ok(authorities) = reqwest::Certificate::from_pem_bundle(&pem) else { continue };
                builder = builder.tls_certs_only(authorities);
            }
            let bao = Bao::through(builder, address.clone(), "own-root");
            if bao.http.get(format!("{address}/v1/sys/health")).send().await.is_ok() {
                break bao;
            }
        };
        Self { bao, authority, _server: server, _data: data }
    }
}
