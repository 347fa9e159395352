//! Resets: asked for, approved or rejected, moved on, and how they stand.

use std::collections::BTreeMap;
use std::sync::Arc;

use axum::extract::{Path, State};
use axum::http::{StatusCode, Uri, header};
use axum::response::{IntoResponse as _, Response};
use axum::{Extension, Json};
use jiff::Timestamp;
use remint_contract::{Ref, ResetId};
use remint_core::plan::{Selector, SelectorError};
use serde::Deserialize;
use serde_json::{Value, json};

use crate::engine::EngineError;
use crate::engine::emergency::Broken;
use crate::engine::escalate::Escalation;
use crate::engine::parked::Parked;
use crate::engine::record::{Reset, ResetStatus};
use crate::govern::Passed;
use crate::serve::api::Api;
use crate::serve::api::body::{Body, Nothing, reason};
use crate::serve::api::page::page;
use crate::serve::api::problem::Problem;
use crate::serve::api::signed::{self, Yes};
use crate::serve::plan::Scope;
use crate::serve::request::{Asking, Way, request};

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "camelCase")]
pub(super) struct Ask {
    /// Stamped by who asks: the same id runs once, for ever.
    request_id: String,
    from: Vec<String>,
    #[serde(default)]
    contain: Option<String>,
    #[serde(default)]
    except: Vec<String>,
    #[serde(default)]
    clean: Vec<String>,
    #[serde(default)]
    deadline: Option<Timestamp>,
    /// How many may park before no further wave starts.
    #[serde(default)]
    failure_budget: usize,
    /// Since when the attacker may have what he has; now, when nothing is said.
    #[serde(default)]
    exposed_at: Option<Timestamp>,
    /// Nothing is stolen: it queues behind every incident, and an incident takes over what it began.
    #[serde(default)]
    drill: bool,
    reason: String,
    /// Approve the plan unseen.
    #[serde(default)]
    approve: bool,
    /// Privileged credentials are replaced too, on nobody's word but this.
    #[serde(default)]
    privileged: bool,
    /// Start now, on this person's word alone: everybody is told, and another person has to review it.
    #[serde(default)]
    break_glass: bool,
}

/// Plans from the active estate, records the request, and starts it when it is approved.
pub(super) async fn ask(
    State(api): State<Arc<Api>>,
    Extension(passed): Extension<Passed>,
    Body(asked): Body<Ask>,
) -> Result<Response, Problem> {
    let engine = &api.app.engine;
    let id = request_id(asked.request_id)?;
    let scope = Scope {
        from: asked.from,
        contain: asked.contain,
        except: asked.except,
        clean: asked.clean,
        deadline: asked.deadline,
        failure_budget: asked.failure_budget,
        ..Scope::default()
    };
    let asking = Asking {
        id: id.clone(),
        scope,
        reason: reason(&asked.reason)?.to_owned(),
        drill: asked.drill,
        exposed_at: asked.exposed_at,
        privileged: asked.privileged,
        at: engine.context.clock.now(),
        way: if asked.break_glass { Way::BreakGlass } else { Way::Asked },
    };
    let governed = api.app.gate.governed();
    let mut reset = request(&api.app, &api.by, &passed, asking).await?;
    if asked.break_glass {
        api.desk.put(&id);
    }
    // Where persons sign, nobody signs in the breath that he asks in.
    if asked.approve && !governed {
        reset = api.desk.act(&id, || engine.approve(&id, &passed.by)).await?;
    }
    tracing::info!(reset = %id, by = passed.by, plan = %reset.plan.digest, approved = asked.approve, "a reset was asked for");
    let place = format!("/v1/resets/{id}");
    let Json(mut shown) = brief(&reset);
    shown["governed"] = json!(governed);
    shown["broken"] = json!(asked.break_glass);
    Ok((StatusCode::ACCEPTED, [(header::LOCATION, place)], Json(shown)).into_response())
}

pub(super) async fn list(State(api): State<Arc<Api>>, uri: Uri) -> Result<Response, Problem> {
    let resets = api.app.engine.resets().await?;
    page(&uri, resets, |reset| reset.id.0.clone(), |reset| outline(&reset))
}

/// One reset, with how many rotations stand where.
pub(super) async fn show(State(api): State<Arc<Api>>, Path(id): Path<String>) -> Result<Json<Value>, Problem> {
    let (engine, id) = (&api.app.engine, ResetId(id));
    let reset = engine.reset(&id).await?;
    let mut counts: BTreeMap<&'static str, usize> = BTreeMap::new();
    let rotations = engine.rotations(&id).await?;
    for record in &rotations {
        *counts.entry(record.rotation.state.name()).or_default() += 1;
    }
    let mut shown = outline(&reset);
    shown["rotations"] = json!(counts);
    if matches!(reset.status, ResetStatus::Running) {
        shown["eta"] = json!(engine.eta(&id).await?);
    }
    shown["approval"] = json!(reset.approval);
    shown["dirty"] = json!(reset.plan.dirty.difference(&reset.cleaned).collect::<Vec<_>>());
    shown["exposedAt"] = json!(reset.exposed_at.unwrap_or(reset.requested_at));
    shown["urgency"] = json!(reset.urgency);
    shown["cuts"] = json!(reset.plan.cuts.len());
    shown["exceptions"] = json!(reset.plan.exceptions);
    Ok(Json(shown))
}

pub(super) async fn approve(
    State(api): State<Arc<Api>>,
    Extension(passed): Extension<Passed>,
    Path(id): Path<String>,
    Body(asked): Body<Yes>,
) -> Result<Json<Value>, Problem> {
    let (engine, id) = (&api.app.engine, ResetId(id));
    let (plan, file) = engine.reset(&id).await?.waits();
    if let Some(approved) = asked.plan.filter(|approved| *approved != plan) {
        let (approved, plan) = (approved.to_string(), plan.to_string());
        return Err(EngineError::OtherPlan { id, approved, plan }.into());
    }
    if let Some(signature) = signed::of_reset(&api, &passed, &id, &file, &asked).await? {
        let signed = api.desk.act(&id, || engine.sign(&id, plan, signature.clone())).await?;
        tracing::info!(reset = %id, by = passed.by, %plan, "a plan was signed");
        let Json(mut shown) = brief(&signed.reset);
        shown["lacks"] = json!(signed.lacks);
        shown["by"] = json!(passed.by);
        return Ok(Json(shown));
    }
    let reset = api.desk.act(&id, || engine.approve(&id, &passed.by)).await?;
    tracing::info!(reset = %id, by = passed.by, %plan, "a reset was approved");
    Ok(brief(&reset))
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Reject {
    reason: String,
}

pub(super) async fn reject(
    State(api): State<Arc<Api>>,
    Extension(passed): Extension<Passed>,
    Path(id): Path<String>,
    Body(asked): Body<Reject>,
) -> Result<Json<Value>, Problem> {
    let (engine, id, why) = (&api.app.engine, ResetId(id), reason(&asked.reason)?);
    let reset = api.desk.act(&id, || engine.reject(&id, &passed.by, why)).await?;
    Ok(brief(&reset))
}

/// Takes back what somebody signed.
pub(super) async fn withdraw(
    State(api): State<Arc<Api>>,
    Extension(passed): Extension<Passed>,
    Path(id): Path<String>,
    Body(asked): Body<Reject>,
) -> Result<Json<Value>, Problem> {
    let (engine, id, why) = (&api.app.engine, ResetId(id), reason(&asked.reason)?);
    let party = passed.party().ok_or_else(|| Problem::invalid("this state has one operator, who signs nothing"))?;
    let reset = api.desk.act(&id, || engine.withdraw(&id, party, why)).await?;
    Ok(brief(&reset))
}

/// What somebody else found in a reset for which the glass was broken.
pub(super) async fn review(
    State(api): State<Arc<Api>>,
    Extension(passed): Extension<Passed>,
    Path(id): Path<String>,
    Body(asked): Body<Reject>,
) -> Result<Json<Broken>, Problem> {
    let (id, why) = (ResetId(id), reason(&asked.reason)?);
    let party = passed.party().ok_or_else(|| Problem::invalid("this state has one operator, who breaks no glass"))?;
    let broken = api.desk.act(&id, || api.app.engine.review(&id, party, why)).await?;
    Ok(Json(broken))
}

/// Starts what has all it takes: one that waited for a cool-down.
pub(super) async fn execute(
    State(api): State<Arc<Api>>,
    Path(id): Path<String>,
    _: Body<Nothing>,
) -> Result<Json<Value>, Problem> {
    let (engine, id) = (&api.app.engine, ResetId(id));
    let reset = api.desk.act(&id, || engine.begin(&id)).await?;
    Ok(brief(&reset))
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Retry {
    /// Only this credential.
    #[serde(default)]
    only: Option<Ref>,
}

pub(super) async fn retry(
    State(api): State<Arc<Api>>,
    Path(id): Path<String>,
    Body(asked): Body<Retry>,
) -> Result<Json<Value>, Problem> {
    let (engine, id) = (&api.app.engine, ResetId(id));
    let moved = api.desk.act(&id, || engine.retry(&id, asked.only.as_ref())).await?;
    let forward = api.desk.act(&id, || engine.forward(&id, asked.only.as_ref())).await?;
    Ok(Json(json!({ "reset": id, "moved": moved.max(forward) })))
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Rollback {
    /// Only this credential.
    #[serde(default)]
    only: Option<Ref>,
    reason: String,
}

/// Goes back to the old value with what is parked before that was stopped.
pub(super) async fn rollback(
    State(api): State<Arc<Api>>,
    Extension(passed): Extension<Passed>,
    Path(id): Path<String>,
    Body(asked): Body<Rollback>,
) -> Result<Json<Value>, Problem> {
    let (engine, id, why) = (&api.app.engine, ResetId(id), reason(&asked.reason)?);
    let back = api.desk.act(&id, || engine.rollback(&id, asked.only.as_ref(), &passed.by, why)).await?;
    tracing::info!(reset = %id, by = passed.by, credentials = back.len(), "a rollback was asked for");
    Ok(Json(json!({ "reset": id, "back": back })))
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Escalate {
    /// Stop these first and replace them after.
    #[serde(default)]
    contain: Option<String>,
    /// Replace these first and stop them after, as far as they are not stopped yet.
    #[serde(default)]
    roll: Option<String>,
    reason: String,
}

/// Asks for a revision of the plan, which waits for approval; the plan goes on until then.
pub(super) async fn escalate(
    State(api): State<Arc<Api>>,
    Extension(passed): Extension<Passed>,
    Path(id): Path<String>,
    Body(asked): Body<Escalate>,
) -> Result<Json<Value>, Problem> {
    let (engine, id) = (&api.app.engine, ResetId(id));
    let selector = |text: Option<String>| -> Result<Option<Selector>, Problem> {
        text.map(|text| text.parse()).transpose().map_err(|error: SelectorError| Problem::invalid(error.to_string()))
    };
    if asked.contain.is_none() && asked.roll.is_none() {
        return Err(Problem::invalid("contain or roll: one of them says what is to go otherwise"));
    }
    let escalation = Escalation {
        contain: selector(asked.contain)?,
        roll: selector(asked.roll)?,
        reason: reason(&asked.reason)?.to_owned(),
        by: passed.by.clone(),
    };
    let (reset, delta) = api.desk.act(&id, || engine.escalate(&id, escalation.clone())).await?;
    let revision = reset.revision.as_ref().map(|revision| revision.plan.digest);
    Ok(Json(json!({ "reset": id, "parent": reset.plan.digest, "revision": revision, "delta": delta })))
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Stand {
    reason: String,
    /// Contained credentials stand still, too.
    #[serde(default)]
    all: bool,
}

/// Begins no further step of it until it is resumed.
pub(super) async fn pause(
    State(api): State<Arc<Api>>,
    Extension(passed): Extension<Passed>,
    Path(id): Path<String>,
    Body(asked): Body<Stand>,
) -> Result<Json<Value>, Problem> {
    let (engine, id, why) = (&api.app.engine, ResetId(id), reason(&asked.reason)?);
    let reset = api.desk.act(&id, || engine.pause(&id, asked.all, &passed.by, why)).await?;
    Ok(brief(&reset))
}

pub(super) async fn resume(
    State(api): State<Arc<Api>>,
    Extension(passed): Extension<Passed>,
    Path(id): Path<String>,
    Body(asked): Body<Reject>,
) -> Result<Json<Value>, Problem> {
    let (engine, id, why) = (&api.app.engine, ResetId(id), reason(&asked.reason)?);
    let reset = api.desk.act(&id, || engine.resume(&id, &passed.by, why)).await?;
    Ok(brief(&reset))
}

/// Stops it for good, where that is safe.
pub(super) async fn abort(
    State(api): State<Arc<Api>>,
    Extension(passed): Extension<Passed>,
    Path(id): Path<String>,
    Body(asked): Body<Reject>,
) -> Result<Json<Value>, Problem> {
    let (engine, id, why) = (&api.app.engine, ResetId(id), reason(&asked.reason)?);
    let reset = api.desk.act(&id, || engine.abort(&id, &passed.by, why)).await?;
    Ok(brief(&reset))
}

/// Everything that rests without being settled, with what moves it on.
pub(super) async fn parked(State(api): State<Arc<Api>>, Path(id): Path<String>) -> Result<Json<Vec<Parked>>, Problem> {
    let (engine, id) = (&api.app.engine, ResetId(id));
    engine.reset(&id).await?;
    Ok(Json(engine.parked(Some(&id)).await?))
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Clean {
    reset: ResetId,
    node: Ref,
    reason: String,
}

/// A dirty node was rebuilt, isolated or cut off.
pub(super) async fn clean(
    State(api): State<Arc<Api>>,
    Extension(passed): Extension<Passed>,
    Body(asked): Body<Clean>,
) -> Result<Json<Value>, Problem> {
    let (engine, why) = (&api.app.engine, reason(&asked.reason)?);
    let act = || engine.clean(&asked.reset, &asked.node, &passed.by, why);
    let reset = api.desk.act(&asked.reset, act).await?;
    tracing::info!(reset = %asked.reset, node = %asked.node, by = passed.by, "a node is clean");
    Ok(brief(&reset))
}

/// An id that can stand in an address, a file name and a table.
fn request_id(text: String) -> Result<ResetId, Problem> {
    let letters = |byte: u8| byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'_' | b'.');
    if text.is_empty() || text.len() > 64 || !text.bytes().all(letters) || text.starts_with(['.', '-']) {
        let detail = "requestId: 1 to 64 letters, digits, `-`, `_` and `.`, beginning with a letter, a digit or `_`";
        return Err(Problem::invalid(detail));
    }
    Ok(ResetId(text))
}

fn brief(reset: &Reset) -> Json<Value> {
    Json(json!({ "reset": reset.id, "status": reset.status, "plan": reset.plan.digest }))
}

fn outline(reset: &Reset) -> Value {
    json!({
        "reset": reset.id,
        "status": reset.status,
        "plan": reset.plan.digest,
        "from": reset.plan.from,
        "credentials": reset.plan.members.len(),
        "reason": reset.reason,
        "requestedBy": reset.requested_by,
        "requestedAt": reset.requested_at,
        "reproofs": reset.reproofs,
        "standstill": reset.standstill,
        "again": reset.again.as_ref().map(|again| again.at),
    })
}
