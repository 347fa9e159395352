//! `Idempotency-Key`: a request that is sent twice is one act, and gets one answer.
//!
//! Guarantees: of one principal and address, a key belongs to one body for a day: the same body gets the first answer, word
//! for word, another body 422, and one that comes while the first is under way 409. A key is taken before the act, so that
//! what a crash left unanswered is not done again. An answer with a secret in it is not kept. What failed inside the daemon
//! lets go of its key.

use axum::body::{Body, Bytes, to_bytes};
use axum::extract::Request;
use axum::http::{HeaderValue, Method, StatusCode, header};
use axum::middleware::Next;
use axum::response::{IntoResponse as _, Response};
use jiff::Timestamp;
use remint_core::digest::Digest;
use remint_core::gate::Caller;
use serde::{Deserialize, Serialize};
use serde_json::Value;

use crate::engine::EngineError;
use crate::engine::record::{put, read};
use crate::serve::api::problem::Problem;
use crate::serve::api::{Api, BODY};
use crate::store::{Change, Key, Rule, StoreError};

/// What is kept of a key.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
struct Used {
    /// Of the request's body.
    body: Digest,
    at: Timestamp,
    answer: Option<Answer>,
}

#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
struct Answer {
    status: u16,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    location: Option<String>,
    kind: String,
    /// `None`: there was a secret in it.
    body: Option<Value>,
}

/// Runs a request, once for its key.
pub(super) async fn run(api: &Api, caller: &Caller, request: Request, next: Next) -> Response {
    if let Err(problem) = api.matches(request.method(), request.uri().path(), request.headers()).await {
        return problem.into_response();
    }
    if *request.method() == Method::GET || *request.method() == Method::HEAD {
        let path = request.uri().path().to_owned();
        let mut response = next.run(request).await;
        if response.status().is_success()
            && let Ok(Some(tag)) = api.tag(&path).await
            && let Ok(tag) = HeaderValue::from_str(&tag)
        {
            response.headers_mut().insert(header::ETAG, tag);
        }
        return response;
    }
    // Only what acts uses a key up, and only it is given the answer of one.
    if *request.method() != Method::POST {
        return next.run(request).await;
    }
    match keyed(api, caller, request, next).await {
        Ok(response) => response,
        Err(problem) => problem.into_response(),
    }
}

async fn keyed(api: &Api, caller: &Caller, request: Request, next: Next) -> Result<Response, Problem> {
    let Some(name) = request.headers().get(NAME).cloned() else { return Ok(next.run(request).await) };
    let fits =
        name.to_str().is_ok_and(|name| (1..=255).contains(&name.len()) && name.bytes().all(|b| b.is_ascii_graphic()));
    if !fits {
        return Err(Problem::invalid("Idempotency-Key: 1 to 255 visible characters"));
    }
    let path = request.uri().path().to_owned();
    let id = Digest::of(&[caller.principal.as_bytes(), path.as_bytes(), name.as_bytes()].join(&0)).to_string();
    let (parts, body) = request.into_parts();
    let body = to_bytes(body, BODY).await.map_err(|_| Problem::plain(StatusCode::PAYLOAD_TOO_LARGE))?;
    let hash = Digest::of(&body);
    let now = api.app.engine.context.clock.now();
    if let Some(answer) = take(api, &id, hash, now).await? {
        return Ok(answer);
    }
    let response = next.run(Request::from_parts(parts, Body::from(body))).await;
    let (parts, body) = response.into_parts();
    let bytes = to_bytes(body, LARGEST).await.unwrap_or_default();
    let used = (!parts.status.is_server_error()).then(|| {
        let text =
            |name| parts.headers.get(name).and_then(|value: &HeaderValue| value.to_str().ok()).map(str::to_owned);
        let secret = path == "/v1/tokens" && parts.status.is_success();
        let body = if secret { None } else { serde_json::from_slice(&bytes).ok() };
        let (location, kind) = (text(header::LOCATION), text(header::CONTENT_TYPE).unwrap_or_default());
        Used { body: hash, at: now, answer: Some(Answer { status: parts.status.as_u16(), location, kind, body }) }
    });
    // The act is done; a key that cannot be written is one that is under way for a day.
    if let Err(error) = keep(api, &id, used).await {
        tracing::error!(error = crate::serve::causes(&error), "the answer to a key was not kept");
    }
    Ok(Response::from_parts(parts, Body::from(bytes)))
}

/// Takes a key, or gives what it has been used for.
async fn take(api: &Api, id: &str, body: Digest, now: Timestamp) -> Result<Option<Response>, Problem> {
    let store = &api.app.engine.store;
    let found = store.get(&key(id)).await.map_err(EngineError::Store)?;
    let rule = found.as_ref().map_or(Rule::Insert, |record| Rule::Revision(record.revision));
    let used: Option<Used> = found.map(read).transpose().map_err(EngineError::Store)?;
    if let Some(used) = used.filter(|used| now.duration_since(used.at) < DAY) {
        return used.again(body).map(Some);
    }
    let mut change = Change::default();
    let taken = Used { body, at: now, answer: None };
    change.puts.push(put(KIND, id, "", &taken, rule).map_err(EngineError::Store)?);
    match store.commit(change).await {
        Ok(_) => Ok(None),
        Err(StoreError::Exists { .. } | StoreError::Stale { .. }) => Err(under_way()),
        Err(error) => Err(EngineError::Store(error).into()),
    }
}

async fn keep(api: &Api, id: &str, used: Option<Used>) -> Result<(), StoreError> {
    let mut change = Change::default();
    match used {
        Some(used) => change.puts.push(put(KIND, id, "", &used, Rule::Upsert)?),
        None => change.deletes.push(key(id)),
    }
    api.app.engine.store.commit(change).await.map(drop)
}

impl Used {
    fn again(self, body: Digest) -> Result<Response, Problem> {
        if self.body != body {
            let detail = "this Idempotency-Key was used for another request; take a new one";
            return Err(Problem::new(StatusCode::UNPROCESSABLE_ENTITY, "key-used", detail));
        }
        let answer = self.answer.ok_or_else(under_way)?;
        let Some(body) = answer.body else {
            let detail = "it was done, and the answer had a secret in it, which is not kept; look at what there is";
            return Err(Problem::new(StatusCode::CONFLICT, "secret-answer", detail));
        };
        let status = StatusCode::from_u16(answer.status).unwrap_or(StatusCode::OK);
        let mut response = (status, Bytes::from(body.to_string())).into_response();
        let location = answer.location.as_deref().unwrap_or_default();
        for (name, text) in [(header::CONTENT_TYPE, answer.kind.as_str()), (header::LOCATION, location)] {
            if let Some(value) = Some(text).filter(|text| !text.is_empty()).and_then(|text| text.parse().ok()) {
                response.headers_mut().insert(name, value);
            }
        }
        response.headers_mut().insert(REPLAYED, HeaderValue::from_static("true"));
        Ok(response)
    }
}

fn under_way() -> Problem {
    let detail =
        "the first request with this Idempotency-Key is under way, or its answer was lost; look before you ask again";
    Problem::new(StatusCode::CONFLICT, "under-way", detail)
}

fn key(id: &str) -> Key {
    Key { kind: KIND, id: id.to_owned() }
}

/// Forgets keys that nobody asks for any more.
pub(in crate::serve) async fn forget(store: &dyn crate::store::Store, now: Timestamp) -> Result<usize, StoreError> {
    let mut change = Change::default();
    for record in store.list(KIND, None).await? {
        let id = record.id.clone();
        let used: Used = read(record)?;
        if now.duration_since(used.at) >= DAY {
            change.deletes.push(key(&id));
        }
    }
    let count = change.deletes.len();
    if count > 0 {
        store.commit(change).await?;
    }
    Ok(count)
}

const NAME: &str = "idempotency-key";
const REPLAYED: &str = "idempotent-replayed";
const KIND: &str = "idempotency";
/// How long a key is kept.
const DAY: jiff::SignedDuration = jiff::SignedDuration::from_hours(24);
/// The largest answer to an act.
const LARGEST: usize = 8 << 20;
