//! Several replicas over one PostgreSQL: what one of them leaves, another carries on.

mod budgets;
mod gate;
mod restarted;
mod stopped;

use std::sync::Arc;
use std::time::Duration;

use remint::app::copy::{CopyError, copy};
use remint::app::{App, AppError, Places};
use remint::context::Context;
use remint::engine::record::Reset;
use remint::engine::reset::plan_bytes;
use remint::engine::{Engine, EngineError, EngineSettings, Progress};
use remint::evidence::{Flush, Sequencer, export};
use remint::store::postgres::{Address, PostgresStore};
use remint::store::{Change, Store, StoreError};
use remint_contract::{HostRules, Kinds, ResetId};
use remint_evidence_format::note::SigningKey;
use zeroize::Zeroizing;

use crate::rig::{OnlyFake, Rig, Shape, assert_chained, assert_settled};
use crate::store::draft;
use crate::store::postgres::Databases;

/// Every length that a lease, or a slice of a budget, goes by: a replica that dies is missed for seconds, not minutes.
pub(crate) fn brief(settings: &mut EngineSettings) {
    settings.skew = Duration::from_millis(100);
    settings.lease = Duration::from_secs(1);
    settings.host.call_timeout = Duration::from_secs(1);
    settings.host.slice = Duration::from_secs(1);
    settings.host.look = Duration::from_millis(20);
}

/// Replicas with stores of their own over one database.
async fn replicas(address: &Address, rig: &mut Rig, count: usize) -> Vec<(Engine, Arc<dyn Store>)> {
    brief(&mut rig.settings);
    let mut replicas = Vec::new();
    for number in 0..count {
        let store: Arc<dyn Store> = Arc::new(PostgresStore::open(address.clone()).await.unwrap());
        rig.settings.holder = format!("replica-{number}");
        replicas.push((rig.engine_over(Arc::clone(&store)), store));
    }
    replicas
}

/// Carries a reset on, as soon as nobody else does.
async fn carry_on(engine: &Engine, id: &ResetId) -> Reset {
    loop {
        match engine.run(id).await {
            Ok(reset) => return reset,
            Err(EngineError::Busy(_)) => tokio::time::sleep(Duration::from_millis(50)).await,
            Err(error) => panic!("{error}"),
        }
    }
}

/// Dies after so many moves: its run is dropped where it is, and renews nothing any more.
async fn die_after(engine: &Engine, id: &ResetId, moves: usize) {
    let mut told = engine.watch();
    let (engine, id) = (engine.clone(), id.clone());
    let running = tokio::spawn(async move { carry_on(&engine, &id).await });
    let mut seen = 0;
    while seen < moves && !running.is_finished() {
        if let Ok(Ok(Progress::Moved { .. })) = tokio::time::timeout(Duration::from_millis(100), told.recv()).await {
            seen += 1;
        }
    }
    running.abort();
    // Ended by the abort, or before it; both are fine.
    let _ = running.await;
}

async fn survive(test: &str, count: usize) {
    let Some(databases) = Databases::find(test).await else { return };
    let shape = Shape { count: 8, latency: Duration::from_millis(5), ..Shape::default() };
    let mut rig = Rig::with(shape).await;
    let replicas = replicas(&databases.fresh().await, &mut rig, count).await;
    let old: Vec<_> = (0..8).map(|index| rig.value(index)).collect();
    let id = rig.approved(&replicas[0].0, rig.plan()).await;
    for (number, (engine, _)) in replicas[..count - 1].iter().enumerate() {
        die_after(engine, &id, 10 + number * 7).await;
    }
    let (last, store) = &replicas[count - 1];
    let reset = carry_on(last, &id).await;
    assert_settled(&rig, last, &reset, &old, test).await;
    assert_chained(last, &id).await;
    // Every replica's sequencer may try; each entry gets one place.
    let key = Arc::new(SigningKey::from_seed("log.example", Zeroizing::new([7; 32])).unwrap());
    let flushes = replicas.iter().enumerate().map(|(number, (engine, store))| {
        let clock = Arc::clone(&engine.context.clock);
        let sequencer = Sequencer::new(Arc::clone(store), Arc::clone(&key), clock, format!("replica-{number}"));
        async move { sequencer.flush().await }
    });
    let flushed = futures::future::join_all(flushes).await;
    assert!(flushed.iter().any(|flush| matches!(flush, Ok(Flush::Placed(1..)))), "{flushed:?}");
    let size = store.checkpoint().await.unwrap().unwrap().0;
    assert_eq!(store.sequenced(0, usize::MAX).await.unwrap().len() as u64, size);
    assert!(store.unsequenced(1).await.unwrap().is_empty());
}

#[tokio::test(flavor = "multi_thread")]
async fn of_two_replicas_one_dies_and_the_other_carries_on() {
    survive("of_two_replicas_one_dies_and_the_other_carries_on", 2).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn of_four_replicas_three_die_one_after_another_and_the_last_carries_on() {
    survive("of_four_replicas_three_die_one_after_another_and_the_last_carries_on", 4).await;
}

/// Both sides of a copy, and the key of both.
fn places(folder: &std::path::Path, kek: &std::path::Path, store: Option<Address>) -> Places {
    Places { state: folder.to_owned(), kek: kek.to_owned(), same_folder: false, store }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_reset_half_done_goes_on_after_a_copy_and_again_after_the_copy_back() {
    let test = "a_reset_half_done_goes_on_after_a_copy_and_again_after_the_copy_back";
    let Some(databases) = Databases::find(test).await else { return };
    let mut rig = Rig::with(Shape { count: 4, latency: Duration::from_millis(5), ..Shape::default() }).await;
    rig.settings.reproofs = vec![Duration::ZERO];
    brief(&mut rig.settings);
    let keys = tempfile::tempdir().unwrap();
    let folders = [tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap()];
    let kek = keys.path().join("kek");
    let address = databases.fresh().await;
    let first = places(&folders[0].path().join("state"), &kek, None);
    let middle = places(&folders[1].path().join("state"), &kek, Some(address));
    let last = places(&folders[2].path().join("state"), &kek, None);
    let context = Context::system();
    let settings = || rig.settings.clone();
    let opened = async |places: &Places| {
        let kinds: Arc<dyn Kinds> = Arc::new(OnlyFake::default());
        App::open(places, &context, kinds, HostRules::default(), settings()).await.unwrap()
    };
    drop(App::init(&first, &context, Arc::new(OnlyFake::default())).await.unwrap());
    let app = opened(&first).await;
    let old: Vec<_> = (0..4).map(|index| rig.value(index)).collect();
    let id = rig.approved(&app.engine, rig.plan()).await;
    die_after(&app.engine, &id, 12).await;
    // It ends in order, and lets go of what it places entries under.
    app.sequencer.run(std::future::ready(())).await;
    let held = copy(&first, &middle).await;
    assert!(matches!(held, Err(CopyError::App(AppError::Store(StoreError::Locked(_))))), "{held:?}");
    drop(app);
    copy(&first, &middle).await.unwrap();
    let again = copy(&first, &middle).await;
    assert!(matches!(&again, Err(CopyError::App(AppError::Store(StoreError::NotEmpty)))), "{again:?}");

    let app = opened(&middle).await;
    let reset = carry_on(&app.engine, &id).await;
    assert_settled(&rig, &app.engine, &reset, &old, test).await;
    app.engine.reprove(&id).await.unwrap();
    app.sequencer.flush().await.unwrap();
    let plan = plan_bytes(&reset.plan);
    let bundle = export(&*app.engine.store, &id, &plan, &app.key).await.unwrap();
    let held = copy(&middle, &last).await;
    assert!(matches!(held, Err(CopyError::App(AppError::Store(StoreError::InUse(_))))), "{held:?}");
    let key = app.key.verifier().to_string();
    drop(app);
    // The writer's session ends a moment after the last handle.
    let copied = loop {
        match copy(&middle, &last).await {
            Err(CopyError::App(AppError::Store(StoreError::InUse(_)))) => tokio::task::yield_now().await,
            done => break done.unwrap(),
        }
    };
    assert_eq!(copied.tree, copied.entries as u64);
    let app = opened(&last).await;
    assert_eq!(app.key.verifier().to_string(), key);
    let reset = app.engine.reset(&id).await.unwrap();
    assert_eq!(export(&*app.engine.store, &id, &plan_bytes(&reset.plan), &app.key).await.unwrap(), bundle);
    app.engine.store.commit(Change { entries: vec![draft(None, 1)], ..Change::default() }).await.unwrap();
    app.sequencer.flush().await.unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn a_replica_that_is_started_again_takes_its_own_leases_at_once_and_nobody_elses() {
    let test = "a_replica_that_is_started_again_takes_its_own_leases_at_once_and_nobody_elses";
    let Some(databases) = Databases::find(test).await else { return };
    let (folder, keys) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
    let address = databases.fresh().await;
    let places = |state: &str| places(&folder.path().join(state), &keys.path().join("kek"), Some(address.clone()));
    let context = Context::system();
    let opened = async |state: &str| {
        let kinds: Arc<dyn Kinds> = Arc::new(OnlyFake::default());
        let settings = EngineSettings::default();
        App::open(&places(state), &context, kinds, HostRules::default(), settings).await.unwrap()
    };
    drop(App::init(&places("here"), &context, Arc::new(OnlyFake::default())).await.unwrap());
    let until = context.clock.now() + Duration::from_hours(1);
    let take = async |app: &App, name: &str| {
        let holder = &app.engine.settings.holder;
        app.engine.store.lease(name, holder, context.clock.now(), until).await.unwrap()
    };
    let (first, other) = (opened("here").await, opened("there").await);
    let beside = opened("here").await;
    assert_ne!(beside.engine.settings.holder, first.engine.settings.holder, "two processes of one name");
    let old = take(&first, "reset/a").await.unwrap();
    take(&other, "reset/b").await.unwrap();
    assert_eq!(take(&beside, "reset/a").await, None);
    // It ends without a word: its leases stay.
    drop(first);
    let again = opened("here").await;
    let new = take(&again, "reset/a").await.unwrap();
    assert!(new.token > old.token);
    assert_eq!(take(&again, "reset/b").await, None, "a lease of somebody who lives");
    let late = Change { fence: Some(old), entries: vec![draft(None, 1)], ..Change::default() };
    let refused = again.engine.store.commit(late).await;
    assert!(matches!(refused, Err(StoreError::Fenced(_))), "what its predecessor sent last: {refused:?}");
}
