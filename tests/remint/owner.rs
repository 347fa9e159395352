//! Who may act: one owner for a credential, one run for a request, one approval for a plan, one holder for a lease.

use std::sync::Arc;
use std::time::Duration;

use remint::engine::planned::Planned;
use remint::engine::record::ResetStatus;
use remint::engine::reset::Request;
use remint::engine::{Engine, EngineError, EngineSettings};
use remint::store::{Change, Key, Rule};
use remint_contract::{Clock, SystemClock};
use remint_core::digest::Digest;
use remint_fake::world::{Fault, Trouble};

use crate::rig::{Rig, assert_settled};

fn request(rig: &Rig, engine: &Engine) -> Request {
    Request {
        id: engine.context.reset().unwrap(),
        plan: rig.plan(),
        estate: rig.estate.clone(),
        reason: "INC-2".to_owned(),
        by: "tester".to_owned(),
        at: engine.context.clock.now(),
    }
}

#[tokio::test]
async fn a_credential_has_one_owner_and_what_is_proven_dead_gives_way_to_the_next() {
    let rig = Rig::start(1).await;
    let engine = rig.engine();
    let first = rig.reset(&engine, rig.plan()).await;
    let old = [rig.value(0)];
    let second = rig.reset(&engine, rig.plan()).await;
    assert_settled(&rig, &engine, &second, &old, "a second reset").await;
    // The first one still has its old value proven dead again, and lets go only what is its own.
    let (done, outcome) = engine.reprove(&first.id).await.unwrap();
    assert_eq!((done.status, outcome.refused.len()), (ResetStatus::Complete, 1));
    let owner = engine.store.get(&Key { kind: "owner", id: "Credential/app0".to_owned() }).await.unwrap();
    assert_eq!(owner.map(|row| row.scope), Some(second.id.0));
}

#[tokio::test]
async fn an_old_value_that_lives_again_is_killed_beside_the_younger_value_of_another_reset() {
    let rig = Rig::start(1).await;
    let engine = rig.engine();
    let eldest = rig.value(0);
    let version = rig.issuer.live_versions("app0").remove(0).version;
    let first = rig.reset(&engine, rig.plan()).await;
    let second = rig.reset(&engine, rig.plan()).await;
    let youngest = rig.value(0);
    rig.issuer.resurrect(&version).unwrap();
    let (reopened, _) = engine.reprove(&first.id).await.unwrap();
    assert_eq!(reopened.status, ResetStatus::Resting);
    // While the second one still acts, nothing of it is touched.
    engine.retry(&first.id, None).await.unwrap();
    let done = engine.run(&first.id).await.unwrap();
    assert_settled(&rig, &engine, &done, std::slice::from_ref(&eldest), "killed again").await;
    assert_eq!(rig.value(0), youngest, "the newest one stays where it lies");
    assert!(rig.issuer.accepts(&youngest) && !rig.issuer.accepts(&eldest));
    let (proven, _) = engine.reprove(&second.id).await.unwrap();
    assert_eq!(proven.status, ResetStatus::Complete);
}

#[tokio::test]
async fn a_rejected_reset_owns_nothing() {
    let rig = Rig::start(1).await;
    let engine = rig.engine();
    let first = engine.request(request(&rig, &engine)).await.unwrap();
    engine.reject(&first.id, "tester", "not now").await.unwrap();
    assert!(matches!(engine.approve(&first.id, "tester").await, Err(EngineError::Refused(_))));
    engine.request(request(&rig, &engine)).await.unwrap();
}

#[tokio::test]
async fn the_same_request_runs_once() {
    let rig = Rig::start(1).await;
    let engine = rig.engine();
    let asked = request(&rig, &engine);
    engine.request(asked.clone()).await.unwrap();
    assert!(matches!(engine.request(asked.clone()).await, Err(EngineError::Twice(id)) if id == asked.id));
}

#[tokio::test]
async fn a_request_older_than_an_hour_never_starts() {
    let rig = Rig::start(1).await;
    let engine = rig.engine();
    let hour = Duration::from_secs(3601);
    let late = Request { at: engine.context.clock.now() - hour, ..request(&rig, &engine) };
    assert!(matches!(engine.request(late).await, Err(EngineError::Expired { .. })));
    assert!(engine.resets().await.unwrap().is_empty());
}

#[tokio::test]
async fn a_request_that_waited_too_long_for_approval_is_over_and_frees_what_it_owned() {
    let rig = Rig::start(1).await;
    let mut engine = rig.engine();
    let asked = engine.request(request(&rig, &engine)).await.unwrap();
    let clock = remint_contract::TestClock::new(engine.context.clock.now() + Duration::from_secs(3601));
    engine.context.clock = Arc::new(clock);
    assert!(matches!(engine.approve(&asked.id, "tester").await, Err(EngineError::Expired { .. })));
    assert_eq!(engine.reset(&asked.id).await.unwrap().status, ResetStatus::Rejected);
    engine.request(request(&rig, &engine)).await.unwrap();
}

#[tokio::test]
async fn an_unapproved_plan_and_another_plan_than_the_approved_do_not_run() {
    let rig = Rig::start(1).await;
    let engine = rig.engine();
    let asked = engine.request(request(&rig, &engine)).await.unwrap();
    assert!(matches!(engine.run(&asked.id).await, Err(EngineError::Unapproved(_))));
    engine.approve(&asked.id, "tester").await.unwrap();
    // Somebody changes the plan that was approved, behind the engine's back: under its name, or under one of its own.
    let mut other = rig.plan();
    other.digest = Digest::of(b"another");
    let written = Planned::of(other.clone());
    let put = |kind: &'static str, id: &str, body| remint::store::Put {
        key: Key { kind, id: id.to_owned() },
        scope: String::new(),
        body,
        rule: Rule::Upsert,
    };
    let body = serde_json::to_value(&other).unwrap();
    let puts = [asked.plan.hash(), written.hash()].map(|name| put("plan", name, body.clone())).to_vec();
    engine.store.commit(Change { puts, ..Change::default() }).await.unwrap();
    let next = rig.engine_over(Arc::clone(&engine.store));
    assert!(matches!(next.run(&asked.id).await, Err(EngineError::NoPlan(_))));
    let key = Key { kind: "reset", id: asked.id.0.clone() };
    let mut body = engine.store.get(&key).await.unwrap().unwrap().body;
    body["plan"] = written.hash().into();
    let puts = vec![remint::store::Put { scope: asked.id.0.clone(), ..put("reset", &asked.id.0, body) }];
    engine.store.commit(Change { puts, ..Change::default() }).await.unwrap();
    assert!(matches!(next.run(&asked.id).await, Err(EngineError::OtherPlan { .. })));
    assert_eq!(rig.issuer.live_versions("app0").len(), 1, "nothing was minted");
}

#[tokio::test]
async fn a_run_whose_lease_was_lost_records_nothing_more() {
    let mut rig = Rig::start(1).await;
    let old = [rig.value(0)];
    rig.settings = EngineSettings { holder: "first".to_owned(), ..rig.settings.clone() };
    let first = rig.engine();
    let id = rig.approved(&first, rig.plan()).await;
    // The first is slow to reload; the second takes over meanwhile.
    let slow = Trouble::Latency(Duration::from_secs(1));
    rig.world.fault("floor", Fault::on("reload", slow).from("remint").times(1)).unwrap();
    let mut second = Engine::new(
        Arc::clone(&first.store),
        Arc::clone(&first.escrow),
        Arc::clone(&first.kinds),
        first.rules.clone(),
        first.context.clone(),
        first.settings.clone(),
    );
    second.settings.holder = "second".to_owned();
    let running = tokio::spawn({
        let (first, id) = (first.clone(), id.clone());
        async move { first.run(&id).await }
    });
    while rig.host.counts().of("remint").of("reload") == 0 {
        tokio::task::yield_now().await;
    }
    let over = second.settings.lease_lasts() + second.settings.grace();
    second.context.clock = Arc::new(Later(over.checked_sub(Duration::from_secs(1)).unwrap()));
    assert!(matches!(second.run(&id).await, Err(EngineError::Busy(_))), "a call of the first may still be under way");
    second.context.clock = Arc::new(Later(over + Duration::from_secs(1)));
    let reset = second.run(&id).await.unwrap();
    let entries = second.store.entries_of(&id).await.unwrap().len();
    let lost = running.await.unwrap();
    assert!(matches!(lost, Err(EngineError::Lost(_))), "{lost:?}");
    assert_eq!(second.store.entries_of(&id).await.unwrap().len(), entries, "the first recorded something");
    assert_settled(&rig, &second, &reset, &old, "taken over").await;
}

#[tokio::test]
async fn a_reset_is_carried_out_by_one_run_at_a_time() {
    let rig = Rig::start(1).await;
    let engine = rig.engine();
    let id = rig.approved(&engine, rig.plan()).await;
    let (one, two) = tokio::join!(engine.run(&id), engine.run(&id));
    let busy = [&one, &two].into_iter().filter(|run| matches!(run, Err(EngineError::Busy(_)))).count();
    let done = [&one, &two].into_iter().filter(|run| run.is_ok()).count();
    assert_eq!((done, busy), (1, 1), "{one:?} {two:?}");
}

/// The machine's clock, put forward.
struct Later(Duration);

#[async_trait::async_trait]
impl Clock for Later {
    fn now(&self) -> jiff::Timestamp {
        SystemClock.now() + self.0
    }

    async fn sleep(&self, duration: Duration) {
        SystemClock.sleep(duration).await;
    }
}

#[tokio::test]
async fn of_several_processes_one_does_the_chores_and_another_takes_over_when_it_is_gone() {
    let mut rig = Rig::start(1).await;
    "first".clone_into(&mut rig.settings.holder);
    let first = rig.engine();
    let mut second = rig.engine_over(Arc::clone(&first.store));
    "second".clone_into(&mut second.settings.holder);
    assert!(first.chairs().await.unwrap() && first.chairs().await.unwrap(), "who has the chair keeps it");
    assert!(!second.chairs().await.unwrap());
    second.context.clock = Arc::new(Later(Duration::from_mins(21)));
    assert!(second.chairs().await.unwrap(), "the first is gone");
    assert!(!first.chairs().await.unwrap(), "and is not asked when it comes back");
}
