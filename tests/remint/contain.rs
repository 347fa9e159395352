//! Contain: everything in scope is stopped before anything but Remint's own means is replaced, and nobody waits for what
//! fails. A running reset may turn to it, and a more urgent one takes over what a less urgent one has begun.

use std::collections::BTreeSet;
use std::sync::Arc;
use std::time::Duration;

use remint::engine::escalate::Escalation;
use remint::engine::record::{ResetStatus, Urgency};
use remint::engine::reset::Request;
use remint::engine::{Engine, EngineError};
use remint_contract::{Material, Ref, Verb};
use remint_core::estate::Destination;
use remint_core::machine::State;
use remint_core::plan::{Node, Plan, Precedence, Row, plan};
use remint_core::step::{Path, Step};
use remint_fake::world::{Fault, Trouble};

use crate::rig::{Rig, assert_settled, told};

mod quiet;
mod watched;

use watched::{OnlyWatched, Watched};

/// An engine whose issuer is watched.
fn watched(rig: &Rig, failing: BTreeSet<String>) -> (Engine, Arc<Watched>) {
    let watched = Arc::new(Watched { failing, ..Watched::default() });
    let mut engine = rig.engine();
    engine.kinds = Arc::new(OnlyWatched(Arc::clone(&watched)));
    (engine, watched)
}

/// Everything is contained; Remint's own credential is replaced before anything is stopped with it.
fn contained(rig: &Rig) -> Plan {
    let mut plan = rig.with_own();
    let own = plan.members.len() - 1;
    for (index, member) in plan.members.iter_mut().enumerate().filter(|(index, _)| *index != own) {
        member.path = Path::Contain;
        plan.precedences.push(Precedence {
            before: (own, Step::Confirm),
            after: (index, Step::Disable),
            row: Row::RemintActs,
        });
    }
    plan
}

fn is(verb: Verb, target: &str) -> impl Fn(&watched::Asked) -> bool + '_ {
    move |asked| asked.done && asked.verb == verb && asked.target == target
}

#[tokio::test]
async fn everything_is_stopped_before_anything_is_replaced_and_what_fails_keeps_nobody_waiting() {
    const COUNT: usize = 300;
    let mut rig = Rig::start(COUNT).await;
    rig.settings.host.tries = 3;
    // Each try is counted at the target, so no circuit may keep one back.
    rig.settings.host.failures = u32::MAX;
    let failing: BTreeSet<String> = (0..COUNT).step_by(10).map(|index| format!("app{index}")).collect();
    let (engine, watched) = watched(&rig, failing.clone());
    let old: Vec<Material> = (0..COUNT).map(|index| rig.value(index)).collect();
    let reset = rig.reset(&engine, contained(&rig)).await;

    // Remint's own means first, and nothing else before all is stopped.
    let own = watched.places(is(Verb::Mint, "root"))[0];
    let stopped = watched.places(|asked| asked.done && asked.verb == Verb::Disable);
    let replaced = watched.places(|asked| asked.verb == Verb::Mint && asked.target != "root");
    assert_eq!((stopped.len(), replaced.len()), (COUNT - failing.len(), COUNT - failing.len()));
    assert!(own < stopped[0], "Remint acted with a value that the attacker may have");
    assert!(stopped.last() < replaced.first(), "something was replaced before all was stopped");
    assert!(watched.places(is(Verb::Revoke, "root"))[0] < replaced[0], "its own old value outlived the containment");

    // One try of each before a second one of any.
    let tries = watched.places(|asked| !asked.done && asked.verb == Verb::Disable);
    assert_eq!(tries.len(), failing.len() * 4, "one at first, three with patience");
    assert!(*stopped.last().unwrap() < tries[failing.len()], "a second try came before somebody's first");

    let records = engine.rotations(&reset.id).await.unwrap();
    for record in &records[..COUNT] {
        let index: usize = record.credential.name.as_str().trim_start_matches("app").parse().unwrap();
        let old = &old[index];
        let fails = failing.contains(record.credential.name.as_str());
        let settled = matches!(record.rotation.state, State::Settled { .. });
        assert_eq!((rig.issuer.accepts(old), settled), (fails, !fails), "{record:?}");
    }
    let missing: BTreeSet<String> =
        engine.not_contained(&reset).await.unwrap().iter().map(|credential| credential.name.to_string()).collect();
    assert_eq!(missing, failing);
    assert_eq!(reset.status, ResetStatus::Resting);
}

#[tokio::test]
async fn a_circuit_that_failing_targets_open_parks_nobody_else() {
    const COUNT: usize = 100;
    let mut rig = Rig::start(COUNT).await;
    // What fails is stopped first, and so stands first in line for every try.
    (rig.settings.host.tries, rig.settings.host.failures) = (3, 2);
    rig.settings.host.backoff = Duration::from_millis(1);
    let failing: BTreeSet<String> = (0..COUNT).step_by(4).map(|index| format!("app{index}")).collect();
    let (engine, _) = watched(&rig, failing.clone());
    let reset = rig.reset(&engine, contained(&rig)).await;
    for record in &engine.rotations(&reset.id).await.unwrap()[..COUNT] {
        let settled = matches!(record.rotation.state, State::Settled { .. });
        assert_eq!(settled, !failing.contains(record.credential.name.as_str()), "{record:?}");
    }
}

/// The plan of the planner: a leaked identity with everything.
fn leaked(rig: &Rig, engine: &Engine) -> Plan {
    let from: Ref = "Identity/apps".parse().unwrap();
    let request = remint_core::plan::Request::new(vec![Node::Doc(from)]);
    plan(&rig.estate, &request, &*engine.kinds, engine.context.clock.now()).unwrap()
}

#[tokio::test]
async fn a_running_reset_turns_to_contain_and_kills_what_it_minted() {
    let rig = Rig::start(2).await;
    let (engine, watched) = watched(&rig, BTreeSet::new());
    let old: Vec<Material> = (0..2).map(|index| rig.value(index)).collect();
    // app0 cannot be reloaded: it stays on the rolling path with its new value minted and delivered.
    let stuck = rig.world.fault("floor", Fault::on("reload", Trouble::Broken)).unwrap();
    let first = rig.reset(&engine, leaked(&rig, &engine)).await;
    assert_eq!(first.status, ResetStatus::Resting);
    let half = rig.value(0);
    assert!(rig.issuer.accepts(&old[0]) && rig.issuer.accepts(&half) && half.secret != old[0].secret);

    let asked = Escalation {
        contain: Some("name=app0".parse().unwrap()),
        reason: "it is used".to_owned(),
        by: "tester".to_owned(),
        ..Escalation::default()
    };
    let (waiting, delta) = engine.escalate(&first.id, asked.clone()).await.unwrap();
    let turned: Vec<_> = delta.iter().map(|turn| (turn.credential.to_string(), turn.from, turn.to)).collect();
    assert_eq!(turned, [("Credential/app0".to_owned(), Path::Rolling, Path::Contain)]);
    let revision = waiting.revision.unwrap();
    assert_eq!(revision.plan.parent, Some(first.plan.digest), "the approval is one of the difference");
    assert_eq!((waiting.plan.digest, revision.plan.digest), (first.plan.digest, revision.plan.recompute()));
    // Until it is approved the plan goes on as it is.
    engine.run(&first.id).await.unwrap();
    assert!(rig.issuer.accepts(&old[0]));

    rig.world.service("floor").unwrap().end_fault(stuck);
    engine.approve(&first.id, "tester").await.unwrap();
    engine.retry(&first.id, None).await.unwrap();
    let reset = engine.run(&first.id).await.unwrap();
    assert_settled(&rig, &engine, &reset, &old, "after the escalation").await;
    assert!(!rig.issuer.accepts(&half), "what was minted before the escalation lives");
    let record = engine.rotations(&reset.id).await.unwrap().remove(0);
    assert_eq!(record.rotation.facts.also.len(), 1);
    let (killed, minted) = (watched.places(is(Verb::Revoke, "app0"))[0], watched.places(is(Verb::Mint, "app0"))[1]);
    assert!(killed < minted, "a third value was minted before the second was dead");
    assert!(matches!(engine.escalate(&first.id, asked).await, Err(EngineError::Refused(_))));
}

#[tokio::test]
async fn a_run_that_goes_on_while_its_plan_is_revised_begins_again_with_the_new_one() {
    let mut rig = Rig::start(1).await;
    rig.settings.patience = Duration::from_secs(1);
    let (engine, _) = watched(&rig, BTreeSet::new());
    let old = [rig.value(0)];
    // Its consumer never shows: the run waits at confirm.
    rig.host.ignore_reload("w0");
    let id = rig.approved(&engine, leaked(&rig, &engine)).await;
    let running = tokio::spawn({
        let (engine, id) = (engine.clone(), id.clone());
        async move { engine.run(&id).await }
    });
    while rig.host.counts().of("remint").of("reload") == 0 {
        tokio::task::yield_now().await;
    }
    let contain = Some("name=app0".parse().unwrap());
    engine.escalate(&id, Escalation { contain, ..Escalation::default() }).await.unwrap();
    rig.host.heed_reload("w0");
    engine.approve(&id, "tester").await.unwrap();
    let reset = running.await.unwrap().unwrap();
    assert_settled(&rig, &engine, &reset, &old, "revised while it ran").await;
    let record = engine.rotations(&id).await.unwrap().remove(0);
    assert!(record.rotation.facts.ended.contains(&Step::Disable), "{record:?}");
}

/// Asks for a plan by how urgent it is, and approves it.
async fn approved_as(rig: &Rig, engine: &Engine, plan: Plan, urgency: Urgency) -> remint_contract::ResetId {
    let id = engine.context.reset().unwrap();
    let request = Request {
        id: id.clone(),
        plan,
        estate: rig.estate.clone(),
        reason: "INC-3".to_owned(),
        by: "tester".to_owned(),
        at: engine.context.clock.now(),
    };
    engine.request_as(request, urgency, None).await.unwrap();
    engine.approve(&id, "tester").await.unwrap();
    id
}

async fn state_of(engine: &Engine, id: &remint_contract::ResetId, index: usize) -> State {
    engine.rotations(id).await.unwrap().remove(index).rotation.state
}

#[tokio::test]
async fn a_more_urgent_reset_takes_over_and_the_lower_run_records_nothing_more_of_it() {
    let rig = Rig::start(2).await;
    let (low, watched) = watched(&rig, BTreeSet::new());
    let old: Vec<Material> = (0..2).map(|index| rig.value(index)).collect();
    let mut plan = rig.plan();
    for member in &mut plan.members {
        member.confirm_within = Duration::from_mins(1);
    }
    rig.host.ignore_reload("w0");
    let lower = approved_as(&rig, &low, plan, Urgency::Scheduled).await;
    let running = tokio::spawn({
        let (low, lower) = (low.clone(), lower.clone());
        async move { low.run(&lower).await }
    });
    while rig.host.counts().of("remint").of("reload") < 2 {
        tokio::task::yield_now().await;
    }
    let half = rig.value(0);
    // Another process, as far as the first one knows.
    let mut high = Engine::new(
        Arc::clone(&low.store),
        Arc::clone(&low.escrow),
        Arc::clone(&low.kinds),
        low.rules.clone(),
        low.context.clone(),
        low.settings.clone(),
    );
    high.settings.holder = "another".to_owned();
    let mut plan = rig.plan();
    plan.members.truncate(1);
    plan.waves = vec![vec![0]];
    plan.members[0].path = Path::Contain;
    rig.host.heed_reload("w0");
    let higher = approved_as(&rig, &high, plan, Urgency::Contain).await;
    assert_eq!(state_of(&high, &lower, 0).await, State::Superseded { by: higher.clone() });
    let reset = high.run(&higher).await.unwrap();
    assert_settled(&rig, &high, &reset, &old[..1], "taken over").await;
    assert!(!rig.issuer.accepts(&half), "the half-minted value lives");
    assert!(watched.places(is(Verb::Revoke, "app0")).len() >= 2);

    // The lower one drops the member and goes on with the rest.
    let left = running.await.unwrap().unwrap();
    assert_eq!(left.status, ResetStatus::Provisional);
    assert_eq!(state_of(&low, &lower, 0).await, State::Superseded { by: higher });
    assert!(matches!(state_of(&low, &lower, 1).await, State::Settled { .. }));
    let told = told(&low, &lower).await;
    let taken =
        told.iter().rposition(|(_, subject, body)| subject == "Credential/app0" && body["event"] == "superseded");
    let last = told.iter().rposition(|(_, subject, _)| subject == "Credential/app0");
    assert_eq!(taken, last, "it recorded something of a credential that was not its own");
}

#[tokio::test]
async fn an_equally_urgent_reset_joins_what_is_minted_after_its_exposure_and_queues_behind_what_was_before() {
    let rig = Rig::start(1).await;
    let (engine, _) = watched(&rig, BTreeSet::new());
    let old = [rig.value(0)];
    let first = approved_as(&rig, &engine, rig.plan(), Urgency::Incident).await;
    // Nothing was minted yet: what will be is younger than the second exposure.
    let second = approved_as(&rig, &engine, rig.plan(), Urgency::Incident).await;
    assert_eq!(state_of(&engine, &second, 0).await, State::Joined { with: first.clone() });
    let stuck = rig.world.fault("floor", Fault::on("reload", Trouble::Broken)).unwrap();
    engine.run(&first).await.unwrap();
    // By now something was.
    let third = approved_as(&rig, &engine, rig.plan(), Urgency::Incident).await;
    assert_eq!(state_of(&engine, &third, 0).await, State::Queued { behind: first.clone() });
    let drill = approved_as(&rig, &engine, rig.plan(), Urgency::Scheduled).await;
    assert_eq!(state_of(&engine, &drill, 0).await.to_string(), format!("waiting for reset {first}"));
    assert_eq!(engine.run(&third).await.unwrap().status, ResetStatus::Resting, "it waits");
    assert_eq!(engine.waiting_for(&first).await.unwrap(), [second.clone(), third.clone(), drill.clone()]);

    rig.world.service("floor").unwrap().end_fault(stuck);
    engine.retry(&first, None).await.unwrap();
    let settled = engine.run(&first).await.unwrap();
    assert_settled(&rig, &engine, &settled, &old, "the first").await;
    // The second counts the first one's evidence and mints nothing; the third starts now.
    let minted = rig.issuer.counts().of("remint").of("mint");
    assert_eq!(engine.run(&second).await.unwrap().status, ResetStatus::Provisional);
    assert_eq!(state_of(&engine, &second, 0).await, State::Settled { last: true });
    assert_eq!(rig.issuer.counts().of("remint").of("mint"), minted);
    let younger = [rig.value(0)];
    let settled = engine.run(&third).await.unwrap();
    assert_settled(&rig, &engine, &settled, &younger, "the third").await;
}

#[tokio::test]
async fn a_reset_does_not_join_one_that_writes_where_it_must_not_or_that_mints_too_early() {
    let rig = Rig::start(2).await;
    let (engine, _) = watched(&rig, BTreeSet::new());
    rig.store.put("runner/0", &[("secret", &Material::of("old-copy-of-the-value".into()).secret)]).unwrap();
    let mut lax = rig.plan();
    let place =
        Destination { at: "shelf:runner/0".parse().unwrap(), source: false, ..lax.members[0].destinations[0].clone() };
    lax.members[0].destinations.push(place.clone());
    let first = approved_as(&rig, &engine, lax, Urgency::Incident).await;

    // Here the runner is compromised.
    let mut strict = rig.plan();
    strict.members[0].withheld.push(place);
    let careful = approved_as(&rig, &engine, strict, Urgency::Incident).await;
    assert_eq!(state_of(&engine, &careful, 0).await, State::Queued { behind: first.clone() });
    assert_eq!(state_of(&engine, &careful, 1).await, State::Joined { with: first.clone() });

    // Here the second dies with the first: what the other reset mints may be minted by what dies.
    let mut chained = rig.plan();
    let row = Precedence { before: (0, Step::Confirm), after: (1, Step::Mint), row: Row::DiesWith };
    chained.precedences.push(row);
    let below = approved_as(&rig, &engine, chained, Urgency::Incident).await;
    assert_eq!(state_of(&engine, &below, 1).await, State::Queued { behind: first });
}
