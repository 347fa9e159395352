//! The guarantees of every course: what each table promises, whatever happens on the way.

use super::*;
use crate::estate::CredentialClass;
use crate::machine::Kept;
use crate::step::Course;

/// A member of a course.
fn of(course: Course, path: Path) -> Member {
    let (strategy, class) = match course {
        Course::Replace => (Strategy::Reissue, CredentialClass::Authenticator),
        Course::Lease => (Strategy::Ephemeral, CredentialClass::Authenticator),
        Course::Trust => (Strategy::DualTrust, CredentialClass::VerifierPair),
        Course::Rewrap => (Strategy::Overlap, CredentialClass::Encryption),
        Course::Manual => (Strategy::Manual, CredentialClass::Authenticator),
    };
    let member = Member { strategy, class, ..member(path, false) };
    assert_eq!(member.course(), course);
    member
}

fn everything() -> impl Iterator<Item = (Course, Path)> {
    Course::ALL.into_iter().flat_map(|course| [Path::Rolling, Path::Contain, Path::Cut].map(|path| (course, path)))
}

#[test]
fn every_course_performs_its_steps_in_order_and_settles() {
    for (course, path) in everything() {
        let member = of(course, path);
        let (rotation, performed) = run(&member);
        assert_eq!(performed, member.steps(), "{course} {path}");
        assert_eq!(rotation.state, State::Settled { last: false }, "{course} {path}");
        assert!(rotation.facts.proof.is_some() && rotation.facts.new.is_some(), "{course} {path}");
    }
}

#[test]
fn no_course_adds_an_edge_to_the_drawing() {
    let known = table();
    for (course, path) in everything() {
        for state in all_states() {
            for event in all_events() {
                let rotation = Rotation { state: state.clone(), facts: Facts::default() };
                if let Ok((next, _)) = rotation.on(&of(course, path), &event) {
                    let edge = (state.name().into(), event.name().into(), next.state.name().into());
                    assert!(known.contains(&edge), "{course} {path}: {edge:?}");
                }
            }
        }
    }
}

#[test]
fn activation_never_precedes_propagation_to_every_clean_verifier() {
    let member = of(Course::Trust, Path::Rolling);
    let at = Rotation { state: State::Doing { step: Step::Propagate }, facts: Facts::default() };
    let (verifier, endpoint) = (["Workload/v".parse().unwrap()], ["e".to_owned()]);
    let behind = [
        Done::Propagated { verifiers: BTreeSet::new(), endpoints: endpoint.clone().into() },
        Done::Propagated { verifiers: verifier.clone().into(), endpoints: BTreeSet::new() },
        Done::Propagated { verifiers: BTreeSet::new(), endpoints: BTreeSet::new() },
    ];
    for facts in behind {
        let (next, _) = at.on(&member, &Event::Done { facts }).unwrap();
        assert!(matches!(next.state, State::Parked { step: Step::Propagate, reason: Reason::Untrusted { .. } }));
        // Who has not heard of it is told again.
        assert_eq!(next.on(&member, &Event::Retry).unwrap().0.state, State::Waiting { step: Step::Publish });
    }
    let all = Done::Propagated { verifiers: verifier.into(), endpoints: endpoint.into() };
    let (next, _) = at.on(&member, &Event::Done { facts: all }).unwrap();
    assert_eq!(next.state, State::Waiting { step: Step::Verify });
    for path in [Path::Rolling, Path::Contain, Path::Cut] {
        let steps = Course::Trust.steps(path);
        let place = |step| steps.iter().position(|&other| other == step).unwrap();
        assert!(place(Step::Propagate) < place(Step::Activate) && place(Step::Activate) < place(Step::Revoke));
    }
}

#[test]
fn a_dirty_verifier_neither_counts_nor_blocks() {
    let mut member = of(Course::Trust, Path::Rolling);
    member.dirty_verifiers = std::mem::take(&mut member.verifiers);
    let at = Rotation { state: State::Doing { step: Step::Propagate }, facts: Facts::default() };
    let facts = Done::Propagated { verifiers: BTreeSet::new(), endpoints: ["e".to_owned()].into() };
    assert_eq!(at.on(&member, &Event::Done { facts }).unwrap().0.state, State::Waiting { step: Step::Verify });
}

#[test]
fn an_encryption_key_is_stopped_only_when_nothing_is_left_under_it_and_destroyed_by_nothing() {
    for path in [Path::Rolling, Path::Contain, Path::Cut] {
        let steps = Course::Rewrap.steps(path);
        assert!(!steps.contains(&Step::Revoke), "{path}");
        let place = |step| steps.iter().position(|&other| other == step).unwrap();
        assert!(place(Step::Rewrap) < place(Step::Disable), "{path}");
        let member = of(Course::Rewrap, path);
        let at = Rotation { state: State::Doing { step: Step::Rewrap }, facts: Facts::default() };
        let (next, _) = at.on(&member, &Event::Done { facts: Done::Rewrapped { left: 1 } }).unwrap();
        assert!(matches!(next.state, State::Parked { step: Step::Rewrap, reason: Reason::Encrypted { left: 1 } }));
    }
}

#[test]
fn a_new_encryption_key_that_is_in_use_is_neither_rolled_back_nor_given_up_as_spoiled() {
    let member = of(Course::Rewrap, Path::Rolling);
    let parked = |step, ended: &[Step]| {
        let mut rotation = Rotation {
            state: State::Parked { step, reason: Reason::Failed { what: "x".into() } },
            facts: Facts::default(),
        };
        rotation.facts.ended.extend(ended);
        rotation
    };
    assert!(parked(Step::Verify, &[Step::Mint]).on(&member, &Event::RolledBack).is_ok());
    assert!(parked(Step::Activate, &[Step::Mint]).on(&member, &Event::RolledBack).is_err());
    assert!(parked(Step::Rewrap, &[Step::Mint, Step::Activate]).on(&member, &Event::RolledBack).is_err());
    for step in [Step::Activate, Step::Deliver] {
        let doing = Rotation { state: State::Doing { step }, facts: Facts::default() };
        assert!(doing.on(&of(Course::Rewrap, Path::Cut), &Event::Spoiled).is_err());
    }
}

#[test]
fn an_encryption_key_is_destroyed_only_when_settled_stopped_and_empty() {
    let member = of(Course::Rewrap, Path::Rolling);
    let (mut settled, _) = run(&member);
    settled.facts.new = Some(Version { id: Some(VersionId("new".into())), ..version() });
    let (old, new) = (VersionId("v".into()), VersionId("new".into()));
    assert_eq!(settled.may_destroy(&member, &old, true, 0), Ok(()));
    assert!(matches!(settled.may_destroy(&member, &old, true, 1), Err(Kept::Encrypted { left: 1, .. })));
    assert!(matches!(settled.may_destroy(&member, &old, false, 0), Err(Kept::Alive(_))));
    assert!(matches!(settled.may_destroy(&member, &new, true, 0), Err(Kept::InUse(_))));
    let under_way = Rotation { state: State::Waiting { step: Step::Rewrap }, ..settled.clone() };
    assert!(matches!(under_way.may_destroy(&member, &old, true, 0), Err(Kept::Unsettled { .. })));
    let login = of(Course::Replace, Path::Rolling);
    assert_eq!(settled.may_destroy(&login, &old, true, 0), Err(Kept::OtherCourse));
    let unknown = Rotation { facts: Facts { new: None, ..settled.facts.clone() }, ..settled };
    assert!(unknown.may_destroy(&member, &old, true, 0).is_err());
}

#[test]
fn another_version_is_published_and_propagated_again() {
    let member = of(Course::Trust, Path::Rolling);
    let mut rotation = Rotation { state: State::Doing { step: Step::Verify }, facts: Facts::default() };
    rotation.facts.ended.extend([Step::Capture, Step::Mint, Step::Publish, Step::Propagate]);
    let (parked, _) = rotation.on(&member, &Event::Destroyed { change: "x".into() }).unwrap();
    let (again, _) = parked.on(&member, &Event::Retry).unwrap();
    assert_eq!(again.facts.ended, BTreeSet::from([Step::Capture]));
}

#[test]
fn a_version_that_is_accepted_again_is_killed_by_the_step_that_its_table_has() {
    for (course, path) in everything() {
        let member = of(course, path);
        let (settled, _) = run(&member);
        let (reopened, _) = settled.on(&member, &Event::Resurrected { endpoints: vec!["e".into()] }).unwrap();
        let kill = if course == Course::Rewrap { Step::Disable } else { Step::Revoke };
        let again = reopened.on(&member, &Event::Retry).unwrap().0;
        assert_eq!(again.state, State::Waiting { step: kill }, "{course} {path}");
    }
}

proptest! {
    /// Whatever happens in whatever order, on every course: nothing is activated before it was trusted everywhere, no
    /// encryption key is stopped before nothing is left under it or ever revoked, and what settles is proven.
    #[test]
    fn no_order_of_events_breaks_what_a_course_promises(
        picks in proptest::collection::vec(0usize..80, 1..240),
        course in 0usize..5,
        path in 0usize..3,
    ) {
        let course = Course::ALL[course];
        let member = of(course, [Path::Rolling, Path::Contain, Path::Cut][path]);
        let events = all_events();
        let mut rotation = Rotation::new();
        // Another reset moved what was encrypted, and says so; the step itself counts once more before it stops the key.
        let mut vouched = false;
        for pick in picks {
            let event = match (&rotation.state, pick % 2) {
                (State::Planned, 0) => Event::Start,
                (State::Waiting { .. }, 0) => Event::Cleared,
                (State::Doing { step }, 0) => Event::Done { facts: done(*step, false) },
                (State::Unknown { .. }, 0) => Event::FoundDone,
                (State::Parked { .. }, 0) => Event::Retry,
                _ => events[(pick / 2) % events.len()].clone(),
            };
            let Ok((next, effects)) = rotation.on(&member, &event) else { continue };
            vouched |= matches!(event, Event::Vouched { .. });
            let ended = &next.facts.ended;
            if course == Course::Trust && effects.contains(&Effect::Perform(Step::Activate)) {
                prop_assert!(ended.contains(&Step::Publish) && ended.contains(&Step::Propagate));
            }
            if course == Course::Rewrap {
                prop_assert!(!effects.contains(&Effect::Perform(Step::Revoke)));
                prop_assert!(!effects.contains(&Effect::Perform(Step::Disable)) || vouched || ended.contains(&Step::Rewrap));
                prop_assert!(!effects.contains(&Effect::GiveUpNew) || !rotation.facts.ended.contains(&Step::Activate));
            }
            rotation = next;
        }
        if matches!(rotation.state, State::Settled { .. }) {
            prop_assert!(rotation.facts.proof.is_some_and(|grade| grade <= member.least_proof));
            prop_assert!(rotation.facts.new.is_some());
        }
    }
}
