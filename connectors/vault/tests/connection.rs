//! What the database engine itself logs in with, delivered to it.

use remint_contract::{Call, ErrorKind, SecretValue, Verb, WriteRequest};

use crate::bao::Bao;
use crate::engines::{Logins, in_place};

fn request(path: &str, fields: &[(&str, &str)]) -> WriteRequest {
    let fields = fields.iter().map(|(name, value)| ((*name).to_owned(), SecretValue::from(*value))).collect();
    WriteRequest { path: path.to_owned(), fields, expect: None }
}

async fn works(logins: &Logins, call: &Call) -> bool {
    let target = logins.static_role().await;
    logins.connector.mint(call, &in_place(&target, None)).await.is_ok()
}

#[tokio::test]
async fn a_server_given_another_login_of_its_database_works_on_and_needs_the_old_one_no_more() {
    let logins = Logins::on(Bao::find()).await;
    let call = logins.bao.call();
    assert!(logins.connector.describe().store.is_some() && !logins.connector.describe().verbs.contains(&Verb::Read));
    logins.connector.check(&call, Some("config/pg")).await.unwrap();
    logins.sql(format!("CREATE ROLE {}_turn SUPERUSER LOGIN PASSWORD 'turns-marker'", logins.bao.prefix)).await;
    let turn = format!("{}_turn", logins.bao.prefix);
    let write = request("config/pg", &[("username", &turn), ("password", "turns-marker")]);
    for _ in 0..2 {
        logins.connector.write(&call, &write).await.unwrap();
    }
    logins.sql(format!("ALTER ROLE {}_root NOLOGIN PASSWORD NULL", logins.bao.prefix)).await;
    assert!(works(&logins, &call).await);
    // What else stands there stayed.
    let config = logins.bao.ask("GET", &format!("{}/config/pg", logins.mount), serde_json::Value::Null).await;
    assert_eq!(config["data"]["connection_details"]["username"], turn.as_str());
    assert_eq!(config["data"]["plugin_name"], "postgresql-database-plugin");
}

#[tokio::test]
async fn a_login_that_the_database_refuses_is_not_kept() {
    let logins = Logins::on(Bao::find()).await;
    let call = logins.bao.call();
    let write = request("config/pg", &[("password", "wrong-marker-4711")]);
    let failure = logins.connector.write(&call, &write).await.unwrap_err();
    assert_eq!(failure.kind, ErrorKind::Unreachable, "{failure}");
    assert!(!format!("{failure} {failure:?}").contains("marker"), "{failure:?}");
    assert!(works(&logins, &call).await);
}

#[tokio::test]
async fn a_connection_that_is_not_there_or_not_for_the_actor_is_told_and_none_is_made() {
    let logins = Logins::on(Bao::find()).await;
    let call = logins.bao.call();
    let nobody = logins.bao.acting(&logins.nobody);
    let write = |path: &str| request(path, &[("password", "x-marker-4711")]);
    for (call, path, kind) in [
        (&call, "config/gone", ErrorKind::Missing),
        (&call, "static-roles/x", ErrorKind::Invalid),
        (&call, "config/a/b", ErrorKind::Invalid),
        (&nobody, "config/pg", ErrorKind::Denied),
    ] {
        assert_eq!(logins.connector.check(call, Some(path)).await.unwrap_err().kind, kind, "{path}");
        assert_eq!(logins.connector.write(call, &write(path)).await.unwrap_err().kind, kind, "{path}");
    }
    for fields in [&[("username", "x")][..], &[("password", "x"), ("url", "x")]] {
        let refused = logins.connector.write(&call, &request("config/pg", fields)).await.unwrap_err();
        assert_eq!(refused.kind, ErrorKind::RefusedValue);
    }
}
