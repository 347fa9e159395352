//! `escalate`: some credentials of a running reset are stopped before they are replaced, or the other way round.

use clap::Args;
use remint_contract::{HostRules, ResetId};
use remint_core::plan::{Selector, Turn};
use serde_json::json;

use crate::cli::output::{data, json, next, say, table};
use crate::cli::{Exit, Failure, Session};
use crate::engine::EngineSettings;
use crate::engine::escalate::Escalation;

#[derive(Debug, Args)]
pub(super) struct Escalate {
    /// The reset, as `remint get resets` names it
    pub(super) reset: String,
    /// Stop these first and replace them after: `*`, or key=value joined by commas (identity, tier, name, kind, label)
    #[arg(long, value_name = "SELECTOR", required_unless_present = "roll")]
    pub(super) contain: Option<String>,
    /// Replace these first and stop them after, as far as they are not stopped yet
    #[arg(long, value_name = "SELECTOR")]
    pub(super) roll: Option<String>,
    /// Why
    #[arg(long)]
    pub(super) reason: String,
}

impl Escalate {
    pub(super) async fn run(self, session: &Session) -> Result<Exit, Failure> {
        let parse = |text: Option<String>| -> Result<Option<Selector>, Failure> {
            text.map(|text| text.parse()).transpose().map_err(|error| Failure::new(Exit::Usage, error))
        };
        let app = session.open(HostRules::default(), EngineSettings::default()).await?;
        let asked = Escalation {
            contain: parse(self.contain)?,
            roll: parse(self.roll)?,
            reason: self.reason,
            by: app.by(session.environment.user()),
        };
        let id = ResetId(self.reset);
        let (reset, delta) = app.engine.escalate(&id, asked).await?;
        let plan = reset.revision.as_ref().map(|revision| revision.plan.digest);
        if session.json() {
            json(&json!({ "reset": id.0, "parent": reset.plan.digest, "revision": plan, "delta": delta }))?;
        } else {
            told(&id, &delta);
        }
        Ok(Exit::Refused)
    }
}

/// What would go otherwise.
pub(super) fn told(id: &ResetId, delta: &[Turn]) {
    let rows = delta.iter().map(|turn| [turn.credential.to_string(), turn.from.to_string(), turn.to.to_string()]);
    data(&table(["credential", "goes now", "would go"], rows));
    say(&format!("The plan of reset {id} goes on as it is until this difference is approved."));
    next(&format!("remint approve {id}"));
}
