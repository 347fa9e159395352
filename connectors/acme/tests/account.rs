//! The account's key, Remint's own means to issue, replaced while it works.

use std::sync::Arc;

use remint_conformance::{Crash, Cut, at_each_request};
use remint_contract::{ErrorKind, Intent, Material, Recovered, Strategy, Target, Verb};
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
    // Nobody is told that nothing was done by an answer that does not come: another key would take this one's place.
    at_each_request(async |crash| {
        let host = rig.open_again();
        rig.proxy.gate.arm(crash).await;
        let answer = host.recover(&call, &intent).await;
        let crashed = rig.proxy.gate.reopen().await;
        assert!(!matches!(answer, Ok(Recovered::NotDone)), "{crash}");
        crashed
    })
    .await;
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

/// What was seen on the way, over all crashes.
#[derive(Default)]
struct Ways {
    found: u32,
    again: u32,
}

/// True when the crash was.
async fn replaced(crash: Crash, ways: &mut Ways) -> bool {
    let rig = Rig::new().await;
    let principal = rig.connector.verify(&rig.call(), &own(), &rig.key).await.unwrap().principal;
    let (call, wanted) = (rig.call(), request(&own(), Strategy::InPlace));
    rig.proxy.gate.arm(crash).await;
    let result = rig.connector.mint(&call, &wanted).await;
    let crashed = rig.proxy.gate.reopen().await;
    // Who comes after it knows the old key, and what was kept.
    let host = rig.open_again();
    let first = rig.pebble.kept();
    let new = if crashed {
        let said = format!("{result:?}");
        assert!(!said.contains("PRIVATE KEY"), "{crash}: {said}");
        let operation = call.operation.clone();
        let mint = Some(wanted.clone());
        let intent = Intent { operation, verb: Verb::Mint, target: own(), version: None, mint };
        match host.recover(&call, &intent).await.unwrap() {
            Recovered::Done(Some(minted)) => {
                assert!(result.as_ref().err().is_none_or(|error| error.kind == ErrorKind::Unclear), "{crash}: {said}");
                ways.found += 1;
                minted
            }
            Recovered::NotDone => {
                assert!(result.is_err(), "{crash}: what was answered is said not to be done");
                ways.again += 1;
                host.mint(&call, &wanted).await.unwrap()
            }
            other => panic!("{crash}: {other:?}"),
        }
    } else {
        result.unwrap()
    };
    let found = host.verify(&rig.call(), &own(), &new.material).await.unwrap();
    assert_eq!((&found.version, &found.principal), (&new.version, &principal), "{crash}");
    let first = first.filter(|first| first.secret != new.material.secret);
    let dead: Vec<&Material> = first.iter().chain([rig.key.as_ref()]).collect();
    for key in dead {
        let failure = host.verify(&rig.call(), &own(), key).await.unwrap_err();
        assert_eq!(failure.kind, ErrorKind::Denied, "{crash}: a second key is accepted");
    }
    let acting = rig.pebble.acting(&Arc::new(new.material));
    if crash.how == Cut::Unanswered {
        // It opens the account for what an account is for, which takes its time.
        host.mint(&acting, &request(&rig.pebble.target(), Strategy::Reissue)).await.unwrap();
    }
    // In use it need not be kept.
    host.revoke(&acting, &own(), &new.version).await.unwrap();
    assert!(rig.pebble.kept().is_none(), "{crash}");
    crashed
}

#[tokio::test]
async fn after_a_crash_at_each_request_of_its_replacement_one_key_opens_the_account() {
    let mut ways = Ways::default();
    at_each_request(async |crash| replaced(crash, &mut ways).await).await;
    assert!(ways.found > 0 && ways.again > 0, "of both kinds: {} and {}", ways.found, ways.again);
}
