//! The bell of a reset: whoever says something of it rings, and a run that is under way looks what was said.
//!
//! In this process the bell wakes the run at once. A run of another replica looks at the signal that every ring leaves in
//! the store, a record that holds nothing, every so often.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};

use remint_contract::ResetId;
use tokio::sync::Notify;

use crate::engine::record::{kind, put};
use crate::engine::{Engine, EngineError};
use crate::store::{Change, Key, Rule};

/// The bells of the resets that this process carries out.
#[derive(Debug, Default)]
pub(crate) struct Bells(Mutex<HashMap<ResetId, Arc<Notify>>>);

impl Bells {
    fn of(&self, id: &ResetId) -> Arc<Notify> {
        Arc::clone(self.0.lock().unwrap_or_else(PoisonError::into_inner).entry(id.clone()).or_default())
    }
}

impl Engine {
    /// Rings when something was said of the reset.
    pub(crate) fn bell(&self, id: &ResetId) -> Arc<Notify> {
        self.bells.of(id)
    }

    /// Something was said of the reset, durably.
    pub(crate) async fn ring(&self, id: &ResetId) -> Result<(), EngineError> {
        let puts = vec![put(kind::SIGNAL, id.0.clone(), &id.0, &(), Rule::Upsert)?];
        self.store.commit(Change { puts, ..Change::default() }).await?;
        self.bell(id).notify_one();
        Ok(())
    }

    /// How often somebody rang, in any process.
    pub(crate) async fn rung(&self, id: &ResetId) -> Result<u64, EngineError> {
        let key = Key { kind: kind::SIGNAL, id: id.0.clone() };
        Ok(self.store.get(&key).await?.map_or(0, |record| record.revision))
    }
}
