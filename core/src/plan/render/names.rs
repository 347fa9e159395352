//! Names as short as they can be without being taken for another.

use remint_contract::{Location, Ref};

use super::super::Node;

/// Without its kind, where the column says it.
pub(super) fn short(reference: &Ref) -> String {
    let full = reference.to_string();
    full.split_once('/').map_or(full.clone(), |(_, rest)| rest.to_owned())
}

/// `vault-prod:ci/app`, without `System/`.
pub(super) fn place(location: &Location) -> String {
    let full = location.to_string();
    full.split_once('/').map_or(full.clone(), |(_, rest)| rest.to_owned())
}

/// A document with its kind, a place without.
pub(super) fn node(node: &Node) -> String {
    match node {
        Node::Doc(reference) => reference.to_string(),
        Node::Place(location) => place(location),
    }
}

/// The first few, and how many more.
pub(super) fn some(names: impl IntoIterator<Item = String>, most: usize) -> String {
    let mut names = names.into_iter();
    let mut shown: Vec<String> = names.by_ref().take(most).collect();
    let more = names.count();
    if more > 0 {
        shown.push(format!("+{more} more"));
    }
    shown.join(", ")
}

/// "1 task", "2 tasks".
pub(super) fn count(number: usize, word: &str) -> String {
    if number == 1 { format!("1 {word}") } else { format!("{number} {word}s") }
}

/// A length of time in words.
pub(super) fn spoken(duration: std::time::Duration) -> String {
    match duration.as_secs() {
        seconds @ 0..120 => format!("{} s", seconds.max(1)),
        seconds @ 120..7200 => format!("{} min", seconds.div_ceil(60)),
        seconds => format!("{} h", seconds.div_ceil(3600)),
    }
}
