//! The lease under which one process moves a reset.

use remint_contract::ResetId;
use tokio::task::JoinSet;

use crate::engine::{Engine, EngineError};
use crate::store::Fence;

impl Engine {
    /// Of these resets, those that nobody else works on; from now on this process does.
    pub(crate) async fn claim(&self, resets: &[ResetId]) -> Result<Vec<ResetId>, EngineError> {
        let names: Vec<String> = resets.iter().map(|id| format!("reset/{id}")).collect();
        let now = self.context.clock.now();
        let claimed = self.store.claim(&names, &self.settings.holder, now, now + self.settings.lease).await?;
        let held =
            |id: &&ResetId| claimed.iter().any(|fence| fence.lease.strip_prefix("reset/") == Some(id.0.as_str()));
        Ok(resets.iter().filter(held).cloned().collect())
    }

    /// Takes or renews a lease; `None` while somebody else holds it.
    pub(super) async fn take(&self, lease: &str) -> Result<Option<Fence>, EngineError> {
        let now = self.context.clock.now();
        Ok(self.store.lease(lease, &self.settings.holder, now, now + self.settings.lease).await?)
    }

    /// Renews the lease for as long as the run lasts; when it is lost, every later commit of the run is refused.
    pub(super) fn keep_renewing(&self, fence: Fence) -> JoinSet<()> {
        let engine = self.clone();
        // A set ends its tasks when it is dropped: a run that is given up must not hold its lease for ever.
        let mut renewing = JoinSet::new();
        renewing.spawn(async move {
            loop {
                tokio::time::sleep(engine.settings.lease / 3).await;
                if !matches!(engine.take(&fence.lease).await, Ok(Some(held)) if held == fence) {
                    return;
                }
            }
        });
        renewing
    }
}
