//! A signing key that never leaves the service that keeps it ([`Keeper`]): an Ed25519 key.
//!
//! Flow: the first time, the newest version of the key is asked for and written down ([`RemoteSigner::keep`]); from then on
//! that version signs, and its public half is known without a call. A rotation of the log's key takes the newest version, or
//! has one made ([`after`]), as any other rotation does: with an entry that names both, and a checkpoint that both
//! sign. A rotation of the key in the service alone changes nothing here.
//!
//! Guarantees: the private half is never here; what signs is the version that the log named, or nothing does. The login is
//! read from its file each time, so that what renews it there is followed.
//!
//! Errors: where the service does not answer, entries are committed and wait for their places.

use std::sync::Arc;

use async_trait::async_trait;
use remint_evidence_format::FormatError;
use remint_evidence_format::note::VerifierKey;
use serde::{Deserialize, Serialize};

use crate::engine::record::{put, read};
use crate::evidence::signer::{SignError, Signer};
use crate::keeper::{Keeper, KeeperError};
use crate::store::dump::Line;
use crate::store::{Change, Key, Put, Rule, Store, StoreError};

/// Why the key cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum ElsewhereError {
    #[error("the log's signing key cannot be asked")]
    Keeper(#[from] KeeperError),
    #[error("the log's signing key cannot be used")]
    Format(#[from] FormatError),
    #[error(transparent)]
    Store(#[from] StoreError),
}

/// One version of the key, under the name of a log.
#[derive(Clone)]
pub struct RemoteSigner {
    keeper: Arc<Keeper>,
    verifier: VerifierKey,
    version: String,
}

/// Which version signs, as it is written down.
#[derive(Debug, Serialize, Deserialize)]
struct Signing {
    key: String,
    version: String,
}

/// The version that signs the log of a store, as it was written down; `None` when none was.
///
/// # Errors
/// The store cannot be read.
pub async fn kept_by(keeper: &Arc<Keeper>, store: &dyn Store) -> Result<Option<RemoteSigner>, ElsewhereError> {
    let Some(record) = store.get(&place()).await? else { return Ok(None) };
    let Signing { key, version } = read(record)?;
    Ok(Some(RemoteSigner { keeper: Arc::clone(keeper), verifier: VerifierKey::parse(&key)?, version }))
}

/// The newest version, for the log of that name.
///
/// # Errors
/// The service cannot be asked, or the key is none that signs.
pub async fn newest(keeper: &Arc<Keeper>, name: &str) -> Result<RemoteSigner, ElsewhereError> {
    let version = keeper.newest().await?;
    let verifier = VerifierKey::from_bytes(name, version.public)?;
    Ok(RemoteSigner { keeper: Arc::clone(keeper), verifier, version: version.name })
}

/// A version that is another key than this one: the newest, which is made when there is no newer one yet.
///
/// # Errors
/// As for [`newest`], or the service makes none.
pub async fn after(keeper: &Arc<Keeper>, before: &VerifierKey) -> Result<RemoteSigner, ElsewhereError> {
    let there = newest(keeper, before.name()).await?;
    if there.verifier != *before {
        return Ok(there);
    }
    keeper.make().await?;
    newest(keeper, before.name()).await
}

impl RemoteSigner {
    /// Writes down that this version signs.
    ///
    /// # Errors
    /// It cannot be written.
    pub async fn keep(&self, store: &dyn Store) -> Result<(), ElsewhereError> {
        let puts = vec![self.put()?];
        store.commit(Change { puts, ..Change::default() }).await?;
        Ok(())
    }

    /// The same version for a log of another name.
    ///
    /// # Errors
    /// No log can be called so.
    pub async fn named(&self, name: &str) -> Result<Self, ElsewhereError> {
        newest(&self.keeper, name).await
    }

    fn put(&self) -> Result<Put, StoreError> {
        let Key { kind, id } = place();
        put(kind, id, "", &Signing { key: self.verifier.to_string(), version: self.version.clone() }, Rule::Upsert)
    }
}

#[async_trait]
impl Signer for RemoteSigner {
    fn verifier(&self) -> &VerifierKey {
        &self.verifier
    }

    async fn sign(&self, text: &[u8]) -> Result<Vec<u8>, SignError> {
        let failed = |source| SignError { key: self.verifier.to_string(), source: Box::new(source) };
        self.keeper.sign(&self.version, text).await.map_err(failed)
    }
}

/// The public half of the key that is kept elsewhere, out of the records of a store that is copied.
pub fn named_in<'l>(lines: impl IntoIterator<Item = &'l Line>) -> Option<VerifierKey> {
    let Key { kind, id } = place();
    let body = lines.into_iter().find_map(|line| match line {
        Line::Record { kind: of, id: named, body, .. } if of == kind && *named == id => Some(body),
        _ => None,
    });
    VerifierKey::parse(body?["key"].as_str()?).ok()
}

/// Whether a key that is kept elsewhere signs the log of a store.
///
/// # Errors
/// The store cannot be read.
pub async fn kept(store: &dyn Store) -> Result<bool, StoreError> {
    Ok(store.get(&place()).await?.is_some())
}

fn place() -> Key {
    Key { kind: "signer", id: "log".to_owned() }
}
