//! Two things that must not go in circles: how Remint gets in, and what dies with what.
//!
//! Both graphs have at most one edge that matters out of each node at a time, so that following it with a set of what
//! was passed finds every circle without recursion.

use std::collections::{BTreeMap, BTreeSet};

use remint_contract::Ref;

use crate::estate::load::Draft;
use crate::estate::problem::Reporter;

/// A system's `auth` must be readable somewhere without that same `auth`.
pub(super) fn auth(draft: &Draft, report: &mut Reporter<'_>) {
    let estate = &draft.estate;
    let key_of = |system: &Ref| estate.systems.get(system).and_then(|system| system.auth.as_ref());
    let keys: BTreeSet<&Ref> = estate.systems.values().filter_map(|system| system.auth.as_ref()).collect();
    // Grows what can be had until nothing is added: along reversed edges, each looked at once.
    let mut opens: BTreeMap<&Ref, Vec<&Ref>> = BTreeMap::new();
    let mut had: BTreeSet<&Ref> = BTreeSet::new();
    let mut fresh: Vec<&Ref> = Vec::new();
    for key in &keys {
        let Some(credential) = estate.credentials.get(key) else {
            fresh.push(key);
            continue;
        };
        for place in &credential.delivered_to {
            match key_of(&place.at.system) {
                None => fresh.push(key),
                Some(other) => opens.entry(other).or_default().push(key),
            }
        }
    }
    while let Some(key) = fresh.pop() {
        if had.insert(key) {
            fresh.extend(opens.get(key).into_iter().flatten());
        }
    }
    let next = |key: &Ref| {
        let places = estate.credentials.get(key).map(|credential| &credential.delivered_to);
        places.into_iter().flatten().find_map(|place| key_of(&place.at.system))
    };
    // Every place of a key that cannot be had needs a key that cannot be had: each has one way on, or no place at all.
    let locked = || keys.iter().copied().filter(|key| !had.contains(*key));
    for key in locked().filter(|key| next(key).is_none()) {
        let span = draft.at(key, &["spec", "deliveredTo"]);
        let hint = "add a place under `deliveredTo` that Remint can read";
        report.error(span, Some(key), "Remint acts with this credential, and it lies nowhere", hint);
    }
    for circle in circles(locked(), next) {
        let span = draft.at(circle[0], &["spec", "deliveredTo"]);
        let message =
            format!("containment cycle: Remint can read each of these only with the next ({})", arrows(&circle));
        let hint =
            "keep a copy of one where Remint can read without any of them, such as a file system of its own host";
        report.error(span, Some(circle[0]), message, hint);
    }
}

/// What dies with its minter is a tree.
pub(super) fn minting(draft: &Draft, report: &mut Reporter<'_>) {
    let estate = &draft.estate;
    let parent = |child: &Ref| {
        let issued = &estate.credentials.get(child)?.issued_by;
        let minter = issued.by.as_ref().or_else(|| estate.systems.get(&issued.system)?.auth.as_ref());
        minter.filter(|_| issued.dies_with_issuer)
    };
    for circle in circles(estate.credentials.keys(), parent) {
        let span = draft.at(circle[0], &["spec", "issuedBy", "diesWithIssuer"]);
        let message = format!("each of these dies with the next, in a circle ({})", arrows(&circle));
        let hint = "one of them does not die with what mints it: correct `by` or `diesWithIssuer`";
        report.error(span, Some(circle[0]), message, hint);
    }
}

/// Every circle that following `next` runs into, each once, from its least member back to it. Every node is passed once.
fn circles<'r>(starts: impl Iterator<Item = &'r Ref>, next: impl Fn(&Ref) -> Option<&'r Ref>) -> Vec<Vec<&'r Ref>> {
    let mut circles = Vec::new();
    let mut settled: BTreeSet<&Ref> = BTreeSet::new();
    for start in starts {
        let mut path: Vec<&Ref> = Vec::new();
        let mut on_path: BTreeSet<&Ref> = BTreeSet::new();
        let mut node = Some(start);
        while let Some(one) = node.filter(|one| !settled.contains(one)) {
            if !on_path.insert(one) {
                // Back at a node of this path: from there on it is a circle.
                let first = path.iter().position(|passed| *passed == one).unwrap_or_default();
                let mut circle = path[first..].to_vec();
                let least = (0..circle.len()).min_by_key(|index| circle[*index]).unwrap_or_default();
                circle.rotate_left(least);
                circle.push(circle[0]);
                circles.push(circle);
                break;
            }
            path.push(one);
            node = next(one);
        }
        settled.extend(path);
    }
    circles
}

fn arrows(path: &[&Ref]) -> String {
    // A circle of thousands is shown by its first members.
    let shown: Vec<String> = path.iter().take(8).map(ToString::to_string).collect();
    shown.join(" → ") + if path.len() > 8 { " → …" } else { "" }
}
