//! A new signing key for the same log.
//!
//! Flow: [`rotate`] makes the next key and keeps it beside the old one; places everything under the old one; commits the entry
//! that names both; places that entry under a checkpoint that both sign; keeps the link ([`remint_evidence_format::succession`]) as a record; and puts
//! the next key in the place of the old one, which is then gone.
//!
//! Guarantees: interrupted anywhere, the log is whole under the key that lies there, and the same call goes on with the
//! next key that it left.
//!
//! Assumption: no other process signs meanwhile. Witnesses have to be told the new key before the old one is gone from
//! their lists; until then they answer 403 and the unwitnessed age grows.

use std::sync::Arc;

use remint_contract::Clock;
use remint_evidence_format::note::{Note, VerifierKey};
use remint_evidence_format::{FormatError, succession};
use serde::{Deserialize, Serialize};
use serde_json::Value;

use super::anchor::Anchor;
use super::key::{KeyError, Shelf};
use super::sequencer::{Flush, Sequencer, SequencerError};
use super::signer::Signer;
use super::tiles::{TileError, Tiles};
use crate::engine::record::{entry, put, read};
use crate::escrow::{Escrow, Randomness};
use crate::store::{Change, Rule, Store, StoreError};

/// Why the key was not changed, or not to the end.
#[derive(Debug, thiserror::Error)]
pub enum RotationError {
    #[error(transparent)]
    Key(#[from] KeyError),
    #[error(transparent)]
    Sequencer(#[from] SequencerError),
    #[error(transparent)]
    Tile(#[from] TileError),
    #[error(transparent)]
    Store(#[from] StoreError),
    #[error("the link from the old key to the new one does not verify, so the old key stays")]
    Link(#[from] FormatError),
    #[error("another remint gives entries their places; stop it, and start it again when the key was changed")]
    Elsewhere,
    #[error("the entry that names the new key has no place in the log; the old key stays; try again")]
    Lost,
}

/// What a rotation works with.
pub struct Rotation<'a> {
    pub store: Arc<dyn Store>,
    pub shelf: Shelf<'a>,
    pub key: Arc<dyn Signer>,
    pub escrow: &'a Escrow,
    pub randomness: &'a dyn Randomness,
    pub clock: Arc<dyn Clock>,
    /// The name of this process's sequencer.
    pub holder: &'a str,
    pub anchor: Option<Anchor>,
}

/// From one key to the next.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Link {
    pub before: String,
    pub after: String,
    /// A `tlog-proof` with the entry as its extra data.
    pub proof: String,
}

impl Link {
    /// Every link, the oldest first.
    ///
    /// # Errors
    /// The store cannot be read.
    pub async fn all(store: &dyn Store) -> Result<Vec<Self>, StoreError> {
        let mut links = Vec::new();
        for record in store.list(KIND, None).await? {
            links.push((record.id.clone(), read::<Self>(record)?));
        }
        links.sort_by(|(one, _), (other, _)| one.cmp(other));
        Ok(links.into_iter().map(|(_, link)| link).collect())
    }
}

impl Rotation<'_> {
    /// Takes the next key; gives the link to it. `by` whom goes into the entry.
    ///
    /// # Errors
    /// The old key stays, and what was begun is gone on with at the next call.
    pub async fn rotate(self, by: &str) -> Result<Link, RotationError> {
        let old = self.key.verifier().clone();
        self.place(&self.sequencer(Arc::clone(&self.key))).await?;
        let following = self.shelf.next(&old, self.escrow, self.randomness).await?;
        let next = following.signer();
        let (_, newest) = self.store.checkpoint().await?.unwrap_or_default();
        let signed = Note::parse(newest.as_bytes()).is_ok_and(|note| note.verify(next.verifier()).is_ok());
        if !signed {
            let body = Value::Object(succession::body(&old, next.verifier(), by));
            let named = entry(succession::ROTATED, self.clock.now(), None, None, &body);
            self.store.commit(Change { entries: vec![named], ..Change::default() }).await?;
            let both = self.sequencer(Arc::clone(&next)).following(Arc::clone(&self.key));
            self.place(&both).await?;
        }
        let (index, link) = self.link(&old, next.verifier()).await?;
        let puts = vec![put(KIND, format!("{index:020}"), "", &link, Rule::Upsert)?];
        self.store.commit(Change { puts, ..Change::default() }).await?;
        self.shelf.install(&following, self.escrow).await?;
        Ok(link)
    }

    async fn place(&self, sequencer: &Sequencer) -> Result<(), RotationError> {
        match sequencer.flush().await? {
            Flush::Placed(_) => Ok(()),
            Flush::Elsewhere => Err(RotationError::Elsewhere),
        }
    }

    fn sequencer(&self, key: Arc<dyn Signer>) -> Sequencer {
        let sequencer = Sequencer::signed_by(Arc::clone(&self.store), key, Arc::clone(&self.clock), self.holder);
        sequencer.with_anchor(self.anchor.clone())
    }

    /// The link under the newest checkpoint, verified as an auditor will.
    async fn link(&self, old: &VerifierKey, new: &VerifierKey) -> Result<(u64, Link), RotationError> {
        let (size, note) = self.store.checkpoint().await?.unwrap_or_default();
        let mut end = size;
        while end > 0 {
            let start = end.saturating_sub(BATCH);
            let batch = self.store.sequenced(start, usize::try_from(end - start).unwrap_or(usize::MAX)).await?;
            let names =
                |bytes: &[u8]| succession::keys(bytes).is_ok_and(|(before, after)| before == *old && after == *new);
            if let Some((at, stored)) = batch.iter().enumerate().rev().find(|(_, stored)| names(&stored.bytes)) {
                let index = start + at as u64;
                let path =
                    Tiles::new(Arc::clone(&self.store)).inclusion(index, size).await?.ok_or(RotationError::Lost)?;
                let proof = succession::link(&stored.bytes, index, path, &note);
                succession::follow(old, [proof.as_bytes()])?;
                return Ok((index, Link { before: old.to_string(), after: new.to_string(), proof }));
            }
            end = start;
        }
        Err(RotationError::Lost)
    }
}

const KIND: &str = "succession";
/// Entries looked through at a time, from the newest on.
const BATCH: u64 = 4096;
