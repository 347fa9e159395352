//! What nobody knows: foreign versions wait for a decision, strangers are found, and nothing is deleted by itself.

use remint::engine::Engine;
use remint::engine::record::{DecisionWord, ResetStatus};
use remint_contract::{Material, ResetId};
use remint_core::machine::{Reason, State};
use remint_core::step::Step;
use remint_fake::world::{Fault, TargetSpec, Trouble};

use crate::rig::{Rig, assert_chained, assert_settled, told};

/// A reset that met a foreign version of `app0`: parked, found, and the intruder's key alive.
async fn met(rig: &Rig, engine: &Engine) -> (ResetId, String, Material) {
    let (version, key) = rig.issuer.plant("app0", "intruder", None).unwrap();
    let reset = rig.reset(engine, rig.plan()).await;
    assert_eq!(reset.status, ResetStatus::Resting);
    let record = engine.rotations(&reset.id).await.unwrap().remove(0);
    let reason = Reason::Foreign { versions: vec![version.clone()] };
    assert_eq!(record.rotation.state, State::Parked { step: Step::Sweep, reason });
    let findings = engine.findings(Some(&reset.id)).await.unwrap();
    assert_eq!(findings.len(), 1);
    assert_eq!((&findings[0].version, findings[0].label.as_str()), (&version, "app0 by intruder (not ours)"));
    assert!(rig.issuer.accepts(&key), "it was deleted by itself");
    (reset.id, findings[0].id.clone(), key)
}

#[tokio::test]
async fn a_foreign_version_that_is_revoked_is_gone_and_the_reset_settles() {
    let rig = Rig::start(1).await;
    let engine = rig.engine();
    let old = [rig.value(0)];
    let (id, finding, key) = met(&rig, &engine).await;
    let version = engine.findings(Some(&id)).await.unwrap().remove(0).version;
    let session = rig.issuer.open_session(&version).unwrap();
    // Asked again without a decision: still there, found once.
    engine.retry(&id, None).await.unwrap();
    engine.run(&id).await.unwrap();
    assert!(rig.issuer.accepts(&key));
    assert_eq!(engine.findings(Some(&id)).await.unwrap().len(), 1);

    engine.decide(&finding, DecisionWord::Revoke, "tester", "nobody knows it").await.unwrap();
    let reset = engine.run(&id).await.unwrap();
    assert!(!rig.issuer.accepts(&key));
    assert!(!rig.issuer.accepts(&session), "who was logged in with it still is");
    assert_settled(&rig, &engine, &reset, &old, "revoked").await;
    let kinds: Vec<String> = told(&engine, &id).await.into_iter().map(|(kind, ..)| kind).collect();
    for kind in ["foreign.found", "foreign.decided", "foreign.revoked"] {
        assert_eq!(kinds.iter().filter(|told| *told == kind).count(), 1, "{kind}");
    }
}

#[tokio::test]
async fn a_foreign_version_that_is_excepted_lives_and_is_listed() {
    let rig = Rig::start(1).await;
    let engine = rig.engine();
    let (id, finding, key) = met(&rig, &engine).await;
    engine.decide(&finding, DecisionWord::Except, "tester", "the auditor's").await.unwrap();
    assert_eq!(engine.run(&id).await.unwrap().status, ResetStatus::Provisional);
    assert!(rig.issuer.accepts(&key));
    engine.reprove(&id).await.unwrap();
    let completeness = assert_chained(&engine, &id).await.completeness().unwrap();
    let line = completeness.lines().find(|line| line.contains("System/bank version app0@")).unwrap();
    assert!(line.contains(r#""decision":"except""#) && line.contains(r#""outcome":"foreign""#), "{line}");
}

#[tokio::test]
async fn a_decided_version_that_does_not_die_keeps_the_reset_open() {
    let rig = Rig::start(1).await;
    let engine = rig.engine();
    let (id, finding, key) = met(&rig, &engine).await;
    let lie = rig.world.fault("bank", Fault::on("revoke", Trouble::Lie)).unwrap();
    engine.decide(&finding, DecisionWord::Revoke, "tester", "nobody knows it").await.unwrap();
    assert_eq!(engine.run(&id).await.unwrap().status, ResetStatus::Resting);
    assert!(rig.issuer.accepts(&key));
    rig.issuer.end_fault(lie);
    assert_eq!(engine.run(&id).await.unwrap().status, ResetStatus::Provisional);
    assert!(!rig.issuer.accepts(&key));
}

#[tokio::test]
async fn a_stranger_at_the_issuer_is_found_at_the_end_and_revoked_when_decided() {
    let rig = Rig::start(1).await;
    let engine = rig.engine();
    let old = [rig.value(0)];
    rig.issuer.add_target(TargetSpec::new("backdoor"));
    let (version, key) = rig.issuer.plant("backdoor", "intruder", None).unwrap();
    let reset = rig.reset(&engine, rig.plan()).await;
    assert_eq!(reset.status, ResetStatus::Resting);
    let findings = engine.findings(Some(&reset.id)).await.unwrap();
    assert_eq!(findings.len(), 1);
    assert_eq!((&findings[0].version, &findings[0].credential), (&version, &None));
    assert!(rig.issuer.accepts(&key));
    engine.decide(&findings[0].id, DecisionWord::Revoke, "tester", "nobody knows it").await.unwrap();
    let reset = engine.run(&reset.id).await.unwrap();
    assert!(!rig.issuer.accepts(&key));
    assert_settled(&rig, &engine, &reset, &old, "a stranger").await;
}
