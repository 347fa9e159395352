//! A store that only looks: every change is refused with the sentence that says why.

use async_trait::async_trait;
use jiff::Timestamp;
use remint_contract::ResetId;
use remint_evidence_format::Stored;
use remint_evidence_format::tree::Hash;
use std::sync::Arc;
use tokio::sync::mpsc;

use crate::store::dump::Line;
use crate::store::{Change, Committed, Fence, Key, Record, Sealed, Store, StoreError};

/// The store behind it, and why nothing may be changed there.
pub struct ReadOnly {
    inner: Arc<dyn Store>,
    why: String,
}

impl ReadOnly {
    pub fn new(inner: Arc<dyn Store>, why: impl Into<String>) -> Self {
        Self { inner, why: why.into() }
    }

    fn refuse<T>(&self) -> Result<T, StoreError> {
        Err(StoreError::ReadOnly(self.why.clone()))
    }
}

#[async_trait]
impl Store for ReadOnly {
    async fn commit(&self, _: Change) -> Result<Committed, StoreError> {
        self.refuse()
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

    async fn lease(&self, _: &str, _: &str, _: Timestamp, _: Timestamp) -> Result<Option<Fence>, StoreError> {
        self.refuse()
    }

    async fn release(&self, _: &Fence) -> Result<(), StoreError> {
        self.refuse()
    }

    /// None: nothing gets a place here, and nobody has to try.
    async fn unsequenced(&self, _: usize) -> Result<Vec<Stored>, StoreError> {
        Ok(Vec::new())
    }

    async fn sequence(&self, _: &Fence, _: &[u64], _: u64, _: &str) -> Result<(), StoreError> {
        self.refuse()
    }

    async fn sequenced(&self, from: u64, limit: usize) -> Result<Vec<Stored>, StoreError> {
        self.inner.sequenced(from, limit).await
    }

    async fn hashes(&self, from: u64, limit: usize) -> Result<Vec<Hash>, StoreError> {
        self.inner.hashes(from, limit).await
    }

    async fn entries_of(&self, reset: &ResetId) -> Result<Vec<Stored>, StoreError> {
        self.inner.entries_of(reset).await
    }

    async fn checkpoint(&self) -> Result<Option<(u64, String)>, StoreError> {
        self.inner.checkpoint().await
    }

    async fn sealed_after(&self, after: Option<&str>, limit: usize) -> Result<Vec<Sealed>, StoreError> {
        self.inner.sealed_after(after, limit).await
    }

    async fn rewrap(&self, _: &Fence, _: Vec<(Sealed, Sealed)>) -> Result<usize, StoreError> {
        self.refuse()
    }

    async fn dump(&self, sealed: bool, lines: mpsc::Sender<Line>) -> Result<(), StoreError> {
        self.inner.dump(sealed, lines).await
    }

    async fn load(&self, _: mpsc::Receiver<Line>) -> Result<(), StoreError> {
        self.refuse()
    }
}
