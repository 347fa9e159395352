//! The tables, their version, and how an older database is brought forward.
//!
//! Each migration runs in one transaction with the note of its number, under an advisory lock: of several replicas that
//! start at once one migrates and the others find it done. A database that a newer program wrote is left as it is.

use sqlx::postgres::PgConnection;
use sqlx::{AssertSqlSafe, Connection as _};

use super::broken;
use crate::store::StoreError;

/// What brings a database from schema n to n + 1, in order; a page that was released never changes.
const MIGRATIONS: [&str; 1] = [include_str!("v1.sql")];

/// The schema this program reads and writes.
#[expect(clippy::cast_possible_truncation, reason = "a handful")]
const VERSION: u32 = MIGRATIONS.len() as u32;

/// Whoever migrates holds this lock: `remint` and 1.
const LOCK: i64 = 0x7265_6d69_6e74_0001;

/// Brings the database to [`VERSION`].
pub(super) async fn migrate(connection: &mut PgConnection, place: &str) -> Result<(), StoreError> {
    let found = version(connection).await?;
    if found < VERSION {
        forward(connection, place).await?;
    }
    check(version(connection).await?, place)
}

async fn forward(connection: &mut PgConnection, place: &str) -> Result<(), StoreError> {
    let failed = broken("could not make its tables");
    for (number, sql) in (1..).zip(MIGRATIONS) {
        let mut transaction = connection.begin().await.map_err(&failed)?;
        sqlx::query("SELECT pg_advisory_xact_lock($1)").bind(LOCK).execute(&mut *transaction).await.map_err(&failed)?;
        // Asked again under the lock: another replica may have done it.
        let found = version(&mut transaction).await?;
        check(found, place)?;
        if found < number {
            const META: &str = "CREATE SCHEMA IF NOT EXISTS remint;
                CREATE TABLE IF NOT EXISTS remint.meta (key text PRIMARY KEY, value bigint NOT NULL)";
            sqlx::raw_sql(META).execute(&mut *transaction).await.map_err(&failed)?;
            sqlx::raw_sql(AssertSqlSafe(sql)).execute(&mut *transaction).await.map_err(&failed)?;
            let note = "INSERT INTO remint.meta (key, value) VALUES ('schema', $1)
                ON CONFLICT (key) DO UPDATE SET value = excluded.value";
            sqlx::query(note).bind(i64::from(number)).execute(&mut *transaction).await.map_err(&failed)?;
        }
        transaction.commit().await.map_err(&failed)?;
    }
    Ok(())
}

fn check(found: u32, place: &str) -> Result<(), StoreError> {
    if found > VERSION {
        return Err(StoreError::Newer { path: place.to_owned(), found, known: VERSION });
    }
    Ok(())
}

/// 0: there is none yet.
async fn version(connection: &mut PgConnection) -> Result<u32, StoreError> {
    // From the catalogue's rows, not by `to_regclass`: that may remember from before a lock was waited for.
    const MADE: &str = "SELECT EXISTS (SELECT 1 FROM pg_catalog.pg_class c
        JOIN pg_catalog.pg_namespace n ON n.oid = c.relnamespace WHERE n.nspname = 'remint' AND c.relname = 'meta')";
    let failed = broken("has a schema version that cannot be read");
    let made: bool = sqlx::query_scalar(MADE).fetch_one(&mut *connection).await.map_err(&failed)?;
    if !made {
        return Ok(0);
    }
    let found: Option<i64> = sqlx::query_scalar("SELECT value FROM remint.meta WHERE key = 'schema'")
        .fetch_optional(connection)
        .await
        .map_err(&failed)?;
    Ok(found.and_then(|found| u32::try_from(found).ok()).unwrap_or(0))
}
