//! Rotation windows: when they open, and what persons approved for them in advance.

use std::sync::Arc;

use axum::extract::{Path, State};
use axum::http::StatusCode;
use axum::{Extension, Json};
use jiff::Timestamp;
use remint_contract::Ref;
use remint_core::gate::Action;
use serde::Deserialize;
use serde_json::{Value, json};

use crate::engine::standing::Standing;
use crate::engine::upcoming::Upcoming;
use crate::govern::{About, Passed, window};
use crate::serve::api::Api;
use crate::serve::api::body::{Body, reason};
use crate::serve::api::problem::Problem;
use crate::serve::api::signed::{self, Yes};

/// When each opens next, and what is due then.
pub(super) async fn list(State(api): State<Arc<Api>>) -> Result<Json<Vec<Upcoming>>, Problem> {
    Ok(Json(api.app.engine.upcoming().await?))
}

pub(super) async fn show(State(api): State<Arc<Api>>, Path(id): Path<String>) -> Result<Json<Standing>, Problem> {
    Ok(Json(api.app.engine.standing(&id).await?.0))
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Ask {
    window: Ref,
    until: Timestamp,
}

/// Asks that a window may replace what it selects, as the plan in the answer shows it.
pub(super) async fn ask(
    State(api): State<Arc<Api>>,
    Extension(passed): Extension<Passed>,
    Body(asked): Body<Ask>,
) -> Result<(StatusCode, Json<Value>), Problem> {
    let engine = &api.app.engine;
    let party = passed.party().cloned().ok_or_else(alone)?;
    let resource = window(engine, &asked.window.to_string()).await?;
    api.app.gate.pass(passed.caller(), &api.by, Action::Request, &resource).await?;
    let (standing, plan) = engine.stand(&asked.window, asked.until, &passed.by, party).await?;
    Ok((StatusCode::CREATED, Json(json!({ "standing": standing, "plan": plan }))))
}

fn alone() -> Problem {
    Problem::invalid("this state has one operator: its windows open on his word")
}

/// A yes to exactly one of them.
pub(super) async fn approve(
    State(api): State<Arc<Api>>,
    Extension(passed): Extension<Passed>,
    Path(id): Path<String>,
    Body(yes): Body<Yes>,
) -> Result<Json<Value>, Problem> {
    let known = api.app.engine.standing(&id).await?.0;
    let (what, digest, file) = (format!("standing {id}"), known.asked.digest(), known.asked.file());
    let signature = signed::of_record(&api, &passed, &About { what: &what, digest, file: &file }, &yes).await?;
    let (standing, lacks) = api.app.engine.sign_standing(&id, digest, &signature).await?;
    Ok(Json(json!({ "standing": standing, "lacks": lacks, "by": passed.by })))
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct End {
    reason: String,
}

/// Ends one: the next opening finds nothing.
pub(super) async fn end(
    State(api): State<Arc<Api>>,
    Extension(passed): Extension<Passed>,
    Path(id): Path<String>,
    Body(asked): Body<End>,
) -> Result<Json<Standing>, Problem> {
    let why = reason(&asked.reason)?;
    Ok(Json(api.app.engine.end_standing(&id, &passed.by, why).await?))
}
