//! Every strategy and class: what each promises, in rolling mode and contained, through crashes, lag and stalls.

mod manual;

use std::collections::BTreeSet;
use std::time::Duration;

use remint_core::machine::{Reason, State};
use remint_core::plan::Plan;
use remint_core::step::Path;
use remint_fake::world::{Fault, Trouble};

use crate::crash::crash_here_and_there;
use crate::rig::{Rig, THINGS, assert_settled, told};
use crate::sorts::{Sort, estate_of};

fn on(rig: &Rig, path: Path) -> Plan {
    let mut plan = rig.plan();
    plan.members.iter_mut().for_each(|member| member.path = path);
    plan
}

/// One reset without any fault; what is true of every sort.
async fn reset(sort: Sort, path: Path) -> Rig {
    let rig = Rig::with(estate_of(sort)).await;
    let old = [rig.value(0)];
    assert!(rig.issuer.accepts(&old[0]), "{sort:?}");
    let traffic = rig.world.traffic(Duration::from_millis(5), &BTreeSet::default());
    let engine = rig.engine();
    let done = rig.reset(&engine, on(&rig, path)).await;
    assert_settled(&rig, &engine, &done, &old, &format!("{sort:?} {path}")).await;
    let seen = traffic.stop().await;
    // Neither an overwritten value nor a contained one promises that nobody fails.
    if path == Path::Rolling && sort != Sort::InPlace {
        assert_eq!(seen.failures, [], "{sort:?}");
    }
    assert_eq!((rig.issuer.early(), rig.issuer.stranded()), (Vec::new(), 0), "{sort:?}");
    rig
}

#[tokio::test]
async fn a_login_is_replaced_and_proven_dead() {
    reset(Sort::Login, Path::Rolling).await;
}

#[tokio::test]
async fn a_login_is_contained() {
    reset(Sort::Login, Path::Contain).await;
}

#[tokio::test]
async fn what_is_overwritten_is_replaced_and_proven_dead() {
    reset(Sort::InPlace, Path::Rolling).await;
}

#[tokio::test]
async fn what_is_overwritten_is_contained() {
    reset(Sort::InPlace, Path::Contain).await;
}

#[tokio::test]
async fn a_certificate_is_replaced_and_proven_dead() {
    reset(Sort::Certificate, Path::Rolling).await;
}

#[tokio::test]
async fn a_certificate_is_contained() {
    reset(Sort::Certificate, Path::Contain).await;
}

#[tokio::test]
async fn leases_are_replaced_and_proven_dead() {
    reset(Sort::Lease, Path::Rolling).await;
}

#[tokio::test]
async fn leases_are_contained() {
    reset(Sort::Lease, Path::Contain).await;
}

#[tokio::test]
async fn what_others_trust_is_replaced_and_proven_dead() {
    reset(Sort::Trusted, Path::Rolling).await;
}

#[tokio::test]
async fn what_others_trust_is_contained() {
    reset(Sort::Trusted, Path::Contain).await;
}

#[tokio::test]
async fn a_signing_key_is_replaced_and_proven_dead() {
    reset(Sort::SigningKey, Path::Rolling).await;
}

#[tokio::test]
async fn a_signing_key_is_contained() {
    reset(Sort::SigningKey, Path::Contain).await;
}

#[tokio::test]
async fn an_encryption_key_is_replaced_and_proven_dead() {
    reset(Sort::EncryptionKey, Path::Rolling).await;
}

#[tokio::test]
async fn an_encryption_key_is_contained() {
    reset(Sort::EncryptionKey, Path::Contain).await;
}

#[tokio::test]
async fn a_certificate_survives_crashes() {
    crash_here_and_there(estate_of(Sort::Certificate), Path::Rolling).await;
}

#[tokio::test]
async fn leases_survive_crashes() {
    crash_here_and_there(estate_of(Sort::Lease), Path::Rolling).await;
}

#[tokio::test]
async fn what_others_trust_survives_crashes() {
    crash_here_and_there(estate_of(Sort::Trusted), Path::Rolling).await;
}

#[tokio::test]
async fn a_signing_key_survives_crashes() {
    crash_here_and_there(estate_of(Sort::SigningKey), Path::Rolling).await;
}

#[tokio::test]
async fn an_encryption_key_survives_crashes() {
    crash_here_and_there(estate_of(Sort::EncryptionKey), Path::Rolling).await;
}

#[tokio::test]
async fn containment_of_every_new_sort_survives_crashes() {
    for sort in [Sort::Certificate, Sort::Lease, Sort::Trusted, Sort::SigningKey, Sort::EncryptionKey, Sort::Manual] {
        crash_here_and_there(estate_of(sort), Path::Contain).await;
    }
}

/// What a rotation rests on, in words.
async fn rests(engine: &remint::engine::Engine, id: &remint_contract::ResetId) -> State {
    engine.rotations(id).await.unwrap().remove(0).rotation.state
}

#[tokio::test]
async fn a_verifier_that_is_behind_is_waited_for() {
    for sort in [Sort::SigningKey, Sort::Trusted] {
        let rig = Rig::with(estate_of(sort)).await;
        // Behind, but not for as long as anything may take.
        rig.issuer.lag(1, Duration::from_millis(150));
        let (engine, old) = (rig.engine(), rig.value(0));
        let traffic = rig.world.traffic(Duration::from_millis(5), &BTreeSet::default());
        let mut plan = on(&rig, Path::Rolling);
        // It may be behind the old key, too: then the proof has no control there.
        plan.members[0].least_proof = remint_contract::ProofGrade::RefusedUncontrolled;
        let id = rig.approved(&engine, plan).await;
        engine.run(&id).await.unwrap();
        assert_eq!(traffic.stop().await.failures, []);
        assert_eq!(rests(&engine, &id).await, State::Settled { last: false });
        assert!(!rig.issuer.accepts(&old) && rig.issuer.accepts(&rig.value(0)));
        assert_eq!(rig.issuer.early(), [], "activated before every verifier knew it");
    }
}

#[tokio::test]
async fn a_verifier_that_never_learns_it_keeps_the_old_key_signing() {
    let mut rig = Rig::with(estate_of(Sort::SigningKey)).await;
    rig.settings.patience = Duration::from_millis(200);
    rig.issuer.lag(1, Duration::from_hours(1));
    let (engine, old) = (rig.engine(), rig.value(0));
    let before = rig.issuer.in_use("app0");
    let mut plan = on(&rig, Path::Rolling);
    // A verifier that is so far behind did not know the old key either: the proof has no control there.
    plan.members[0].least_proof = remint_contract::ProofGrade::RefusedUncontrolled;
    let id = rig.approved(&engine, plan).await;
    engine.run(&id).await.unwrap();
    let State::Parked { reason: Reason::Untrusted { verifiers }, .. } = rests(&engine, &id).await else {
        panic!("{:?}", rests(&engine, &id).await)
    };
    assert_eq!(verifiers, [rig.issuer.urls()[1].clone()]);
    assert!(rig.issuer.accepts(&old));
    assert_eq!(rig.issuer.in_use("app0"), before);
    rig.issuer.lag(1, Duration::ZERO);
    engine.retry(&id, None).await.unwrap();
    engine.run(&id).await.unwrap();
    assert_eq!(rests(&engine, &id).await, State::Settled { last: false });
    assert!(!rig.issuer.accepts(&old));
}

#[tokio::test]
async fn a_verifier_that_ignores_the_bundle_parks_the_change_by_name() {
    let mut rig = Rig::with(estate_of(Sort::Trusted)).await;
    rig.settings.patience = Duration::from_millis(200);
    rig.host.ignore_reload("v0");
    let (engine, old) = (rig.engine(), rig.value(0));
    let id = rig.approved(&engine, on(&rig, Path::Rolling)).await;
    engine.run(&id).await.unwrap();
    let State::Parked { reason: Reason::Untrusted { verifiers }, .. } = rests(&engine, &id).await else { panic!() };
    assert_eq!(verifiers, ["Workload/v0"]);
    assert!(rig.issuer.accepts(&old));
    rig.host.heed_reload("v0");
    engine.retry(&id, None).await.unwrap();
    let done = engine.run(&id).await.unwrap();
    assert_settled(&rig, &engine, &done, &[old], "it listens").await;
}

#[tokio::test]
async fn what_others_put_into_a_bundle_stays_there() {
    let rig = Rig::with(estate_of(Sort::Trusted)).await;
    let keys = |rig: &Rig| rig.store.value("trust/all", "keys").unwrap().expose_str().unwrap().to_owned();
    let theirs = format!("somebody-else\n{}", keys(&rig));
    rig.store.put("trust/all", &[("keys", &remint_contract::SecretValue::from(theirs))]).unwrap();
    let old = rig.value(0).username.unwrap();
    rig.reset(&rig.engine(), on(&rig, Path::Rolling)).await;
    let new = rig.value(0).username.unwrap();
    assert_eq!(keys(&rig), format!("somebody-else\n{new}\n"));
    assert_ne!(old, new);
}

#[tokio::test]
async fn what_the_old_key_signed_lives_out_its_time_and_containment_does_not_wait_for_it() {
    for (path, waits) in [(Path::Rolling, true), (Path::Contain, false)] {
        let rig = Rig::with(estate_of(Sort::SigningKey)).await;
        let engine = rig.engine();
        let done = rig.reset(&engine, on(&rig, path)).await;
        let told = told(&engine, &done.id).await;
        let moments = engine.store.entries_of(&done.id).await.unwrap();
        let at = |word: &str, verb: &str| {
            let index = told.iter().position(|told| told.0 == word && told.2["verb"] == verb).unwrap();
            let entry = remint_evidence_format::entry::parse(&moments[index].bytes).unwrap();
            entry.at.parse::<jiff::Timestamp>().unwrap()
        };
        let drained = told.iter().any(|told| told.2["step"] == "drain");
        assert_eq!(drained, waits, "{path}");
        if waits {
            let (retired, began) = (at("effect.intended", "revoke"), at("effect.intended", "promote"));
            assert!(retired.duration_since(began).unsigned_abs() >= Duration::from_millis(50));
        }
    }
}

#[tokio::test]
async fn a_rewrap_that_stalls_stops_no_key_and_loses_nothing() {
    let mut rig = Rig::with(estate_of(Sort::EncryptionKey)).await;
    rig.settings.patience = Duration::from_millis(200);
    let (engine, old) = (rig.engine(), rig.value(0));
    let version = rig.issuer.in_use("app0").unwrap();
    let stall = rig.issuer.fault(Fault::on("rewrap", Trouble::Lie).after(2));
    let id = rig.approved(&engine, on(&rig, Path::Rolling)).await;
    engine.run(&id).await.unwrap();
    let State::Parked { reason: Reason::Encrypted { left }, .. } = rests(&engine, &id).await else {
        panic!("{:?}", rests(&engine, &id).await)
    };
    assert_eq!(left, THINGS - 6);
    assert_eq!(rig.issuer.encrypted_under(&version), usize::try_from(left).unwrap());
    assert!(rig.issuer.accepts(&old) && rig.issuer.stranded() == 0);
    rig.issuer.end_fault(stall);
    engine.retry(&id, None).await.unwrap();
    let done = engine.run(&id).await.unwrap();
    assert_settled(&rig, &engine, &done, &[old], "it went on").await;
    assert_eq!((rig.issuer.encrypted_under(&version), rig.issuer.stranded()), (0, 0));
}

#[tokio::test]
async fn an_old_encryption_key_is_destroyed_only_by_a_decision_of_its_own() {
    let rig = reset(Sort::EncryptionKey, Path::Rolling).await;
    let engine = rig.engine();
    let id = engine.resets().await.unwrap().remove(0).id;
    let facts = engine.rotations(&id).await.unwrap().remove(0).rotation.facts;
    let (old, new) = (facts.old.unwrap().id.unwrap(), facts.new.unwrap().id.unwrap());
    let left = told(&engine, &id).await.into_iter().find(|told| told.0 == "residue.left").unwrap();
    assert!(left.2["residue"][0].as_str().unwrap().contains(&format!("old version {old} disabled")), "{left:?}");
    assert_eq!(rig.issuer.counts().of("remint").of("revoke"), 0);
    let credential = "Credential/app0".parse().unwrap();
    let destroy = |version| engine.destroy(&id, &credential, version, "tester", "nothing needs it");
    let refused = destroy(&new).await.unwrap_err().to_string();
    assert!(refused.contains("is the version in use"), "{refused}");
    // Somebody brought it back and encrypted under it: it is needed again.
    rig.issuer.enable(&old);
    assert!(destroy(&old).await.unwrap_err().to_string().contains("is not stopped"));
    rig.issuer.encrypt_under(&old, 1);
    assert!(destroy(&old).await.unwrap_err().to_string().contains("1 things are still encrypted"));
    rig.issuer.encrypt_under(&new, 1);
    rig.issuer.disable(&old);
    assert_eq!(rig.issuer.counts().of("remint").of("revoke"), 0);
    assert!(destroy(&old).await.is_err(), "one thing is left under it");
    rig.issuer.forget_data(&old);
    let lost = rig.issuer.fault(Fault::on("revoke", Trouble::LostAfter).from("remint").times(1));
    assert!(destroy(&old).await.is_err());
    assert_eq!(rig.issuer.fault_hits(lost), 1);
    destroy(&old).await.unwrap();
    let living: Vec<_> = rig.issuer.live_versions("app0").into_iter().map(|live| live.version).collect();
    assert_eq!(living, [new]);
}

#[tokio::test]
async fn a_revocation_list_that_is_late_is_waited_for_and_one_that_never_comes_parks() {
    let mut rig = Rig::with(crate::rig::Shape { endpoints: 2, ..estate_of(Sort::Certificate) }).await;
    rig.issuer.lag(1, Duration::from_millis(150));
    let (engine, old) = (rig.engine(), [rig.value(0)]);
    let done = rig.reset(&engine, on(&rig, Path::Rolling)).await;
    assert_settled(&rig, &engine, &done, &old, "late").await;
    rig.forget();
    rig.settings.patience = Duration::from_millis(200);
    rig.issuer.lag(1, Duration::from_hours(1));
    let engine = rig.engine();
    let id = rig.approved(&engine, on(&rig, Path::Rolling)).await;
    engine.run(&id).await.unwrap();
    let State::Parked { reason: Reason::Alive { endpoints }, .. } = rests(&engine, &id).await else {
        panic!("{:?}", rests(&engine, &id).await)
    };
    assert_eq!(endpoints, [rig.issuer.urls()[1].clone()]);
}

#[tokio::test]
async fn a_lease_from_before_is_refused_and_one_from_after_is_not() {
    let rig = Rig::with(estate_of(Sort::Lease)).await;
    // Fetched by somebody who reloads nothing.
    let stale = rig.value(0);
    let engine = rig.engine();
    let done = rig.reset(&engine, on(&rig, Path::Rolling)).await;
    assert!(!rig.issuer.accepts(&stale));
    assert_eq!(rig.world.work("floor", "w0").await.unwrap(), Vec::<String>::new());
    // The sample in capture was a lease, and the only thing minted a generation.
    assert_eq!(rig.issuer.live_versions("app0").len(), 1);
    let record = engine.rotations(&done.id).await.unwrap().remove(0);
    assert_eq!(record.rotation.facts.proof, Some(remint_contract::ProofGrade::Refused));
}

#[tokio::test]
async fn a_full_quota_names_what_fills_it_and_only_what_was_decided_goes() {
    let mut shape = estate_of(Sort::Login);
    shape.slots = remint_contract::Slots::Two;
    let rig = Rig::with(shape).await;
    let (engine, old) = (rig.engine(), rig.value(0));
    let (foreign, _) = rig.issuer.plant("app0", "who-knows", None).unwrap();
    let id = rig.approved(&engine, on(&rig, Path::Rolling)).await;
    engine.run(&id).await.unwrap();
    let State::Parked { reason: Reason::Full { versions, held_by }, .. } = rests(&engine, &id).await else {
        panic!("{:?}", rests(&engine, &id).await)
    };
    assert_eq!(versions, std::slice::from_ref(&foreign));
    assert!(held_by[0].contains("not ours"), "{held_by:?}");
    assert_eq!(rig.issuer.live_versions("app0").len(), 2, "nothing was touched");
    let finding = engine.findings(Some(&id)).await.unwrap().remove(0);
    engine.decide(&finding.id, remint::engine::record::DecisionWord::Revoke, "tester", "nobody's").await.unwrap();
    let done = engine.run(&id).await.unwrap();
    assert_settled(&rig, &engine, &done, &[old], "there was room").await;
}

#[tokio::test]
async fn a_leftover_of_our_own_is_told_apart_from_what_is_foreign() {
    let mut shape = estate_of(Sort::Login);
    shape.slots = remint_contract::Slots::Two;
    let rig = Rig::with(shape).await;
    let engine = rig.engine();
    // A reset that minted, could not write, and was given up by those who ran it.
    let forbidden = rig.store.fault(Fault::on("write", Trouble::Forbid).from("remint"));
    let first = rig.approved(&engine, on(&rig, Path::Rolling)).await;
    engine.run(&first).await.unwrap();
    assert!(matches!(rests(&engine, &first).await, State::Parked { .. }));
    rig.store.end_fault(forbidden);
    let ours = rig.issuer.live_versions("app0").pop().unwrap();
    let owner = remint::store::Key { kind: "owner", id: "Credential/app0".to_owned() };
    let freed = remint::store::Change { deletes: vec![owner], ..remint::store::Change::default() };
    engine.store.commit(freed).await.unwrap();
    let second = rig.approved(&engine, on(&rig, Path::Rolling)).await;
    engine.run(&second).await.unwrap();
    let State::Parked { reason: Reason::Full { held_by, versions }, .. } = rests(&engine, &second).await else {
        panic!("{:?}", rests(&engine, &second).await)
    };
    assert_eq!(versions, std::slice::from_ref(&ours.version));
    let operation = ours.operation.unwrap();
    assert!(
        held_by[0].contains(&format!("left over by our own operation {operation} of reset {first}")),
        "{held_by:?}"
    );
    // Offered, and taken away only on somebody's word.
    assert_eq!(rig.issuer.live_versions("app0").len(), 2);
    let finding = engine.findings(Some(&second)).await.unwrap().remove(0);
    assert!(finding.label.contains("left over by our own operation"), "{finding:?}");
    engine.decide(&finding.id, remint::engine::record::DecisionWord::Revoke, "tester", "ours").await.unwrap();
    let old = rig.value(0);
    let done = engine.run(&second).await.unwrap();
    assert_settled(&rig, &engine, &done, &[old], "there was room").await;
}
