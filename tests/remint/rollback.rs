//! Rollback: what is parked before its old version was stopped goes back, and nobody is without a value meanwhile.

use std::collections::BTreeSet;
use std::sync::Arc;
use std::time::Duration;

use remint::engine::record::ResetStatus;
use remint::engine::{Engine, EngineError};
use remint::store::sqlite::SqliteStore;
use remint_contract::{Material, Ref, ResetId};
use remint_core::machine::State;
use remint_fake::world::{Fault, Trouble};

use crate::crash::{Dying, next_process};
use crate::rig::{Rig, assert_chained, assert_settled, told};

/// Parked at confirm, because `w0` ignores that it shall reload.
async fn parked(rig: &Rig, engine: &Engine) -> ResetId {
    rig.host.ignore_reload("w0");
    let reset = rig.reset(engine, rig.plan()).await;
    assert_eq!(reset.status, ResetStatus::Resting);
    assert_eq!(rig.issuer.live_versions("app0").len(), 2);
    reset.id
}

/// Readers see the old value, and the credential is open. The new version was sent to its places, so it lives: a write of it
/// may land late.
async fn assert_back(rig: &Rig, engine: &Engine, id: &ResetId, old: &Material, why: &str) {
    assert!(rig.issuer.accepts(old), "{why}: the old value was killed");
    assert!(rig.value(0).secret == old.secret, "{why}: readers see another value");
    let living = rig.issuer.live_versions("app0");
    assert_eq!(living.len(), 2, "{why}: the new version is dead: {living:?}");
    let records = engine.rotations(id).await.unwrap();
    assert_eq!(records[0].rotation.state, State::RolledBack, "{why}");
    assert_eq!(engine.reset(id).await.unwrap().status, ResetStatus::Resting, "{why}");
    assert_chained(engine, id).await;
}

fn app0() -> Ref {
    "Credential/app0".parse().unwrap()
}

#[tokio::test]
async fn what_is_parked_goes_back_under_traffic_and_forward_again_with_a_third_value() {
    let rig = Rig::start(2).await;
    let engine = rig.engine();
    let old = [rig.value(0), rig.value(1)];
    let traffic = rig.world.traffic(Duration::from_millis(5), &BTreeSet::default());
    let id = parked(&rig, &engine).await;
    let given_up = rig.value(0);
    assert!(given_up.secret != old[0].secret);
    let commands = &engine.parked(Some(&id)).await.unwrap()[0].commands;
    assert!(commands.iter().any(|command| command.starts_with("remint rollback ")), "{commands:?}");

    let back = engine.rollback(&id, Some(&app0()), "ada", "w0 cannot reload today").await.unwrap();
    assert_eq!((back.len(), &back[0].unfinished, back[0].killed), (1, &None, false));
    assert_back(&rig, &engine, &id, &old[0], "gone back").await;
    assert!(rig.issuer.accepts(&given_up));
    let said = told(&engine, &id).await;
    let moved = said.iter().find(|(_, _, body)| body["event"] == "rolled-back").unwrap();
    assert_eq!((&moved.2["by"], &moved.2["why"]), (&"ada".into(), &"w0 cannot reload today".into()));

    rig.host.heed_reload("w0");
    assert_eq!(engine.retry(&id, Some(&app0())).await.unwrap(), 1);
    let reset = engine.run(&id).await.unwrap();
    assert_settled(&rig, &engine, &reset, &old, "forward").await;
    assert!(!rig.issuer.accepts(&given_up));
    assert_eq!(traffic.stop().await.failures, []);
}

#[tokio::test]
async fn what_was_never_replaced_goes_back_though_its_old_value_could_not_be_kept() {
    let rig = Rig::start(1).await;
    let engine = rig.engine();
    let old = rig.value(0);
    rig.world.fault("shelf", Fault::on("read", Trouble::Forbid).from("remint").times(1)).unwrap();
    rig.world.fault("shelf", Fault::on("write", Trouble::Forbid).from("remint")).unwrap();
    let reset = rig.reset(&engine, rig.plan()).await;
    let back = engine.rollback(&reset.id, None, "ada", "not today").await.unwrap();
    assert_eq!(back[0].unfinished, None);
    assert!(rig.issuer.accepts(&old) && rig.value(0).secret == old.secret);
}

#[tokio::test]
async fn what_was_never_sent_anywhere_is_killed_when_it_goes_back() {
    let rig = Rig::start(1).await;
    let engine = rig.engine();
    let old = rig.value(0);
    rig.world.fault("bank", Fault::on("rights", Trouble::Forbid).from("remint")).unwrap();
    let reset = rig.reset(&engine, rig.plan()).await;
    let minted = rig.issuer.live_versions("app0").len();
    let back = engine.rollback(&reset.id, None, "ada", "not today").await.unwrap();
    assert_eq!((minted, &back[0].unfinished, back[0].killed), (2, &None, true));
    assert_eq!(rig.issuer.live_versions("app0").len(), 1);
    assert!(rig.issuer.accepts(&old));
}

#[tokio::test]
async fn the_new_value_lives_until_its_consumers_are_seen_on_the_old_one() {
    let rig = Rig::start(1).await;
    let engine = rig.engine();
    let old = rig.value(0);
    rig.host.misread("w0", "apps/0", "keep/root");
    let reset = rig.reset(&engine, rig.plan()).await;
    let back = engine.rollback(&reset.id, None, "ada", "wrong place").await.unwrap();
    let why = back[0].unfinished.as_deref().unwrap();
    assert_eq!(why, "not seen on the old version again: Workload/w0; the new one lives, too");
    assert_eq!(rig.issuer.live_versions("app0").len(), 2, "killed under a consumer that may use it");
    rig.host.misread("w0", "apps/0", "apps/0");
    let back = engine.rollback(&reset.id, None, "ada", "mended").await.unwrap();
    assert_eq!(back[0].unfinished, None);
    assert_back(&rig, &engine, &reset.id, &old, "mended").await;
}

#[tokio::test]
async fn what_was_revoked_settled_or_not_begun_does_not_go_back() {
    let rig = Rig::start(2).await;
    let engine = rig.engine();
    let lie = rig.world.fault("bank", Fault::on("revoke", Trouble::Lie).from("remint").times(1)).unwrap();
    let reset = rig.reset(&engine, rig.plan()).await;
    assert_eq!(rig.issuer.fault_hits(lie), 1);
    let records = engine.rotations(&reset.id).await.unwrap();
    let (stuck, settled): (Vec<_>, Vec<_>) =
        records.iter().partition(|record| matches!(record.rotation.state, State::Parked { .. }));
    let before = told(&engine, &reset.id).await;
    for (record, what) in
        [(stuck[0], "was stopped or killed, and that is not undone"), (settled[0], "only what is parked")]
    {
        let refused = engine.rollback(&reset.id, Some(&record.credential), "ada", "back").await;
        assert!(matches!(&refused, Err(EngineError::Refused(why)) if why.contains(what)), "{refused:?}");
    }
    let refused = engine.rollback(&reset.id, None, "ada", "back").await;
    assert!(matches!(&refused, Err(EngineError::Refused(why)) if why.contains("can go back")), "{refused:?}");
    let other = "Credential/root".parse().unwrap();
    let refused = engine.rollback(&reset.id, Some(&other), "ada", "back").await;
    assert!(matches!(&refused, Err(EngineError::Refused(why)) if why.contains("is not part of")), "{refused:?}");
    assert_eq!(told(&engine, &reset.id).await, before, "something was recorded");
}

#[tokio::test]
async fn a_rollback_that_dies_anywhere_is_finished_by_the_next_one_or_goes_forward() {
    let mut points = 0;
    for after in [false, true] {
        for at in 1.. {
            let why = format!("died {} commit {at}", if after { "after" } else { "before" });
            let rig = Rig::start(1).await;
            let old = [rig.value(0)];
            let store = Arc::new(SqliteStore::open(rig.folder.path()).unwrap());
            let id = parked(&rig, &rig.engine_over(Arc::clone(&store) as Arc<_>)).await;
            let dying = rig.engine_over(Arc::new(Dying::new(store, at, after)));
            let first = dying.rollback(&id, None, "ada", "back").await;
            drop(dying);
            if first.is_ok() {
                break;
            }
            points += 1;
            let engine = next_process(&rig).await;
            if at % 2 == 0 {
                let back = engine.rollback(&id, None, "ada", "again").await.unwrap();
                assert_eq!(back[0].unfinished, None, "{why}");
                assert_back(&rig, &engine, &id, &old[0], &why).await;
            }
            rig.host.heed_reload("w0");
            engine.retry(&id, None).await.unwrap();
            let reset = engine.run(&id).await.unwrap();
            assert_settled(&rig, &engine, &reset, &old, &why).await;
        }
    }
    assert!(points > 10, "{points} points");
}
