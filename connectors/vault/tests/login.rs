//! How Remint's own login is kept: renewed while it is used, replaced at its end, by a secret id and by a certificate.

use std::sync::Arc;

use remint_contract::{ErrorKind, HostRules, Material, MintRequest, SecretValue, Strategy, Target};
use serde_json::{Value, json};

use crate::bao::{AUTHORITY, Bao, Own, Proxy, open};

#[tokio::test]
async fn a_login_is_renewed_while_it_is_used_and_replaced_at_its_end_and_no_call_fails() {
    let bao = Bao::find();
    let auth = bao.mount("sys/auth", "approle", Value::Null).await;
    let store = bao.mount("sys/mounts", "kv", json!({"version": "2"})).await;
    let policy = bao.policy(&[(&format!("{store}/data/*"), &["create", "read", "update"])]).await;
    let target = Target { name: bao.name(), settings: Value::Null };
    let role = json!({"token_policies": [policy], "token_ttl": "1s", "token_max_ttl": "2s"});
    bao.post(&format!("auth/{auth}/role/{}", target.name), role).await;
    let issuer = open(&bao.address, &json!({"engine": "approle", "mount": auth}));
    let proposed = Some(SecretValue::from("renewed-marker-1"));
    let wanted = MintRequest { target, strategy: Strategy::Overlap, old: None, old_username: None, proposed };
    let made = issuer.mint(&bao.call(), &wanted).await.unwrap();

    let proxy = Proxy::to(&bao.address).await;
    let shelf = open(&proxy.address, &json!({"engine": "kv2", "mount": store, "login": {"approle": {"mount": auth}}}));
    let call = bao.acting(&Arc::new(made.material));
    // Two logins lie two seconds apart; between them the first one lives only because it is renewed.
    while proxy.asked("/login") < 2 {
        assert_eq!(shelf.read(&call, "x").await.unwrap_err().kind, ErrorKind::Missing);
    }
    assert!(proxy.asked("/renew-self") >= 1);
    assert!(proxy.asked("/renew-self") < 20, "it renews at every call");
}

#[tokio::test]
async fn a_certificate_logs_in_over_tls_and_another_authority_is_not_trusted() {
    let own = Own::start_tls().await;
    let bao = &own.bao;
    bao.post("sys/auth/cert", json!({"type": "cert"})).await;
    bao.post("sys/mounts/pki", json!({"type": "pki"})).await;
    let root = bao.post(&format!("pki/{AUTHORITY}"), json!({"common_name": "clients", "ttl": "24h"})).await;
    bao.post("pki/roles/client", json!({"allow_any_name": true, "ttl": "1h"})).await;
    let made = bao.post("pki/issue/client", json!({"common_name": "remint.internal"})).await;
    let text = |key: &str| made["data"][key].as_str().unwrap().to_owned();
    let policy = bao.policy(&[("secret/data/*", &["create", "read", "update"])]).await;
    let trust = json!({"certificate": root["data"]["certificate"], "token_policies": [policy]});
    bao.post("auth/cert/certs/remint", trust).await;

    let settings = json!({
        "address": bao.address, "engine": "kv2", "login": {"cert": {"role": "remint"}}, "ca": {"file": own.authority},
    });
    let shelf = open(&bao.address, &settings);
    let pair = format!("{}\n{}\n", text("private_key"), text("certificate"));
    let call = bao.acting(&Arc::new(Material::of(SecretValue::from(pair))));
    assert_eq!(shelf.read(&call, "x").await.unwrap_err().kind, ErrorKind::Missing);
    let nonsense = bao.acting(&Arc::new(Material::of(SecretValue::from("no certificate"))));
    assert_eq!(shelf.read(&nonsense, "x").await.unwrap_err().kind, ErrorKind::Invalid);

    let elsewhere = tempfile::NamedTempFile::new().unwrap();
    std::fs::write(elsewhere.path(), root["data"]["certificate"].as_str().unwrap()).unwrap();
    let mut other = settings.clone();
    other["ca"]["file"] = json!(elsewhere.path());
    assert_eq!(open(&bao.address, &other).read(&call, "x").await.unwrap_err().kind, ErrorKind::Unreachable);
    other["ca"]["file"] = json!("nowhere.pem");
    let kind = remint_vault::kind();
    let failure = remint_contract::ConnectorKind::open(&kind, &other, &HostRules::default()).err().unwrap();
    assert_eq!(failure.kind, ErrorKind::Invalid);
}
