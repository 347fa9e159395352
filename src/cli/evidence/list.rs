//! `evidence list`.

use clap::Args;
use remint_contract::{HostRules, ResetId};
use remint_evidence_format::entry;
use serde_json::json;

use crate::cli::output::{data, json, table};
use crate::cli::{Exit, Failure, Session};
use crate::engine::EngineSettings;

#[derive(Debug, Args)]
pub(in crate::cli) struct List {
    reset: String,
}

impl List {
    pub(super) async fn run(self, session: &Session) -> Result<Exit, Failure> {
        let id = ResetId(self.reset);
        let app = session.open(HostRules::default(), EngineSettings::default()).await?;
        app.engine.reset(&id).await?;
        let stored = app.engine.store.entries_of(&id).await?;
        let mut rows = Vec::new();
        let mut values = Vec::new();
        for one in &stored {
            let parsed = entry::parse(&one.bytes).map_err(|error| Failure::new(Exit::Failed, error))?;
            let body = parsed.body().map_err(|error| Failure::new(Exit::Failed, error))?;
            if session.json() {
                values.push(json!({ "number": one.number, "index": one.index, "at": parsed.at, "kind": parsed.kind,
                    "subject": parsed.subject, "body": body }));
            } else {
                let body = serde_json::to_string(&body).unwrap_or_default();
                rows.push([
                    one.number.to_string(),
                    // As it is written in the entry, without the part of the second that only JSON has a use for.
                    parsed
                        .at
                        .parse::<jiff::Timestamp>()
                        .map_or_else(|_| parsed.at.to_string(), |at| format!("{at:.0}")),
                    parsed.kind.to_string(),
                    parsed.subject.as_ref().map(ToString::to_string).unwrap_or_default(),
                    body,
                ]);
            }
        }
        if session.json() {
            json(&values)?;
        } else {
            data(&table(["no", "at", "what", "about", "detail"], rows));
        }
        Ok(Exit::Done)
    }
}
