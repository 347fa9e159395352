//! Of several daemons on one store, which one does what is nobody's in particular: forgetting what expired, and telling
//! again what is dark. A lease says who; when its holder is gone it runs out, and another one takes it.

use std::time::Duration;

use crate::engine::{Engine, EngineError};

/// Longer than the time between two chores, so that who has the chair keeps it.
const LASTS: Duration = Duration::from_mins(20);

impl Engine {
    /// True when the chores are this process's for now.
    ///
    /// # Errors
    /// The store failed.
    pub async fn chairs(&self) -> Result<bool, EngineError> {
        let now = self.context.clock.now();
        Ok(self.store.lease("scheduler", &self.settings.holder, now, now + LASTS).await?.is_some())
    }
}
