//! The things of a state as policies see them.

use remint_contract::ResetId;
use remint_core::gate::{Resource, Scope};

use crate::engine::{Engine, EngineError};

/// A reset: what waits for approval of it where something does, else its plan.
///
/// # Errors
/// It is not there, or its plan or estate is not.
pub async fn reset(engine: &Engine, id: &ResetId) -> Result<Resource, EngineError> {
    let known = engine.reset(id).await?;
    let estate = engine.estate(&known.plan.estate.to_string()).await?;
    let requester = known.case.as_ref().and_then(|case| case.requester.person().cloned());
    let plan = known.revision.as_ref().map_or(&*known.plan, |revision| &revision.plan);
    Ok(Resource::Reset(Scope::of_plan(&id.0, plan, &estate, requester)))
}
