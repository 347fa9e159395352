//! `validate`, `init`, `estate diff`, `estate activate`.

use std::path::PathBuf;

use clap::{Args, Subcommand};
use remint_contract::HostRules;
use remint_core::estate as documents;
use serde_json::json;

use crate::app::{App, AppError, load_paths};
use crate::cli::discover::Discover;
use crate::cli::output::{counted, data, json, next, say, table};
use crate::cli::{Exit, Failure, Session, caller};
use crate::engine::EngineSettings;
use crate::govern::Charter;

#[derive(Debug, Args)]
pub(super) struct Validate {
    /// Files and folders of documents
    #[arg(required = true)]
    paths: Vec<PathBuf>,
}

impl Validate {
    pub(super) fn run(self, session: &Session) -> Result<Exit, Failure> {
        let loaded = match load_paths(&self.paths, &*session.kinds) {
            Ok(loaded) => loaded,
            Err(AppError::Problems(problems)) => {
                if session.json() {
                    json(&json!({ "valid": false, "problems": problems.0 }))?;
                } else {
                    data(&problems.to_string());
                    let count =
                        counted(problems.0.len(), "problem; nothing was changed", "problems; nothing was changed");
                    say(&format!("\n{count}"));
                    next("correct the documents at the lines above, then validate again");
                }
                return Ok(Exit::Usage);
            }
            Err(error) => return Err(error.into()),
        };
        let estate = &loaded.estate;
        if session.json() {
            json(&json!({ "valid": true, "problems": loaded.notes, "digest": estate.digest() }))?;
            return Ok(Exit::Done);
        }
        for note in &loaded.notes {
            data(&note.to_string());
        }
        let counts = [
            ("systems", estate.systems.len()),
            ("identities", estate.identities.len()),
            ("credentials", estate.credentials.len()),
            ("workloads", estate.workloads.len()),
            ("windows", estate.windows.len()),
            ("grants", estate.grants.len()),
        ];
        data(&table(["documents", "count"], counts.map(|(name, count)| [name.to_owned(), count.to_string()])));
        say(&format!("Valid. Estate {}", estate.digest()));
        next("remint graph PATH, or remint reach PATH --from Workload/NAME");
        Ok(Exit::Done)
    }
}

#[derive(Debug, Args)]
pub(super) struct Init {
    /// Whoever holds this state folder may do everything; entries and bundles say `ungoverned`
    #[arg(long)]
    single_operator: bool,
    /// Who may do what: a folder of policies (*.cedar) and the table of persons (persons.yaml)
    #[arg(long, value_name = "FOLDER", conflicts_with = "single_operator")]
    charter: Option<PathBuf>,
}

impl Init {
    pub(super) async fn run(self, session: &Session) -> Result<Exit, Failure> {
        let (places, anchor) = (session.places()?, session.global.anchor.clone());
        let kinds = std::sync::Arc::clone(&session.kinds);
        let (app, new) = match &self.charter {
            Some(folder) => {
                let charter = Charter::read(folder).map_err(AppError::from)?;
                let by = caller().principal;
                App::init_governed(&places, anchor, &session.context, kinds, &charter, &by).await?
            }
            None if self.single_operator => App::init_anchored(&places, anchor, &session.context, kinds).await?,
            None => return Err(AppError::Governance.into()),
        };
        let key = app.key.verifier().to_string();
        if session.json() {
            json(&json!({ "state": places.state, "kek": places.kek, "key": key, "new": new }))?;
            return Ok(Exit::Done);
        }
        data(&table(
            ["what", "where"],
            [
                ["state folder".to_owned(), places.state.display().to_string()],
                ["key-encryption key".to_owned(), places.kek.display().to_string()],
                ["evidence key (public)".to_owned(), key],
            ],
        ));
        say(if new {
            if app.gate.governed() {
                "A new state, governed by the charter: what it does not permit is denied, to whoever made it, too."
            } else {
                "A new state, without governance: its entries say `ungoverned`."
            }
        } else {
            "This state was made before; nothing was changed."
        });
        next("keep the evidence key where the state cannot change it, then: remint estate activate PATH");
        Ok(Exit::Done)
    }
}

#[derive(Debug, Subcommand)]
pub(super) enum Estate {
    /// What a folder would change, authority first
    Diff(Paths),
    /// Make a folder's documents the active estate
    Activate(Activate),
    /// What a system says of itself that the active estate does not say yet, as documents; changes nothing
    Discover(Discover),
}

#[derive(Debug, Args)]
pub(super) struct Paths {
    /// Files and folders of documents; none with --server: a daemon has a folder of its own
    paths: Vec<PathBuf>,
}

impl Paths {
    fn here(&self) -> Result<(), Failure> {
        if self.paths.is_empty() {
            return Err(Failure::usage(
                "name the files and folders of documents, or the daemon that has one: --server",
            ));
        }
        Ok(())
    }

    fn at_a_daemon(&self) -> Result<(), Failure> {
        if self.paths.is_empty() {
            return Ok(());
        }
        Err(Failure::usage("a daemon has a folder of its own; name no documents with --server"))
    }
}

#[derive(Debug, Args)]
pub(super) struct Activate {
    #[command(flatten)]
    paths: Paths,
    /// Do not ask
    #[arg(long)]
    yes: bool,
}

impl Estate {
    /// Whether the staged estate becomes active, and nobody is asked; refuses what a daemon is not told of.
    pub(super) fn at_a_daemon(&self) -> Result<(bool, bool), Failure> {
        match self {
            Self::Diff(paths) => paths.at_a_daemon().map(|()| (false, false)),
            Self::Activate(activate) => activate.paths.at_a_daemon().map(|()| (true, activate.yes)),
            Self::Discover(_) => {
                Err(Failure::usage("estate discover asks a system where the state is; run it there, without --server"))
            }
        }
    }

    pub(super) async fn run(self, session: &Session) -> Result<Exit, Failure> {
        let (paths, activate, yes) = match self {
            Self::Diff(paths) => (paths, false, false),
            Self::Activate(activate) => (activate.paths, true, activate.yes),
            Self::Discover(discover) => return discover.run(session).await,
        };
        paths.here()?;
        let app = session.open(HostRules::default(), EngineSettings::default()).await?;
        let loaded = load_paths(&paths.paths, &*session.kinds)?;
        let staged = app.staged(loaded.estate.clone()).await?;
        let active = app.engine.active_estate().await?.unwrap_or_default();
        let diff = active.diff(&staged);
        if session.json() {
            json(&json!({ "active": active.digest(), "staged": staged.digest(), "diff": diff }))?;
        } else {
            data(&diff.to_string());
        }
        if !activate {
            say(&format!("Staged {}; active {}", staged.digest().short(12), active.digest().short(12)));
            if !diff.is_empty() {
                next("remint estate activate PATH");
            }
            return Ok(Exit::Done);
        }
        if !diff.is_empty()
            && *active != documents::Estate::default()
            && !yes
            && !asked("Make this the active estate?")?
        {
            return Ok(Exit::Refused);
        }
        let estate = match &app.passed {
            None => app.activate(loaded.estate, &session.environment.user()).await?,
            Some(passed) => match app.activate_by(loaded.estate, passed).await? {
                Some(estate) => estate,
                None => {
                    say(
                        "Proposed: it changes what protects the estate (approval policies, tiers, classes, whose a credential is).",
                    );
                    next("a second person: remint estate activate PATH, with the same documents");
                    return Ok(Exit::Refused);
                }
            },
        };
        say(&format!("Active: {}", estate.digest()));
        next("remint reach PATH --from Workload/NAME, or remint plan PATH --from Workload/NAME");
        Ok(Exit::Done)
    }
}

/// Asks a person; without one the answer is no, with a word on how to say yes.
pub(super) fn asked(question: &str) -> Result<bool, Failure> {
    use std::io::{BufRead as _, IsTerminal as _};
    if !std::io::stdin().is_terminal() {
        say(&format!("{question} Nobody is here to ask; say --yes to mean it."));
        return Ok(false);
    }
    say(&format!("{question} Type yes:"));
    let mut line = String::new();
    std::io::stdin().lock().read_line(&mut line)?;
    Ok(line.trim() == "yes")
}

/// Has a person type exactly these words; without one nothing was typed.
pub(super) fn typed(words: &str) -> Result<String, Failure> {
    use std::io::{BufRead as _, IsTerminal as _};
    if !std::io::stdin().is_terminal() {
        return Ok(String::new());
    }
    say(&format!("This cannot be undone. Type {words}:"));
    let mut line = String::new();
    std::io::stdin().lock().read_line(&mut line)?;
    Ok(line.trim().to_owned())
}
