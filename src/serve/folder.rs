//! The estate folder: read when it changed, staged, and active only on somebody's word.
//!
//! Flow: [`Folder::look`] compares a stamp of the folder (every document's size and times) with the last one, reads it
//! when they differ, and compares what it says with the active estate. The first estate of a state is made active at
//! once. Later a change without authority is, too; one with authority is staged until [`Folder::activate`]. Where the state is
//! governed nothing becomes active by itself: every change waits for somebody who may `change-estate`.
//!
//! Polling, not notification: a stamp costs one `stat` a document, works on every file system (network mounts, mounted
//! config maps and bind mounts deliver no or strange events), and a queue of events that overflowed would need it anyway.
//!
//! Guarantees: a folder that cannot be read, or has a problem, changes nothing that is active; of a cluster, where many write
//! who do not know one another, that is said of each namespace by itself ([`load_apart`]); every problem is kept with
//! its position until the folder is good again, and logged once. A folder that says what is active already is read by
//! another process only ([`reader`]), and the active estate not at all.

mod reader;
mod stamp;

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use remint_contract::Name;
use remint_core::digest::Digest;
use remint_core::estate::{Apart, Estate, EstateDiff, Loaded, Problem, load_apart};

use crate::app::{App, AppError, load_paths};
use crate::evidence::acts::{self, Act};
use crate::govern::{GateError, Passed};
use crate::serve::cluster::Mirror;
use crate::serve::folder::reader::unreadable;
use crate::serve::folder::stamp::Stamp;
use crate::serve::{Stopping, aside, causes};

pub use reader::{COMMAND, Reader, Reading};

/// Where the documents lie.
#[derive(Clone)]
pub(super) enum Documents {
    Folder(PathBuf, Reader),
    /// Custom resources of a cluster, as they were seen last.
    Cluster(Arc<Mirror>),
}

/// A watched folder, or a watched cluster.
pub(super) struct Folder {
    documents: Documents,
    by: String,
    app: Arc<App>,
    /// The folder as it was read last. Held while it is read, so that one at a time looks.
    last: tokio::sync::Mutex<Option<Looked>>,
    standing: Mutex<Standing>,
}

/// What the folder says, beside what is active.
#[derive(Debug, Clone, Default)]
pub(super) struct Standing {
    pub(super) active: Option<Digest>,
    pub(super) staged: Option<Staged>,
    /// Why the folder is not taken, or not the whole cluster; empty when it is.
    pub(super) problems: Vec<Problem>,
    /// The namespaces of a cluster that stay as they are active, and why.
    pub(super) held: BTreeMap<Name, Vec<Problem>>,
    /// What somebody should look at.
    pub(super) notes: Vec<Problem>,
}

/// An estate that waits for somebody's word.
#[derive(Debug, Clone)]
pub(super) struct Staged {
    /// Of what would become active: the documents with the ghosts of what they no longer name.
    pub(super) digest: Digest,
    pub(super) diff: EstateDiff,
    estate: Estate,
}

/// Why a staged estate did not become active.
#[derive(Debug, thiserror::Error)]
pub(super) enum NotActivated {
    #[error("nothing is staged; GET /v1/estate says why: the folder has problems, or equals the active estate")]
    NothingStaged,
    #[error("{0} is staged now, not that; look at its difference, then say its digest")]
    Other(Digest),
    #[error(transparent)]
    App(#[from] AppError),
    #[error(
        "estate {0} changes what protects it: it is proposed, and becomes active when a second person activates the same"
    )]
    Proposed(Digest),
}

/// What was looked at last.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Looked {
    Folder(Stamp),
    Cluster(u64),
}

/// Whether a folder is read that looks as it did last time.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Look {
    IfChanged,
    Always,
}

impl Folder {
    /// Reads the folder for the first time.
    ///
    /// # Errors
    /// No estate is active, and this folder gives none, or may not by itself: there would be nothing to serve.
    pub(super) async fn open(documents: Documents, by: String, app: Arc<App>) -> Result<Self, AppError> {
        let active = app.engine.active_digest().await?;
        let standing = Mutex::new(Standing { active, ..Standing::default() });
        let folder = Self { documents, by, app, last: tokio::sync::Mutex::default(), standing };
        // What a cluster holds waits there for somebody's word, and he gives it to a daemon that runs.
        let (cluster, governed) = (matches!(&folder.documents, Documents::Cluster(_)), folder.app.gate.governed());
        if active.is_none() && governed && !cluster {
            let why = "no estate is active, and nobody is here who may make one so: remint estate activate PATH";
            return Err(GateError::Refused(why.to_owned()).into());
        }
        // Nobody waits at a cluster that nothing was applied to yet.
        let empty = matches!(&folder.documents, Documents::Cluster(mirror) if mirror.documents().is_empty());
        if active.is_none() && !governed && !empty {
            // What is wrong in a cluster stands in the conditions of its objects.
            if let Some(loaded) = folder.load().await?.loaded {
                folder.app.activate(loaded.estate, &folder.by).await?;
            }
        }
        folder.look(Look::Always).await?;
        Ok(folder)
    }

    /// Where the documents lie, for people.
    pub(super) fn place(&self) -> String {
        match &self.documents {
            Documents::Folder(path, _) => path.display().to_string(),
            Documents::Cluster(_) => "the cluster".to_owned(),
        }
    }

    /// How things stand now.
    pub(super) fn standing(&self) -> Standing {
        self.standing.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// Looks every so often until the stop.
    pub(super) async fn watch(&self, every: Duration, stopping: Stopping) {
        let mut stopped = std::pin::pin!(stopping.stopped());
        loop {
            tokio::select! {
                () = &mut stopped => return,
                () = self.app.engine.context.clock.sleep(every) => {}
            }
            if let Err(error) = self.look(Look::IfChanged).await {
                tracing::error!(error = causes(&error), "the folder could not be compared with the active estate");
            }
        }
    }

    /// Reads the folder and stages what it says.
    ///
    /// # Errors
    /// The state fails; what is wrong with the folder is no error but how things stand.
    pub(super) async fn look(&self, look: Look) -> Result<(), AppError> {
        let mut last = self.last.lock().await;
        self.look_once(&mut last, look).await
    }

    async fn look_once(&self, last: &mut Option<Looked>, look: Look) -> Result<(), AppError> {
        // Taken before the reading: what is edited meanwhile shows at the next look.
        let stamp = match &self.documents {
            Documents::Folder(path, _) => {
                let path = path.clone();
                Looked::Folder(aside(move || Stamp::of(&path)).await)
            }
            Documents::Cluster(mirror) => Looked::Cluster(mirror.version()),
        };
        if look == Look::IfChanged && *last == Some(stamp) {
            return Ok(());
        }
        // Until the reading succeeded, the next look reads again.
        *last = None;
        if !self.settled_elsewhere().await? {
            match self.load().await {
                Ok(Apart { loaded: Some(loaded), held }) => self.stage(loaded, held).await?,
                Ok(Apart { loaded: None, held }) => self.broken(flat(&held), held),
                Err(AppError::Problems(problems)) => self.broken(problems.0, BTreeMap::new()),
                Err(error @ (AppError::Read { .. } | AppError::Empty(_))) => {
                    self.broken(vec![unreadable(Path::new(&self.place()), &error)], BTreeMap::new());
                }
                Err(error) => return Err(error),
            }
        }
        *last = Some(stamp);
        Ok(())
    }

    /// Has another process read the folder. True when that was enough: what it says is active, or cannot become it.
    async fn settled_elsewhere(&self) -> Result<bool, AppError> {
        let Documents::Folder(path, reader) = &self.documents else { return Ok(false) };
        let reading = reader.read(path).await.unwrap_or_else(|error| {
            tracing::warn!(error = causes(&error), "the folder is read by the daemon itself");
            None
        });
        match reading {
            None => Ok(false),
            Some(Reading::Bad(problems)) => {
                self.broken(problems, BTreeMap::new());
                Ok(true)
            }
            Some(Reading::Good { documents, notes }) => {
                let active = self.app.engine.active_digest().await?;
                if active.is_none() || self.app.active_documents().await? != Some(documents) {
                    return Ok(false);
                }
                self.stand(Standing { active, notes, ..Standing::default() });
                Ok(true)
            }
        }
    }

    /// Makes the staged estate active, when it is still the one that was looked at.
    pub(super) async fn activate(&self, digest: Digest, by: &str) -> Result<Digest, NotActivated> {
        self.make_active(digest, by, None).await
    }

    /// The same, by somebody whom the gate let through: what protects the estate takes a second person.
    pub(super) async fn activate_by(&self, digest: Digest, passed: &Passed) -> Result<Digest, NotActivated> {
        self.make_active(digest, &passed.by, Some(passed)).await
    }

    async fn make_active(&self, digest: Digest, by: &str, passed: Option<&Passed>) -> Result<Digest, NotActivated> {
        let mut last = self.last.lock().await;
        // What stands in the folder now, not at the last look.
        self.look_once(&mut last, Look::Always).await?;
        let staged = self.standing().staged.ok_or(NotActivated::NothingStaged)?;
        if staged.digest != digest {
            return Err(NotActivated::Other(staged.digest));
        }
        let digest = match passed {
            None => self.app.activate(staged.estate, by).await?,
            Some(passed) => {
                self.app.activate_by(staged.estate, passed).await?.ok_or(NotActivated::Proposed(staged.digest))?
            }
        }
        .digest();
        tracing::info!(estate = %digest, by, "a staged estate is active");
        self.change(|standing| {
            standing.active = Some(digest);
            standing.staged = None;
        });
        Ok(digest)
    }

    async fn load(&self) -> Result<Apart, AppError> {
        let (documents, kinds) = (self.documents.clone(), Arc::clone(&self.app.engine.kinds));
        let active = match &documents {
            Documents::Folder(..) => None,
            Documents::Cluster(_) => self.app.engine.active_estate().await?,
        };
        aside(move || match documents {
            Documents::Folder(path, _) => {
                Ok(Apart { loaded: Some(load_paths(&[path], &*kinds)?), held: BTreeMap::new() })
            }
            Documents::Cluster(mirror) => Ok(load_apart(&mirror.documents(), &active.unwrap_or_default(), &*kinds)),
        })
        .await
    }

    async fn stage(&self, loaded: Loaded, held: BTreeMap<Name, Vec<Problem>>) -> Result<(), AppError> {
        let documents = loaded.estate.digest();
        let next = self.app.staged(loaded.estate.clone()).await?;
        let active = self.app.engine.active_estate().await?.unwrap_or_default();
        let (before, digest) = (active.digest(), next.digest());
        let diff = active.diff(&next);
        let problems = flat(&held);
        let mut now = Standing { active: Some(before), staged: None, problems, held, notes: loaded.notes };
        let governed = self.app.gate.governed();
        if before != digest && !governed && diff.authority().next().is_none() {
            self.app.activate(loaded.estate, &self.by).await?;
            tracing::info!(estate = %digest, "a change without authority is active");
            now.active = Some(digest);
        } else if before != digest {
            let known = self.standing().staged.is_some_and(|staged| staged.digest == digest);
            if !known && governed {
                let what = Act::Staged {
                    estate: &digest.to_string(),
                    active: &before.to_string(),
                    changes: diff.authority().count(),
                };
                acts::record(&*self.app.engine.store, &self.app.engine.context, what).await?;
            }
            if !known {
                tracing::warn!(staged = %digest, active = %before, "a change is staged: it waits for `remint estate activate`");
            }
            now.staged = Some(Staged { digest, diff, estate: loaded.estate });
        } else if before == digest {
            self.app.remember_documents(documents).await?;
        }
        self.stand(now);
        Ok(())
    }

    /// Keeps what is wrong; the estates stay as they are, and what was staged is not what the folder says any more.
    fn broken(&self, problems: Vec<Problem>, held: BTreeMap<Name, Vec<Problem>>) {
        self.stand(Standing { staged: None, problems, held, ..self.standing() });
    }

    /// Keeps how things stand, and logs what is new in it.
    fn stand(&self, now: Standing) {
        let before = self.standing().problems;
        if before != now.problems && now.problems.is_empty() {
            tracing::info!("the folder is good again");
        }
        if before != now.problems {
            let stays = if now.held.is_empty() { "the active estate" } else { "its namespace" };
            for problem in &now.problems {
                tracing::error!(%problem, "the folder is not taken; {stays} stays");
            }
        }
        self.change(|standing| *standing = now);
    }

    fn change(&self, change: impl FnOnce(&mut Standing)) {
        change(&mut self.standing.lock().unwrap_or_else(PoisonError::into_inner));
    }
}

/// Of all of them, each once.
fn flat(held: &BTreeMap<Name, Vec<Problem>>) -> Vec<Problem> {
    let mut all: Vec<Problem> = held.values().flatten().cloned().collect();
    all.sort();
    all.dedup();
    all
}
