//! Leases: who may act, until when, and the fencing number that tells a late holder from the present one.

use jiff::Timestamp;
use rusqlite::{Connection, OptionalExtension as _, params};

use super::writer::{Work, Writing, execute};
use super::{broken, from_row, to_row};
use crate::store::{Fence, StoreError};

/// Takes or renews a lease.
pub(super) struct Take {
    pub(super) name: String,
    pub(super) holder: String,
    pub(super) now: Timestamp,
    pub(super) until: Timestamp,
}

impl Work for Take {
    type Answer = Option<Fence>;

    fn apply(self, writing: &mut Writing<'_>) -> Result<Option<Fence>, StoreError> {
        let found = find(writing.connection, &self.name)?;
        let token = match found {
            None => 1,
            Some(Row { holder: Some(holder), token, .. }) if holder == self.holder => token,
            Some(Row { holder: Some(_), until, .. }) if until > self.now => return Ok(None),
            Some(Row { token, .. }) => token + 1,
        };
        let sql = "INSERT INTO lease (name, holder, token, until) VALUES (?1, ?2, ?3, ?4)
            ON CONFLICT (name) DO UPDATE SET holder = excluded.holder, token = excluded.token, until = excluded.until";
        let values = params![self.name, self.holder, to_row(token), self.until.to_string()];
        execute(writing.connection, sql, values, "could not write a lease")?;
        Ok(Some(Fence { lease: self.name, token }))
    }
}

/// Lets a lease go. The number stays, so that the next holder gets a higher one.
pub(super) struct Release(pub(super) Fence);

impl Work for Release {
    type Answer = ();

    fn apply(self, writing: &mut Writing<'_>) -> Result<(), StoreError> {
        let sql = "UPDATE lease SET holder = NULL WHERE name = ?1 AND token = ?2 AND holder IS NOT NULL";
        let values = params![self.0.lease, to_row(self.0.token)];
        match execute(writing.connection, sql, values, "could not release a lease")? {
            0 => Err(StoreError::Fenced(self.0.lease)),
            _ => Ok(()),
        }
    }
}

/// Refuses a holder whose lease has moved on, or was let go.
pub(super) fn check(connection: &Connection, fence: &Fence) -> Result<(), StoreError> {
    match find(connection, &fence.lease)? {
        Some(Row { holder: Some(_), token, .. }) if token == fence.token => Ok(()),
        _ => Err(StoreError::Fenced(fence.lease.clone())),
    }
}

struct Row {
    /// `None`: it was let go.
    holder: Option<String>,
    token: u64,
    until: Timestamp,
}

fn find(connection: &Connection, name: &str) -> Result<Option<Row>, StoreError> {
    connection
        .prepare_cached("SELECT holder, token, until FROM lease WHERE name = ?1")
        .and_then(|mut statement| {
            statement
                .query_row([name], |row| {
                    let until = super::read::time(row, 2)?;
                    Ok(Row { holder: row.get(0)?, token: from_row(row.get(1)?), until })
                })
                .optional()
        })
        .map_err(broken("could not read a lease"))
}
