//! How many things one rotation asks the server for: the number that the connector declares, and that the catalogue's page
//! names. Pebble refuses nonces at random, and an order is looked at until it is ready, so each thing counts once.

use std::sync::Arc;

use remint_contract::{Strategy, Target};
use serde_json::{Value, json};

use crate::pebble::{Rig, request};

const PAGE: &str = include_str!("../../../src/docs/catalogue/acme.md");

#[tokio::test]
async fn one_rotation_asks_for_as_many_things_as_declared_and_written_down() {
    let rig = Rig::new().await;
    let target = rig.pebble.target();
    // What was shown once may be shown for a while: the first of a name is the dearer one, and always the same.
    rig.proxy.asked();
    let old = rig.mint(&target).await;
    let minting = rig.proxy.asked();
    let new = rig.mint(&target).await;
    rig.proxy.asked();
    let call = rig.call();
    rig.connector.verify(&call, &target, &new.material).await.unwrap();
    rig.connector.compare_rights(&call, &target, &old.version, &new.version).await.unwrap();
    rig.connector.revoke(&call, &target, &old.version).await.unwrap();
    rig.connector.enumerate(&call, std::slice::from_ref(&target)).await.unwrap();
    let reissue = minting + rig.proxy.asked();
    let own = Target { name: "account".to_owned(), settings: Value::Null };
    let made = rig.connector.mint(&call, &request(&own, Strategy::InPlace)).await.unwrap();
    let now = rig.pebble.acting(&Arc::new(made.material.clone()));
    rig.connector.verify(&now, &own, &made.material).await.unwrap();
    rig.connector.revoke(&now, &own, &old.version).await.unwrap();
    rig.connector.enumerate(&now, std::slice::from_ref(&own)).await.unwrap();
    let counted = [(Strategy::Reissue, reissue), (Strategy::InPlace, rig.proxy.asked())];
    let declared: Vec<_> = rig.connector.describe().issuer.unwrap().calls;
    let declared: Vec<_> = declared.into_iter().map(|(strategy, calls)| (strategy, calls as usize)).collect();
    assert_eq!(declared, counted);
    for (strategy, things) in counted {
        let line = format!("| {} | {things} |", json!(strategy).as_str().unwrap());
        assert!(PAGE.contains(&line), "src/docs/catalogue/acme.md lacks: {line}");
    }
}
