//! What is read: each function is one question to one connection.

use jiff::Timestamp;
use remint_contract::ResetId;
use remint_evidence_format::tree::Hash;
use remint_evidence_format::{Stored, entry};
use rusqlite::types::Type;
use rusqlite::{Connection, OptionalExtension as _, Params, Row, params};

use super::{broken, from_row, to_row};
use crate::store::{Key, Record, Sealed, StoreError};

pub(super) fn record(connection: &Connection, key: &Key) -> Result<Option<Record>, StoreError> {
    let sql = "SELECT id, scope, revision, body FROM record WHERE kind = ?1 AND id = ?2";
    one(connection, sql, params![key.kind, key.id], as_record, "could not read a record")
}

pub(super) fn records(connection: &Connection, kind: &str, scope: Option<&str>) -> Result<Vec<Record>, StoreError> {
    let failed = "could not read the records";
    match scope {
        None => {
            let sql = "SELECT id, scope, revision, body FROM record WHERE kind = ?1 ORDER BY seq";
            all(connection, sql, params![kind], as_record, failed)
        }
        Some(scope) => {
            let sql = "SELECT id, scope, revision, body FROM record WHERE kind = ?1 AND scope = ?2 ORDER BY seq";
            all(connection, sql, params![kind, scope], as_record, failed)
        }
    }
}

pub(super) fn sealed(connection: &Connection, id: &str) -> Result<Option<Sealed>, StoreError> {
    let sql = "SELECT id, scope, generation, bytes, expires FROM sealed WHERE id = ?1";
    one(connection, sql, [id], as_sealed, "could not read a sealed value")
}

pub(super) fn sealed_after(connection: &Connection, after: &str, limit: usize) -> Result<Vec<Sealed>, StoreError> {
    let sql = "SELECT id, scope, generation, bytes, expires FROM sealed WHERE id > ?1 ORDER BY id LIMIT ?2";
    all(connection, sql, params![after, rows(limit)], as_sealed, "could not list the sealed values")
}

pub(super) fn unsequenced(connection: &Connection, limit: usize) -> Result<Vec<Stored>, StoreError> {
    let sql = "SELECT id, reset, number, bytes FROM entry
        WHERE id > (SELECT ifnull(max(size), 0) FROM checkpoint) ORDER BY id LIMIT ?1";
    all(connection, sql, params![rows(limit)], |row| as_entry(row, 0), "could not read the entries without a place")
}

pub(super) fn sequenced(connection: &Connection, from: u64, limit: usize) -> Result<Vec<Stored>, StoreError> {
    let size = size(connection)?;
    let sql = "SELECT id, reset, number, bytes FROM entry WHERE id > ?1 AND id <= ?2 ORDER BY id LIMIT ?3";
    let values = params![to_row(from), to_row(size), rows(limit)];
    all(connection, sql, values, |row| as_entry(row, size), "could not read the entries of the tree")
}

/// Hashed as they lie there: no entry is copied.
pub(super) fn hashes(connection: &Connection, from: u64, limit: usize) -> Result<Vec<Hash>, StoreError> {
    let sql = "SELECT bytes FROM entry WHERE id > ?1 AND id <= ?2 ORDER BY id LIMIT ?3";
    let values = params![to_row(from), to_row(size(connection)?), rows(limit)];
    let hash = |row: &Row<'_>| Ok(entry::hash(row.get_ref(0)?.as_blob()?));
    all(connection, sql, values, hash, "could not read the entries of the tree")
}

pub(super) fn entries_of(connection: &Connection, reset: &ResetId) -> Result<Vec<Stored>, StoreError> {
    // Read before the entries: an entry that is placed meanwhile shows as not yet placed.
    let size = size(connection)?;
    let sql = "SELECT id, reset, number, bytes FROM entry WHERE reset = ?1 ORDER BY number";
    all(connection, sql, [reset.0.as_str()], |row| as_entry(row, size), "could not read the entries of a reset")
}

pub(super) fn checkpoint(connection: &Connection) -> Result<Option<(u64, String)>, StoreError> {
    let sql = "SELECT size, note FROM checkpoint ORDER BY size DESC LIMIT 1";
    let row = |row: &Row<'_>| Ok((from_row(row.get(0)?), row.get(1)?));
    one(connection, sql, [], row, "could not read the newest checkpoint")
}

/// How many entries have a place in the tree.
pub(super) fn size(connection: &Connection) -> Result<u64, StoreError> {
    let sql = "SELECT max(size) FROM checkpoint";
    let row = |row: &Row<'_>| row.get::<_, Option<i64>>(0);
    Ok(one(connection, sql, [], row, "could not read the size of the tree")?.flatten().map_or(0, from_row))
}

/// A time in a column.
pub(super) fn time(row: &Row<'_>, column: usize) -> rusqlite::Result<Timestamp> {
    let text = row.get_ref(column)?.as_str()?;
    text.parse().map_err(|source| rusqlite::Error::FromSqlConversionFailure(column, Type::Text, Box::new(source)))
}

pub(super) fn as_sealed(row: &Row<'_>) -> rusqlite::Result<Sealed> {
    let expires = if row.get_ref(4)? == rusqlite::types::ValueRef::Null { None } else { Some(time(row, 4)?) };
    let generation = from_row(row.get(2)?);
    Ok(Sealed { id: row.get(0)?, scope: row.get(1)?, generation, expires, bytes: row.get(3)? })
}

pub(super) fn as_record(row: &Row<'_>) -> rusqlite::Result<Record> {
    let body = serde_json::from_str(row.get_ref(3)?.as_str()?)
        .map_err(|source| rusqlite::Error::FromSqlConversionFailure(3, Type::Text, Box::new(source)))?;
    Ok(Record { id: row.get(0)?, scope: row.get(1)?, revision: from_row(row.get(2)?), body })
}

/// An entry, in a tree of `size` entries.
fn as_entry(row: &Row<'_>, size: u64) -> rusqlite::Result<Stored> {
    let id = from_row(row.get(0)?);
    let reset: String = row.get(1)?;
    let index = (id <= size).then(|| id.saturating_sub(1));
    let number = from_row(row.get(2)?);
    Ok(Stored { id, index, reset: (!reset.is_empty()).then_some(reset), number, bytes: row.get(3)? })
}

fn one<T>(
    connection: &Connection,
    sql: &'static str,
    values: impl Params,
    row: impl FnOnce(&Row<'_>) -> rusqlite::Result<T>,
    what: &str,
) -> Result<Option<T>, StoreError> {
    connection
        .prepare_cached(sql)
        .and_then(|mut statement| statement.query_row(values, row).optional())
        .map_err(broken(what))
}

pub(super) fn all<T>(
    connection: &Connection,
    sql: &'static str,
    values: impl Params,
    row: impl FnMut(&Row<'_>) -> rusqlite::Result<T>,
    what: &str,
) -> Result<Vec<T>, StoreError> {
    connection
        .prepare_cached(sql)
        .and_then(|mut statement| statement.query_map(values, row)?.collect())
        .map_err(broken(what))
}

fn rows(limit: usize) -> i64 {
    i64::try_from(limit).unwrap_or(i64::MAX)
}
