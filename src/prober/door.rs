//! Where a prober takes questions: `POST /v1/probe` with a signed question, answered by a signed observation.

use std::net::SocketAddr;
use std::sync::Arc;

use axum::extract::{DefaultBodyLimit, State};
use axum::http::StatusCode;
use axum::routing::{get, post};
use remint_contract::{Clock, HostRules, Kinds};
use remint_evidence_format::note::VerifierKey;

use super::answer::{Refused, answer};
use super::key::ProberKey;

/// Why a prober takes no questions.
#[derive(Debug, thiserror::Error)]
pub enum DoorError {
    #[error("cannot listen at {address}")]
    Listen {
        address: SocketAddr,
        #[source]
        source: std::io::Error,
    },
    #[error("the prober stopped taking questions")]
    Serve(#[source] std::io::Error),
}

struct Prober {
    key: ProberKey,
    trusted: Vec<VerifierKey>,
    kinds: Arc<dyn Kinds>,
    clock: Arc<dyn Clock>,
}

/// Answers questions until `stop`; `ready` is told where.
///
/// # Errors
/// It cannot listen there, or not any longer.
pub async fn serve(
    key: ProberKey,
    trusted: Vec<VerifierKey>,
    kinds: Arc<dyn Kinds>,
    clock: Arc<dyn Clock>,
    address: SocketAddr,
    ready: impl FnOnce(SocketAddr) + Send,
    stop: impl Future<Output = ()> + Send + 'static,
) -> Result<(), DoorError> {
    let failed = |source| DoorError::Listen { address, source };
    let listener = tokio::net::TcpListener::bind(address).await.map_err(failed)?;
    ready(listener.local_addr().map_err(failed)?);
    let router = axum::Router::new()
        .route("/v1/probe", post(probe))
        .route("/health", get(|| async { "ok\n" }))
        .layer(DefaultBodyLimit::max(LARGEST))
        .with_state(Arc::new(Prober { key, trusted, kinds, clock }));
    axum::serve(listener, router).with_graceful_shutdown(stop).await.map_err(DoorError::Serve)
}

async fn probe(State(prober): State<Arc<Prober>>, signed: String) -> (StatusCode, String) {
    let rules = HostRules::default();
    let looked = answer(&prober.key, &prober.trusted, &*prober.kinds, &rules, &*prober.clock, &signed).await;
    match looked {
        Ok(note) => (StatusCode::OK, note),
        Err(error) => {
            tracing::warn!(error = %error, "a question was not answered");
            let status = match &error {
                Refused::Question(_) | Refused::ForAnother(_) | Refused::Stale(_) | Refused::Sealed => {
                    StatusCode::FORBIDDEN
                }
                Refused::Connector(_) => StatusCode::UNPROCESSABLE_ENTITY,
                Refused::Sign(_) => StatusCode::INTERNAL_SERVER_ERROR,
            };
            (status, format!("{error}\n"))
        }
    }
}

/// A question has the settings of one system and one value.
const LARGEST: usize = 512 * 1024;
