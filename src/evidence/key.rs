//! The key that signs checkpoints and bundles: a file of the state folder, sealed under the key-encryption key.
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
use crate::store::Sealed;

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
    Ok(sealed(folder)?.map(|sealed| sealed.generation))
}

/// Wraps the signing key for the recipients of today. True when it was not wrapped so before.
///
/// # Errors
/// The file cannot be read, opened or written.
pub fn rewrap(folder: &Path, escrow: &Escrow) -> Result<bool, KeyError> {
    let path = folder.join(FILE);
    let Some(before) = sealed(folder)?.filter(|sealed| !escrow.is_current(sealed)) else { return Ok(false) };
    let after = escrow.rewrap(&before).map_err(|source| KeyError::Open { path: path.clone(), source })?;
    write(folder, &path, &text_of(&after)).map_err(|source| KeyError::Io { verb: "write", path, source })?;
    Ok(true)
}

fn sealed(folder: &Path) -> Result<Option<Sealed>, KeyError> {
    let path = folder.join(FILE);
    match std::fs::read_to_string(&path) {
        Ok(text) => parse(&text).map(Some).ok_or(KeyError::Format(path)),
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(None),
        Err(source) => Err(KeyError::Io { verb: "read", path, source }),
    }
}

fn text_of(sealed: &Sealed) -> String {
    format!("{FORMAT}\ngeneration {}\nsealed {}\n", sealed.generation, STANDARD.encode(&sealed.bytes))
}

fn open(path: &Path, text: &str, escrow: &Escrow) -> Result<SigningKey, KeyError> {
    let format = || KeyError::Format(path.to_owned());
    let sealed = parse(text).ok_or_else(format)?;
    let opened = escrow.open(&sealed).map_err(|source| KeyError::Open { path: path.to_owned(), source })?;
    opened.expose_str().and_then(|text| SigningKey::parse(text).ok()).ok_or_else(format)
}

fn create(folder: &Path, name: &str, escrow: &Escrow, randomness: &dyn Randomness) -> Result<SigningKey, KeyError> {
    let mut seed = Zeroizing::new([0; 32]);
    randomness.fill(seed.as_mut()).map_err(KeyError::Randomness)?;
    let key = SigningKey::from_seed(name, seed).map_err(|source| KeyError::Name { name: name.to_owned(), source })?;
    let secret = SecretValue::from(key.to_text().as_str());
    let sealed = escrow.seal(ID, SCOPE, &secret, None).map_err(KeyError::Seal)?;
    let path = folder.join(FILE);
    write(folder, &path, &text_of(&sealed)).map_err(|source| KeyError::Io { verb: "write", path, source })?;
    Ok(key)
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
const ID: &str = "evidence-key";
const SCOPE: &str = "";
