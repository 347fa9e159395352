//! `estate discover`: what a system says of itself that the active estate does not say yet.

use std::sync::Arc;

use clap::Args;
use remint_contract::{HostRules, Kind, Ref};
use serde_json::json;

use crate::cli::output::{counted, data, json, next, say};
use crate::cli::{Exit, Failure, Session};
use crate::discover::{Found, discover};
use crate::engine::EngineSettings;

#[derive(Debug, Args)]
pub(super) struct Discover {
    /// The System of the active estate that is asked, like `bao` or `System/bao`
    system: String,
}

impl Discover {
    pub(super) async fn run(self, session: &Session) -> Result<Exit, Failure> {
        let app = session.open(HostRules::default(), EngineSettings::default()).await?;
        let estate = Arc::new(app.engine.active_estate().await?.map(|estate| (*estate).clone()).unwrap_or_default());
        let full = if self.system.contains('/') { self.system.clone() } else { format!("System/{}", self.system) };
        let system: Ref = full.parse().map_err(|error| Failure::new(Exit::Usage, error))?;
        if system.kind != Kind::System || !estate.systems.contains_key(&system) {
            let what =
                format!("there is no {system} in the active estate; remint estate activate PATH makes one active");
            return Err(Failure::usage(what));
        }
        let Found { documents, edges } = discover(&app.engine, estate, &system).await?;
        if session.json() {
            json(&json!({ "documents": documents, "edges": edges }))?;
            return Ok(Exit::Done);
        }
        for document in &documents {
            let text = serde_yaml::to_string(document).map_err(|error| Failure::new(Exit::Failed, error))?;
            data(&format!("---\n{}", text.trim_end()));
        }
        for edge in &edges {
            // A comment, so that what is printed stays a file of documents.
            data(&format!(
                "# {} unlocks more than its document says: {{what: {}, verb: {}}}",
                edge.credential, edge.what, edge.verb
            ));
        }
        say(&format!(
            "\n{}, {} of credentials that the estate has. Nothing was changed.",
            counted(documents.len(), "new document", "new documents"),
            counted(edges.len(), "new edge", "new edges")
        ));
        next("put into your documents what is right of it, then: remint estate activate PATH");
        Ok(Exit::Done)
    }
}
