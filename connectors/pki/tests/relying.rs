//! `refused` and `published` told apart: what a relying party says, what its list says, and what neither says.

use remint_contract::{Connector, ErrorKind, Material, ProofGrade, Strategy, Target, Verb, Verdict, VersionId};

use crate::land::tls::Server;
use crate::land::{Land, mint, request};

async fn probe(land: &Land, connector: &dyn Connector, target: &Target, material: &Material) -> [Verdict; 2] {
    let call = land.call();
    [
        connector.probe(&call, target, material, 0).await.unwrap(),
        connector.probe(&call, target, material, 1).await.unwrap(),
    ]
}

#[tokio::test]
async fn a_relying_party_refuses_what_was_revoked_and_takes_what_was_not() {
    let land = Land::new().await;
    let alone = land.open(&[]);
    let authority = land.authority();
    mint(&land, alone.as_ref(), &authority).await;
    let server =
        Server::start(&mint(&land, alone.as_ref(), &land.leaf(&authority)).await.material, Some(land.believes())).await;
    let connector = land.open(&[&server.address]);
    assert_eq!(
        [connector.denial(Strategy::Reissue, 0), connector.denial(Strategy::Reissue, 1)],
        [ProofGrade::Published, ProofGrade::Refused]
    );
    let target = land.leaf(&authority);
    let old = mint(&land, connector.as_ref(), &target).await;
    let new = mint(&land, connector.as_ref(), &target).await;
    assert_eq!(probe(&land, connector.as_ref(), &target, &old.material).await, [Verdict::Accepted, Verdict::Accepted]);
    connector.revoke(&land.call(), &target, &old.version).await.unwrap();
    assert_eq!(probe(&land, connector.as_ref(), &target, &old.material).await, [Verdict::Denied, Verdict::Denied]);
    assert_eq!(probe(&land, connector.as_ref(), &target, &new.material).await, [Verdict::Accepted, Verdict::Accepted]);
}

#[tokio::test]
async fn a_relying_party_that_asks_for_nothing_refuses_nothing() {
    let land = Land::new().await;
    let alone = land.open(&[]);
    let authority = land.authority();
    mint(&land, alone.as_ref(), &authority).await;
    let server = Server::start(&mint(&land, alone.as_ref(), &land.leaf(&authority)).await.material, None).await;
    let connector = land.open(&[&server.address]);
    let target = land.leaf(&authority);
    let old = mint(&land, connector.as_ref(), &target).await;
    connector.revoke(&land.call(), &target, &old.version).await.unwrap();
    assert_eq!(probe(&land, connector.as_ref(), &target, &old.material).await, [Verdict::Denied, Verdict::Accepted]);
}

#[tokio::test]
async fn a_list_that_another_signed_or_that_is_overdue_or_away_says_nothing() {
    let land = Land::new().await;
    let connector = land.open(&[]);
    let (one, other) = (land.authority(), land.authority());
    let (own, others) = (mint(&land, connector.as_ref(), &one).await, mint(&land, connector.as_ref(), &other).await);
    let target = land.leaf(&one);
    let leaf = mint(&land, connector.as_ref(), &target).await;
    let list = |target: &Target, version: &VersionId| {
        let name = format!("{}-{}.crl", target.name, version.0.replace(':', ""));
        land.folder().parent().unwrap().join("published").join(name)
    };
    let (mine, foreign) = (list(&one, &own.version), list(&other, &others.version));
    let good = std::fs::read(&mine).unwrap();
    let look = async || connector.probe(&land.call(), &target, &leaf.material, 0).await.unwrap();
    assert_eq!(look().await, Verdict::Accepted);
    std::fs::copy(&foreign, &mine).unwrap();
    assert!(matches!(look().await, Verdict::Unclear(why) if why.contains("not signed by the authority")));
    let mut bent = good.clone();
    *bent.last_mut().unwrap() ^= 1;
    std::fs::write(&mine, bent).unwrap();
    assert!(matches!(look().await, Verdict::Unclear(why) if why.contains("not signed by the authority")));
    std::fs::remove_file(&mine).unwrap();
    assert!(matches!(look().await, Verdict::Unclear(why) if why.contains("404")));
    std::fs::write(&mine, good).unwrap();
    assert_eq!(look().await, Verdict::Accepted);
}

#[tokio::test]
async fn a_dead_generation_takes_its_leaves_with_it_and_signs_no_more() {
    let land = Land::new().await;
    let connector = land.open(&["127.0.0.1:1"]);
    let authority = land.authority();
    let old = mint(&land, connector.as_ref(), &authority).await;
    let target = land.leaf(&authority);
    let leaf = mint(&land, connector.as_ref(), &target).await;
    let new = mint(&land, connector.as_ref(), &authority).await;
    connector.promote(&land.call(), &authority.name, &new.version.0).await.unwrap();
    connector.revoke(&land.call(), &authority, &old.version).await.unwrap();
    let call = land.call();
    assert_eq!(connector.probe(&call, &authority, &old.material, 0).await.unwrap(), Verdict::Denied);
    assert_eq!(connector.probe(&call, &authority, &new.material, 0).await.unwrap(), Verdict::Accepted);
    assert_eq!(connector.probe(&call, &target, &leaf.material, 0).await.unwrap(), Verdict::Denied);
    let live = connector.enumerate(&call, &[authority.clone(), target.clone()]).await.unwrap();
    assert_eq!(live.iter().map(|live| &live.version).collect::<Vec<_>>(), [&new.version]);
    let keys = land.folder().join(&authority.name).join("generations").read_dir().unwrap();
    let keys =
        keys.map(|entry| entry.unwrap().path()).filter(|path| path.extension().is_some_and(|kind| kind == "key"));
    assert_eq!(keys.count(), 1);
    let failure = connector.promote(&call, &authority.name, &old.version.0).await.unwrap_err();
    assert_eq!((failure.kind, failure.verb), (ErrorKind::Conflict, Verb::Promote));
}

#[tokio::test]
async fn keys_of_an_authority_are_for_nobody_else_to_read_and_leave_the_folder_in_no_value() {
    use std::os::unix::fs::PermissionsExt as _;
    let land = Land::new().await;
    let connector = land.open(&[]);
    let authority = land.authority();
    let made = mint(&land, connector.as_ref(), &authority).await;
    let folder = land.folder().join(&authority.name).join("generations");
    let key = folder.join(format!("{}.key", made.version.0.replace(':', "")));
    assert_eq!(std::fs::metadata(&key).unwrap().permissions().mode() & 0o777, 0o600);
    let key = std::fs::read_to_string(key).unwrap();
    assert!(!made.material.secret.expose_str().unwrap().contains(key.lines().nth(1).unwrap()));
}

#[tokio::test]
async fn a_leaf_is_not_signed_before_its_authority_has_a_generation() {
    let land = Land::new().await;
    let connector = land.open(&[]);
    let target = land.leaf(&land.authority());
    let failure = connector.mint(&land.call(), &request(&target, Strategy::Reissue)).await.unwrap_err();
    assert_eq!(failure.kind, ErrorKind::Missing);
}
