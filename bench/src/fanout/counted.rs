//! A store that counts what is committed.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use async_trait::async_trait;
use jiff::Timestamp;
use remint::engine::record::kind;
use remint::store::{Change, Committed, Fence, Key, Record, Sealed, Store, StoreError};
use remint_contract::ResetId;
use remint_evidence_format::Stored;

/// Counts, and passes on.
pub(super) struct Counted {
    inner: Arc<dyn Store>,
    commits: AtomicU64,
    rotations: AtomicU64,
    intents: AtomicU64,
    entries: AtomicU64,
}

/// What was committed so far.
#[derive(Debug, Clone, Copy)]
pub(super) struct Counts {
    pub(super) commits: u64,
    /// Rotation records written: ends of steps.
    pub(super) rotations: u64,
    /// Intents opened before effects, and closed with their outcomes.
    pub(super) intents: u64,
    pub(super) entries: u64,
}

impl Counted {
    pub(super) fn new(inner: Arc<dyn Store>) -> Self {
        let zero = || AtomicU64::new(0);
        Self { inner, commits: zero(), rotations: zero(), intents: zero(), entries: zero() }
    }

    pub(super) fn counts(&self) -> Counts {
        Counts {
            commits: self.commits.load(Ordering::Relaxed),
            rotations: self.rotations.load(Ordering::Relaxed),
            intents: self.intents.load(Ordering::Relaxed),
            entries: self.entries.load(Ordering::Relaxed),
        }
    }
}

#[async_trait]
impl Store for Counted {
    async fn commit(&self, change: Change) -> Result<Committed, StoreError> {
        let count = |count: usize| u64::try_from(count).unwrap_or(u64::MAX);
        let rotations = change.puts.iter().filter(|put| put.key.kind == kind::ROTATION).count();
        let opened = change.puts.iter().filter(|put| put.key.kind == kind::INTENT).count();
        let closed = change.deletes.iter().filter(|key| key.kind == kind::INTENT).count();
        self.commits.fetch_add(1, Ordering::Relaxed);
        self.rotations.fetch_add(count(rotations), Ordering::Relaxed);
        self.intents.fetch_add(count(opened + closed), Ordering::Relaxed);
        self.entries.fetch_add(count(change.entries.len()), Ordering::Relaxed);
        self.inner.commit(change).await
    }

    async fn get(&self, key: &Key) -> Result<Option<Record>, StoreError> {
        self.inner.get(key).await
    }

    async fn list(&self, kind: &'static str, scope: Option<&str>) -> Result<Vec<Record>, StoreError> {
        self.inner.list(kind, scope).await
    }

    async fn sealed(&self, id: &str) -> Result<Option<Sealed>, StoreError> {
        self.inner.sealed(id).await
    }

    async fn lease(
        &self,
        name: &str,
        holder: &str,
        now: Timestamp,
        until: Timestamp,
    ) -> Result<Option<Fence>, StoreError> {
        self.inner.lease(name, holder, now, until).await
    }

    async fn release(&self, fence: &Fence) -> Result<(), StoreError> {
        self.inner.release(fence).await
    }

    async fn unsequenced(&self, limit: usize) -> Result<Vec<Stored>, StoreError> {
        self.inner.unsequenced(limit).await
    }

    async fn sequence(&self, fence: &Fence, ids: &[u64], size: u64, checkpoint: &str) -> Result<(), StoreError> {
        self.inner.sequence(fence, ids, size, checkpoint).await
    }

    async fn sequenced(&self, from: u64, limit: usize) -> Result<Vec<Stored>, StoreError> {
        self.inner.sequenced(from, limit).await
    }

    async fn entries_of(&self, reset: &ResetId) -> Result<Vec<Stored>, StoreError> {
        self.inner.entries_of(reset).await
    }

    async fn checkpoint(&self) -> Result<Option<(u64, String)>, StoreError> {
        self.inner.checkpoint().await
    }
}
