//! `keys list|rotate|rewrap|add-recipient|destroy`.

use std::path::PathBuf;

use clap::Subcommand;
use remint_contract::HostRules;
use serde_json::json;

use crate::app::App;
use crate::cli::estate::typed;
use crate::cli::output::{counted, data, json, next, say, table};
use crate::cli::{Exit, Failure, Session};
use crate::engine::EngineSettings;
use crate::engine::record::entry;
use crate::escrow::kek::edit;
use crate::escrow::{Escrow, Keeping, SystemRandomness};
use crate::keys::{KeysError, Rewrapped, destroy, needs, rewrap};
use crate::store::Change;

#[derive(Debug, Subcommand)]
pub(super) enum Keys {
    /// Generations, recovery keys, and how many sealed values need each
    List,
    /// Make a new generation, which seals everything from now on
    Rotate {
        /// Wrap everything that is sealed now under it, too
        #[arg(long)]
        rewrap: bool,
    },
    /// Wrap everything that is sealed for the newest generation and every recovery key; goes on where it was interrupted
    Rewrap,
    /// Have the service that `keys` in remint.yaml names wrap what lies in the key file in the clear
    Wrap,
    /// Have everything wrapped for a recovery key too: either key file alone opens everything
    AddRecipient {
        /// The recovery key file: made when it is not there. Keep it away from this machine
        file: PathBuf,
    },
    /// Delete a generation that nothing needs any more
    Destroy {
        generation: u64,
        /// Say that you mean it: destroy-generation-N
        #[arg(long)]
        words: Option<String>,
    },
}

impl Keys {
    pub(super) async fn run(self, session: &Session) -> Result<Exit, Failure> {
        let app = session.open(HostRules::default(), EngineSettings::default()).await?;
        if !matches!(self, Self::List) {
            // The key file is changed before the store would refuse.
            app.writable()?;
        }
        match self {
            Self::List => list(session, &app).await?,
            Self::Rotate { rewrap } => rotate(session, &app, rewrap).await?,
            Self::Rewrap => return wrapped(session, &app).await,
            Self::Wrap => return wrap(session, &app).await,
            Self::AddRecipient { file } => return add_recipient(session, &app, &file).await,
            Self::Destroy { generation, words } => return let_go(session, &app, generation, words).await,
        }
        Ok(Exit::Done)
    }
}

async fn list(session: &Session, app: &App) -> Result<(), Failure> {
    let places = session.places()?;
    let kek = app.engine.escrow.kek();
    let needs = needs(&*app.engine.store, &app.folder).await?;
    let newest = kek.generations().max();
    let mut generations: Vec<u64> =
        kek.generations().chain(needs.values.keys().copied()).chain(needs.signing).collect();
    generations.sort_unstable();
    generations.dedup();
    let there = |generation: &u64| kek.generations().any(|known| known == *generation);
    let values = |generation: &u64| needs.values.get(generation).copied().unwrap_or(0);
    if session.json() {
        let generations: Vec<_> = generations
            .iter()
            .map(|generation| {
                json!({ "generation": generation, "here": there(generation), "seals": newest == Some(*generation),
                    "values": values(generation), "signing_key": needs.signing == Some(*generation) })
            })
            .collect();
        let recovery: Vec<_> =
            kek.recoveries().into_iter().map(|(public, own)| json!({ "public": public, "here": own })).collect();
        return json(
            &json!({ "kept_in": Keeping::of(&places.kek).to_string(), "generations": generations, "recovery": recovery }),
        );
    }
    let rows = generations.iter().map(|generation| {
        let role = match (there(generation), newest == Some(*generation)) {
            (_, true) => "seals and opens",
            (true, false) => "opens",
            (false, _) if *generation == 0 => "recovery keys only",
            (false, _) => "NOT in this key file",
        };
        let signing = if needs.signing == Some(*generation) { "yes" } else { "" };
        [generation.to_string(), role.to_owned(), values(generation).to_string(), signing.to_owned()]
    });
    data(&table(["generation", "what it does", "sealed values", "signing key"], rows));
    for (public, own) in kek.recoveries() {
        let place = if own { "its private half is in this key file" } else { "its private half is elsewhere" };
        data(&format!("recovery key {public}: {place}"));
    }
    say(&format!("Kept in {}.", Keeping::of(&places.kek)));
    if kek.recoveries().is_empty() {
        next("remint keys add-recipient FILE: without a recovery key, losing the key file loses every sealed value");
    } else {
        next("remint keys rotate --rewrap, when it is time or when somebody saw the key file");
    }
    Ok(())
}

async fn rotate(session: &Session, app: &App, anew: bool) -> Result<(), Failure> {
    let places = session.places()?;
    let kek = app.engine.escrow.kek();
    let above = needs(&*app.engine.store, &app.folder).await?.newest();
    let key = places.fresh(app.wrapping.as_ref()).await.map_err(KeysError::from)?;
    let generation = edit::add_generation(&places.kek, kek, above, &key).map_err(KeysError::from)?;
    note(session, app, "key.rotated", &json!({ "generation": generation, "by": app.by(session.environment.user()) }))
        .await?;
    let done = if anew { Some(exchange(session, app).await?) } else { None };
    if session.json() {
        return json(&json!({ "generation": generation, "rewrapped": done }));
    }
    say(&format!("Generation {generation} seals everything from now on; a daemon takes it up when it starts again."));
    match &done {
        Some(done) => tell(done),
        None => say("What was sealed before stays under its own generation."),
    }
    let old = kek.generations().filter(|old| *old != generation).max();
    next(&match (done, old) {
        (None, _) => "remint keys rewrap".to_owned(),
        (Some(_), Some(old)) => format!("remint keys destroy {old}, when no copy of the state needs it any more"),
        (Some(_), None) => "remint keys list".to_owned(),
    });
    Ok(())
}

async fn wrapped(session: &Session, app: &App) -> Result<Exit, Failure> {
    let done = exchange(session, app).await?;
    if session.json() {
        json(&done)?;
    } else {
        tell(&done);
        next("remint keys list");
    }
    Ok(if done.unopened.is_empty() { Exit::Done } else { Exit::Failed })
}

async fn wrap(session: &Session, app: &App) -> Result<Exit, Failure> {
    let Some(keeper) = &app.wrapping else {
        let what = "nothing was changed; write `keys` into remint.yaml first, with `transit` or `kms`: whose key wraps";
        return Err(Failure::new(Exit::Refused, what.to_owned()));
    };
    let keys = session.places()?.wrap(keeper).await.map_err(KeysError::from)?;
    if keys > 0 {
        note(session, app, "key.wrapped", &json!({ "keys": keys, "by": app.by(session.environment.user()) })).await?;
    }
    if session.json() {
        json(&json!({ "wrapped": keys }))?;
    } else {
        say(&counted(keys, "key was wrapped", "keys were wrapped"));
        next("remint keys rotate --rewrap, when somebody may have a copy of the file as it was");
    }
    Ok(Exit::Done)
}

async fn add_recipient(session: &Session, app: &App, file: &std::path::Path) -> Result<Exit, Failure> {
    let places = session.places()?;
    let kek = app.engine.escrow.kek();
    let public = edit::recovery_file(file, kek, &places.state, &SystemRandomness).map_err(KeysError::from)?;
    if edit::add_recipient(&places.kek, kek, &public).map_err(KeysError::from)? {
        let body = json!({ "public": public, "by": app.by(session.environment.user()) });
        note(session, app, "key.recipient-added", &body).await?;
    }
    let done = exchange(session, app).await?;
    if session.json() {
        json(&json!({ "public": public, "file": file, "rewrapped": done }))?;
    } else {
        say(&format!("The recovery key {} opens everything too; its private half is in {}.", public, file.display()));
        tell(&done);
        next(&format!(
            "take {} away from this machine; remint --kek {0} opens the state with it alone",
            file.display()
        ));
    }
    Ok(if done.unopened.is_empty() { Exit::Done } else { Exit::Failed })
}

async fn let_go(session: &Session, app: &App, generation: u64, words: Option<String>) -> Result<Exit, Failure> {
    let places = session.places()?;
    let meant = format!("destroy-generation-{generation}");
    let said = match words {
        Some(words) => words,
        None => typed(&meant)?,
    };
    if said != meant {
        return Err(Failure::new(Exit::Refused, format!("nothing was changed; to mean it, say: --words {meant}")));
    }
    app.engine.purge().await?;
    let (store, kek) = (&*app.engine.store, app.engine.escrow.kek());
    destroy(store, &places, kek, generation, &app.by(session.environment.user()), &session.context).await?;
    app.sequencer.flush().await.map_err(|error| Failure::new(Exit::Failed, error))?;
    if session.json() {
        json(&json!({ "destroyed": generation }))?;
    } else {
        say(&format!(
            "Generation {generation} is destroyed: no copy of what was sealed under it alone opens any more."
        ));
        say("Copies of the key file itself, and recovery keys, are yours to look after.");
        next("remint keys list");
    }
    Ok(Exit::Done)
}

/// Wraps anew with the key as it is now, which this command may just have changed.
async fn exchange(session: &Session, app: &App) -> Result<Rewrapped, Failure> {
    let kek = session.places()?.keys(app.wrapping.as_ref()).await.map_err(KeysError::from)?;
    let escrow = Escrow::new(kek, Box::new(SystemRandomness));
    let done = rewrap(&*app.engine.store, &escrow, &app.folder, &session.context).await?;
    app.sequencer.flush().await.map_err(|error| Failure::new(Exit::Failed, error))?;
    Ok(done)
}

fn tell(done: &Rewrapped) {
    say(&counted(done.values, "sealed value was wrapped anew", "sealed values were wrapped anew"));
    if done.signing_key {
        say("The signing key was wrapped anew.");
    }
    for id in &done.unopened {
        say(&format!("NOT wrapped anew: {id} does not open with this key."));
    }
}

async fn note(session: &Session, app: &App, word: &str, body: &serde_json::Value) -> Result<(), Failure> {
    let entries = vec![entry(word, session.context.clock.now(), None, None, body)];
    app.engine.store.commit(Change { entries, ..Change::default() }).await?;
    app.sequencer.flush().await.map_err(|error| Failure::new(Exit::Failed, error))?;
    Ok(())
}

impl From<KeysError> for Failure {
    fn from(error: KeysError) -> Self {
        let exit = match &error {
            KeysError::Kek(_) | KeysError::Busy | KeysError::Needed { .. } => Exit::Refused,
            KeysError::Signing(_) | KeysError::Store(_) | KeysError::Random(_) => Exit::Failed,
        };
        Self::new(exit, error)
    }
}
