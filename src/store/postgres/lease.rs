//! Leases, and what only their holder may do beside a commit. Time comes from the caller; one statement each.

use jiff::Timestamp;
use sqlx::postgres::PgPool;

use super::read::ask;
use super::{broken, from_row, to_row};
use crate::store::{Fence, StoreError};

/// Takes or renews a lease. Asked twice it gives the same: a renewal keeps the token.
pub(super) async fn take(
    pool: &PgPool,
    name: &str,
    holder: &str,
    now: Timestamp,
    until: Timestamp,
) -> Result<Option<Fence>, StoreError> {
    let sql = "INSERT INTO remint.lease AS l (name, holder, token, ends) VALUES ($1, $2, 1, $4)
        ON CONFLICT (name) DO UPDATE SET holder = excluded.holder, ends = excluded.ends,
            token = CASE WHEN l.holder = excluded.holder THEN l.token ELSE l.token + 1 END
        WHERE l.holder IS NULL OR l.holder = excluded.holder OR l.ends <= $3
        RETURNING token";
    let question =
        || sqlx::query_scalar(sql).bind(name).bind(holder).bind(count(now)).bind(count(until)).fetch_all(pool);
    let token: Vec<i64> = ask("could not write a lease", question).await?;
    Ok(token.first().map(|token| Fence { lease: name.to_owned(), token: from_row(*token) }))
}

/// Lets a lease go. The number stays, so that the next holder gets a higher one.
pub(super) async fn release(pool: &PgPool, fence: &Fence) -> Result<(), StoreError> {
    let sql = "UPDATE remint.lease SET holder = NULL WHERE name = $1 AND token = $2 AND holder IS NOT NULL";
    let released = sqlx::query(sql).bind(&fence.lease).bind(to_row(fence.token)).execute(pool).await;
    match released.map_err(broken("could not release a lease"))?.rows_affected() {
        0 => Err(StoreError::Fenced(fence.lease.clone())),
        _ => Ok(()),
    }
}

/// Lets everything of one holder go.
pub(super) async fn abandon(pool: &PgPool, holder: &str) -> Result<(), StoreError> {
    let sql = "UPDATE remint.lease SET holder = NULL WHERE holder = $1";
    ask("could not release the leases of one that ended", || sqlx::query(sql).bind(holder).execute(pool))
        .await
        .map(drop)
}

/// Takes what is free of many, and passes over what somebody else is just taking.
pub(super) async fn claim(
    pool: &PgPool,
    names: &[String],
    holder: &str,
    now: Timestamp,
    until: Timestamp,
) -> Result<Vec<Fence>, StoreError> {
    let sql = "SELECT name, token FROM remint.claim($1, $2, $3, $4, $5)";
    let most = i32::try_from(names.len()).unwrap_or(i32::MAX);
    let question =
        || sqlx::query_as(sql).bind(names).bind(holder).bind(count(now)).bind(count(until)).bind(most).fetch_all(pool);
    let claimed: Vec<(String, i64)> = ask("could not claim leases", question).await?;
    Ok(claimed.into_iter().map(|(lease, token)| Fence { lease, token: from_row(token) }).collect())
}

/// Gives the next entries their places.
pub(super) async fn place(pool: &PgPool, fence: &Fence, ids: &[u64], size: u64, note: &str) -> Result<(), StoreError> {
    let rows: Vec<i64> = ids.iter().copied().map(to_row).collect();
    // Not asked again: the second answer would be that the places are out of order.
    let query = sqlx::query_as("SELECT why, placed FROM remint.place($1, $2, $3, $4, $5)");
    let query = query.bind(&fence.lease).bind(to_row(fence.token)).bind(&rows).bind(to_row(size)).bind(note);
    let answers: Vec<(String, i64)> = query.fetch_all(pool).await.map_err(broken("could not write a checkpoint"))?;
    match answers.first().map(|(why, placed)| (why.as_str(), placed)) {
        Some(("done", _)) => Ok(()),
        Some(("fenced", _)) => Err(StoreError::Fenced(fence.lease.clone())),
        Some((_, placed)) => {
            let what =
                format!("was asked for places out of order: {placed} entries have theirs, up to {size} were meant");
            Err(StoreError::Broken { what, source: None })
        }
        None => Err(StoreError::Broken { what: "did not say what became of a checkpoint".to_owned(), source: None }),
    }
}

/// Nanoseconds since 1970: what a lease counts in.
pub(super) fn count(at: Timestamp) -> i64 {
    i64::try_from(at.as_nanosecond()).unwrap_or(i64::MAX)
}
