//! The connector against a real PostgreSQL, given by `REMINT_TEST_POSTGRES` (see `cargo xtask test`).

#![allow(clippy::unwrap_used, reason = "a test program; what its tests share is test code too")]

use std::io::Write as _;
use std::sync::Arc;

use jiff::Timestamp;
use remint_contract::{
    Call, Connector, ConnectorKind as _, DerivedOutcome, ErrorKind, HostRules, Intent, Material, MintRequest, Minted,
    OperationId, Recovered, RightsChange, SecretValue, Strategy, Target, Verb, Verdict, VersionId,
};
use serde_json::json;
use sqlx::postgres::{PgConnectOptions, PgConnection};
use sqlx::{AssertSqlSafe, Connection as _};

fn random() -> u64 {
    let mut bytes = [0; 8];
    aws_lc_rs::rand::fill(&mut bytes).unwrap();
    u64::from_ne_bytes(bytes)
}

/// A server, an admin login, and names that no other test has.
struct Place {
    connector: Arc<dyn Connector>,
    admin: Arc<Material>,
    options: PgConnectOptions,
    boss: PgConnection,
    target: Target,
}

#[expect(clippy::disallowed_methods, reason = "where the test server is comes from the environment")]
async fn place(test: &str) -> Option<Place> {
    // Past the harness, which hides what a passing test prints.
    let mut out = std::io::stderr();
    let Ok(url) = std::env::var("REMINT_TEST_POSTGRES") else {
        assert!(std::env::var("CI").as_deref() != Ok("true"), "REMINT_TEST_POSTGRES is not set in CI");
        writeln!(out, "SKIPPED {test}: REMINT_TEST_POSTGRES is not set; run `cargo xtask test`").unwrap();
        return None;
    };
    writeln!(out, "SERVER PostgreSQL").unwrap();
    let password = std::env::var("REMINT_TEST_POSTGRES_PASSWORD").unwrap();
    let (user, address) = url.strip_prefix("postgres://").unwrap().split_once('@').unwrap();
    let settings = json!({"url": format!("postgres://{address}")});
    let options: PgConnectOptions = url.parse().unwrap();
    let boss = PgConnection::connect_with(&options.clone().password(&password)).await.unwrap();
    Some(Place {
        connector: remint_sql::kind().open(&settings, &HostRules::default()).unwrap(),
        admin: Arc::new(Material::login(user, SecretValue::from(password))),
        options,
        boss,
        target: Target { name: format!("t'\"{:08x}", random()), settings: json!({}) },
    })
}

impl Place {
    fn call(&self, operation: &str) -> Call {
        Call {
            operation: OperationId(operation.into()),
            deadline: "9000-01-01T00:00:00Z".parse().unwrap(),
            actor: Some(Arc::clone(&self.admin)),
        }
    }

    async fn run(&mut self, sql: &str) {
        let name = self.target.name.replace('"', "\"\"");
        let sql = sql.replace("$T_A", &format!("\"{name}_a\"")).replace("$T", &format!("\"{name}\""));
        sqlx::raw_sql(AssertSqlSafe(sql)).execute(&mut self.boss).await.unwrap();
    }

    fn request(&self, strategy: Strategy, old: Option<&VersionId>, secret: &str) -> MintRequest {
        MintRequest {
            target: self.target.clone(),
            strategy,
            old: old.cloned(),
            old_username: None,
            proposed: Some(SecretValue::from(secret)),
        }
    }

    async fn mint(&self, operation: &str, strategy: Strategy, old: Option<&VersionId>, secret: &str) -> Minted {
        self.connector.mint(&self.call(operation), &self.request(strategy, old, secret)).await.unwrap()
    }

    async fn probe(&self, material: &Material) -> Verdict {
        self.connector.probe(&self.call("probe"), &self.target, material, 0).await.unwrap()
    }

    async fn login(&self, material: &Material) -> PgConnection {
        let options = self.options.clone().application_name("billing");
        let options = options.username(material.username.as_deref().unwrap());
        PgConnection::connect_with(&options.password(material.secret.expose_str().unwrap())).await.unwrap()
    }
}

#[tokio::test]
async fn two_login_roles_take_turns_and_act_as_one() {
    let Some(mut place) = place("alternate").await else { return };
    place.run("CREATE ROLE $T NOLOGIN; CREATE SCHEMA AUTHORIZATION $T").await;
    let first = place.mint("op-1", Strategy::Alternate, None, "p'a\"s\\s$$1").await;
    let second = place.mint("op-2", Strategy::Alternate, Some(&first.version), "second").await;
    let call = place.call("look");
    for minted in [&first, &second] {
        let verified = place.connector.verify(&call, &place.target, &minted.material).await.unwrap();
        assert_eq!(verified.version, minted.version);
        assert_eq!(verified.principal, place.target.name);
        assert_eq!(verified.expires, None);
    }
    let rights = place.connector.compare_rights(&call, &place.target, &first.version, &second.version).await.unwrap();
    assert_eq!(rights, RightsChange::Equal);

    // A consumer that runs DDL through one login and goes on through the other.
    let mut before = place.login(&first.material).await;
    sqlx::raw_sql("CREATE TABLE bill (id int)").execute(&mut before).await.unwrap();
    let mut after = place.login(&second.material).await;
    sqlx::raw_sql("ALTER TABLE bill ADD paid bool; DROP TABLE bill").execute(&mut after).await.unwrap();

    let uses = place.connector.last_used(&call, &place.target, &first.version, Timestamp::UNIX_EPOCH).await.unwrap();
    assert_eq!(uses.iter().map(|one| one.source.as_str()).collect::<Vec<_>>(), ["billing (127.0.0.1)"]);

    assert_eq!(place.probe(&first.material).await, Verdict::Accepted);
    place.connector.revoke(&call, &place.target, &first.version).await.unwrap();
    assert!(before.ping().await.is_ok(), "a revoked password leaves open sessions alive");
    let ended = place.connector.end_derived(&call, &place.target, &first.version).await.unwrap();
    // That of the look before may just be going, and is ended then, too.
    assert!(!ended.is_empty() && ended.iter().all(|one| one.outcome == DerivedOutcome::Ended), "{ended:?}");
    assert!(before.ping().await.is_err());
    assert!(after.ping().await.is_ok(), "the new version's session was ended too");
    assert_eq!(place.probe(&first.material).await, Verdict::Denied);
    assert_eq!(place.probe(&second.material).await, Verdict::Accepted);
    assert!(place.connector.list_derived(&call, &place.target, &first.version).await.unwrap().is_empty());

    // A late revoke of the first version leaves the third, on the same role, alone.
    let third = place.mint("op-3", Strategy::Alternate, Some(&second.version), "third").await;
    assert_eq!(third.material.username, first.material.username);
    place.connector.revoke(&call, &place.target, &first.version).await.unwrap();
    assert_eq!(place.probe(&third.material).await, Verdict::Accepted);

    // No turn is left.
    let request = place.request(Strategy::Alternate, Some(&third.version), "x");
    let full = place.connector.mint(&place.call("op-4"), &request).await;
    assert_eq!(full.unwrap_err().kind, ErrorKind::Conflict);
}

#[tokio::test]
async fn a_single_login_role_becomes_the_group_of_two() {
    let Some(mut place) = place("from one login").await else { return };
    place.run("CREATE ROLE $T LOGIN PASSWORD 'initial'; COMMENT ON ROLE $T IS 'owned by billing'").await;
    let old = Material::login(place.target.name.clone(), SecretValue::from("initial"));
    let call = place.call("look");
    let was = place.connector.verify(&call, &place.target, &old).await.unwrap();
    assert_eq!(was.version.0, format!("{}@initial", place.target.name));
    let new = place.mint("op-1", Strategy::Alternate, Some(&was.version), "new").await;
    let is = place.connector.verify(&call, &place.target, &new.material).await.unwrap();
    assert_eq!(is.principal, was.principal);
    let rights = place.connector.compare_rights(&call, &place.target, &was.version, &is.version).await.unwrap();
    assert_eq!(rights, RightsChange::Equal);
    place.connector.disable(&call, &place.target, &was.version).await.unwrap();
    assert_eq!(place.probe(&old).await, Verdict::Denied);
    place.connector.enable(&call, &place.target, &was.version).await.unwrap();
    assert_eq!(place.probe(&old).await, Verdict::Accepted);
    place.connector.revoke(&call, &place.target, &was.version).await.unwrap();
    assert_eq!(place.probe(&old).await, Verdict::Denied);
    assert_eq!(place.probe(&new.material).await, Verdict::Accepted);
}

#[tokio::test]
async fn in_place_ends_only_the_sessions_of_the_password_before() {
    let Some(mut place) = place("in-place").await else { return };
    place.run("CREATE ROLE $T LOGIN PASSWORD 'initial'").await;
    let old = Material::login(place.target.name.clone(), SecretValue::from("initial"));
    let call = place.call("look");
    let was = place.connector.verify(&call, &place.target, &old).await.unwrap();
    let mut session = place.login(&old).await;
    let new = place.mint("op-1", Strategy::InPlace, Some(&was.version), "new").await;
    assert_eq!(place.probe(&old).await, Verdict::Denied);
    place.connector.revoke(&call, &place.target, &was.version).await.unwrap();
    assert_eq!(place.probe(&new.material).await, Verdict::Accepted);
    let ended = place.connector.end_derived(&call, &place.target, &was.version).await.unwrap();
    assert!(ended.iter().any(|one| one.outcome == DerivedOutcome::Ended));
    assert!(session.ping().await.is_err());
}

#[tokio::test]
async fn a_lost_mint_is_found_again_by_its_operation() {
    let Some(mut place) = place("recover").await else { return };
    place.run("CREATE ROLE $T NOLOGIN").await;
    let request = place.request(Strategy::Alternate, None, "lost");
    let intent = |proposed: bool| Intent {
        operation: OperationId("op-1".into()),
        verb: Verb::Mint,
        target: place.target.clone(),
        version: None,
        mint: Some(MintRequest { proposed: request.proposed.clone().filter(|_| proposed), ..request.clone() }),
    };
    let call = place.call("recover");
    assert!(matches!(place.connector.recover(&call, &intent(true)).await.unwrap(), Recovered::NotDone));
    let minted = place.connector.mint(&place.call("op-1"), &request).await.unwrap();
    let again = place.connector.mint(&place.call("op-1"), &request).await.unwrap();
    assert_eq!(minted.version, again.version);
    let Recovered::Done(Some(found)) = place.connector.recover(&call, &intent(true)).await.unwrap() else {
        panic!("the mint was not found")
    };
    assert_eq!(found.version, minted.version);
    assert_eq!(place.probe(&found.material).await, Verdict::Accepted);
    let lost = place.connector.recover(&call, &intent(false)).await.unwrap();
    assert!(matches!(lost, Recovered::Orphan(version) if version == minted.version));
}

#[tokio::test]
async fn every_foreign_login_is_seen_and_none_is_claimed() {
    let Some(mut place) = place("enumerate").await else { return };
    place.run("CREATE ROLE $T NOLOGIN").await;
    let minted = place.mint("op-1", Strategy::Alternate, None, "mine").await;
    let names: Vec<String> = (0..5).map(|_| format!("r{:016x}", random())).collect();
    for name in &names {
        place.run(&format!("CREATE ROLE {name} LOGIN PASSWORD 'x'")).await;
    }
    let living = place.connector.enumerate(&place.call("sweep"), std::slice::from_ref(&place.target)).await.unwrap();
    for name in &names {
        let found = living.iter().find(|live| live.label == *name).unwrap();
        assert_eq!((found.target.as_deref(), found.version.0.as_str()), (None, format!("{name}@initial").as_str()));
    }
    let mine = living.iter().find(|live| live.version == minted.version).unwrap();
    assert_eq!(mine.target.as_ref(), Some(&place.target.name));
    assert_eq!(mine.operation, Some(OperationId("op-1".into())));
    assert!(mine.created.is_some());
}

#[tokio::test]
async fn what_is_not_a_refusal_of_the_credential_is_never_denied() {
    let Some(place) = place("unclear").await else { return };
    let nobody = Material::login(format!("no{:08x}", random()), SecretValue::from("x"));
    assert_eq!(place.probe(&nobody).await, Verdict::Denied);
    let free = std::net::TcpListener::bind(("127.0.0.1", 0)).unwrap().local_addr().unwrap();
    let settings = json!({"url": format!("postgres://{free}/postgres")});
    let closed = remint_sql::kind().open(&settings, &HostRules::default()).unwrap();
    let call = place.call("look");
    assert!(matches!(closed.probe(&call, &place.target, &place.admin, 0).await.unwrap(), Verdict::Unclear(_)));
    assert_eq!(closed.check(&call, None).await.unwrap_err().kind, ErrorKind::Unreachable);
    place.connector.check(&call, None).await.unwrap();
    let wrong = Call { actor: Some(Arc::new(nobody)), ..call };
    assert_eq!(place.connector.check(&wrong, None).await.unwrap_err().kind, ErrorKind::Denied);
}

#[tokio::test]
async fn a_passed_deadline_and_a_missing_role_change_nothing() {
    let Some(mut place) = place("deadline").await else { return };
    let missing = place.request(Strategy::Alternate, None, "x");
    let failure = place.connector.mint(&place.call("op-0"), &missing).await.unwrap_err();
    assert_eq!(failure.kind, ErrorKind::Missing);
    place.run("CREATE ROLE $T NOLOGIN").await;
    let minted = place.mint("op-1", Strategy::Alternate, None, "alive").await;
    let late = Call { deadline: Timestamp::UNIX_EPOCH, ..place.call("late") };
    let failure = place.connector.revoke(&late, &place.target, &minted.version).await.unwrap_err();
    assert_eq!(failure.kind, ErrorKind::Unreachable);
    assert_eq!(place.probe(&minted.material).await, Verdict::Accepted);
    let request = place.request(Strategy::InPlace, None, "pässword");
    let refused = place.connector.mint(&place.call("op-2"), &request).await;
    assert_eq!(refused.unwrap_err().kind, ErrorKind::RefusedValue);
}

#[tokio::test]
async fn remint_logs_in_once_for_many_calls() {
    let Some(mut place) = place("logins").await else { return };
    place.run("CREATE ROLE $T SUPERUSER LOGIN PASSWORD 'admin'").await;
    let admin = Material::login(place.target.name.clone(), SecretValue::from("admin"));
    let call = Call { actor: Some(Arc::new(admin)), ..place.call("check") };
    let mut backends = std::collections::BTreeSet::new();
    for _ in 0..10 {
        place.connector.check(&call, None).await.unwrap();
        let pids: Vec<i32> = sqlx::query_scalar("SELECT pid FROM pg_stat_activity WHERE usename = $1")
            .bind(&place.target.name)
            .fetch_all(&mut place.boss)
            .await
            .unwrap();
        assert_eq!(pids.len(), 1);
        backends.extend(pids);
    }
    assert_eq!(backends.len(), 1, "each call logged in anew");
}
