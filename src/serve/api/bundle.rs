//! The evidence of one reset, as an auditor takes it away.

use std::sync::Arc;

use axum::extract::{Path, State};
use axum::http::header;
use axum::response::{IntoResponse as _, Response};
use remint_contract::ResetId;

use crate::app::AppError;
use crate::engine::EngineError;
use crate::engine::reset::plan_bytes;
use crate::evidence::export::{ExportError, export};
use crate::serve::api::Api;
use crate::serve::api::problem::Problem;

/// The bundle, packed into one file.
pub(super) async fn show(State(api): State<Arc<Api>>, Path(id): Path<String>) -> Result<Response, Problem> {
    let id = ResetId(id);
    api.app.sequencer.flush().await.map_err(AppError::from)?;
    let engine = &api.app.engine;
    let plan = plan_bytes(&engine.reset(&id).await?.plan);
    let archive = export(&*engine.store, &id, &plan, &*api.app.key).await.map_err(|error| match error {
        ExportError::Unknown(_) | ExportError::Unplaced { .. } | ExportError::Moved => {
            Problem::from(EngineError::Refused(error.to_string()))
        }
        error => Problem::ours(&error),
    })?;
    let name = format!("attachment; filename=\"{id}.bundle\"");
    let headers = [(header::CONTENT_TYPE, "application/octet-stream".to_owned()), (header::CONTENT_DISPOSITION, name)];
    Ok((headers, archive).into_response())
}

/// The entries of one reset, each as it is in the tree.
pub(super) async fn entries(
    State(api): State<Arc<Api>>,
    Path(id): Path<String>,
) -> Result<axum::Json<Vec<serde_json::Value>>, Problem> {
    let (engine, id) = (&api.app.engine, ResetId(id));
    engine.reset(&id).await?;
    let stored = engine.store.entries_of(&id).await.map_err(EngineError::Store)?;
    Ok(axum::Json(crate::evidence::told(&stored).map_err(|error| Problem::ours(&error))?))
}
