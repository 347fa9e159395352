//! The back end for several replicas: one PostgreSQL database, schema `remint`.
//!
//! Flow: every change goes to one writer task per process ([`writer`]), which sends all that waits as one call of one
//! function of the database: one round trip, one transaction. Leases are single statements on a small pool, reads too.
//!
//! Guarantees: those of [`Store`]. **Commits are totally ordered** because whoever writes locks the one row of
//! `remint.log` first and holds it until the commit is durable. On PostgreSQL a number from a sequence says nothing of
//! commit order: a reader may see 7 before 6 is committed, and a sequencer that went on from 7 would never place 6. Here
//! an id is given under the lock, so when it can be seen every smaller one can. The lock costs replicas their
//! parallelism in one place only, and group commit pays that back: each holds it once for all that waits. A fence is
//! looked at with a row lock in the same transaction: a lease cannot change hands between the look and the commit.
//!
//! Assumptions: the server keeps what it has synced (`fsync` on), and is one primary; the connection is a session of its
//! own (advisory locks, LISTEN), not a pooler's that changes with every transaction.
//!
//! Errors: what a caller asked for in vain is told to that caller only. Where the server went away in the middle of a
//! commit, nobody knows whether it stands, and the error says so; what is read again tells. Reads and leases are asked
//! again on a new connection for some seconds: a restart of the server is no failure.

use std::any::Any;

use async_trait::async_trait;
use jiff::Timestamp;
use remint_contract::ResetId;
use remint_evidence_format::Stored;
use sqlx::postgres::PgPool;
use tokio::sync::mpsc;

use self::server::Server;
use self::writer::Writer;
use crate::store::dump::Line;
use crate::store::{Change, Committed, Fence, Key, Record, Sealed, Store, StoreError, Wake};

mod address;
mod dump;
mod group;
mod lease;
mod read;
mod schema;
mod server;
mod wake;
mod writer;

pub use address::{Address, AddressError};

/// The store of several replicas.
pub struct PostgresStore {
    writer: Writer,
    pool: PgPool,
    server: Server,
    /// What its owner wants kept for as long as anybody can write through this.
    _kept: Option<Box<dyn Any + Send + Sync>>,
}

impl PostgresStore {
    /// Opens the store, and makes its tables when they are not there.
    ///
    /// # Errors
    /// [`StoreError::InUse`] while somebody holds it alone; [`StoreError::Newer`] when a newer version wrote it;
    /// [`StoreError::Broken`] for the rest.
    pub async fn open(address: Address) -> Result<Self, StoreError> {
        Self::hold(Server::new(address, false)).await
    }

    /// Opens the store for this process alone, as a copy needs it.
    ///
    /// # Errors
    /// As [`PostgresStore::open`]; [`StoreError::InUse`] while any other process has it open.
    pub async fn open_alone(address: Address) -> Result<Self, StoreError> {
        Self::hold(Server::new(address, true)).await
    }

    /// Lets go of every lease of a holder that is known to have ended: nobody waits for it, and whatever it sent last and
    /// the server has not carried out yet is refused.
    ///
    /// # Errors
    /// The server cannot be asked.
    pub async fn abandon(&self, holder: &str) -> Result<(), StoreError> {
        lease::abandon(&self.pool, holder).await
    }

    /// Keeps a value, a lock mostly, until nobody has this store open any more.
    #[must_use]
    pub fn keeping(self, kept: impl Any + Send + Sync) -> Self {
        Self { _kept: Some(Box::new(kept)), ..self }
    }

    async fn hold(server: Server) -> Result<Self, StoreError> {
        let connection = server.open().await?;
        Ok(Self { pool: server.pool()?, writer: Writer::start(server.clone(), connection), server, _kept: None })
    }
}

#[async_trait]
impl Store for PostgresStore {
    async fn commit(&self, change: Change) -> Result<Committed, StoreError> {
        self.writer.commit(change).await
    }

    async fn get(&self, key: &Key) -> Result<Option<Record>, StoreError> {
        read::record(&self.pool, key).await
    }

    async fn list(&self, kind: &'static str, scope: Option<&str>) -> Result<Vec<Record>, StoreError> {
        read::records(&self.pool, kind, scope).await
    }

    async fn sealed(&self, id: &str) -> Result<Option<Sealed>, StoreError> {
        read::sealed(&self.pool, id).await
    }

    async fn lease(
        &self,
        name: &str,
        holder: &str,
        now: Timestamp,
        until: Timestamp,
    ) -> Result<Option<Fence>, StoreError> {
        lease::take(&self.pool, name, holder, now, until).await
    }

    async fn release(&self, fence: &Fence) -> Result<(), StoreError> {
        lease::release(&self.pool, fence).await
    }

    async fn claim(
        &self,
        names: &[String],
        holder: &str,
        now: Timestamp,
        until: Timestamp,
    ) -> Result<Vec<Fence>, StoreError> {
        lease::claim(&self.pool, names, holder, now, until).await
    }

    async fn watch(&self) -> Result<Box<dyn Wake>, StoreError> {
        wake::watch(&self.server).await
    }

    async fn unsequenced(&self, limit: usize) -> Result<Vec<Stored>, StoreError> {
        read::unsequenced(&self.pool, limit).await
    }

    async fn sequence(&self, fence: &Fence, ids: &[u64], size: u64, checkpoint: &str) -> Result<(), StoreError> {
        lease::place(&self.pool, fence, ids, size, checkpoint).await
    }

    async fn sequenced(&self, from: u64, limit: usize) -> Result<Vec<Stored>, StoreError> {
        read::sequenced(&self.pool, from, limit).await
    }

    async fn entries_of(&self, reset: &ResetId) -> Result<Vec<Stored>, StoreError> {
        read::entries_of(&self.pool, reset).await
    }

    async fn checkpoint(&self) -> Result<Option<(u64, String)>, StoreError> {
        read::checkpoint(&self.pool).await
    }

    async fn sealed_after(&self, after: Option<&str>, limit: usize) -> Result<Vec<Sealed>, StoreError> {
        dump::sealed_after(&self.pool, after.unwrap_or_default(), limit).await
    }

    async fn rewrap(&self, fence: &Fence, pairs: Vec<(Sealed, Sealed)>) -> Result<usize, StoreError> {
        dump::rewrap(&self.pool, fence, pairs).await
    }

    async fn dump(&self, sealed: bool, lines: mpsc::Sender<Line>) -> Result<(), StoreError> {
        dump::dump(&self.pool, sealed, &lines).await
    }

    async fn load(&self, lines: mpsc::Receiver<Line>) -> Result<(), StoreError> {
        dump::load(&self.pool, lines).await
    }
}

/// The store's word for a failure of PostgreSQL.
fn broken(what: &str) -> impl Fn(sqlx::Error) -> StoreError {
    move |source| StoreError::Broken { what: what.to_owned(), source: Some(Box::new(source)) }
}

/// PostgreSQL counts in `i64`. What does not fit is a number that no row has.
fn to_row(number: u64) -> i64 {
    i64::try_from(number).unwrap_or(i64::MAX)
}

/// Rows count from one.
fn from_row(number: i64) -> u64 {
    u64::try_from(number).unwrap_or(0)
}
