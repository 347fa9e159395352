//! Refusals as RFC 9457 problem documents: what happened, to which thing, and what to do next.

use axum::http::{HeaderValue, StatusCode, header};
use axum::response::{IntoResponse, Response};
use serde::Serialize;

use crate::app::AppError;
use crate::engine::EngineError;
use crate::evidence::tiles::TileError;
use crate::govern::GateError;
use crate::serve::causes;
use crate::serve::folder::NotActivated;
use crate::serve::plan::NoPlan;
use crate::serve::request::NotAsked;
use crate::store::StoreError;

/// The media type.
pub(super) const PROBLEM: HeaderValue = HeaderValue::from_static("application/problem+json");

/// One refusal.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub(super) struct Problem {
    #[serde(rename = "type")]
    kind: String,
    title: &'static str,
    status: u16,
    detail: String,
    /// Each of several causes, by a word that does not change.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    reasons: Vec<&'static str>,
}

impl Problem {
    /// A problem of a kind of ours: `urn:remint:problem:KIND`.
    pub(super) fn new(status: StatusCode, kind: &str, detail: impl Into<String>) -> Self {
        Self {
            kind: format!("urn:remint:problem:{kind}"),
            title: status.canonical_reason().unwrap_or("Problem"),
            status: status.as_u16(),
            detail: detail.into(),
            reasons: Vec::new(),
        }
    }

    /// The same, with the words of its causes.
    pub(super) fn because(self, reasons: Vec<&'static str>) -> Self {
        Self { reasons, ..self }
    }

    /// A problem that its status says all about.
    pub(super) fn plain(status: StatusCode) -> Self {
        let detail = match status {
            StatusCode::NOT_FOUND => "there is nothing at this address",
            StatusCode::METHOD_NOT_ALLOWED => "this address does not know this method; `Allow` names those it knows",
            StatusCode::PAYLOAD_TOO_LARGE => "the body is larger than 1 MiB",
            _ => "the request cannot be answered",
        };
        Self { kind: "about:blank".to_owned(), ..Self::new(status, "", detail) }
    }

    pub(super) fn invalid(detail: impl Into<String>) -> Self {
        Self::new(StatusCode::UNPROCESSABLE_ENTITY, "invalid", detail)
    }

    /// The daemon's own fault: the log says which, the answer does not.
    pub(super) fn ours(error: &(dyn std::error::Error + 'static)) -> Self {
        tracing::error!(error = causes(error), "a request failed");
        Self::new(StatusCode::INTERNAL_SERVER_ERROR, "failed", "the daemon could not do it; its log says why")
    }
}

impl IntoResponse for Problem {
    fn into_response(self) -> Response {
        let status = StatusCode::from_u16(self.status).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR);
        // Only strings and a number: this cannot fail, and an empty body would still have its status.
        let body = serde_json::to_vec(&self).unwrap_or_default();
        (status, [(header::CONTENT_TYPE, PROBLEM)], body).into_response()
    }
}

impl From<TileError> for Problem {
    fn from(error: TileError) -> Self {
        Self::ours(&error)
    }
}

impl From<NotAsked> for Problem {
    fn from(error: NotAsked) -> Self {
        match error {
            NotAsked::NoEstate => Self::new(StatusCode::CONFLICT, "no-estate", error.to_string()),
            NotAsked::Privileged(_) => Self::new(StatusCode::FORBIDDEN, "privileged", error.to_string()),
            NotAsked::NoGlass => Self::invalid(error.to_string()),
            NotAsked::NoPlan(error) => error.into(),
            NotAsked::Gate(error) => error.into(),
            NotAsked::Engine(error) => error.into(),
        }
    }
}

impl From<EngineError> for Problem {
    fn from(error: EngineError) -> Self {
        let kind = match &error {
            EngineError::NoReset(_) | EngineError::NoRecord { .. } => {
                return Self::new(StatusCode::NOT_FOUND, "unknown", error.to_string());
            }
            EngineError::Gone(_) => return Self::new(StatusCode::NOT_FOUND, "unknown", error.to_string()),
            EngineError::Connector(_) => {
                return Self::new(StatusCode::BAD_GATEWAY, "system", error.to_string());
            }
            EngineError::Owned { .. } => "owned",
            EngineError::Twice(_) => "twice",
            EngineError::Expired { .. } => "expired",
            EngineError::OtherPlan { .. } => "other-plan",
            EngineError::Unapproved(_) => "unapproved",
            EngineError::Busy(_) | EngineError::Lost(_) | EngineError::Revised(_) => "busy",
            EngineError::Refused(_) | EngineError::Illegal(_) => "refused",
            EngineError::Store(StoreError::ReadOnly(_)) => "read-only",
            EngineError::Store(StoreError::Stale { .. }) => {
                return Self::new(
                    StatusCode::CONFLICT,
                    "stale",
                    "it was changed at the same time; look at it, and ask again",
                );
            }
            EngineError::Store(_)
            | EngineError::Escrow(_)
            | EngineError::Random(_)
            | EngineError::Ledger(_)
            | EngineError::Unsealed(_)
            | EngineError::NoEstate(_)
            | EngineError::NoPlan(_) => return Self::ours(&error),
        };
        Self::new(StatusCode::CONFLICT, kind, error.to_string())
    }
}

impl From<GateError> for Problem {
    fn from(error: GateError) -> Self {
        match error {
            GateError::Denied { .. } => Self::new(StatusCode::FORBIDDEN, "denied", error.to_string()),
            GateError::Refused(_) => Self::new(StatusCode::CONFLICT, "refused", error.to_string()),
            GateError::Program(_) => Self::new(StatusCode::SERVICE_UNAVAILABLE, "no-decision", error.to_string()),
            GateError::Store(error) => EngineError::Store(error).into(),
        }
    }
}

impl From<AppError> for Problem {
    fn from(error: AppError) -> Self {
        match error {
            AppError::Engine(error) => error.into(),
            AppError::Gate(error) => error.into(),
            error => Self::ours(&error),
        }
    }
}

impl From<NoPlan> for Problem {
    fn from(error: NoPlan) -> Self {
        match error {
            NoPlan::Engine(error) => error.into(),
            NoPlan::Refused(_) => Self::new(StatusCode::UNPROCESSABLE_ENTITY, "no-plan", error.to_string()),
            NoPlan::Nothing => Self::new(StatusCode::UNPROCESSABLE_ENTITY, "nothing-to-do", error.to_string()),
            NoPlan::Nowhere | NoPlan::Name(_) | NoPlan::Selector(_) => Self::invalid(error.to_string()),
        }
    }
}

impl From<NotActivated> for Problem {
    fn from(error: NotActivated) -> Self {
        match error {
            NotActivated::App(error) => error.into(),
            NotActivated::NothingStaged => Self::new(StatusCode::CONFLICT, "nothing-staged", error.to_string()),
            NotActivated::Proposed(_) => Self::new(StatusCode::CONFLICT, "proposed", error.to_string()),
            NotActivated::Other(_) => Self::new(StatusCode::CONFLICT, "other-estate", error.to_string()),
        }
    }
}
