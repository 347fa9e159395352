//! What happens in a reset, as server-sent events.
//!
//! `progress` carries what happened; `gap` says that some of what was asked for is gone, and that the records tell how
//! things stand; `status` ends the stream: nothing more happens until somebody acts, or a re-proof is due.

use std::convert::Infallible;
use std::sync::Arc;
use std::time::Duration;

use axum::extract::{Path, State};
use axum::http::HeaderMap;
use axum::response::Sse;
use axum::response::sse::{Event, KeepAlive};
use futures::Stream;
use futures::stream::unfold;
use remint_contract::ResetId;
use serde_json::json;

use crate::engine::Progress;
use crate::engine::record::ResetStatus;
use crate::serve::api::Api;
use crate::serve::api::problem::Problem;
use crate::serve::events::Since;

/// Where one listener is.
struct Listening {
    api: Arc<Api>,
    reset: ResetId,
    next: u64,
    waiting: Vec<Event>,
    bell: tokio::sync::watch::Receiver<u64>,
    over: bool,
}

pub(super) async fn of_reset(
    State(api): State<Arc<Api>>,
    Path(id): Path<String>,
    headers: HeaderMap,
) -> Result<Sse<impl Stream<Item = Result<Event, Infallible>>>, Problem> {
    let reset = ResetId(id);
    api.app.engine.reset(&reset).await?;
    let last = headers.get("last-event-id").and_then(|id| id.to_str().ok());
    let bell = api.events.bell();
    let (next, waiting) = match api.events.since(last) {
        Since::Next(next) => (next, Vec::new()),
        Since::Gap(next) => (next, vec![gap()]),
    };
    let listening = Listening { api, reset, next, waiting, bell, over: false };
    let stream = unfold(listening, |mut listening| async move {
        let event = listening.event().await?;
        Some((Ok(event), listening))
    });
    Ok(Sse::new(stream).keep_alive(KeepAlive::new().interval(ALIVE)))
}

impl Listening {
    /// The next event; `None` at the end.
    async fn event(&mut self) -> Option<Event> {
        loop {
            if !self.waiting.is_empty() {
                return Some(self.waiting.remove(0));
            }
            if self.over {
                return None;
            }
            // Looked at before the events: what happens in between is among them.
            let rests = self.rests().await;
            self.bell.borrow_and_update();
            let (found, gone) = self.api.events.from(self.next);
            if gone {
                self.waiting.push(gap());
            }
            for (number, progress) in found {
                self.next = number + 1;
                if of(&progress, &self.reset)
                    && let Ok(event) = Event::default().event("progress").json_data(&progress)
                {
                    self.waiting.push(event.id(self.api.events.id(number)));
                }
            }
            if let Some(status) = rests {
                self.over = true;
                let end = Event::default().event("status").json_data(json!({ "reset": self.reset, "status": status }));
                self.waiting.extend(end);
            }
            if !self.waiting.is_empty() {
                continue;
            }
            let stopped = self.api.stopping.clone().stopped();
            tokio::select! {
                () = stopped => return None,
                rung = self.bell.changed() => rung.ok()?,
                // A status may change without an event.
                () = tokio::time::sleep(LOOK) => {}
            }
        }
    }

    /// How it stands, once nothing happens any more; what cannot be read now is looked at again.
    async fn rests(&self) -> Option<ResetStatus> {
        if self.api.desk.busy(&self.reset) {
            return None;
        }
        let status = self.api.app.engine.reset(&self.reset).await.ok()?.status;
        (status != ResetStatus::Running && !self.api.desk.busy(&self.reset)).then_some(status)
    }
}

fn gap() -> Event {
    Event::default().event("gap").data("{}")
}

/// True for what concerns a reset; what concerns a system concerns all.
fn of(progress: &Progress, id: &ResetId) -> bool {
    match progress {
        Progress::Moved { reset, .. }
        | Progress::Outage { reset, .. }
        | Progress::OldUsed { reset, .. }
        | Progress::Dark { reset, .. }
        | Progress::Wave { reset, .. }
        | Progress::Standstill { reset, .. }
        | Progress::Eta { reset, .. } => reset == id,
        Progress::Circuit { .. } => true,
    }
}

/// So often a silent connection says that it lives.
const ALIVE: Duration = Duration::from_secs(15);
/// So often the status is looked at.
const LOOK: Duration = Duration::from_millis(250);
