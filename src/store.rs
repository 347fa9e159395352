//! Where Remint keeps what it must not lose: records, entries, sealed values, leases.
//!
//! One trait, several back ends, one suite (`tests/remint/store.rs`). A [`Change`] is one durable transaction: all of it or
//! nothing, on disk before [`Store::commit`] returns. Entries go into the same transaction as the change they tell of.

use async_trait::async_trait;
use jiff::Timestamp;
use remint_contract::ResetId;
use remint_evidence_format::tree::Hash;
use remint_evidence_format::{Draft, FormatError, Stored, entry};
use serde::{Deserialize, Serialize};
use tokio::sync::mpsc;

pub mod dump;
pub mod pages;
pub mod postgres;
pub mod readonly;
pub mod sqlite;
mod wake;
pub mod whole;

pub use wake::{Bell, Wake, Woken};
pub use whole::Contents;

/// Kinds whose puts whoever watches the store is told of.
pub const WATCHED: [&str; 1] = ["reset"];

/// One durable transaction. The fence is looked at first, then what is expected; deletes come before puts and unseals before seals, so that a
/// change can replace what it takes away.
#[derive(Debug, Clone, Default)]
pub struct Change {
    /// Refused when the lease has moved on: a worker that lost its lease records nothing.
    pub fence: Option<Fence>,
    /// Records that must have exactly these revisions when the change is written, 0 for a record that is not there; else it
    /// is refused with [`StoreError::Stale`]. A back end looks at them in the transaction of the change, under a lock that
    /// keeps each of them until it is over: `FOR SHARE` where rows are locked one by one.
    pub expects: Vec<(Key, u64)>,
    pub puts: Vec<Put>,
    pub deletes: Vec<Key>,
    /// Sealed values to keep. The same one again is fine; another one under its id is [`StoreError::Exists`].
    pub seals: Vec<Sealed>,
    /// Sealed values to forget, by id.
    pub unseals: Vec<String>,
    /// Entries, numbered and chained within their reset by the store.
    pub entries: Vec<Draft>,
}

/// Which record: a kind of ours (`reset`, `rotation`, `intent`, `owner`, `finding`, `task`, `exception`, `estate`, …)
/// and its id.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct Key {
    pub kind: &'static str,
    pub id: String,
}

/// A record to write.
#[derive(Debug, Clone)]
pub struct Put {
    pub key: Key,
    /// What `list` filters by: the reset's id, or empty.
    pub scope: String,
    pub body: serde_json::Value,
    pub rule: Rule,
}

/// What must hold for a put.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Rule {
    /// Written whatever is there.
    Upsert,
    /// Refused with [`StoreError::Exists`] when it is there.
    Insert,
    /// Refused with [`StoreError::Stale`] unless the stored revision is this one.
    Revision(u64),
}

/// A record as stored.
#[derive(Debug, Clone, PartialEq)]
pub struct Record {
    pub id: String,
    pub scope: String,
    /// 1 when inserted, one more at every put.
    pub revision: u64,
    pub body: serde_json::Value,
}

/// A sealed value: ciphertext under a data key under a generation of the key-encryption key.
#[derive(Clone, PartialEq, Eq)]
pub struct Sealed {
    pub id: String,
    pub scope: String,
    /// The generation of the key-encryption key.
    pub generation: u64,
    /// Forgotten after this.
    pub expires: Option<Timestamp>,
    pub bytes: Vec<u8>,
}

impl std::fmt::Debug for Sealed {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Sealed").field("id", &self.id).field("generation", &self.generation).finish_non_exhaustive()
    }
}

/// A held lease: `token` grows by one each time the lease changes hands.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Fence {
    pub lease: String,
    pub token: u64,
}

/// What the tree needs of an entry.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Leaf {
    /// Of the entry, in the store's own order of commit.
    pub id: u64,
    pub hash: Hash,
    /// The entry, when it is of no reset: it may be one that the log itself goes by.
    pub bytes: Option<Vec<u8>>,
}

impl Leaf {
    /// The leaf of an entry.
    #[must_use]
    pub fn of(stored: Stored) -> Self {
        let hash = entry::hash(&stored.bytes);
        Self { id: stored.id, hash, bytes: stored.reset.is_none().then_some(stored.bytes) }
    }

    /// The next leaves, out of entries that are read.
    async fn read<S: Store + ?Sized>(store: &S, limit: usize) -> Result<Vec<Self>, StoreError> {
        let entries = store.unsequenced(limit.min(READ)).await?;
        Ok(entries.into_iter().map(Self::of).collect())
    }
}

/// Entries read at a time for their hashes: some megabytes.
const READ: usize = 4096;

/// What a commit gave back.
#[derive(Debug, Clone, Default)]
pub struct Committed {
    /// The entries as they were stored, in the order of the change.
    pub entries: Vec<Stored>,
}

/// Why the store said no.
#[derive(Debug, thiserror::Error)]
pub enum StoreError {
    #[error("{kind} `{id}` exists already")]
    Exists { kind: &'static str, id: String },
    #[error("{kind} `{id}` was changed by somebody else")]
    Stale { kind: &'static str, id: String },
    #[error("the lease `{0}` is held by somebody else now; nothing was recorded")]
    Fenced(String),
    #[error("another remint holds the state folder {0}; stop it, or talk to it with --server")]
    Locked(String),
    #[error("{path} was written by a newer remint (schema {found}, this one knows {known}); use that version")]
    Newer { path: String, found: u32, known: u32 },
    #[error("the store {0} is in use by another remint; stop it first")]
    InUse(String),
    #[error("an entry `{kind}` cannot be recorded, so nothing was")]
    Unrecordable {
        kind: String,
        #[source]
        source: FormatError,
    },
    /// The sentence that says why.
    #[error("{0}")]
    ReadOnly(String),
    #[error("there is something in this store already; a backup is restored into an empty one")]
    NotEmpty,
    #[error("this back end cannot {0} yet")]
    Unsupported(&'static str),
    /// The server went away in the middle. Whoever reads again learns whether the change stands.
    #[error("the store went away, and it is unknown whether a change was recorded: {0}")]
    Unanswered(String),
    #[error("the store {what}")]
    Broken {
        what: String,
        #[source]
        source: Option<Box<dyn std::error::Error + Send + Sync>>,
    },
}

/// A store back end.
///
/// Guarantees: commits are atomic, durable and totally ordered; entries of one reset are numbered 1, 2, 3, … without a
/// gap, each carrying the hash of the one before; reads see every commit that returned.
#[async_trait]
pub trait Store: Send + Sync {
    /// Writes one change.
    async fn commit(&self, change: Change) -> Result<Committed, StoreError>;
    async fn get(&self, key: &Key) -> Result<Option<Record>, StoreError>;
    /// All records of a kind, oldest first; of one scope when given.
    async fn list(&self, kind: &'static str, scope: Option<&str>) -> Result<Vec<Record>, StoreError>;
    /// A sealed value.
    async fn sealed(&self, id: &str) -> Result<Option<Sealed>, StoreError>;
    /// Takes or renews a lease for `holder` until `until`; `None` when somebody else holds it at `now`. A renewal keeps
    /// the token, also after `until` when nobody took it meanwhile; after a release everybody gets a new one.
    async fn lease(
        &self,
        name: &str,
        holder: &str,
        now: Timestamp,
        until: Timestamp,
    ) -> Result<Option<Fence>, StoreError>;
    async fn release(&self, fence: &Fence) -> Result<(), StoreError>;
    /// Takes those of the leases that are free at `now`, as [`Store::lease`] would, and passes over the others: how a
    /// worker finds what nobody works on.
    async fn claim(
        &self,
        names: &[String],
        holder: &str,
        now: Timestamp,
        until: Timestamp,
    ) -> Result<Vec<Fence>, StoreError> {
        let mut claimed = Vec::new();
        for name in names {
            claimed.extend(self.lease(name, holder, now, until).await?);
        }
        Ok(claimed)
    }
    /// Says when a record of a kind in [`WATCHED`] was put, by whichever process, from now on.
    async fn watch(&self) -> Result<Box<dyn Wake>, StoreError> {
        // Never told: whoever polls loses time, nothing else.
        Ok(Bell::default().watch())
    }

    /// Entries that have no place in the tree yet, in commit order.
    async fn unsequenced(&self, limit: usize) -> Result<Vec<Stored>, StoreError>;
    /// What the tree needs of the entries that have no place yet, in commit order; fewer than `limit` though there are more
    /// where they have to be read.
    async fn leaves(&self, limit: usize) -> Result<Vec<Leaf>, StoreError> {
        Leaf::read(self, limit).await
    }
    /// Gives the next entries (exactly those, in that order) their places, and keeps the checkpoint that covers them.
    async fn sequence(&self, fence: &Fence, ids: &[u64], size: u64, checkpoint: &str) -> Result<(), StoreError>;
    /// Sequenced entries from `from` on.
    async fn sequenced(&self, from: u64, limit: usize) -> Result<Vec<Stored>, StoreError>;
    /// The hashes of sequenced entries from `from` on.
    async fn hashes(&self, from: u64, limit: usize) -> Result<Vec<Hash>, StoreError> {
        Ok(self.sequenced(from, limit).await?.iter().map(|stored| entry::hash(&stored.bytes)).collect())
    }
    /// Entries of one reset by number, sequenced or not.
    async fn entries_of(&self, reset: &ResetId) -> Result<Vec<Stored>, StoreError>;
    /// The newest checkpoint: the tree size and the signed note.
    async fn checkpoint(&self) -> Result<Option<(u64, String)>, StoreError>;

    /// Sealed values by id, those after `after`.
    async fn sealed_after(&self, after: Option<&str>, limit: usize) -> Result<Vec<Sealed>, StoreError> {
        let _ = (after, limit);
        Err(StoreError::Unsupported("list sealed values"))
    }
    /// Exchanges sealed values for others of the same ids, each only where the stored bytes are still the first of the
    /// pair: what was forgotten meanwhile stays forgotten. Gives how many were exchanged.
    async fn rewrap(&self, fence: &Fence, pairs: Vec<(Sealed, Sealed)>) -> Result<usize, StoreError> {
        let _ = (fence, pairs);
        Err(StoreError::Unsupported("exchange sealed values"))
    }
    /// Sends everything it holds, as one consistent picture that ends with [`dump::Line::End`]; sealed values only when
    /// asked for.
    async fn dump(&self, sealed: bool, lines: mpsc::Sender<dump::Line>) -> Result<(), StoreError> {
        let _ = (sealed, lines);
        Err(StoreError::Unsupported("be dumped"))
    }
    /// Takes everything into an empty store, in one transaction; lines that stop before their end leave nothing.
    async fn load(&self, lines: mpsc::Receiver<dump::Line>) -> Result<(), StoreError> {
        drop(lines);
        Err(StoreError::Unsupported("be loaded"))
    }
}
