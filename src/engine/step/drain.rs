//! Drain: what the old version signed lives out its time before the version is retired.

use std::sync::Arc;
use std::time::Duration;

use remint_core::machine::Done;
use remint_core::step::Step;

use crate::engine::EngineError;
use crate::engine::effect::{Stop, Task};
use crate::engine::record::{RotationRecord, read};

/// Waits until the longest life of what the old version signed is over, counted from the end of the step before: a crash
/// does not begin it anew.
pub(super) async fn drain(task: &mut Task) -> Result<Done, Stop> {
    let run = Arc::clone(&task.run);
    let begets = run.document(&task.credential())?.begets;
    let longest = [begets.sessions, begets.tokens, begets.leases].into_iter().flatten().max();
    let since = since(task).await?.unwrap_or_else(|| run.context.clock.now());
    let passed = Duration::try_from(run.context.clock.now().duration_since(since)).unwrap_or_default();
    run.context.clock.sleep(longest.unwrap_or_default().saturating_sub(passed)).await;
    Ok(Done::Plain { step: Step::Drain })
}

/// When this rotation began to wait for this step.
async fn since(task: &Task) -> Result<Option<jiff::Timestamp>, Stop> {
    let key = RotationRecord::key_of(&task.run.id, task.index);
    let record = task.run.store.get(&key).await.map_err(EngineError::from)?;
    let record: Option<RotationRecord> = record.map(read).transpose().map_err(EngineError::from)?;
    Ok(record.map(|record| record.since))
}
