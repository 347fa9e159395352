//! One thing at a time moves a reset in this process.

use std::collections::BTreeSet;
use std::sync::{Arc, Mutex, PoisonError};

use remint_contract::ResetId;

use crate::engine::Engine;

/// Held while a reset is moved: a lease tells processes apart, not two calls in one.
pub(crate) struct Alone {
    running: Arc<Mutex<BTreeSet<ResetId>>>,
    id: ResetId,
}

impl Engine {
    /// `None` while something else in this process moves the reset.
    pub(crate) fn alone(&self, id: &ResetId) -> Option<Alone> {
        let fresh = self.running.lock().unwrap_or_else(PoisonError::into_inner).insert(id.clone());
        fresh.then(|| Alone { running: Arc::clone(&self.running), id: id.clone() })
    }
}

impl Drop for Alone {
    fn drop(&mut self) {
        self.running.lock().unwrap_or_else(PoisonError::into_inner).remove(&self.id);
    }
}
