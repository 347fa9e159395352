//! Records as the state keeps them: what the command line makes its tables from, alone or over a daemon.

use std::collections::BTreeMap;
use std::sync::Arc;

use axum::Json;
use axum::extract::{Path, State};
use remint_contract::{Ref, ResetId};
use remint_core::estate::{Credential, Estate};
use remint_core::plan::Plan;
use serde_json::{Value, json};

use crate::engine::EngineError;
use crate::engine::parked::Parked;
use crate::engine::record::{ResetStatus, kind};
use crate::serve::api::Api;
use crate::serve::api::problem::Problem;
use crate::store::Key;

/// Every reset, each naming its plan, with the forecasts of those that run.
pub(super) async fn resets(State(api): State<Arc<Api>>) -> Result<Json<Value>, Problem> {
    let engine = &api.app.engine;
    let resets = engine.resets().await?;
    let mut etas = BTreeMap::new();
    for reset in resets.iter().filter(|reset| reset.status == ResetStatus::Running) {
        if let Some(eta) = engine.eta(&reset.id).await? {
            etas.insert(reset.id.clone(), eta);
        }
    }
    Ok(Json(json!({ "resets": resets, "etas": etas })))
}

/// One reset with its rotations; `busy` while somebody's act on it is not carried through.
pub(super) async fn reset(State(api): State<Arc<Api>>, Path(id): Path<String>) -> Result<Json<Value>, Problem> {
    let (engine, id) = (&api.app.engine, ResetId(id));
    // Before the record: what is busy afterwards was so, or is no more, in what is read.
    let busy = api.desk.busy(&id);
    let reset = engine.reset(&id).await?;
    let rotations = engine.rotations(&id).await?;
    let missing = engine.not_contained(&reset).await?;
    Ok(Json(json!({ "reset": reset, "rotations": rotations, "notContained": missing, "busy": busy })))
}

/// A plan, by the hash that its reset names.
pub(super) async fn plan(State(api): State<Arc<Api>>, Path(hash): Path<String>) -> Result<Json<Plan>, Problem> {
    let key = Key { kind: kind::PLAN, id: hash.clone() };
    let found = api.app.engine.store.get(&key).await.map_err(EngineError::Store)?;
    let found = found.ok_or(EngineError::NoRecord { kind: kind::PLAN, id: hash })?;
    Ok(Json(crate::engine::record::read(found).map_err(EngineError::Store)?))
}

/// An estate, by its digest: what a plan was made from.
pub(super) async fn estate(State(api): State<Arc<Api>>, Path(digest): Path<String>) -> Result<Json<Estate>, Problem> {
    let unknown = |_| EngineError::NoRecord { kind: kind::ESTATE, id: digest.clone() };
    Ok(Json((*api.app.engine.estate(&digest).await.map_err(unknown)?).clone()))
}

pub(super) async fn parked(State(api): State<Arc<Api>>) -> Result<Json<Vec<Parked>>, Problem> {
    Ok(Json(api.app.engine.parked(None).await?))
}

pub(super) async fn credentials(State(api): State<Arc<Api>>) -> Result<Json<BTreeMap<Ref, Credential>>, Problem> {
    let estate = api.app.engine.active_estate().await?.unwrap_or_default();
    Ok(Json(estate.credentials.clone()))
}
