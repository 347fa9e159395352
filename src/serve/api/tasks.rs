//! What only people can do, and their word that it is done.

use std::sync::Arc;

use axum::extract::{Path, State};
use axum::http::Uri;
use axum::response::Response;
use axum::{Extension, Json};
use serde::Deserialize;

use crate::engine::EngineError;
use crate::engine::record::{TaskRecord, kind};
use crate::govern::Passed;
use crate::serve::api::Api;
use crate::serve::api::body::{Body, reason};
use crate::serve::api::page::page;
use crate::serve::api::problem::Problem;

pub(super) async fn list(State(api): State<Arc<Api>>, uri: Uri) -> Result<Response, Problem> {
    page(&uri, api.app.engine.tasks(None).await?, |task| task.id.clone(), |task| task)
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Attest {
    /// What was done, and how that is known.
    words: String,
}

pub(super) async fn attest(
    State(api): State<Arc<Api>>,
    Extension(passed): Extension<Passed>,
    Path(id): Path<String>,
    Body(asked): Body<Attest>,
) -> Result<Json<TaskRecord>, Problem> {
    let (engine, words) = (&api.app.engine, reason(&asked.words)?);
    let reset = engine.tasks(None).await?.into_iter().find(|task| task.id == id).map(|task| task.reset);
    let reset = reset.ok_or_else(|| EngineError::NoRecord { kind: kind::TASK, id: id.clone() })?;
    let task = api.desk.act(&reset, || engine.attest(&id, &passed.by, words)).await?;
    tracing::info!(reset = %task.reset, task = id, by = passed.by, "a task was attested");
    Ok(Json(task))
}
