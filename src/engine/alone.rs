//! One thing at a time moves a reset in this process.
//!
//! A run that came to rest says so before it has let go: whoever acts on what he read then waits for that, and is not told
//! that another process has the reset.

use std::collections::BTreeSet;
use std::pin::pin;
use std::sync::{Arc, Mutex, PoisonError};

use remint_contract::ResetId;
use tokio::sync::Notify;

use crate::engine::record::ResetStatus;
use crate::engine::{Engine, EngineError};

/// The resets that this process carries out now.
#[derive(Default)]
pub(crate) struct Running {
    resets: Mutex<BTreeSet<ResetId>>,
    /// One of them was let go.
    fewer: Notify,
}

/// Held while a reset is moved: a lease tells processes apart, not two calls in one.
pub(crate) struct Alone {
    running: Arc<Running>,
    id: ResetId,
}

impl Engine {
    /// `None` while something else in this process moves the reset.
    fn alone(&self, id: &ResetId) -> Option<Alone> {
        let fresh = self.running.resets.lock().unwrap_or_else(PoisonError::into_inner).insert(id.clone());
        fresh.then(|| Alone { running: Arc::clone(&self.running), id: id.clone() })
    }

    /// Waits, for as long as one call may take, for what is about to end.
    ///
    /// # Errors
    /// [`EngineError::Busy`] while the reset is under way in this process, or the store's.
    pub(super) async fn alone_at_rest(&self, id: &ResetId) -> Result<Alone, EngineError> {
        let mut late = pin!(self.context.clock.sleep(self.settings.grace()));
        loop {
            let mut fewer = pin!(self.running.fewer.notified());
            fewer.as_mut().enable();
            if let Some(alone) = self.alone(id) {
                return Ok(alone);
            }
            if self.reset(id).await?.status == ResetStatus::Running {
                return Err(EngineError::Busy(id.clone()));
            }
            tokio::select! {
                () = fewer => {}
                () = &mut late => return Err(EngineError::Busy(id.clone())),
            }
        }
    }
}

impl Drop for Alone {
    fn drop(&mut self) {
        self.running.resets.lock().unwrap_or_else(PoisonError::into_inner).remove(&self.id);
        self.running.fewer.notify_waiters();
    }
}
