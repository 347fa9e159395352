//! `evidence list|export|verify`.

use std::path::PathBuf;

use clap::Subcommand;
use remint_contract::{HostRules, ResetId};
use remint_evidence_format::bundle::verify;
use remint_evidence_format::entry;
use remint_evidence_format::note::VerifierKey;
use serde_json::json;

use crate::app::App;
use crate::cli::output::{data, json, next, say, table};
use crate::cli::{Exit, Failure, Session};
use crate::engine::EngineSettings;
use crate::engine::reset::plan_bytes;
use crate::evidence::export;

#[derive(Debug, Subcommand)]
pub(super) enum Evidence {
    /// The entries of a reset
    List { reset: String },
    /// Write a reset's bundle: everything an auditor needs, in one file
    Export {
        reset: String,
        /// Where to write it
        #[arg(long, value_name = "FILE")]
        out: PathBuf,
    },
    /// Verify a bundle, offline; needs no state
    Verify {
        bundle: PathBuf,
        /// The public key, as `remint init` printed it. Without it only integrity is checked, and the exit is 1
        #[arg(long, value_name = "VKEY")]
        key: Option<String>,
    },
}

impl Evidence {
    pub(super) async fn run(self, session: &Session) -> Result<Exit, Failure> {
        match self {
            Self::List { reset } => list(session, ResetId(reset)).await,
            Self::Export { reset, out } => {
                let app = session.open(HostRules::default(), EngineSettings::default()).await?;
                let bundle = bundle(&app, &ResetId(reset)).await?;
                std::fs::write(&out, &bundle)
                    .map_err(|error| Failure::new(Exit::Failed, format!("cannot write {}: {error}", out.display())))?;
                let key = app.key.verifier().to_string();
                if session.json() {
                    json(&json!({ "bundle": out, "bytes": bundle.len(), "key": key }))?;
                } else {
                    say(&format!("{} bytes in {}", bundle.len(), out.display()));
                    next(&format!("remint evidence verify {} --key {key}", out.display()));
                }
                Ok(Exit::Done)
            }
            Self::Verify { bundle, key } => {
                let bytes = std::fs::read(&bundle)
                    .map_err(|error| Failure::usage(format!("cannot read {}: {error}", bundle.display())))?;
                let key = key.map(|key| VerifierKey::parse(&key)).transpose().map_err(|error| {
                    Failure::usage(format!("--key is not a public key as `remint init` prints it: {error}"))
                })?;
                let report = verify(&bytes, key.as_ref());
                if session.json() {
                    json(&report.to_json())?;
                } else {
                    data(&report.render());
                }
                Ok(if report.ok { Exit::Done } else { Exit::Failed })
            }
        }
    }
}

/// A reset's bundle, with everything in the tree.
pub(super) async fn bundle(app: &App, id: &ResetId) -> Result<Vec<u8>, Failure> {
    app.sequencer.flush().await.map_err(|error| Failure::new(Exit::Failed, error))?;
    let reset = app.engine.reset(id).await?;
    let plan = plan_bytes(&reset.plan);
    export(&*app.engine.store, id, &plan, &app.key).await.map_err(|error| Failure::new(Exit::Failed, error))
}

async fn list(session: &Session, id: ResetId) -> Result<Exit, Failure> {
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
                parsed.at.parse::<jiff::Timestamp>().map_or_else(|_| parsed.at.to_string(), |at| format!("{at:.0}")),
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
