//! Everything, out of this back end and into it.

use rusqlite::{Connection, Row, params};

use super::read::{all, time};
use super::writer::{Work, Writing, execute};
use super::{from_row, to_row};
use crate::store::whole::{Contents, EntryRow, LeaseRow, RecordRow, not_empty};
use crate::store::{Sealed, StoreError};

pub(super) fn contents(connection: &Connection) -> Result<Contents, StoreError> {
    let failed = "could not be read";
    let records = "SELECT kind, id, scope, revision, body FROM record ORDER BY seq";
    let record = |row: &Row<'_>| {
        let revision = from_row(row.get(3)?);
        Ok(RecordRow { kind: row.get(0)?, id: row.get(1)?, scope: row.get(2)?, revision, body: row.get(4)? })
    };
    let sealed = "SELECT id, scope, generation, bytes, expires FROM sealed ORDER BY id";
    let leases = "SELECT name, holder, token, until FROM lease ORDER BY name";
    let lease = |row: &Row<'_>| {
        let until = time(row, 3)?;
        Ok(LeaseRow { name: row.get(0)?, holder: row.get(1)?, token: from_row(row.get(2)?), until })
    };
    let entries = "SELECT reset, number, bytes FROM entry ORDER BY id";
    let entry = |row: &Row<'_>| Ok(EntryRow { reset: row.get(0)?, number: from_row(row.get(1)?), bytes: row.get(2)? });
    let checkpoints = "SELECT size, note FROM checkpoint ORDER BY size";
    Ok(Contents {
        records: all(connection, records, [], record, failed)?,
        sealed: all(connection, sealed, [], as_sealed, failed)?,
        leases: all(connection, leases, [], lease, failed)?,
        entries: all(connection, entries, [], entry, failed)?,
        checkpoints: all(connection, checkpoints, [], |row| Ok((from_row(row.get(0)?), row.get(1)?)), failed)?,
    })
}

fn as_sealed(row: &Row<'_>) -> rusqlite::Result<Sealed> {
    let expires = if row.get_ref(4)? == rusqlite::types::ValueRef::Null { None } else { Some(time(row, 4)?) };
    let generation = from_row(row.get(2)?);
    Ok(Sealed { id: row.get(0)?, scope: row.get(1)?, generation, expires, bytes: row.get(3)? })
}

/// Writes everything.
pub(super) struct Fill(pub(super) Contents);

impl Work for Fill {
    type Answer = ();

    fn apply(self, writing: &mut Writing<'_>) -> Result<(), StoreError> {
        let connection = writing.connection;
        if !contents(connection)?.is_empty() {
            return Err(not_empty());
        }
        let failed = "could not be filled";
        for row in &self.0.records {
            let sql = "INSERT INTO record (kind, id, scope, revision, body) VALUES (?1, ?2, ?3, ?4, ?5)";
            let values = params![row.kind, row.id, row.scope, to_row(row.revision), row.body];
            execute(connection, sql, values, failed)?;
        }
        for row in &self.0.sealed {
            let sql = "INSERT INTO sealed (id, scope, generation, expires, bytes) VALUES (?1, ?2, ?3, ?4, ?5)";
            let expires = row.expires.map(|at| at.to_string());
            execute(connection, sql, params![row.id, row.scope, to_row(row.generation), expires, row.bytes], failed)?;
        }
        for row in &self.0.leases {
            let sql = "INSERT INTO lease (name, holder, token, until) VALUES (?1, ?2, ?3, ?4)";
            let values = params![row.name, row.holder, to_row(row.token), row.until.to_string()];
            execute(connection, sql, values, failed)?;
        }
        for (id, row) in (1_u64..).zip(&self.0.entries) {
            let sql = "INSERT INTO entry (id, reset, number, bytes) VALUES (?1, ?2, ?3, ?4)";
            execute(connection, sql, params![to_row(id), row.reset, to_row(row.number), row.bytes], failed)?;
        }
        for (size, note) in &self.0.checkpoints {
            let sql = "INSERT INTO checkpoint (size, note) VALUES (?1, ?2)";
            execute(connection, sql, params![to_row(*size), note], failed)?;
        }
        // The ends of the chains are other ones now.
        writing.heads.forget();
        Ok(())
    }
}
