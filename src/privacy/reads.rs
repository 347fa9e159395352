//! Reads, counted beside the tree: who asked for what, how often, on which day.
//!
//! A read is no act, and ten thousand of them in the tree would bury the acts. They are counted in memory and added to a
//! record of the day each minute and at the end; what was counted since then is lost when the process is killed.

use std::collections::BTreeMap;
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use jiff::tz::TimeZone;
use serde::{Deserialize, Serialize};

use crate::context::Context;
use crate::engine::record::{put, read};
use crate::store::{Change, Key, Rule, Store, StoreError};

/// How often what was counted is written.
pub const EVERY: Duration = Duration::from_mins(1);

const KIND: &str = "reads";

/// What one reader asked for on one day, as one process counted it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Day {
    /// In UTC, as `2026-01-31`.
    pub day: String,
    pub by: String,
    /// How often, by what was asked for.
    pub counts: BTreeMap<String, u64>,
}

/// What was asked for and is not written yet.
#[derive(Debug, Default)]
pub struct Reads(Mutex<BTreeMap<(String, String), u64>>);

impl Reads {
    /// Somebody read something.
    pub fn note(&self, by: &str, what: &str) {
        let mut counted = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        *counted.entry((by.to_owned(), what.to_owned())).or_default() += 1;
    }

    /// Adds what was counted to today's records, each of which only `holder` writes.
    ///
    /// # Errors
    /// The store cannot be written; what was counted is kept for the next time.
    pub async fn flush(&self, store: &dyn Store, context: &Context, holder: &str) -> Result<(), StoreError> {
        let counted = std::mem::take(&mut *self.0.lock().unwrap_or_else(PoisonError::into_inner));
        let written = add(store, context, holder, &counted).await;
        if written.is_err() {
            let mut since = self.0.lock().unwrap_or_else(PoisonError::into_inner);
            for (key, count) in counted {
                *since.entry(key).or_default() += count;
            }
        }
        written
    }
}

async fn add(
    store: &dyn Store,
    context: &Context,
    holder: &str,
    counted: &BTreeMap<(String, String), u64>,
) -> Result<(), StoreError> {
    let day = context.clock.now().to_zoned(TimeZone::UTC).strftime("%Y-%m-%d").to_string();
    let mut days: BTreeMap<String, (Day, Rule)> = BTreeMap::new();
    for ((by, what), count) in counted {
        if !days.contains_key(by) {
            let known = store.get(&Key { kind: KIND, id: format!("{day}/{by}/{holder}") }).await?;
            let rule = known.as_ref().map_or(Rule::Insert, |record| Rule::Revision(record.revision));
            let fresh = || Day { day: day.clone(), by: by.clone(), counts: BTreeMap::new() };
            days.insert(by.clone(), (known.map(read).transpose()?.unwrap_or_else(fresh), rule));
        }
        if let Some((today, _)) = days.get_mut(by) {
            *today.counts.entry(what.clone()).or_default() += count;
        }
    }
    let puts = days.into_values().map(|(today, rule)| {
        let id = format!("{day}/{}/{holder}", today.by);
        put(KIND, id, &day, &today, rule)
    });
    let puts = puts.collect::<Result<Vec<_>, _>>()?;
    if puts.is_empty() {
        return Ok(());
    }
    store.commit(Change { puts, ..Change::default() }).await.map(drop)
}

/// Every day that is known, the newest last, over all processes.
///
/// # Errors
/// The store cannot be read.
pub async fn days(store: &dyn Store) -> Result<Vec<Day>, StoreError> {
    let mut all: BTreeMap<(String, String), BTreeMap<String, u64>> = BTreeMap::new();
    for record in store.list(KIND, None).await? {
        let one: Day = read(record)?;
        let counts = all.entry((one.day, one.by)).or_default();
        for (what, count) in one.counts {
            *counts.entry(what).or_default() += count;
        }
    }
    Ok(all.into_iter().map(|((day, by), counts)| Day { day, by, counts }).collect())
}
