//! Exceptions: what is left as it is for a while, asked for, signed, and ended.

use std::sync::Arc;

use axum::extract::{Path, State};
use axum::http::StatusCode;
use axum::{Extension, Json};
use jiff::Timestamp;
use remint_contract::Ref;
use remint_core::gate::Action;
use serde::Deserialize;
use serde_json::{Value, json};

use crate::engine::exceptions::Exception;
use crate::govern::{About, Passed, credential};
use crate::serve::api::Api;
use crate::serve::api::body::{Body, reason};
use crate::serve::api::problem::Problem;
use crate::serve::api::signed::{self, Yes};

/// Every one, and what resets left out on one word alone.
pub(super) async fn list(State(api): State<Arc<Api>>) -> Result<Json<Value>, Problem> {
    let (exceptions, alone) = api.app.engine.left_out().await?;
    Ok(Json(json!({ "exceptions": exceptions, "alone": alone })))
}

pub(super) async fn show(State(api): State<Arc<Api>>, Path(id): Path<String>) -> Result<Json<Exception>, Problem> {
    Ok(Json(api.app.engine.exception(&id).await?.0))
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Ask {
    credential: Ref,
    /// Who answers for it until the end.
    owner: String,
    until: Timestamp,
    reason: String,
}

/// Asks for one. Where somebody governs, it holds when the persons that it takes have signed it.
pub(super) async fn ask(
    State(api): State<Arc<Api>>,
    Extension(passed): Extension<Passed>,
    Body(asked): Body<Ask>,
) -> Result<(StatusCode, Json<Exception>), Problem> {
    let engine = &api.app.engine;
    let (why, by) = (reason(&asked.reason)?, passed.by.clone());
    may_skip(&api, &passed, &asked.credential).await?;
    let party = passed.party().cloned();
    let exception = engine.except(&asked.credential, &asked.owner, asked.until, why, &by, party).await?;
    tracing::info!(exception = exception.asked.id, credential = %asked.credential, by, "an exception was asked for");
    Ok((StatusCode::CREATED, Json(exception)))
}

/// The gate has seen the request; which credential it is about is in its body.
async fn may_skip(api: &Api, passed: &Passed, name: &Ref) -> Result<(), Problem> {
    if api.app.gate.governed() {
        let resource = credential(&api.app.engine, &name.to_string()).await?;
        api.app.gate.pass(passed.caller(), &api.by, Action::Skip, &resource).await?;
    }
    Ok(())
}

/// A yes to exactly one of them.
pub(super) async fn approve(
    State(api): State<Arc<Api>>,
    Extension(passed): Extension<Passed>,
    Path(id): Path<String>,
    Body(yes): Body<Yes>,
) -> Result<Json<Value>, Problem> {
    let known = api.app.engine.exception(&id).await?.0;
    let (what, digest, file) = (format!("exception {id}"), known.asked.digest(), known.asked.file());
    let signature = signed::of_record(&api, &passed, &About { what: &what, digest, file: &file }, &yes).await?;
    let (exception, lacks) = api.app.engine.sign_exception(&id, digest, &signature).await?;
    Ok(Json(json!({ "exception": exception, "lacks": lacks, "by": passed.by })))
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct End {
    credential: Ref,
    reason: String,
}

/// Ends what holds or waits of a credential before its time.
pub(super) async fn end(
    State(api): State<Arc<Api>>,
    Extension(passed): Extension<Passed>,
    Body(asked): Body<End>,
) -> Result<Json<Value>, Problem> {
    let why = reason(&asked.reason)?;
    may_skip(&api, &passed, &asked.credential).await?;
    let ended = api.app.engine.end_exception(&asked.credential, &passed.by, why).await?;
    Ok(Json(json!({ "ended": ended })))
}
