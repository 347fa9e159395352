//! One replica stops inside a call for longer than its lease, the others finish, and then it wakes: its effect lands
//! late, and of what it would record nothing is.

use std::sync::Arc;
use std::time::Duration;

use remint::app::{App, Places};
use remint::context::Context;
use remint::engine::record::{Reset, ResetStatus};
use remint::engine::{Engine, EngineError};
use remint::store::Store;
use remint::store::postgres::{Address, PostgresStore};
use remint_contract::{MadeBy, ResetId, Verb, VersionId};
use tokio::sync::oneshot;
use tokio::task::JoinSet;

use super::gate::{Gate, Gated, Moment};
use super::{carry_on, replicas};
use crate::rig::{OnlyFake, Rig, Shape, assert_settled, told};
use crate::store::postgres::Databases;

/// The longest that anything here may take: much longer than every lease.
const PATIENCE: Duration = Duration::from_mins(1);

/// A replica with a thread, a store and connections of its own, so that it can stand still.
async fn apart(
    rig: &mut Rig,
    address: Address,
    gate: &Arc<Gate>,
    id: &ResetId,
) -> oneshot::Receiver<Result<Reset, EngineError>> {
    let (give_store, store) = oneshot::channel();
    let (give_engine, engine) = oneshot::channel::<Engine>();
    let (answer, answered) = oneshot::channel();
    let id = id.clone();
    std::thread::spawn(move || {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
        runtime.block_on(async move {
            let store: Arc<dyn Store> = Arc::new(PostgresStore::open(address).await.unwrap());
            give_store.send(store).ok().unwrap();
            let engine = engine.await.unwrap();
            // Whoever asked may have seen enough.
            let _ = answer.send(engine.run(&id).await);
        });
    });
    "the one that stops".clone_into(&mut rig.settings.holder);
    let mut engine = rig.engine_over(store.await.unwrap());
    engine.kinds = Arc::new(Gated { gate: Arc::clone(gate), late: Arc::clone(&engine.kinds) });
    give_engine.send(engine).ok().unwrap();
    answered
}

/// One stops at that moment of the first call of that verb, `others` go on.
async fn stop(databases: &Databases, others: usize, made_by: MadeBy, verb: Verb, moment: Moment) {
    let why = format!("{others} others, {made_by:?}, stopped {moment:?} {verb}");
    let shape = Shape { count: 3, made_by, latency: Duration::from_millis(2), ..Shape::default() };
    let mut rig = Rig::with(shape).await;
    let address = databases.fresh().await;
    let replicas = replicas(&address, &mut rig, others).await;
    let engine = &replicas[0].0;
    let old: Vec<_> = (0..3).map(|index| rig.value(index)).collect();
    let before = number(&rig.issuer.live_versions("app2").pop().unwrap().version);
    let id = rig.approved(engine, rig.plan()).await;
    let gate = Gate::new(verb, moment);
    let mut stopped = apart(&mut rig, address, &gate, &id).await;
    tokio::select! {
        () = gate.stopped() => {}
        answer = &mut stopped => panic!("{why}: it never stopped: {answer:?}"),
        () = tokio::time::sleep(PATIENCE) => panic!("{why}: it never stopped"),
    }

    let mut going = JoinSet::new();
    for (engine, _) in &replicas {
        let (engine, id) = (engine.clone(), id.clone());
        going.spawn(async move { carry_on(&engine, &id).await });
    }
    let finished = tokio::time::timeout(PATIENCE, going.join_all()).await.unwrap();
    for reset in finished {
        assert_settled(&rig, engine, &reset, &old, &why).await;
    }
    let said = told(engine, &id).await;

    tokio::time::timeout(PATIENCE, gate.wake()).await.unwrap();
    let woken = tokio::time::timeout(PATIENCE, stopped).await.unwrap().unwrap();
    assert!(matches!(woken, Err(EngineError::Lost(_))), "{why}: {woken:?}");
    assert_eq!(told(engine, &id).await, said, "{why}: it recorded something");
    let reset = engine.reset(&id).await.unwrap();
    assert_settled(&rig, engine, &reset, &old, &why).await;
    let (reset, outcome) = engine.reprove(&id).await.unwrap();
    assert!(outcome.alive.is_empty() && outcome.unclear.is_empty(), "{why}");
    assert_eq!(reset.status, ResetStatus::Complete, "{why}");
    let (next, _) = rig.issuer.plant("app0", "to count", None).unwrap();
    assert_eq!(number(&next) - before, 3 + 1, "{why}: more was made than one value for each");
}

/// The issuer counts what it makes.
fn number(version: &VersionId) -> u64 {
    version.0.rsplit('@').next().unwrap().parse().unwrap()
}

#[tokio::test(flavor = "multi_thread")]
async fn one_of_two_stops_inside_a_call_past_its_lease_and_wakes_when_the_other_has_finished() {
    let Some(databases) = Databases::find("one of two stops inside a call").await else { return };
    let verbs = [Verb::Mint, Verb::Write, Verb::Promote, Verb::Reload, Verb::Revoke];
    let cases = verbs.into_iter().flat_map(|verb| [(verb, Moment::Before), (verb, Moment::After)]);
    futures::future::join_all(cases.map(|(verb, moment)| stop(&databases, 1, MadeBy::Remint, verb, moment))).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn one_of_four_stops_inside_a_call_past_its_lease_and_wakes_when_the_others_have_finished() {
    let Some(databases) = Databases::find("one of four stops inside a call").await else { return };
    let cases = [(MadeBy::Issuer, Verb::Mint), (MadeBy::Remint, Verb::Revoke)];
    let cases = cases.into_iter().flat_map(|(by, verb)| [(by, verb, Moment::Before), (by, verb, Moment::After)]);
    futures::future::join_all(cases.map(|(by, verb, moment)| stop(&databases, 3, by, verb, moment))).await;
}

/// As the pods of a chart do it, over a database that nobody used yet.
#[tokio::test]
async fn of_replicas_that_make_the_state_at_once_one_makes_it_and_all_go_on() {
    let Some(databases) = Databases::find("replicas that make the state at once").await else { return };
    let keys = tempfile::tempdir().unwrap();
    for charter in [None, Some(crate::govern::two())] {
        let address = databases.fresh().await;
        let folders: Vec<_> = (0..4).map(|_| tempfile::tempdir().unwrap()).collect();
        let made = folders.iter().map(|folder| {
            let (kek, store) = (keys.path().join("kek"), Some(address.clone()));
            let places = Places { state: folder.path().to_owned(), kek, same_folder: false, store };
            let (kinds, charter) = (Arc::new(OnlyFake::default()), charter.clone());
            async move {
                let context = Context::system();
                let (app, new) = match charter {
                    None => App::init(&places, &context, kinds).await.unwrap(),
                    Some(charter) => App::found(&places, None, &context, kinds, &charter, "unix:0").await.unwrap(),
                };
                (app.key.verifier().to_string(), app.gate.governed(), new)
            }
        });
        let made = futures::future::join_all(made).await;
        assert_eq!(made.iter().filter(|(_, _, new)| *new).count(), 1, "{made:?}");
        let same = |one: &(String, bool, bool)| one.0 == made[0].0 && one.1 == charter.is_some();
        assert!(made.iter().all(same), "{made:?}");
    }
}
