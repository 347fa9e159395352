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

/// The providers whose tokens are taken, and what they have to be for.
pub(super) async fn login(State(api): State<Arc<Api>>) -> Json<Value> {
    let issuers = api.guard.identities().issuers();
    let issuers = issuers.map(|issuer| json!({ "issuer": issuer.name(), "client": issuer.audience() }));
    Json(json!({ "issuers": issuers.collect::<Vec<_>>() }))
}
