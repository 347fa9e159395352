//! What nobody here knows at an issuer, and what people decide about it.

use std::sync::Arc;

use axum::Json;
use axum::extract::{Path, State};
use serde::Deserialize;

use crate::engine::record::{DecisionWord, Finding};
use crate::serve::api::Api;
use crate::serve::api::body::{Body, reason};
use crate::serve::api::problem::Problem;

pub(super) async fn list(State(api): State<Arc<Api>>) -> Result<Json<Vec<Finding>>, Problem> {
    Ok(Json(api.app.engine.findings(None).await?))
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Decide {
    decision: DecisionWord,
    reason: String,
}

/// Decides, and lets what was parked for it go on.
pub(super) async fn decide(
    State(api): State<Arc<Api>>,
    Path(id): Path<String>,
    Body(asked): Body<Decide>,
) -> Result<Json<Finding>, Problem> {
    let engine = &api.app.engine;
    let finding = engine.decide(&id, asked.decision, &api.by, reason(&asked.reason)?).await?;
    let _ring = api.desk.ring(&finding.reset);
    // A stranger that belongs to no credential holds up the reset, not one of its rotations.
    if let Some(credential) = &finding.credential {
        engine.retry(&finding.reset, Some(credential)).await?;
    }
    tracing::info!(reset = %finding.reset, finding = id, decision = ?asked.decision, by = api.by, "a finding was decided");
    Ok(Json(finding))
}
