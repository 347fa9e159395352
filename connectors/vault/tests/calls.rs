//! How many requests one rotation is, counted on the way to a server that has nothing else: the number that the
//! connector declares, and that the catalogue's page names.

use std::sync::Arc;

use crate::bao::{AUTHORITY, Bao, Own, Proxy, open};
use remint_contract::{Call, Connector, Material, MintRequest, Minted, SecretValue, Strategy, Target, Verb};
use serde_json::{Value, json};

const PAGE: &str = include_str!("../../../src/docs/catalogue/vault.md");

fn request(target: &Target, old: Option<&Minted>, strategy: Strategy, secret: &str) -> MintRequest {
    MintRequest {
        target: target.clone(),
        strategy,
        old: old.map(|old| old.version.clone()),
        old_username: None,
        proposed: Some(SecretValue::from(secret)),
    }
}

/// What the engine asks of an issuer for one rotation at one endpoint: the old value before, the new one, the change,
/// what came from it, the old value twice and the new one as control, and what lives.
async fn rotation(connector: &dyn Connector, call: &Call, target: &Target, old: &Minted, request: &MintRequest) {
    let verbs = connector.describe().verbs;
    let probe = async |material: &Material| drop(connector.probe(call, target, material, 0).await.unwrap());
    probe(&old.material).await;
    let new = connector.mint(call, request).await.unwrap();
    connector.verify(call, target, &new.material).await.unwrap();
    if verbs.contains(&Verb::CompareRights) {
        connector.compare_rights(call, target, &old.version, &new.version).await.unwrap();
    }
    if verbs.contains(&Verb::Promote) {
        connector.promote(call, &target.name, &new.version.0).await.unwrap();
    }
    connector.revoke(call, target, &old.version).await.unwrap();
    if verbs.contains(&Verb::EndDerived) {
        connector.end_derived(call, target, &old.version).await.unwrap();
        connector.list_derived(call, target, &old.version).await.unwrap();
    }
    for material in [&old.material, &old.material, &new.material] {
        probe(material).await;
    }
    connector.enumerate(call, std::slice::from_ref(target)).await.unwrap();
}

/// Counts a rotation.
async fn counted(own: &Own, settings: Value, target: Target, old: Minted) -> (Counted, Counted) {
    let proxy = Proxy::to(&own.bao.address).await;
    let connector: Arc<dyn Connector> = open(&proxy.address, &settings);
    let call = own.bao.call();
    // Looking at its own token is the first call's, and no rotation's.
    connector.check(&call, None).await.unwrap();
    let issuer = connector.describe().issuer.unwrap();
    let strategy = *issuer.strategies.first().unwrap();
    let before = proxy.requests();
    rotation(connector.as_ref(), &call, &target, &old, &request(&target, Some(&old), strategy, "counted-marker-2"))
        .await;
    let requests = u32::try_from(proxy.requests() - before).unwrap();
    let engine = settings["engine"].as_str().unwrap().to_owned();
    ((engine.clone(), strategy, requests), (engine, strategy, issuer.calls[0].1))
}

type Counted = (String, Strategy, u32);

#[tokio::test]
async fn one_rotation_is_as_many_requests_as_declared_and_written_down() {
    let own = Own::start().await;
    let bao = &own.bao;
    let target = Target { name: "app".to_owned(), settings: Value::Null };
    let wanted = request(&target, None, Strategy::Overlap, "counted-marker-1");
    bao.post("sys/auth/approle", json!({"type": "approle"})).await;
    bao.post("auth/approle/role/app", json!({})).await;
    bao.post("auth/token/roles/app", json!({"allowed_policies": "default", "orphan": true})).await;
    bao.post("sys/mounts/transit", json!({"type": "transit"})).await;
    bao.post("transit/keys/app", json!({})).await;
    bao.post("sys/mounts/pki", json!({"type": "pki"})).await;
    bao.post(&format!("pki/{AUTHORITY}"), json!({"common_name": "tests", "key_type": "ec"})).await;
    let role = json!({"allow_any_name": true, "key_type": "ec", "ttl": "1h", "allowed_uri_sans": "*"});
    bao.post("pki/roles/app", role).await;
    let logins = crate::engines::Logins::on(Bao::at(bao.address.clone(), "own-root")).await;
    let login = logins.static_role().await;
    let mut found = Vec::new();
    for engine in ["approle", "token", "transit"] {
        let settings = json!({"engine": engine});
        let old = open(&bao.address, &settings).mint(&bao.call(), &wanted).await.unwrap();
        if engine == "transit" {
            // The first version goes before the second can.
            let limits = json!({"min_decryption_version": 2, "min_encryption_version": 2});
            bao.post("transit/keys/app/config", limits).await;
            bao.post("transit/keys/app/trim", json!({"min_available_version": 2})).await;
        }
        found.push(counted(&own, settings, target.clone(), old).await);
    }
    let leaf = Target { settings: json!({"commonName": "app.internal"}), ..target.clone() };
    let settings = json!({"engine": "pki"});
    let wanted = request(&leaf, None, Strategy::Reissue, "unused");
    let old = open(&bao.address, &settings).mint(&bao.call(), &wanted).await.unwrap();
    found.push(counted(&own, settings, leaf, old).await);
    let old = logins.connector.mint(&bao.call(), &request(&login, None, Strategy::InPlace, "unused")).await.unwrap();
    found.push(counted(&own, logins.settings.clone(), login, old).await);
    let (counted, declared): (Vec<_>, Vec<_>) = found.into_iter().unzip();
    assert_eq!(counted, declared);
    for (engine, strategy, requests) in counted {
        let line = format!("| {engine} | {} | {requests} |", json!(strategy).as_str().unwrap());
        assert!(PAGE.contains(&line), "src/docs/catalogue/vault.md lacks: {line}");
    }
}
