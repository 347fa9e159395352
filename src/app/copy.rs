//! Carrying a state from one back end to the other: everything, or nothing.
//!
//! Guarantees: both sides are held alone meanwhile, so no daemon runs on either; a target that holds something is refused;
//! it says done only after what was written was read again and is the same, and after the entries at the target gave the
//! root that the newest checkpoint signs. The source is left as it is.

use remint_contract::SecretValue;
use remint_evidence_format::checkpoint::Checkpoint;
use remint_evidence_format::note::{SigningKey, VerifierKey};
use remint_evidence_format::{FormatError, entry, tree};

use super::keys::wrapping;
use super::{AppError, Places};
use crate::config::Configuration;
use crate::escrow::{Escrow, EscrowError, SystemRandomness};
use crate::evidence::elsewhere::named_in;
use crate::evidence::key;
use crate::store::dump::Line;
use crate::store::{Contents, Sealed, StoreError};

/// Why a state was not carried over.
#[derive(Debug, thiserror::Error)]
pub enum CopyError {
    #[error(transparent)]
    App(#[from] AppError),
    #[error("there is no state with a signing key to be copied")]
    Nothing,
    #[error(
        "the signing key does not open with this key-encryption key; hand in the one that this state was made with"
    )]
    Key(#[source] Option<EscrowError>),
    #[error("the newest checkpoint was not signed by the key of this state")]
    Foreign(#[source] FormatError),
    #[error("the entries do not give the root that their checkpoint signs: this state was changed from outside")]
    Changed,
    #[error("what lies at the target is not what was copied; empty it, and copy again")]
    Different,
}

impl From<StoreError> for CopyError {
    fn from(error: StoreError) -> Self {
        Self::App(error.into())
    }
}

/// What was carried over.
#[derive(Debug, Clone, PartialEq, Eq, serde::Serialize)]
pub struct Copied {
    pub records: usize,
    pub sealed: usize,
    pub entries: usize,
    /// Entries with a place in the tree, whose root was compared.
    pub tree: u64,
}

/// Carries everything over.
///
/// # Errors
/// Either side is in use, the target is not empty, or what lies there afterwards is not what was copied.
pub async fn copy(from: &Places, to: &Places) -> Result<Copied, CopyError> {
    let mut contents = Contents::read(&*from.alone().await?).await?;
    let sealed = match from.store {
        None => key::sealed_in(&from.state).map_err(AppError::from)?,
        Some(_) => take(&mut contents),
    };
    // What is wrong at the source is said before anything is written.
    let signing = match (named_in(&contents.lines), &sealed) {
        (Some(elsewhere), _) => elsewhere,
        (None, Some(sealed)) => signing(from, sealed).await?,
        (None, None) => return Err(CopyError::Nothing),
    };
    let size = rooted(&contents, &signing)?;
    let target = to.alone().await?;
    let mut copied = contents;
    if let Some(sealed) = sealed.clone().filter(|_| to.store.is_some()) {
        put(&mut copied, sealed);
    }
    copied.write(&*target).await?;
    if let Some(sealed) = sealed.filter(|_| to.store.is_none()) {
        key::lay_in(&to.state, &sealed).map_err(AppError::from)?;
    }
    let there = Contents::read(&*target).await?;
    if there != copied || rooted(&there, &signing)? != size {
        return Err(CopyError::Different);
    }
    let (sealed, entries) = (there.sealed().count(), there.entries().count());
    Ok(Copied { records: there.records(), sealed, entries, tree: size })
}

/// The signing key leaves the sealed values: a state folder keeps it as a file.
fn take(contents: &mut Contents) -> Option<Sealed> {
    let at = contents.lines.iter().position(|line| matches!(line, Line::Sealed(sealed) if sealed.id == key::ID))?;
    match contents.lines.remove(at) {
        Line::Sealed(sealed) => Some(sealed),
        _ => None,
    }
}

/// A sealed value comes to the others, in the order of their ids.
fn put(contents: &mut Contents, sealed: Sealed) {
    let before = |line: &Line| match line {
        Line::Sealed(other) => other.id < sealed.id,
        Line::End => false,
        _ => true,
    };
    let at = contents.lines.partition_point(before);
    contents.lines.insert(at, Line::Sealed(sealed));
}

async fn signing(from: &Places, sealed: &Sealed) -> Result<VerifierKey, CopyError> {
    let wrapping = wrapping(&Configuration::read(&from.state)?)?;
    let kek = from.keys(wrapping.as_ref()).await.map_err(AppError::from)?;
    let escrow = Escrow::new(kek, Box::new(SystemRandomness));
    let opened: SecretValue = escrow.open(sealed).map_err(|error| CopyError::Key(Some(error)))?;
    let key = opened.expose_str().and_then(|text| SigningKey::parse(text).ok());
    key.map(|key| key.verifier().clone()).ok_or(CopyError::Key(None))
}

/// The size of the tree, whose root is the one that was signed.
fn rooted(contents: &Contents, key: &VerifierKey) -> Result<u64, CopyError> {
    let Some((size, note)) = contents.checkpoint() else { return Ok(0) };
    let signed = Checkpoint::open(note.as_bytes(), key).map_err(CopyError::Foreign)?;
    let count = usize::try_from(size).map_err(|_| CopyError::Changed)?;
    let placed: Vec<_> = contents.entries().take(count).map(|line| entry::hash(&line.bytes)).collect();
    if placed.len() != count {
        return Err(CopyError::Changed);
    }
    if (signed.size, signed.root) == (size, tree::root(placed)) { Ok(size) } else { Err(CopyError::Changed) }
}
