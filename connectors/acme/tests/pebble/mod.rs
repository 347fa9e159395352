//! The real Pebble of `cargo xtask test`, the web server that its challenges lead to, and a way to it that can lose things.

pub(crate) mod proxy;
mod web;

use std::io::Write as _;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use aws_lc_rs::rand::SystemRandom;
use aws_lc_rs::signature::{ECDSA_P256_SHA256_FIXED_SIGNING, EcdsaKeyPair};
use remint_contract::{
    Call, Clock as _, Connector, ConnectorKind as _, HostRules, Material, MintRequest, Minted, OperationId,
    SecretValue, Strategy, SystemClock, Target,
};
use serde_json::{Value, json};

pub(crate) use self::proxy::Proxy;
use self::web::Web;

/// A server, and what tests of one program share.
pub(crate) struct Pebble {
    pub(crate) directory: String,
    pub(crate) roots: PathBuf,
    management: String,
    folder: tempfile::TempDir,
    web: Arc<Web>,
    made: AtomicU64,
}

/// An account and the connector that acts with it.
pub(crate) struct Rig {
    pub(crate) pebble: Pebble,
    pub(crate) proxy: Proxy,
    pub(crate) connector: Arc<dyn Connector>,
    pub(crate) key: Arc<Material>,
}

/// A new account key.
pub(crate) fn key() -> Material {
    let made = EcdsaKeyPair::generate_pkcs8(&ECDSA_P256_SHA256_FIXED_SIGNING, &SystemRandom::new()).unwrap();
    Material::of(SecretValue::from(remint_certificate::pem("PRIVATE KEY", made.as_ref())))
}

impl Pebble {
    /// # Panics
    /// Nobody started a server for the tests: what is not tested is not claimed.
    #[expect(clippy::disallowed_methods, reason = "where the test server is comes from the environment")]
    pub(crate) async fn find() -> Self {
        let variable = |name: &str| {
            std::env::var(name).unwrap_or_else(|_| {
                panic!(
                    "no Pebble: {name} is not set; run `cargo xtask test`, or export what `cargo xtask servers up pebble` \
                     prints"
                )
            })
        };
        // Past the harness, which hides what a passing test prints.
        let mut out = std::io::stderr();
        writeln!(out, "SERVER Pebble").unwrap();
        let web = Web::shared(variable("REMINT_TEST_PEBBLE_CHALLENGES").parse().unwrap()).await;
        Self {
            directory: variable("REMINT_TEST_PEBBLE"),
            roots: variable("REMINT_TEST_PEBBLE_ROOTS").into(),
            management: variable("REMINT_TEST_PEBBLE_MANAGEMENT"),
            folder: tempfile::tempdir().unwrap(),
            web,
            made: AtomicU64::new(0),
        }
    }

    /// Settings at this directory, which a certificate below these roots serves.
    pub(crate) fn settings(&self, directory: &str, roots: &Path, agreed: bool) -> Value {
        json!({
            "directory": directory, "folder": self.folder.path().join("acme"), "roots": roots,
            "challenge": {"webroot": self.web.root()}, "termsOfServiceAgreed": agreed,
        })
    }

    /// What the server itself says of a certificate: no client can ask that.
    pub(crate) async fn status(&self, serial: &str) -> Value {
        let roots = reqwest::Certificate::from_pem_bundle(&std::fs::read(&self.roots).unwrap()).unwrap();
        let http = reqwest::Client::builder().no_proxy().tls_certs_only(roots).build().unwrap();
        let url = format!("{}/cert-status-by-serial/{}", self.management, serial.replace(':', ""));
        http.get(url).send().await.unwrap().json().await.unwrap()
    }

    /// The new account key that is kept beside, for whoever lost its answer.
    pub(crate) fn kept(&self) -> Option<Material> {
        let kept = std::fs::read_to_string(self.folder.path().join("acme/account.new")).ok()?;
        Some(Material::of(SecretValue::from(kept.split_once('\n').unwrap().1)))
    }

    /// Where the web server sends whoever asks for what does not lie in its root.
    pub(crate) fn pass_on(&self, to: std::net::SocketAddr) {
        self.web.pass_on(to);
    }

    pub(crate) fn acting(&self, key: &Arc<Material>) -> Call {
        let number = self.made.fetch_add(1, Ordering::Relaxed);
        let deadline = SystemClock.now() + Duration::from_mins(1);
        Call { operation: OperationId(format!("operation-{number}")), deadline, actor: Some(Arc::clone(key)) }
    }

    /// Names of this test's own.
    pub(crate) fn target(&self) -> Target {
        let number = self.made.fetch_add(1, Ordering::Relaxed);
        let name = format!("web-{number}");
        let host = self.folder.path().file_name().unwrap().to_string_lossy().trim_start_matches(".tmp").to_lowercase();
        Target { settings: json!({"names": [format!("{name}.{host}.example.org")]}), name }
    }
}

impl Rig {
    pub(crate) async fn new() -> Self {
        let pebble = Pebble::find().await;
        let proxy = Proxy::to(&pebble.directory, &pebble.roots).await;
        let key = Arc::new(key());
        // The account is made by somebody who agrees; who acts later makes none.
        let agrees = open(&pebble.settings(&proxy.directory, &proxy.roots, true));
        agrees.check(&pebble.acting(&key), None).await.unwrap();
        let connector = open(&pebble.settings(&proxy.directory, &proxy.roots, false));
        Self { pebble, proxy, connector, key }
    }

    /// As another replica has it.
    pub(crate) fn open_again(&self) -> Arc<dyn Connector> {
        open(&self.pebble.settings(&self.proxy.directory, &self.proxy.roots, false))
    }

    pub(crate) fn call(&self) -> Call {
        self.pebble.acting(&self.key)
    }

    pub(crate) async fn mint(&self, target: &Target) -> Minted {
        self.connector.mint(&self.call(), &request(target, Strategy::Reissue)).await.unwrap()
    }
}

pub(crate) fn request(target: &Target, strategy: Strategy) -> MintRequest {
    MintRequest { target: target.clone(), strategy, old: None, old_username: None, proposed: None }
}

pub(crate) fn open(settings: &Value) -> Arc<dyn Connector> {
    remint_acme::kind().open(settings, &HostRules::default()).unwrap()
}
