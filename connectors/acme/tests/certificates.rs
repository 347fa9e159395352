//! What the server itself says, seen from outside; both ways to answer a challenge; and what an endpoint serves.

use std::sync::Arc;
use std::time::Duration;

use remint_contract::{ErrorKind, Expected, Retry, Seen, Strategy, Workload};
use rustls::ServerConfig;
use rustls::crypto::aws_lc_rs;
use rustls::pki_types::pem::PemObject as _;
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use serde_json::{Value, json};
use tokio::net::TcpListener;

use crate::pebble::proxy::Trouble;
use crate::pebble::{Rig, open, request};

#[tokio::test]
async fn a_revoked_certificate_is_revoked_with_its_reason_by_the_servers_own_word() {
    let rig = Rig::new().await;
    let target = rig.pebble.target();
    let (old, new) = (rig.mint(&target).await, rig.mint(&target).await);
    assert_eq!(rig.pebble.status(&old.version.0).await["Status"], "Valid");
    rig.connector.revoke(&rig.call(), &target, &old.version).await.unwrap();
    let status = rig.pebble.status(&old.version.0).await;
    assert_eq!((&status["Status"], &status["Reason"]), (&json!("Revoked"), &json!(4)));
    assert_eq!(rig.pebble.status(&new.version.0).await["Status"], "Valid");
}

#[tokio::test]
async fn a_revocation_whose_answer_was_lost_is_done_when_it_is_asked_for_again() {
    let rig = Rig::new().await;
    let target = rig.pebble.target();
    let old = rig.mint(&target).await;
    rig.proxy.arm(Some(Trouble::Lost("/revoke-cert".to_owned())));
    let failure = rig.connector.revoke(&rig.call(), &target, &old.version).await.unwrap_err();
    assert_eq!((failure.kind, failure.retry()), (ErrorKind::Unclear, Retry::AskTarget));
    assert_eq!(rig.pebble.status(&old.version.0).await["Status"], "Revoked");
    rig.connector.revoke(&rig.call(), &target, &old.version).await.unwrap();
}

#[tokio::test]
async fn a_server_that_wants_time_says_how_much() {
    let rig = Rig::new().await;
    let target = rig.pebble.target();
    rig.proxy.arm(Some(Trouble::Throttled("/order-plz".to_owned())));
    let failure = rig.connector.mint(&rig.call(), &request(&target, Strategy::Reissue)).await.unwrap_err();
    assert_eq!((failure.kind, failure.retry_after), (ErrorKind::Throttled, Some(Duration::from_secs(7))));
}

#[tokio::test]
async fn a_challenge_is_answered_from_an_address_and_nothing_listens_after() {
    let rig = Rig::new().await;
    let address = TcpListener::bind(("127.0.0.1", 0)).await.unwrap().local_addr().unwrap();
    rig.pebble.pass_on(address);
    let mut settings = rig.pebble.settings(&rig.proxy.directory, &rig.proxy.roots, false);
    settings["challenge"] = json!({"listen": address.to_string()});
    let minted = open(&settings).mint(&rig.call(), &request(&rig.pebble.target(), Strategy::Reissue)).await.unwrap();
    assert_eq!(rig.pebble.status(&minted.version.0).await["Status"], "Valid");
    TcpListener::bind(address).await.unwrap();
}

#[tokio::test]
async fn an_endpoint_is_seen_on_the_certificate_that_it_serves() {
    let rig = Rig::new().await;
    let target = rig.pebble.target();
    let (old, new) = (rig.mint(&target).await, rig.mint(&target).await);
    let chain = CertificateDer::pem_slice_iter(old.material.username.as_ref().unwrap().as_bytes());
    let key = PrivateKeyDer::from_pem_slice(old.material.secret.expose()).unwrap();
    let config = ServerConfig::builder_with_provider(Arc::new(aws_lc_rs::default_provider()));
    let config = config.with_safe_default_protocol_versions().unwrap().with_no_client_auth();
    let config = config.with_single_cert(chain.map(Result::unwrap).collect(), key).unwrap();
    let listener = TcpListener::bind(("127.0.0.1", 0)).await.unwrap();
    let workload = Workload {
        name: "web".to_owned(),
        reference: listener.local_addr().unwrap().to_string(),
        settings: Value::Null,
    };
    let serving = tokio::spawn(async move {
        let acceptor = tokio_rustls::TlsAcceptor::from(Arc::new(config));
        while let Ok((client, _)) = listener.accept().await {
            drop(acceptor.accept(client).await);
        }
    });
    let expected = Expected { new: new.material.fingerprint(), old: Some(old.material.fingerprint()), path: None };
    let seen = rig.connector.observe(&rig.call(), &workload, &expected).await.unwrap();
    assert_eq!(seen.seen, Seen::Old);
    let expected = Expected { new: old.material.fingerprint(), old: None, path: None };
    assert_eq!(rig.connector.observe(&rig.call(), &workload, &expected).await.unwrap().seen, Seen::New);
    serving.abort();
}
