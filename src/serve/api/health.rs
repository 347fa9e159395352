//! Is it there, and can it work? Neither answer says anything about the estate.

use std::sync::Arc;

use axum::Json;
use axum::extract::State;
use axum::http::StatusCode;
use serde_json::{Value, json};

use crate::serve::api::Api;
use crate::serve::api::problem::Problem;

/// The process answers.
pub(super) async fn live() -> Json<Value> {
    Json(json!({ "live": true }))
}

/// The state can be read, and an estate is active.
pub(super) async fn ready(State(api): State<Arc<Api>>) -> Result<Json<Value>, Problem> {
    match api.app.engine.active_digest().await {
        Ok(Some(_)) => Ok(Json(json!({ "ready": true }))),
        Ok(None) => Err(Problem::new(StatusCode::SERVICE_UNAVAILABLE, "not-ready", "no estate is active")),
        Err(_) => Err(Problem::new(StatusCode::SERVICE_UNAVAILABLE, "not-ready", "the state cannot be read")),
    }
}
