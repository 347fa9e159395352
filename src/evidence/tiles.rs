//! The log as tiles, out of the store: what auditors fetch, what witnesses want proofs of, what lies in a published folder.
//!
//! Flow: a tile of entries or of level 0 is read from the store when it is asked for; the hashes of the few that were asked
//! for last are kept, the right edge among them, which every proof needs. Tiles above are made of the roots of full tiles
//! below, one hash for 256 entries, which are kept in memory and grow with the log.
//!
//! Guarantees: nothing beyond the newest checkpoint is given; a tile that was given never changes.

use std::collections::BTreeSet;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use remint_evidence_format::tile::{self, HEIGHT, Hashes, Kind, Tile, WIDTH};
use remint_evidence_format::tree::{self, Hash};
use remint_evidence_format::{FormatError, Stored};
use tokio::sync::{Mutex, MutexGuard};

use self::recent::Recent;
use crate::store::{Store, StoreError};

mod recent;

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
    /// The roots of perfect subtrees by height, beginning with full tiles of level 0.
    full: Mutex<Vec<Vec<Hash>>>,
    /// Hashes of level 0.
    recent: Mutex<Recent>,
    /// A size that the log had: it only grows.
    seen: AtomicU64,
}

impl Tiles {
    pub fn new(store: Arc<dyn Store>) -> Self {
        Self { store, full: Mutex::default(), recent: Mutex::default(), seen: AtomicU64::new(0) }
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
        let Some((edges, full)) = self.gather(needed, new).await? else { return Ok(None) };
        Ok(tile::consistency(old, new, |height, place| node(&edges, &full, height, place)))
    }

    /// The proof that the entry at `index` is in the tree of `size`; `None` when it is not, or there is none yet.
    ///
    /// # Errors
    /// As for [`Tiles::bytes`].
    pub async fn inclusion(&self, index: u64, size: u64) -> Result<Option<Vec<Hash>>, TileError> {
        let Some(needed) = tile::for_inclusion(index, size) else { return Ok(None) };
        let Some((edges, full)) = self.gather(needed, size).await? else { return Ok(None) };
        Ok(tile::inclusion(index, size, |height, place| node(&edges, &full, height, place)))
    }

    /// What a proof is made of: the tiles of level 0 that it needs, and all roots above.
    async fn gather(
        &self,
        needed: BTreeSet<Tile>,
        size: u64,
    ) -> Result<Option<(Hashes, MutexGuard<'_, Vec<Vec<Hash>>>)>, TileError> {
        if size > self.seen.load(Ordering::Relaxed) {
            let newest = self.size().await?;
            self.seen.fetch_max(newest, Ordering::Relaxed);
            if size > newest {
                return Ok(None);
            }
        }
        let mut edges = Hashes::default();
        for tile in needed.iter().filter(|tile| tile.kind == Kind::Level(0)) {
            edges.insert(*tile, self.leaves(*tile).await?);
        }
        let full = match needed.iter().find(|tile| tile.kind != Kind::Level(0)) {
            Some(above) => self.grown(size / u64::from(WIDTH), *above).await?,
            None => self.full.lock().await,
        };
        Ok(Some((edges, full)))
    }

    /// The roots of so many full tiles of level 0, and what stands above them.
    async fn grown(&self, tiles: u64, wanted: Tile) -> Result<MutexGuard<'_, Vec<Vec<Hash>>>, TileError> {
        let mut full = self.full.lock().await;
        while full.first().map_or(0, Vec::len) < as_usize(tiles) {
            self.grow(&mut full, wanted).await?;
        }
        Ok(full)
    }

    async fn hashes(&self, tile: Tile) -> Result<Vec<Hash>, TileError> {
        let Kind::Level(level @ 1..) = tile.kind else { return self.leaves(tile).await };
        let height = u32::from(level - 1) * HEIGHT;
        let first = tile.index * u64::from(WIDTH);
        let end = first + u64::from(tile.width);
        let Some(tiles) = end.checked_shl(height) else { return Err(TileError::Missing(tile)) };
        let full = self.grown(tiles, tile).await?;
        let row = full.get(as_usize(height.into())).and_then(|row| row.get(as_usize(first)..as_usize(end)));
        row.map(<[Hash]>::to_vec).ok_or(TileError::Missing(tile))
    }

    /// The hashes of a tile of level 0.
    async fn leaves(&self, tile: Tile) -> Result<Vec<Hash>, TileError> {
        let width = usize::from(tile.width);
        if let Some(hashes) = self.recent.lock().await.find(tile.index, width) {
            return Ok(hashes);
        }
        let hashes = self.store.hashes(tile.index * u64::from(WIDTH), width).await?;
        if hashes.len() != width {
            return Err(TileError::Missing(tile));
        }
        self.recent.lock().await.keep(tile.index, &hashes);
        Ok(hashes)
    }

    /// One more full tile of level 0, and those above that it fills.
    async fn grow(&self, full: &mut Vec<Vec<Hash>>, wanted: Tile) -> Result<(), TileError> {
        let index = full.first().map_or(0, Vec::len) as u64;
        let leaves = self.store.hashes(index * u64::from(WIDTH), BATCH * usize::from(WIDTH)).await?;
        let mut whole = leaves.chunks_exact(usize::from(WIDTH)).peekable();
        if whole.peek().is_none() {
            return Err(TileError::Missing(wanted));
        }
        for leaves in whole {
            let mut root = tree::root(leaves.iter().copied());
            for height in 0.. {
                if full.len() == height {
                    full.push(Vec::new());
                }
                full[height].push(root);
                let [.., left, right] = full[height].as_slice() else { break };
                if full[height].len() % 2 != 0 {
                    break;
                }
                root = tree::node_hash(left, right);
            }
        }
        Ok(())
    }

    /// The entries of a tile of entries.
    async fn entries(&self, tile: Tile) -> Result<Vec<Stored>, TileError> {
        let entries = self.store.sequenced(tile.index * u64::from(WIDTH), usize::from(tile.width)).await?;
        if entries.len() == usize::from(tile.width) { Ok(entries) } else { Err(TileError::Missing(tile)) }
    }
}

/// The root of a perfect subtree: out of its tile of level 0, or as it is kept.
fn node(edges: &Hashes, full: &[Vec<Hash>], height: u32, place: u64) -> Option<Hash> {
    match height.checked_sub(HEIGHT) {
        Some(above) => full.get(as_usize(above.into()))?.get(as_usize(place)).copied(),
        None => edges.node(height, place),
    }
}

/// Indexes of what lies in memory.
fn as_usize(number: u64) -> usize {
    usize::try_from(number).unwrap_or(usize::MAX)
}

/// Tiles that are read at a time: some megabytes.
const BATCH: usize = 16;
