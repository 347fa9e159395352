//! Every (state, event) pair, the drawing against the table, and each guarantee.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use proptest::prelude::*;
use remint_contract::{ConfirmGrade, ProofGrade, Ref, ResetId, Strategy, VersionId};

use super::{Done, Effect, Event, Facts, Reason, Rotation, State, Version};
use crate::estate::CredentialClass;
use crate::plan::Member;
use crate::step::{Path, Step};

mod courses;

fn member(path: Path, dark: bool) -> Member {
    Member {
        credential: Ref::credential("c").unwrap(),
        strategy: Strategy::Overlap,
        path,
        destinations: Vec::new(),
        withheld: Vec::new(),
        consumers: vec!["Workload/w".parse().unwrap()],
        dirty_consumers: Vec::new(),
        endpoints: vec!["e".into()],
        exposed_by: None,
        dark,
        late: Vec::new(),
        withheld_after: Vec::new(),
        awaits: BTreeSet::new(),
        group: None,
        remint_acts: false,
        cut: None,
        least_confirm: ConfirmGrade::Served,
        least_proof: ProofGrade::Refused,
        outage: None,
        hold: Duration::ZERO,
        quiet: None,
        confirm_within: Duration::from_mins(1),
        class: CredentialClass::Authenticator,
        verifiers: vec!["Workload/v".parse().unwrap()],
        dirty_verifiers: Vec::new(),
    }
}

fn now() -> jiff::Timestamp {
    jiff::Timestamp::UNIX_EPOCH
}

fn version() -> Version {
    Version {
        id: Some(VersionId("v".into())),
        username: None,
        sealed: None,
        principal: None,
        accepted_at: BTreeSet::new(),
    }
}

/// The good outcome of a step.
fn done(step: Step, dark: bool) -> Done {
    match step {
        Step::Capture => Done::Captured { old: Some(version()) },
        Step::Mint => Done::Minted { new: version() },
        Step::Confirm => {
            Done::Confirmed { consumers: BTreeMap::from([("Workload/w".parse().unwrap(), ConfirmGrade::IssuerSeen)]) }
        }
        Step::Promote => Done::Promoted { places: BTreeSet::new() },
        Step::Prove | Step::FinalProve => Done::Proved { grade: ProofGrade::Refused },
        Step::Propagate => Done::Propagated {
            verifiers: BTreeSet::from(["Workload/v".parse().unwrap()]),
            endpoints: BTreeSet::from(["e".into()]),
        },
        Step::Rewrap => Done::Rewrapped { left: 0 },
        Step::Sweep if dark => Done::Contained { undecided: Vec::new(), now: now() },
        Step::Sweep | Step::FinalSweep => Done::Swept { undecided: Vec::new() },
        step => Done::Plain { step },
    }
}

const STEPS: [Step; 20] = [
    Step::Capture,
    Step::Mint,
    Step::Verify,
    Step::Deliver,
    Step::Promote,
    Step::Reload,
    Step::Confirm,
    Step::Hold,
    Step::Disable,
    Step::Revoke,
    Step::EndDerived,
    Step::Prove,
    Step::Sweep,
    Step::FinalProve,
    Step::FinalSweep,
    Step::Publish,
    Step::Propagate,
    Step::Activate,
    Step::Drain,
    Step::Rewrap,
];

fn all_states() -> Vec<State> {
    let mut states = vec![
        State::Planned,
        State::Dark { since: now() },
        State::Settled { last: false },
        State::Settled { last: true },
        State::Superseded { by: ResetId("r".into()) },
        State::Queued { behind: ResetId("r".into()) },
        State::Joined { with: ResetId("r".into()) },
        State::RolledBack,
    ];
    for step in STEPS {
        states.extend([
            State::Waiting { step },
            State::Doing { step },
            State::Unknown { step },
            State::Parked { step, reason: Reason::Failed { what: "x".into() } },
        ]);
    }
    states
}

fn all_events() -> Vec<Event> {
    let mut events = vec![
        Event::Start,
        Event::Cleared,
        Event::Lost,
        Event::Spoiled,
        Event::FoundDone,
        Event::FoundUndone,
        Event::Failed { reason: Reason::Failed { what: "x".into() } },
        Event::Destroyed { change: "x".into() },
        Event::Drifted { what: "x".into() },
        Event::Retry,
        Event::Cleaned,
        Event::Reproved { last: false },
        Event::Reproved { last: true },
        Event::Delivered { places: BTreeSet::new() },
        Event::Resurrected { endpoints: vec!["e".into()] },
        Event::RolledBack,
        Event::Recovered { what: "x".into() },
        Event::Superseded { by: ResetId("r".into()) },
        Event::Queued { behind: ResetId("r".into()) },
        Event::Joined { with: ResetId("r".into()) },
        Event::Freed,
        Event::Vouched { facts: Box::default() },
        Event::Vouched {
            facts: Box::new(Facts {
                new: Some(version()),
                proof: Some(ProofGrade::Refused),
                confirmed: BTreeMap::from([("Workload/w".parse().unwrap(), ConfirmGrade::IssuerSeen)]),
                ..Facts::default()
            }),
        },
        Event::Revised,
    ];
    for step in STEPS {
        events.push(Event::Done { facts: done(step, false) });
    }
    events.push(Event::Done { facts: done(Step::Sweep, true) });
    events.push(Event::Done { facts: Done::Confirmed { consumers: BTreeMap::new() } });
    events.push(Event::Done { facts: Done::Proved { grade: ProofGrade::Attested } });
    events.push(Event::Done { facts: Done::Swept { undecided: vec![VersionId("f".into())] } });
    events.push(Event::Done { facts: Done::Propagated { verifiers: BTreeSet::new(), endpoints: BTreeSet::new() } });
    events.push(Event::Done { facts: Done::Rewrapped { left: 7 } });
    events
}

/// Every edge that the function takes, over every path, state and event.
fn table() -> BTreeSet<(String, String, String)> {
    let mut edges = BTreeSet::new();
    for path in [Path::Rolling, Path::Contain, Path::Cut] {
        for dark in [false, true] {
            let member = member(path, dark);
            for state in all_states() {
                for event in all_events() {
                    let rotation = Rotation { state: state.clone(), facts: Facts::default() };
                    if let Ok((next, _)) = rotation.on(&member, &event) {
                        edges.insert((state.name().into(), event.name().into(), next.state.name().into()));
                    }
                }
            }
        }
    }
    edges
}

#[test]
fn the_drawing_is_the_table() {
    let drawing: BTreeSet<(String, String, String)> = include_str!("../machine.rs")
        .lines()
        .filter_map(|line| line.strip_prefix("//! "))
        .filter(|line| line.contains("--") && line.contains("-->") || line.contains("-> "))
        .filter_map(|line| {
            let (from, rest) = line.split_once("--")?;
            let (event, rest) = rest.split_once("> ")?;
            let to = rest.split_whitespace().next()?;
            Some((from.trim().to_owned(), event.trim_end_matches('-').to_owned(), to.to_owned()))
        })
        .collect();
    assert_eq!(drawing, table());
}

#[test]
fn every_pair_is_an_edge_or_a_typed_error_that_changes_nothing() {
    let (mut legal, mut refused) = (0, 0);
    for path in [Path::Rolling, Path::Contain, Path::Cut] {
        let member = member(path, false);
        for state in all_states() {
            for event in all_events() {
                let rotation = Rotation { state: state.clone(), facts: Facts::default() };
                match rotation.on(&member, &event) {
                    Ok(_) => legal += 1,
                    Err(error) => {
                        refused += 1;
                        assert_eq!(error.event, event.name());
                        assert!(error.to_string().contains("cannot happen while"));
                    }
                }
            }
        }
    }
    assert!(legal > 300 && refused > 3000, "{legal} legal, {refused} refused");
}

/// Runs a path with good outcomes; the steps as performed.
fn run(member: &Member) -> (Rotation, Vec<Step>) {
    let mut rotation = Rotation::new();
    let mut performed = Vec::new();
    let mut events = vec![Event::Start];
    while let Some(event) = events.pop() {
        let (next, effects) = rotation.on(member, &event).unwrap();
        rotation = next;
        for effect in effects {
            match effect {
                Effect::Await(_) => events.push(Event::Cleared),
                Effect::Perform(step) => {
                    performed.push(step);
                    events.push(Event::Done { facts: done(step, member.dark) });
                }
                _ => {}
            }
        }
    }
    (rotation, performed)
}

#[test]
fn each_path_performs_its_steps_in_order_and_settles() {
    for path in [Path::Rolling, Path::Contain, Path::Cut] {
        let (rotation, performed) = run(&member(path, false));
        assert_eq!(performed, member(path, false).steps());
        assert_eq!(rotation.state, State::Settled { last: false });
    }
}

#[test]
fn a_dark_credential_stops_after_its_death_and_mints_only_once_clean() {
    let member = member(Path::Contain, true);
    let (rotation, performed) = run(&member);
    assert_eq!(rotation.state, State::Dark { since: now() });
    assert!(!performed.contains(&Step::Mint));
    let (next, effects) = rotation.on(&member, &Event::Cleaned).unwrap();
    assert_eq!((next.state, effects), (State::Waiting { step: Step::Mint }, vec![Effect::Await(Step::Mint)]));
}

#[test]
fn revoke_never_precedes_confirm_of_every_clean_consumer() {
    let member = member(Path::Rolling, false);
    let confirming = Rotation { state: State::Doing { step: Step::Confirm }, facts: Facts::default() };
    for consumers in [
        BTreeMap::new(),
        BTreeMap::from([("Workload/w".parse().unwrap(), ConfirmGrade::Attested)]),
        BTreeMap::from([("Workload/other".parse().unwrap(), ConfirmGrade::IssuerSeen)]),
    ] {
        let (next, _) = confirming.on(&member, &Event::Done { facts: Done::Confirmed { consumers } }).unwrap();
        assert!(matches!(next.state, State::Parked { step: Step::Confirm, reason: Reason::Unconfirmed { .. } }));
    }
}

#[test]
fn a_weak_proof_or_an_undecided_version_never_settles() {
    let member = member(Path::Rolling, false);
    let at = |step| Rotation { state: State::Doing { step }, facts: Facts::default() };
    let weak = Event::Done { facts: Done::Proved { grade: ProofGrade::RefusedUncontrolled } };
    assert!(matches!(at(Step::Prove).on(&member, &weak).unwrap().0.state, State::Parked { .. }));
    let foreign = Event::Done { facts: Done::Swept { undecided: vec![VersionId("f".into())] } };
    assert!(matches!(at(Step::Sweep).on(&member, &foreign).unwrap().0.state, State::Parked { .. }));
}

#[test]
fn a_value_that_was_spoiled_before_delivery_is_minted_anew() {
    let member = member(Path::Cut, false);
    for step in [Step::Activate, Step::Deliver] {
        let mut rotation = Rotation { state: State::Doing { step }, facts: Facts::default() };
        rotation.facts.new = Some(version());
        rotation.facts.ended.extend([Step::Mint, Step::Verify, Step::Disable]);
        let (next, _) = rotation.on(&member, &Event::Spoiled).unwrap();
        assert_eq!(next.state, State::Waiting { step: Step::Mint });
        assert_eq!((next.facts.new, next.facts.ended), (None, BTreeSet::from([Step::Disable])));
    }
}

#[test]
fn what_was_revoked_is_not_rolled_back() {
    let member = member(Path::Rolling, false);
    let mut rotation = Rotation {
        state: State::Parked { step: Step::Prove, reason: Reason::Failed { what: "x".into() } },
        facts: Facts::default(),
    };
    rotation.facts.ended.insert(Step::Revoke);
    assert!(rotation.on(&member, &Event::RolledBack).is_err());
}

#[test]
fn a_resurrected_value_reopens_and_is_killed_and_proven_again() {
    let member = member(Path::Rolling, false);
    let (rotation, _) = run(&member);
    let (reopened, effects) = rotation.on(&member, &Event::Resurrected { endpoints: vec!["e".into()] }).unwrap();
    assert!(effects.contains(&Effect::Alarm));
    assert_eq!(reopened.facts.proof, None);
    let (again, _) = reopened.on(&member, &Event::Retry).unwrap();
    assert_eq!(again.state, State::Waiting { step: Step::Revoke });
}

#[test]
fn a_retry_repeats_what_the_parked_step_only_looked_at() {
    let alive = || Reason::Alive { endpoints: vec!["e".into()] };
    let failed = || Reason::Failed { what: "x".into() };
    for (path, step, reason, again) in [
        (Path::Rolling, Step::Confirm, failed(), Step::Reload),
        (Path::Rolling, Step::Prove, alive(), Step::Revoke),
        (Path::Rolling, Step::Prove, failed(), Step::Prove),
        (Path::Contain, Step::Prove, alive(), Step::Disable),
        (Path::Contain, Step::FinalProve, alive(), Step::Revoke),
        (Path::Cut, Step::Sweep, alive(), Step::Disable),
        (Path::Rolling, Step::Mint, failed(), Step::Mint),
    ] {
        let mut rotation = Rotation { state: State::Parked { step, reason }, facts: Facts::default() };
        rotation.facts.ended.extend(member(path, false).steps().iter().take_while(|&&other| other != step));
        let (next, _) = rotation.on(&member(path, false), &Event::Retry).unwrap();
        assert_eq!(next.state, State::Waiting { step: again }, "{path} {step}");
        assert!(!next.facts.ended.contains(&again), "{path} {step}");
    }
}

#[test]
fn a_version_that_was_destroyed_is_minted_anew() {
    let member = member(Path::Rolling, false);
    let mut rotation = Rotation { state: State::Doing { step: Step::Verify }, facts: Facts::default() };
    rotation.facts.new = Some(version());
    rotation.facts.ended.extend([Step::Capture, Step::Mint]);
    let (parked, _) = rotation.on(&member, &Event::Destroyed { change: "x".into() }).unwrap();
    assert!(matches!(parked.state, State::Parked { reason: Reason::Rights { .. }, .. }));
    assert_eq!(parked.facts.new, None);
    assert_eq!(parked.on(&member, &Event::Retry).unwrap().0.state, State::Waiting { step: Step::Mint });
}

#[test]
fn what_turns_to_contain_kills_what_it_minted_and_mints_anew() {
    let rolling = member(Path::Rolling, false);
    let mut rotation = Rotation { state: State::Waiting { step: Step::Confirm }, facts: Facts::default() };
    rotation.facts.old = Some(version());
    rotation.facts.new = Some(Version { id: Some(VersionId("half".into())), ..version() });
    let before = rolling.steps().iter().take_while(|step| **step != Step::Confirm);
    rotation.facts.ended.extend(before.copied());
    let (next, _) = rotation.on(&member(Path::Contain, false), &Event::Revised).unwrap();
    assert_eq!(next.state, State::Waiting { step: Step::Disable });
    assert_eq!(next.facts.also, rotation.facts.new.clone().into_iter().collect::<Vec<_>>());
    assert_eq!((next.facts.new, next.facts.ended), (None, BTreeSet::from([Step::Capture])));
}

#[test]
fn what_was_revoked_is_not_contained_and_what_was_disabled_does_not_roll() {
    let mut rotation = Rotation { state: State::Waiting { step: Step::Prove }, facts: Facts::default() };
    rotation.facts.ended.insert(Step::Revoke);
    assert!(rotation.on(&member(Path::Contain, false), &Event::Revised).is_err());
    rotation.facts.ended = BTreeSet::from([Step::Capture, Step::Disable]);
    assert!(rotation.on(&member(Path::Rolling, false), &Event::Revised).is_err());
    let asked = Rotation { state: State::Unknown { step: Step::Disable }, facts: Facts::default() };
    assert!(asked.on(&member(Path::Rolling, false), &Event::Revised).is_err());
}

#[test]
fn the_end_of_a_step_of_another_path_settles_nothing() {
    let rotation = Rotation { state: State::Doing { step: Step::Disable }, facts: Facts::default() };
    let event = Event::Done { facts: done(Step::Disable, false) };
    assert!(rotation.on(&member(Path::Rolling, false), &event).is_err());
    assert!(rotation.on(&member(Path::Contain, false), &event).is_ok());
}

#[test]
fn what_joined_another_settles_with_it_only_when_its_consumers_were_seen_there() {
    let member = member(Path::Rolling, false);
    let joined = Rotation { state: State::Joined { with: ResetId("r".into()) }, facts: Facts::default() };
    let mut facts = Box::new(Facts { new: Some(version()), proof: Some(ProofGrade::Refused), ..Facts::default() });
    assert!(joined.on(&member, &Event::Vouched { facts: facts.clone() }).is_err());
    facts.confirmed.insert("Workload/w".parse().unwrap(), ConfirmGrade::IssuerSeen);
    let (settled, _) = joined.on(&member, &Event::Vouched { facts }).unwrap();
    assert_eq!(settled.state, State::Settled { last: true });
}

#[test]
fn who_takes_over_knows_the_old_value_and_kills_the_half_minted_one_too() {
    let mut lower = Rotation { state: State::Waiting { step: Step::Deliver }, facts: Facts::default() };
    lower.facts.old = Some(version());
    lower.facts.new = Some(Version { id: Some(VersionId("half".into())), ..version() });
    lower.facts.ended.extend([Step::Capture, Step::Mint, Step::Verify]);
    let higher = Rotation::over(&lower);
    assert_eq!((&higher.facts.old, higher.facts.also.len()), (&lower.facts.old, 1));
    let (next, _) = higher.on(&member(Path::Contain, false), &Event::Start).unwrap();
    assert_eq!(next.state, State::Waiting { step: Step::Disable }, "it is not captured where the new one may lie");
}

proptest! {
    /// Whatever happens in whatever order: settled implies a proof and, in rolling mode, that every clean consumer was
    /// seen before the revoke began.
    #[test]
    fn no_order_of_events_settles_without_proof(picks in proptest::collection::vec(0usize..64, 1..200), path in 0usize..3) {
        let member = member([Path::Rolling, Path::Contain, Path::Cut][path], false);
        let events = all_events();
        let mut rotation = Rotation::new();
        let mut confirmed_before_revoke = true;
        for pick in picks {
            // Half of the time the event that moves it on, so that runs get far.
            let event = match (&rotation.state, pick % 2) {
                (State::Planned, 0) => Event::Start,
                (State::Waiting { .. }, 0) => Event::Cleared,
                (State::Doing { step }, 0) => Event::Done { facts: done(*step, false) },
                (State::Unknown { .. }, 0) => Event::FoundDone,
                (State::Parked { .. }, 0) => Event::Retry,
                _ => events[(pick / 2) % events.len()].clone(),
            };
            if let Ok((next, effects)) = rotation.on(&member, &event) {
                if effects.contains(&Effect::Perform(Step::Revoke)) && member.path == Path::Rolling {
                    confirmed_before_revoke &= next.facts.confirmed.contains_key(&"Workload/w".parse().unwrap());
                }
                rotation = next;
            }
        }
        prop_assert!(confirmed_before_revoke);
        if matches!(rotation.state, State::Settled { .. }) {
            prop_assert!(rotation.facts.proof.is_some_and(|grade| grade <= member.least_proof));
            prop_assert!(rotation.facts.new.is_some());
        }
    }
}
