//! Issuers that lie, lag, answer for one region only, or take back a death: `refused` is said only of what is refused.

use std::sync::Arc;
use std::time::Duration;

use remint::engine::record::{ResetStatus, RotationRecord};
use remint::engine::{Engine, EngineSettings};
use remint_contract::{Material, ResetId, TestClock};
use remint_core::machine::{Reason, State};
use remint_core::step::{Path, Step};
use remint_fake::world::{Fault, Trouble};

use crate::rig::{Rig, Shape, assert_chained, assert_settled, told};

/// Parks soon instead of waiting for what never comes.
fn impatient(rig: &mut Rig) {
    rig.settings = EngineSettings { patience: Duration::from_millis(60), ..rig.settings.clone() };
}

async fn only(engine: &Engine, id: &ResetId) -> RotationRecord {
    engine.rotations(id).await.unwrap().remove(0)
}

/// Where and why the only member is parked.
async fn parked(engine: &Engine, id: &ResetId) -> (Step, Reason) {
    match only(engine, id).await.rotation.state {
        State::Parked { step, reason } => (step, reason),
        state => panic!("not parked: {state}"),
    }
}

async fn never_graded(engine: &Engine, id: &ResetId) {
    assert_eq!(only(engine, id).await.rotation.facts.proof, None);
    let graded = told(engine, id).await.into_iter().filter(|(kind, ..)| kind == "old.refused").count();
    assert_eq!(graded, 0, "an entry says that it was refused");
}

async fn settles_after_retry(rig: &Rig, engine: &Engine, id: &ResetId, old: &Material, why: &str) {
    engine.retry(id, None).await.unwrap();
    let reset = engine.run(id).await.unwrap();
    assert_settled(rig, engine, &reset, std::slice::from_ref(old), why).await;
}

#[tokio::test]
async fn a_revoke_that_is_a_lie_is_never_a_proof_and_is_done_again() {
    for path in [Path::Rolling, Path::Contain] {
        let mut rig = Rig::start(1).await;
        impatient(&mut rig);
        let (engine, old) = (rig.engine(), rig.value(0));
        let kill = if path == Path::Rolling { "revoke" } else { "disable" };
        let lie = rig.world.fault("bank", Fault::on(kill, Trouble::Lie)).unwrap();
        let mut plan = rig.plan();
        plan.members[0].path = path;
        let reset = rig.reset(&engine, plan).await;
        assert_eq!(reset.status, ResetStatus::Resting);
        let alive = Reason::Alive { endpoints: rig.issuer.urls() };
        assert_eq!(parked(&engine, &reset.id).await, (Step::Prove, alive.clone()));
        never_graded(&engine, &reset.id).await;
        // Trying again while it still lies does not help.
        engine.retry(&reset.id, None).await.unwrap();
        engine.run(&reset.id).await.unwrap();
        assert_eq!(parked(&engine, &reset.id).await, (Step::Prove, alive));
        rig.issuer.end_fault(lie);
        settles_after_retry(&rig, &engine, &reset.id, &old, &path.to_string()).await;
    }
}

/// Two regions, the second half an hour behind the first: it knows the old values, and nothing that happens now.
async fn second_region_behind() -> Rig {
    let clock = Arc::new(TestClock::new("2026-01-01T00:00:00Z".parse().unwrap()));
    let rig = Rig::with(Shape { endpoints: 2, clock: Some(Arc::clone(&clock)), ..Shape::default() }).await;
    clock.advance(Duration::from_hours(1));
    rig.issuer.lag(1, Duration::from_mins(30));
    rig
}

#[tokio::test]
async fn an_endpoint_that_lags_is_waited_for() {
    let rig = second_region_behind().await;
    let (engine, old) = (rig.engine(), rig.value(0));
    let id = rig.approved(&engine, rig.plan()).await;
    let running = tokio::spawn({
        let (engine, id) = (engine.clone(), id.clone());
        async move { engine.run(&id).await }
    });
    // Long after the capture and the first tries of the proof.
    while rig.issuer.counts().of("remint").of("use") < 20 {
        tokio::task::yield_now().await;
    }
    assert!(!running.is_finished());
    never_graded(&engine, &id).await;
    rig.issuer.lag(1, Duration::ZERO);
    let reset = running.await.unwrap().unwrap();
    assert_settled(&rig, &engine, &reset, &[old], "a lag within patience").await;
}

#[tokio::test]
async fn an_endpoint_that_is_one_region_behind_parks_and_is_named() {
    let mut rig = second_region_behind().await;
    impatient(&mut rig);
    let (engine, old) = (rig.engine(), rig.value(0));
    let reset = rig.reset(&engine, rig.plan()).await;
    assert_eq!(reset.status, ResetStatus::Resting);
    let behind = Reason::Alive { endpoints: vec![rig.issuer.urls().remove(1)] };
    assert_eq!(parked(&engine, &reset.id).await, (Step::Prove, behind));
    never_graded(&engine, &reset.id).await;
    rig.issuer.lag(1, Duration::ZERO);
    settles_after_retry(&rig, &engine, &reset.id, &old, "one region behind").await;
}

#[tokio::test]
async fn what_is_not_an_authentication_denied_proves_nothing() {
    for trouble in [Trouble::Forbid, Trouble::Throttle(Duration::ZERO), Trouble::Broken, Trouble::LostBefore] {
        let mut rig = Rig::start(1).await;
        impatient(&mut rig);
        let (engine, old) = (rig.engine(), rig.value(0));
        let why = format!("{trouble:?}");
        // Capture and verify get through; from the proof on there is trouble.
        let fault = rig.world.fault("bank", Fault::on("use", trouble).from("remint").after(2)).unwrap();
        let reset = rig.reset(&engine, rig.plan()).await;
        let (step, reason) = parked(&engine, &reset.id).await;
        assert!(step == Step::Prove && matches!(reason, Reason::Unclear { .. }), "{why}: {step} {reason}");
        assert!(rig.issuer.fault_hits(fault) > 0);
        never_graded(&engine, &reset.id).await;
        rig.issuer.end_fault(fault);
        settles_after_retry(&rig, &engine, &reset.id, &old, &why).await;
    }
}

#[tokio::test]
async fn a_capture_with_a_short_trouble_still_has_its_control() {
    let rig = Rig::start(1).await;
    let (engine, old) = (rig.engine(), rig.value(0));
    rig.world.fault("bank", Fault::on("use", Trouble::Broken).from("remint").times(2)).unwrap();
    let reset = rig.reset(&engine, rig.plan()).await;
    assert_settled(&rig, &engine, &reset, &[old], "500 twice").await;
}

#[tokio::test]
async fn a_value_that_comes_back_to_life_reopens_the_reset() {
    let rig = Rig::start(2).await;
    let engine = rig.engine();
    let old = [rig.value(0), rig.value(1)];
    let version = rig.issuer.live_versions("app0").remove(0).version;
    let reset = rig.reset(&engine, rig.plan()).await;
    rig.issuer.resurrect(&version).unwrap();
    let (reset, outcome) = engine.reprove(&reset.id).await.unwrap();
    assert_eq!((outcome.alive.len(), outcome.refused.len()), (1, 1));
    assert_eq!(reset.status, ResetStatus::Resting);
    let (step, reason) = parked(&engine, &reset.id).await;
    assert_eq!((step, reason), (Step::Revoke, Reason::Alive { endpoints: rig.issuer.urls() }));
    let kinds: Vec<String> = told(&engine, &reset.id).await.into_iter().map(|(kind, ..)| kind).collect();
    assert!(kinds.contains(&"rotation.reopened".to_owned()));
    assert!(!assert_chained(&engine, &reset.id).await.is_complete());

    engine.retry(&reset.id, None).await.unwrap();
    let reset = engine.run(&reset.id).await.unwrap();
    assert_settled(&rig, &engine, &reset, &old, "killed again").await;
    let (reset, _) = engine.reprove(&reset.id).await.unwrap();
    assert_eq!(reset.status, ResetStatus::Complete);
    assert!(assert_chained(&engine, &reset.id).await.is_complete());
}

#[tokio::test]
async fn a_contained_value_that_comes_back_is_killed_again() {
    let rig = Rig::start(1).await;
    let (engine, old) = (rig.engine(), rig.value(0));
    let version = rig.issuer.live_versions("app0").remove(0).version;
    let mut plan = rig.plan();
    plan.members[0].path = Path::Contain;
    let reset = rig.reset(&engine, plan).await;
    rig.issuer.resurrect(&version).unwrap();
    engine.reprove(&reset.id).await.unwrap();
    assert_eq!(parked(&engine, &reset.id).await.0, Step::Revoke);
    settles_after_retry(&rig, &engine, &reset.id, &old, "contained").await;
}

#[tokio::test]
async fn a_reproof_that_cannot_be_tried_stays_due() {
    let rig = Rig::start(1).await;
    let engine = rig.engine();
    let reset = rig.reset(&engine, rig.plan()).await;
    let fault = rig.world.fault("bank", Fault::on("use", Trouble::Forbid).from("remint")).unwrap();
    let (reset, outcome) = engine.reprove(&reset.id).await.unwrap();
    assert_eq!((reset.status, outcome.unclear.len(), reset.reproofs.len()), (ResetStatus::Provisional, 1, 1));
    rig.issuer.end_fault(fault);
    assert_eq!(engine.reprove(&reset.id).await.unwrap().0.status, ResetStatus::Complete);
}
