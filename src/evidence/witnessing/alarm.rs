//! The alarm over what no quorum of witnesses saw: an entry when it begins and one when it is over, which go to whoever the
//! streams tell.
//!
//! Guarantees: one of each for each crossing, however many replicas see it and however often they start: that it is under
//! way is a record that comes and goes with the entries.

use std::time::Duration;

use jiff::Timestamp;
use serde_json::json;

use super::Unwitnessed;
use crate::engine::record::{entry, put};
use crate::store::{Change, Key, Rule, Store, StoreError};

/// The entry with which it begins.
pub const RAISED: &str = "log.unwitnessed";
/// The entry with which it is over.
pub const OVER: &str = "log.witnessed-again";

/// Records that the age is past its limit, or is not any more. False when that is known already.
///
/// # Errors
/// The store fails.
pub(super) async fn record(
    store: &dyn Store,
    unwitnessed: &Unwitnessed,
    limit: Duration,
    now: Timestamp,
) -> Result<bool, StoreError> {
    let age = unwitnessed.age(now);
    let past = age > limit;
    let key = Key { kind: "alarm", id: "unwitnessed".to_owned() };
    let known = store.get(&key).await?;
    let change = match known {
        None if past => {
            let body = json!({
                "witnessed": unwitnessed.witnessed,
                "since": unwitnessed.since.map(|since| since.to_string()),
                "age-seconds": age.as_secs(),
                "limit-seconds": limit.as_secs(),
            });
            let mark = put(key.kind, key.id, "", &json!({ "since": now.to_string() }), Rule::Insert)?;
            Change { puts: vec![mark], entries: vec![entry(RAISED, now, None, None, &body)], ..Change::default() }
        }
        Some(mark) if !past => {
            let body = json!({ "witnessed": unwitnessed.witnessed, "raised": mark.body["since"] });
            let entries = vec![entry(OVER, now, None, None, &body)];
            Change { expects: vec![(key.clone(), mark.revision)], deletes: vec![key], entries, ..Change::default() }
        }
        _ => return Ok(false),
    };
    match store.commit(change).await {
        Ok(_) => Ok(true),
        // Another replica said it first.
        Err(StoreError::Exists { .. } | StoreError::Stale { .. }) => Ok(false),
        Err(error) => Err(error),
    }
}
