//! Requests over HTTP: what the command line does alone, asked of a daemon.
//!
//! Flow: [`gate`] lets in who may and gives every request its bounds; each module below holds the answers about one noun;
//! every refusal is a [`problem`].
//!
//! ```text
//! POST /v1/resets                      ask for a reset; approve it in the same breath
//! GET  /v1/resets[/{id}[/rotations]]   how they stand
//! POST /v1/resets/{id}/approve|reject|withdraw|execute|retry|rollback|escalate|pause|resume|abort
//! GET  /v1/resets/{id}/parked          what rests, and what moves it on
//! GET  /v1/resets/{id}/events          what happens in it, as it happens
//! POST /v1/resets/{id}/review           somebody else broke the glass for it
//! GET  /v1/resets/{id}/entries|bundle   its evidence
//! POST /v1/plans                       what a reset would do
//! GET  /v1/exceptions  POST /v1/exceptions[/end|/{id}/approve]
//! GET  /v1/windows     POST /v1/windows/approve  /v1/standing/{id}/approve|end
//! GET  /v1/policy/explain              POST /v1/policy/stage
//! GET  /v1/records/…, /v1/parked       records as the state keeps them: what the command line makes its tables from
//! POST /v1/nodes/clean                 a dirty node was rebuilt
//! GET  /v1/findings                    POST /v1/findings/{id}/decide
//! GET  /v1/tasks                       POST /v1/tasks/{id}/attest
//! GET  /v1/tokens  POST /v1/tokens     POST /v1/tokens/{id}/revoke
//! GET  /v1/estate                      POST /v1/estate/activate
//! GET  /v1/log/checkpoint, /v1/log/tile/… the log as tiles
//! GET  /v1/reads                       who read what, how often, by day
//! GET  /metrics                        numbers, as Prometheus reads them
//! GET  /v1/openapi.json                this, as OpenAPI 3.1
//! GET  /v1/login                       where one logs in: open, as whoever asks is not logged in
//! GET  /livez, /readyz                 open to everybody; they say nothing of the estate
//! ```
//!
//! Guarantees: a body is at most 1 MiB, a request at most 30 s; an unknown field is refused; whoever goes away in the
//! middle of an act has either not acted or acted as a whole.

use std::sync::Arc;

use axum::Router;
use axum::extract::DefaultBodyLimit;
use axum::middleware::from_fn_with_state;
use axum::routing::{get, post};

use crate::app::App;
use crate::evidence::Tiles;
use crate::evidence::refusals::Refusals;
use crate::evidence::witnessing::Witnessing;
use crate::privacy::reads::Reads;
use crate::serve::Stopping;
use crate::serve::events::Events;
use crate::serve::folder::Folder;
use crate::serve::supervisor::Desk;

mod ask;
mod body;
mod bundle;
mod document;
mod estate;
mod etag;
mod events;
mod exceptions;
mod findings;
mod gate;
mod guard;
mod health;
mod log;
mod metrics;
mod once;
mod page;
mod plans;
mod policy;
mod problem;
mod rate;
mod reads;
mod records;
mod resets;
mod rotations;
mod signed;
mod tasks;
mod tokens;
mod windows;

pub(super) use guard::Guard;
pub(super) use once::forget;
pub(super) use rate::Rates;

/// The largest body.
const BODY: usize = 1 << 20;

/// What answers are made from.
pub(super) struct Api {
    pub(super) app: Arc<App>,
    pub(super) folder: Arc<Folder>,
    pub(super) desk: Arc<Desk>,
    /// On whose word everything is done.
    pub(super) by: String,
    pub(super) guard: Guard,
    pub(super) tiles: Tiles,
    /// The client of the witnesses, where there are any.
    pub(super) witnessing: Option<Arc<Witnessing>>,
    pub(super) reads: Arc<Reads>,
    pub(super) refusals: Arc<Refusals>,
    pub(super) events: Arc<Events>,
    pub(super) rates: Rates,
    pub(super) stopping: Stopping,
}

pub(super) fn router(api: Arc<Api>) -> Router {
    Router::new()
        .route("/v1/resets", post(resets::ask).get(resets::list))
        .route("/v1/resets/{id}", get(resets::show))
        .route("/v1/resets/{id}/rotations", get(rotations::list))
        .route("/v1/resets/{id}/approve", post(resets::approve))
        .route("/v1/resets/{id}/reject", post(resets::reject))
        .route("/v1/resets/{id}/withdraw", post(resets::withdraw))
        .route("/v1/resets/{id}/execute", post(resets::execute))
        .route("/v1/resets/{id}/retry", post(resets::retry))
        .route("/v1/resets/{id}/rollback", post(resets::rollback))
        .route("/v1/resets/{id}/escalate", post(resets::escalate))
        .route("/v1/resets/{id}/pause", post(resets::pause))
        .route("/v1/resets/{id}/resume", post(resets::resume))
        .route("/v1/resets/{id}/abort", post(resets::abort))
        .route("/v1/resets/{id}/review", post(resets::review))
        .route("/v1/resets/{id}/parked", get(resets::parked))
        .route("/v1/resets/{id}/entries", get(bundle::entries))
        .route("/v1/resets/{id}/bundle", get(bundle::show))
        .route("/v1/resets/{id}/events", get(events::of_reset))
        .route("/v1/parked", get(records::parked))
        .route("/v1/records/resets", get(records::resets))
        .route("/v1/records/resets/{id}", get(records::reset))
        .route("/v1/records/plans/{hash}", get(records::plan))
        .route("/v1/records/estates/{digest}", get(records::estate))
        .route("/v1/records/credentials", get(records::credentials))
        .route("/v1/plans", post(plans::plan))
        .route("/v1/nodes/clean", post(resets::clean))
        .route("/v1/exceptions", get(exceptions::list).post(exceptions::ask))
        .route("/v1/exceptions/end", post(exceptions::end))
        .route("/v1/exceptions/{id}", get(exceptions::show))
        .route("/v1/exceptions/{id}/approve", post(exceptions::approve))
        .route("/v1/windows", get(windows::list))
        .route("/v1/windows/approve", post(windows::ask))
        .route("/v1/standing/{id}", get(windows::show))
        .route("/v1/standing/{id}/approve", post(windows::approve))
        .route("/v1/standing/{id}/end", post(windows::end))
        .route("/v1/policy/explain", get(policy::explain))
        .route("/v1/policy/stage", post(policy::stage))
        .route("/v1/findings", get(findings::list))
        .route("/v1/findings/{id}/decide", post(findings::decide))
        .route("/v1/tasks", get(tasks::list))
        .route("/v1/tasks/{id}/attest", post(tasks::attest))
        .route("/v1/tokens", get(tokens::list).post(tokens::make))
        .route("/v1/tokens/{id}/revoke", post(tokens::revoke))
        .route("/v1/estate", get(estate::show))
        .route("/v1/estate/activate", post(estate::activate))
        .route("/v1/log/checkpoint", get(log::checkpoint))
        .route("/v1/log/tile/{*path}", get(log::tile))
        .route("/v1/reads", get(reads::list))
        .route("/metrics", get(metrics::metrics))
        .route("/v1/openapi.json", get(document::show))
        .route("/v1/login", get(health::login))
        .route("/livez", get(health::live))
        .route("/readyz", get(health::ready))
        .layer(DefaultBodyLimit::max(BODY))
        .layer(from_fn_with_state(Arc::clone(&api), gate::pass))
        .with_state(api)
}
