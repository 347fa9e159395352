//! A store that notes every value that was ever sealed in it: what was refused or forgotten since, too.

use std::sync::{Arc, Mutex};

use async_trait::async_trait;
use jiff::Timestamp;
use remint::escrow::Escrow;
use remint::store::{Change, Committed, Fence, Key, Record, Sealed, Store, StoreError};
use remint_contract::{ResetId, SecretValue};
use remint_evidence_format::Stored;

/// The store below, and what went into its escrow.
pub(super) struct Ever {
    store: Arc<dyn Store>,
    escrow: Arc<Escrow>,
    values: Mutex<Vec<SecretValue>>,
}

impl Ever {
    pub(super) fn over(store: Arc<dyn Store>, escrow: Arc<Escrow>) -> Self {
        Self { store, escrow, values: Mutex::default() }
    }

    pub(super) fn values(&self) -> Vec<SecretValue> {
        self.values.lock().unwrap().clone()
    }
}

#[async_trait]
impl Store for Ever {
    async fn commit(&self, change: Change) -> Result<Committed, StoreError> {
        let opened = change.seals.iter().map(|sealed| self.escrow.open(sealed).unwrap());
        self.values.lock().unwrap().extend(opened);
        self.store.commit(change).await
    }

    async fn get(&self, key: &Key) -> Result<Option<Record>, StoreError> {
        self.store.get(key).await
    }

    async fn list(&self, kind: &'static str, scope: Option<&str>) -> Result<Vec<Record>, StoreError> {
        self.store.list(kind, scope).await
    }

    async fn sealed(&self, id: &str) -> Result<Option<Sealed>, StoreError> {
        self.store.sealed(id).await
    }

    async fn lease(
        &self,
        name: &str,
        holder: &str,
        now: Timestamp,
        until: Timestamp,
    ) -> Result<Option<Fence>, StoreError> {
        self.store.lease(name, holder, now, until).await
    }

    async fn release(&self, fence: &Fence) -> Result<(), StoreError> {
        self.store.release(fence).await
    }

    async fn unsequenced(&self, limit: usize) -> Result<Vec<Stored>, StoreError> {
        self.store.unsequenced(limit).await
    }

    async fn sequence(&self, fence: &Fence, ids: &[u64], size: u64, checkpoint: &str) -> Result<(), StoreError> {
        self.store.sequence(fence, ids, size, checkpoint).await
    }

    async fn sequenced(&self, from: u64, limit: usize) -> Result<Vec<Stored>, StoreError> {
        self.store.sequenced(from, limit).await
    }

    async fn entries_of(&self, reset: &ResetId) -> Result<Vec<Stored>, StoreError> {
        self.store.entries_of(reset).await
    }

    async fn checkpoint(&self) -> Result<Option<(u64, String)>, StoreError> {
        self.store.checkpoint().await
    }
}
