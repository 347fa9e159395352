//! The embedded back end: one SQLite file in a state folder that one process holds.
//!
//! Flow: every write goes to one writer thread, which takes all that waits, applies each piece of work in a savepoint
//! of its own, commits once, and only then answers. Reads run on a few read-only connections beside it.
//!
//! Guarantees: those of [`Store`]; a refused change takes nothing with it but itself; an answer comes after the sync to
//! disk (WAL, `synchronous=FULL`); the folder is held by an exclusive lock until the store is dropped, and dropping
//! it waits for what was queued.
//!
//! Assumptions: the calls are made inside a tokio runtime; the folder is on a local disk that honours a sync.
//!
//! Errors: what the caller asked for in vain ([`StoreError::Exists`], `Stale`, `Fenced`) is told to that caller only. A
//! commit that fails fails everybody in it, and when it is not for want of space the store stops writing: after a
//! failed sync nobody knows what the disk holds, so it has to be opened again.

use std::path::Path;

use async_trait::async_trait;
use jiff::Timestamp;
use remint_contract::ResetId;
use remint_evidence_format::Stored;
use remint_evidence_format::tree::Hash;
use rusqlite::Connection;
use tokio::sync::mpsc;

use self::folder::Folder;
use self::pool::Pool;
use self::writer::{Work, Writer, Writing};
use crate::store::dump::Line;
use crate::store::{Bell, Change, Committed, Fence, Key, Leaf, Record, Sealed, Store, StoreError, Wake};

mod change;
mod dump;
mod folder;
mod heads;
mod lease;
mod leaves;
mod pool;
mod read;
mod schema;
mod sequence;
mod writer;

/// The embedded store.
pub struct SqliteStore {
    // Order of fields is order of dropping: the writer ends before the lock on the folder is let go.
    writer: Writer,
    reads: Reads,
    bell: Bell,
    _folder: Option<Folder>,
}

/// Where reads run.
enum Reads {
    /// Beside the writer.
    Pool(Pool),
    /// In the writer's own queue: a store in memory has one connection.
    Writer,
}

impl SqliteStore {
    /// Opens the store of a state folder, and makes both when they are not there.
    ///
    /// # Errors
    /// [`StoreError::Locked`] when another process (or another store of this one) holds the folder;
    /// [`StoreError::Newer`] when a newer version wrote it; [`StoreError::Broken`] for the rest.
    pub fn open(folder: &Path) -> Result<Self, StoreError> {
        let folder = Folder::hold(folder)?;
        let file = folder.database()?;
        let connection = schema::open(&file)?;
        let reads = Reads::Pool(Pool::new(file));
        Ok(Self { writer: Writer::start(connection)?, reads, bell: Bell::default(), _folder: Some(folder) })
    }

    /// A store that ends with the process: for tests.
    ///
    /// # Errors
    /// SQLite refuses.
    pub fn open_in_memory() -> Result<Self, StoreError> {
        Ok(Self {
            writer: Writer::start(schema::open_in_memory()?)?,
            reads: Reads::Writer,
            bell: Bell::default(),
            _folder: None,
        })
    }

    async fn read<T, F>(&self, ask: F) -> Result<T, StoreError>
    where
        T: Send + 'static,
        F: FnOnce(&Connection) -> Result<T, StoreError> + Send + 'static,
    {
        match &self.reads {
            Reads::Pool(pool) => pool.read(ask).await,
            Reads::Writer => self.writer.run(Ask(ask)).await,
        }
    }
}

/// A read in the writer's queue.
struct Ask<F>(F);

impl<T, F> Work for Ask<F>
where
    T: Send + 'static,
    F: FnOnce(&Connection) -> Result<T, StoreError> + Send + 'static,
{
    type Answer = T;

    fn apply(self, writing: &mut Writing<'_>) -> Result<T, StoreError> {
        (self.0)(writing.connection)
    }
}

#[async_trait]
impl Store for SqliteStore {
    async fn commit(&self, change: Change) -> Result<Committed, StoreError> {
        let told = Bell::of(&change);
        let committed = self.writer.run(change::Prepared::new(change)?).await?;
        self.bell.ring(told);
        Ok(committed)
    }

    async fn get(&self, key: &Key) -> Result<Option<Record>, StoreError> {
        let key = key.clone();
        self.read(move |connection| read::record(connection, &key)).await
    }

    async fn list(&self, kind: &'static str, scope: Option<&str>) -> Result<Vec<Record>, StoreError> {
        let (kind, scope) = (kind.to_owned(), scope.map(str::to_owned));
        self.read(move |connection| read::records(connection, &kind, scope.as_deref())).await
    }

    async fn sealed(&self, id: &str) -> Result<Option<Sealed>, StoreError> {
        let id = id.to_owned();
        self.read(move |connection| read::sealed(connection, &id)).await
    }

    async fn lease(
        &self,
        name: &str,
        holder: &str,
        now: Timestamp,
        until: Timestamp,
    ) -> Result<Option<Fence>, StoreError> {
        self.writer.run(lease::Take { name: name.to_owned(), holder: holder.to_owned(), now, until }).await
    }

    async fn release(&self, fence: &Fence) -> Result<(), StoreError> {
        self.writer.run(lease::Release(fence.clone())).await
    }

    async fn watch(&self) -> Result<Box<dyn Wake>, StoreError> {
        Ok(self.bell.watch())
    }

    async fn unsequenced(&self, limit: usize) -> Result<Vec<Stored>, StoreError> {
        self.read(move |connection| read::unsequenced(connection, limit)).await
    }

    async fn leaves(&self, limit: usize) -> Result<Vec<Leaf>, StoreError> {
        match self.writer.run(leaves::Next { limit }).await? {
            Some(leaves) => Ok(leaves),
            None => Leaf::read(self, limit).await,
        }
    }

    async fn sequence(&self, fence: &Fence, ids: &[u64], size: u64, checkpoint: &str) -> Result<(), StoreError> {
        let (fence, ids, note) = (fence.clone(), ids.to_vec(), checkpoint.to_owned());
        self.writer.run(sequence::Sequence { fence, ids, size, note }).await
    }

    async fn sequenced(&self, from: u64, limit: usize) -> Result<Vec<Stored>, StoreError> {
        self.read(move |connection| read::sequenced(connection, from, limit)).await
    }

    async fn hashes(&self, from: u64, limit: usize) -> Result<Vec<Hash>, StoreError> {
        self.read(move |connection| read::hashes(connection, from, limit)).await
    }

    async fn entries_of(&self, reset: &ResetId) -> Result<Vec<Stored>, StoreError> {
        let reset = reset.clone();
        self.read(move |connection| read::entries_of(connection, &reset)).await
    }

    async fn checkpoint(&self) -> Result<Option<(u64, String)>, StoreError> {
        self.read(read::checkpoint).await
    }

    async fn sealed_after(&self, after: Option<&str>, limit: usize) -> Result<Vec<Sealed>, StoreError> {
        let after = after.unwrap_or_default().to_owned();
        self.read(move |connection| read::sealed_after(connection, &after, limit)).await
    }

    async fn rewrap(&self, fence: &Fence, pairs: Vec<(Sealed, Sealed)>) -> Result<usize, StoreError> {
        self.writer.run(change::Rewrap { fence: fence.clone(), pairs }).await
    }

    async fn dump(&self, sealed: bool, lines: mpsc::Sender<Line>) -> Result<(), StoreError> {
        match &self.reads {
            Reads::Pool(pool) => pool.read(move |connection| picture(connection, sealed, &lines)).await,
            Reads::Writer => {
                self.writer.run(Ask(move |connection: &Connection| dump::dump(connection, sealed, &lines))).await
            }
        }
    }

    async fn load(&self, lines: mpsc::Receiver<Line>) -> Result<(), StoreError> {
        self.writer.run(dump::Load(lines)).await
    }
}

/// Sends everything that a state folder holds, also while a daemon works on it: one read transaction beside its own.
///
/// # Errors
/// There is no store, or it cannot be read.
pub async fn dump_beside(folder: &Path, lines: mpsc::Sender<Line>) -> Result<(), StoreError> {
    let file = folder.join("remint.db");
    let asked = tokio::task::spawn_blocking(move || picture(&schema::open_to_read(&file)?, false, &lines));
    let failed = |source| StoreError::Broken { what: "lost a read".to_owned(), source: Some(Box::new(source)) };
    asked.await.map_err(failed)?
}

/// Every record of these kinds in a state folder, also while a daemon works on it.
///
/// # Errors
/// There is no store, or it cannot be read.
pub async fn records_beside(
    folder: &Path,
    kinds: &'static [&'static str],
) -> Result<Vec<(&'static str, Record)>, StoreError> {
    let file = folder.join("remint.db");
    let asked = tokio::task::spawn_blocking(move || {
        let connection = schema::open_to_read(&file)?;
        let mut all = Vec::new();
        for kind in kinds {
            all.extend(read::records(&connection, kind, None)?.into_iter().map(|record| (*kind, record)));
        }
        Ok(all)
    });
    let failed = |source| StoreError::Broken { what: "lost a read".to_owned(), source: Some(Box::new(source)) };
    asked.await.map_err(failed)?
}

fn picture(connection: &Connection, sealed: bool, lines: &mpsc::Sender<Line>) -> Result<(), StoreError> {
    let transaction = connection.unchecked_transaction().map_err(broken("could not be read"))?;
    dump::dump(&transaction, sealed, lines)
}

/// The store's word for a failure of SQLite.
fn broken(what: &str) -> impl FnOnce(rusqlite::Error) -> StoreError {
    move |source| StoreError::Broken { what: what.to_owned(), source: Some(Box::new(source)) }
}

/// SQLite counts in `i64`. What does not fit is a number that no row has.
fn to_row(number: u64) -> i64 {
    i64::try_from(number).unwrap_or(i64::MAX)
}

/// Rows count from one.
fn from_row(number: i64) -> u64 {
    u64::try_from(number).unwrap_or(0)
}
