//! A store's lines, out of one picture and into an empty one.

use rusqlite::{Connection, Row, params};
use tokio::sync::mpsc;

use super::writer::{Work, Writing, execute};
use super::{broken, from_row, read, to_row};
use crate::store::dump::{EntryLine, Held, Line};
use crate::store::{Sealed, StoreError};

/// Sends everything, entries first. The caller sees to it that all of it is one picture.
pub(super) fn dump(connection: &Connection, sealed: bool, lines: &mpsc::Sender<Line>) -> Result<(), StoreError> {
    send(connection, "SELECT id, reset, number, bytes FROM entry ORDER BY id", lines, |row| {
        let (id, number) = (from_row(row.get(0)?), from_row(row.get(2)?));
        Ok(Line::Entry(EntryLine { id, reset: row.get(1)?, number, bytes: row.get(3)? }))
    })?;
    send(connection, "SELECT size, note FROM checkpoint ORDER BY size", lines, |row| {
        Ok(Line::Checkpoint { size: from_row(row.get(0)?), note: row.get(1)? })
    })?;
    send(connection, "SELECT id, scope, revision, body, kind FROM record ORDER BY seq", lines, |row| {
        let kind = row.get(4)?;
        let record = read::as_record(row)?;
        Ok(Line::Record { kind, id: record.id, scope: record.scope, revision: record.revision, body: record.body })
    })?;
    send(connection, "SELECT name, token, holder, until FROM lease ORDER BY name", lines, |row| {
        let holder: Option<String> = row.get(2)?;
        let until = read::time(row, 3)?;
        let held = holder.filter(|_| sealed).map(|holder| Held { holder, until });
        Ok(Line::Lease { name: row.get(0)?, token: from_row(row.get(1)?), held })
    })?;
    if sealed {
        send(connection, "SELECT id, scope, generation, bytes, expires FROM sealed ORDER BY id", lines, |row| {
            Ok(Line::Sealed(read::as_sealed(row)?))
        })?;
    }
    lines.blocking_send(Line::End).map_err(|_| gone())
}

fn send(
    connection: &Connection,
    sql: &str,
    lines: &mpsc::Sender<Line>,
    line: impl Fn(&Row<'_>) -> rusqlite::Result<Line>,
) -> Result<(), StoreError> {
    let failed = "could not be read to its end";
    let mut statement = connection.prepare(sql).map_err(broken(failed))?;
    let rows = statement.query_map([], |row| line(row)).map_err(broken(failed))?;
    for row in rows {
        lines.blocking_send(row.map_err(broken(failed))?).map_err(|_| gone())?;
    }
    Ok(())
}

/// Takes everything, in one piece of work.
pub(super) struct Load(pub(super) mpsc::Receiver<Line>);

impl Work for Load {
    type Answer = ();

    fn apply(mut self, writing: &mut Writing<'_>) -> Result<(), StoreError> {
        let connection = writing.connection;
        let sql = "SELECT EXISTS (SELECT 1 FROM entry) OR EXISTS (SELECT 1 FROM record)
            OR EXISTS (SELECT 1 FROM checkpoint) OR EXISTS (SELECT 1 FROM sealed)";
        let taken = connection.query_row(sql, [], |row| row.get::<_, bool>(0)).map_err(broken("could not be read"))?;
        if taken {
            return Err(StoreError::NotEmpty);
        }
        let failed = "could not write what was restored";
        let mut next = 1;
        loop {
            match self.0.blocking_recv() {
                Some(Line::End) => break,
                None => return Err(gone()),
                Some(Line::Entry(EntryLine { id, reset, number, bytes })) => {
                    if id != next {
                        let what = format!("was given entry {id} where {next} must follow");
                        return Err(StoreError::Broken { what, source: None });
                    }
                    next += 1;
                    let sql = "INSERT INTO entry (id, reset, number, bytes) VALUES (?1, ?2, ?3, ?4)";
                    execute(connection, sql, params![to_row(id), reset, to_row(number), bytes], failed)?;
                }
                Some(Line::Checkpoint { size, note }) => {
                    let sql = "INSERT INTO checkpoint (size, note) VALUES (?1, ?2)";
                    execute(connection, sql, params![to_row(size), note], failed)?;
                }
                Some(Line::Record { kind, id, scope, revision, body }) => {
                    let sql = "INSERT INTO record (kind, id, scope, revision, body) VALUES (?1, ?2, ?3, ?4, ?5)";
                    execute(connection, sql, params![kind, id, scope, to_row(revision), body.to_string()], failed)?;
                }
                Some(Line::Lease { name, token, held }) => {
                    let sql = "INSERT INTO lease (name, holder, token, until) VALUES (?1, ?2, ?3, ?4)";
                    let until = held.as_ref().map_or(jiff::Timestamp::UNIX_EPOCH, |held| held.until).to_string();
                    let holder = held.map(|held| held.holder);
                    execute(connection, sql, params![name, holder, to_row(token), until], failed)?;
                }
                Some(Line::Sealed(Sealed { id, scope, generation, expires, bytes })) => {
                    let sql = "INSERT INTO sealed (id, scope, generation, expires, bytes) VALUES (?1, ?2, ?3, ?4, ?5)";
                    let expires = expires.map(|at| at.to_string());
                    execute(connection, sql, params![id, scope, to_row(generation), expires, bytes], failed)?;
                }
            }
        }
        writing.heads.forget();
        Ok(())
    }
}

fn gone() -> StoreError {
    StoreError::Broken { what: "was left in the middle of a copy".to_owned(), source: None }
}
