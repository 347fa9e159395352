//! The estate: what is active, what waits to be, and why the folder is not taken.

use std::sync::Arc;

use axum::extract::State;
use axum::{Extension, Json};
use remint_core::digest::Digest;
use serde::Deserialize;
use serde_json::{Value, json};

use crate::govern::Passed;
use crate::serve::api::Api;
use crate::serve::api::body::Body;
use crate::serve::api::problem::Problem;
use crate::serve::folder::Look;

/// How things stand, from a look of now.
pub(super) async fn show(State(api): State<Arc<Api>>) -> Result<Json<Value>, Problem> {
    api.folder.look(Look::IfChanged).await?;
    let standing = api.folder.standing();
    let positions = |problems: &[remint_core::estate::Problem]| {
        problems.iter().map(|problem| json!({ "text": problem.to_string(), "problem": problem })).collect::<Vec<_>>()
    };
    Ok(Json(json!({
        "active": standing.active,
        "staged": standing.staged.as_ref().map(|staged| staged.digest),
        "changes": standing.staged.as_ref().map(|staged| &staged.diff),
        "diff": standing.staged.as_ref().map(|staged| staged.diff.to_string()),
        "problems": positions(&standing.problems),
        "notes": positions(&standing.notes),
    })))
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Activate {
    /// Of the staged estate that somebody looked at.
    digest: Digest,
}

pub(super) async fn activate(
    State(api): State<Arc<Api>>,
    Extension(passed): Extension<Passed>,
    Body(asked): Body<Activate>,
) -> Result<Json<Value>, Problem> {
    let active = if api.app.gate.governed() {
        api.folder.activate_by(asked.digest, &passed).await?
    } else {
        api.folder.activate(asked.digest, &passed.by).await?
    };
    Ok(Json(json!({ "active": active })))
}
