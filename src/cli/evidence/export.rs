//! `evidence export`.

use std::path::{Path, PathBuf};

use clap::Args;
use remint_contract::{HostRules, ResetId};
use remint_evidence_format::bundle::Bundle;
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

/// One file, or a folder; how many bytes.
fn write(bundle: &Bundle, out: &Path, as_folder: bool) -> Result<usize, Failure> {
    if as_folder {
        folder::write(bundle, out).map_err(|error| Failure::new(Exit::Failed, error))?;
        return Ok(bundle.files().values().map(Vec::len).sum());
    }
    let archive = bundle.to_archive().map_err(|error| Failure::new(Exit::Failed, error))?;
    std::fs::write(out, &archive)
        .map_err(|error| Failure::new(Exit::Failed, format!("cannot write {}: {error}", out.display())))?;
    Ok(archive.len())
}

impl Export {
    /// As a daemon is asked; refuses what it is not.
    pub(in crate::cli) fn at_a_daemon(&self) -> Result<String, Failure> {
        if self.seen.is_empty() {
            return Ok(format!("/v1/resets/{}/bundle", self.reset));
        }
        Err(Failure::usage("--seen is for where the state is; run it there, without --server"))
    }

    /// Writes what a daemon sent.
    pub(in crate::cli) fn fetched(&self, session: &Session, archive: &[u8]) -> Result<Exit, Failure> {
        let bundle = Bundle::from_archive(archive).map_err(|error| Failure::new(Exit::Failed, error))?;
        let bytes = write(&bundle, &self.out, self.folder)?;
        if session.json() {
            json(&json!({ "bundle": self.out, "bytes": bytes }))?;
        } else {
            say(&format!("{bytes} bytes in {}", self.out.display()));
            let out = self.out.display();
            next(&format!("remint evidence verify {out} --key KEY, which you have from somebody else than the daemon"));
        }
        Ok(Exit::Done)
    }

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
        let bytes = write(&bundle, &self.out, self.folder)?;
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
