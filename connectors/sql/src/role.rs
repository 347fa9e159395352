//! A login role as the catalogue shows it, read and changed under one lock per target.

use jiff::Timestamp;
use remint_contract::{Error, ErrorKind, Target, Verb, VersionId};
use sqlx::AssertSqlSafe;
use sqlx::postgres::PgConnection;

use crate::error;
use crate::version;

/// What decides about a role.
pub(crate) struct Role {
    pub(crate) name: String,
    pub(crate) can_login: bool,
    pub(crate) connections: i32,
    pub(crate) expires: Option<Timestamp>,
    pub(crate) comment: String,
}

impl Role {
    pub(crate) fn version(&self) -> VersionId {
        version::of(&self.name, &self.comment)
    }
}

type Row = (String, bool, i32, Option<i64>, Option<String>);

const COLUMNS: &str = "SELECT rolname::text, rolcanlogin, rolconnlimit, \
     CASE WHEN isfinite(rolvaliduntil) THEN (extract(epoch FROM rolvaliduntil) * 1000000)::bigint END, \
     shobj_description(oid, 'pg_authid') FROM pg_catalog.pg_roles";

fn read((name, can_login, connections, expires, comment): Row) -> Role {
    let expires = expires.and_then(|micros| Timestamp::from_microsecond(micros).ok());
    Role { name, can_login, connections, expires, comment: comment.unwrap_or_default() }
}

/// The role of that name, if there is one.
pub(crate) async fn find(connection: &mut PgConnection, verb: Verb, name: &str) -> Result<Option<Role>, Error> {
    let row: Option<Row> = sqlx::query_as(AssertSqlSafe(format!("{COLUMNS} WHERE rolname = $1")))
        .bind(name)
        .fetch_optional(connection)
        .await
        .map_err(|failure| error::statement(verb, "the role could not be read", failure).with("role", name))?;
    Ok(row.map(read))
}

/// Every role that may log in, by name.
pub(crate) async fn all_logins(connection: &mut PgConnection, verb: Verb) -> Result<Vec<Role>, Error> {
    let rows: Vec<Row> = sqlx::query_as(AssertSqlSafe(format!("{COLUMNS} WHERE rolcanlogin ORDER BY rolname")))
        .fetch_all(connection)
        .await
        .map_err(|failure| error::statement(verb, "the roles could not be listed", failure))?;
    Ok(rows.into_iter().map(read).collect())
}

/// Begins a transaction that no other change by Remint to this target runs beside.
pub(crate) async fn begin(connection: &mut PgConnection, verb: Verb, target: &Target) -> Result<(), Error> {
    execute(connection, verb, "the transaction could not be opened", "BEGIN".to_owned()).await?;
    sqlx::query("SELECT pg_advisory_xact_lock(hashtext('remint:' || $1))")
        .bind(&target.name)
        .execute(connection)
        .await
        .map_err(|failure| error::statement(verb, "the target could not be locked", failure))?;
    Ok(())
}

/// Ends the transaction. A lost answer is `Unclear`.
pub(crate) async fn commit(connection: &mut PgConnection, verb: Verb) -> Result<(), Error> {
    execute(connection, verb, "the transaction could not be committed", "COMMIT".to_owned()).await
}

/// Runs statements that take no parameters; every name and text in them is quoted by the caller.
pub(crate) async fn execute(
    connection: &mut PgConnection,
    verb: Verb,
    what: &str,
    statements: String,
) -> Result<(), Error> {
    sqlx::raw_sql(AssertSqlSafe(statements))
        .execute(connection)
        .await
        .map_err(|failure| error::statement(verb, what, failure))?;
    Ok(())
}

/// The server's clock, in microseconds: the moment a mint is marked with, and what deadlines are held against.
pub(crate) async fn now(connection: &mut PgConnection, verb: Verb) -> Result<i64, Error> {
    sqlx::query_scalar("SELECT (extract(epoch FROM clock_timestamp()) * 1000000)::bigint")
        .fetch_one(connection)
        .await
        .map_err(|failure| error::statement(verb, "the server's clock could not be read", failure))
}

/// The login roles that a target may live on, itself last.
pub(crate) fn slots(target: &Target) -> [String; 3] {
    [format!("{}_a", target.name), format!("{}_b", target.name), target.name.clone()]
}

/// The login role of a version, if it is one of the target's. A target without a name owns what no other does: it is
/// how a person's decision about a foreign login arrives.
pub(crate) fn of_target<'a>(verb: Verb, target: &Target, version: &'a VersionId) -> Result<&'a str, Error> {
    let name = version::role(version);
    if target.name.is_empty() || slots(target).iter().any(|slot| slot == name) {
        Ok(name)
    } else {
        Err(Error::new(ErrorKind::Invalid, verb, "the version is not one of the target's")
            .with("version", &version.0)
            .with("target", &target.name))
    }
}
