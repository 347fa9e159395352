//! Certificates of a real Pebble. Only it can say what became of one, to those who run it: it has no list, and answers
//! nobody's question. What an attacker ordered with the account's key cannot be found either: the protocol lists nothing.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use async_trait::async_trait;
use aws_lc_rs::rand::SystemRandom;
use aws_lc_rs::signature::{ECDSA_P256_SHA256_FIXED_SIGNING, EcdsaKeyPair};
use remint::context::Context;
use remint_certificate::{Certificate, pem};
use remint_contract::{
    Call, Clock as _, Connector, ErrorKind, HostRules, Material, OperationId, Strategy, SystemClock, Target,
};
use serde_json::{Value, json};

use super::part::{Part, Seat, decided, fresh, mint, open, told, try_ask};
use super::web::Web;

/// The account's own key, which Remint acts with.
const ACCOUNT: &str = "acme-account";

pub(crate) struct Acme {
    folder: PathBuf,
    web: Arc<Web>,
    http: reqwest::Client,
    connector: Arc<dyn Connector>,
    prefix: String,
    seats: Vec<Seat>,
}

impl Acme {
    pub(crate) async fn with(count: usize, folder: &Path) -> Self {
        let web = Web::shared(told("REMINT_TEST_PEBBLE_CHALLENGES").parse().unwrap()).await;
        let roots = std::fs::read(told("REMINT_TEST_PEBBLE_ROOTS")).unwrap();
        let roots = reqwest::Certificate::from_pem_bundle(&roots).unwrap();
        let http = reqwest::Client::builder().no_proxy().tls_certs_only(roots).build().unwrap();
        let folder = folder.join("acme");
        let connector = open("acme", &settings(&folder, &web, true), &HostRules::default());
        let mut acme = Self { folder, web, http, connector, prefix: fresh(), seats: Vec::new() };
        let key = EcdsaKeyPair::generate_pkcs8(&ECDSA_P256_SHA256_FIXED_SIGNING, &SystemRandom::new()).unwrap();
        let key = Material::of(pem("PRIVATE KEY", key.as_ref()).as_str().into());
        acme.connector.check(&acme.call(Some(&key)), None).await.unwrap();
        for index in 0..count {
            let name = format!("acme-{index:02}");
            let target = json!({"names": [acme.host(&name)]});
            let first = mint(&acme.connector, Some(&key), (&name, target, Strategy::Reissue)).await;
            acme.seats.push(Seat::of(name, first));
        }
        acme.seats.push(Seat::own(ACCOUNT, key));
        acme
    }

    fn host(&self, seat: &str) -> String {
        format!("{seat}.{}.example.org", self.prefix)
    }

    fn call(&self, actor: Option<&Material>) -> Call {
        let operation = OperationId(format!("looks-{}", Context::system().hex(8).unwrap()));
        let deadline = SystemClock.now() + std::time::Duration::from_mins(1);
        Call { operation, deadline, actor: actor.cloned().map(Arc::new) }
    }
}

/// Who agrees makes the account; who acts with it later makes none.
fn settings(folder: &Path, web: &Web, agreed: bool) -> Value {
    json!({
        "directory": told("REMINT_TEST_PEBBLE"), "folder": folder, "roots": told("REMINT_TEST_PEBBLE_ROOTS"),
        "challenge": {"webroot": web.root()}, "termsOfServiceAgreed": agreed,
    })
}

#[async_trait]
impl Part for Acme {
    fn name(&self) -> &'static str {
        "acme (Pebble)"
    }

    fn documents(&self) -> String {
        format!(
            "---\napiVersion: remint.dev/v1alpha1\nkind: System\nmetadata: {{name: acme}}\nspec: {{acme: {}, auth: {{credential: {ACCOUNT}}}}}\n",
            settings(&self.folder, &self.web, false)
        )
    }

    fn seats(&self) -> &[Seat] {
        &self.seats
    }

    fn issued(&self, seat: &str) -> (String, &'static str) {
        if seat == ACCOUNT {
            return ("system: acme, target: account".to_owned(), "in-place, outage: 5m");
        }
        (format!("system: acme, target: {seat}, names: [{}]", self.host(seat)), "reissue")
    }

    async fn accepts(&self, seat: &str, material: &Material) -> bool {
        if seat == ACCOUNT {
            let target = Target { name: "account".to_owned(), settings: Value::Null };
            return decided(|| async {
                match self.connector.verify(&self.call(None), &target, material).await {
                    Ok(_) => Ok(true),
                    Err(failure) if failure.kind == ErrorKind::Denied => Ok(false),
                    Err(failure) => Err(failure.to_string()),
                }
            })
            .await;
        }
        let Some(read) = Certificate::of(material) else { return false };
        let serial = read.serial.replace(':', "");
        let url = format!("{}/cert-status-by-serial/{serial}", told("REMINT_TEST_PEBBLE_MANAGEMENT"));
        decided(|| async {
            let asked = try_ask(&self.http, "GET", &url, ("accept", "*/*"), Value::Null).await;
            let (_, answer) = asked.map_err(|failure| failure.to_string())?;
            match answer["Status"].as_str() {
                Some("Valid") => Ok(true),
                Some("Revoked") => Ok(false),
                _ => Err(answer.to_string()),
            }
        })
        .await
    }

    fn calls(&self) -> Option<u64> {
        None
    }
}
