//! Refused authentications, gathered: one entry for each source and minute, so that whoever knocks a million times does not
//! write the log.
//!
//! Flow: the door notes each refusal ([`Refusals::note`]); each minute what was gathered becomes entries
//! ([`Refusals::record`]).
//!
//! Guarantees: however many sources there are, a minute has at most [`SOURCES`] entries and one more: the rest is counted
//! under [`OTHERS`]. What is not recorded when the process is killed is lost, as nothing was changed by it.

use std::collections::BTreeMap;
use std::sync::{Mutex, PoisonError};

use jiff::Timestamp;
use serde_json::json;

use crate::context::Context;
use crate::engine::record::entry;
use crate::store::{Change, Store, StoreError};

/// The kind of the entries.
pub const REFUSED: &str = "access.refused";

/// Sources that are told apart in one minute.
pub const SOURCES: usize = 16;

/// What the others are called.
pub const OTHERS: &str = "others";

/// What was refused and is not recorded yet.
#[derive(Debug, Default)]
pub struct Refusals(Mutex<BTreeMap<String, Seen>>);

/// Refusals of one source.
#[derive(Debug, Clone)]
struct Seen {
    first: Timestamp,
    last: Timestamp,
    /// How often, by why.
    counts: BTreeMap<&'static str, u64>,
}

impl Refusals {
    /// Somebody was not let in.
    pub fn note(&self, source: &str, why: &'static str, now: Timestamp) {
        let mut seen = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let known = seen.contains_key(source) || seen.len() < SOURCES;
        let source = if known { source } else { OTHERS };
        let one =
            seen.entry(source.to_owned()).or_insert_with(|| Seen { first: now, last: now, counts: BTreeMap::new() });
        one.last = one.last.max(now);
        *one.counts.entry(why).or_default() += 1;
    }

    /// Records what was gathered.
    ///
    /// # Errors
    /// The store cannot be written; what was gathered is kept for the next time.
    pub async fn record(&self, store: &dyn Store, context: &Context) -> Result<(), StoreError> {
        let gathered = std::mem::take(&mut *self.0.lock().unwrap_or_else(PoisonError::into_inner));
        if gathered.is_empty() {
            return Ok(());
        }
        let now = context.clock.now();
        let entries = gathered.iter().map(|(source, seen)| {
            let body = json!({
                "source": source,
                "count": seen.counts.values().sum::<u64>(),
                "why": seen.counts,
                "first": seen.first.to_string(),
                "last": seen.last.to_string(),
            });
            entry(REFUSED, now, None, None, &body)
        });
        let written = store.commit(Change { entries: entries.collect(), ..Change::default() }).await.map(drop);
        if written.is_err() {
            self.put_back(gathered);
        }
        written
    }

    fn put_back(&self, gathered: BTreeMap<String, Seen>) {
        let mut since = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        for (source, seen) in gathered {
            let known = since.contains_key(&source) || since.len() < SOURCES;
            let source = if known { source } else { OTHERS.to_owned() };
            let fresh = Seen { first: seen.first, last: seen.last, counts: BTreeMap::new() };
            let one = since.entry(source).or_insert(fresh);
            one.first = one.first.min(seen.first);
            one.last = one.last.max(seen.last);
            for (why, count) in seen.counts {
                *one.counts.entry(why).or_default() += count;
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn whoever_knocks_from_everywhere_is_counted_and_named_only_so_often() {
        let refusals = Refusals::default();
        for turn in 0..1000 {
            refusals.note(&format!("127.0.0.{}", turn % 250), "token", Timestamp::UNIX_EPOCH);
        }
        let seen = refusals.0.lock().unwrap();
        assert_eq!(seen.len(), SOURCES + 1);
        assert_eq!(seen.values().flat_map(|one| one.counts.values()).sum::<u64>(), 1000);
        assert_eq!(seen["127.0.0.0"].counts["token"], 4);
        assert_eq!(seen[OTHERS].counts["token"], 1000 - 4 * SOURCES as u64);
    }
}
