//! Turns: who is due, and when each begins.

use std::collections::BTreeMap;
use std::time::Duration;

use jiff::Timestamp;
use remint_contract::Ref;
use remint_core::calendar::{Known, Left, Turns, Why, turns};
use remint_core::estate::Estate;

use super::{at, estate, kinds, window};

const WEEKLY: &str = "{cron: \"0 2 * * 0\", timeZone: UTC, duration: 4h}";
const SUNDAY: &str = "2026-06-06T12:00:00Z";

fn name(text: &str) -> Ref {
    format!("Credential/{text}").parse().unwrap()
}

fn settled(days: i64) -> Known {
    let opens = at("2026-06-07T02:00:00Z");
    Known { settled: Some(opens - jiff::Span::new().hours(days * 24)), ..Known::default() }
}

fn turns_of(estate: &Estate, known: &[(&str, Known)]) -> Turns {
    let window = window(estate);
    let known: BTreeMap<Ref, Known> = known.iter().map(|(credential, known)| (name(credential), *known)).collect();
    turns(&window, &window.next(at(SUNDAY)).unwrap(), estate, &known)
}

/// Names with why, in the order of their turns.
fn who(turns: &Turns) -> Vec<(String, Why)> {
    let mut who: Vec<_> = turns.turns.iter().map(|turn| (turn.due.credential.name.to_string(), turn.due.why)).collect();
    who.sort();
    who
}

fn begins(turns: &Turns, of: &str) -> Timestamp {
    turns.turns.iter().find(|turn| turn.due.credential == name(of)).unwrap().begins
}

#[test]
fn a_credential_is_due_when_its_age_is_unknown_and_when_this_is_its_last_chance() {
    let aged = ", rotation: {maxAge: 30d}";
    let estate = estate(WEEKLY, &[("new", aged), ("young", aged), ("last", aged), ("old", aged), ("always", "")]);
    let found = turns_of(
        &estate,
        &[("young", settled(20)), ("last", settled(23)), ("old", settled(90)), ("always", settled(7))],
    );
    // Twenty-three days today are thirty when the next window opens: it would be over its age before that one ends.
    assert_eq!(
        who(&found),
        [
            ("always".into(), Why::Every),
            ("last".into(), Why::Age),
            ("new".into(), Why::Unknown),
            ("old".into(), Why::Age)
        ]
    );
    let ages: Vec<_> =
        found.turns.iter().filter(|turn| turn.due.age.is_none()).map(|turn| &turn.due.credential).collect();
    assert_eq!(ages, [&name("new")]);
}

#[test]
fn an_early_start_makes_it_due_before_its_last_chance() {
    let estate = estate(
        WEEKLY,
        &[("early", ", rotation: {maxAge: 30d, earlyStart: 10d}"), ("late", ", rotation: {maxAge: 30d}")],
    );
    assert_eq!(who(&turns_of(&estate, &[("early", settled(20)), ("late", settled(20))])), [("early".into(), Why::Age)]);
    assert_eq!(who(&turns_of(&estate, &[("early", settled(19)), ("late", settled(19))])), []);
}

#[test]
fn what_settled_in_this_opening_has_no_second_turn() {
    let estate = estate(WEEKLY, &[("once", "")]);
    assert_eq!(who(&turns_of(&estate, &[("once", settled(0))])), []);
}

#[test]
fn turns_are_spread_and_are_the_same_for_every_replica() {
    let names: Vec<String> = (0..40).map(|number| format!("c{number}")).collect();
    let credentials: Vec<(&str, &str)> = names.iter().map(|name| (name.as_str(), "")).collect();
    let estate = estate(WEEKLY, &credentials);
    let found = turns_of(&estate, &[]);
    assert_eq!(found, turns_of(&estate, &[]));
    let (opens, closes) = (at("2026-06-07T02:00:00Z"), at("2026-06-07T06:00:00Z"));
    for (place, turn) in (0_i64..).zip(&found.turns) {
        assert!(turn.begins >= opens && turn.begins < closes);
        let part = turn.begins.duration_since(opens).as_secs() / (3 * 3600 / 40);
        assert_eq!(part, place, "one in each part of three hours");
    }
}

#[test]
fn a_pair_has_one_turn_and_its_offset_between() {
    let pair = |offset| format!(", rotation: {{pair: blue-green, offset: {offset}}}");
    let (blue, green) = (pair("0s"), pair("90m"));
    let estate = estate(WEEKLY, &[("blue", &blue), ("green", &green), ("other", "")]);
    let found = turns_of(&estate, &[]);
    let between = begins(&found, "green").duration_since(begins(&found, "blue")).unsigned_abs();
    assert_eq!(between, Duration::from_mins(90));
    assert!(begins(&found, "green") < at("2026-06-07T06:00:00Z"));
}

#[test]
fn a_group_comes_whole_and_together() {
    let group = ", rotation: {group: cluster, maxAge: 30d}";
    let estate = estate(WEEKLY, &[("one", group), ("two", group), ("three", ", rotation: {maxAge: 30d}")]);
    let found = turns_of(&estate, &[("one", settled(40)), ("two", settled(1)), ("three", settled(1))]);
    assert_eq!(who(&found), [("one".into(), Why::Age), ("two".into(), Why::Bound)]);
    assert_eq!(begins(&found, "one"), begins(&found, "two"));
}

#[test]
fn what_was_carried_over_comes_first_with_the_opening_it_was_due_in() {
    let names: Vec<String> = (0..10).map(|number| format!("c{number}")).collect();
    let credentials: Vec<(&str, &str)> = names.iter().map(|name| (name.as_str(), "")).collect();
    let estate = estate(WEEKLY, &credentials);
    let last = at("2026-05-31T02:00:00Z");
    let carried = Known { carried: Some(last), ..settled(40) };
    let found = turns_of(&estate, &[("c7", carried)]);
    let first = &found.turns[0].due;
    assert_eq!((&first.credential, first.why, first.carried), (&name("c7"), Why::Carried, Some(last)));
    assert_eq!(first.age, Some(Duration::from_hours(40 * 24)));
}

#[test]
fn what_is_privileged_or_in_another_reset_is_named_and_left() {
    let mut estate = estate(WEEKLY, &[("busy", ""), ("free", "")]);
    let found = turns_of(&estate, &[("busy", Known { busy: true, ..settled(40) })]);
    assert_eq!(who(&found), [("free".into(), Why::Unknown)]);
    let left: Vec<_> = found.left.iter().map(|(due, left)| (due.credential.clone(), *left)).collect();
    assert_eq!(left, [(name("busy"), Left::Busy)]);
    estate.identities.values_mut().for_each(|identity| identity.tier = remint_core::estate::Tier::Privileged);
    let found = turns_of(&estate, &[]);
    assert_eq!((found.turns.len(), found.left.len()), (0, 2));
}

#[test]
fn a_window_selects_in_its_own_namespace() {
    let other = "---\napiVersion: remint.dev/v1alpha1\nkind: RotationWindow\nmetadata: {name: theirs, namespace: other}\n\
                 spec: {cron: \"0 2 * * 0\", timeZone: UTC, duration: 4h}\n";
    let credential = "{type: key, identity: app, issuedBy: {system: issuer, target: t}, consumedBy: [web]}";
    let estate = kinds::good(&(kinds::ground() + &kinds::document("Credential", "ours", credential) + other));
    assert_eq!(turns_of(&estate, &[]), Turns::default());
}
