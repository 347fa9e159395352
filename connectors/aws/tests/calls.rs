//! How many calls one rotation is, counted on the way to the server: the number that the connector declares, and that the
//! catalogue's page names.

use remint_contract::{Connector, Material, SecretValue, Strategy, WriteRequest};
use serde_json::{Value, json};

use crate::keys::{mint, settings, target};
use crate::moto::{Moto, Proxy, open};
use crate::stores;

const PAGE: &str = include_str!("../../../src/docs/catalogue/aws.md");

/// What the engine asks of an issuer for one rotation at one endpoint: the old value before, the new one, its end, the old
/// value twice and the new one as control, and what lives.
#[tokio::test]
async fn one_rotation_of_a_key_is_as_many_calls_as_declared_and_written_down() {
    let moto = Moto::find();
    let user = moto.user().await;
    let old = mint(open(&moto.address, &settings()).as_ref(), &moto.call(), &user).await.unwrap();
    let proxy = Proxy::to(&moto.address).await;
    let connector = open(&proxy.address, &settings());
    let (call, target) = (moto.call(), target(&user));
    let probe = async |material: &Material| drop(connector.probe(&call, &target, material, 0).await.unwrap());
    probe(&old.material).await;
    let new = mint(connector.as_ref(), &call, &user).await.unwrap();
    connector.verify(&call, &target, &new.material).await.unwrap();
    connector.compare_rights(&call, &target, &old.version, &new.version).await.unwrap();
    connector.revoke(&call, &target, &old.version).await.unwrap();
    for material in [&old.material, &old.material, &new.material] {
        probe(material).await;
    }
    let sweep = proxy.calls().len();
    connector.enumerate(&call, std::slice::from_ref(&target)).await.unwrap();
    let calls = proxy.calls();
    // The account is shared with other tests: of its users only the target's own counts.
    let own = calls[..sweep].len() + ["ListUsers", "ListAccessKeys", "ListUserTags"].len();
    assert!(calls[sweep..].contains(&"ListUserTags".to_owned()), "{calls:?}");
    assert_eq!(connector.describe().issuer.unwrap().calls, [(Strategy::Overlap, u32::try_from(own).unwrap())]);
    assert_written("iam", "overlap", &calls[..sweep], own);
}

#[tokio::test]
async fn one_delivery_is_as_many_calls_as_written_down() {
    let moto = Moto::find();
    let path = moto.name();
    stores::secret(&moto, &path, &json!({"password": "old"})).await;
    stores::parameter(&moto, &path, "old").await;
    for (service, field) in [("secretsmanager", "password"), ("ssm", remint_contract::WHOLE)] {
        let proxy = Proxy::to(&moto.address).await;
        let connector = open(&proxy.address, &json!({"service": service}));
        deliver(connector.as_ref(), &moto, &path, field).await;
        let calls = proxy.calls();
        assert_written(service, "a delivery", &calls, calls.len());
    }
}

/// Looked at, written, shown, read back, and what is old taken away.
async fn deliver(connector: &dyn Connector, moto: &Moto, path: &str, field: &str) {
    let call = moto.call();
    let fields = [(field.to_owned(), SecretValue::from("new"))].into();
    let store = connector.describe().store.unwrap();
    let before = connector.read(&call, path).await.unwrap().version;
    let request = WriteRequest { path: path.to_owned(), fields, expect: store.compare_and_set.then_some(before) };
    let written = connector.write(&call, &request).await.unwrap();
    if store.staged {
        connector.promote(&call, path, &written.version).await.unwrap();
    }
    connector.read(&call, path).await.unwrap();
    let old = connector.versions(&call, path).await.unwrap().into_iter().nth(1).unwrap();
    if store.staged {
        connector.destroy_version(&call, path, &old).await.unwrap();
    }
}

#[track_caller]
fn assert_written(service: &str, what: &str, calls: &[String], count: usize) {
    let line = format!("| {service} | {what} | {count} |");
    let calls: Value = calls.into();
    assert!(PAGE.contains(&line), "src/docs/catalogue/aws.md lacks: {line} ({calls})");
}
