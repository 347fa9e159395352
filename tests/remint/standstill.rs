//! Pause, resume and abort; what is said while a reset runs; what rests, and what moves it on; the forecast.

use std::collections::BTreeSet;
use std::sync::Arc;
use std::time::Duration;

use remint::engine::eta::{Measured, left};
use remint::engine::parked::{Holds, Known};
use remint::engine::pause::half_done_of;
use remint::engine::record::{Reset, ResetStatus, kind};
use remint::engine::{Engine, EngineError, Progress};
use remint_contract::ResetId;
use remint_core::machine::{Rotation, State};
use remint_core::plan::{Plan, Precedence, Row};
use remint_core::step::{Path, Step};
use remint_fake::world::{Fault, Trouble};
use tokio::task::JoinHandle;

use crate::rig::{Rig, Shape, assert_settled, states, told};

fn minted(rig: &Rig) -> u64 {
    rig.issuer.counts().of("remint").of("mint")
}

fn spawn(engine: &Engine, id: &ResetId) -> JoinHandle<Result<Reset, EngineError>> {
    let (engine, id) = (engine.clone(), id.clone());
    tokio::spawn(async move { engine.run(&id).await })
}

async fn until(mut so: impl AsyncFnMut() -> bool) {
    let waited = async {
        while !so().await {
            tokio::time::sleep(Duration::from_millis(2)).await;
        }
    };
    tokio::time::timeout(Duration::from_secs(20), waited).await.expect("it never came to it");
}

#[tokio::test]
async fn a_paused_reset_begins_nothing_also_after_a_restart_until_it_is_resumed() {
    let rig = Rig::start(3).await;
    let old = [rig.value(0), rig.value(1), rig.value(2)];
    let engine = rig.engine();
    let id = rig.approved(&engine, rig.plan()).await;
    engine.pause(&id, false, "ada", "INC-7").await.unwrap();
    assert_eq!(engine.run(&id).await.unwrap().status, ResetStatus::Paused);
    let store = Arc::clone(&engine.store);
    drop(engine);
    let engine = rig.engine_over(store);
    let reset = engine.run(&id).await.unwrap();
    assert_eq!((reset.status, minted(&rig)), (ResetStatus::Paused, 0));
    assert_eq!(reset.standstill.unwrap().reason, "INC-7");
    let parked = engine.parked(Some(&id)).await.unwrap();
    assert_eq!(parked.len(), 3);
    assert_eq!(parked[0].reason, "the reset was paused by ada: INC-7");
    assert_eq!(parked[0].commands, [format!("remint resume {id} --reason …"), format!("remint abort {id} --reason …")]);
    engine.resume(&id, "ada", "over").await.unwrap();
    let reset = engine.run(&id).await.unwrap();
    assert_settled(&rig, &engine, &reset, &old, "resumed").await;
    let kinds: BTreeSet<String> = told(&engine, &id).await.into_iter().map(|(kind, ..)| kind).collect();
    assert!(kinds.contains("reset.paused") && kinds.contains("reset.resumed"), "{kinds:?}");
}

#[tokio::test]
async fn a_pause_ends_the_steps_under_way_and_begins_no_other() {
    let rig = Rig::start(2).await;
    let engine = rig.engine();
    let id = rig.approved(&engine, rig.plan()).await;
    rig.world.fault("shelf", Fault::on("write", Trouble::Latency(Duration::from_millis(200))).from("remint")).unwrap();
    let running = spawn(&engine, &id);
    until(async || rig.store.counts().of("remint").of("write") == 2).await;
    engine.pause(&id, false, "ada", "wait").await.unwrap();
    let reset = running.await.unwrap().unwrap();
    assert_eq!(reset.status, ResetStatus::Paused);
    let records = engine.rotations(&id).await.unwrap();
    assert_eq!(states(&records), [("waiting to promote".to_owned(), 2)].into());
    assert_eq!(rig.host.counts().of("remint").of("reload"), 0);
    let parked = engine.parked(Some(&id)).await.unwrap();
    assert!(parked[0].places.values().all(|holds| *holds == Holds::Unseen), "{parked:#?}");
    assert_eq!((parked[0].old.works, parked[0].new.works), (Known::Accepted, Known::Accepted));
    assert!(parked[0].new.at.is_some());
}

#[tokio::test]
async fn what_is_contained_goes_on_under_a_pause_unless_all_is_meant() {
    for all in [false, true] {
        let rig = Rig::start(2).await;
        let engine = rig.engine();
        let mut plan = rig.plan();
        plan.members[1].path = Path::Contain;
        let id = rig.approved(&engine, plan).await;
        engine.pause(&id, all, "ada", "wait").await.unwrap();
        engine.run(&id).await.unwrap();
        let records = engine.rotations(&id).await.unwrap();
        assert_eq!(records[0].rotation.state, State::Planned);
        let settled = matches!(records[1].rotation.state, State::Settled { .. });
        assert_eq!(settled, !all, "{}", records[1].rotation.state);
    }
}

/// True while the reset owns the credential.
async fn owned(engine: &Engine, id: &ResetId, index: usize) -> bool {
    let rows = engine.store.list(kind::OWNER, Some(&id.0)).await.unwrap();
    rows.iter().any(|row| row.id == format!("Credential/app{index}"))
}

#[tokio::test]
async fn an_abort_stops_where_it_is_safe_leaves_nobody_without_a_value_and_frees_what_was_not_begun() {
    let rig = Rig::start(3).await;
    let old = [rig.value(0), rig.value(1)];
    let engine = rig.engine();
    let mut plan = rig.plan();
    // 0 is contained: its consumer has no working value from `disable` on. 1 rolls. 2 is of the next wave.
    plan.members[0].path = Path::Contain;
    plan.waves = vec![vec![0, 1], vec![2]];
    // 1 waits before it is delivered until 0 is dead, and is minted by then.
    let row = Row::Read;
    plan.precedences = vec![Precedence { before: (0, Step::Sweep), after: (1, Step::Deliver), row }];
    let id = rig.approved(&engine, plan).await;
    let slow = Trouble::Latency(Duration::from_millis(600));
    rig.world.fault("bank", Fault::on("list", slow).from("remint")).unwrap();
    let running = spawn(&engine, &id);
    until(async || {
        let waits = engine.rotations(&id).await.unwrap()[1].rotation.state == State::Waiting { step: Step::Deliver };
        waits && rig.issuer.counts().of("remint").of("disable") > 0
    })
    .await;
    engine.abort(&id, "ada", "wrong plan").await.unwrap();
    let reset = running.await.unwrap().unwrap();
    assert_eq!(reset.status, ResetStatus::Aborted);
    let records = engine.rotations(&id).await.unwrap();
    let ended = |index: usize, step: Step| records[index].rotation.facts.ended.contains(&step);
    assert!(ended(0, Step::Confirm), "its consumer has the new value: {}", records[0].rotation.state);
    assert!(!rig.issuer.accepts(&old[0]) && rig.issuer.accepts(&rig.value(0)));
    assert!(!ended(1, Step::Deliver) && rig.issuer.accepts(&old[1]), "1 stopped: {}", records[1].rotation.state);
    assert_eq!(records[2].rotation.state, State::Planned);
    assert_eq!(
        [owned(&engine, &id, 0).await, owned(&engine, &id, 1).await, owned(&engine, &id, 2).await],
        [true, true, false]
    );
    let half: Vec<String> = half_done_of(&reset, &records)
        .into_iter()
        .map(|(record, what)| format!("{}: {what}", record.credential))
        .collect();
    assert_eq!(
        half,
        [
            format!("Credential/app0: forward: remint retry {id} --only Credential/app0"),
            format!("Credential/app1: forward: remint retry {id} --only Credential/app1")
        ]
    );
    assert!(engine.resume(&id, "ada", "after all").await.is_err(), "an abort is for good");

    // Another process, later: what is half done goes forward.
    let next = rig.engine_over(Arc::clone(&engine.store));
    assert_eq!(next.forward(&id, None).await.unwrap(), 2);
    let reset = next.run(&id).await.unwrap();
    let records = next.rotations(&id).await.unwrap();
    assert_eq!(states(&records), [("planned".to_owned(), 1), ("settled (provisional)".to_owned(), 2)].into());
    assert_eq!(reset.status, ResetStatus::Aborted, "it is never complete");
    assert!(!rig.issuer.accepts(&old[1]) && rig.issuer.accepts(&rig.value(1)));
    assert_eq!([owned(&next, &id, 0).await, owned(&next, &id, 1).await], [false, false]);
}

#[tokio::test]
async fn what_is_sent_forward_takes_along_what_it_waits_for_unless_another_reset_has_that() {
    let rig = Rig::start(3).await;
    let engine = rig.engine();
    let mut plan = rig.plan();
    plan.waves = vec![vec![0], vec![1, 2]];
    // 0 is killed after the consumers of 1 are on its new value; 1 is never begun.
    let row = Row::Read;
    plan.precedences = vec![Precedence { before: (1, Step::Confirm), after: (0, Step::Revoke), row }];
    plan.limits.failure_budget = 0;
    let id = rig.approved(&engine, plan).await;
    rig.world.fault("shelf", Fault::on("write", Trouble::Forbid).from("remint").times(1)).unwrap();
    engine.run(&id).await.unwrap();
    engine.abort(&id, "ada", "no more").await.unwrap();
    engine.run(&id).await.unwrap();
    assert_eq!([owned(&engine, &id, 0).await, owned(&engine, &id, 1).await], [true, false]);

    let other = rig.approved(&engine, rig.plan()).await;
    let app0 = "Credential/app0".parse().unwrap();
    let refused = engine.forward(&id, Some(&app0)).await.unwrap_err().to_string();
    assert!(refused.contains("Credential/app0 waits for Credential/app1, which reset"), "{refused}");
    assert_eq!(engine.forward(&id, None).await.unwrap(), 0);
    engine.abort(&other, "ada", "nor this").await.unwrap();
    engine.run(&other).await.unwrap();

    assert_eq!(engine.forward(&id, Some(&app0)).await.unwrap(), 1);
    engine.retry(&id, Some(&app0)).await.unwrap();
    engine.run(&id).await.unwrap();
    let records = engine.rotations(&id).await.unwrap();
    assert_eq!(states(&records), [("planned".to_owned(), 1), ("settled (provisional)".to_owned(), 2)].into());
    assert_eq!(records[2].rotation.state, State::Planned);
}

#[tokio::test]
async fn a_parked_member_that_may_try_again_goes_on_in_the_same_run() {
    let rig = Rig::start(2).await;
    let old = [rig.value(0), rig.value(1)];
    let engine = rig.engine();
    let id = rig.approved(&engine, rig.plan()).await;
    rig.world.fault("shelf", Fault::on("write", Trouble::Forbid).from("remint").times(1)).unwrap();
    rig.world
        .fault("floor", Fault::on("reload", Trouble::Latency(Duration::from_secs(1))).from("remint").times(1))
        .unwrap();
    let running = spawn(&engine, &id);
    until(async || {
        let records = engine.rotations(&id).await.unwrap();
        records.iter().any(|record| matches!(record.rotation.state, State::Parked { .. }))
    })
    .await;
    assert!(!running.is_finished());
    engine.retry(&id, None).await.unwrap();
    let reset = running.await.unwrap().unwrap();
    assert_settled(&rig, &engine, &reset, &old, "in the same run").await;
}

#[tokio::test]
async fn no_more_workloads_of_a_system_restart_at_a_time_than_its_budget_says() {
    let latency = Duration::from_millis(2);
    let mut rig = Rig::with(Shape { count: 10, latency, ..Shape::default() }).await;
    let floor = "System/floor".parse().unwrap();
    rig.estate.systems.get_mut(&floor).unwrap().budget.restarts = Some(2);
    rig.world.fault("floor", Fault::on("reload", Trouble::Latency(Duration::from_millis(10))).from("remint")).unwrap();
    let old: Vec<_> = (0..10).map(|index| rig.value(index)).collect();
    let engine = rig.engine();
    let reset = rig.reset(&engine, rig.plan()).await;
    assert_settled(&rig, &engine, &reset, &old, "two at a time").await;
    assert_eq!(rig.host.counts().of("remint").most_in_flight, 2);
}

#[tokio::test]
async fn what_could_not_be_reached_says_when_it_is_tried_again_ever_later_and_only_that_is() {
    let mut rig = Rig::start(2).await;
    rig.settings.host.tries = 2;
    let engine = rig.engine();
    let gone = rig.world.fault("shelf", Fault::on("write", Trouble::Throttle(Duration::ZERO)).from("remint")).unwrap();
    let reset = rig.reset(&engine, rig.plan()).await;
    let (id, now) = (reset.id.clone(), engine.context.clock.now());
    let first = reset.again.clone().unwrap();
    assert!(first.at > now && first.times == 0);
    let parked = engine.parked(None).await.unwrap();
    assert_eq!(parked.len(), 2);
    let next = parked[0].automatic.clone().unwrap();
    assert_eq!((next.what.as_str(), next.at), ("the daemon tries it again", Some(first.at)));
    assert_eq!(parked[0].new.works, Known::Accepted);
    assert!(parked[0].consumers.values().all(|holds| *holds == Holds::Old));
    assert_eq!(parked[0].commands[0], format!("remint retry {id} --only Credential/app0"));
    assert_eq!(engine.retry_unreachable(&id).await.unwrap(), 2);
    let second = engine.run(&id).await.unwrap().again.unwrap();
    assert!(second.times == 1 && second.at > first.at);
    rig.world.service("shelf").unwrap().end_fault(gone);
    engine.retry_unreachable(&id).await.unwrap();
    let reset = engine.run(&id).await.unwrap();
    assert_eq!((reset.status, reset.again), (ResetStatus::Provisional, None));
}

#[tokio::test]
async fn a_due_reproof_is_made_once_by_two_replicas_and_its_schedule_survives_a_restart() {
    let mut rig = Rig::start(2).await;
    rig.settings.reproofs = vec![Duration::ZERO, Duration::from_hours(24)];
    rig.settings.holder = "one".to_owned();
    let one = rig.engine();
    let reset = rig.reset(&one, rig.plan()).await;
    rig.settings.holder = "two".to_owned();
    let two = rig.engine_over(Arc::clone(&one.store));
    assert_eq!(two.reset(&reset.id).await.unwrap().reproofs.len(), 2);
    let (first, outcome) = one.reprove_due(&reset.id).await.unwrap();
    assert_eq!((outcome.refused.len(), first.reproofs.len()), (2, 1));
    let (second, outcome) = two.reprove_due(&reset.id).await.unwrap();
    assert_eq!((outcome.refused.len(), second.reproofs.len()), (0, 1), "the last one is due tomorrow");
    assert_eq!(second.status, ResetStatus::Provisional);
    // By hand, without a daemon, whenever somebody wants.
    let (last, outcome) = two.reprove(&reset.id).await.unwrap();
    assert_eq!((last.status, outcome.refused.len()), (ResetStatus::Complete, 2));
}

#[tokio::test]
async fn old_values_are_tried_again_side_by_side() {
    let rig = Rig::start(20).await;
    let engine = rig.engine();
    let reset = rig.reset(&engine, rig.plan()).await;
    let slow = Trouble::Latency(Duration::from_millis(200));
    rig.world.fault("bank", Fault::on("use", slow).from("remint")).unwrap();
    let began = engine.context.clock.now();
    let (_, outcome) = engine.reprove(&reset.id).await.unwrap();
    let took = engine.context.clock.now().duration_since(began).unsigned_abs();
    assert_eq!(outcome.refused.len(), 20);
    assert!(took < Duration::from_secs(2), "one after another they take four seconds: {took:?}");
}

#[tokio::test]
async fn whoever_watches_is_warned_when_the_deadline_will_be_missed() {
    let rig = Rig::start(2).await;
    let engine = rig.engine();
    let mut events = engine.watch();
    let mut plan: Plan = rig.plan();
    plan.limits.deadline = Some(engine.context.clock.now());
    let reset = rig.reset(&engine, plan).await;
    let mut late = false;
    while let Ok(event) = events.try_recv() {
        late |= matches!(event, Progress::Eta { late: true, .. });
    }
    assert!(late);
    assert!(engine.eta(&reset.id).await.unwrap().unwrap().late());
    assert!(told(&engine, &reset.id).await.iter().any(|(kind, ..)| kind == "deadline.at-risk"));
}

#[tokio::test]
async fn a_forecast_is_the_longer_of_the_longest_chain_and_the_pace_until_now() {
    let rig = Rig::start(3).await;
    let mut plan = rig.plan();
    plan.eta = Duration::from_secs(36);
    let mut rotations = vec![Rotation::new(); 3];
    let second = Duration::from_secs(1);
    assert_eq!(left(&plan, &rotations, &Measured::default(), Duration::ZERO).as_secs(), 36, "nothing was measured");
    let mut measured = Measured::default();
    for step in plan.members[0].steps() {
        measured.took(*step, second);
    }
    // Twelve steps of a second each, one after another but for the hold, which is none.
    assert_eq!(left(&plan, &rotations, &measured, second).as_secs(), 11);
    let row = Row::Minter;
    plan.precedences = vec![Precedence { before: (0, Step::Sweep), after: (1, Step::Capture), row }];
    assert_eq!(left(&plan, &rotations, &measured, second).as_secs(), 22, "one waits for the other");
    assert_eq!(left(&plan, &rotations, &measured, second * 120).as_secs(), 360, "36 steps, at ten seconds each");
    for rotation in &mut rotations[..2] {
        rotation.state = State::Settled { last: false };
    }
    assert_eq!(left(&plan, &rotations, &measured, second).as_secs(), 11);
    rotations[2].state = State::Settled { last: false };
    assert_eq!(left(&plan, &rotations, &measured, second), Duration::ZERO);
}
