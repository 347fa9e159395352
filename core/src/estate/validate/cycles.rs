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
    for key in keys.iter().filter(|key| !had.contains(**key)) {
        let span = draft.at(key, &["spec", "deliveredTo"]);
        if next(key).is_none() {
            let hint = "add a place under `deliveredTo` that Remint can read";
            report.error(span, Some(key), "Remint acts with this credential, and it lies nowhere", hint);
        } else if let Some(circle) = circle(key, next) {
            let message = format!("containment cycle: Remint would need it to read it ({})", arrows(&circle));
            let hint = "keep a copy where Remint can read without it, such as a file system of its own host";
            report.error(span, Some(key), message, hint);
        }
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
    let mut settled: BTreeSet<&Ref> = BTreeSet::new();
    for start in estate.credentials.keys() {
        let mut path: Vec<&Ref> = Vec::new();
        let mut on_path: BTreeSet<&Ref> = BTreeSet::new();
        let mut node = start;
        while !settled.contains(node) && on_path.insert(node) {
            path.push(node);
            match parent(node) {
                Some(up) => node = up,
                None => break,
            }
        }
        // It stopped at a node of its own path, which has a parent: a circle.
        if on_path.contains(node) && !settled.contains(node) && parent(node).is_some() {
            let first = path.iter().position(|one| *one == node).unwrap_or_default();
            let mut circle: Vec<&Ref> = path[first..].to_vec();
            let least = (0..circle.len()).min_by_key(|index| circle[*index]).unwrap_or_default();
            circle.rotate_left(least);
            let at = circle[0];
            circle.push(at);
            let message = format!("each of these dies with the next, in a circle ({})", arrows(&circle));
            let hint = "one of them does not die with what mints it: correct `by` or `diesWithIssuer`";
            report.error(draft.at(at, &["spec", "issuedBy", "diesWithIssuer"]), Some(at), message, hint);
        }
        settled.extend(path);
    }
}

/// The circle through `start`, when following `next` leads back to it.
fn circle<'r>(start: &'r Ref, next: impl Fn(&Ref) -> Option<&'r Ref>) -> Option<Vec<&'r Ref>> {
    let mut path = vec![start];
    let mut seen = BTreeSet::from([start]);
    let mut node = next(start)?;
    while node != start {
        if !seen.insert(node) {
            return None;
        }
        path.push(node);
        node = next(node)?;
    }
    path.push(start);
    Some(path)
}

fn arrows(path: &[&Ref]) -> String {
    // A circle of thousands is shown by its first members.
    let shown: Vec<String> = path.iter().take(8).map(ToString::to_string).collect();
    shown.join(" → ") + if path.len() > 8 { " → …" } else { "" }
}
