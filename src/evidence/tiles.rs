//! The log as tiles, out of the store: what auditors fetch, what witnesses want proofs of, what lies in a published folder.
//!
//! Flow: a tile of entries or of level 0 is read from the store when it is asked for. Tiles above are made of the roots of
//! full tiles below, one hash for 256 entries, which are kept in memory and grow with the log.
//!
//! Guarantees: nothing beyond the newest checkpoint is given; a tile that was given never changes.

use std::collections::BTreeSet;
use std::sync::Arc;

use remint_evidence_format::tile::{self, Hashes, Kind, Tile, WIDTH};
use remint_evidence_format::tree::{self, Hash};
use remint_evidence_format::{FormatError, Stored, entry};
use tokio::sync::Mutex;

use crate::store::{Store, StoreError};

/// Why there is no tile.
#[derive(Debug, thiserror::Error)]
pub enum TileError {
    #[error("the store could not be read")]
    Store(#[from] StoreError),
    #[error("an entry does not fit into a tile")]
    Write(#[from] FormatError),
    #[error("the store has fewer entries than its checkpoint says; nothing can be shown of {0}")]
    Missing(Tile),
}

/// The tiles of one store.
pub struct Tiles {
    store: Arc<dyn Store>,
    /// The roots of full tiles: of level 0 first.
    full: Mutex<Vec<Vec<Hash>>>,
}

impl Tiles {
    pub fn new(store: Arc<dyn Store>) -> Self {
        Self { store, full: Mutex::default() }
    }

    /// The size of the newest checkpoint.
    ///
    /// # Errors
    /// The store cannot be read.
    pub async fn size(&self) -> Result<u64, TileError> {
        Ok(self.store.checkpoint().await?.map_or(0, |(size, _)| size))
    }

    /// The bytes of a tile; `None` when the log does not go so far yet.
    ///
    /// # Errors
    /// The store cannot be read, or has less than its checkpoint says.
    pub async fn bytes(&self, tile: Tile) -> Result<Option<Vec<u8>>, TileError> {
        let there = Tile::in_tree(tile.kind, tile.index, self.size().await?);
        if there.is_none_or(|there| there.width < tile.width) {
            return Ok(None);
        }
        Ok(Some(match tile.kind {
            Kind::Entries => {
                tile::write_entries(self.entries(tile).await?.iter().map(|stored| stored.bytes.as_slice()))?
            }
            Kind::Level(_) => tile::write_hashes(&self.hashes(tile).await?),
        }))
    }

    /// The proof that the tree of `old` is the beginning of that of `new`; `None` when it is not, or there is none yet.
    ///
    /// # Errors
    /// As for [`Tiles::bytes`].
    pub async fn consistency(&self, old: u64, new: u64) -> Result<Option<Vec<Hash>>, TileError> {
        let Some(needed) = tile::for_consistency(old, new) else { return Ok(None) };
        Ok(self.gather(needed, new).await?.and_then(|hashes| hashes.consistency(old, new)))
    }

    /// The proof that the entry at `index` is in the tree of `size`; `None` when it is not, or there is none yet.
    ///
    /// # Errors
    /// As for [`Tiles::bytes`].
    pub async fn inclusion(&self, index: u64, size: u64) -> Result<Option<Vec<Hash>>, TileError> {
        let Some(needed) = tile::for_inclusion(index, size) else { return Ok(None) };
        Ok(self.gather(needed, size).await?.and_then(|hashes| hashes.inclusion(index, size)))
    }

    async fn gather(&self, needed: BTreeSet<Tile>, size: u64) -> Result<Option<Hashes>, TileError> {
        if size > self.size().await? {
            return Ok(None);
        }
        let mut hashes = Hashes::default();
        for tile in needed {
            hashes.insert(tile, self.hashes(tile).await?);
        }
        Ok(Some(hashes))
    }

    async fn hashes(&self, tile: Tile) -> Result<Vec<Hash>, TileError> {
        let Kind::Level(level @ 1..) = tile.kind else {
            return Ok(self.entries(tile).await?.iter().map(|stored| entry::hash(&stored.bytes)).collect());
        };
        let below = usize::from(level) - 1;
        let first = tile.index * u64::from(WIDTH);
        let end = first + u64::from(tile.width);
        let mut full = self.full.lock().await;
        while full.get(below).map_or(0, Vec::len) < as_usize(end) {
            self.grow(&mut full, tile).await?;
        }
        Ok(full[below][as_usize(first)..as_usize(end)].to_vec())
    }

    /// One more full tile of level 0, and those above that it fills.
    async fn grow(&self, full: &mut Vec<Vec<Hash>>, wanted: Tile) -> Result<(), TileError> {
        let index = full.first().map_or(0, Vec::len) as u64;
        let batch = self.store.sequenced(index * u64::from(WIDTH), BATCH * usize::from(WIDTH)).await?;
        let leaves: Vec<Hash> = batch.iter().map(|stored| entry::hash(&stored.bytes)).collect();
        let mut whole = leaves.chunks_exact(usize::from(WIDTH)).peekable();
        if whole.peek().is_none() {
            return Err(TileError::Missing(wanted));
        }
        for leaves in whole {
            let mut root = tree::root(leaves.iter().copied());
            for level in 0.. {
                if full.len() == level {
                    full.push(Vec::new());
                }
                full[level].push(root);
                let filled = full[level].len();
                if filled % usize::from(WIDTH) != 0 {
                    break;
                }
                root = tree::root(full[level][filled - usize::from(WIDTH)..].iter().copied());
            }
        }
        Ok(())
    }

    /// The entries of a tile of entries or of level 0.
    async fn entries(&self, tile: Tile) -> Result<Vec<Stored>, TileError> {
        let entries = self.store.sequenced(tile.index * u64::from(WIDTH), usize::from(tile.width)).await?;
        if entries.len() == usize::from(tile.width) { Ok(entries) } else { Err(TileError::Missing(tile)) }
    }
}

/// Indexes of what lies in memory.
fn as_usize(number: u64) -> usize {
    usize::try_from(number).unwrap_or(usize::MAX)
}

/// Tiles that are read at a time: some megabytes.
const BATCH: usize = 16;
