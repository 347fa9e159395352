//! Resets over a real PostgreSQL, watched by clients that are not Remint: what they can log in with, which of their
//! sessions live, and what a person is told.

mod bank;
mod client;
pub(crate) mod server;

use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;

use remint::engine::record::{DecisionWord, Reset, ResetStatus};
use remint_contract::ResetId;
use remint_core::machine::{Reason, State};
use remint_core::step::Step;
use sqlx::postgres::PgConnection;
use sqlx::{AssertSqlSafe, Connection as _};

use bank::{Bank, PATIENCE, Shape, reference};
use client::{Client, Tally, read};
use server::Login;

impl Shape {
    fn of(count: usize) -> Self {
        Self { count, in_place: false, within: Duration::from_mins(1), backup: false }
    }
}

/// Looks until it holds; the test ends when it never does.
async fn until<F: Future<Output = bool>>(what: &str, mut holds: impl FnMut() -> F) {
    let look = async {
        while !holds().await {
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
    };
    assert!(tokio::time::timeout(PATIENCE, look).await.is_ok(), "it never came about that {what}");
}

async fn execute(session: &mut PgConnection, sql: String) -> Result<(), sqlx::Error> {
    sqlx::raw_sql(AssertSqlSafe(sql)).execute(session).await.map(drop)
}

/// Every client stopped: nothing failed, every one moved on, and what it had open before is dead.
async fn nothing_failed(clients: Vec<Client>) {
    for client in clients {
        let (name, first) = (client.name.clone(), client.first.clone());
        let Tally { logins, statements, reloads, failures, old, now } = client.stop().await;
        assert!(failures.is_empty(), "{failures:?}");
        assert_eq!(reloads, 1, "{name}");
        assert!(logins >= 2 && statements >= 2, "{name} did nothing: {logins} logins, {statements} statements");
        assert!(now != Some(first), "{name} is on its first login still");
        assert_eq!(old.len(), 1, "{name}");
        for mut session in old {
            assert!(session.ping().await.is_err(), "{name}: a session of the old login lives");
        }
    }
}

/// Provisionally settled, refused again at the last re-proof, and final.
async fn completes(bank: &Bank, id: &ResetId, reset: &Reset) {
    let findings = bank.engine.findings(Some(id)).await.unwrap();
    let labels: Vec<_> = findings.iter().map(|finding| &finding.label).collect();
    assert_eq!(reset.status, ResetStatus::Provisional, "{:?} {labels:?}", bank.unsettled(id).await);
    let (reset, outcome) = bank.engine.reprove(id).await.unwrap();
    assert!(outcome.alive.is_empty() && outcome.unclear.is_empty(), "{:?} {:?}", outcome.alive, outcome.unclear);
    assert_eq!(reset.status, ResetStatus::Complete);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn fifty_roles_roll_under_load_and_no_client_fails() {
    let Some(bank) = Bank::open("fifty roles", Shape::of(50)).await else { return };
    let address = bank.server.address.clone();
    let clients = bank.clients(|_, _| {}).await;
    for old in &bank.olds {
        assert!(old.accepted(&address).await, "{} was not accepted before", old.user);
    }
    let schema = bank.group(0);
    let mut before = bank.olds[0].connect(&address, "ddl").await.unwrap();
    execute(&mut before, format!("CREATE TABLE {schema}.bill (id int)")).await.unwrap();

    let id = bank.approved(&bank.credentials(), |_| {}).await;
    let reset = bank.run(&id).await;

    assert_eq!(bank.unsettled(&id).await, [""; 0]);
    nothing_failed(clients).await;
    for old in &bank.olds {
        assert!(!old.accepted(&address).await, "{} is accepted still", old.user);
    }
    assert!(before.ping().await.is_err(), "the session that ran DDL lives");
    let mut old_sessions = bank.server.sessions(&format!("{}%\\_a", bank.prefix)).await;
    old_sessions.retain(|user| *user != bank.admin.user);
    assert_eq!(old_sessions, [""; 0], "a session of an old login lives");
    let mut expected: Vec<String> = (0..bank.count).map(|index| format!("{}_b", bank.group(index))).collect();
    expected.push(bank.admin.user.clone());
    expected.sort();
    assert_eq!(bank.server.logins(&format!("{}%", bank.prefix)).await, expected);
    let roles =
        bank.server.texts(&format!("SELECT rolname::text FROM pg_roles WHERE rolname LIKE '{}%'", bank.prefix)).await;
    // A group and two logins each; of the admin only the group and one.
    assert_eq!(roles.len(), 3 * bank.count + 2);
    let mut after = read(&bank.file(0)).connect(&address, "ddl").await.unwrap();
    execute(&mut after, format!("ALTER TABLE {schema}.bill ADD paid bool; DROP TABLE {schema}.bill")).await.unwrap();
    completes(&bank, &id, &reset).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_pool_that_ignores_the_reload_keeps_its_login_and_is_named() {
    let shape = Shape { within: Duration::from_secs(4), ..Shape::of(6) };
    let Some(bank) = Bank::open("a deaf pool", shape).await else { return };
    let address = bank.server.address.clone();
    let mut clients = bank.clients(|index, habits| habits.reloads = index != 3).await;
    let id = bank.approved(&bank.credentials(), |request| request.failure_budget = 1).await;
    let reset = bank.run(&id).await;

    assert_eq!(
        bank.unsettled(&id).await,
        ["Credential/c03 parked at confirm: not seen on the new version: Workload/w03; the old one lives"]
    );
    assert_eq!(reset.status, ResetStatus::Resting);
    for (index, old) in bank.olds.iter().enumerate() {
        assert_eq!(old.accepted(&address).await, index == 3, "{}", old.user);
    }
    // It reads its file at last: the rest follows.
    clients[3].reloads.store(true, Ordering::SeqCst);
    until("w03 is on its new login", || async {
        !bank.server.sessions(&format!("{}03\\_b", bank.prefix)).await.is_empty()
    })
    .await;
    bank.engine.retry(&id, None).await.unwrap();
    let reset = bank.run(&id).await;
    assert!(!bank.olds[3].accepted(&address).await);
    completes(&bank, &id, &reset).await;
    nothing_failed(std::mem::take(&mut clients)).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_delivery_to_another_environment_is_caught_at_confirm() {
    let shape = Shape { within: Duration::from_secs(4), ..Shape::of(3) };
    let Some(bank) = Bank::open("the wrong environment", shape).await else { return };
    let staging = bank.folder.path().join("staging.json");
    std::fs::copy(bank.file(1), &staging).unwrap();
    let clients = bank
        .clients(|index, habits| {
            if index == 1 {
                habits.file.clone_from(&staging);
            }
        })
        .await;
    let id = bank.approved(&bank.credentials(), |request| request.failure_budget = 1).await;
    bank.run(&id).await;

    let records = bank.engine.rotations(&id).await.unwrap();
    let parked: Vec<_> = records
        .iter()
        .filter_map(|record| match &record.rotation.state {
            State::Parked { step: Step::Confirm, reason: Reason::Unconfirmed { workloads } } => {
                Some((record.credential.to_string(), workloads.iter().map(ToString::to_string).collect::<Vec<_>>()))
            }
            _ => None,
        })
        .collect();
    assert_eq!(parked, [("Credential/c01".to_owned(), vec!["Workload/w01".to_owned()])]);
    assert_eq!(bank.unsettled(&id).await.len(), 1);
    assert!(bank.olds[1].accepted(&bank.server.address).await, "what the workload reads was revoked");
    for client in clients {
        let tally = client.stop().await;
        assert!(tally.failures.is_empty(), "{:?}", tally.failures);
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn remints_own_login_rolls_in_the_reset_that_it_carries_out() {
    let Some(bank) = Bank::open("the own login", Shape::of(10)).await else { return };
    let address = bank.server.address.clone();
    let mut stolen = bank.admin.connect(&address, "thief").await.unwrap();
    let clients = bank.clients(|_, _| {}).await;
    let id = bank.approved(&[reference("pg-admin")], |_| {}).await;
    let reset = bank.run(&id).await;

    assert_eq!(bank.unsettled(&id).await, [""; 0]);
    assert_eq!(reset.plan.members.len(), 11);
    nothing_failed(clients).await;
    assert!(stolen.ping().await.is_err(), "a session of the old admin login lives");
    assert!(!bank.admin.accepted(&address).await, "the old admin login is accepted");
    for old in &bank.olds {
        assert!(!old.accepted(&address).await, "{}", old.user);
    }
    completes(&bank, &id, &reset).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn logins_that_nobody_knows_are_reported_and_decided_by_people() {
    let Some(bank) = Bank::open("foreign logins", Shape { backup: true, ..Shape::of(3) }).await else { return };
    let address = bank.server.address.clone();
    let context = &bank.engine.context;
    let strangers: Vec<Login> = (0..5)
        .map(|_| Login { user: format!("x{}", context.hex(8).unwrap()), password: context.hex(12).unwrap() })
        .collect();
    let create = |stranger: &Login| format!("CREATE ROLE {} LOGIN PASSWORD '{}'", stranger.user, stranger.password);
    for stranger in &strangers[..3] {
        bank.server.run(&create(stranger)).await;
    }
    let mut thief = bank.admin.connect(&address, "thief").await.unwrap();
    let clients = bank.clients(|_, _| {}).await;
    let id = bank.approved(&[reference("pg-admin")], |_| {}).await;

    let bank = Arc::new(bank);
    let running = tokio::spawn({
        let (bank, id) = (Arc::clone(&bank), id.clone());
        async move { bank.run(&id).await }
    });
    // The new admin login is there, the old one is not yet dead: whoever holds it makes himself at home.
    let keep = bank.folder.path().join("keep/pg-admin.json");
    let delivered = || {
        let lies: serde_json::Value = serde_json::from_slice(&std::fs::read(&keep).unwrap()).unwrap();
        Login { user: lies["user"].as_str().unwrap().into(), password: lies["password"].as_str().unwrap().into() }
    };
    until("the new admin login is delivered", || async { delivered() != bank.admin }).await;
    for stranger in &strangers[3..] {
        execute(&mut thief, create(stranger)).await.unwrap();
    }
    let mut intruder = strangers[4].connect(&address, "intruder").await.unwrap();
    let backup = delivered().connect(&address, "backup").await.unwrap();
    let reset = tokio::time::timeout(PATIENCE, running).await.unwrap().unwrap();

    assert_eq!(reset.status, ResetStatus::Resting, "foreign logins were overlooked");
    assert!(thief.ping().await.is_err(), "the old admin's session lives");
    let findings = bank.engine.findings(Some(&id)).await.unwrap();
    let mut labels: Vec<&str> = findings.iter().map(|finding| finding.label.as_str()).collect();
    labels.sort_unstable();
    let mut expected: Vec<&str> = strangers.iter().map(|stranger| stranger.user.as_str()).collect();
    expected.sort_unstable();
    assert_eq!(labels, expected);
    for stranger in &strangers {
        assert!(stranger.accepted(&address).await, "{} was not decided upon, and is dead", stranger.user);
    }

    // One stays on somebody's word, four are killed.
    for finding in &findings {
        let word = if finding.label == strangers[0].user { DecisionWord::Except } else { DecisionWord::Revoke };
        bank.engine.decide(&finding.id, word, "tester", "looked at").await.unwrap();
    }
    bank.engine.carry_out(&id).await.unwrap();
    for (index, stranger) in strangers.iter().enumerate() {
        assert_eq!(stranger.accepted(&address).await, index == 0, "{}", stranger.user);
    }
    assert!(intruder.ping().await.is_err(), "the session of a revoked stranger lives");
    let reset = bank.run(&id).await;
    completes(&bank, &id, &reset).await;
    backup.close().await.unwrap();
    nothing_failed(clients).await;
    bank.server.run(&format!("DROP ROLE {}", strangers[0].user)).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_login_replaced_in_place_is_out_for_no_longer_than_approved() {
    let Some(bank) = Bank::open("in place", Shape { in_place: true, ..Shape::of(4) }).await else { return };
    let address = bank.server.address.clone();
    let clients = bank.clients(|_, habits| habits.forgiving = true).await;
    let id = bank.approved(&bank.credentials(), |_| {}).await;
    let reset = bank.run(&id).await;

    assert_eq!(bank.unsettled(&id).await, [""; 0]);
    for (index, old) in bank.olds.iter().enumerate() {
        let new = read(&bank.file(index));
        assert_eq!(new.user, old.user);
        assert!(!old.accepted(&address).await && new.accepted(&address).await, "{}", old.user);
    }
    for client in clients {
        let tally = client.stop().await;
        assert_eq!(tally.reloads, 1);
        for mut session in tally.old {
            assert!(session.ping().await.is_err(), "{}: a session of the old password lives", tally.logins);
        }
    }
    completes(&bank, &id, &reset).await;
}
