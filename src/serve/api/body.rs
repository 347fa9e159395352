//! Request bodies: JSON of a known shape, or a refusal that says what is wrong with it.

use axum::body::Bytes;
use axum::extract::{FromRequest, Request};
use axum::http::{StatusCode, header};
use serde::de::DeserializeOwned;

use crate::serve::api::problem::Problem;

/// The longest reason: it goes into entries and tables.
const REASON: usize = 1000;

/// A body as it was asked for. None at all is `{}`.
pub(super) struct Body<T>(pub(super) T);

/// A body that says nothing: `{}`, or none at all.
#[derive(Debug, serde::Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Nothing {}

impl<S: Send + Sync, T: DeserializeOwned> FromRequest<S> for Body<T> {
    type Rejection = Problem;

    async fn from_request(request: Request, state: &S) -> Result<Self, Problem> {
        let json = request.headers().get(header::CONTENT_TYPE).is_none_or(|kind| {
            let kind = kind.as_bytes().split(|byte| *byte == b';').next().unwrap_or_default();
            kind.trim_ascii().eq_ignore_ascii_case(b"application/json")
        });
        if !json {
            let detail = "send the body as application/json";
            return Err(Problem::new(StatusCode::UNSUPPORTED_MEDIA_TYPE, "invalid", detail));
        }
        let bytes = Bytes::from_request(request, state).await.map_err(|refused| Problem::plain(refused.status()))?;
        let text = if bytes.is_empty() { b"{}" } else { bytes.as_ref() };
        serde_json::from_slice(text).map(Self).map_err(|error| Problem::invalid(format!("the body: {error}")))
    }
}

/// Why somebody does something: never left out, and short.
pub(super) fn reason(text: &str) -> Result<&str, Problem> {
    let text = text.trim();
    if text.is_empty() || text.len() > REASON {
        return Err(Problem::invalid("say why, in at most 1000 characters"));
    }
    Ok(text)
}
