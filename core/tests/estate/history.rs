//! One estate follows another: the diff that a person reads, and the past that stays in reach.

use std::collections::BTreeSet;

use jiff::Timestamp;
use remint_contract::Ref;
use remint_core::estate::{Estate, History};

use super::kinds::{document, good, ground};

fn at(second: i64) -> Timestamp {
    Timestamp::from_second(second).unwrap()
}

fn name(text: &str) -> Ref {
    text.parse().unwrap()
}

fn before() -> String {
    ground()
        + &document("System", "old-store", "{fake: {}, auth: {credential: store-key}}")
        + &document(
            "Credential",
            "store-key",
            "{type: key, identity: app, issuedBy: {system: old-store, target: k}, deliveredTo: [{at: \"host:k#K\"}]}",
        )
        + &document("Identity", "robot", "{class: machine, owners: {policy: a, execution: b, business: c}}")
        + &document("Workload", "batch", "{runsOn: {system: host, ref: batch}, confirm: {how: self-reported}}")
        + &document(
            "Credential",
            "token",
            "{type: key, identity: robot, issuedBy: {system: issuer, target: t, by: minter}, consumedBy: [batch], \
             deliveredTo: [{at: \"old-store:t#T\", source: true}, {at: \"host:t#T\"}]}",
        )
        + &document(
            "Credential",
            "minter",
            "{type: key, identity: app, issuedBy: {system: issuer, target: m}, consumedBy: [web], deliveredTo: [{at: \"host:m#M\"}]}",
        )
}

fn yesterday() -> Estate {
    good(&before())
}

#[test]
fn a_removed_credential_that_is_not_dead_stays_as_a_ghost_with_what_it_needs() {
    let mut history = History::default();
    history.activate(yesterday(), at(100), &BTreeSet::new()).unwrap();
    let active = history.activate(good(&ground()), at(200), &BTreeSet::from([name("Credential/minter")])).unwrap();
    let ghosts: Vec<String> = active.credentials.keys().map(ToString::to_string).collect();
    assert_eq!(ghosts, ["Credential/store-key", "Credential/token"], "the one that is proven dead is dropped");
    assert!(active.credentials.values().all(|credential| credential.ghost));
    for needed in ["System/old-store", "System/issuer"] {
        assert!(active.systems.contains_key(&name(needed)), "{needed}");
    }
    assert!(active.identities.contains_key(&name("Identity/robot")));
    assert!(active.workloads.contains_key(&name("Workload/batch")));
    assert_eq!(active.credentials[&name("Credential/token")].issued_by.by, None, "a dead minter mints nothing");
}

#[test]
fn a_ghost_that_is_proven_dead_later_is_dropped_and_one_that_comes_back_lives() {
    let mut history = History::default();
    history.activate(yesterday(), at(100), &BTreeSet::new()).unwrap();
    history.activate(good(&ground()), at(200), &BTreeSet::new()).unwrap();
    let all: BTreeSet<Ref> = yesterday().credentials.into_keys().collect();
    let clean = history.staged(good(&ground()), &all);
    assert!(clean.credentials.is_empty());
    assert!(!clean.systems.contains_key(&name("System/old-store")));
    let back = history.staged(yesterday(), &BTreeSet::new());
    assert!(back.credentials.values().all(|credential| !credential.ghost));
}

#[test]
fn the_union_has_every_place_that_any_estate_of_the_time_named() {
    let mut history = History::default();
    let all: BTreeSet<Ref> = yesterday().credentials.into_keys().collect();
    history.activate(yesterday(), at(100), &BTreeSet::new()).unwrap();
    let moved = before().replace("\"host:t#T\"", "\"host:new#T\"").replace("consumedBy: [batch]", "consumedBy: [web]");
    history.activate(good(&moved), at(200), &BTreeSet::new()).unwrap();
    history.activate(good(&ground()), at(300), &all).unwrap();

    let whole = history.union(at(150), at(250));
    let token = &whole.credentials[&name("Credential/token")];
    let places: Vec<String> = token.delivered_to.iter().map(|place| place.at.to_string()).collect();
    assert_eq!(places, ["System/old-store:t", "System/host:new", "System/host:t"]);
    assert_eq!(token.delivered_to.iter().filter(|place| place.source).count(), 1);
    assert_eq!(token.consumed_by, BTreeSet::from([name("Workload/batch"), name("Workload/web")]));

    assert!(history.union(at(301), at(400)).credentials.is_empty(), "what was dead before is not in it");
    assert!(history.union(at(10), at(20)).systems.is_empty(), "nothing was active then");
}

#[test]
fn a_clock_that_goes_back_changes_nothing() {
    let mut history = History::default();
    history.activate(yesterday(), at(100), &BTreeSet::new()).unwrap();
    let kept = history.clone();
    history.activate(good(&ground()), at(99), &BTreeSet::new()).expect_err("99 is before 100");
    assert_eq!(history, kept);
}

#[test]
fn the_same_estate_again_starts_no_era() {
    let mut history = History::default();
    history.activate(yesterday(), at(100), &BTreeSet::new()).unwrap();
    history.activate(yesterday(), at(200), &BTreeSet::new()).unwrap();
    assert_eq!(history.eras.len(), 1);
}

#[test]
fn a_diff_shows_new_destinations_and_endpoints_first_and_then_authority() {
    let next = before()
        .replace("\"host:m#M\"", "\"host:elsewhere#M\"")
        .replace("{class: machine, owners: {policy: a", "{class: machine, tier: privileged, owners: {policy: eve")
        .replace("consumedBy: [batch]", "rotation: {maxAge: 7d}, consumedBy: [batch, web]")
        .replace("{fake: {}, auth", "{fake: {url: http://evil}, budget: {concurrency: 2}, auth")
        .replace("issuedBy: {system: old-store, target: k}", "issuedBy: {system: issuer, target: k}")
        + &document("Identity", "new", "{class: human, owners: {policy: a, execution: b, business: c}}");
    let diff = yesterday().diff(&good(&next));
    assert_eq!(
        diff.to_string(),
        "\
! + System/old-store settings.url: http://evil
! + Credential/minter delivered_to: System/host:elsewhere (M: {secret})
! + Identity/new
! ~ Identity/robot owners.policy: a → eve
! ~ Identity/robot tier: standard → privileged
! - Credential/minter delivered_to: System/host:m (M: {secret})
! ~ Credential/store-key issued_by.system: System/old-store → System/issuer
! + Credential/token consumed_by: Workload/web
! + Credential/token rotation.max_age: 604800s
  ~ System/old-store budget.concurrency: 8 → 2"
    );
    assert!(yesterday().diff(&yesterday()).is_empty());
    assert_ne!(yesterday().digest(), good(&next).digest());
}
