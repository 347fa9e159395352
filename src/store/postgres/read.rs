//! What is read: each function is one question, asked again on another connection when the server went away.

use remint_contract::ResetId;
use remint_evidence_format::Stored;
use sqlx::postgres::{PgPool, PgRow};
use sqlx::{FromRow, Row as _};

use super::server::{self, PATIENCE, Server};
use super::{broken, from_row, to_row};
use crate::store::{Key, Record, Sealed, StoreError};

/// Asks until there is an answer, or the patience ends: for what may be asked twice.
pub(super) async fn ask<T, F>(what: &str, question: impl Fn() -> F) -> Result<T, StoreError>
where
    F: Future<Output = Result<T, sqlx::Error>>,
{
    let until = tokio::time::Instant::now() + PATIENCE;
    loop {
        match question().await {
            Err(error) if server::gone(&error) && tokio::time::Instant::now() < until => Server::pause().await,
            answer => return answer.map_err(broken(what)),
        }
    }
}

pub(super) async fn record(pool: &PgPool, key: &Key) -> Result<Option<Record>, StoreError> {
    let sql = "SELECT id, scope, revision, body FROM remint.record WHERE kind = $1 AND id = $2";
    ask("could not read a record", || sqlx::query_as(sql).bind(key.kind).bind(&key.id).fetch_optional(pool)).await
}

pub(super) async fn records(pool: &PgPool, kind: &str, scope: Option<&str>) -> Result<Vec<Record>, StoreError> {
    let what = "could not read the records";
    match scope {
        None => {
            let sql = "SELECT id, scope, revision, body FROM remint.record WHERE kind = $1 ORDER BY seq";
            ask(what, || sqlx::query_as(sql).bind(kind).fetch_all(pool)).await
        }
        Some(scope) => {
            let sql = "SELECT id, scope, revision, body FROM remint.record WHERE kind = $1 AND scope = $2 ORDER BY seq";
            ask(what, || sqlx::query_as(sql).bind(kind).bind(scope).fetch_all(pool)).await
        }
    }
}

pub(super) async fn sealed(pool: &PgPool, id: &str) -> Result<Option<Sealed>, StoreError> {
    let sql = "SELECT id, scope, generation, expires, bytes FROM remint.sealed WHERE id = $1";
    ask("could not read a sealed value", || sqlx::query_as(sql).bind(id).fetch_optional(pool)).await
}

/// The size of the tree goes with each row, so that both come from one moment.
pub(super) async fn unsequenced(pool: &PgPool, limit: usize) -> Result<Vec<Stored>, StoreError> {
    let sql = "SELECT id, reset, number, bytes, 0::bigint AS size FROM remint.entry
        WHERE id > (SELECT coalesce(max(size), 0) FROM remint.checkpoint) ORDER BY id LIMIT $1";
    entries("could not read the entries without a place", || sqlx::query_as(sql).bind(rows(limit)).fetch_all(pool))
        .await
}

pub(super) async fn sequenced(pool: &PgPool, from: u64, limit: usize) -> Result<Vec<Stored>, StoreError> {
    let sql = "WITH tree AS (SELECT coalesce(max(size), 0) AS size FROM remint.checkpoint)
        SELECT id, reset, number, bytes, size FROM remint.entry, tree WHERE id > $1 AND id <= size ORDER BY id LIMIT $2";
    let ask = || sqlx::query_as(sql).bind(to_row(from)).bind(rows(limit)).fetch_all(pool);
    entries("could not read the entries of the tree", ask).await
}

pub(super) async fn entries_of(pool: &PgPool, reset: &ResetId) -> Result<Vec<Stored>, StoreError> {
    let sql = "WITH tree AS (SELECT coalesce(max(size), 0) AS size FROM remint.checkpoint)
        SELECT id, reset, number, bytes, size FROM remint.entry, tree WHERE reset = $1 ORDER BY number";
    entries("could not read the entries of a reset", || sqlx::query_as(sql).bind(&reset.0).fetch_all(pool)).await
}

pub(super) async fn checkpoint(pool: &PgPool) -> Result<Option<(u64, String)>, StoreError> {
    let sql = "SELECT size, note FROM remint.checkpoint ORDER BY size DESC LIMIT 1";
    let row: Option<(i64, String)> =
        ask("could not read the newest checkpoint", || sqlx::query_as(sql).fetch_optional(pool)).await?;
    Ok(row.map(|(size, note)| (from_row(size), note)))
}

async fn entries<F>(what: &str, question: impl Fn() -> F) -> Result<Vec<Stored>, StoreError>
where
    F: Future<Output = Result<Vec<Row>, sqlx::Error>>,
{
    Ok(ask(what, question).await?.into_iter().map(|row| row.0).collect())
}

/// An entry, in a tree of so many entries.
struct Row(Stored);

impl FromRow<'_, PgRow> for Row {
    fn from_row(row: &PgRow) -> Result<Self, sqlx::Error> {
        let (id, size) = (from_row(row.try_get("id")?), from_row(row.try_get("size")?));
        let reset: String = row.try_get("reset")?;
        Ok(Self(Stored {
            id,
            index: (id <= size).then(|| id.saturating_sub(1)),
            reset: (!reset.is_empty()).then_some(reset),
            number: from_row(row.try_get("number")?),
            bytes: row.try_get("bytes")?,
        }))
    }
}

impl FromRow<'_, PgRow> for Record {
    fn from_row(row: &PgRow) -> Result<Self, sqlx::Error> {
        let body = serde_json::from_str(row.try_get("body")?);
        let body =
            body.map_err(|source| sqlx::Error::ColumnDecode { index: "body".to_owned(), source: Box::new(source) })?;
        let revision = from_row(row.try_get("revision")?);
        Ok(Self { id: row.try_get("id")?, scope: row.try_get("scope")?, revision, body })
    }
}

impl FromRow<'_, PgRow> for Sealed {
    fn from_row(row: &PgRow) -> Result<Self, sqlx::Error> {
        let expires: Option<&str> = row.try_get("expires")?;
        let expires = expires.map(str::parse).transpose();
        let expires = expires
            .map_err(|source| sqlx::Error::ColumnDecode { index: "expires".to_owned(), source: Box::new(source) })?;
        Ok(Self {
            id: row.try_get("id")?,
            scope: row.try_get("scope")?,
            generation: from_row(row.try_get("generation")?),
            expires,
            bytes: row.try_get("bytes")?,
        })
    }
}

pub(super) fn rows(limit: usize) -> i64 {
    i64::try_from(limit).unwrap_or(i64::MAX)
}
