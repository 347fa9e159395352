//! Who read what.

use std::sync::Arc;

use axum::Json;
use axum::extract::State;

use crate::engine::EngineError;
use crate::privacy::reads::{Day, days};
use crate::serve::api::Api;
use crate::serve::api::problem::Problem;

/// Every day that is known; what was read in the last minute may not be in it yet.
pub(super) async fn list(State(api): State<Arc<Api>>) -> Result<Json<Vec<Day>>, Problem> {
    Ok(Json(days(&*api.app.engine.store).await.map_err(EngineError::Store)?))
}
