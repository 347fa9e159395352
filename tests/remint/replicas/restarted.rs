//! The server of the store goes down in the middle of resets and comes back: whoever was carried on goes on.

use std::io::Write as _;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use remint::engine::record::Reset;
use remint::engine::{Engine, EngineError, Progress};
use remint::store::StoreError;
use remint::store::postgres::Address;
use remint_contract::ResetId;
use remint_core::machine::State;
use sqlx::ConnectOptions as _;
use tokio::task::JoinSet;

use super::replicas;
use crate::rig::{Rig, Shape, assert_chained, assert_settled};
use crate::throwaway::{self, Durability, Server};

/// The longest that one reset may take, two restarts included.
const PATIENCE: Duration = Duration::from_mins(2);

/// A server of this test's own, an empty database on it, and what the password lies in.
async fn own() -> (Arc<Server>, Address, tempfile::NamedTempFile) {
    let server = tokio::task::spawn_blocking(|| throwaway::start(Durability::None)).await.unwrap().unwrap();
    let [(_, url), (_, secret)] = server.environment();
    let mut password = tempfile::NamedTempFile::new().unwrap();
    writeln!(password, "{secret}").unwrap();
    let options: sqlx::postgres::PgConnectOptions = url.parse().unwrap();
    let mut boss = options.password(&secret).connect().await.unwrap();
    sqlx::raw_sql("CREATE DATABASE remint").execute(&mut boss).await.unwrap();
    let address = format!("{}?password_file={}", url.replace("/postgres", "/remint"), password.path().display());
    (Arc::new(server), address.parse().unwrap(), password)
}

/// Carries a reset on as the daemon does: whatever the store says, it is tried again.
async fn persist(engine: Engine, id: ResetId) -> Reset {
    loop {
        match engine.run(&id).await {
            Ok(reset) => return reset,
            Err(
                EngineError::Busy(_)
                | EngineError::Lost(_)
                | EngineError::Store(StoreError::Unanswered(_) | StoreError::Broken { .. }),
            ) => {
                tokio::time::sleep(Duration::from_millis(50)).await;
            }
            Err(error) => panic!("{error}"),
        }
    }
}

async fn restart_twice(count: usize) {
    let why = format!("{count} replicas");
    let (server, address, _password) = own().await;
    let shape = Shape { count: 12, latency: Duration::from_millis(10), ..Shape::default() };
    let mut rig = Rig::with(shape).await;
    let replicas = replicas(&address, &mut rig, count).await;
    let old: Vec<_> = (0..12).map(|index| rig.value(index)).collect();
    let id = rig.approved(&replicas[0].0, rig.plan()).await;
    let over = Arc::new(AtomicBool::new(false));
    let mut going = JoinSet::new();
    for (engine, _) in &replicas {
        going.spawn(persist(engine.clone(), id.clone()));
    }
    let mut told: Vec<_> = replicas.iter().map(|(engine, _)| engine.watch()).collect();
    let restarts = tokio::spawn({
        let (over, server) = (Arc::clone(&over), Arc::clone(&server));
        async move {
            let mut met = 0;
            for _ in 0..2 {
                let mut moves = 0;
                while moves < 25 && !over.load(Ordering::SeqCst) {
                    for told in &mut told {
                        while let Ok(event) = told.try_recv() {
                            moves += usize::from(matches!(event, Progress::Moved { .. }));
                        }
                    }
                    tokio::time::sleep(Duration::from_millis(1)).await;
                }
                met += usize::from(!over.load(Ordering::SeqCst));
                let server = Arc::clone(&server);
                tokio::task::spawn_blocking(move || server.restart(Durability::None)).await.unwrap().unwrap();
            }
            met
        }
    });
    let resets = tokio::time::timeout(PATIENCE, going.join_all()).await.unwrap();
    over.store(true, Ordering::SeqCst);
    assert_eq!(restarts.await.unwrap(), 2, "{why}: it was over before the server went down");
    for record in replicas[0].0.rotations(&id).await.unwrap() {
        let state = &record.rotation.state;
        assert!(matches!(state, State::Settled { .. }), "{why}: {} is {state:?}", record.credential);
    }
    for reset in resets {
        assert_settled(&rig, &replicas[0].0, &reset, &old, &why).await;
    }
    assert_chained(&replicas[0].0, &id).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_reset_of_two_and_of_four_replicas_settles_though_the_server_goes_down_twice() {
    for count in [2, 4] {
        restart_twice(count).await;
    }
}
