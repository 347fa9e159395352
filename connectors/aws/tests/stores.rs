//! What stores do beside what the suite asks.

use std::sync::Arc;

use remint_contract::{Connector, ErrorKind, SecretValue, WHOLE, WriteRequest};
use serde_json::{Value, json};

use crate::moto::{Moto, Proxy, Trouble, open};

/// Makes a secret with these fields.
pub(crate) async fn secret(moto: &Moto, path: &str, fields: &Value) {
    moto.ask("secretsmanager.CreateSecret", json!({"Name": path, "SecretString": fields.to_string()})).await;
}

/// Makes a parameter with this value.
pub(crate) async fn parameter(moto: &Moto, path: &str, value: &str) {
    moto.ask("AmazonSSM.PutParameter", json!({"Name": path, "Value": value, "Type": "SecureString"})).await;
}

fn put(path: &str, field: &str, value: &str) -> WriteRequest {
    WriteRequest { path: path.to_owned(), fields: [(field.to_owned(), SecretValue::from(value))].into(), expect: None }
}

struct Shelf {
    moto: Moto,
    connector: Arc<dyn Connector>,
    path: String,
}

impl Shelf {
    fn of(service: &str) -> Self {
        let moto = Moto::find();
        let connector = open(&moto.address, &json!({"service": service}));
        let path = moto.name();
        Self { moto, connector, path }
    }

    /// Which label is on which version.
    async fn labels(&self) -> Value {
        let described = self.moto.ask("secretsmanager.DescribeSecret", json!({"SecretId": self.path})).await;
        described["VersionIdsToStages"].clone()
    }
}

#[tokio::test]
async fn a_promoted_version_is_current_and_no_longer_pending_and_the_one_before_it_is_previous() {
    let shelf = Shelf::of("secretsmanager");
    let Shelf { moto, connector, path } = &shelf;
    secret(moto, path, &json!({"password": "old"})).await;
    let before = connector.read(&moto.call(), path).await.unwrap().version;
    let written = connector.write(&moto.call(), &put(path, "password", "new")).await.unwrap().version;
    connector.promote(&moto.call(), path, &written).await.unwrap();
    let new = written.split('@').next().unwrap();
    assert_eq!(shelf.labels().await, json!({before.as_str(): ["AWSPREVIOUS"], new: ["AWSCURRENT"]}));
    connector.destroy_version(&moto.call(), path, &before).await.unwrap();
    assert_eq!(connector.versions(&moto.call(), path).await.unwrap(), [new]);
}

#[tokio::test]
async fn a_write_whose_answer_was_lost_is_the_same_version_when_it_is_made_again() {
    let shelf = Shelf::of("secretsmanager");
    let Shelf { moto, path, .. } = &shelf;
    secret(moto, path, &json!({"password": "old"})).await;
    let proxy = Proxy::to(&moto.address).await;
    let connector = open(&proxy.address, &json!({"service": "secretsmanager"}));
    let (call, request) = (moto.call(), put(path, "password", "new"));
    proxy.arm(Some(Trouble::Lost("PutSecretValue")));
    assert_eq!(connector.write(&call, &request).await.unwrap_err().kind, ErrorKind::Unclear);
    let labels = shelf.labels().await;
    let written = connector.write(&call, &request).await.unwrap().version;
    assert_eq!(shelf.labels().await, labels);
    let other = connector.write(&call, &put(path, "password", "another")).await.unwrap_err();
    assert_eq!(other.kind, ErrorKind::Conflict, "one operation is one value");
    connector.promote(&moto.call(), path, &written).await.unwrap();
    assert_eq!(connector.read(&call, path).await.unwrap().fields["password"], SecretValue::from("new"));
}

#[tokio::test]
async fn a_rotation_that_somebody_else_began_is_left_alone() {
    let shelf = Shelf::of("secretsmanager");
    let Shelf { moto, connector, path } = &shelf;
    secret(moto, path, &json!({"password": "old"})).await;
    let token = "11111111-2222-3333-4444-555555555555";
    let staged =
        json!({"SecretId": path, "SecretString": "{}", "ClientRequestToken": token, "VersionStages": ["AWSPENDING"]});
    moto.ask("secretsmanager.PutSecretValue", staged).await;
    let labels = shelf.labels().await;
    let error = connector.write(&moto.call(), &put(path, "password", "new")).await.unwrap_err();
    assert_eq!(error.kind, ErrorKind::Conflict);
    let error = connector.destroy_version(&moto.call(), path, token).await.unwrap_err();
    assert_eq!(error.kind, ErrorKind::Conflict);
    assert_eq!(shelf.labels().await, labels);
}

#[tokio::test]
async fn a_secret_that_is_no_object_is_refused_unless_it_is_said_to_be_one_text() {
    let Shelf { moto, connector, path } = Shelf::of("secretsmanager");
    moto.ask("secretsmanager.CreateSecret", json!({"Name": path, "SecretString": "plain-text"})).await;
    let error = connector.write(&moto.call(), &put(&path, "password", "new")).await.unwrap_err();
    assert_eq!(error.kind, ErrorKind::Invalid);
    let text = open(&moto.address, &json!({"service": "secretsmanager", "format": "text"}));
    let written = text.write(&moto.call(), &put(&path, WHOLE, "other-text")).await.unwrap();
    text.promote(&moto.call(), &path, &written.version).await.unwrap();
    let fields = text.read(&moto.call(), &path).await.unwrap().fields;
    assert_eq!(fields[WHOLE], SecretValue::from("other-text"));
}

#[tokio::test]
async fn a_parameter_in_the_clear_is_not_written() {
    let Shelf { moto, connector, path } = Shelf::of("ssm");
    moto.ask("AmazonSSM.PutParameter", json!({"Name": path, "Value": "seen", "Type": "String"})).await;
    let error = connector.write(&moto.call(), &put(&path, WHOLE, "secret")).await.unwrap_err();
    assert_eq!(error.kind, ErrorKind::Invalid);
}

#[tokio::test]
async fn every_version_of_a_parameter_is_listed_newest_first() {
    let Shelf { moto, connector, path } = Shelf::of("ssm");
    parameter(&moto, &path, "one").await;
    for value in ["two", "three"] {
        connector.write(&moto.call(), &put(&path, WHOLE, value)).await.unwrap();
    }
    assert_eq!(connector.versions(&moto.call(), &path).await.unwrap(), ["3", "2", "1"]);
}
