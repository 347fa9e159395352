//! Other accounts, by a role that Remint's own key may assume.

use remint_contract::{ErrorKind, SecretValue};
use serde_json::json;

use crate::keys::{mint, target};
use crate::moto::{Moto, Proxy, open};

#[tokio::test]
async fn a_system_with_a_role_is_in_the_roles_account() {
    let moto = Moto::find();
    let path = moto.name();
    let made = json!({"Name": path, "SecretString": r#"{"password":"elsewhere-marker"}"#});
    moto.ask_as(&moto.elsewhere().await, "secretsmanager.CreateSecret", made).await;
    let here = open(&moto.address, &json!({"service": "secretsmanager"}));
    let there = open(&moto.address, &json!({"service": "secretsmanager", "role": {"arn": moto.role}}));
    assert_eq!(here.read(&moto.call(), &path).await.unwrap_err().kind, ErrorKind::Missing);
    let fields = there.read(&moto.call(), &path).await.unwrap().fields;
    assert_eq!(fields["password"], SecretValue::from("elsewhere-marker"));
}

#[tokio::test]
async fn a_session_is_begun_once_and_not_for_another_key() {
    let moto = Moto::find();
    let proxy = Proxy::to(&moto.address).await;
    let connector = open(&proxy.address, &json!({"service": "iam", "role": {"arn": moto.role}}));
    for _ in 0..2 {
        connector.check(&moto.call(), None).await.unwrap();
    }
    assert_eq!(proxy.calls(), ["AssumeRole", "ListUsers", "ListUsers"]);
    let nobody = moto.key(&moto.user().await).await;
    let error = connector.check(&moto.acting(&nobody), None).await.unwrap_err();
    assert_eq!(error.kind, ErrorKind::Denied);
}

#[tokio::test]
async fn keys_of_another_account_are_minted_by_the_role_and_tried_as_themselves() {
    let moto = Moto::find();
    let connector = open(&moto.address, &json!({"service": "iam", "role": {"arn": moto.role}}));
    // A user of this account is none of that one.
    let user = moto.user().await;
    assert_eq!(mint(connector.as_ref(), &moto.call(), &user).await.unwrap_err().kind, ErrorKind::Missing);
    let live = connector.enumerate(&moto.call(), &[target(&user)]).await.unwrap();
    assert!(live.iter().all(|live| live.target.is_none()));
}
