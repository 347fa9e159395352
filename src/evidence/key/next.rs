//! The signing key that is to come after the one that is there: made, named in the log, and only then put in its place.

use std::io;
use std::path::Path;
use std::sync::Arc;

use remint_evidence_format::note::{SigningKey, VerifierKey};

use super::{FILE, ID, KeyError, SCOPE, make, open, text, write};
use crate::escrow::{Escrow, Randomness};
use crate::evidence::elsewhere::{self, RemoteSigner};
use crate::evidence::signer::Signer;
use crate::keeper::Keeper;
use crate::store::{Change, Store, StoreError};

/// Where the signing key lies.
#[derive(Clone, Copy)]
pub enum Shelf<'a> {
    /// In the state folder, which the caller holds.
    Folder(&'a Path),
    /// Sealed in the store, where replicas share it.
    Store(&'a dyn Store),
    /// In a service that keeps it; the store says which version signs. A key that lay sealed in the state folder or the store
    /// until then is removed.
    Elsewhere(&'a Arc<Keeper>, &'a dyn Store, &'a Path),
}

/// The key that comes next, not yet in its place.
pub enum Next {
    /// It lies beside the one that is there.
    Kept(Arc<SigningKey>),
    Elsewhere(Arc<RemoteSigner>),
}

impl Next {
    /// What signs with it.
    pub fn signer(&self) -> Arc<dyn Signer> {
        match self {
            Self::Kept(key) => Arc::clone(key) as Arc<dyn Signer>,
            Self::Elsewhere(key) => Arc::clone(key) as Arc<dyn Signer>,
        }
    }
}

impl Shelf<'_> {
    /// The key after this one: the one that a rotation left here which did not come to its end, else a new one of the same
    /// name.
    ///
    /// # Errors
    /// It cannot be kept, or read again.
    pub async fn next(
        self,
        before: &VerifierKey,
        escrow: &Escrow,
        randomness: &dyn Randomness,
    ) -> Result<Next, KeyError> {
        let name = before.name();
        let kept = match self {
            Self::Elsewhere(keeper, ..) => {
                return Ok(Next::Elsewhere(Arc::new(elsewhere::after(keeper, before).await?)));
            }
            Self::Folder(folder) => {
                let path = folder.join(NEXT_FILE);
                match std::fs::read_to_string(&path) {
                    Ok(text) => open(&path, &text, escrow)?,
                    Err(error) if error.kind() == io::ErrorKind::NotFound => {
                        let (key, sealed) = make(name, escrow, randomness)?;
                        let kept = write(folder, &path, &text(&sealed));
                        kept.map_err(|source| KeyError::Io { verb: "write", path, source })?;
                        key
                    }
                    Err(source) => return Err(KeyError::Io { verb: "read", path, source }),
                }
            }
            Self::Store(store) => {
                if store.sealed(NEXT_ID).await?.is_none() {
                    let (key, _) = make(name, escrow, randomness)?;
                    let secret = key.to_text().as_str().into();
                    let sealed = escrow.seal(NEXT_ID, SCOPE, &secret, None).map_err(KeyError::Seal)?;
                    match store.commit(Change { seals: vec![sealed], ..Change::default() }).await {
                        Ok(_) | Err(StoreError::Exists { .. }) => {}
                        Err(error) => return Err(error.into()),
                    }
                }
                let sealed = store.sealed(NEXT_ID).await?.ok_or(KeyError::Garbled)?;
                let opened = escrow.open(&sealed).map_err(KeyError::Stored)?;
                opened.expose_str().and_then(|text| SigningKey::parse(text).ok()).ok_or(KeyError::Garbled)?
            }
        };
        Ok(Next::Kept(Arc::new(kept)))
    }

    /// Puts the next key in the place of the one that is there, which is gone then: nobody needs to sign with it again.
    ///
    /// # Errors
    /// It cannot be written; the one that is there stays.
    pub async fn install(self, next: &Next, escrow: &Escrow) -> Result<(), KeyError> {
        let next = match (self, next) {
            (Self::Elsewhere(_, store, folder), Next::Elsewhere(key)) => return give(store, folder, key).await,
            (_, Next::Kept(key)) => key,
            (_, Next::Elsewhere(_)) => return Err(KeyError::Garbled),
        };
        match self {
            // A key that lies here does not go there.
            Self::Elsewhere(..) => Err(KeyError::Garbled),
            Self::Folder(folder) => {
                let (from, path) = (folder.join(NEXT_FILE), folder.join(FILE));
                let moved = std::fs::rename(from, &path).and_then(|()| std::fs::File::open(folder)?.sync_all());
                moved.map_err(|source| KeyError::Io { verb: "replace", path, source })
            }
            Self::Store(store) => {
                let secret = next.to_text().as_str().into();
                let sealed = escrow.seal(ID, SCOPE, &secret, None).map_err(KeyError::Seal)?;
                let unseals = vec![ID.to_owned(), NEXT_ID.to_owned()];
                store.commit(Change { unseals, seals: vec![sealed], ..Change::default() }).await?;
                Ok(())
            }
        }
    }
}

/// Has a key sign that is elsewhere, and then removes the one that is here.
async fn give(store: &dyn Store, folder: &Path, key: &RemoteSigner) -> Result<(), KeyError> {
    key.keep(store).await?;
    store.commit(Change { unseals: vec![ID.to_owned()], ..Change::default() }).await?;
    let path = folder.join(FILE);
    match std::fs::remove_file(&path) {
        Ok(()) => Ok(()),
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(()),
        Err(source) => Err(KeyError::Io { verb: "remove", path, source }),
    }
}

const NEXT_FILE: &str = "evidence.key.next";
const NEXT_ID: &str = "evidence-key.next";
