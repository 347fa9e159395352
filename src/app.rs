//! Composition: one state folder, opened, with everything that works on it.

use std::collections::BTreeSet;
use std::io::{self, Read as _};
use std::path::{Path, PathBuf};
use std::sync::Arc;

use jiff::Timestamp;
use remint_contract::{HostRules, Kinds, Ref};
use remint_core::approval::Executor;
use remint_core::digest::Digest;
use remint_core::estate::history::HistoryError;
use remint_core::estate::{Era, Estate, History, Loaded, Problems, SourceFile, load};
use serde::{Deserialize, Serialize};
use serde_json::json;

use crate::app::keys::wrapping;
use crate::app::replica::Replica;
use crate::config::Configuration;
use crate::context::Context;
use crate::engine::observe::{Observer, Observers};
use crate::engine::record::{entry, kind, put, read};
use crate::engine::{Engine, EngineError, EngineSettings};
use crate::escrow::{Escrow, KekError, SystemRandomness};
use crate::evidence::Sequencer;
use crate::evidence::anchor::{Anchor, AnchorError, Remembered, Standing, standing};
use crate::evidence::elsewhere::ElsewhereError;
use crate::evidence::key::KeyError;
use crate::evidence::sequencer::SequencerError;
use crate::evidence::signer::Signer;
use crate::govern::{CharterError, Gate, GateError, Passed};
use crate::keeper::{Keeper, KeeperError};
use crate::privacy::fingerprint::{FingerprintError, Fingerprints};
use crate::privacy::persons::Discreet;
use crate::prober::{PublicProber, Remote};
use crate::store::postgres::{Address, AddressError, PostgresStore};
use crate::store::readonly::ReadOnly;
use crate::store::sqlite::SqliteStore;
use crate::store::{Change, Key, Rule, Store, StoreError};

pub mod copy;
mod governed;
mod keys;
mod replica;
mod signing;
mod streams;

/// The most that is read of one file; the loader refuses one that is larger than it takes, by its length.
const READ_AT_MOST: u64 = 8 << 20;

/// Where one state and its key lie.
#[derive(Debug, Clone)]
pub struct Places {
    pub state: PathBuf,
    /// A file, a folder, or `env:NAME`: see [`Keeping`].
    pub kek: PathBuf,
    /// The demo only: the key may lie in the state folder.
    pub same_folder: bool,
    /// Where the store is when it is not in the state folder.
    pub store: Option<Address>,
}

impl Places {
    /// The store alone, which nobody else uses: for what carries all of it from one place to another.
    ///
    /// # Errors
    /// It cannot be opened, or somebody uses it.
    pub async fn alone(&self) -> Result<Box<dyn Store>, StoreError> {
        Ok(match &self.store {
            None => Box::new(SqliteStore::open(&self.state)?),
            Some(address) => Box::new(PostgresStore::open_alone(address.clone()).await?),
        })
    }
}

/// An opened state.
pub struct App {
    pub engine: Engine,
    pub key: Arc<dyn Signer>,
    /// The way to a signing key that is kept elsewhere, where the configuration names one.
    pub signing: Option<Arc<Keeper>>,
    /// The way to the key that wraps those of the key file, where the configuration names one.
    pub wrapping: Option<Keeper>,
    pub sequencer: Arc<Sequencer>,
    pub folder: PathBuf,
    /// How the store stands to its anchor; where it is not sound, nothing can be changed through this.
    pub standing: Standing,
    /// The store as it is, for the recovery.
    pub store: Arc<dyn Store>,
    pub anchor: Option<Anchor>,
    /// What `remint.yaml` said when the state was opened.
    pub configuration: Configuration,
    /// What every entrance passes.
    pub gate: Gate,
    /// Who opened it, where that was asked: the command line alone.
    pub passed: Option<Passed>,
}

/// Why a state cannot be opened, or files not be loaded.
#[derive(Debug, thiserror::Error)]
pub enum AppError {
    #[error("{0} holds no remint state; make one with: remint init --single-operator")]
    NotInitialised(PathBuf),
    #[error(
        "say who may do what with this state: remint init --charter FOLDER, with policies and the table of persons; or that whoever holds it may do everything: remint init --single-operator"
    )]
    Governance,
    #[error(transparent)]
    Charter(#[from] CharterError),
    #[error(transparent)]
    Gate(#[from] GateError),
    #[error(transparent)]
    Address(#[from] AddressError),
    #[error("{path} cannot be understood: {why}")]
    Config { path: PathBuf, why: String },
    #[error(transparent)]
    Kek(#[from] KekError),
    #[error(transparent)]
    Key(#[from] KeyError),
    #[error(transparent)]
    Store(#[from] StoreError),
    #[error(transparent)]
    Signing(#[from] ElsewhereError),
    #[error("the key that {0} in remint.yaml names")]
    Keeper(&'static str, #[source] KeeperError),
    #[error("the log of this state is signed by a key that is kept elsewhere; `log` in remint.yaml must say where")]
    Elsewhere,
    #[error(transparent)]
    Anchor(#[from] AnchorError),
    #[error(transparent)]
    Sequencer(#[from] SequencerError),
    /// The sentence that says why nothing may be changed.
    #[error("{0}")]
    Behind(String),
    #[error(transparent)]
    Fingerprint(#[from] FingerprintError),
    #[error(transparent)]
    Engine(#[from] EngineError),
    #[error(transparent)]
    History(#[from] HistoryError),
    #[error(transparent)]
    Problems(#[from] Problems),
    #[error("cannot read {path}")]
    Read {
        path: PathBuf,
        #[source]
        source: io::Error,
    },
    #[error("{0} holds no .yaml or .yml file")]
    Empty(PathBuf),
}

/// The time in which an estate was active, as stored: the estate itself is kept once, by its digest.
#[derive(Debug, Clone, Serialize, Deserialize)]
struct EraRecord {
    estate: String,
    from: Timestamp,
    until: Option<Timestamp>,
}

/// Whether a state was made by this; somebody else may have been quicker.
fn made<T>(committed: Result<T, StoreError>) -> Result<bool, StoreError> {
    match committed {
        Ok(_) => Ok(true),
        Err(StoreError::Exists { .. }) => Ok(false),
        Err(error) => Err(error),
    }
}

impl App {
    /// Makes a state: the folder, the key-encryption key where it has to lie, the signing key. True when it is new.
    pub async fn init(places: &Places, context: &Context, kinds: Arc<dyn Kinds>) -> Result<(Self, bool), AppError> {
        Self::init_anchored(places, None, context, kinds).await
    }

    /// Makes a state whose checkpoints are written to a second place, too.
    pub async fn init_anchored(
        places: &Places,
        anchor: Option<PathBuf>,
        context: &Context,
        kinds: Arc<dyn Kinds>,
    ) -> Result<(Self, bool), AppError> {
        Box::pin(places.make_keys()).await?;
        let settings = EngineSettings::default();
        let app = Self::assemble(places, anchor, context, kinds, HostRules::default(), settings).await?;
        let marker = Key { kind: "state", id: "single-operator".to_owned() };
        if app.engine.store.get(&marker).await?.is_some() {
            return Ok((app, false));
        }
        let now = context.clock.now();
        let mut change = Change::default();
        change.puts.push(put(marker.kind, marker.id, "", &json!({ "since": now.to_string() }), Rule::Insert)?);
        let body = json!({ "governance": "ungoverned", "key": app.key.verifier().to_string() });
        change.entries.push(entry("state.created", now, None, None, &body));
        // Replicas begin at the same moment: one of them makes it.
        let new = made(app.engine.store.commit(change).await)?;
        if new && app.anchor.is_some() {
            app.sequencer.flush().await?;
        }
        Ok((app, new))
    }

    /// Opens a state that was made.
    pub async fn open(
        places: &Places,
        context: &Context,
        kinds: Arc<dyn Kinds>,
        rules: HostRules,
        settings: EngineSettings,
    ) -> Result<Self, AppError> {
        Self::open_anchored(places, None, context, kinds, rules, settings).await
    }

    /// Opens a state that was made, and compares it with its anchor: the one that is named, and the one that it had.
    pub async fn open_anchored(
        places: &Places,
        anchor: Option<PathBuf>,
        context: &Context,
        kinds: Arc<dyn Kinds>,
        rules: HostRules,
        settings: EngineSettings,
    ) -> Result<Self, AppError> {
        if places.store.is_none() && !places.state.is_dir() {
            return Err(AppError::NotInitialised(places.state.clone()));
        }
        let app = Self::assemble(places, anchor, context, kinds, rules, settings).await?;
        let marker = Key { kind: "state", id: "single-operator".to_owned() };
        if !app.gate.governed() && app.engine.store.get(&marker).await?.is_none() {
            return Err(AppError::NotInitialised(places.state.clone()));
        }
        Ok(app)
    }

    async fn assemble(
        places: &Places,
        anchor: Option<PathBuf>,
        context: &Context,
        kinds: Arc<dyn Kinds>,
        rules: HostRules,
        mut settings: EngineSettings,
    ) -> Result<Self, AppError> {
        let configuration = Configuration::read(&places.state)?;
        let rules = configuration.rules(rules);
        let raw: Arc<dyn Store> = match &places.store {
            None => Arc::new(SqliteStore::open(&places.state)?),
            Some(address) => {
                folder(&places.state)?;
                let failed = |source| AppError::Read { path: places.state.clone(), source };
                let replica = Replica::here(&places.state).map_err(failed)?;
                let name = match &replica {
                    Some(replica) => replica.name.clone(),
                    None => context.hex(8).map_err(EngineError::from)?,
                };
                settings.holder = format!("{}-{name}", settings.holder);
                let store = PostgresStore::open(address.clone()).await?;
                if replica.is_some() {
                    // What its predecessor sent last may still reach the store: with its leases let go, that is refused.
                    store.abandon(&settings.holder).await?;
                }
                // Whoever can still write under a name must be the only one who has it.
                Arc::new(store.keeping(replica))
            }
        };
        let wrapping = wrapping(&configuration)?;
        let kek = Box::pin(places.keys(wrapping.as_ref())).await?;
        let escrow = Arc::new(Escrow::new(kek, Box::new(SystemRandomness)));
        let signing = configuration.log.as_ref().map(Keeper::open).transpose();
        let signing = signing.map_err(|error| AppError::Keeper("`log`", error))?.map(Arc::new);
        let key = signing::open(places, &*raw, signing.as_ref(), &escrow).await?;
        settings.fingerprints = Fingerprints::open(&*raw, &escrow).await?;
        settings.observers = observers(&configuration, &places.state, &key)?;
        let anchor = match anchor {
            Some(path) => Some(std::path::absolute(&path).unwrap_or(path)),
            None => Remembered::of(&*raw).await?,
        };
        let anchor = anchor.map(|path| Anchor { path });
        let standing = standing(&*raw, key.verifier(), anchor.as_ref()).await?;
        let store: Arc<dyn Store> = if standing.is_sound() && configuration.commit_to_persons {
            Arc::new(Discreet::new(Arc::clone(&raw), context.clone()))
        } else if standing.is_sound() {
            Arc::clone(&raw)
        } else {
            Arc::new(ReadOnly::new(Arc::clone(&raw), standing.sentence()))
        };
        let written = anchor.clone().filter(|_| standing.is_sound());
        let sequencer = Sequencer::signed_by(
            Arc::clone(&store),
            Arc::clone(&key),
            Arc::clone(&context.clock),
            settings.holder.clone(),
        );
        let sequencer = Arc::new(sequencer.with_anchor(written));
        let gate = Gate::open(Arc::clone(&store), context.clone()).await?;
        let gate = if standing.is_sound() { gate } else { gate.of_read_only() };
        if gate.governed() {
            settings.executor = Some(Executor::Remint);
        }
        let engine = Engine::new(store, escrow, kinds, rules, context.clone(), settings);
        let engine = if standing.is_sound() { engine } else { engine.budgeted_in(Arc::clone(&raw)) };
        let folder = places.state.clone();
        let passed = None;
        let store = raw;
        Ok(Self {
            engine,
            key,
            signing,
            wrapping,
            sequencer,
            folder,
            standing,
            store,
            anchor,
            configuration,
            gate,
            passed,
        })
    }

    /// Refuses what would change something outside the store of a state that may only be looked at.
    ///
    /// # Errors
    /// It may only be looked at.
    pub fn writable(&self) -> Result<(), AppError> {
        if self.standing.is_sound() { Ok(()) } else { Err(AppError::Behind(self.standing.sentence())) }
    }

    /// Every estate that was active.
    pub async fn history(&self) -> Result<History, AppError> {
        let mut eras = Vec::new();
        for record in self.engine.store.list("era", None).await? {
            let era: EraRecord = read(record)?;
            eras.push(Era {
                estate: (*self.engine.estate(&era.estate).await?).clone(),
                from: era.from,
                until: era.until,
            });
        }
        eras.sort_by_key(|era| era.from);
        Ok(History { eras })
    }

    /// What would become active: the estate with the ghosts of what it no longer names.
    pub async fn staged(&self, estate: Estate) -> Result<Estate, AppError> {
        // Nothing is proven dead for good yet: a retired credential has no act of its own.
        Ok(self.history().await?.staged(estate, &BTreeSet::new()))
    }

    /// Makes an estate active, from now on, on somebody's word.
    pub async fn activate(&self, estate: Estate, by: &str) -> Result<Estate, AppError> {
        let now = self.engine.context.clock.now();
        let documents = estate.digest();
        let mut history = self.history().await?;
        let before = history.active().map(Estate::digest);
        let estate = history.activate(estate, now, &BTreeSet::new())?.clone();
        let digest = estate.digest();
        if before == Some(digest) {
            return Ok(estate);
        }
        let mut change = Change::default();
        change.puts.push(put(kind::ESTATE, digest.to_string(), "", &estate, Rule::Upsert)?);
        change.puts.push(put("active", "estate", "", &digest.to_string(), Rule::Upsert)?);
        change.puts.push(put("active", "documents", "", &documents.to_string(), Rule::Upsert)?);
        change.puts.push(put("active", "windows", "", &estate.windows, Rule::Upsert)?);
        for era in &history.eras {
            let body = EraRecord { estate: era.estate.digest().to_string(), from: era.from, until: era.until };
            change.puts.push(put("era", era.from.to_string(), "", &body, Rule::Upsert)?);
        }
        let body = json!({ "estate": digest.to_string(), "before": before.map(|before| before.to_string()), "by": by });
        change.entries.push(entry("estate.activated", now, None, None, &body));
        self.engine.store.commit(change).await?;
        Ok(estate)
    }

    /// The digest of the documents that the active estate was made of, without the ghosts that came to them.
    pub(crate) async fn active_documents(&self) -> Result<Option<Digest>, AppError> {
        let key = Key { kind: "active", id: "documents".to_owned() };
        Ok(self.engine.store.get(&key).await?.map(read).transpose()?)
    }

    /// Keeps that the active estate is what these documents say, where that was not known.
    pub(crate) async fn remember_documents(&self, documents: Digest) -> Result<(), AppError> {
        if self.active_documents().await? != Some(documents) {
            let mut change = Change::default();
            change.puts.push(put("active", "documents", "", &documents.to_string(), Rule::Upsert)?);
            self.engine.store.commit(change).await?;
        }
        Ok(())
    }
}

/// The probers that the configuration names.
fn observers(configuration: &Configuration, state: &Path, key: &Arc<dyn Signer>) -> Result<Observers, AppError> {
    let wrong = |why: String| AppError::Config { path: state.join("remint.yaml"), why };
    let mut observers: Vec<Arc<dyn Observer>> = Vec::new();
    for at in &configuration.probers {
        let parsed: Result<PublicProber, _> = at.prober.parse();
        let public = parsed.map_err(|error| wrong(format!("the prober at {}: {error}", at.url)))?;
        let remote = Remote::new(&at.url, public, Arc::clone(key), at.demand);
        let remote = remote.map_err(|error| wrong(error.without_url().to_string()))?;
        observers.push(Arc::new(remote.controlling(at.control)));
    }
    Ok(Observers(observers.into()))
}

/// What the log of a new state is called.
const FIRST_ORIGIN: &str = "remint";

/// The log that a note is a checkpoint of.
pub(crate) fn origin(note: &str) -> String {
    let name = note.lines().next().unwrap_or_default();
    if name.is_empty() { FIRST_ORIGIN.to_owned() } else { name.to_owned() }
}

/// What the log after this one is called: `remint`, `remint-2`, `remint-3`, …
pub(crate) fn successor(origin: &str) -> String {
    let numbered = origin.rsplit_once('-').and_then(|(name, number)| Some((name, number.parse::<u32>().ok()?)));
    match numbered {
        Some((name, number)) => format!("{name}-{}", number + 1),
        None => format!("{origin}-2"),
    }
}

/// Makes a state folder for its owner only: beside a store elsewhere it holds the socket.
fn folder(path: &Path) -> Result<(), AppError> {
    use std::os::unix::fs::DirBuilderExt as _;
    let made = std::fs::DirBuilder::new().recursive(true).mode(0o700).create(path);
    made.map_err(|source| AppError::Read { path: path.to_owned(), source })
}

/// Loads an estate from files and folders.
///
/// # Errors
/// A file that cannot be read, or every problem of all of them.
pub fn load_paths(paths: &[PathBuf], kinds: &dyn Kinds) -> Result<Loaded, AppError> {
    let files = sources(paths)?;
    Ok(load(&files, kinds)?)
}

/// Reads every YAML file below the paths, sorted by name.
fn sources(paths: &[PathBuf]) -> Result<Vec<SourceFile>, AppError> {
    let mut files = Vec::new();
    for path in paths {
        let failed = |source| AppError::Read { path: path.clone(), source };
        if std::fs::metadata(path).map_err(failed)?.is_file() {
            files.push(source(path)?);
            continue;
        }
        let mut folders = vec![path.clone()];
        let mut found = Vec::new();
        while let Some(folder) = folders.pop() {
            let failed = |source| AppError::Read { path: folder.clone(), source };
            for item in std::fs::read_dir(&folder).map_err(failed)? {
                let item = item.map_err(failed)?;
                let kind = item.file_type().map_err(failed)?;
                let hidden = item.file_name().to_string_lossy().starts_with('.');
                if kind.is_dir() && !hidden {
                    folders.push(item.path());
                } else if !hidden && is_yaml(&item.path()) {
                    found.push(item.path());
                }
            }
        }
        if found.is_empty() {
            return Err(AppError::Empty(path.clone()));
        }
        found.sort();
        for path in found {
            files.push(source(&path)?);
        }
    }
    Ok(files)
}

fn is_yaml(path: &Path) -> bool {
    path.extension().is_some_and(|extension| extension == "yaml" || extension == "yml")
}

fn source(path: &Path) -> Result<SourceFile, AppError> {
    let failed = |source| AppError::Read { path: path.to_owned(), source };
    let file = std::fs::File::open(path).map_err(failed)?;
    let mut bytes = Vec::new();
    file.take(READ_AT_MOST).read_to_end(&mut bytes).map_err(failed)?;
    Ok(SourceFile { name: path.display().to_string(), bytes })
}

/// The references that a set of names on a command line means.
///
/// # Errors
/// One of them is no reference.
pub fn refs(names: &[String]) -> Result<Vec<Ref>, EngineError> {
    names.iter().map(|name| name.parse().map_err(|error| EngineError::Refused(format!("{error}")))).collect()
}
