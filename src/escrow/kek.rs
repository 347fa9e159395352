//! The key-encryption key: its generations, the recovery keys it wraps for too, and the key of the fingerprints.
//!
//! ```text
//! remint-kek-v1
//! fingerprint bm90IGEga2V5LCBidXQgaXQgaXMgMzIgYnl0ZXMgbG8=
//! generation 1 bm90IGEga2V5LCBidXQgaXQgaXMgMzIgYnl0ZXMgbG8=
//! recipient bm90IGEga2V5LCBidXQgaXQgaXMgMzIgYnl0ZXMgbG8=
//! ```
//!
//! Each key is 32 bytes in base64; empty lines and lines that begin with `#` are skipped. The newest generation seals,
//! all of them open. `recipient` is the public half of a recovery key, whose file has `recovery` with the private half
//! and no generation: either file opens everything alone. Deleting the line of a generation destroys everything sealed
//! under it and no recovery key.
//!
//! A key may stand there as a service wrapped it (`kms:…`, `transit:…`: [`crate::keeper`]); it is unwrapped when the file is
//! read ([`Lines::wrapped`]), so whoever has the file alone opens nothing.
//!
//! Where the keys may be kept, and with which modes, is [`keeping`]'s; changing the file is [`edit`]'s.

use std::collections::BTreeMap;
use std::fs::{DirBuilder, File, OpenOptions};
use std::io::{self, Write as _};
use std::os::unix::fs::{DirBuilderExt as _, OpenOptionsExt as _};
use std::path::{Path, PathBuf};

use aws_lc_rs::hmac;
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use zeroize::Zeroizing;

use super::cipher::KEY;
use super::recovery::{Recipient, RecoveryKey};
use super::{NoRandomness, Randomness};
use crate::keeper::KeeperError;

pub use self::keeping::Keeping;
pub use self::lines::{Lines, Opened};

pub mod edit;
mod keeping;
mod lines;

/// Why there is no key.
#[derive(Debug, thiserror::Error)]
pub enum KekError {
    #[error("there is no key file {0}; `remint init` makes one, or name yours with --kek")]
    Missing(PathBuf),
    #[error(
        "the key file {kek} lies in the state folder {state}, so whoever copies the folder can open everything in it; \
         keep it elsewhere and name it with --kek"
    )]
    SameFolder { kek: PathBuf, state: PathBuf },
    #[error("others than its owner may read or change the key file {path} (mode {mode:04o}); run: chmod 600 {path}")]
    Mode { path: PathBuf, mode: u32 },
    #[error("the key file {path} cannot be used, line {line}: {why}")]
    Format { path: PathBuf, line: usize, why: &'static str },
    #[error("the environment variable {0} holds no key; --kek env:{0} names it, so it has to hold a whole key file")]
    NotSet(String),
    #[error("{kept} is not Remint's to change; {what}")]
    Fixed { kept: Keeping, what: String },
    #[error("{kept} has no generation {generation}; `remint keys list` says which there are")]
    NoGeneration { kept: Keeping, generation: u64 },
    #[error("generation {0} is the newest, which seals everything new; rotate first: remint keys rotate --rewrap")]
    Newest(u64),
    #[error("could not {verb} the key file {path}")]
    Io {
        verb: &'static str,
        path: PathBuf,
        #[source]
        source: io::Error,
    },
    #[error("could not make a key")]
    Randomness(#[source] NoRandomness),
    #[error("the service that wraps the keys of {kept}, as `keys` in remint.yaml names it")]
    Service {
        kept: Keeping,
        #[source]
        source: KeeperError,
    },
}

/// The keys of one key file. Its `Debug` says which generations there are and no more.
pub struct Kek {
    generations: BTreeMap<u64, Zeroizing<[u8; KEY]>>,
    recipients: Vec<Recipient>,
    recovery: Vec<RecoveryKey>,
    fingerprint: hmac::Key,
    /// The same, for the file of a recovery key.
    fingerprint_bytes: Zeroizing<[u8; KEY]>,
}

impl Kek {
    /// Reads a key file, or a folder of keys as it is mounted for a container.
    ///
    /// Guarantees: a key that others can read, or that lies in the state folder (by its real path, whatever links lead
    /// there) is refused; `allow_same_folder` lifts the second, for the demo.
    ///
    /// # Errors
    /// Those, a missing file, and a line that is not a key.
    pub fn load(path: &Path, state_folder: &Path, allow_same_folder: bool) -> Result<Self, KekError> {
        Lines::read(path, state_folder, allow_same_folder)?.kek(&Opened::new())
    }

    /// Makes a key file (0600) with a first generation, and the folder (0700) it lies in; leaves one that is there as it
    /// is. True when it was made.
    ///
    /// # Errors
    /// It would lie in the state folder and that is not allowed; it cannot be written.
    pub fn create(
        path: &Path,
        state_folder: &Path,
        allow_same_folder: bool,
        randomness: &dyn Randomness,
    ) -> Result<bool, KekError> {
        Self::may_be_at(path, state_folder, allow_same_folder)?;
        Self::create_of(path, &[Fresh::new(randomness)?, Fresh::new(randomness)?])
    }

    /// Refuses a key file in the state folder, before anything is made.
    fn may_be_at(path: &Path, state_folder: &Path, allow_same_folder: bool) -> Result<(), KekError> {
        let failed = |source| KekError::Io { verb: "make", path: path.to_owned(), source };
        if allow_same_folder {
            return Ok(());
        }
        keeping::refuse_inside(path, &keeping::real(parent(path)).map_err(failed)?, state_folder)
    }

    /// Makes a key file of keys that a service wrapped; leaves one that is there as it is. True when it was made.
    ///
    /// # Errors
    /// As for [`Kek::create`].
    pub fn create_wrapped(path: &Path, state_folder: &Path, keys: &[Fresh; 2]) -> Result<bool, KekError> {
        Self::may_be_at(path, state_folder, false)?;
        Self::create_of(path, keys)
    }

    /// As [`Kek::create`], of keys that were made before: that of the fingerprints, and the first generation.
    ///
    /// # Errors
    /// It cannot be written.
    fn create_of(path: &Path, [fingerprint, first]: &[Fresh; 2]) -> Result<bool, KekError> {
        let mut text = Zeroizing::new(String::with_capacity(LARGEST));
        text.push_str(FORMAT);
        fingerprint.push(&mut text, "\nfingerprint ");
        first.push(&mut text, "\ngeneration 1 ");
        text.push('\n');
        write_new(path, &text)
    }

    /// The generations, oldest first.
    pub fn generations(&self) -> impl Iterator<Item = u64> {
        self.generations.keys().copied()
    }

    /// The recovery keys that data keys are wrapped for, in base64; true for those that this file itself opens.
    pub fn recoveries(&self) -> Vec<(String, bool)> {
        let named = |recipient: &Recipient, own| (STANDARD.encode(recipient.public()), own);
        let own = self.recovery.iter().map(|key| named(key.recipient(), true));
        self.recipients.iter().map(|recipient| named(recipient, false)).chain(own).collect()
    }

    /// The generation that seals.
    pub(super) fn newest(&self) -> Option<(u64, &[u8; KEY])> {
        self.generations.last_key_value().map(|(generation, key)| (*generation, &**key))
    }

    pub(super) fn generation(&self, generation: u64) -> Option<&[u8; KEY]> {
        self.generations.get(&generation).map(|key| &**key)
    }

    /// Everybody that data keys are wrapped for, beside the newest generation.
    pub(super) fn recipients(&self) -> impl Iterator<Item = &Recipient> {
        self.recipients.iter().chain(self.recovery.iter().map(RecoveryKey::recipient))
    }

    pub(super) fn recovery(&self, id: super::envelope::RecipientId) -> Option<&RecoveryKey> {
        self.recovery.iter().find(|key| key.recipient().id() == id)
    }

    pub(super) const fn fingerprint_key(&self) -> &hmac::Key {
        &self.fingerprint
    }
}

impl std::fmt::Debug for Kek {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Kek").field("generations", &self.generations.keys()).finish_non_exhaustive()
    }
}

/// Writes a key behind its name.
fn push(text: &mut String, name: &str, key: &[u8; KEY]) {
    text.push_str(name);
    text.push_str(&Zeroizing::new(STANDARD.encode(key)));
}

/// A key that was just made, and how it is written down: as it is, or as a service wrapped it.
pub struct Fresh {
    key: Zeroizing<[u8; KEY]>,
    wrapped: Option<String>,
}

impl Fresh {
    /// Makes one.
    ///
    /// # Errors
    /// There is no randomness.
    pub fn new(randomness: &dyn Randomness) -> Result<Self, KekError> {
        let mut key = Zeroizing::new([0_u8; KEY]);
        randomness.fill(key.as_mut()).map_err(KekError::Randomness)?;
        Ok(Self { key, wrapped: None })
    }

    /// The key, for the service that wraps it.
    #[must_use]
    pub fn key(&self) -> &[u8] {
        self.key.as_ref()
    }

    /// The same key, written down as this word.
    #[must_use]
    pub fn wrapped(self, word: String) -> Self {
        Self { wrapped: Some(word), ..self }
    }

    fn push(&self, text: &mut String, name: &str) {
        match &self.wrapped {
            None => push(text, name, &self.key),
            Some(word) => {
                text.push_str(name);
                text.push_str(word);
            }
        }
    }
}

fn parent(path: &Path) -> &Path {
    path.parent().filter(|parent| !parent.as_os_str().is_empty()).unwrap_or(Path::new("."))
}

/// Writes a file that is not there yet, and the folder it lies in; false when it is there.
fn write_new(path: &Path, text: &str) -> Result<bool, KekError> {
    let failed = |source| KekError::Io { verb: "make", path: path.to_owned(), source };
    let folder = parent(path);
    DirBuilder::new().recursive(true).mode(0o700).create(folder).map_err(failed)?;
    let mut file = match OpenOptions::new().write(true).create_new(true).mode(0o600).open(path) {
        Ok(file) => file,
        Err(error) if error.kind() == io::ErrorKind::AlreadyExists => return Ok(false),
        Err(error) => return Err(failed(error)),
    };
    file.write_all(text.as_bytes()).and_then(|()| file.sync_all()).map_err(failed)?;
    // The name must last as well as the bytes do.
    File::open(folder).and_then(|folder| folder.sync_all()).map_err(failed)?;
    Ok(true)
}

const FORMAT: &str = "remint-kek-v1";

/// Bytes read of a key file at most: room for a thousand generations.
const LARGEST: usize = 64 * 1024;
