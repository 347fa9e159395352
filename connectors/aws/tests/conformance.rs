//! The conformance suite over a real moto, for every service (see `cargo xtask test`).
#![expect(clippy::unwrap_used, clippy::panic, reason = "what cannot be set up ends the test")]

mod accounts;
mod calls;
mod keys;
mod moto;
mod rotation;
mod sessions;
mod stores;

use std::sync::Arc;

use async_trait::async_trait;
use moto::{Moto, Proxy, Trouble, nowhere, open};
use remint_conformance::gate::Gate;
use remint_conformance::{Fault, Harness, IssuerCase, Report, StoreCase, assert_passes, run};
use remint_contract::{Call, Connector, Material, MintRequest, SecretValue, Strategy, Target, Verb};
use serde_json::{Value, json};

/// What all services have in common.
struct Rig {
    moto: Moto,
    proxy: Proxy,
    settings: Value,
    connector: Arc<dyn Connector>,
    nobody: Arc<Material>,
}

impl Rig {
    async fn new(settings: Value) -> Self {
        let moto = Moto::find();
        let proxy = Proxy::to(&moto.address).await;
        let connector = open(&proxy.address, &settings);
        let nobody = moto.key(&moto.user().await).await;
        Self { moto, proxy, settings, connector, nobody }
    }

    fn requests(&self) -> u64 {
        self.proxy.calls().len().try_into().unwrap()
    }
}

fn not_shown(report: &Report) -> Vec<&str> {
    report.not_shown.iter().map(|(name, _)| name.as_str()).collect()
}

struct Keys(Rig);

#[async_trait]
impl Harness for Keys {
    fn connector(&self) -> Arc<dyn Connector> {
        Arc::clone(&self.0.connector)
    }

    async fn call(&self) -> Call {
        self.0.moto.call()
    }

    async fn issuer_case(&self, strategy: Strategy) -> Option<IssuerCase> {
        let target = Target { name: self.0.moto.user().await, settings: Value::Null };
        let request = MintRequest { target: target.clone(), strategy, old: None, old_username: None, proposed: None };
        let old = self.0.connector.mint(&self.call().await, &request).await.unwrap();
        let missing = Target { name: self.0.moto.name(), settings: Value::Null };
        Some(IssuerCase { target, old, missing })
    }

    async fn wrong_actor(&self) -> Option<Call> {
        Some(self.0.moto.acting(&self.0.nobody))
    }

    async fn unreachable(&self) -> Option<Arc<dyn Connector>> {
        Some(open(&nowhere(), &self.0.settings))
    }

    async fn requests(&self) -> Option<u64> {
        Some(self.0.requests())
    }

    fn gate(&self) -> Option<&Gate> {
        Some(&self.0.proxy.gate)
    }

    async fn fault(&self, fault: Fault) -> bool {
        self.0.proxy.arm(Some(match fault {
            Fault::LostAnswer(Verb::Mint) => Trouble::Lost("CreateAccessKey"),
            Fault::LyingRevoke => Trouble::Lie("DeleteAccessKey"),
            Fault::Throttle => Trouble::Throttled,
            Fault::LostAnswer(_) | Fault::Lagging => return false,
        }));
        true
    }

    async fn settle(&self) {
        self.0.proxy.arm(None);
    }

    async fn plant_foreign(&self, _target: &Target) -> Option<String> {
        // Both places of the target are taken.
        let user = self.0.moto.user().await;
        self.0.moto.key(&user).await;
        Some(user)
    }

    fn refuses_disabled(&self) -> bool {
        // moto accepts a key that is Inactive; AWS does not.
        false
    }
}

#[tokio::test]
async fn access_keys_behave_as_the_contract_says() {
    let settings = json!({"service": "iam", "regions": ["eu-central-1", "us-east-1"]});
    let report = run(&Keys(Rig::new(settings).await)).await;
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

/// A store, and how one is made where there is none.
struct Store {
    rig: Rig,
    field: &'static str,
    kept: Option<SecretValue>,
}

#[async_trait]
impl Harness for Store {
    fn connector(&self) -> Arc<dyn Connector> {
        Arc::clone(&self.rig.connector)
    }

    async fn call(&self) -> Call {
        self.rig.moto.call()
    }

    async fn store_case(&self) -> Option<StoreCase> {
        let path = format!("/team/{}", self.rig.moto.name());
        match &self.kept {
            Some(kept) => stores::secret(&self.rig.moto, &path, &json!({"beside": kept.expose_str()})).await,
            None => stores::parameter(&self.rig.moto, &path, "first-marker-0815").await,
        }
        let kept = self.kept.clone().map(|kept| ("beside".to_owned(), kept));
        let missing = format!("/nowhere/{}", self.rig.moto.name());
        Some(StoreCase { path, field: self.field.to_owned(), kept, missing })
    }

    async fn wrong_actor(&self) -> Option<Call> {
        Some(self.rig.moto.acting(&self.rig.nobody))
    }

    async fn unreachable(&self) -> Option<Arc<dyn Connector>> {
        Some(open(&nowhere(), &self.rig.settings))
    }

    async fn requests(&self) -> Option<u64> {
        Some(self.rig.requests())
    }

    fn gate(&self) -> Option<&Gate> {
        Some(&self.rig.proxy.gate)
    }
}

#[tokio::test]
async fn secrets_manager_behaves_as_the_contract_says() {
    let rig = Rig::new(json!({"service": "secretsmanager"})).await;
    let kept = Some(SecretValue::from("kept-marker-0815"));
    let report = run(&Store { rig, field: "password", kept }).await;
    assert_passes(&report);
    assert_eq!(not_shown(&report), [""; 0], "{report}");
}

#[tokio::test]
async fn parameter_store_behaves_as_the_contract_says() {
    let rig = Rig::new(json!({"service": "ssm"})).await;
    let report = run(&Store { rig, field: remint_contract::WHOLE, kept: None }).await;
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
