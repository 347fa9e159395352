//! Watching what a daemon carries on, and how it ended.

use remint_contract::ResetId;
use serde_json::json;

use super::Daemon;
use crate::cli::exit::of_reset;
use crate::cli::known::Known as _;
use crate::cli::output::{json, watched};
use crate::cli::records::rotations;
use crate::cli::reset::{Carry, summary};
use crate::cli::{Exit, Failure};
use crate::engine::Progress;
use crate::engine::record::ResetStatus;
use crate::watch::Watch;

impl Daemon<'_> {
    /// Stays while the daemon carries it on, and says how it ended.
    pub(super) async fn carried(&self, id: &ResetId, carry: &Carry) -> Result<Exit, Failure> {
        let (feed, told) = tokio::sync::broadcast::channel(FED);
        let watch = (carry.watch || watched()).then(|| Watch::of(told, id));
        loop {
            let mut events = self.server.events(&format!("/v1/resets/{id}/events")).await?;
            while let Some((name, data)) = events.next().await {
                if name == "progress"
                    && let Ok(progress) = serde_json::from_str::<Progress>(&data)
                {
                    // Nobody watches: then nobody misses it.
                    let _ = feed.send(progress);
                }
            }
            let one = self.one(id).await?;
            let waits = carry.wait && one.reset.status == ResetStatus::Provisional;
            if one.busy || waits || one.reset.status == ResetStatus::Running {
                self.session.context.clock.sleep(AGAIN).await;
                continue;
            }
            break;
        }
        if let Some(watch) = watch {
            watch.end().await;
        }
        let one = self.one(id).await?;
        let reset = self.planned(one.reset).await?;
        if self.session.json() {
            json(&json!({
                "reset": id.0, "status": reset.status, "due": reset.reproofs,
                "rotations": rotations(self, Some(id)).await?,
            }))?;
        } else {
            summary(self, &reset).await?;
        }
        if reset.status == ResetStatus::Provisional && self.goes_on() {
            return Ok(Exit::Done);
        }
        Ok(of_reset(reset.status, one.rotations.iter().map(|record| &record.rotation)))
    }
}

/// Events that a slow terminal may be behind.
const FED: usize = 4096;
/// Before it is looked again at what ended without an end.
const AGAIN: std::time::Duration = std::time::Duration::from_millis(200);
