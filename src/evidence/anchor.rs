//! The anchor: the newest checkpoint, a second time, outside the store. A store that lies behind it was restored.
//!
//! Flow: the sequencer writes the anchor after each checkpoint is durable ([`Anchor::write`]); every open of a state
//! compares ([`standing`]); what is not sound is only looked at, until `remint store recover`.
//!
//! Guarantees: the file is there in full or not at all, and never goes back within one log. A state that had an anchor
//! remembers where, so that taking the file away is noticed too.
//!
//! Assumption: the anchor lies where a restore of the store does not reach. Whoever can write both can still turn both back;
//! a witness is what ends that.

use std::io;
use std::path::PathBuf;

use remint_evidence_format::checkpoint::Checkpoint;
use remint_evidence_format::note::{Note, VerifierKey};
use remint_evidence_format::tree::{Frontier, Hash};
use remint_evidence_format::{FormatError, entry};
use serde::{Deserialize, Serialize};

use crate::durable::replace;
use crate::store::{Key, Store, StoreError};

/// Why the anchor could not be read or written.
#[derive(Debug, thiserror::Error)]
pub enum AnchorError {
    #[error("could not {verb} the anchor {path}")]
    Io {
        verb: &'static str,
        path: PathBuf,
        #[source]
        source: io::Error,
    },
    #[error(
        "the anchor {path} is at entry {there} of the log and this state at {here}: somebody else writes there; nothing was written"
    )]
    Ahead { path: PathBuf, there: u64, here: u64 },
    #[error("a record of the state cannot be read")]
    Store(#[from] StoreError),
}

/// A file with the newest checkpoint.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Anchor {
    pub path: PathBuf,
}

/// What a state remembers of its anchor.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Remembered {
    pub path: PathBuf,
}

impl Remembered {
    pub fn key() -> Key {
        Key { kind: "anchor", id: "file".to_owned() }
    }

    /// The anchor that was written last, when there ever was one.
    pub async fn of(store: &dyn Store) -> Result<Option<PathBuf>, StoreError> {
        let record = store.get(&Self::key()).await?.map(crate::engine::record::read::<Self>).transpose()?;
        Ok(record.map(|remembered| remembered.path))
    }
}

impl Anchor {
    /// The note that is there.
    ///
    /// # Errors
    /// It is there and cannot be read.
    pub fn read(&self) -> Result<Option<String>, AnchorError> {
        match std::fs::read_to_string(&self.path) {
            Ok(text) => Ok(Some(text)),
            Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(None),
            Err(source) => Err(AnchorError::Io { verb: "read", path: self.path.clone(), source }),
        }
    }

    /// Puts a checkpoint of `origin` and `size` there.
    ///
    /// # Errors
    /// It cannot be written, or a larger checkpoint of the same log is there.
    pub fn write(&self, note: &str, origin: &str, size: u64) -> Result<(), AnchorError> {
        if let Some(there) = self.read()?.and_then(|text| parse(&text).ok())
            && there.origin == origin
            && there.size > size
        {
            return Err(AnchorError::Ahead { path: self.path.clone(), there: there.size, here: size });
        }
        replace(&self.path, note.as_bytes()).map_err(|source| AnchorError::Io {
            verb: "write",
            path: self.path.clone(),
            source,
        })
    }
}

fn parse(note: &str) -> Result<Checkpoint, FormatError> {
    Checkpoint::parse(Note::parse(note.as_bytes())?.text)
}

/// How a store stands to its own log and to its anchor.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Standing {
    Sound,
    /// It was made from a backup, which holds no sealed value and no signing key.
    Restored,
    /// Its log was begun anew, and the issuers were not all asked since.
    Unreconciled,
    /// The key that signed its newest checkpoint is not here any more.
    KeyGone {
        origin: String,
    },
    /// It ends before its anchor.
    Behind {
        here: u64,
        anchor: Checkpoint,
        path: PathBuf,
    },
    /// It goes as far as the anchor, and says something else.
    Forked {
        here: u64,
        anchor: Checkpoint,
        path: PathBuf,
    },
    /// The anchor is of another log, or not signed by this state's key.
    Other {
        path: PathBuf,
        why: String,
    },
    /// It had an anchor, and that is gone.
    Missing {
        path: PathBuf,
    },
}

impl Standing {
    pub fn is_sound(&self) -> bool {
        *self == Self::Sound
    }

    /// The sentence: what happened, and what to do next.
    pub fn sentence(&self) -> String {
        const THEN: &str = "nothing is changed here until: remint store recover";
        match self {
            Self::Sound => "the store is as new as its anchor".to_owned(),
            Self::Restored => {
                format!("this store was restored from a backup, and the world went on without it; {THEN}")
            }
            Self::Unreconciled => format!("not every issuer was asked since this log was begun anew; {THEN}"),
            Self::KeyGone { origin } => format!("the key that signed the log {origin} is not here any more; {THEN}"),
            Self::Behind { here, anchor, path } => format!(
                "this store is behind: it ends at entry {here}, and the anchor {} is at {}; it was restored, or turned back; {THEN}",
                path.display(),
                anchor.size
            ),
            Self::Forked { path, .. } => format!(
                "this store does not continue what the anchor {} says: its entries are others; {THEN}",
                path.display()
            ),
            Self::Other { path, why } => format!("the anchor {} is not this log's: {why}; {THEN}", path.display()),
            Self::Missing { path } => format!(
                "the anchor {} is gone, so nobody can say whether this store is behind; put it back, or, if it is lost: remint store recover",
                path.display()
            ),
        }
    }
}

/// What makes a store one that was restored; taken away by the recovery.
pub fn restored() -> Key {
    Key { kind: "state", id: "restored".to_owned() }
}

/// What makes a recovery one that is not over.
pub fn unreconciled() -> Key {
    Key { kind: "state", id: "unreconciled".to_owned() }
}

/// Compares a store with its key and its anchor.
///
/// # Errors
/// The store or the anchor cannot be read.
pub async fn standing(store: &dyn Store, key: &VerifierKey, anchor: Option<&Anchor>) -> Result<Standing, AnchorError> {
    if store.get(&restored()).await?.is_some() {
        return Ok(Standing::Restored);
    }
    let newest = store.checkpoint().await?;
    let (here, note) = newest.unwrap_or_default();
    if !note.is_empty() && Checkpoint::open(note.as_bytes(), key).is_err() {
        let origin = parse(&note).map_or_else(|_| "of this store".to_owned(), |checkpoint| checkpoint.origin);
        return Ok(Standing::KeyGone { origin });
    }
    if store.get(&unreconciled()).await?.is_some() {
        return Ok(Standing::Unreconciled);
    }
    let remembered = Remembered::of(store).await?.map(|path| Anchor { path });
    // Where the configuration names another place than the state remembers, both have to agree.
    for anchor in remembered.iter().chain(anchor.filter(|anchor| remembered.as_ref() != Some(*anchor))) {
        let Some(text) = anchor.read()? else {
            if remembered.as_ref() == Some(anchor) {
                return Ok(Standing::Missing { path: anchor.path.clone() });
            }
            continue;
        };
        if text == note {
            continue;
        }
        let path = anchor.path.clone();
        let there = match Checkpoint::open(text.as_bytes(), key) {
            Ok(there) => there,
            Err(error) => return Ok(Standing::Other { path, why: error.to_string() }),
        };
        if there.size > here {
            return Ok(Standing::Behind { here, anchor: there, path });
        }
        if root(store, there.size).await? != Some(there.root) {
            return Ok(Standing::Forked { here, anchor: there, path });
        }
    }
    Ok(Standing::Sound)
}

/// The root over the first `size` entries, made anew from their bytes; `None` when there are fewer.
async fn root(store: &dyn Store, size: u64) -> Result<Option<Hash>, StoreError> {
    Ok(frontier(store, size).await?.filter(|frontier| frontier.size() == size).map(|frontier| frontier.root()))
}

/// The tree over the first `size` entries that have a place, made anew from their bytes.
pub async fn frontier(store: &dyn Store, size: u64) -> Result<Option<Frontier>, StoreError> {
    let mut frontier = Frontier::default();
    while frontier.size() < size {
        let batch = store.sequenced(frontier.size(), 4096).await?;
        let before = frontier.size();
        for stored in batch.iter().take_while(|entry| entry.index.is_some_and(|index| index < size)) {
            frontier.append(entry::hash(&stored.bytes));
        }
        if frontier.size() == before {
            return Ok(None);
        }
    }
    Ok(Some(frontier))
}
