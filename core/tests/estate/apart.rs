//! Namespaces do not wait for one another.

use std::collections::{BTreeMap, BTreeSet};

use jiff::Timestamp;
use proptest::prelude::*;
use remint_contract::{Name, Ref};
use remint_core::estate::{Apart, Estate, History, SourceFile, load, load_apart};

use super::kinds::{KINDS, file};

type Spaces = BTreeMap<Name, Vec<SourceFile>>;

fn space(name: &str) -> Name {
    Name::new(name).unwrap()
}

fn document(space: &str, kind: &str, name: &str, spec: &str) -> String {
    format!(
        "---\napiVersion: remint.dev/v1alpha1\nkind: {kind}\nmetadata: {{name: {name}, namespace: {space}}}\nspec: {spec}\n"
    )
}

/// What the platform's team gives: two systems, for all of these.
fn platform(tenants: &[&str]) -> String {
    let grants = tenants.iter().map(|tenant| document("default", "Grant", tenant, &format!("{{from: {tenant}}}")));
    document("default", "System", "issuer", "{fake: {}}")
        + &document("default", "System", "host", "{fake: {}}")
        + &grants.collect::<String>()
}

/// A tenant with one credential, written to `at`.
fn tenant(space: &str, at: &str) -> String {
    document(space, "Identity", "app", "{class: workload, owners: {policy: a, execution: b, business: c}}")
        + &document(
            space,
            "Workload",
            "web",
            "{runsOn: {system: default/host, ref: web}, confirm: {how: self-reported}}",
        )
        + &document(
            space,
            "Credential",
            "key",
            &format!(
                "{{type: key, identity: app, issuedBy: {{system: default/issuer, target: {space}}}, consumedBy: [web], \
                 deliveredTo: [{{at: \"default/host:{at}\"}}]}}"
            ),
        )
}

fn spaces(all: &[(&str, String)]) -> Spaces {
    all.iter().map(|(name, text)| (space(name), vec![file(name, text.as_str())])).collect()
}

/// What becomes active of it, after what was.
fn activate(history: &mut History, apart: &Apart, second: i64) -> Estate {
    let loaded = apart.loaded.clone().unwrap();
    history.activate(loaded.estate, Timestamp::from_second(second).unwrap(), &BTreeSet::new()).unwrap().clone()
}

fn ground() -> Vec<(&'static str, String)> {
    vec![("default", platform(&["a", "b"])), ("a", tenant("a", "a#K")), ("b", tenant("b", "b#K"))]
}

fn active() -> Estate {
    let apart = load_apart(&spaces(&ground()), &Estate::default(), &KINDS);
    assert!(apart.held.is_empty(), "{:?}", apart.held);
    activate(&mut History::default(), &apart, 1)
}

/// Who stays as he was, and what he is told.
fn held(apart: &Apart) -> Vec<(String, Vec<String>)> {
    let told = |problems: &Vec<remint_core::estate::Problem>| problems.iter().map(ToString::to_string).collect();
    apart.held.iter().map(|(space, problems)| (space.to_string(), told(problems))).collect()
}

fn paths(apart: &Apart) -> Vec<String> {
    let estate = &apart.loaded.as_ref().unwrap().estate;
    estate.credentials.values().flat_map(|one| one.delivered_to.iter().map(|place| place.at.to_string())).collect()
}

#[test]
fn what_cannot_be_read_in_one_namespace_holds_up_no_other() {
    let mut next = ground();
    next[1].1 = tenant("a", "moved#K") + "---\nkind: [\n";
    next[2].1 = tenant("b", "moved#K");
    let apart = load_apart(&spaces(&next), &active(), &KINDS);
    assert_eq!(held(&apart).iter().map(|(space, _)| space.as_str()).collect::<Vec<_>>(), ["a"]);
    assert_eq!(paths(&apart), ["System/host:a", "System/host:moved"]);
}

#[test]
fn the_first_estate_is_made_of_those_that_are_good() {
    let mut first = ground();
    first[1].1 = document("a", "Identity", "app", "{class: workload, colour: red}");
    let apart = load_apart(&spaces(&first), &Estate::default(), &KINDS);
    assert_eq!(held(&apart).len(), 1);
    assert_eq!(apart.loaded.unwrap().estate.identities.len(), 1);
    // Without anybody good there is none.
    let apart = load_apart(&spaces(&[("a", tenant("a", "a#K"))]), &Estate::default(), &KINDS);
    assert!(apart.loaded.is_none(), "its systems are not there");
    assert!(!apart.held.is_empty());
}

#[test]
fn whoever_takes_away_what_another_needs_is_held() {
    let mut next = ground();
    next[0].1 = platform(&["b"]);
    next[1].1 = tenant("a", "moved#K");
    let apart = load_apart(&spaces(&next), &active(), &KINDS);
    let told = held(&apart);
    assert_eq!(told.len(), 1);
    assert_eq!(told[0].0, "default");
    assert!(told[0].1[0].contains("no Grant lets a refer to it (Workload/a/web)"), "{:?}", told[0].1);
    assert_eq!(paths(&apart)[0], "System/host:moved", "a moves on with what it was given");
    // With the one that needs it gone as well, it goes.
    next.remove(1);
    let apart = load_apart(&spaces(&next), &active(), &KINDS);
    assert!(apart.held.is_empty(), "{:?}", apart.held);
}

/// The clash is told of whoever comes second; held is who changed.
#[test]
fn nobody_is_held_for_what_another_wrote() {
    let mut next = ground();
    next[1].1 = tenant("a", "b#K");
    next[2].1 = tenant("b", "b#K") + &document("b", "Identity", "other", "{class: machine}");
    let apart = load_apart(&spaces(&next), &active(), &KINDS);
    assert_eq!(held(&apart).iter().map(|(space, _)| space.as_str()).collect::<Vec<_>>(), ["a"]);
    assert!(apart.loaded.unwrap().estate.identities.contains_key(&"Identity/b/other".parse::<Ref>().unwrap()));
}

#[test]
fn those_that_need_one_another_come_together_beside_one_that_is_wrong() {
    let crossed = |mine: &str, other: &str| {
        tenant(mine, &format!("{mine}#K"))
            + &document(mine, "Grant", other, &format!("{{from: {other}}}"))
            + &document(
                mine,
                "Credential",
                "second",
                &format!(
                    "{{type: key, identity: {other}/app, issuedBy: {{system: default/issuer, target: s{mine}}}, \
                     deliveredTo: [{{at: \"default/host:s{mine}#K\"}}]}}"
                ),
            )
    };
    let next = [
        ("default", platform(&["a", "b", "c", "d"])),
        ("a", crossed("a", "b")),
        ("b", crossed("b", "a")),
        ("c", tenant("c", "d#K")),
        ("d", tenant("d", "d#K")),
    ];
    let apart = load_apart(&spaces(&next), &Estate::default(), &KINDS);
    let told = held(&apart);
    assert_eq!(told.len(), 1, "{told:?}");
    assert!(["c", "d"].contains(&told[0].0.as_str()), "one of two that clash, and neither was there before");
    assert_eq!(apart.loaded.unwrap().estate.credentials.len(), 5);
}

#[test]
fn what_stays_is_exactly_what_was() {
    let before = active();
    let mut next = ground();
    next[0].1 += &document("default", "System", "issuer", "{fake: {}}");
    let apart = load_apart(&spaces(&next), &before, &KINDS);
    assert_eq!(held(&apart).len(), 1);
    assert_eq!(apart.loaded.unwrap().estate.digest(), before.digest());
}

/// One of a few things that a namespace may say, good or not beside the others.
fn says(space: &str, word: u8) -> String {
    match word {
        0 => String::new(),
        1 => tenant(space, &format!("{space}#K")),
        2 => tenant(space, "shared#K"),
        3 => tenant(space, &format!("{space}#K")) + &document(space, "Identity", "two", "{class: machine}"),
        4 => tenant(space, &format!("{space}#K")) + "---\nkind: [\n",
        5 => document(
            space,
            "Credential",
            "key",
            "{type: key, identity: b/app, issuedBy: {system: default/issuer, target: x}}",
        ),
        _ => tenant(space, &format!("{space}#K")) + &document(space, "Grant", "all", "{from: a}"),
    }
}

proptest! {
    /// Every namespace is as it says or as it was; the whole loads; and none that is held could come by itself.
    #[test]
    fn as_many_come_as_can(before in prop::array::uniform4(0u8..7), after in prop::array::uniform4(0u8..7), lost in prop::option::of(0usize..4)) {
        let names = ["a", "b", "c", "d"];
        let given: Vec<&str> = names.iter().enumerate().filter(|(at, _)| lost != Some(*at)).map(|(_, name)| *name).collect();
        let texts = |words: [u8; 4], given: &[&str]| {
            let mut all = vec![("default", platform(given))];
            all.extend(names.iter().zip(words).map(|(name, word)| (*name, says(name, word))).filter(|(_, text)| !text.is_empty()));
            spaces(&all)
        };
        let mut history = History::default();
        let first = load_apart(&texts(before, &names), &Estate::default(), &KINDS);
        let active = activate(&mut history, &first, 1);
        let next = texts(after, &given);
        let second = load_apart(&next, &active, &KINDS);
        // Of those that were held once already there is no text that was taken: then only that it loads is looked at.
        prop_assert!(second.loaded.is_some());
        if first.held.is_empty() {
            let old = texts(before, &names);
            let mixed = |come: &dyn Fn(&Name) -> bool| {
                let all: BTreeSet<&Name> = old.keys().chain(next.keys()).collect();
                let chosen = all.into_iter().flat_map(|name| if come(name) { next.get(name) } else { old.get(name) });
                chosen.flatten().cloned().collect::<Vec<_>>()
            };
            let taken = load(&mixed(&|name| !second.held.contains_key(name)), &KINDS).unwrap();
            prop_assert_eq!(taken.estate.digest(), second.loaded.unwrap().estate.digest());
            for more in second.held.keys() {
                let wrong = load(&mixed(&|name| name == more || !second.held.contains_key(name)), &KINDS);
                prop_assert!(wrong.is_err(), "{} could have come", more);
            }
        }
    }
}
