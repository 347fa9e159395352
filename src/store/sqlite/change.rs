//! One change inside a transaction.

use remint_evidence_format::{Draft, Stored, entry};
use rusqlite::{Connection, OptionalExtension, params};

use super::heads::Head;
use super::writer::{Work, Writing, execute};
use super::{broken, lease, to_row};
use crate::store::{Change, Committed, Fence, Key, Put, Rule, Sealed, StoreError};

/// A change whose bodies are text already: the caller's thread does that, not the one writer.
pub(super) struct Prepared {
    change: Change,
    /// As many as there are puts, in their order.
    bodies: Vec<String>,
}

impl Prepared {
    pub(super) fn new(change: Change) -> Result<Self, StoreError> {
        let bodies = change.puts.iter().map(|put| serde_json::to_string(&put.body)).collect::<Result<_, _>>();
        let bodies = bodies.map_err(|source| StoreError::Broken {
            what: "could not write a record as JSON".to_owned(),
            source: Some(Box::new(source)),
        })?;
        Ok(Self { change, bodies })
    }
}

impl Work for Prepared {
    type Answer = Committed;

    fn apply(self, writing: &mut Writing<'_>) -> Result<Committed, StoreError> {
        let connection = writing.connection;
        if let Some(fence) = &self.change.fence {
            lease::check(connection, fence)?;
        }
        for (key, revision) in &self.change.expects {
            expect(connection, key, *revision)?;
        }
        for key in &self.change.deletes {
            let sql = "DELETE FROM record WHERE kind = ?1 AND id = ?2";
            execute(connection, sql, params![key.kind, key.id], "could not delete a record")?;
        }
        for (put, body) in self.change.puts.iter().zip(&self.bodies) {
            store(connection, put, body)?;
        }
        for id in &self.change.unseals {
            execute(connection, "DELETE FROM sealed WHERE id = ?1", [id], "could not forget a sealed value")?;
        }
        for sealed in &self.change.seals {
            keep(connection, sealed)?;
        }
        Ok(Committed { entries: record(writing, self.change.entries)? })
    }
}

/// Exchanges sealed values, each only where it is still what was read.
pub(super) struct Rewrap {
    pub(super) fence: Fence,
    pub(super) pairs: Vec<(Sealed, Sealed)>,
}

impl Work for Rewrap {
    type Answer = usize;

    fn apply(self, writing: &mut Writing<'_>) -> Result<usize, StoreError> {
        lease::check(writing.connection, &self.fence)?;
        let sql = "UPDATE sealed SET generation = ?2, bytes = ?3 WHERE id = ?1 AND bytes = ?4";
        let mut exchanged = 0;
        for (before, after) in &self.pairs {
            let values = params![before.id, to_row(after.generation), after.bytes, before.bytes];
            exchanged += execute(writing.connection, sql, values, "could not exchange a sealed value")?;
        }
        Ok(exchanged)
    }
}

/// One writer: what is so now stays so until the change is written.
fn expect(connection: &Connection, key: &Key, revision: u64) -> Result<(), StoreError> {
    let found = connection
        .prepare_cached("SELECT revision FROM record WHERE kind = ?1 AND id = ?2")
        .and_then(|mut statement| statement.query_row(params![key.kind, key.id], |row| row.get::<_, i64>(0)).optional())
        .map_err(broken("could not look at what a change expects"))?;
    if found.unwrap_or(0) == to_row(revision) {
        Ok(())
    } else {
        Err(StoreError::Stale { kind: key.kind, id: key.id.clone() })
    }
}

fn store(connection: &Connection, put: &Put, body: &str) -> Result<(), StoreError> {
    const UPSERT: &str = "INSERT INTO record (kind, id, scope, revision, body) VALUES (?1, ?2, ?3, 1, ?4)
        ON CONFLICT (kind, id) DO UPDATE SET scope = excluded.scope, revision = revision + 1, body = excluded.body";
    const INSERT: &str = "INSERT INTO record (kind, id, scope, revision, body) VALUES (?1, ?2, ?3, 1, ?4)
        ON CONFLICT (kind, id) DO NOTHING";
    const UPDATE: &str = "UPDATE record SET scope = ?3, revision = revision + 1, body = ?4
        WHERE kind = ?1 AND id = ?2 AND revision = ?5";
    let (kind, id, scope) = (put.key.kind, put.key.id.as_str(), put.scope.as_str());
    let failed = "could not write a record";
    match put.rule {
        Rule::Upsert => execute(connection, UPSERT, params![kind, id, scope, body], failed).map(drop),
        Rule::Insert => match execute(connection, INSERT, params![kind, id, scope, body], failed)? {
            0 => Err(StoreError::Exists { kind, id: id.to_owned() }),
            _ => Ok(()),
        },
        Rule::Revision(revision) => {
            match execute(connection, UPDATE, params![kind, id, scope, body, to_row(revision)], failed)? {
                0 => Err(StoreError::Stale { kind, id: id.to_owned() }),
                _ => Ok(()),
            }
        }
    }
}

/// Keeps a sealed value. The same one again is fine; another one under its id would lose a secret, and is refused.
fn keep(connection: &Connection, sealed: &Sealed) -> Result<(), StoreError> {
    const INSERT: &str = "INSERT INTO sealed (id, scope, generation, expires, bytes) VALUES (?1, ?2, ?3, ?4, ?5)
        ON CONFLICT (id) DO UPDATE SET expires = excluded.expires WHERE bytes = excluded.bytes";
    let Sealed { id, scope, generation, expires, bytes } = sealed;
    let values = params![id, scope, to_row(*generation), expires.map(|at| at.to_string()), bytes];
    match execute(connection, INSERT, values, "could not keep a sealed value")? {
        0 => Err(StoreError::Exists { kind: "sealed value", id: id.clone() }),
        _ => Ok(()),
    }
}

/// Numbers entries, chains each to the one before, and writes them.
fn record(writing: &mut Writing<'_>, drafts: Vec<Draft>) -> Result<Vec<Stored>, StoreError> {
    let Writing { connection, heads } = writing;
    if drafts.is_empty() {
        return Ok(Vec::new());
    }
    // One row: to fail is to abort, and needs no journal of the statement.
    let sql = "INSERT OR FAIL INTO entry (id, reset, number, bytes) VALUES (?1, ?2, ?3, ?4)";
    let mut insert = connection.prepare_cached(sql).map_err(broken("could not write an entry"))?;
    let mut written = Vec::with_capacity(drafts.len());
    for draft in drafts {
        let reset = draft.reset.as_deref().unwrap_or_default();
        let before = heads.of(connection, reset)?;
        let id = heads.last(connection)? + 1;
        let (number, previous) = before.map_or((1, entry::FIRST), |head| (head.number + 1, head.hash));
        let bytes = entry::seal(&draft, number, previous)
            .map_err(|source| StoreError::Unrecordable { kind: draft.kind.clone(), source })?;
        insert
            .execute(params![to_row(id), reset, to_row(number), bytes])
            .map_err(broken("could not write an entry"))?;
        heads.advance(reset, id, Head { number, hash: entry::hash(&bytes) }, &bytes);
        written.push(Stored { id, index: None, reset: draft.reset, number, bytes });
    }
    Ok(written)
}
