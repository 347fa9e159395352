//! What nobody here knows at an issuer, and what people decide about it.

use std::sync::Arc;

use axum::extract::{Path, State};
use axum::http::Uri;
use axum::response::Response;
use axum::{Extension, Json};
use serde::Deserialize;

use crate::engine::EngineError;
use crate::engine::record::{DecisionWord, Finding, kind};
use crate::govern::Passed;
use crate::serve::api::Api;
use crate::serve::api::body::{Body, reason};
use crate::serve::api::page::page;
use crate::serve::api::problem::Problem;

pub(super) async fn list(State(api): State<Arc<Api>>, uri: Uri) -> Result<Response, Problem> {
    page(&uri, api.app.engine.findings(None).await?, |finding| finding.id.clone(), |finding| finding)
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
    Extension(passed): Extension<Passed>,
    Path(id): Path<String>,
    Body(asked): Body<Decide>,
) -> Result<Json<Finding>, Problem> {
    let (engine, why) = (&api.app.engine, reason(&asked.reason)?);
    let reset = engine.findings(None).await?.into_iter().find(|finding| finding.id == id).map(|finding| finding.reset);
    let reset = reset.ok_or_else(|| EngineError::NoRecord { kind: kind::FINDING, id: id.clone() })?;
    let decide = || async {
        let finding = engine.decide(&id, asked.decision, &passed.by, why).await?;
        // A stranger that belongs to no credential holds up the reset, not one of its rotations.
        if let Some(credential) = &finding.credential {
            engine.retry(&finding.reset, Some(credential)).await?;
        }
        Ok(finding)
    };
    let finding = api.desk.act(&reset, decide).await?;
    tracing::info!(reset = %finding.reset, finding = id, decision = ?asked.decision, by = passed.by, "a finding was decided");
    Ok(Json(finding))
}
