//! Leases: consumers fetch them by themselves, so that a lease of Remint's own stands for all in the proof.

use std::sync::Arc;

use remint_core::machine::Version;

use crate::engine::effect::{Stop, Task};
use crate::engine::step::mint::{make, park};

/// Takes a lease of the generation in use, as a consumer would: accepted now, it must be refused later.
pub(super) async fn sample(task: &mut Task) -> Result<Version, Stop> {
    make(task, "sample", None).await
}

/// The sample as it is tried.
pub(super) async fn value(task: &mut Task) -> Result<remint_contract::Material, Stop> {
    let run = Arc::clone(&task.run);
    let sample = sample(task).await?;
    run.material(&sample).await?.ok_or_else(|| park("the sample of the leases is not in escrow any more"))
}
