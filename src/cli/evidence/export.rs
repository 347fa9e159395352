//! `evidence export`.

use std::path::PathBuf;

use clap::Args;
use remint_contract::{HostRules, ResetId};
use remint_evidence_format::note::VerifierKey;
use serde_json::json;

use super::trust::checkpoint;
use crate::app::App;
use crate::cli::output::{json, next, say};
use crate::cli::{Exit, Failure, Session};
use crate::engine::EngineSettings;
use crate::engine::reset::plan_bytes;
use crate::evidence::rotation::Link;
use crate::evidence::{export_seen, folder};

#[derive(Debug, Args)]
pub(in crate::cli) struct Export {
    reset: String,
    /// Where to write it
    #[arg(long, value_name = "FILE")]
    out: PathBuf,
    /// Make a new folder of plain files there, instead of one archive
    #[arg(long)]
    folder: bool,
    /// A checkpoint that whoever verifies has seen before: the bundle then proves that the log goes on from it. Repeat it
    /// for more
    #[arg(long, value_name = "CHECKPOINT")]
    seen: Vec<PathBuf>,
}

/// The keys that signed this log, the newest first.
async fn signed(app: &App) -> Result<Vec<VerifierKey>, Failure> {
    let links = Link::all(&*app.engine.store).await.map_err(|error| Failure::new(Exit::Failed, error))?;
    let before = links.iter().rev().filter_map(|link| VerifierKey::parse(&link.before).ok());
    Ok(std::iter::once(app.key.verifier().clone()).chain(before).collect())
}

impl Export {
    pub(super) async fn run(self, session: &Session) -> Result<Exit, Failure> {
        let app = session.open(HostRules::default(), EngineSettings::default()).await?;
        let id = ResetId(self.reset);
        let mut seen = Vec::new();
        let keys = signed(&app).await?;
        for path in &self.seen {
            seen.push(checkpoint(path, &keys)?.size);
        }
        app.sequencer.flush().await.map_err(|error| Failure::new(Exit::Failed, error))?;
        let plan = plan_bytes(&app.engine.reset(&id).await?.plan);
        let bundle = export_seen(&*app.engine.store, &id, &plan, &app.key, &seen)
            .await
            .map_err(|error| Failure::new(Exit::Failed, error))?;
        let bytes = if self.folder {
            folder::write(&bundle, &self.out).map_err(|error| Failure::new(Exit::Failed, error))?;
            bundle.files().values().map(Vec::len).sum()
        } else {
            let archive = bundle.to_archive().map_err(|error| Failure::new(Exit::Failed, error))?;
            std::fs::write(&self.out, &archive)
                .map_err(|error| Failure::new(Exit::Failed, format!("cannot write {}: {error}", self.out.display())))?;
            archive.len()
        };
        let key = app.key.verifier().to_string();
        if session.json() {
            json(&json!({ "bundle": self.out, "bytes": bytes, "key": key }))?;
        } else {
            say(&format!("{bytes} bytes in {}", self.out.display()));
            next(&format!("remint evidence verify {} --key {key}", self.out.display()));
        }
        Ok(Exit::Done)
    }
}
