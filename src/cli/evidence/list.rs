//! `evidence list`.

use clap::Args;
use remint_contract::{HostRules, ResetId};
use serde_json::Value;

use crate::cli::output::{data, json, table};
use crate::cli::{Exit, Failure, Session};
use crate::engine::EngineSettings;
use crate::evidence::told;

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
        let told = told(&stored).map_err(|error| Failure::new(Exit::Failed, error))?;
        show(session, &told)
    }

    /// Of which reset.
    pub(in crate::cli) fn reset(&self) -> &str {
        &self.reset
    }
}

/// Entries as a table, or as they are.
pub(in crate::cli) fn show(session: &Session, told: &[Value]) -> Result<Exit, Failure> {
    if session.json() {
        json(&told)?;
        return Ok(Exit::Done);
    }
    let word = |one: &Value, key: &str| one[key].as_str().unwrap_or_default().to_owned();
    let rows = told.iter().map(|one| {
        let at = word(one, "at");
        // As it is written in the entry, without the part of the second that only JSON has a use for.
        let at = at.parse::<jiff::Timestamp>().map_or(at, |at| format!("{at:.0}"));
        [one["number"].to_string(), at, word(one, "kind"), word(one, "subject"), one["body"].to_string()]
    });
    data(&table(["no", "at", "what", "about", "detail"], rows));
    Ok(Exit::Done)
}
