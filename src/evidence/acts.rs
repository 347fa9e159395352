//! Entries of what belongs to no reset: a look ahead, a refusal, the daemon's life.

use remint_core::plan::Plan;
use serde_json::{Value, json};

use crate::context::Context;
use crate::engine::record::entry;
use crate::store::{Change, Store, StoreError};

/// Something that happened outside every reset.
#[derive(Debug, Clone)]
pub enum Act<'a> {
    /// A plan was made and nothing was asked for: a dry run.
    Planned { plan: &'a Plan, by: &'a str },
    /// Somebody asked for something and did not get it.
    Refused { what: &'a str, by: &'a str, why: &'a str },
    /// A folder says something else than what is active, and waits for somebody who may change that.
    Staged { estate: &'a str, active: &'a str, changes: usize },
    /// The daemon takes requests.
    Started { holder: &'a str, by: &'a str },
    /// It was told to stop, and what was under way has ended or was left.
    Stopped { holder: &'a str },
}

impl Act<'_> {
    fn told(&self) -> (&'static str, Value) {
        match self {
            Self::Planned { plan, by } => (
                "plan.made",
                json!({
                    "plan": plan.digest.to_string(),
                    "estate": plan.estate.to_string(),
                    "from": plan.from.iter().map(ToString::to_string).collect::<Vec<_>>(),
                    "credentials": plan.members.len(),
                    "reached": plan.reached.len(),
                    "by": by,
                }),
            ),
            Self::Refused { what, by, why } => {
                ("request.refused", json!({ "what": what, "by": by, "why": shortened(why) }))
            }
            Self::Staged { estate, active, changes } => {
                ("estate.staged", json!({ "estate": estate, "active": active, "with-authority": changes }))
            }
            Self::Started { holder, by } => {
                ("daemon.started", json!({ "version": env!("CARGO_PKG_VERSION"), "replica": holder, "by": by }))
            }
            Self::Stopped { holder } => ("daemon.stopped", json!({ "replica": holder })),
        }
    }
}

/// Records it.
///
/// # Errors
/// The store does not take it.
pub async fn record(store: &dyn Store, context: &Context, act: Act<'_>) -> Result<(), StoreError> {
    let (kind, body) = act.told();
    let entries = vec![entry(kind, context.clock.now(), None, None, &body)];
    store.commit(Change { entries, ..Change::default() }).await.map(drop)
}

/// A refusal may list every credential of a large estate; an entry has its limit.
fn shortened(why: &str) -> String {
    why.chars().take(LETTERS).collect()
}

const LETTERS: usize = 4_000;
