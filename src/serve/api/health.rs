//! Is it there, and can it work? Neither answer says anything about the estate.

use std::sync::Arc;

use axum::Json;
use axum::extract::State;
use axum::http::StatusCode;
use jiff::{SignedDuration, Timestamp};
use serde_json::{Value, json};

use crate::serve::api::Api;
use crate::serve::api::problem::Problem;

/// The process answers.
pub(super) async fn live() -> Json<Value> {
    Json(json!({ "live": true }))
}

/// Whether requests can be answered as they should be; else each reason, by its word and in a sentence.
pub(super) async fn ready(State(api): State<Arc<Api>>) -> Result<Json<Value>, Problem> {
    let mut reasons: Vec<(&'static str, &'static str)> = Vec::new();
    match api.app.engine.active_digest().await {
        Ok(Some(_)) => {}
        Ok(None) => reasons.push(("no-estate", "no estate is active")),
        Err(_) => reasons.push(("state", "the state cannot be read")),
    }
    if !api.app.standing.is_sound() {
        reasons.push(("read-only", "the state may only be looked at until it is recovered"));
    }
    if api.app.gate.answers().await.is_err() {
        reasons.push(("no-decision", "nobody decides who may do what: everything is denied"));
    }
    if !placed(&api).await {
        reasons.push(("sequencer", "entries have waited for their place in the log for more than a minute"));
    }
    if reasons.is_empty() {
        return Ok(Json(json!({ "ready": true })));
    }
    let (words, sentences): (Vec<_>, Vec<_>) = reasons.into_iter().unzip();
    let problem = Problem::new(StatusCode::SERVICE_UNAVAILABLE, "not-ready", sentences.join("; "));
    Err(problem.because(words))
}

/// No entry has been without its place for long.
async fn placed(api: &Api) -> bool {
    let oldest = match api.app.engine.store.unsequenced(1).await {
        Ok(waiting) => waiting.into_iter().next(),
        // That the state cannot be read is another reason.
        Err(_) => return true,
    };
    let at = oldest.and_then(|stored| {
        let entry = remint_evidence_format::entry::parse(&stored.bytes).ok()?;
        entry.at.parse::<Timestamp>().ok()
    });
    at.is_none_or(|at| api.app.engine.context.clock.now().duration_since(at) < LONG)
}

/// How long an entry may wait before something is wrong.
const LONG: SignedDuration = SignedDuration::from_mins(1);

/// The providers whose tokens are taken, and what they have to be for.
pub(super) async fn login(State(api): State<Arc<Api>>) -> Json<Value> {
    let issuers = api.guard.identities().issuers();
    let issuers = issuers.map(|issuer| json!({ "issuer": issuer.name(), "client": issuer.audience() }));
    Json(json!({ "issuers": issuers.collect::<Vec<_>>() }))
}
