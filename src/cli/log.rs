//! `log`: the evidence log as a whole: published, verified, its key changed.

use std::path::{Path, PathBuf};

use clap::{Args, Subcommand};
use remint_contract::HostRules;
use remint_evidence_format::FormatError;
use remint_evidence_format::checkpoint::Checkpoint;
use remint_evidence_format::note::{Note, VerifierKey};
use remint_evidence_format::succession;
use remint_evidence_format::tile::{CHECKPOINT, Fault};
use serde_json::json;

use crate::app::App;
use crate::cli::output::{counted, data, json, next, say};
use crate::cli::witnesses::Witnesses;
use crate::cli::{Exit, Failure, Session};
use crate::engine::EngineSettings;
use crate::escrow::SystemRandomness;
use crate::evidence::Tiles;
use crate::evidence::key::Shelf;
use crate::evidence::publish::{audit_folder, publish, write};
use crate::evidence::rotation::{Link, Rotation};
use crate::evidence::witnessing::{checkpoint_over, unwitnessed};
use crate::evidence::years::Year;

#[derive(Debug, Subcommand)]
pub(super) enum Log {
    /// Print the newest checkpoint, with the cosignatures that there are
    Checkpoint,
    /// How far the log is, and how far its witnesses are
    Status,
    /// Write the log into a folder: tiles, checkpoint, the links between its keys, its closed years
    Publish {
        /// A new folder, or one that this log was published into before
        folder: PathBuf,
    },
    /// Verify a published log, offline; needs no state
    Verify(Verify),
    /// Take a new signing key for the same log; stop the daemon first
    RotateKey,
}

/// What a published log is held against.
#[derive(Debug, Args)]
pub(super) struct Verify {
    /// The folder that it was published into
    folder: PathBuf,
    /// The public key, as `remint init` printed it, or a newer one of the same log
    #[arg(long, value_name = "VKEY")]
    key: String,
    /// A checkpoint of this log that was seen before
    #[arg(long, value_name = "FILE")]
    seen: Vec<PathBuf>,
    #[command(flatten)]
    witnesses: Witnesses,
}

impl Log {
    pub(super) async fn run(self, session: &Session) -> Result<Exit, Failure> {
        match self {
            Self::Verify(verify) => verify.run(session),
            Self::Checkpoint => {
                let app = flushed(session).await?;
                data(&newest(&app).await?.1);
                Ok(Exit::Done)
            }
            Self::Status => status(session).await,
            Self::Publish { folder } => {
                let app = flushed(session).await?;
                let (size, note) = newest(&app).await?;
                let tiles = Tiles::new(app.engine.store.clone());
                let failed = |error| Failure::new(Exit::Failed, error);
                beside(&app, &folder).await?;
                let files = publish(&tiles, size, &note, &folder).await.map_err(failed)?;
                let key = app.key.verifier().to_string();
                if session.json() {
                    json(&json!({ "folder": folder, "entries": size, "files": files, "key": key }))?;
                } else {
                    say(&format!("{size} entries in {}; {files} files were written", folder.display()));
                    next(&format!("remint log verify {} --key {key}", folder.display()));
                }
                Ok(Exit::Done)
            }
            Self::RotateKey => rotate(session).await,
        }
    }
}

/// The links between the keys, and the closing checkpoints of the years.
async fn beside(app: &App, folder: &Path) -> Result<(), Failure> {
    let failed = |error: Box<dyn std::error::Error + Send + Sync>| Failure::new(Exit::Failed, error);
    let links = Link::all(&*app.engine.store).await.map_err(|error| failed(error.into()))?;
    for (number, link) in (1..).zip(links) {
        let path = folder.join(KEYS).join(format!("{number:04}.tlog-proof"));
        write(&path, link.proof.as_bytes()).map_err(|error| failed(error.into()))?;
    }
    for year in Year::all(&*app.engine.store).await.map_err(|error| failed(error.into()))? {
        let path = folder.join("years").join(year.year.to_string());
        write(&path, year.note.as_bytes()).map_err(|error| failed(error.into()))?;
    }
    Ok(())
}

async fn flushed(session: &Session) -> Result<App, Failure> {
    let app = session.open(HostRules::default(), EngineSettings::default()).await?;
    app.sequencer.flush().await.map_err(|error| Failure::new(Exit::Failed, error))?;
    Ok(app)
}

async fn newest(app: &App) -> Result<(u64, String), Failure> {
    let failed = |error| Failure::new(Exit::Failed, error);
    let size = app.engine.store.checkpoint().await.map_err(failed)?.map_or(0, |(size, _)| size);
    let newest = checkpoint_over(&*app.engine.store, size).await.map_err(failed)?;
    newest.ok_or_else(|| Failure::new(Exit::Failed, "the log is empty: nothing was signed yet"))
}

async fn status(session: &Session) -> Result<Exit, Failure> {
    let app = flushed(session).await?;
    let (size, _) = newest(&app).await?;
    let Some(policy) = app.configuration.witnesses(&app.folder)? else {
        if session.json() {
            json(&json!({ "entries": size, "witnesses": 0 }))?;
        } else {
            data(&format!(
                "{size} entries.\nNo witness sees this log: whoever has its key can show others another one."
            ));
            next("name witnesses in remint.yaml of the state folder; anybody can run one: remint witness --help");
        }
        return Ok(Exit::Done);
    };
    let store = &*app.engine.store;
    let failed = |error| Failure::new(Exit::Failed, error);
    let unwitnessed = unwitnessed(store, &policy.quorum).await.map_err(failed)?;
    let now = session.context.clock.now();
    let past = unwitnessed.age(now) > policy.alarm_after;
    if session.json() {
        json(&json!({
            "entries": size,
            "witnesses": policy.quorum.witnesses().len(),
            "quorum": policy.quorum.need(),
            "witnessed": unwitnessed.witnessed,
            "unwitnessed_since": unwitnessed.since.map(|since| since.to_string()),
            "unwitnessed_age_seconds": unwitnessed.age(now).as_secs(),
            "alarm": past,
        }))?;
    } else {
        data(&format!("{size} entries.\n{}", unwitnessed.sentence(now)));
        if past {
            next("look at the daemon's log for what the witnesses answer");
        }
    }
    Ok(if past { Exit::Failed } else { Exit::Done })
}

async fn rotate(session: &Session) -> Result<Exit, Failure> {
    let places = session.places()?;
    let app = session.open(HostRules::default(), EngineSettings::default()).await?;
    app.writable()?;
    let shelf = match (&app.signing, &places.store) {
        (Some(keeper), _) => Shelf::Elsewhere(keeper, &*app.engine.store, &app.folder),
        (None, None) => Shelf::Folder(&app.folder),
        (None, Some(_)) => Shelf::Store(&*app.engine.store),
    };
    let rotation = Rotation {
        store: app.engine.store.clone(),
        shelf,
        key: app.key.clone(),
        escrow: &app.engine.escrow,
        randomness: &SystemRandomness,
        clock: session.context.clock.clone(),
        holder: &app.engine.settings.holder,
        anchor: app.anchor.clone(),
    };
    let by = app.by(session.environment.user());
    let link = rotation.rotate(&by).await.map_err(|error| Failure::new(Exit::Failed, error))?;
    if session.json() {
        json(&json!({ "before": link.before, "after": link.after }))?;
    } else {
        data(&link.after);
        say("The log goes on under this key; the one before named it in the log and is gone.");
        next(
            "give the new key to every witness and auditor; who has the old one follows the links of `remint log publish`",
        );
    }
    Ok(Exit::Done)
}

impl Verify {
    fn run(self, session: &Session) -> Result<Exit, Failure> {
        let parsed = VerifierKey::parse(&self.key);
        let key = parsed.map_err(|error| Failure::usage(format!("--key is not the public key of a log: {error}")))?;
        let quorum = self.witnesses.quorum()?;
        let (mut holds, mut faults) = (Vec::new(), Vec::new());
        match self.opened(&key) {
            Err(fault) => faults.push(fault),
            Ok((checkpoint, text, followed)) => {
                let keys = followed.checkpoints.len();
                holds.push(format!("The checkpoint over {} entries has its signature.", checkpoint.size));
                if keys > 0 {
                    let links = counted(keys, "link", "links");
                    holds.push(format!("The key that was given leads to the one that signs today: {links}"));
                }
                if let Some(quorum) = quorum {
                    match Note::parse(text.as_bytes()).and_then(|note| quorum.check(&note)) {
                        Ok(witnessed) if witnessed.holds() => holds.push(witnessed.sentence()),
                        Ok(witnessed) => faults.push(fault(CHECKPOINT, witnessed.sentence())),
                        Err(error) => faults.push(fault(CHECKPOINT, error)),
                    }
                }
                match self.seen(&key, &followed.key) {
                    Err(fault) => faults.push(fault),
                    Ok(seen) => {
                        let found = audit_folder(&self.folder, &checkpoint, &seen);
                        if found.is_empty() {
                            holds.push("Every entry is there, follows the one before, and is in the tree.".to_owned());
                            if !seen.is_empty() {
                                holds.push("What was seen before is the beginning of this log.".to_owned());
                            }
                        }
                        faults.extend(found);
                    }
                }
            }
        }
        let ok = faults.is_empty();
        if session.json() {
            let faults: Vec<_> =
                faults.iter().map(|fault| json!({ "place": fault.place, "what": fault.what })).collect();
            json(&json!({ "ok": ok, "holds": holds, "faults": faults }))?;
        } else {
            for line in &holds {
                data(line);
            }
            for fault in &faults {
                data(&format!("WRONG {fault}"));
            }
        }
        Ok(if ok { Exit::Done } else { Exit::Failed })
    }

    /// The checkpoint, its note, and where the links lead from the key that was given: to the one that signed it.
    fn opened(&self, key: &VerifierKey) -> Result<(Checkpoint, String, succession::Followed), Fault> {
        let text = self.read(Path::new(CHECKPOINT))?;
        let keys = self.keys(key)?;
        let checkpoint = Checkpoint::open(text.as_bytes(), &keys.key).map_err(|error| fault(CHECKPOINT, error))?;
        Ok((checkpoint, text, keys))
    }

    /// Where the links of the folder lead from a key.
    fn keys(&self, key: &VerifierKey) -> Result<succession::Followed, Fault> {
        let mut links = Vec::new();
        for number in 1.. {
            let name = PathBuf::from(KEYS).join(format!("{number:04}.tlog-proof"));
            if !self.folder.join(&name).exists() {
                break;
            }
            links.push(self.read(&name)?);
        }
        succession::follow(key, links.iter().map(String::as_bytes)).map_err(|error| fault(KEYS, error))
    }

    /// The checkpoints that were seen before, each signed by some key that the given one leads to.
    fn seen(&self, key: &VerifierKey, last: &VerifierKey) -> Result<Vec<Checkpoint>, Fault> {
        let mut seen = Vec::new();
        for path in &self.seen {
            let place = path.display().to_string();
            let text = std::fs::read(path).map_err(|error| fault(&place, error))?;
            let opened = Checkpoint::open(&text, key).or_else(|error: FormatError| match error {
                FormatError::Unsigned { .. } => Checkpoint::open(&text, last),
                error => Err(error),
            });
            seen.push(opened.map_err(|error| fault(&place, error))?);
        }
        Ok(seen)
    }

    fn read(&self, name: &Path) -> Result<String, Fault> {
        std::fs::read_to_string(self.folder.join(name)).map_err(|error| fault(&name.display().to_string(), error))
    }
}

fn fault(place: &str, what: impl std::fmt::Display) -> Fault {
    Fault { place: place.to_owned(), what: what.to_string() }
}

/// The folder of the links between keys.
const KEYS: &str = "keys";
