//! The rotations of one reset, in the words that `remint get rotations -o json` has.

use std::sync::Arc;

use axum::extract::{Path, State};
use axum::http::Uri;
use axum::response::Response;
use remint_contract::ResetId;
use remint_core::machine::{Reason, State as Rotating, Version};
use serde::Serialize;

use crate::engine::record::RotationRecord;
use crate::engine::withheld::{Waits, waits};
use crate::serve::api::Api;
use crate::serve::api::page::page;
use crate::serve::api::problem::Problem;

/// One rotation as it is shown.
#[derive(Debug, Serialize)]
pub(super) struct Shown {
    credential: String,
    state: String,
    reason: Option<String>,
    proof: Option<serde_json::Value>,
    confirm: Option<serde_json::Value>,
    versions: Versions,
    next_action: Option<String>,
}

/// The ids of versions, never their values.
#[derive(Debug, Serialize)]
struct Versions {
    old: Option<String>,
    new: Option<String>,
}

pub(super) async fn list(State(api): State<Arc<Api>>, Path(id): Path<String>, uri: Uri) -> Result<Response, Problem> {
    let id = ResetId(id);
    let reset = api.app.engine.reset(&id).await?;
    let rotations = api.app.engine.rotations(&id).await?;
    let waits = waits(&reset, &rotations);
    page(&uri, rotations, |record| record.index.to_string(), |record| shown(&record, waits.get(&record.index)))
}

fn shown(record: &RotationRecord, waits: Option<&Waits>) -> Shown {
    let facts = &record.rotation.facts;
    let id = |version: &Option<Version>| version.as_ref()?.id.as_ref().map(|id| id.0.clone());
    Shown {
        credential: record.credential.to_string(),
        state: match &record.rotation.state {
            Rotating::Settled { .. } => "settled".to_owned(),
            state => state.to_string(),
        },
        reason: match &record.rotation.state {
            Rotating::Parked { reason, .. } => Some(reason.to_string()),
            _ => waits.map(Waits::reason),
        },
        proof: facts.proof.map(|grade| serde_json::json!(grade)),
        confirm: facts.confirmed.values().max().map(|grade| serde_json::json!(grade)),
        versions: Versions { old: id(&facts.old), new: id(&facts.new) },
        next_action: waits.map(Waits::request).or_else(|| next_action(record)),
    }
}

/// The request that moves it on; `None` when the daemon does so by itself, or nothing is left to do.
fn next_action(record: &RotationRecord) -> Option<String> {
    let reset = &record.reset;
    match &record.rotation.state {
        Rotating::Parked { reason: Reason::Foreign { .. }, .. } => {
            Some("GET /v1/findings, then POST /v1/findings/{id}/decide".to_owned())
        }
        Rotating::Parked { .. } | Rotating::RolledBack => {
            Some(format!("mend what the reason names, then POST /v1/resets/{reset}/retry"))
        }
        Rotating::Dark { .. } => Some("rebuild or cut off what reads it, then POST /v1/nodes/clean".to_owned()),
        Rotating::Planned
        | Rotating::Waiting { .. }
        | Rotating::Doing { .. }
        | Rotating::Unknown { .. }
        | Rotating::Settled { .. }
        | Rotating::Queued { .. }
        | Rotating::Joined { .. }
        | Rotating::Superseded { .. } => None,
    }
}
