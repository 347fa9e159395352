//! The conformance suite over an authority, and what only its revocation list shows.

use std::sync::Arc;

use async_trait::async_trait;
use remint_conformance::gate::Gate;
use remint_conformance::{Fault, Harness, IssuerCase, assert_passes, run};
use remint_contract::{
    Call, Connector, ErrorKind, Material, MintRequest, RightsChange, Strategy, Target, Verb, Verdict, VersionId,
};
use serde_json::{Value, json};

use crate::bao::proxy::Trouble;
use crate::bao::{AUTHORITY, Bao, Proxy, nowhere, open};

/// A root authority with roles.
struct Authority {
    bao: Bao,
    proxy: Proxy,
    connector: Arc<dyn Connector>,
    settings: Value,
    mount: String,
    nobody: Arc<Material>,
}

impl Authority {
    async fn new() -> Self {
        let bao = Bao::find();
        let mount = bao.mount("sys/mounts", "pki", Value::Null).await;
        // Elliptic curves: the suite makes many pairs.
        let root = json!({"common_name": "tests", "key_type": "ec", "ttl": "24h"});
        bao.post(&format!("{mount}/{AUTHORITY}"), root).await;
        let proxy = Proxy::to(&bao.address).await;
        let settings = json!({"engine": "pki", "mount": mount});
        let connector = open(&proxy.address, &settings);
        let nobody = bao.token(&["default"]).await;
        Self { bao, proxy, connector, settings, mount, nobody }
    }

    async fn role(&self, more: Value) -> Target {
        let name = self.bao.name();
        let mut role =
            json!({"allow_any_name": true, "key_type": "ec", "ttl": "1h", "allowed_uri_sans": "urn:remint:*"});
        for (key, value) in more.as_object().unwrap() {
            role[key] = value.clone();
        }
        self.bao.post(&format!("{}/roles/{name}", self.mount), role).await;
        let settings = json!({"commonName": format!("{name}.internal"), "altNames": [format!("www.{name}.internal")]});
        Target { name, settings }
    }
}

fn request(target: &Target, old: Option<VersionId>) -> MintRequest {
    let target = target.clone();
    MintRequest { target, strategy: Strategy::Reissue, old, old_username: None, proposed: None }
}

#[async_trait]
impl Harness for Authority {
    fn connector(&self) -> Arc<dyn Connector> {
        Arc::clone(&self.connector)
    }

    async fn call(&self) -> Call {
        self.bao.call()
    }

    async fn issuer_case(&self, _strategy: Strategy) -> Option<IssuerCase> {
        let target = self.role(json!({})).await;
        let old = self.connector.mint(&self.call().await, &request(&target, None)).await.unwrap();
        let missing = Target { name: self.bao.name(), settings: target.settings.clone() };
        Some(IssuerCase { target, old, missing })
    }

    async fn wrong_actor(&self) -> Option<Call> {
        Some(self.bao.acting(&self.nobody))
    }

    async fn unreachable(&self) -> Option<Arc<dyn Connector>> {
        Some(open(&nowhere(), &self.settings))
    }

    async fn requests(&self) -> Option<u64> {
        Some(self.proxy.requests())
    }

    fn gate(&self) -> Option<&Gate> {
        Some(&self.proxy.gate)
    }

    async fn fault(&self, fault: Fault) -> bool {
        self.proxy.arm(Some(match fault {
            Fault::LostAnswer(Verb::Mint) => Trouble::LostBelow("/issue/".to_owned()),
            Fault::LyingRevoke => Trouble::Lie("/revoke".to_owned()),
            Fault::Throttle => Trouble::Throttled,
            Fault::LostAnswer(_) | Fault::Lagging => return false,
        }));
        true
    }

    async fn settle(&self) {
        self.proxy.arm(None);
    }

    async fn plant_foreign(&self, target: &Target) -> Option<String> {
        let name = format!("{}.elsewhere", self.bao.name());
        self.bao.post(&format!("{}/issue/{}", self.mount, target.name), json!({"common_name": name})).await;
        Some(name)
    }
}

#[tokio::test]
async fn an_authority_behaves_as_the_contract_says() {
    let report = run(&Authority::new().await).await;
    assert_passes(&report);
    assert_eq!(
        report.not_shown.iter().map(|(name, _)| name.as_str()).collect::<Vec<_>>(),
        [
            "Reissue: verify and the probe of the endpoint that it stands for accept and refuse the same",
            "Reissue: disable stops a version and enable brings it back",
            "Reissue: what came from a version ends, and is seen to end",
            "Reissue: an endpoint that is behind is seen to accept still, and to deny later"
        ],
        "{report}"
    );
}

#[tokio::test]
async fn the_key_of_another_certificate_is_no_pair_and_a_wider_role_is_seen() {
    let authority = Authority::new().await;
    let target = authority.role(json!({"server_flag": true, "client_flag": false})).await;
    let call = authority.bao.call();
    let one = authority.connector.mint(&call, &request(&target, None)).await.unwrap();
    let two = authority.connector.mint(&authority.bao.call(), &request(&target, None)).await.unwrap();
    let crossed = Material { username: one.material.username.clone(), secret: two.material.secret.clone() };
    assert_eq!(authority.connector.probe(&call, &target, &crossed, 0).await.unwrap(), Verdict::Denied);
    assert_eq!(authority.connector.verify(&call, &target, &crossed).await.unwrap_err().kind, ErrorKind::Denied);
    let rights = authority.connector.compare_rights(&call, &target, &one.version, &two.version).await.unwrap();
    assert_eq!(rights, RightsChange::Equal);

    let role = format!("{}/roles/{}", authority.mount, target.name);
    let wider = json!({
        "allow_any_name": true, "key_type": "ec", "ttl": "1h", "client_flag": true, "allowed_uri_sans": "*",
    });
    authority.bao.post(&role, wider).await;
    let three = authority.connector.mint(&authority.bao.call(), &request(&target, None)).await.unwrap();
    let rights = authority.connector.compare_rights(&call, &target, &one.version, &three.version).await.unwrap();
    assert_eq!(rights, RightsChange::Broader(vec!["use as a client".into()]));
}

#[tokio::test]
async fn a_role_whose_certificates_could_not_be_found_again_is_refused_with_what_to_do() {
    let authority = Authority::new().await;
    for (role, word) in [(json!({"allowed_uri_sans": ""}), "urn:remint:"), (json!({"no_store": true}), "no_store")] {
        let target = authority.role(role).await;
        let failure = authority.connector.mint(&authority.bao.call(), &request(&target, None)).await.unwrap_err();
        assert_eq!(failure.kind, ErrorKind::Invalid);
        assert!(failure.to_string().contains(word), "{failure}");
    }
}
