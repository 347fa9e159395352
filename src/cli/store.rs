//! `store backup|restore|check|recover|copy`.

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use clap::{Args, Subcommand};
use remint_contract::{HostRules, Ref};
use remint_core::gate::{Action, Resource};
use serde_json::json;
use tokio::sync::mpsc;

use crate::app::copy::{CopyError, copy};
use crate::app::{AppError, Places, refs};
use crate::check::{Checked, check};
use crate::cli::estate::asked;
use crate::cli::output::{data, json, next, say, table};
use crate::cli::{Exit, Failure, Session, caller};
use crate::engine::EngineSettings;
use crate::govern::{DECIDED_BY, Gate};
use crate::recover::{Recovery, mark_restored, recover};
use crate::store::dump::{self, BackupError, QUEUE, Tally};
use crate::store::postgres::PostgresStore;
use crate::store::sqlite::{SqliteStore, dump_beside, records_beside};
use crate::store::{Change, Key, Put, Rule, Store as _};

#[derive(Debug, Subcommand)]
pub(super) enum Store {
    /// Write everything but sealed values and the signing key into one file; a daemon may go on meanwhile
    Backup { file: PathBuf },
    /// Make an empty state from a backup. It stays read only until `remint store recover`
    Restore { file: PathBuf },
    /// Look at every entry, chain, record and seal, and at the anchor; nothing is changed
    Check,
    /// Begin the log anew after a restore: void what was approved before, and ask every issuer before anything moves
    Recover {
        /// An issuer that cannot be asked now; it becomes a task
        #[arg(long, value_name = "SYSTEM")]
        without: Vec<String>,
        /// Do not ask
        #[arg(long)]
        yes: bool,
    },
    /// Carry everything to another back end, and check the tree's root there
    Copy(Copy),
}

#[derive(Debug, Args)]
pub(super) struct Copy {
    /// The empty store: postgres://USER@HOST/DATABASE?password_file=PATH, or a state folder
    #[arg(long, value_name = "URL|FOLDER")]
    to: String,
}

impl Store {
    pub(super) async fn run(self, session: &Session) -> Result<Exit, Failure> {
        match self {
            Self::Backup { file } => backup(session, &file).await,
            Self::Restore { file } => restore(session, &file).await,
            Self::Check => look(session).await,
            Self::Recover { without, yes } => begin_anew(session, &without, yes).await,
            Self::Copy(copy) => copy.run(session).await,
        }
    }
}

async fn backup(session: &Session, file: &Path) -> Result<Exit, Failure> {
    let places = session.places()?;
    let (sender, receiver) = mpsc::channel(QUEUE);
    let picture = async {
        match &places.store {
            Some(address) => PostgresStore::open(address.clone()).await?.dump(false, sender).await,
            None => dump_beside(&places.state, sender).await,
        }
    };
    if places.store.is_none() && !places.state.join("remint.db").is_file() {
        return Err(AppError::NotInitialised(places.state.clone()).into());
    }
    may_leave(session, &places).await?;
    let (sent, written) = tokio::join!(picture, dump::write(file, receiver));
    let tally = match (written, sent) {
        // What kept the store from being read is why the file is not whole.
        (Err(BackupError::Store(_)), Err(error)) => return Err(error.into()),
        (written, _) => written?,
    };
    told(session, file, &tally)?;
    if !session.json() {
        say("Sealed values and the signing key are not in it: a restore gets new ones by `remint store recover`.");
        next("keep it, and the anchor, where a restore of this machine does not reach");
    }
    Ok(Exit::Done)
}

async fn restore(session: &Session, file: &Path) -> Result<Exit, Failure> {
    let places = session.places()?;
    // The file is looked at before anything is made.
    dump::check(file)?;
    places.make_keys().await?;
    let store = places.alone().await?;
    let tally = dump::restore(file, &*store).await?;
    let anchor = mark_restored(&*store, &file.display().to_string()).await?;
    drop(store);
    // It can only be looked at until `recover`, which passes the gate too.
    governed(session, &places).await?;
    told(session, file, &tally)?;
    if !session.json() {
        if let Some(anchor) = anchor {
            say(&format!("Its anchor was {}.", anchor.display()));
        }
        say("The world went on without this state: it can be looked at, and changes nothing.");
        next("remint store recover");
    }
    Ok(Exit::Done)
}

fn told(session: &Session, file: &Path, tally: &Tally) -> Result<(), Failure> {
    if session.json() {
        return json(&json!({ "file": file, "holds": tally }));
    }
    let Tally { entries, records, checkpoints, leases } = tally;
    say(&format!(
        "{}: {entries} entries, {checkpoints} checkpoints, {records} records, {leases} leases.",
        file.display()
    ));
    Ok(())
}

async fn look(session: &Session) -> Result<Exit, Failure> {
    let app = session.open(HostRules::default(), EngineSettings::default()).await?;
    let checked = check(&app).await?;
    let Checked { entries, chains, resets, rotations, sealed, problems } = &checked;
    if session.json() {
        json(&checked)?;
    } else {
        let counts = [
            ("entries in the tree", *entries),
            ("chains", *chains as u64),
            ("resets", *resets as u64),
            ("rotations", *rotations as u64),
            ("sealed values", *sealed as u64),
        ];
        data(&table(["looked at", "count"], counts.map(|(name, count)| [name.to_owned(), count.to_string()])));
        for problem in problems {
            data(&format!("WRONG  {}: {}", problem.place, problem.what));
        }
        match (problems.is_empty(), &app.anchor) {
            (true, Some(anchor)) => {
                say(&format!("Nothing is wrong, and the anchor {} agrees.", anchor.path.display()));
            }
            (true, None) => {
                say("Nothing is wrong in itself; without an anchor nobody can say whether it is the newest.");
                next("name a place outside this machine with --anchor FILE, at this and every later command");
            }
            (false, _) if app.standing.is_sound() => {
                next("keep a copy of the state as it is, and compare it with a backup or an exported bundle");
            }
            (false, _) => next("remint store recover"),
        }
    }
    Ok(if problems.is_empty() { Exit::Done } else { Exit::Failed })
}

async fn begin_anew(session: &Session, without: &[String], yes: bool) -> Result<Exit, Failure> {
    let app = session.open(HostRules::default(), EngineSettings::default()).await?;
    let without: BTreeSet<Ref> = refs(without)?.into_iter().collect();
    if !app.standing.is_sound() && !yes && !asked("Begin the log anew, void every approval, and ask every issuer?")? {
        return Ok(Exit::Refused);
    }
    let done = recover(&app, &app.by(session.environment.user()), &without).await?;
    if session.json() {
        json(&done)?;
    } else {
        report(&done);
    }
    Ok(Exit::Done)
}

fn report(done: &Recovery) {
    if let Some(begun) = &done.begun {
        let lost = match begun.to {
            Some(to) if to > begun.from => format!("{} of its {to} entries are lost", to - begun.from),
            Some(_) => "none of its entries is lost".to_owned(),
            None => format!("{} of its entries are left, and nobody knows how many there were", begun.from),
        };
        say(&format!("The log {} ended: {lost}. It goes on as {}.", begun.before, begun.origin));
        if !begun.last_words {
            say("Its key is gone, so nothing but this word says which log comes after it.");
        }
        data(&format!("evidence key (public)  {}", begun.key));
        for reset in &begun.resets {
            data(&format!("reset {}: {}", reset.reset, reset.words));
        }
    }
    let seen = &done.reconciled;
    for (credential, why) in &seen.parked {
        data(&format!("parked {credential}: {why}"));
    }
    for finding in &seen.findings {
        data(&format!("finding {finding}: alive, and unknown here"));
    }
    for task in &seen.tasks {
        data(&format!("task {task}"));
    }
    say(&format!("Asked: {}.", if seen.asked.is_empty() { "no issuer".to_owned() } else { seen.asked.join(", ") }));
    if seen.to_be_asked > 0 {
        say(&format!("Open intents that are asked about before anything is done again: {}.", seen.to_be_asked));
    }
    next(match (seen.findings.is_empty(), seen.parked.is_empty()) {
        (false, _) => {
            "remint get findings, then remint decide FINDING adopt|revoke|except --reason …; then approve each reset anew"
        }
        (true, false) => "remint get rotations, then remint approve RESET and remint retry RESET",
        (true, true) => "remint get resets, and remint approve what should go on",
    });
}

impl From<BackupError> for Failure {
    fn from(error: BackupError) -> Self {
        match error {
            BackupError::Store(error) => error.into(),
            BackupError::There(_) | BackupError::Format { .. } => Self::new(Exit::Usage, error),
            BackupError::Io { .. } => Self::new(Exit::Failed, error),
        }
    }
}

impl Copy {
    async fn run(self, session: &Session) -> Result<Exit, Failure> {
        let to = self.to;
        let from = session.places()?;
        let target = if to.contains("://") {
            Places { store: Some(to.parse().map_err(AppError::from)?), ..from.clone() }
        } else {
            Places { state: to.clone().into(), store: None, ..from.clone() }
        };
        governed(session, &from).await?;
        let copied = copy(&from, &target).await?;
        if session.json() {
            json(&copied)?;
            return Ok(Exit::Done);
        }
        say(&format!(
            "Copied, and read again: {} records, {} sealed values, {} entries, {} of them under the same signed root.",
            copied.records, copied.sealed, copied.entries, copied.tree
        ));
        say("Never start the old one again: two that go on from here would fork the evidence.");
        next(&match target.store {
            Some(_) => format!("write `store: {to}` into {}/remint.yaml, then start the daemons", from.state.display()),
            None => format!("start the daemon with --state {to}"),
        });
        Ok(Exit::Done)
    }
}

/// What leaves a governed state passes its gate before.
async fn governed(session: &Session, places: &Places) -> Result<(), Failure> {
    let store = places.alone().await?;
    let governed = store.get(&crate::govern::marker()).await?.is_some();
    drop(store);
    if governed {
        session.open(HostRules::default(), EngineSettings::default()).await?;
    }
    Ok(())
}

/// A backup leaves the state by the word of somebody who may. Beside a daemon nothing can be written to its folder: there the
/// answer is no entry.
async fn may_leave(session: &Session, places: &Places) -> Result<(), Failure> {
    let gate = match &places.store {
        Some(address) => {
            let store = Arc::new(PostgresStore::open(address.clone()).await?);
            Gate::open(store, session.context.clone()).await?
        }
        None => {
            let seen = SqliteStore::open_in_memory()?;
            let puts = records_beside(&places.state, &DECIDED_BY).await?.into_iter().map(|(kind, record)| Put {
                key: Key { kind, id: record.id },
                scope: record.scope,
                body: record.body,
                rule: Rule::Upsert,
            });
            seen.commit(Change { puts: puts.collect(), ..Change::default() }).await?;
            Gate::open(Arc::new(seen), session.context.clone()).await?.of_read_only()
        }
    };
    if gate.governed() {
        gate.pass(&caller(), &session.environment.user(), Action::Restore, &Resource::Store).await?;
    }
    Ok(())
}

impl From<CopyError> for Failure {
    fn from(error: CopyError) -> Self {
        match error {
            CopyError::App(error) => error.into(),
            error => Self::new(Exit::Failed, error),
        }
    }
}
