//! One fresh login at a PostgreSQL, as the consumer of a static role would make it.

use std::path::Path;

use remint_contract::SecretValue;
use sqlx::postgres::{PgConnectOptions, PgDatabaseError, PgSslMode};
use sqlx::{ConnectOptions as _, Connection as _};

use crate::config::Endpoint;

pub(super) enum Tried {
    Accepted { principal: String },
    Refused,
    Unclear(String),
}

pub(super) async fn at(endpoint: &Endpoint, ca: Option<&Path>, username: &str, password: &SecretValue) -> Tried {
    // What is no text was never a password here.
    let Some(password) = password.expose_str() else { return Tried::Refused };
    let mode = if endpoint.is_loopback() { PgSslMode::Prefer } else { PgSslMode::VerifyFull };
    let options = PgConnectOptions::new_without_pgpass()
        .host(&endpoint.host)
        .port(endpoint.port)
        .database(&endpoint.database)
        .application_name("remint")
        .ssl_mode(mode)
        .disable_statement_logging();
    let options = match ca {
        Some(file) => options.ssl_root_cert(file),
        None => options,
    };
    let mut connection = match options.username(username).password(password).connect().await {
        Ok(connection) => connection,
        Err(failure) if refused(&failure) => return Tried::Refused,
        Err(failure) => return Tried::Unclear(format!("{endpoint}: {failure}")),
    };
    let principal = sqlx::query_scalar("SELECT current_user::text").fetch_one(&mut connection).await;
    // The login has shown what it had to; a farewell that fails changes nothing.
    let _ = connection.close().await;
    match principal {
        Ok(principal) => Tried::Accepted { principal },
        Err(failure) => Tried::Unclear(format!("{endpoint}: {failure}")),
    }
}

/// The server refused the credential itself. Class 28000 is also its answer to an address that it does not let in; only
/// one of its routines speaks of the role.
fn refused(failure: &sqlx::Error) -> bool {
    let Some(answer) = failure.as_database_error().and_then(|answer| answer.try_downcast_ref::<PgDatabaseError>())
    else {
        return false;
    };
    answer.code() == "28P01" || (answer.code() == "28000" && answer.routine() == Some("InitializeSessionUserId"))
}
