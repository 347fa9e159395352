//! `evidence erase`.

use clap::Args;
use remint_contract::HostRules;
use serde_json::json;

use crate::cli::output::{json, next, say};
use crate::cli::{Exit, Failure, Session};
use crate::engine::EngineSettings;
use crate::privacy::persons::erase;

#[derive(Debug, Args)]
pub(in crate::cli) struct Erase {
    /// The name, as entries were told it
    name: String,
}

impl Erase {
    pub(super) async fn run(self, session: &Session) -> Result<Exit, Failure> {
        let app = session.open(HostRules::default(), EngineSettings::default()).await?;
        app.writable()?;
        let engine = &app.engine;
        let erased = erase(&*engine.store, &engine.context, &self.name, &session.environment.user()).await?;
        app.sequencer.flush().await.map_err(|error| Failure::new(Exit::Failed, error))?;
        if session.json() {
            json(&json!({ "commitments": erased }))?;
        } else {
            say(&format!("{erased} commitments can be opened by nobody any more."));
            next("bundles and backups that were made before have the name still; erase it there, too");
        }
        Ok(Exit::Done)
    }
}
