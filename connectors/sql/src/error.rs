//! PostgreSQL's answers as the contract's classes, by SQLSTATE and never by message.

use remint_contract::{Error, ErrorKind, Verb};
use sqlx::postgres::PgDatabaseError;

/// A failure while logging in: nothing was done yet.
pub(crate) fn login(verb: Verb, failure: sqlx::Error) -> Error {
    let kind = match &failure {
        sqlx::Error::Database(_) => kind(&failure),
        sqlx::Error::Configuration(_) => ErrorKind::Invalid,
        _ => ErrorKind::Unreachable,
    };
    Error::new(kind, verb, "the login failed").because(failure)
}

/// A failure of a statement that was sent.
pub(crate) fn statement(verb: Verb, what: &str, failure: sqlx::Error) -> Error {
    Error::new(kind(&failure), verb, what).because(failure)
}

fn kind(failure: &sqlx::Error) -> ErrorKind {
    let Some(code) = failure.as_database_error().and_then(sqlx::error::DatabaseError::code) else {
        return ErrorKind::Unclear;
    };
    match code.as_ref() {
        "42501" => ErrorKind::Denied,
        "42710" | "23505" | "40001" | "40P01" | "55P03" | "XX000" => ErrorKind::Conflict,
        "42704" | "3D000" => ErrorKind::Missing,
        "53300" => ErrorKind::Throttled,
        "57P03" => ErrorKind::Unreachable,
        "22023" => ErrorKind::RefusedValue,
        code if code.starts_with("28") => ErrorKind::Denied,
        _ => ErrorKind::Unclear,
    }
}

/// True when the server refused the *credential*: a wrong password, or a role that may not log in or does not exist.
///
/// Class 28000 is also the answer of `pg_hba.conf` to an address it does not know; that says nothing about the value.
/// The server names the routine that spoke, and only `InitializeSessionUserId` speaks of the role.
pub(crate) fn refused_credential(failure: &sqlx::Error) -> bool {
    let Some(answer) = failure.as_database_error().and_then(|answer| answer.try_downcast_ref::<PgDatabaseError>())
    else {
        return false;
    };
    answer.code() == "28P01" || (answer.code() == "28000" && answer.routine() == Some("InitializeSessionUserId"))
}
