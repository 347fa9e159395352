//! The years of a log: the open one, and those that are closed.
//!
//! Flow: when the clock says that the year of the log is over, the sequencer commits the entry that closes it
//! ([`remint_evidence_format::shard`]), ends a batch right after it, and keeps the checkpoint of exactly that size as a record. What comes
//! after belongs to the year that the clock says.
//!
//! Guarantees: a closing checkpoint is written down before anything is placed behind it; doing it again writes the same.

use jiff::Timestamp;
use jiff::tz::TimeZone;
use remint_evidence_format::tree::{Frontier, Hash};
use remint_evidence_format::{Draft, entry, shard};
use serde::{Deserialize, Serialize};

use crate::engine::record::{put, read};
use crate::store::{Leaf, Put, Rule, Store, StoreError};

/// A closed year.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Year {
    pub year: i64,
    /// The place of its first entry.
    pub from: u64,
    /// The size of the tree that ends with it.
    pub to: u64,
    /// The closing checkpoint.
    pub note: String,
    /// The right edge of the tree where the next year begins, in hexadecimal digits, the largest subtree first.
    pub edge: Vec<String>,
}

impl Year {
    /// Every closed year, the oldest first.
    ///
    /// # Errors
    /// The store cannot be read.
    pub async fn all(store: &dyn Store) -> Result<Vec<Self>, StoreError> {
        let mut years = Vec::new();
        for record in store.list(KIND, None).await? {
            years.push(read::<Self>(record)?);
        }
        years.sort_by_key(|year| year.to);
        Ok(years)
    }

    /// The right edge after it, as hashes.
    #[must_use]
    pub fn edge(&self) -> Vec<Hash> {
        self.edge.iter().filter_map(|hash| Hash::from_hex(hash)).collect()
    }

    /// The record of a year that these close.
    pub(super) fn put(closing: &Leaf, frontier: &Frontier, note: &str) -> Result<Option<Put>, StoreError> {
        let Some((year, from)) = close(closing) else { return Ok(None) };
        let edge = frontier.peaks().iter().map(ToString::to_string).collect();
        let record = Self { year, from, to: frontier.size(), note: note.to_owned(), edge };
        put(KIND, format!("{:020}", record.to), "", &record, Rule::Upsert).map(Some)
    }
}

/// The year that entries go into now.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Open {
    year: i64,
    from: u64,
}

impl Open {
    /// The open year of a store: that of its first entry after the last close. `None` when there is no entry.
    pub(super) async fn of(store: &dyn Store) -> Result<Option<Self>, StoreError> {
        let from = Year::all(store).await?.last().map_or(0, |year| year.to);
        let first = match store.sequenced(from, 1).await?.pop() {
            Some(first) => Some(first),
            None => store.unsequenced(1).await?.pop(),
        };
        let at = first.and_then(|first| entry::parse(&first.bytes).ok()?.at.parse::<Timestamp>().ok());
        Ok(at.map(|at| Self { year: year_of(at), from }))
    }

    /// The entry that closes it, when it is over.
    pub(super) fn over(&self, now: Timestamp) -> Option<Draft> {
        (year_of(now) > self.year).then(|| Draft {
            kind: shard::CLOSED.to_owned(),
            at: now.to_string(),
            reset: None,
            subject: None,
            body: shard::body(self.year, self.from),
        })
    }
}

/// How many of these go into one batch: those up to one that closes a year.
pub(super) fn until_close(leaves: &[Leaf]) -> usize {
    leaves.iter().position(|leaf| close(leaf).is_some()).map_or(leaves.len(), |at| at + 1)
}

/// The year that an entry closes, and the place of its first entry.
fn close(leaf: &Leaf) -> Option<(i64, u64)> {
    leaf.bytes.as_deref().and_then(|bytes| shard::closing(bytes).ok())
}

fn year_of(at: Timestamp) -> i64 {
    i64::from(at.to_zoned(TimeZone::UTC).year())
}

const KIND: &str = "year";
