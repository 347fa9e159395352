//! The newest time that anything was decided at: a clock that is set back behind it revives no approval.

use jiff::Timestamp;

use crate::engine::record::{put, read};
use crate::store::{Key, Put, Rule, Store, StoreError};

pub(crate) const KIND: &str = "clock";
const NEWEST: &str = "newest";

/// The newest time that was seen; the beginning of all time where none was.
///
/// # Errors
/// The store cannot be read.
pub(crate) async fn seen(store: &dyn Store) -> Result<Timestamp, StoreError> {
    let key = Key { kind: KIND, id: NEWEST.to_owned() };
    Ok(store.get(&key).await?.map(read).transpose()?.unwrap_or(Timestamp::MIN))
}

/// The record that `now` was seen; goes with the change that is decided.
pub(crate) fn put_seen(now: Timestamp) -> Result<Put, StoreError> {
    put(KIND, NEWEST, "", &now, Rule::Upsert)
}
