//! Plans that nothing is asked for by: what a reset would do, from the active estate.

use std::sync::Arc;

use axum::extract::State;
use axum::{Extension, Json};
use remint_core::plan::{Plan, Refusal};

use crate::engine::EngineError;
use crate::evidence::acts::{self, Act};
use crate::govern::Passed;
use crate::serve::api::Api;
use crate::serve::api::body::Body;
use crate::serve::api::problem::Problem;
use crate::serve::plan::{NoPlan, Scope};
use crate::serve::request::NotAsked;

/// Plans, and records that somebody did.
pub(super) async fn plan(
    State(api): State<Arc<Api>>,
    Extension(passed): Extension<Passed>,
    Body(scope): Body<Scope>,
) -> Result<Json<Plan>, Problem> {
    let engine = &api.app.engine;
    let estate = engine.active_estate().await?.ok_or(NotAsked::NoEstate)?;
    let plan = scope.plan(engine, &estate).await.map_err(refused)?;
    let act = Act::Planned { plan: &plan, by: &passed.by };
    acts::record(&*engine.store, &engine.context, act).await.map_err(EngineError::from)?;
    Ok(Json(plan))
}

/// A word that is none of the estate's is who asks' mistake, as it is alone.
fn refused(error: NoPlan) -> Problem {
    match &error {
        NoPlan::Refused(why) if why.iter().all(|one| matches!(one, Refusal::UnknownStart(_))) => {
            Problem::invalid(error.to_string())
        }
        _ => error.into(),
    }
}
