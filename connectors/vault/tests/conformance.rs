//! The conformance suite over a real OpenBao, for every engine (see `cargo xtask test`).
#![expect(clippy::unwrap_used, clippy::expect_used, clippy::panic, reason = "what cannot be set up ends the test")]

mod bao;
mod calls;
mod connection;
mod crashes;
mod discover;
mod engines;
mod login;
mod openbao;
mod pki;
mod wrapped;

use std::collections::HashMap;
use std::sync::Arc;

use async_trait::async_trait;
use bao::proxy::Trouble;
use bao::{Bao, Proxy, nowhere, open};
use remint_conformance::gate::Gate;
use remint_conformance::{Fault, Harness, IssuerCase, Report, StoreCase, assert_passes, run};
use remint_contract::{Call, Connector, Material, MintRequest, SecretValue, Strategy, Target, Verb};
use serde_json::{Value, json};
use tokio::sync::Mutex;

/// What all engines have in common.
struct Rig {
    bao: Bao,
    proxy: Proxy,
    settings: Value,
    connector: Arc<dyn Connector>,
    nobody: Arc<Material>,
}

impl Rig {
    async fn new(bao: Bao, settings: Value) -> Self {
        let proxy = Proxy::to(&bao.address).await;
        let connector = open(&proxy.address, &settings);
        let nobody = bao.token(&["default"]).await;
        Self { bao, proxy, settings, connector, nobody }
    }
}

fn not_shown(report: &Report) -> Vec<&str> {
    report.not_shown.iter().map(|(name, _)| name.as_str()).collect()
}

struct Store(Rig);

#[async_trait]
impl Harness for Store {
    fn connector(&self) -> Arc<dyn Connector> {
        Arc::clone(&self.0.connector)
    }

    async fn call(&self) -> Call {
        self.0.bao.call()
    }

    async fn store_case(&self) -> Option<StoreCase> {
        let path = format!("team/{}", self.0.bao.name());
        let kept = SecretValue::from("kept-marker-0815");
        let call = self.call().await;
        let fields = [("beside".to_owned(), kept.clone())].into();
        let request = remint_contract::WriteRequest { path: path.clone(), fields, expect: None };
        self.0.connector.write(&call, &request).await.unwrap();
        let missing = format!("nowhere/{}", self.0.bao.name());
        Some(StoreCase { path, field: "password".to_owned(), kept: Some(("beside".to_owned(), kept)), missing })
    }

    async fn wrong_actor(&self) -> Option<Call> {
        Some(self.0.bao.acting(&self.0.nobody))
    }

    async fn unreachable(&self) -> Option<Arc<dyn Connector>> {
        Some(open(&nowhere(), &self.0.settings))
    }

    async fn requests(&self) -> Option<u64> {
        Some(self.0.proxy.requests())
    }

    fn gate(&self) -> Option<&Gate> {
        Some(&self.0.proxy.gate)
    }
}

#[tokio::test]
async fn kv_version_2_behaves_as_the_contract_says() {
    let bao = Bao::find();
    let mount = bao.mount("sys/mounts", "kv", json!({"version": "2"})).await;
    let report = run(&Store(Rig::new(bao, json!({"engine": "kv2", "mount": mount})).await)).await;
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

struct Roles {
    rig: Rig,
    mount: String,
    sessions: Mutex<HashMap<u64, String>>,
}

#[async_trait]
impl Harness for Roles {
    fn connector(&self) -> Arc<dyn Connector> {
        Arc::clone(&self.rig.connector)
    }

    async fn call(&self) -> Call {
        self.rig.bao.call()
    }

    async fn issuer_case(&self, strategy: Strategy) -> Option<IssuerCase> {
        let name = self.rig.bao.name();
        self.rig.bao.post(&format!("auth/{}/role/{name}", self.mount), json!({"token_ttl": "10m"})).await;
        let target = Target { name, settings: Value::Null };
        let proposed = Some(SecretValue::from(format!("first-marker-{}", self.rig.bao.name())));
        let request = MintRequest { target: target.clone(), strategy, old: None, old_username: None, proposed };
        let old = self.rig.connector.mint(&self.call().await, &request).await.unwrap();
        let missing = Target { name: self.rig.bao.name(), settings: Value::Null };
        Some(IssuerCase { target, old, missing })
    }

    async fn wrong_actor(&self) -> Option<Call> {
        Some(self.rig.bao.acting(&self.rig.nobody))
    }

    async fn unreachable(&self) -> Option<Arc<dyn Connector>> {
        Some(open(&nowhere(), &self.rig.settings))
    }

    async fn requests(&self) -> Option<u64> {
        Some(self.rig.proxy.requests())
    }

    fn gate(&self) -> Option<&Gate> {
        Some(&self.rig.proxy.gate)
    }

    async fn fault(&self, fault: Fault) -> bool {
        self.rig.proxy.arm(Some(match fault {
            Fault::LostAnswer(Verb::Mint) => Trouble::Lost("custom-secret-id".to_owned()),
            Fault::LyingRevoke => Trouble::Lie("secret-id-accessor/destroy".to_owned()),
            Fault::Throttle => Trouble::Throttled,
            Fault::LostAnswer(_) | Fault::Lagging => return false,
        }));
        true
    }

    async fn settle(&self) {
        self.rig.proxy.arm(None);
    }

    async fn plant_foreign(&self, _target: &Target) -> Option<String> {
        let name = self.rig.bao.name();
        self.rig.bao.post(&format!("auth/{}/role/{name}", self.mount), json!({})).await;
        self.rig.bao.post(&format!("auth/{}/role/{name}/secret-id", self.mount), json!({})).await;
        Some(name)
    }

    async fn open_session(&self, _target: &Target, material: &Material) -> Option<u64> {
        let shown = json!({"role_id": material.username, "secret_id": material.secret.expose_str()?});
        let answer = self.rig.bao.post(&format!("auth/{}/login", self.mount), shown).await;
        let mut sessions = self.sessions.lock().await;
        let id = sessions.len() as u64;
        sessions.insert(id, answer["auth"]["client_token"].as_str()?.to_owned());
        Some(id)
    }

    async fn session_alive(&self, session: u64) -> bool {
        let token = self.sessions.lock().await[&session].clone();
        self.rig.bao.lives(&token).await
    }
}

#[tokio::test]
async fn approle_behaves_as_the_contract_says() {
    let bao = Bao::find();
    let mount = bao.mount("sys/auth", "approle", Value::Null).await;
    let rig = Rig::new(bao, json!({"engine": "approle", "mount": mount})).await;
    let report = run(&Roles { rig, mount, sessions: Mutex::default() }).await;
    assert_passes(&report);
    assert_eq!(
        not_shown(&report),
        [
            "Overlap: disable stops a version and enable brings it back",
            "Overlap: an endpoint that is behind is seen to accept still, and to deny later"
        ],
        "{report}"
    );
}

#[tokio::test]
async fn kv_version_1_behaves_as_the_contract_says() {
    let bao = Bao::find();
    let mount = bao.mount("sys/mounts", "kv", json!({"version": "1"})).await;
    let report = run(&Store(Rig::new(bao, json!({"engine": "kv1", "mount": mount})).await)).await;
    assert_passes(&report);
    assert_eq!(
        not_shown(&report),
        [
            "store: readers see a staged value only after promote, which may be repeated",
            "store: a write that expects another version is a Conflict",
            "store: a late promote of an older version leaves the newer value alone",
            "store: a destroyed version is gone, and destroying it again is fine"
        ],
        "{report}"
    );
}

struct TokenRoles {
    rig: Rig,
}

#[async_trait]
impl Harness for TokenRoles {
    fn connector(&self) -> Arc<dyn Connector> {
        Arc::clone(&self.rig.connector)
    }

    async fn call(&self) -> Call {
        self.rig.bao.call()
    }

    async fn issuer_case(&self, strategy: Strategy) -> Option<IssuerCase> {
        let name = self.rig.bao.name();
        let role = json!({"allowed_policies": "default", "orphan": true, "token_period": "1h"});
        self.rig.bao.post(&format!("auth/token/roles/{name}"), role).await;
        let target = Target { name, settings: Value::Null };
        let request = MintRequest { target: target.clone(), strategy, old: None, old_username: None, proposed: None };
        let old = self.rig.connector.mint(&self.call().await, &request).await.unwrap();
        let missing = Target { name: self.rig.bao.name(), settings: Value::Null };
        Some(IssuerCase { target, old, missing })
    }

    async fn wrong_actor(&self) -> Option<Call> {
        Some(self.rig.bao.acting(&self.rig.nobody))
    }

    async fn unreachable(&self) -> Option<Arc<dyn Connector>> {
        Some(open(&nowhere(), &self.rig.settings))
    }

    async fn requests(&self) -> Option<u64> {
        Some(self.rig.proxy.requests())
    }

    fn gate(&self) -> Option<&Gate> {
        Some(&self.rig.proxy.gate)
    }

    async fn fault(&self, fault: Fault) -> bool {
        self.rig.proxy.arm(Some(match fault {
            Fault::LostAnswer(Verb::Mint) => Trouble::LostBelow("auth/token/create/".to_owned()),
            Fault::LyingRevoke => Trouble::Lie("revoke-accessor".to_owned()),
            Fault::Throttle => Trouble::Throttled,
            Fault::LostAnswer(_) | Fault::Lagging => return false,
        }));
        true
    }

    async fn settle(&self) {
        self.rig.proxy.arm(None);
    }

    async fn plant_foreign(&self, _target: &Target) -> Option<String> {
        let label = self.rig.bao.name();
        let asked = json!({"display_name": label, "policies": ["default"], "ttl": "1h"});
        self.rig.bao.post("auth/token/create", asked).await;
        Some(label)
    }
}

#[tokio::test]
async fn tokens_behave_as_the_contract_says() {
    let bao = Bao::find();
    let rig = Rig::new(bao, json!({"engine": "token"})).await;
    let report = run(&TokenRoles { rig }).await;
    assert_passes(&report);
    assert_eq!(
        not_shown(&report),
        [
            "Overlap: disable stops a version and enable brings it back",
            "Overlap: what came from a version ends, and is seen to end",
            "Overlap: an endpoint that is behind is seen to accept still, and to deny later"
        ],
        "{report}"
    );
}
