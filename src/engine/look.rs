//! What the engine's records say: resets, rotations, findings, tasks, estates.

use std::sync::Arc;

use remint_contract::ResetId;
use remint_core::digest::Digest;
use remint_core::estate::Estate;

use crate::engine::record::{Finding, Reset, RotationRecord, TaskRecord, kind, read};
use crate::engine::{Engine, EngineError};
use crate::store::Key;

impl Engine {
    /// The rotations of a reset, in the order of its plan.
    pub async fn rotations(&self, id: &ResetId) -> Result<Vec<RotationRecord>, EngineError> {
        let mut records: Vec<RotationRecord> = Vec::new();
        for record in self.store.list(kind::ROTATION, Some(&id.0)).await? {
            records.push(read(record)?);
        }
        records.sort_by_key(|record| record.index);
        Ok(records)
    }

    /// A reset by its id.
    pub async fn reset(&self, id: &ResetId) -> Result<Reset, EngineError> {
        let key = Key { kind: kind::RESET, id: id.0.clone() };
        let record = self.store.get(&key).await?.ok_or_else(|| EngineError::NoReset(id.clone()))?;
        self.with_plan(record).await
    }

    /// The estate that is active now, when one was activated.
    pub async fn active_estate(&self) -> Result<Option<Arc<Estate>>, EngineError> {
        match self.active_digest().await? {
            Some(digest) => Ok(Some(self.estate(&digest.to_string()).await?)),
            None => Ok(None),
        }
    }

    /// Which estate is active, without reading it.
    pub(crate) async fn active_digest(&self) -> Result<Option<Digest>, EngineError> {
        let key = Key { kind: "active", id: "estate".to_owned() };
        Ok(self.store.get(&key).await?.map(read).transpose()?)
    }

    /// All findings of a reset, or of all.
    pub async fn findings(&self, id: Option<&ResetId>) -> Result<Vec<Finding>, EngineError> {
        let records = self.store.list(kind::FINDING, id.map(|id| id.0.as_str())).await?;
        records.into_iter().map(|record| Ok(read(record)?)).collect()
    }

    /// All tasks of a reset, or of all.
    pub async fn tasks(&self, id: Option<&ResetId>) -> Result<Vec<TaskRecord>, EngineError> {
        let records = self.store.list(kind::TASK, id.map(|id| id.0.as_str())).await?;
        records.into_iter().map(|record| Ok(read(record)?)).collect()
    }

    /// All resets, oldest first.
    pub async fn resets(&self) -> Result<Vec<Reset>, EngineError> {
        let mut resets = Vec::new();
        for record in self.store.list(kind::RESET, None).await? {
            resets.push(self.with_plan(record).await?);
        }
        Ok(resets)
    }
}
