//! The tables, their version, and how a connection is set up.

use std::path::Path;

use rusqlite::{Connection, OpenFlags, OptionalExtension as _};

use super::broken;
use crate::store::StoreError;

/// The schema this program reads and writes.
const VERSION: u32 = 1;

/// Statements that stay prepared on a connection: more than there are different ones.
const STATEMENTS: usize = 64;

/// Opens the one connection that writes, and makes the tables when they are not there.
pub(super) fn open(file: &Path) -> Result<Connection, StoreError> {
    let flags = OpenFlags::SQLITE_OPEN_READ_WRITE | OpenFlags::SQLITE_OPEN_NO_MUTEX;
    let connection = Connection::open_with_flags(file, flags).map_err(broken("could not be opened"))?;
    connection.set_prepared_statement_cache_capacity(STATEMENTS);
    // The version is looked at before anything is changed, the journal mode included.
    check(&connection, &file.display().to_string())?;
    connection.execute_batch(SETTINGS).map_err(broken("could not be set up"))?;
    create(&connection)?;
    Ok(connection)
}

/// A database that is nowhere on disk.
pub(super) fn open_in_memory() -> Result<Connection, StoreError> {
    let connection = Connection::open_in_memory().map_err(broken("could not be made in memory"))?;
    connection.set_prepared_statement_cache_capacity(STATEMENTS);
    create(&connection)?;
    Ok(connection)
}

/// Opens a connection that can only read.
pub(super) fn open_to_read(file: &Path) -> Result<Connection, StoreError> {
    let flags = OpenFlags::SQLITE_OPEN_READ_ONLY | OpenFlags::SQLITE_OPEN_NO_MUTEX;
    let connection = Connection::open_with_flags(file, flags).map_err(broken("could not be opened for reading"))?;
    connection.set_prepared_statement_cache_capacity(STATEMENTS);
    Ok(connection)
}

/// Refuses what a newer program wrote.
fn check(connection: &Connection, path: &str) -> Result<(), StoreError> {
    let made: bool = connection
        .query_row("SELECT EXISTS (SELECT 1 FROM sqlite_schema WHERE name = 'meta')", [], |row| row.get(0))
        .map_err(broken("is not a store of remint"))?;
    if !made {
        return Ok(());
    }
    let found: Option<u32> = connection
        .query_row("SELECT value FROM meta WHERE key = 'schema'", [], |row| row.get(0))
        .optional()
        .map_err(broken("has a schema version that cannot be read"))?;
    match found {
        Some(found) if found > VERSION => Err(StoreError::Newer { path: path.to_owned(), found, known: VERSION }),
        _ => Ok(()),
    }
}

fn create(connection: &Connection) -> Result<(), StoreError> {
    connection.execute_batch(TABLES).map_err(broken("could not make its tables"))?;
    connection
        .execute("INSERT INTO meta (key, value) VALUES ('schema', ?1) ON CONFLICT DO NOTHING", [VERSION])
        .map_err(broken("could not note its schema version"))?;
    Ok(())
}

/// The log is written back at 16 MiB: often enough for reads, seldom enough that it costs the writer little. Savepoints
/// keep what they would undo in memory.
const SETTINGS: &str = "
PRAGMA journal_mode = WAL;
PRAGMA synchronous = FULL;
PRAGMA wal_autocheckpoint = 4096;
PRAGMA temp_store = MEMORY;
PRAGMA cache_size = -65536;
PRAGMA trusted_schema = OFF;
";

/// Ids of entries are given by the writer without a gap and entries are never deleted, so the place of an entry in the
/// tree is its id less one, as soon as a checkpoint covers it: nothing of an entry ever changes.
/// `INSERT OR REPLACE` fires no trigger of a delete, so a third one refuses what is there already. It fails before the row
/// and does not abort: for a statement that may abort half-way SQLite keeps a journal of its own, for every single row.
/// `reset` is empty for an entry of no reset, so that one index holds numbers unique in every chain.
const TABLES: &str = "
BEGIN IMMEDIATE;
CREATE TABLE IF NOT EXISTS meta (key TEXT PRIMARY KEY, value ANY NOT NULL) STRICT, WITHOUT ROWID;
CREATE TABLE IF NOT EXISTS record (
    seq INTEGER PRIMARY KEY,
    kind TEXT NOT NULL,
    id TEXT NOT NULL,
    scope TEXT NOT NULL,
    revision INTEGER NOT NULL,
    body TEXT NOT NULL,
    UNIQUE (kind, id)
) STRICT;
CREATE INDEX IF NOT EXISTS record_by_scope ON record (kind, scope);
CREATE TABLE IF NOT EXISTS sealed (
    id TEXT PRIMARY KEY,
    scope TEXT NOT NULL,
    generation INTEGER NOT NULL,
    expires TEXT,
    bytes BLOB NOT NULL
) STRICT;
CREATE TABLE IF NOT EXISTS lease (
    name TEXT PRIMARY KEY,
    holder TEXT,
    token INTEGER NOT NULL,
    until TEXT NOT NULL
) STRICT, WITHOUT ROWID;
CREATE TABLE IF NOT EXISTS entry (
    id INTEGER PRIMARY KEY,
    reset TEXT NOT NULL,
    number INTEGER NOT NULL,
    bytes BLOB NOT NULL,
    UNIQUE (reset, number)
) STRICT;
CREATE TABLE IF NOT EXISTS checkpoint (size INTEGER PRIMARY KEY, note TEXT NOT NULL) STRICT;
CREATE TRIGGER IF NOT EXISTS entry_stays BEFORE UPDATE ON entry
    BEGIN SELECT RAISE(ABORT, 'an entry never changes'); END;
CREATE TRIGGER IF NOT EXISTS entry_remains BEFORE DELETE ON entry
    BEGIN SELECT RAISE(ABORT, 'an entry is never deleted'); END;
CREATE TRIGGER IF NOT EXISTS entry_is_new BEFORE INSERT ON entry
    WHEN EXISTS (SELECT 1 FROM entry WHERE id = NEW.id)
        OR EXISTS (SELECT 1 FROM entry WHERE reset = NEW.reset AND number = NEW.number)
    BEGIN SELECT RAISE(FAIL, 'an entry is never replaced'); END;
CREATE TRIGGER IF NOT EXISTS checkpoint_stays BEFORE UPDATE ON checkpoint
    BEGIN SELECT RAISE(ABORT, 'a checkpoint never changes'); END;
CREATE TRIGGER IF NOT EXISTS checkpoint_remains BEFORE DELETE ON checkpoint
    BEGIN SELECT RAISE(ABORT, 'a checkpoint is never deleted'); END;
CREATE TRIGGER IF NOT EXISTS checkpoint_is_new BEFORE INSERT ON checkpoint
    WHEN EXISTS (SELECT 1 FROM checkpoint WHERE size = NEW.size)
    BEGIN SELECT RAISE(ABORT, 'a checkpoint is never replaced'); END;
COMMIT;
";
