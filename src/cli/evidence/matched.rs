//! `evidence match|fingerprint`.

use std::io::Read as _;
use std::path::PathBuf;

use clap::Args;
use remint_contract::HostRules;
use serde_json::json;
use zeroize::Zeroizing;

use crate::cli::output::{counted, data, json, next, say, table};
use crate::cli::{Exit, Failure, Session};
use crate::engine::EngineSettings;
use crate::privacy::fingerprint::Fingerprints;
use crate::privacy::matching::{LARGEST, matching};

#[derive(Debug, Args)]
pub(in crate::cli) struct Match {
    /// The text; standard input when none is named, so that nothing of it stands in a list of processes
    file: Option<PathBuf>,
}

impl Match {
    /// Exit 1 when something matched: a script that looks through findings must not pass over it.
    pub(super) async fn run(self, session: &Session) -> Result<Exit, Failure> {
        let app = session.open(HostRules::default(), EngineSettings::default()).await?;
        app.writable()?;
        let engine = &app.engine;
        if engine.settings.fingerprints.generations() == 0 {
            next(
                "remint evidence fingerprint, which turns fingerprints on; what was replaced before cannot be matched",
            );
            return Err(Failure::new(Exit::Refused, "this state has no fingerprints yet"));
        }
        let mut text = Zeroizing::new(Vec::new());
        let most = LARGEST as u64 + 1;
        match &self.file {
            Some(path) => {
                let failed = |error| Failure::usage(format!("cannot read {}: {error}", path.display()));
                std::fs::File::open(path).map_err(failed)?.take(most).read_to_end(&mut text).map_err(failed)?;
            }
            None => drop(std::io::stdin().lock().take(most).read_to_end(&mut text)?),
        }
        if text.len() > LARGEST {
            return Err(Failure::usage(format!("the text is larger than {LARGEST} bytes; cut it")));
        }
        let by = app.by(session.environment.user());
        let found = matching(&*engine.store, &engine.settings.fingerprints, &engine.context, &text, &by)
            .await
            .map_err(|error| Failure::new(Exit::Failed, error))?;
        if session.json() {
            json(&found)?;
        } else if found.matches.is_empty() {
            say(&counted(found.candidates, "candidate, and none is ours", "candidates, and none is ours"));
        } else {
            let rows = found.matches.iter().flat_map(|(credential, versions)| {
                versions.iter().map(|known| [credential.clone(), known.reset.clone(), known.operation.clone()])
            });
            data(&table(["credential", "seen in reset", "sealed by"], rows));
            if let Some(credential) = found.matches.keys().next() {
                next(&format!("remint plan --from {credential}, unless the value was replaced since"));
            }
        }
        if found.more {
            say("There were more candidates than are tried at once: cut the text, and ask again for the rest.");
        }
        Ok(if found.matches.is_empty() && !found.more { Exit::Done } else { Exit::Failed })
    }
}

/// Makes the next generation.
pub(super) async fn rotate(session: &Session) -> Result<Exit, Failure> {
    let app = session.open(HostRules::default(), EngineSettings::default()).await?;
    app.writable()?;
    let engine = &app.engine;
    let by = app.by(session.environment.user());
    let made = Fingerprints::rotate(&*engine.store, &engine.escrow, &engine.context, &by).await;
    let generation = made.map_err(|error| Failure::new(Exit::Failed, error))?;
    app.sequencer.flush().await.map_err(|error| Failure::new(Exit::Failed, error))?;
    if session.json() {
        json(&json!({ "generation": generation }))?;
    } else {
        say(&format!("Values that are captured or minted from now on have fingerprints of generation {generation}."));
        next("restart a daemon that runs over this state: it uses the generations that it found when it began");
    }
    Ok(Exit::Done)
}
