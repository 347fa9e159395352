//! Local tokens: made, listed, revoked.

use std::collections::BTreeSet;
use std::sync::Arc;
use std::time::Duration;

use axum::extract::{Path, State};
use axum::http::{StatusCode, Uri};
use axum::response::{IntoResponse as _, Response};
use axum::{Extension, Json};
use jiff::Timestamp;
use remint_core::gate::Action;
use serde::{Deserialize, Serialize};
use serde_json::json;

use crate::engine::EngineError;
use crate::govern::Passed;
use crate::identity::{TokenRecord, TokensError};
use crate::serve::api::Api;
use crate::serve::api::body::{Body, Nothing};
use crate::serve::api::page::page;
use crate::serve::api::problem::Problem;

/// A token as it is shown: nothing of its secret.
#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct Shown {
    id: String,
    name: String,
    principal: String,
    scope: BTreeSet<Action>,
    made: Timestamp,
    by: String,
    expires: Timestamp,
    revoked: Option<Timestamp>,
}

impl From<TokenRecord> for Shown {
    fn from(record: TokenRecord) -> Self {
        let principal = record.principal();
        let TokenRecord { id, name, scope, made, by, expires, revoked, .. } = record;
        Self { id, name, principal, scope, made, by, expires, revoked }
    }
}

pub(super) async fn list(State(api): State<Arc<Api>>, uri: Uri) -> Result<Response, Problem> {
    let tokens = api.guard.identities().tokens().list().await.map_err(EngineError::Store)?;
    page(&uri, tokens, |token| token.id.clone(), Shown::from)
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "camelCase")]
pub(super) struct Make {
    name: String,
    /// All that it is for.
    scope: BTreeSet<Action>,
    seconds: u64,
}

/// Makes a token; its text is in this answer, and nowhere afterwards.
pub(super) async fn make(
    State(api): State<Arc<Api>>,
    Extension(passed): Extension<Passed>,
    Body(asked): Body<Make>,
) -> Result<Response, Problem> {
    if let Some(scope) = &passed.caller().scope
        && let Some(beyond) = asked.scope.difference(scope).next()
    {
        let detail = format!("a token makes none that is for more than it is itself: not for {beyond}");
        return Err(Problem::new(StatusCode::FORBIDDEN, "scope", detail));
    }
    let principal = format!("token:{}", asked.name);
    let whose = api.app.gate.party(&principal).await?;
    let parties = whose.as_ref().zip(passed.party());
    let life = Duration::from_secs(asked.seconds);
    let tokens = api.guard.identities().tokens();
    let made = tokens.make(&asked.name, asked.scope, life, &passed.by, parties).await?;
    tracing::info!(token = made.record.id, principal, by = passed.by, "a token was made");
    let text = made.text.expose();
    let shown = json!({ "token": &*text, "made": Shown::from(made.record) });
    Ok((StatusCode::CREATED, Json(shown)).into_response())
}

pub(super) async fn revoke(
    State(api): State<Arc<Api>>,
    Extension(passed): Extension<Passed>,
    Path(id): Path<String>,
    _: Body<Nothing>,
) -> Result<Json<Shown>, Problem> {
    let record = api.guard.identities().tokens().revoke(&id, &passed.by).await?;
    tracing::info!(token = id, by = passed.by, "a token was revoked");
    Ok(Json(record.into()))
}

impl From<TokensError> for Problem {
    fn from(error: TokensError) -> Self {
        match error {
            TokensError::Name(_) | TokensError::Nothing | TokensError::Life => Self::invalid(error.to_string()),
            TokensError::Another { .. } => Self::new(StatusCode::FORBIDDEN, "another", error.to_string()),
            TokensError::None(_) => Self::new(StatusCode::NOT_FOUND, "unknown", error.to_string()),
            TokensError::Random(error) => EngineError::Random(error).into(),
            TokensError::Store(error) => EngineError::Store(error).into(),
        }
    }
}
