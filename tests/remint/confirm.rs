//! Confirm: a consumer that is not seen on the new value keeps the old one alive, by name.

use remint::engine::record::ResetStatus;
use remint_contract::Ref;
use remint_core::machine::{Reason, State};
use remint_core::step::Step;

use crate::rig::{Rig, assert_settled, told};

/// What goes wrong at the workload `w0`, and how it ends.
enum Wrong {
    ReadsElsewhere,
    IgnoresReload,
}

async fn wrong(wrong: Wrong) {
    let rig = Rig::start(2).await;
    let engine = rig.engine();
    let old = [rig.value(0), rig.value(1)];
    match wrong {
        Wrong::ReadsElsewhere => rig.host.misread("w0", "apps/0", "keep/root"),
        Wrong::IgnoresReload => rig.host.ignore_reload("w0"),
    }
    let reset = rig.reset(&engine, rig.plan()).await;
    assert_eq!(reset.status, ResetStatus::Resting);
    let records = engine.rotations(&reset.id).await.unwrap();
    let w0: Ref = "Workload/w0".parse().unwrap();
    let reason = Reason::Unconfirmed { workloads: [w0].into() };
    assert_eq!(records[0].rotation.state, State::Parked { step: Step::Confirm, reason: reason.clone() });
    assert!(matches!(records[1].rotation.state, State::Settled { .. }), "the other goes on");
    assert!(rig.issuer.accepts(&old[0]), "the old value lives");
    assert_eq!(rig.issuer.live_versions("app0").len(), 2);
    let told = told(&engine, &reset.id).await;
    let why = &told.iter().find(|(kind, ..)| kind == "rotation.parked").unwrap().2["why"];
    assert_eq!(why, "not seen on the new version: Workload/w0; the old one lives");
    let revokes = told.iter().filter(|(kind, subject, body)| {
        kind == "effect.intended" && subject == "Credential/app0" && body["verb"] == "revoke"
    });
    assert_eq!(revokes.count(), 0);

    match wrong {
        Wrong::ReadsElsewhere => rig.host.misread("w0", "apps/0", "apps/0"),
        Wrong::IgnoresReload => rig.host.heed_reload("w0"),
    }
    assert_eq!(engine.retry(&reset.id, None).await.unwrap(), 1);
    let reset = engine.run(&reset.id).await.unwrap();
    assert_settled(&rig, &engine, &reset, &old, "after the workload reads the right value").await;
}

#[tokio::test]
async fn a_workload_that_reads_the_wrong_environment_is_caught_and_nothing_is_revoked() {
    wrong(Wrong::ReadsElsewhere).await;
}

#[tokio::test]
async fn a_workload_that_ignores_the_reload_is_caught_and_nothing_is_revoked() {
    wrong(Wrong::IgnoresReload).await;
}
