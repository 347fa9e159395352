//! Tokens, beyond the suite: what they live with, Remint's own among them, and how the server's refusals are classed.

use std::sync::Arc;
use std::time::Duration;

use remint_contract::{Error, ErrorKind, Material, MintRequest, Minted, Strategy, Target, Verdict};
use serde_json::{Value, json};

use crate::cluster::{Cluster, Proxy, RIGHTS, Trouble, open, pause};

fn request(name: &str, old: Option<&Minted>) -> MintRequest {
    MintRequest {
        target: Target { name: name.to_owned(), settings: Value::Null },
        strategy: Strategy::Overlap,
        old: old.map(|old| old.version.clone()),
        old_username: None,
        proposed: None,
    }
}

#[tokio::test]
async fn remints_own_token_is_rotated_while_it_works() {
    let cluster = Cluster::find();
    let namespace = cluster.namespace().await;
    let settings = json!({"tokens": "bound", "ca": {"file": cluster.ca}});
    let connector = open(&cluster.address, &namespace, &settings);
    let name = cluster.account(&namespace).await;
    cluster.grant(&namespace, &name, RIGHTS).await;
    // The first one is bound as all later ones are.
    let first = connector.mint(&cluster.acting(&cluster.admin), &request(&name, None)).await.unwrap();
    let mut own = first;
    for _ in 0..2 {
        let old = cluster.acting(&Arc::new(own.material.clone()));
        let new = connector.mint(&old, &request(&name, Some(&own))).await.unwrap();
        let call = cluster.acting(&Arc::new(new.material.clone()));
        let target = request(&name, None).target;
        let verified = connector.verify(&call, &target, &new.material).await.unwrap();
        assert_eq!(verified.version, new.version);
        assert_eq!(verified.principal, format!("system:serviceaccount:{namespace}:{name}"));
        connector.check(&call, None).await.unwrap();
        connector.revoke(&call, &target, &own.version).await.unwrap();
        while connector.probe(&call, &target, &own.material, 0).await.unwrap() != Verdict::Denied {
            pause().await;
        }
        connector.check(&call, None).await.unwrap();
        let refused = connector.check(&old, None).await.unwrap_err();
        assert_eq!(refused.kind, ErrorKind::Denied);
        own = new;
    }
}

#[tokio::test]
async fn a_token_of_another_account_is_another_identity() {
    let cluster = Cluster::find();
    let namespace = cluster.namespace().await;
    let settings = json!({"tokens": "bound", "ca": {"file": cluster.ca}});
    let connector = open(&cluster.address, &namespace, &settings);
    let call = cluster.acting(&cluster.admin);
    let (one, other) = (cluster.account(&namespace).await, cluster.account(&namespace).await);
    let minted = connector.mint(&call, &request(&one, None)).await.unwrap();
    let seen = connector.verify(&call, &request(&other, None).target, &minted.material).await.unwrap();
    assert_ne!(seen.version, minted.version);
    assert_eq!(seen.principal, format!("system:serviceaccount:{namespace}:{one}"));
    // Nobody bound this one to anything that could be deleted.
    let unbound = cluster.actor(&namespace, &[]).await;
    let live = connector.enumerate(&call, &[request(&one, None).target]).await.unwrap();
    assert_eq!(live.len(), 1);
    assert_eq!(connector.probe(&call, &request(&one, None).target, &unbound, 0).await.unwrap(), Verdict::Accepted);
}

#[tokio::test]
async fn a_token_lives_as_long_as_asked_and_no_shorter_than_the_server_gives() {
    let cluster = Cluster::find();
    let namespace = cluster.namespace().await;
    let settings = json!({"tokens": "bound", "ca": {"file": cluster.ca}});
    let connector = open(&cluster.address, &namespace, &settings);
    let call = cluster.acting(&cluster.admin);
    let name = cluster.account(&namespace).await;
    let target = Target { name: name.clone(), settings: json!({"seconds": 700}) };
    let wanted = MintRequest { target: target.clone(), ..request(&name, None) };
    let minted = connector.mint(&call, &wanted).await.unwrap();
    let later = connector.mint(&cluster.acting(&cluster.admin), &request(&name, Some(&minted))).await.unwrap();
    let expires =
        async |material: &Material| connector.verify(&call, &target, material).await.unwrap().expires.unwrap();
    let apart = expires(&later.material).await.duration_since(expires(&minted.material).await);
    assert!((86_400 - 700 - 60..86_400 - 700 + 60).contains(&apart.as_secs()), "{apart:?}");
    let short = Target { name, settings: json!({"seconds": 60}) };
    let problems = remint_contract::ConnectorKind::check_target(
        &remint_kubernetes::kind(),
        &json!({"server": "https://x", "tokens": "bound"}),
        &short,
        Strategy::Overlap,
    );
    assert_eq!(problems.len(), 1, "{problems:?}");
}

#[tokio::test]
async fn every_refusal_has_its_class() {
    let cluster = Cluster::find();
    let namespace = cluster.namespace().await;
    let proxy = Proxy::to(&cluster).await;
    let connector = open(&proxy.address, &namespace, &json!({"tokens": "bound"}));
    let call = cluster.acting(&cluster.admin);
    let name = cluster.account(&namespace).await;
    let minted = connector.mint(&call, &request(&name, None)).await.unwrap();
    let target = request(&name, None).target;
    let revoke = async |trouble: Option<Trouble>| -> Error {
        proxy.arm(trouble);
        connector.revoke(&call, &target, &minted.version).await.unwrap_err()
    };
    let throttled = revoke(Some(Trouble::Throttled)).await;
    assert_eq!((throttled.kind, throttled.retry_after), (ErrorKind::Throttled, Some(Duration::from_secs(7))));
    assert_eq!(revoke(Some(Trouble::Fails(500))).await.kind, ErrorKind::Unclear);
    assert_eq!(revoke(Some(Trouble::Fails(503))).await.kind, ErrorKind::Unclear);
    // A proxy that refuses says nothing of the token.
    for status in [401, 403, 429, 500, 503] {
        proxy.arm(Some(Trouble::Fails(status)));
        let verdict = connector.probe(&call, &target, &minted.material, 0).await.unwrap();
        assert!(matches!(verdict, Verdict::Unclear(_)), "{status}: {verdict:?}");
    }
    let nobody = cluster.acting(&Arc::new(Material::of("no-token-marker".into())));
    assert_eq!(connector.revoke(&nobody, &target, &minted.version).await.unwrap_err().kind, ErrorKind::Denied);
    let rightless = cluster.acting(&cluster.actor(&namespace, &[]).await);
    assert_eq!(connector.revoke(&rightless, &target, &minted.version).await.unwrap_err().kind, ErrorKind::Denied);
    assert_eq!(connector.mint(&call, &request("none", None)).await.unwrap_err().kind, ErrorKind::Missing);
    // The same operation again: the Secret of its token is there.
    assert_eq!(connector.mint(&call, &request(&name, None)).await.unwrap_err().kind, ErrorKind::Conflict);
}
