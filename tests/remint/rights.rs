//! What is minted: the same rights as before, a value that the target takes, and no more calls than the systems allow.

use std::sync::Arc;
use std::time::Duration;

use remint::engine::Progress;
use remint::engine::record::ResetStatus;
use remint_core::machine::{Reason, State};
use remint_core::step::Step;
use remint_fake::world::{Fault, Trouble};

use crate::rig::{Rig, Shape, assert_settled};

#[tokio::test]
async fn a_version_with_more_rights_than_the_old_one_is_destroyed_before_anybody_sees_it() {
    let rig = Rig::start(1).await;
    let engine = rig.engine();
    let old = [rig.value(0)];
    let id = rig.approved(&engine, rig.plan()).await;
    // Between mint and verify somebody gives it a scope.
    let mut watch = engine.watch();
    let issuer = Arc::clone(&rig.issuer);
    let widening = tokio::spawn(async move {
        while let Ok(progress) = watch.recv().await {
            if matches!(progress, Progress::Moved { state: State::Doing { step: Step::Verify }, .. }) {
                let new = issuer.live_versions("app0").pop().unwrap().version;
                issuer.widen(&new, "admin").unwrap();
                return new;
            }
        }
        panic!("nothing was verified");
    });
    // The check of the rights waits for it.
    rig.world.fault("bank", Fault::on("use", Trouble::Latency(Duration::from_millis(50))).from("remint")).unwrap();
    let reset = engine.run(&id).await.unwrap();
    let broad = widening.await.unwrap();
    assert_eq!(reset.status, ResetStatus::Resting);
    let record = engine.rotations(&id).await.unwrap().remove(0);
    let reason = Reason::Rights { change: "it has admin too; it was destroyed".to_owned() };
    assert_eq!(record.rotation.state, State::Parked { step: Step::Mint, reason });
    let living: Vec<_> = rig.issuer.live_versions("app0").into_iter().map(|live| live.version).collect();
    assert!(living.len() == 1 && !living.contains(&broad), "{living:?}");
    assert!(rig.issuer.accepts(&old[0]) && rig.value(0) == old[0], "the old one lives, and lies in the store");

    engine.retry(&id, None).await.unwrap();
    let reset = engine.run(&id).await.unwrap();
    assert_settled(&rig, &engine, &reset, &old, "minted anew").await;
}

#[tokio::test]
async fn a_refused_value_means_another_one_and_the_third_refusal_parks() {
    let rig = Rig::start(1).await;
    let engine = rig.engine();
    let old = [rig.value(0)];
    let refusing = Fault::on("mint", Trouble::RefuseValue);
    let once = rig.world.fault("bank", refusing.clone().times(1)).unwrap();
    let reset = rig.reset(&engine, rig.plan()).await;
    assert_eq!(rig.issuer.fault_hits(once), 1);
    assert_settled(&rig, &engine, &reset, &old, "refused once").await;
    engine.reprove(&reset.id).await.unwrap();

    let old = [rig.value(0)];
    let always = rig.world.fault("bank", refusing).unwrap();
    let reset = rig.reset(&engine, rig.plan()).await;
    assert_eq!((reset.status, rig.issuer.fault_hits(always)), (ResetStatus::Resting, 3));
    let record = engine.rotations(&reset.id).await.unwrap().remove(0);
    assert!(matches!(record.rotation.state, State::Parked { step: Step::Mint, reason: Reason::Failed { .. } }));
    assert!(rig.issuer.accepts(&old[0]));
    rig.issuer.end_fault(always);
    engine.retry(&reset.id, None).await.unwrap();
    let reset = engine.run(&reset.id).await.unwrap();
    assert_settled(&rig, &engine, &reset, &old, "after the rules were changed").await;
}

#[tokio::test]
async fn a_retry_after_is_honoured_by_every_call_to_the_system() {
    let rig = Rig::start(4).await;
    let engine = rig.engine();
    let old: Vec<_> = (0..4).map(|index| rig.value(index)).collect();
    let id = rig.approved(&engine, rig.plan()).await;
    let throttle = Trouble::Throttle(Duration::from_secs(1));
    let fault = rig.world.fault("bank", Fault::on("mint", throttle).from("remint").times(1)).unwrap();
    let running = tokio::spawn({
        let (engine, id) = (engine.clone(), id.clone());
        async move { engine.run(&id).await }
    });
    while rig.issuer.fault_hits(fault) == 0 {
        tokio::task::yield_now().await;
    }
    let began = std::time::Instant::now();
    // What was on its way when the answer came may still arrive; then it is quiet.
    while began.elapsed() < Duration::from_millis(100) {
        tokio::task::yield_now().await;
    }
    let before = rig.issuer.counts().of("remint").calls;
    while began.elapsed() < Duration::from_millis(900) {
        tokio::task::yield_now().await;
    }
    assert_eq!(rig.issuer.counts().of("remint").calls, before, "called in the time in which it asked for quiet");
    let reset = running.await.unwrap().unwrap();
    assert_settled(&rig, &engine, &reset, &old, "throttled").await;
}

#[tokio::test]
async fn no_system_sees_more_calls_at_once_than_its_budget() {
    let latency = Duration::from_millis(2);
    let rig = Rig::with(Shape { count: 12, concurrency: 3, latency, ..Shape::default() }).await;
    let engine = rig.engine();
    let old: Vec<_> = (0..12).map(|index| rig.value(index)).collect();
    let reset = rig.reset(&engine, rig.plan()).await;
    assert_settled(&rig, &engine, &reset, &old, "within the budget").await;
    for service in ["bank", "shelf", "floor"] {
        let most = rig.world.service(service).unwrap().counts().of("remint").most_in_flight;
        assert!(most <= 3, "{service}: {most} at once");
    }
    assert_eq!(rig.issuer.counts().of("remint").most_in_flight, 3, "the budget is used");
}

#[tokio::test]
async fn no_value_is_tried_again_for_what_is_known_of_it() {
    for (endpoints, tries) in [(1, 5), (2, 9)] {
        let rig = Rig::with(Shape { endpoints, ..Shape::default() }).await;
        let (engine, old) = (rig.engine(), rig.value(0));
        let reset = rig.reset(&engine, rig.plan()).await;
        assert_settled(&rig, &engine, &reset, &[old], "counted").await;
        // At each endpoint the old value before, twice after, and the new one as the control; and one verify of the new.
        assert_eq!(rig.issuer.counts().of("remint").of("use"), tries, "{endpoints} endpoints");
    }
}
