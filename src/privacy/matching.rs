//! Matching: whether something in a text is, or was, one of ours. The text is not kept, and nothing of it is recorded but how
//! much there was; that somebody asked, and what matched, is an entry.

use std::collections::BTreeMap;

use serde::Serialize;
use serde_json::json;

use super::candidates::candidates;
use super::fingerprint::{FingerprintError, Fingerprints, KIND, Known};
use crate::context::Context;
use crate::engine::record::{entry, read};
use crate::store::{Change, Key, Store};

/// At most so many bytes at once.
pub const LARGEST: usize = 1024 * 1024;

/// What a text has of ours.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize)]
pub struct Matched {
    /// How many candidates were tried.
    pub candidates: usize,
    /// There were more than are tried: cut the text.
    pub more: bool,
    /// The credentials, each with the versions that were in it.
    pub matches: BTreeMap<String, Vec<Known>>,
}

/// Looks for values of ours in a text, and records that somebody did.
///
/// # Errors
/// The store cannot be read or written: then nothing is answered, because a question without an entry would be a way to try
/// values.
pub async fn matching(
    store: &dyn Store,
    prints: &Fingerprints,
    context: &Context,
    text: &[u8],
    by: &str,
) -> Result<Matched, FingerprintError> {
    let (values, more) = candidates(text);
    let mut found = Matched { candidates: values.len(), more, matches: BTreeMap::new() };
    for value in &values {
        for print in prints.all(value) {
            if let Some(record) = store.get(&Key { kind: KIND, id: print }).await? {
                let known: Known = read(record)?;
                let versions = found.matches.entry(known.credential.clone()).or_default();
                if !versions.contains(&known) {
                    versions.push(known);
                }
            }
        }
    }
    let matched: Vec<&String> = found.matches.keys().collect();
    let body =
        json!({ "by": by, "bytes": text.len(), "candidates": found.candidates, "more": more, "matched": matched });
    let entries = vec![entry("evidence.matched", context.clock.now(), None, None, &body)];
    store.commit(Change { entries, ..Change::default() }).await?;
    Ok(found)
}
