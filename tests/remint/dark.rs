//! Dark, withheld, cut, and Remint's own: members that do not simply roll.

use std::collections::BTreeSet;

use remint::engine::Progress;
use remint::engine::record::ResetStatus;
use remint_contract::{Material, ProofGrade, Ref};
use remint_core::estate::Destination;
use remint_core::machine::State;
use remint_core::plan::{Plan, Precedence, Row};
use remint_core::step::{Path, Step};
use remint_fake::world::{Fault, Trouble};

use crate::rig::{Rig, assert_settled, told};

fn runner() -> Ref {
    "Workload/w0".parse().unwrap()
}

/// The only reader of the first member is dirty: it is killed and stays dark.
fn dark(rig: &Rig) -> Plan {
    let mut plan = rig.plan();
    plan.from = vec![runner()];
    plan.dirty = BTreeSet::from([runner()]);
    let member = &mut plan.members[0];
    member.path = Path::Contain;
    member.dark = true;
    member.withheld = std::mem::take(&mut member.destinations);
    member.dirty_consumers = std::mem::take(&mut member.consumers);
    plan
}

#[tokio::test]
async fn a_dark_credential_dies_and_mints_nothing_before_its_reader_is_clean() {
    let rig = Rig::start(1).await;
    let engine = rig.engine();
    let old = [rig.value(0)];
    let reset = rig.reset(&engine, dark(&rig)).await;
    assert_eq!(reset.status, ResetStatus::Resting);
    let record = engine.rotations(&reset.id).await.unwrap().remove(0);
    assert!(matches!(record.rotation.state, State::Dark { .. }), "{:?}", record.rotation.state);
    assert!(!rig.issuer.accepts(&old[0]));
    let living = rig.issuer.live_versions("app0");
    assert!(living.iter().all(|version| version.disabled) && living.len() == 1, "{living:?}");
    assert_eq!(rig.issuer.counts().of("remint").of("mint"), 0);
    // Nothing happens by itself.
    engine.run(&reset.id).await.unwrap();
    assert_eq!(rig.issuer.counts().of("remint").of("mint"), 0);

    engine.clean(&reset.id, &runner(), "tester", "rebuilt").await.unwrap();
    let reset = engine.run(&reset.id).await.unwrap();
    assert_settled(&rig, &engine, &reset, &old, "after clean").await;
    assert_eq!(rig.world.work("floor", "w0").await, Some(Vec::new()), "the workload works again");
}

#[tokio::test]
async fn a_dark_credential_that_rolls_keeps_its_old_value_until_its_reader_is_clean() {
    let rig = Rig::start(2).await;
    let engine = rig.engine();
    let old = [rig.value(0), rig.value(1)];
    let mut plan = dark(&rig);
    plan.members[0].path = Path::Rolling;
    // What would let it go on is over before it is clean.
    plan.precedences = vec![Precedence { before: (1, Step::Sweep), after: (0, Step::Mint), row: Row::Outlives }];
    let reset = rig.reset(&engine, plan).await;
    assert_eq!(reset.status, ResetStatus::Resting);
    assert!(rig.issuer.accepts(&old[0]) && !rig.issuer.accepts(&old[1]));
    assert_eq!(rig.issuer.live_versions("app0").len(), 1, "something was minted");
    let [waits] = &engine.parked(Some(&reset.id)).await.unwrap()[..] else { panic!("one member waits") };
    assert!(waits.reason.ends_with("until Workload/w0 is clean"), "{}", waits.reason);
    assert_eq!(waits.commands, [format!("remint clean Workload/w0 --reset {} --reason …", reset.id)]);
    engine.clean(&reset.id, &runner(), "tester", "rebuilt").await.unwrap();
    let reset = engine.run(&reset.id).await.unwrap();
    assert_settled(&rig, &engine, &reset, &old, "after clean").await;
}

#[tokio::test]
async fn a_node_that_is_not_dirty_cannot_be_cleaned() {
    let rig = Rig::start(1).await;
    let engine = rig.engine();
    let id = rig.approved(&engine, dark(&rig)).await;
    let other: Ref = "Workload/other".parse().unwrap();
    let refused = engine.clean(&id, &other, "tester", "rebuilt").await.unwrap_err();
    assert_eq!(
        refused.to_string(),
        format!("Workload/other is not a dirty node of reset {id}; those are: Workload/w0")
    );
}

#[tokio::test]
async fn a_withheld_place_gets_nothing_before_clean_and_the_value_after() {
    let rig = Rig::start(1).await;
    let engine = rig.engine();
    let old = [rig.value(0)];
    let planted = Material::of("old-copy-of-the-value".into());
    rig.store.put("runner/0", &[("secret", &planted.secret)]).unwrap();
    let mut plan = rig.plan();
    plan.from = vec![runner()];
    plan.dirty = BTreeSet::from(["Workload/runner".parse().unwrap()]);
    plan.from = plan.dirty.iter().cloned().collect();
    let at = "shelf:runner/0".parse().unwrap();
    let place = Destination { at, source: false, ..plan.members[0].destinations[0].clone() };
    plan.members[0].withheld.push(place);

    let reset = rig.reset(&engine, plan).await;
    assert_eq!(reset.status, ResetStatus::Resting, "it is not complete while a place is withheld");
    let record = engine.rotations(&reset.id).await.unwrap().remove(0);
    assert!(matches!(record.rotation.state, State::Settled { .. }));
    assert!(!rig.issuer.accepts(&old[0]));
    let there = || rig.store.value("runner/0", "secret").unwrap();
    assert_eq!(there(), planted.secret);
    // It says what it waits for, and what to do.
    let [waits] = &engine.parked(Some(&reset.id)).await.unwrap()[..] else { panic!("one member waits") };
    let until = "shelf:runner/0 is withheld until Workload/runner is clean";
    assert!(waits.reason.ends_with(until), "{}", waits.reason);
    assert_eq!(waits.commands, [format!("remint clean Workload/runner --reset {} --reason …", reset.id)]);

    engine.clean(&reset.id, &"Workload/runner".parse().unwrap(), "tester", "rebuilt").await.unwrap();
    let reset = engine.run(&reset.id).await.unwrap();
    assert_settled(&rig, &engine, &reset, &old, "after clean").await;
    assert_eq!(there(), rig.value(0).secret);
}

#[tokio::test]
async fn a_cut_is_all_dead_before_any_of_it_is_delivered_and_its_outage_is_announced() {
    let rig = Rig::start(2).await;
    let engine = rig.engine();
    let old = [rig.value(0), rig.value(1)];
    let mut watch = engine.watch();
    let reset = rig.reset(&engine, rig.cut()).await;
    assert_settled(&rig, &engine, &reset, &old, "cut").await;

    let told = told(&engine, &reset.id).await;
    let at = |wanted: &dyn Fn(&str, &serde_json::Value) -> bool| -> Vec<usize> {
        let found = told.iter().enumerate().filter(|(_, (kind, _, body))| wanted(kind, body));
        found.map(|(number, _)| number).collect()
    };
    let proven = at(&|kind, _| kind == "old.refused");
    let delivered = at(&|kind, body| kind == "effect.intended" && body["verb"] == "write");
    assert_eq!((proven.len(), delivered.len()), (4, 2), "each is proven when it is disabled, and when it is revoked");
    assert!(proven[1] < delivered[0], "{proven:?} {delivered:?}");

    let mut outages = Vec::new();
    while let Ok(progress) = watch.try_recv() {
        if let Progress::Outage { cut, began, .. } = progress {
            outages.push((cut, began));
        }
    }
    assert_eq!(outages, [(0, true), (0, false)]);
}

#[tokio::test]
async fn remints_own_credential_is_replaced_while_everything_else_is_too() {
    let rig = Rig::start(6).await;
    let engine = rig.engine();
    let old: Vec<Material> = (0..6).map(|index| rig.value(index)).collect();
    let root = || Material::of(rig.store.value("keep/root", "secret").unwrap());
    let old_root = root();
    let plan = rig.with_own();
    let reset = rig.reset(&engine, plan).await;
    assert_settled(&rig, &engine, &reset, &old, "with its own credential").await;
    assert!(!rig.issuer.accepts(&old_root) && rig.issuer.accepts(&root()));
    assert_eq!(rig.issuer.live_versions("root").len(), 1);
    let own = engine.rotations(&reset.id).await.unwrap().pop().unwrap();
    assert_eq!(own.rotation.facts.proof, Some(ProofGrade::Refused));
    // And it can act again, with the new one.
    engine.reprove(&reset.id).await.unwrap();
    let old = [rig.value(0)];
    let mut plan = rig.plan();
    plan.members.truncate(1);
    plan.waves = vec![vec![0]];
    let reset = rig.reset(&engine, plan).await;
    assert_settled(&rig, &engine, &reset, &old, "the next reset").await;
}

#[tokio::test]
async fn a_withheld_place_that_cannot_be_written_stays_withheld_and_is_tried_again() {
    let rig = Rig::start(1).await;
    let engine = rig.engine();
    let node: Ref = "Workload/runner".parse().unwrap();
    let mut plan = rig.plan();
    plan.from = vec![node.clone()];
    plan.dirty = BTreeSet::from([node.clone()]);
    let at = "shelf:runner/0".parse().unwrap();
    let place = Destination { at, source: false, ..plan.members[0].destinations[0].clone() };
    plan.members[0].withheld.push(place);
    let reset = rig.reset(&engine, plan).await;
    engine.clean(&reset.id, &node, "tester", "rebuilt").await.unwrap();
    let forbidden = rig.world.fault("shelf", Fault::on("write", Trouble::Forbid)).unwrap();
    assert_eq!(engine.run(&reset.id).await.unwrap().status, ResetStatus::Resting);
    assert_eq!(rig.store.value("runner/0", "secret"), None);
    rig.store.end_fault(forbidden);
    // A lost answer on the way changes nothing.
    rig.world.fault("shelf", Fault::on("promote", Trouble::LostAfter).times(1)).unwrap();
    let mut reset = engine.run(&reset.id).await.unwrap();
    if reset.status == ResetStatus::Resting {
        reset = engine.run(&reset.id).await.unwrap();
    }
    assert_eq!(reset.status, ResetStatus::Provisional);
    assert_eq!(rig.store.value("runner/0", "secret"), Some(rig.value(0).secret));
}
