//! Logging in: the connection that writes, and the pool that everything else uses.

use std::time::Duration;

use sqlx::ConnectOptions as _;
use sqlx::postgres::{PgConnection, PgPool, PgPoolOptions};

use super::address::Address;
use super::writer::Failed;
use super::{broken, schema};
use crate::store::StoreError;

/// How long a caller waits for a server that cannot be reached: a restart takes less.
pub(super) const PATIENCE: Duration = Duration::from_secs(20);

/// Between two tries.
const PAUSE: Duration = Duration::from_millis(100);

/// Connections for reads and leases.
const POOL: u32 = 8;

/// Everybody who has the store open shares this lock; whoever needs it alone does not get it then: `remint` and 2.
const OPEN: i64 = 0x7265_6d69_6e74_0002;

/// Where the database is, and how it is held.
#[derive(Debug, Clone)]
pub(super) struct Server {
    address: Address,
    alone: bool,
}

impl Server {
    pub(super) fn new(address: Address, alone: bool) -> Self {
        Self { address, alone }
    }

    pub(super) fn place(&self) -> String {
        self.address.to_string()
    }

    /// A connection that says that the store is open, for as long as it lives; tries until the patience ends.
    pub(super) async fn attend(&self, patience: Duration) -> Result<PgConnection, StoreError> {
        let until = tokio::time::Instant::now() + patience;
        loop {
            match self.login().await {
                Err(error) if error.as_database_error().is_none_or(passes) && tokio::time::Instant::now() < until => {
                    tokio::time::sleep(PAUSE).await;
                }
                Err(error) => return Err(broken("cannot be reached")(error)),
                Ok(mut connection) => {
                    self.hold(&mut connection).await?;
                    return Ok(connection);
                }
            }
        }
    }

    async fn login(&self) -> Result<PgConnection, sqlx::Error> {
        let options = self.address.options().map_err(|error| sqlx::Error::Configuration(Box::new(error)))?;
        options.connect().await
    }

    async fn hold(&self, connection: &mut PgConnection) -> Result<(), StoreError> {
        // A server that may lose what it answered is told not to, here.
        let durable = "SELECT set_config('synchronous_commit', 'on', false)
            WHERE current_setting('synchronous_commit') = 'off'";
        sqlx::query(durable).execute(&mut *connection).await.map_err(broken("could not be set up"))?;
        let lock =
            if self.alone { "SELECT pg_try_advisory_lock($1)" } else { "SELECT pg_try_advisory_lock_shared($1)" };
        let held: bool =
            sqlx::query_scalar(lock).bind(OPEN).fetch_one(connection).await.map_err(broken("could not be set up"))?;
        if held { Ok(()) } else { Err(StoreError::InUse(self.place())) }
    }

    /// The writer's connection, to tables of this version.
    pub(super) async fn open(&self) -> Result<PgConnection, StoreError> {
        let mut connection = self.attend(Duration::ZERO).await?;
        schema::migrate(&mut connection, &self.place()).await?;
        Ok(connection)
    }

    pub(super) fn pool(&self) -> Result<PgPool, StoreError> {
        let options = PgPoolOptions::new().max_connections(POOL).test_before_acquire(false).acquire_timeout(PATIENCE);
        Ok(options.connect_lazy_with(self.address.options()?))
    }

    /// Waits a moment before a server that went away is asked again.
    pub(super) async fn pause() {
        tokio::time::sleep(PAUSE).await;
    }
}

/// True when the connection is of no more use, so that a new one may do better.
pub(super) fn gone(error: &sqlx::Error) -> bool {
    match error {
        sqlx::Error::Io(_) | sqlx::Error::Protocol(_) | sqlx::Error::WorkerCrashed => true,
        sqlx::Error::Database(answer) => passes(&**answer),
        _ => false,
    }
}

/// The server is shutting down, starting up or ended the session: classes 57P and 08.
fn passes(answer: &(dyn sqlx::error::DatabaseError + 'static)) -> bool {
    answer.code().is_some_and(|code| code.starts_with("57P") || code.starts_with("08") || code == "25P03")
}

/// True when the writer's connection is of no more use.
pub(super) fn lost(failed: &Failed) -> bool {
    // In doubt about what is still open on it, a new one is cheap.
    matches!(failed, Failed::Database(_) | Failed::Store(_))
}
