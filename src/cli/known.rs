//! What is known of resets: by a state that is opened here, or by a daemon that has it. Tables are made from either.

use std::collections::BTreeMap;

use async_trait::async_trait;
use remint_contract::{Ref, ResetId};
use remint_core::estate::Credential;

use crate::app::App;
use crate::cli::{Exit, Failure};
use crate::engine::eta::Eta;
use crate::engine::exceptions::Exception;
use crate::engine::parked::Parked;
use crate::engine::record::{Finding, Reset, ResetStatus, RotationRecord, TaskRecord};
use crate::privacy::reads::{Day, days};

/// Whoever knows.
#[async_trait]
pub(super) trait Known: Sync {
    /// True where somebody carries everything on by himself.
    fn goes_on(&self) -> bool;
    async fn resets(&self) -> Result<Vec<Reset>, Failure>;
    /// The forecasts of those that run.
    async fn etas(&self, resets: &[Reset]) -> Result<BTreeMap<ResetId, Eta>, Failure>;
    async fn rotations(&self, id: &ResetId) -> Result<Vec<RotationRecord>, Failure>;
    async fn not_contained(&self, reset: &Reset) -> Result<Vec<Ref>, Failure>;
    async fn parked(&self, id: Option<&ResetId>) -> Result<Vec<Parked>, Failure>;
    async fn findings(&self, id: Option<&ResetId>) -> Result<Vec<Finding>, Failure>;
    async fn tasks(&self, id: Option<&ResetId>) -> Result<Vec<TaskRecord>, Failure>;
    /// Every exception, and what resets left out on one word alone.
    async fn exceptions(&self) -> Result<(Vec<Exception>, Vec<(ResetId, Ref)>), Failure>;
    async fn days(&self) -> Result<Vec<Day>, Failure>;
    async fn credentials(&self) -> Result<BTreeMap<Ref, Credential>, Failure>;
}

#[async_trait]
impl Known for App {
    fn goes_on(&self) -> bool {
        false
    }

    async fn resets(&self) -> Result<Vec<Reset>, Failure> {
        Ok(self.engine.resets().await?)
    }

    async fn etas(&self, resets: &[Reset]) -> Result<BTreeMap<ResetId, Eta>, Failure> {
        let mut etas = BTreeMap::new();
        for reset in resets.iter().filter(|reset| reset.status == ResetStatus::Running) {
            if let Some(eta) = self.engine.eta(&reset.id).await? {
                etas.insert(reset.id.clone(), eta);
            }
        }
        Ok(etas)
    }

    async fn rotations(&self, id: &ResetId) -> Result<Vec<RotationRecord>, Failure> {
        Ok(self.engine.rotations(id).await?)
    }

    async fn not_contained(&self, reset: &Reset) -> Result<Vec<Ref>, Failure> {
        Ok(self.engine.not_contained(reset).await?)
    }

    async fn parked(&self, id: Option<&ResetId>) -> Result<Vec<Parked>, Failure> {
        Ok(self.engine.parked(id).await?)
    }

    async fn findings(&self, id: Option<&ResetId>) -> Result<Vec<Finding>, Failure> {
        Ok(self.engine.findings(id).await?)
    }

    async fn tasks(&self, id: Option<&ResetId>) -> Result<Vec<TaskRecord>, Failure> {
        Ok(self.engine.tasks(id).await?)
    }

    async fn exceptions(&self) -> Result<(Vec<Exception>, Vec<(ResetId, Ref)>), Failure> {
        Ok(self.engine.left_out().await?)
    }

    async fn days(&self) -> Result<Vec<Day>, Failure> {
        days(&*self.engine.store).await.map_err(|error| Failure::new(Exit::Failed, error))
    }

    async fn credentials(&self) -> Result<BTreeMap<Ref, Credential>, Failure> {
        let estate = self.engine.active_estate().await?.unwrap_or_default();
        Ok(estate.credentials.clone())
    }
}
