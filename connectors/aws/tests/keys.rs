//! What access keys do beside what the suite asks.

use std::sync::Arc;

use remint_contract::{
    Call, Connector, ErrorKind, Intent, Material, MintRequest, Minted, Recovered, SecretValue, Strategy, Target, Verb,
    Verdict, VersionId,
};
use serde_json::{Value, json};

use crate::moto::{ALL, Moto, Proxy, Trouble, open};

pub(crate) fn settings() -> Value {
    json!({"service": "iam"})
}

pub(crate) fn target(user: &str) -> Target {
    Target { name: user.to_owned(), settings: Value::Null }
}

pub(crate) async fn mint(connector: &dyn Connector, call: &Call, user: &str) -> Result<Minted, remint_contract::Error> {
    let strategy = Strategy::Overlap;
    let request = MintRequest { target: target(user), strategy, old: None, old_username: None, proposed: None };
    connector.mint(call, &request).await
}

fn intent(call: &Call, verb: Verb, user: &str, version: Option<VersionId>) -> Intent {
    Intent { operation: call.operation.clone(), verb, target: target(user), version, mint: None }
}

#[tokio::test]
async fn remints_own_key_is_replaced_while_it_works() {
    let moto = Moto::find();
    let connector = open(&moto.address, &settings());
    let user = moto.user().await;
    moto.iam("PutUserPolicy", &[("UserName", &user), ("PolicyName", "all"), ("PolicyDocument", ALL)]).await;
    let old = moto.key(&user).await;
    let new = mint(connector.as_ref(), &moto.acting(&old), &user).await.unwrap();
    let acting = moto.acting(&Arc::new(new.material.clone()));
    connector.check(&acting, None).await.unwrap();
    let dead = VersionId(old.username.clone().unwrap());
    connector.revoke(&acting, &target(&user), &dead).await.unwrap();
    assert_eq!(connector.probe(&acting, &target(&user), &old, 0).await.unwrap(), Verdict::Denied);
    assert_eq!(connector.probe(&acting, &target(&user), &new.material, 0).await.unwrap(), Verdict::Accepted);
    assert_eq!(connector.check(&moto.acting(&old), None).await.unwrap_err().kind, ErrorKind::Denied);
    connector.check(&acting, None).await.unwrap();
}

#[tokio::test]
async fn a_third_key_is_full_and_names_the_two() {
    let moto = Moto::find();
    let connector = open(&moto.address, &settings());
    let user = moto.user().await;
    let keys = [moto.key(&user).await, moto.key(&user).await];
    let error = mint(connector.as_ref(), &moto.call(), &user).await.unwrap_err();
    assert_eq!(error.kind, ErrorKind::Full);
    for key in keys {
        assert!(error.to_string().contains(key.username.as_deref().unwrap()), "{error}");
    }
}

#[tokio::test]
async fn a_key_that_somebody_else_minted_is_listed_as_nobodys_operation() {
    let moto = Moto::find();
    let connector = open(&moto.address, &settings());
    let user = moto.user().await;
    let call = moto.call();
    let ours = mint(connector.as_ref(), &call, &user).await.unwrap();
    let theirs = moto.key(&user).await;
    let live = connector.enumerate(&moto.call(), &[target(&user)]).await.unwrap();
    let found = |id: &str| live.iter().find(|live| live.version.0 == id).unwrap();
    assert_eq!(found(&ours.version.0).operation.as_ref(), Some(&call.operation));
    let foreign = found(theirs.username.as_deref().unwrap());
    assert_eq!((foreign.operation.as_ref(), foreign.target.as_ref()), (None, Some(&user)));
}

#[tokio::test]
async fn a_disabled_key_is_listed_as_inactive_until_it_is_enabled_or_deleted() {
    let moto = Moto::find();
    let connector = open(&moto.address, &settings());
    let user = moto.user().await;
    let version = VersionId(moto.key(&user).await.username.clone().unwrap());
    let call = moto.call();
    let label = async || {
        let live = connector.enumerate(&call, &[target(&user)]).await.unwrap();
        live.into_iter().find(|live| live.version == version).map(|live| live.label)
    };
    let done = async |verb| {
        let intent = intent(&call, verb, &user, Some(version.clone()));
        matches!(connector.recover(&call, &intent).await.unwrap(), Recovered::Done(_))
    };
    assert!(!done(Verb::Disable).await);
    connector.disable(&call, &target(&user), &version).await.unwrap();
    assert!(label().await.unwrap().ends_with(", inactive") && done(Verb::Disable).await && !done(Verb::Enable).await);
    connector.enable(&call, &target(&user), &version).await.unwrap();
    assert!(!label().await.unwrap().ends_with(", inactive") && done(Verb::Enable).await);
    connector.disable(&call, &target(&user), &version).await.unwrap();
    connector.revoke(&call, &target(&user), &version).await.unwrap();
    assert_eq!(label().await, None);
}

#[tokio::test]
async fn where_keys_are_to_be_deleted_at_once_none_is_made_inactive() {
    let moto = Moto::find();
    let connector = open(&moto.address, &json!({"service": "iam", "stop": "delete"}));
    let declared = connector.describe();
    assert!(!declared.verbs.contains(&Verb::Disable) && !declared.issuer.unwrap().reversible_disable);
    let user = moto.user().await;
    let key = moto.key(&user).await;
    let version = VersionId(key.username.clone().unwrap());
    let error = connector.disable(&moto.call(), &target(&user), &version).await.unwrap_err();
    assert_eq!(error.kind, ErrorKind::Unsupported);
    connector.revoke(&moto.call(), &target(&user), &version).await.unwrap();
    assert_eq!(connector.probe(&moto.call(), &target(&user), &key, 0).await.unwrap(), Verdict::Denied);
}

#[tokio::test]
async fn the_last_use_of_a_key_is_told() {
    let moto = Moto::find();
    let connector = open(&moto.address, &settings());
    let user = moto.user().await;
    let minted = mint(connector.as_ref(), &moto.call(), &user).await.unwrap();
    let call = moto.call();
    let since = "2020-01-01T00:00:00Z".parse().unwrap();
    assert_eq!(connector.last_used(&call, &target(&user), &minted.version, since).await.unwrap(), []);
    connector.verify(&call, &target(&user), &minted.material).await.unwrap();
    let uses = connector.last_used(&call, &target(&user), &minted.version, since).await.unwrap();
    assert_eq!(uses.len(), 1);
    let later = "8000-01-01T00:00:00Z".parse().unwrap();
    assert_eq!(connector.last_used(&call, &target(&user), &minted.version, later).await.unwrap(), []);
}

#[tokio::test]
async fn a_list_of_several_pages_is_read_to_its_end() {
    let moto = Moto::find();
    let proxy = Proxy::to(&moto.address).await;
    let connector = open(&proxy.address, &settings());
    let user = moto.user().await;
    let keys = [moto.key(&user).await, moto.key(&user).await];
    proxy.page("ListUsers");
    let live = connector.enumerate(&moto.call(), &[target(&user)]).await.unwrap();
    for key in &keys {
        assert!(live.iter().any(|live| Some(&live.version.0) == key.username.as_ref()), "{live:?}");
    }
    assert_eq!(proxy.calls().iter().filter(|action| *action == "ListUsers").count(), 2);
}

#[tokio::test]
async fn two_keys_since_a_lost_mint_are_not_guessed_between() {
    let moto = Moto::find();
    let proxy = Proxy::to(&moto.address).await;
    let connector = open(&proxy.address, &settings());
    let user = moto.user().await;
    let call = moto.call();
    proxy.arm(Some(Trouble::Lost("CreateAccessKey")));
    assert_eq!(mint(connector.as_ref(), &call, &user).await.unwrap_err().kind, ErrorKind::Unclear);
    moto.key(&user).await;
    let error = connector.recover(&call, &intent(&call, Verb::Mint, &user, None)).await.unwrap_err();
    assert_eq!(error.kind, ErrorKind::Unclear);
}

#[tokio::test]
async fn a_throttled_call_says_how_long_to_wait() {
    let moto = Moto::find();
    let proxy = Proxy::to(&moto.address).await;
    let connector = open(&proxy.address, &settings());
    let call = moto.call();
    proxy.arm(Some(Trouble::Throttled));
    let error = connector.check(&call, None).await.unwrap_err();
    assert_eq!((error.kind, error.retry_after), (ErrorKind::Throttled, Some(std::time::Duration::from_secs(7))));
    // A key that was being tried is not taken for a dead one.
    proxy.arm(Some(Trouble::Throttled));
    let verdict = connector.probe(&call, &target("any"), &moto.admin, 0).await.unwrap();
    assert!(matches!(verdict, Verdict::Unclear(_)), "{verdict:?}");
}

#[tokio::test]
async fn what_is_no_access_key_is_denied_without_asking() {
    let moto = Moto::find();
    let proxy = Proxy::to(&moto.address).await;
    let connector = open(&proxy.address, &settings());
    for material in [
        Material::of(SecretValue::from("no-id-marker")),
        Material::login("AKIA/../x", SecretValue::from("bad-id-marker")),
    ] {
        let verdict = connector.probe(&moto.call(), &target("any"), &material, 0).await.unwrap();
        assert_eq!(verdict, Verdict::Denied);
    }
    assert!(proxy.calls().is_empty());
}
