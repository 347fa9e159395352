//! The short form of `cargo xtask chaos`: the real program, killed six times.

use std::time::Duration;

use remint_chaos::{Login, Options, Server, Store, run};

use crate::postgres::server;

async fn six_kills(store: Store, server: Option<Server>) {
    // On a crowded machine nothing is under way after three seconds yet.
    for seconds in [3, 12, 48] {
        let options = Options {
            program: env!("CARGO_BIN_EXE_remint").into(),
            server: server.clone(),
            store,
            kills: 6,
            seed: 6,
            roles: 3,
            life: Duration::from_secs(seconds),
            patience: Duration::from_mins(2),
            keep: false,
        };
        let tally = run(&options, &|_| {}).await.unwrap();
        assert!(tally.is_good(), "{tally:#?}");
        assert_eq!(tally.kills, 6);
        if tally.settled > 0 && tally.kills_in_flight > 0 {
            return;
        }
    }
    panic!("nothing was ever under way");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_daemon_that_is_killed_six_times_loses_nothing() {
    six_kills(Store::Sqlite, None).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_daemon_over_postgresql_that_is_killed_six_times_loses_nothing() {
    let Some(server) = server::Server::find("a daemon over PostgreSQL that is killed six times").await else { return };
    let boss = Login { user: server.user.clone(), password: server.password.clone() };
    six_kills(Store::Postgresql, Some(Server { address: server.address.clone(), boss })).await;
}
