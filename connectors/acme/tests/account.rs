//! The account's key, Remint's own means to issue, replaced while it works.

use std::sync::Arc;

use remint_contract::{ErrorKind, Intent, Recovered, Strategy, Target, Verb};
use serde_json::Value;

use crate::pebble::proxy::Trouble;
use crate::pebble::{Rig, request};

fn own() -> Target {
    Target { name: "account".to_owned(), settings: Value::Null }
}

#[tokio::test]
async fn the_accounts_key_is_replaced_and_what_it_issued_can_still_be_revoked() {
    let rig = Rig::new().await;
    let target = rig.pebble.target();
    let before = rig.connector.verify(&rig.call(), &own(), &rig.key).await.unwrap();
    let leaf = rig.mint(&target).await;
    let new = rig.connector.mint(&rig.call(), &request(&own(), Strategy::InPlace)).await.unwrap();
    let after = rig.connector.verify(&rig.call(), &own(), &new.material).await.unwrap();
    assert_eq!((&after.version, &after.principal), (&new.version, &before.principal));
    // The old one is refused, where it was accepted before and the new one is.
    let failure = rig.connector.verify(&rig.call(), &own(), &rig.key).await.unwrap_err();
    assert_eq!(failure.kind, ErrorKind::Denied);
    let failure = rig.connector.mint(&rig.call(), &request(&target, Strategy::Reissue)).await.unwrap_err();
    assert_eq!(failure.kind, ErrorKind::Denied);
    let call = rig.pebble.acting(&Arc::new(new.material.clone()));
    rig.connector.mint(&call, &request(&target, Strategy::Reissue)).await.unwrap();
    rig.connector.revoke(&call, &target, &leaf.version).await.unwrap();
    assert_eq!(rig.pebble.status(&leaf.version.0).await["Status"], "Revoked");
    // Until here the new key was kept beside.
    rig.connector.revoke(&call, &own(), &before.version).await.unwrap();
    let live = rig.connector.enumerate(&call, &[own()]).await.unwrap();
    assert!(live.iter().any(|live| live.version == new.version && live.target.as_deref() == Some("account")));
    assert!(live.iter().all(|live| live.version != before.version));
}

#[tokio::test]
async fn a_key_that_was_replaced_elsewhere_is_denied_and_not_called_a_mistake() {
    let rig = Rig::new().await;
    let (other, target) = (Rig::open_again(&rig), rig.pebble.target());
    let leaf = rig.mint(&target).await;
    // Both know the account by the old key.
    other.mint(&rig.call(), &request(&own(), Strategy::InPlace)).await.unwrap();
    let failure = rig.connector.revoke(&rig.call(), &target, &leaf.version).await.unwrap_err();
    assert_eq!(failure.kind, ErrorKind::Denied);
}

#[tokio::test]
async fn a_new_key_whose_answer_was_lost_is_had_again() {
    let rig = Rig::new().await;
    let call = rig.call();
    let wanted = request(&own(), Strategy::InPlace);
    let intent = Intent {
        operation: call.operation.clone(),
        verb: Verb::Mint,
        target: own(),
        version: None,
        mint: Some(wanted.clone()),
    };
    assert!(matches!(rig.connector.recover(&call, &intent).await.unwrap(), Recovered::NotDone));
    rig.proxy.arm(Some(Trouble::Lost("/rollover-account-key".to_owned())));
    let failure = rig.connector.mint(&call, &wanted).await.unwrap_err();
    assert_eq!(failure.kind, ErrorKind::Unclear);
    let Recovered::Done(Some(minted)) = rig.connector.recover(&call, &intent).await.unwrap() else {
        panic!("the new key is lost");
    };
    rig.connector.verify(&rig.call(), &own(), &minted.material).await.unwrap();
}

#[tokio::test]
async fn a_key_that_never_got_there_is_not_done() {
    let rig = Rig::new().await;
    let call = rig.call();
    let wanted = request(&own(), Strategy::InPlace);
    rig.proxy.arm(Some(Trouble::Throttled("/rollover-account-key".to_owned())));
    assert_eq!(rig.connector.mint(&call, &wanted).await.unwrap_err().kind, ErrorKind::Throttled);
    let operation = call.operation.clone();
    let intent = Intent { operation, verb: Verb::Mint, target: own(), version: None, mint: Some(wanted) };
    assert!(matches!(rig.connector.recover(&call, &intent).await.unwrap(), Recovered::NotDone));
    rig.connector.verify(&call, &own(), &rig.key).await.unwrap();
}
