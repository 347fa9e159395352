//! A store's lines, out of one picture and into an empty one; and sealed values that are exchanged.

use futures::TryStreamExt as _;
use sqlx::postgres::{PgConnection, PgPool, PgRow};
use sqlx::{Connection as _, Row as _};
use tokio::sync::mpsc;

use super::lease::count;
use super::{broken, from_row, read, to_row};
use crate::store::dump::{EntryLine, Held, Line};
use crate::store::{Fence, Sealed, StoreError};

/// Sends everything, entries first, as it was at one moment: writers go on meanwhile.
pub(super) async fn dump(pool: &PgPool, sealed: bool, lines: &mpsc::Sender<Line>) -> Result<(), StoreError> {
    let failed = broken("could not be read to its end");
    let mut connection = pool.acquire().await.map_err(&failed)?;
    let picture = "BEGIN TRANSACTION ISOLATION LEVEL REPEATABLE READ READ ONLY";
    let mut one = connection.begin_with(picture).await.map_err(&failed)?;
    send(&mut one, "SELECT id, reset, number, bytes FROM remint.entry ORDER BY id", lines, |row| {
        let (id, number) = (from_row(row.try_get(0)?), from_row(row.try_get(2)?));
        Ok(Line::Entry(EntryLine { id, reset: row.try_get(1)?, number, bytes: row.try_get(3)? }))
    })
    .await?;
    send(&mut one, "SELECT size, note FROM remint.checkpoint ORDER BY size", lines, |row| {
        Ok(Line::Checkpoint { size: from_row(row.try_get(0)?), note: row.try_get(1)? })
    })
    .await?;
    send(&mut one, "SELECT kind, id, scope, revision, body FROM remint.record ORDER BY seq", lines, |row| {
        let kind = row.try_get("kind")?;
        let record: crate::store::Record = sqlx::FromRow::from_row(row)?;
        Ok(Line::Record { kind, id: record.id, scope: record.scope, revision: record.revision, body: record.body })
    })
    .await?;
    send(&mut one, "SELECT name, token, holder, ends FROM remint.lease ORDER BY name", lines, |row| {
        let holder: Option<String> = row.try_get(2)?;
        let ends: i64 = row.try_get(3)?;
        let until = jiff::Timestamp::from_nanosecond(i128::from(ends)).unwrap_or_default();
        let held = holder.filter(|_| sealed).map(|holder| Held { holder, until });
        Ok(Line::Lease { name: row.try_get(0)?, token: from_row(row.try_get(1)?), held })
    })
    .await?;
    if sealed {
        let all = "SELECT id, scope, generation, expires, bytes FROM remint.sealed ORDER BY id";
        send(&mut one, all, lines, |row| Ok(Line::Sealed(sqlx::FromRow::from_row(row)?))).await?;
    }
    one.rollback().await.map_err(&failed)?;
    lines.send(Line::End).await.map_err(|_| gone())
}

async fn send(
    connection: &mut PgConnection,
    sql: &'static str,
    lines: &mpsc::Sender<Line>,
    line: impl Fn(&PgRow) -> Result<Line, sqlx::Error>,
) -> Result<(), StoreError> {
    let failed = broken("could not be read to its end");
    let mut rows = sqlx::query(sql).fetch(connection);
    while let Some(row) = rows.try_next().await.map_err(&failed)? {
        lines.send(line(&row).map_err(&failed)?).await.map_err(|_| gone())?;
    }
    Ok(())
}

/// Takes everything, in one transaction that holds the log's one row.
pub(super) async fn load(pool: &PgPool, mut lines: mpsc::Receiver<Line>) -> Result<(), StoreError> {
    let failed = broken("could not write what was restored");
    let mut transaction = pool.begin().await.map_err(&failed)?;
    sqlx::query("SELECT last FROM remint.log FOR UPDATE").execute(&mut *transaction).await.map_err(&failed)?;
    let used = "SELECT EXISTS (SELECT 1 FROM remint.entry) OR EXISTS (SELECT 1 FROM remint.record)
        OR EXISTS (SELECT 1 FROM remint.checkpoint) OR EXISTS (SELECT 1 FROM remint.sealed)";
    if sqlx::query_scalar(used).fetch_one(&mut *transaction).await.map_err(&failed)? {
        return Err(StoreError::NotEmpty);
    }
    let mut next = 1;
    let mut batch = Batch::default();
    loop {
        match lines.recv().await {
            Some(Line::End) => break,
            None => return Err(gone()),
            Some(line) => {
                if let Line::Entry(EntryLine { id, .. }) = &line {
                    if *id != next {
                        let what = format!("was given entry {id} where {next} must follow");
                        return Err(StoreError::Broken { what, source: None });
                    }
                    next += 1;
                }
                if batch.push(line) >= BATCH {
                    std::mem::take(&mut batch).write(&mut transaction).await.map_err(&failed)?;
                }
            }
        }
    }
    batch.write(&mut transaction).await.map_err(&failed)?;
    let newest = sqlx::query("UPDATE remint.log SET last = $1").bind(to_row(next - 1));
    newest.execute(&mut *transaction).await.map_err(&failed)?;
    transaction.commit().await.map_err(&failed)
}

/// Lines on their way into the tables, a list for each column: a statement for each kind of them, not for each of them.
#[derive(Default)]
#[expect(clippy::type_complexity, reason = "the columns of five tables, bound as they are")]
struct Batch {
    size: usize,
    entries: (Vec<i64>, Vec<String>, Vec<i64>, Vec<Vec<u8>>),
    checkpoints: (Vec<i64>, Vec<String>),
    records: (Vec<String>, Vec<String>, Vec<String>, Vec<i64>, Vec<String>),
    leases: (Vec<String>, Vec<Option<String>>, Vec<i64>, Vec<i64>),
    sealed: (Vec<String>, Vec<String>, Vec<i64>, Vec<Option<String>>, Vec<Vec<u8>>),
}

impl Batch {
    /// How many there are now.
    fn push(&mut self, line: Line) -> usize {
        match line {
            Line::Entry(EntryLine { id, reset, number, bytes }) => {
                self.entries.0.push(to_row(id));
                self.entries.1.push(reset);
                self.entries.2.push(to_row(number));
                self.entries.3.push(bytes);
            }
            Line::Checkpoint { size, note } => {
                self.checkpoints.0.push(to_row(size));
                self.checkpoints.1.push(note);
            }
            Line::Record { kind, id, scope, revision, body } => {
                self.records.0.push(kind);
                self.records.1.push(id);
                self.records.2.push(scope);
                self.records.3.push(to_row(revision));
                self.records.4.push(body.to_string());
            }
            Line::Lease { name, token, held } => {
                let until = held.as_ref().map_or(jiff::Timestamp::UNIX_EPOCH, |held| held.until);
                self.leases.0.push(name);
                self.leases.1.push(held.map(|held| held.holder));
                self.leases.2.push(to_row(token));
                self.leases.3.push(count(until));
            }
            Line::Sealed(Sealed { id, scope, generation, expires, bytes }) => {
                self.sealed.0.push(id);
                self.sealed.1.push(scope);
                self.sealed.2.push(to_row(generation));
                self.sealed.3.push(expires.map(|at| at.to_string()));
                self.sealed.4.push(bytes);
            }
            Line::End => {}
        }
        self.size += 1;
        self.size
    }

    async fn write(self, connection: &mut PgConnection) -> Result<(), sqlx::Error> {
        let (ids, resets, numbers, bytes) = self.entries;
        let sql = "INSERT INTO remint.entry (id, reset, number, bytes)
            SELECT * FROM unnest($1::bigint[], $2::text[], $3::bigint[], $4::bytea[])";
        sqlx::query(sql).bind(ids).bind(resets).bind(numbers).bind(bytes).execute(&mut *connection).await?;
        let (sizes, notes) = self.checkpoints;
        let sql = "INSERT INTO remint.checkpoint (size, note) SELECT * FROM unnest($1::bigint[], $2::text[])";
        sqlx::query(sql).bind(sizes).bind(notes).execute(&mut *connection).await?;
        let (kinds, ids, scopes, revisions, bodies) = self.records;
        // In their order: a list shows the oldest first.
        let sql = "INSERT INTO remint.record (kind, id, scope, revision, body)
            SELECT r.kind, r.id, r.scope, r.revision, r.body
            FROM unnest($1::text[], $2::text[], $3::text[], $4::bigint[], $5::text[])
                WITH ORDINALITY r (kind, id, scope, revision, body, turn) ORDER BY r.turn";
        let query = sqlx::query(sql).bind(kinds).bind(ids).bind(scopes).bind(revisions).bind(bodies);
        query.execute(&mut *connection).await?;
        let (names, holders, tokens, ends) = self.leases;
        let sql = "INSERT INTO remint.lease (name, holder, token, ends)
            SELECT * FROM unnest($1::text[], $2::text[], $3::bigint[], $4::bigint[])";
        sqlx::query(sql).bind(names).bind(holders).bind(tokens).bind(ends).execute(&mut *connection).await?;
        let (ids, scopes, generations, expire, bytes) = self.sealed;
        let sql = "INSERT INTO remint.sealed (id, scope, generation, expires, bytes)
            SELECT * FROM unnest($1::text[], $2::text[], $3::bigint[], $4::text[], $5::bytea[])";
        let query = sqlx::query(sql).bind(ids).bind(scopes).bind(generations).bind(expire).bind(bytes);
        query.execute(&mut *connection).await.map(drop)
    }
}

pub(super) async fn sealed_after(pool: &PgPool, after: &str, limit: usize) -> Result<Vec<Sealed>, StoreError> {
    let sql = "SELECT id, scope, generation, expires, bytes FROM remint.sealed WHERE id > $1 ORDER BY id LIMIT $2";
    let question = || sqlx::query_as(sql).bind(after).bind(read::rows(limit)).fetch_all(pool);
    read::ask("could not list the sealed values", question).await
}

/// Exchanges sealed values, each only where it is still what was read.
pub(super) async fn rewrap(pool: &PgPool, fence: &Fence, pairs: Vec<(Sealed, Sealed)>) -> Result<usize, StoreError> {
    let failed = broken("could not exchange a sealed value");
    let mut transaction = pool.begin().await.map_err(&failed)?;
    let held = "SELECT true FROM remint.lease WHERE name = $1 AND token = $2 AND holder IS NOT NULL FOR SHARE";
    let held = sqlx::query(held).bind(&fence.lease).bind(to_row(fence.token));
    if held.fetch_optional(&mut *transaction).await.map_err(&failed)?.is_none() {
        return Err(StoreError::Fenced(fence.lease.clone()));
    }
    let (mut ids, mut generations, mut before, mut after) = (Vec::new(), Vec::new(), Vec::new(), Vec::new());
    for (old, new) in pairs {
        ids.push(old.id);
        before.push(old.bytes);
        generations.push(to_row(new.generation));
        after.push(new.bytes);
    }
    let sql = "UPDATE remint.sealed s SET generation = p.generation, bytes = p.after
        FROM unnest($1::text[], $2::bytea[], $3::bigint[], $4::bytea[]) p (id, before, generation, after)
        WHERE s.id = p.id AND s.bytes = p.before";
    let query = sqlx::query(sql).bind(ids).bind(before).bind(generations).bind(after);
    let exchanged = query.execute(&mut *transaction).await.map_err(&failed)?.rows_affected();
    transaction.commit().await.map_err(&failed)?;
    Ok(usize::try_from(exchanged).unwrap_or(usize::MAX))
}

fn gone() -> StoreError {
    StoreError::Broken { what: "was left in the middle of a copy".to_owned(), source: None }
}

/// Lines in one statement.
const BATCH: usize = 1000;
