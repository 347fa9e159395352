//! The sessions of a login role: what outlives its password. `list_derived`, `end_derived`, `last_used`.

use jiff::Timestamp;
use remint_contract::{Call, Derived, DerivedOutcome, Ended, Error, Target, Use, Verb, VersionId};
use sqlx::postgres::PgConnection;

use crate::client::Client;
use crate::{error, role, version};

/// How long the server itself waits for one session to end.
const PATIENCE_MS: i64 = 2_000;
/// Passes of listing and ending: a login may slip in between the two.
const PASSES: usize = 3;
/// A login with the value before may have been let in while the mint was being committed.
const OVERLAP_US: i64 = 2_000_000;

pub(crate) async fn list(
    client: &Client,
    call: &Call,
    target: &Target,
    version: &VersionId,
) -> Result<Vec<Derived>, Error> {
    let mut connection = client.act(call, Verb::ListDerived).await?;
    let sessions = sessions(&mut connection, Verb::ListDerived, target, version).await?;
    connection.keep();
    Ok(sessions.iter().map(Session::derived).collect())
}

pub(crate) async fn end(
    client: &Client,
    call: &Call,
    target: &Target,
    version: &VersionId,
) -> Result<Vec<Ended>, Error> {
    let verb = Verb::EndDerived;
    let mut connection = client.act(call, verb).await?;
    let mut seen: Vec<Derived> = Vec::new();
    let mut left = sessions(&mut connection, verb, target, version).await?;
    for _ in 0..PASSES {
        for session in &left {
            let derived = session.derived();
            if !seen.contains(&derived) {
                seen.push(derived);
            }
            // By pid *and* start: a pid that was given to somebody else in the meantime is left alone.
            sqlx::query(
                "SELECT pg_terminate_backend(pid, $3) FROM pg_stat_activity
                 WHERE pid = $1 AND (extract(epoch FROM backend_start) * 1000000)::bigint = $2",
            )
            .bind(session.pid)
            .bind(session.started)
            .bind(PATIENCE_MS)
            .execute(&mut *connection)
            .await
            .map_err(|failure| error::statement(verb, "a session could not be ended", failure))?;
        }
        left = sessions(&mut connection, verb, target, version).await?;
        if left.is_empty() {
            break;
        }
    }
    connection.keep();
    let left: Vec<Derived> = left.iter().map(Session::derived).collect();
    seen.extend(left.iter().filter(|derived| !seen.contains(derived)).cloned().collect::<Vec<_>>());
    Ok(seen
        .into_iter()
        .map(|derived| {
            let outcome = if left.contains(&derived) { DerivedOutcome::Unknown } else { DerivedOutcome::Ended };
            Ended { derived, outcome }
        })
        .collect())
}

pub(crate) async fn last_used(
    client: &Client,
    call: &Call,
    target: &Target,
    version: &VersionId,
    since: Timestamp,
) -> Result<Vec<Use>, Error> {
    let mut connection = client.act(call, Verb::LastUsed).await?;
    let sessions = sessions(&mut connection, Verb::LastUsed, target, version).await?;
    connection.keep();
    Ok(sessions
        .into_iter()
        .filter_map(|session| Some((Timestamp::from_microsecond(session.started).ok()?, session)))
        .filter(|(at, _)| *at >= since)
        .map(|(at, session)| {
            let source = match session.address {
                Some(address) => format!("{} ({address})", session.application),
                None => session.application,
            };
            Use { at, source: source.trim_start().to_owned() }
        })
        .collect())
}

struct Session {
    pid: i32,
    started: i64,
    application: String,
    address: Option<String>,
}

impl Session {
    fn derived(&self) -> Derived {
        Derived { id: format!("{}@{}", self.pid, self.started), what: "session".to_owned(), expires: None }
    }
}

/// The sessions of a version, newest first. When its role carries a newer version by now, those that began before it.
async fn sessions(
    connection: &mut PgConnection,
    verb: Verb,
    target: &Target,
    version: &VersionId,
) -> Result<Vec<Session>, Error> {
    let name = role::of_target(verb, target, version)?;
    let before = match role::find(connection, verb, name).await? {
        Some(role) if role.version() != *version => version::mark(&role.comment)
            .and_then(|mark| mark.minted)
            .map_or(i64::MIN, |minted| minted.as_microsecond().saturating_add(OVERLAP_US)),
        _ => i64::MAX,
    };
    let rows: Vec<(i32, i64, Option<String>, Option<String>)> = sqlx::query_as(
        "SELECT * FROM (
             SELECT pid, (extract(epoch FROM backend_start) * 1000000)::bigint AS started, application_name,
                    host(client_addr)
             FROM pg_stat_activity WHERE usename = $1 AND pid <> pg_backend_pid()) AS session
         WHERE started < $2 ORDER BY started DESC",
    )
    .bind(name)
    .bind(before)
    .fetch_all(connection)
    .await
    .map_err(|failure| error::statement(verb, "the sessions could not be listed", failure).with("role", name))?;
    Ok(rows
        .into_iter()
        .map(|(pid, started, application, address)| Session {
            pid,
            started,
            application: application.unwrap_or_default(),
            address,
        })
        .collect())
}
