//! Everything, out of this back end and into it.

use async_trait::async_trait;
use jiff::Timestamp;

use super::lease::count;
use super::{PostgresStore, broken, from_row, to_row};
use crate::store::whole::{Contents, EntryRow, LeaseRow, RecordRow, Whole, not_empty};
use crate::store::{Sealed, StoreError};

#[async_trait]
impl Whole for PostgresStore {
    async fn contents(&self) -> Result<Contents, StoreError> {
        let failed = broken("could not be read");
        let pool = &self.pool;
        let records: Vec<(String, String, String, i64, String)> =
            sqlx::query_as("SELECT kind, id, scope, revision, body FROM remint.record ORDER BY seq")
                .fetch_all(pool)
                .await
                .map_err(&failed)?;
        let sealed: Vec<Sealed> =
            sqlx::query_as("SELECT id, scope, generation, expires, bytes FROM remint.sealed ORDER BY id")
                .fetch_all(pool)
                .await
                .map_err(&failed)?;
        let leases: Vec<(String, Option<String>, i64, i64)> =
            sqlx::query_as("SELECT name, holder, token, ends FROM remint.lease ORDER BY name")
                .fetch_all(pool)
                .await
                .map_err(&failed)?;
        let entries: Vec<(String, i64, Vec<u8>)> =
            sqlx::query_as("SELECT reset, number, bytes FROM remint.entry ORDER BY id")
                .fetch_all(pool)
                .await
                .map_err(&failed)?;
        let checkpoints: Vec<(i64, String)> = sqlx::query_as("SELECT size, note FROM remint.checkpoint ORDER BY size")
            .fetch_all(pool)
            .await
            .map_err(&failed)?;
        Ok(Contents {
            records: records
                .into_iter()
                .map(|(kind, id, scope, revision, body)| RecordRow {
                    kind,
                    id,
                    scope,
                    revision: from_row(revision),
                    body,
                })
                .collect(),
            sealed,
            leases: leases
                .into_iter()
                .map(|(name, holder, token, ends)| LeaseRow {
                    name,
                    holder,
                    token: from_row(token),
                    until: Timestamp::from_nanosecond(i128::from(ends)).unwrap_or_default(),
                })
                .collect(),
            entries: entries
                .into_iter()
                .map(|(reset, number, bytes)| EntryRow { reset, number: from_row(number), bytes })
                .collect(),
            checkpoints: checkpoints.into_iter().map(|(size, note)| (from_row(size), note)).collect(),
        })
    }

    async fn fill(&self, contents: Contents) -> Result<(), StoreError> {
        let failed = broken("could not be filled");
        let mut transaction = self.pool.begin().await.map_err(&failed)?;
        sqlx::query("SELECT last FROM remint.log FOR UPDATE").execute(&mut *transaction).await.map_err(&failed)?;
        let used = "SELECT EXISTS (SELECT 1 FROM remint.record) OR EXISTS (SELECT 1 FROM remint.sealed)
            OR EXISTS (SELECT 1 FROM remint.lease) OR EXISTS (SELECT 1 FROM remint.entry)";
        if sqlx::query_scalar(used).fetch_one(&mut *transaction).await.map_err(&failed)? {
            return Err(not_empty());
        }
        for row in &contents.records {
            let sql = "INSERT INTO remint.record (kind, id, scope, revision, body) VALUES ($1, $2, $3, $4, $5)";
            let query = sqlx::query(sql).bind(&row.kind).bind(&row.id).bind(&row.scope);
            let query = query.bind(to_row(row.revision)).bind(&row.body);
            query.execute(&mut *transaction).await.map_err(&failed)?;
        }
        for row in &contents.sealed {
            let sql = "INSERT INTO remint.sealed (id, scope, generation, expires, bytes) VALUES ($1, $2, $3, $4, $5)";
            let query = sqlx::query(sql).bind(&row.id).bind(&row.scope).bind(to_row(row.generation));
            let query = query.bind(row.expires.map(|at| at.to_string())).bind(&row.bytes);
            query.execute(&mut *transaction).await.map_err(&failed)?;
        }
        for row in &contents.leases {
            let sql = "INSERT INTO remint.lease (name, holder, token, ends) VALUES ($1, $2, $3, $4)";
            let query =
                sqlx::query(sql).bind(&row.name).bind(&row.holder).bind(to_row(row.token)).bind(count(row.until));
            query.execute(&mut *transaction).await.map_err(&failed)?;
        }
        for (id, row) in (1_u64..).zip(&contents.entries) {
            let sql = "INSERT INTO remint.entry (id, reset, number, bytes) VALUES ($1, $2, $3, $4)";
            let query = sqlx::query(sql).bind(to_row(id)).bind(&row.reset).bind(to_row(row.number)).bind(&row.bytes);
            query.execute(&mut *transaction).await.map_err(&failed)?;
        }
        for (size, note) in &contents.checkpoints {
            let sql = "INSERT INTO remint.checkpoint (size, note) VALUES ($1, $2)";
            sqlx::query(sql).bind(to_row(*size)).bind(note).execute(&mut *transaction).await.map_err(&failed)?;
        }
        let newest = to_row(contents.entries.len() as u64);
        sqlx::query("UPDATE remint.log SET last = $1")
            .bind(newest)
            .execute(&mut *transaction)
            .await
            .map_err(&failed)?;
        transaction.commit().await.map_err(&failed)
    }
}
