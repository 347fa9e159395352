//! The key that signs checkpoints and bundles, sealed under the key-encryption key: a file of the state folder, or, where
//! several replicas share it, a sealed value of the store.
//!
//! ```text
//! remint-evidence-key-v1
//! generation 1
//! sealed AQID…
//! ```

use std::fs::{File, OpenOptions};
use std::io::{self, Write as _};
use std::os::unix::fs::OpenOptionsExt as _;
use std::path::{Path, PathBuf};

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use remint_contract::SecretValue;
use remint_evidence_format::FormatError;
use remint_evidence_format::note::SigningKey;
use zeroize::Zeroizing;

use crate::escrow::{Escrow, EscrowError, NoRandomness, Randomness};
use crate::evidence::elsewhere::ElsewhereError;
use crate::store::{Change, Sealed, Store, StoreError};

pub use self::next::{Next, Shelf};

mod next;

/// Why there is no key to sign with.
#[derive(Debug, thiserror::Error)]
pub enum KeyError {
    #[error("could not {verb} the signing key {path}")]
    Io {
        verb: &'static str,
        path: PathBuf,
        #[source]
        source: io::Error,
    },
    #[error(
        "{0} is not a signing key of remint; put the file back from a backup, a new key would not continue the evidence"
    )]
    Format(PathBuf),
    #[error("the signing key {path} does not open")]
    Open {
        path: PathBuf,
        #[source]
        source: EscrowError,
    },
    #[error("the signing key in the store does not open")]
    Stored(#[source] EscrowError),
    #[error("the signing key in the store is none; restore the store, a new key would not continue the evidence")]
    Garbled,
    #[error(transparent)]
    Store(#[from] StoreError),
    #[error(transparent)]
    Elsewhere(#[from] ElsewhereError),
    #[error("the signing key could not be sealed")]
    Seal(#[source] EscrowError),
    #[error("could not make a signing key")]
    Randomness(#[source] NoRandomness),
    #[error("the signing key cannot be called `{name}`")]
    Name {
        name: String,
        #[source]
        source: FormatError,
    },
}

/// Opens the signing key of a state folder, or makes one called `name` when there is none.
///
/// Guarantees: the file is there in full or not at all; a key that is there is never replaced, and keeps its name.
///
/// Assumption: the caller holds the state folder.
///
/// # Errors
/// The file cannot be read, written or opened with this escrow.
pub fn open_or_create(
    folder: &Path,
    name: &str,
    escrow: &Escrow,
    randomness: &dyn Randomness,
) -> Result<SigningKey, KeyError> {
    let path = folder.join(FILE);
    match std::fs::read_to_string(&path) {
        Ok(text) => open(&path, &text, escrow),
        Err(error) if error.kind() == io::ErrorKind::NotFound => create(folder, name, escrow, randomness),
        Err(source) => Err(KeyError::Io { verb: "read", path, source }),
    }
}

/// True when a state folder has a signing key.
pub fn is_there(folder: &Path) -> bool {
    folder.join(FILE).exists()
}

/// Puts a new key called `name` in the place of the one that is there, which is kept beside it under its own name: a log
/// that is begun anew does not take the old one's key from whoever has to open it.
///
/// # Errors
/// The files cannot be written.
pub fn succeed(
    folder: &Path,
    before: &str,
    name: &str,
    escrow: &Escrow,
    randomness: &dyn Randomness,
) -> Result<SigningKey, KeyError> {
    let path = folder.join(FILE);
    let kept = folder.join(format!("{FILE}.{}", before.replace('/', "_")));
    if path.exists() {
        std::fs::rename(&path, &kept).map_err(|source| KeyError::Io { verb: "keep", path: kept, source })?;
    }
    create(folder, name, escrow, randomness)
}

/// The generation that the signing key is sealed under; `None` when there is no signing key.
///
/// # Errors
/// The file cannot be read.
pub fn generation(folder: &Path) -> Result<Option<u64>, KeyError> {
    Ok(sealed_in(folder)?.map(|sealed| sealed.generation))
}

/// Wraps the signing key for the recipients of today. True when it was not wrapped so before.
///
/// # Errors
/// The file cannot be read, opened or written.
pub fn rewrap(folder: &Path, escrow: &Escrow) -> Result<bool, KeyError> {
    let Some(before) = sealed_in(folder)?.filter(|sealed| !escrow.is_current(sealed)) else { return Ok(false) };
    let after = escrow.rewrap(&before).map_err(|source| KeyError::Open { path: folder.join(FILE), source })?;
    lay_in(folder, &after)?;
    Ok(true)
}

/// Opens the signing key that replicas share, or makes one called `name`: it lies sealed in the store. Of several that
/// make one at once the first wins, and the others take that.
///
/// # Errors
/// The store fails, or the key cannot be opened with this escrow.
pub async fn open_or_create_in(
    store: &dyn Store,
    name: &str,
    escrow: &Escrow,
    randomness: &dyn Randomness,
) -> Result<SigningKey, KeyError> {
    if store.sealed(ID).await?.is_none() {
        let (_, sealed) = make(name, escrow, randomness)?;
        match store.commit(Change { seals: vec![sealed], ..Change::default() }).await {
            Ok(_) | Err(StoreError::Exists { .. }) => {}
            Err(error) => return Err(error.into()),
        }
    }
    let sealed = store.sealed(ID).await?.ok_or(KeyError::Garbled)?;
    let opened = escrow.open(&sealed).map_err(KeyError::Stored)?;
    opened.expose_str().and_then(|text| SigningKey::parse(text).ok()).ok_or(KeyError::Garbled)
}

/// As [`succeed`], where replicas share the key: the one before stays sealed under its own name.
///
/// # Errors
/// The store fails, or the key before does not open.
pub async fn succeed_in(
    store: &dyn Store,
    before: &str,
    name: &str,
    escrow: &Escrow,
    randomness: &dyn Randomness,
) -> Result<SigningKey, KeyError> {
    let (key, sealed) = make(name, escrow, randomness)?;
    let mut change = Change { unseals: vec![ID.to_owned()], seals: vec![sealed], ..Change::default() };
    if let Some(old) = store.sealed(ID).await? {
        let old = escrow.open(&old).map_err(KeyError::Stored)?;
        let kept = format!("{ID}.{}", before.replace('/', "_"));
        change.seals.push(escrow.seal(&kept, SCOPE, &old, None).map_err(KeyError::Seal)?);
    }
    store.commit(change).await?;
    Ok(key)
}

/// The sealed key of a state folder, for a copy; `None` when there is none.
///
/// # Errors
/// The file cannot be read, or is no key.
pub fn sealed_in(folder: &Path) -> Result<Option<Sealed>, KeyError> {
    let path = folder.join(FILE);
    match std::fs::read_to_string(&path) {
        Ok(text) => parse(&text).map(Some).ok_or(KeyError::Format(path)),
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(None),
        Err(source) => Err(KeyError::Io { verb: "read", path, source }),
    }
}

/// Lays a sealed key into a state folder, for a copy.
///
/// # Errors
/// The file cannot be written.
pub fn lay_in(folder: &Path, sealed: &Sealed) -> Result<(), KeyError> {
    let path = folder.join(FILE);
    write(folder, &path, &text(sealed)).map_err(|source| KeyError::Io { verb: "write", path, source })
}

fn open(path: &Path, text: &str, escrow: &Escrow) -> Result<SigningKey, KeyError> {
    let format = || KeyError::Format(path.to_owned());
    let sealed = parse(text).ok_or_else(format)?;
    let opened = escrow.open(&sealed).map_err(|source| KeyError::Open { path: path.to_owned(), source })?;
    opened.expose_str().and_then(|text| SigningKey::parse(text).ok()).ok_or_else(format)
}

fn create(folder: &Path, name: &str, escrow: &Escrow, randomness: &dyn Randomness) -> Result<SigningKey, KeyError> {
    let (key, sealed) = make(name, escrow, randomness)?;
    lay_in(folder, &sealed)?;
    Ok(key)
}

fn make(name: &str, escrow: &Escrow, randomness: &dyn Randomness) -> Result<(SigningKey, Sealed), KeyError> {
    let mut seed = Zeroizing::new([0; 32]);
    randomness.fill(seed.as_mut()).map_err(KeyError::Randomness)?;
    let key = SigningKey::from_seed(name, seed).map_err(|source| KeyError::Name { name: name.to_owned(), source })?;
    let secret = SecretValue::from(key.to_text().as_str());
    let sealed = escrow.seal(ID, SCOPE, &secret, None).map_err(KeyError::Seal)?;
    Ok((key, sealed))
}

fn text(sealed: &Sealed) -> String {
    format!("{FORMAT}\ngeneration {}\nsealed {}\n", sealed.generation, STANDARD.encode(&sealed.bytes))
}

/// Under another name first, so that a crash leaves no half of a key.
fn write(folder: &Path, path: &Path, text: &str) -> io::Result<()> {
    let draft = folder.join("evidence.key.new");
    let mut file = OpenOptions::new().write(true).create(true).truncate(true).mode(0o600).open(&draft)?;
    file.write_all(text.as_bytes())?;
    file.sync_all()?;
    std::fs::rename(&draft, path)?;
    File::open(folder)?.sync_all()
}

fn parse(text: &str) -> Option<Sealed> {
    let rest = text.strip_prefix(FORMAT)?.strip_prefix("\ngeneration ")?;
    let (generation, rest) = rest.split_once("\nsealed ")?;
    let bytes = STANDARD.decode(rest.strip_suffix('\n')?).ok()?;
    let generation = generation.parse().ok()?;
    Some(Sealed { id: ID.to_owned(), scope: SCOPE.to_owned(), generation, expires: None, bytes })
}

const FILE: &str = "evidence.key";
const FORMAT: &str = "remint-evidence-key-v1";
/// What the sealed key is bound to.
pub(crate) const ID: &str = "evidence-key";
const SCOPE: &str = "";
