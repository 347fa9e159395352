//! The intruder finds what reach would, mints what he may, and holds nothing once all of it is dead.

#![allow(clippy::unwrap_used, clippy::panic, reason = "what builds a test may end it")]

use std::collections::BTreeSet;

use remint_contract::Material;
use remint_fake::world::{Issuer, IssuerSpec, StoreSpec, TargetSpec, World};

/// Three deep: the runner shows `a`; `a` reads `b`'s place; `b` mints `c`, whose bearer reads `d`'s place. `e` is clean.
async fn chain() -> (World, std::sync::Arc<Issuer>, Vec<Material>) {
    let mut world = World::start().await.unwrap();
    let spec = ["a", "d", "e"].iter().fold(IssuerSpec::new("ids"), |spec, name| spec.with(TargetSpec::new(name)));
    let spec =
        spec.with(TargetSpec::new("b").minting(&["c"])).with(TargetSpec::new("c")).with(TargetSpec::admin("root"));
    let issuer = world.issuer(spec).await.unwrap();
    let spec = StoreSpec::new("vault").readable("ids", "a", "b").readable("ids", "c", "d");
    let store = world.store(spec).await.unwrap();
    let mut values = Vec::new();
    for name in ["a", "b", "c", "d", "e"] {
        let (_, material) = issuer.seed(name).unwrap();
        store.put(name, &[("secret", &material.secret)]).unwrap();
        values.push(material);
    }
    (world, issuer, values)
}

#[tokio::test]
async fn he_reads_and_mints_along_every_way_and_nothing_else() {
    let (world, issuer, values) = chain().await;
    let attacker = world.attacker(&[("vault".into(), "a".into())], &BTreeSet::new()).unwrap();
    attacker.round().await;
    let mut held = Vec::new();
    for value in &values {
        held.push(attacker.holds(&value.secret).await);
    }
    // He has his own `c`, not the one in the store.
    assert_eq!(held, [true, true, false, true, false]);
    let loot = attacker.loot();
    assert_eq!((loot.read, loot.minted), (3, 1));
    assert_eq!(attacker.alive().await, 4);
    attacker.round().await;
    assert_eq!(attacker.loot().minted, 1, "he mints again only what is dead");
    let foreign = issuer.live_versions("c").into_iter().find(|version| version.label == "attacker");
    assert!(foreign.is_some());
}

#[tokio::test]
async fn he_comes_back_for_as_long_as_one_way_is_open() {
    let (world, issuer, values) = chain().await;
    let attacker = world.attacker(&[("vault".into(), "a".into())], &BTreeSet::new()).unwrap();
    attacker.round().await;
    let kill = |target: &str| issuer.live_versions(target).iter().for_each(|version| issuer.kill(&version.version));
    kill("c");
    attacker.round().await;
    assert_eq!(attacker.loot().minted, 2, "his minter is alive, so he minted another");
    for target in ["a", "b", "c", "d"] {
        kill(target);
    }
    attacker.round().await;
    assert_eq!(attacker.alive().await, 0);
    // A new value where the host shows it is his again, until the host is rebuilt.
    let (_, fresh) = issuer.seed("a").unwrap();
    let store = &world.stores()["vault"];
    store.put("a", &[("secret", &fresh.secret)]).unwrap();
    attacker.round().await;
    assert_eq!(attacker.alive().await, 1);
    attacker.end_foothold();
    let (_, newer) = issuer.seed("a").unwrap();
    kill("a");
    store.put("a", &[("secret", &newer.secret)]).unwrap();
    attacker.round().await;
    assert_eq!(attacker.alive().await, 0);
    assert!(issuer.accepts(&values[4]), "the clean one was never touched");
}
