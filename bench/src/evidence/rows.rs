//! The same rows, inserted plainly: one prepared statement, as many of them in one durable transaction.

use std::path::Path;
use std::time::{Duration, Instant};

use rusqlite::{Connection, params};

use crate::Outcome;

/// An entry as a store keeps it.
pub(super) struct Row {
    pub(super) reset: String,
    pub(super) number: u64,
    pub(super) bytes: Vec<u8>,
}

/// Inserts the rows; gives the time that it took. Settings and table are those of the store.
pub(super) fn insert(file: &Path, rows: &[Row], batch: usize) -> Outcome<Duration> {
    let connection = Connection::open(file)?;
    connection.execute_batch(
        "PRAGMA journal_mode = WAL;
         PRAGMA synchronous = FULL;
         PRAGMA wal_autocheckpoint = 4096;
         PRAGMA cache_size = -65536;
         CREATE TABLE entry (
             id INTEGER PRIMARY KEY,
             reset TEXT NOT NULL,
             number INTEGER NOT NULL,
             bytes BLOB NOT NULL,
             UNIQUE (reset, number)
         ) STRICT;",
    )?;
    let started = Instant::now();
    let mut statement = connection.prepare("INSERT INTO entry (reset, number, bytes) VALUES (?1, ?2, ?3)")?;
    for some in rows.chunks(batch) {
        connection.execute_batch("BEGIN IMMEDIATE")?;
        for row in some {
            statement.execute(params![row.reset, i64::try_from(row.number)?, row.bytes])?;
        }
        connection.execute_batch("COMMIT")?;
    }
    Ok(started.elapsed())
}
