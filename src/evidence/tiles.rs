//! The log as tiles, out of the store: what auditors fetch, what witnesses want proofs of, what lies in a published folder.
//!
//! Flow: a tile of entries or of level 0 is read from the store when it is asked for. The tree is kept in memory from the
//! roots of 32 entries upwards: two hashes for 32 entries, which grow with the log; tiles above level 0 and most of every
//! proof lie there. Below, a proof reads the 32 entries around its own, and the few at the right edge, which were hashed
//! before when they were asked for not long ago.
//!
//! Guarantees: nothing beyond the newest checkpoint is given; a tile that was given never changes.

use std::cell::RefCell;
use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use remint_evidence_format::tile::{self, HEIGHT, Kind, Tile, WIDTH};
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
    #[error("the store has fewer entries than its checkpoint says: no entry at {0}, counted from 0")]
    Missing(u64),
}

/// The tiles of one store.
pub struct Tiles {
    store: Arc<dyn Store>,
    /// The roots of perfect subtrees by height, beginning with those of blocks.
    full: Mutex<Vec<Vec<Hash>>>,
    /// Hashes of the entries of blocks.
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
        self.proof(new, |node| tile::consistency(old, new, node)).await
    }

    /// The proof that the entry at `index` is in the tree of `size`; `None` when it is not, or there is none yet.
    ///
    /// # Errors
    /// As for [`Tiles::bytes`].
    pub async fn inclusion(&self, index: u64, size: u64) -> Result<Option<Vec<Hash>>, TileError> {
        self.proof(size, |node| tile::inclusion(index, size, node)).await
    }

    /// A proof out of a tree of `size`, by whoever makes it of nodes: first told which ones he asks for, then given them.
    async fn proof(
        &self,
        size: u64,
        make: impl Fn(&dyn Fn(u32, u64) -> Option<Hash>) -> Option<Vec<Hash>>,
    ) -> Result<Option<Vec<Hash>>, TileError> {
        let needed = RefCell::new(BTreeSet::new());
        let told = make(&|height, place| {
            needed.borrow_mut().insert((height, place));
            Some(Hash([0; 32]))
        });
        if told.is_none() || !self.reaches(size).await? {
            return Ok(None);
        }
        let (mut below, mut above) = (BTreeSet::new(), false);
        for (height, place) in needed.take() {
            match LOW.checked_sub(height) {
                Some(depth @ 1..) => drop(below.insert(place >> depth)),
                _ => above = true,
            }
        }
        let mut blocks = BTreeMap::new();
        for block in below {
            blocks.insert(block, self.block(block, size).await?);
        }
        let full = if above { self.grown(size >> LOW).await? } else { self.full.lock().await };
        Ok(make(&|height, place| match height.checked_sub(LOW) {
            Some(row) => full.get(as_usize(row.into()))?.get(as_usize(place)).copied(),
            None => inner(blocks.get(&(place >> (LOW - height)))?, height, place),
        }))
    }

    /// Does a checkpoint cover so many entries?
    async fn reaches(&self, size: u64) -> Result<bool, TileError> {
        if size > self.seen.load(Ordering::Relaxed) {
            let newest = self.size().await?;
            self.seen.fetch_max(newest, Ordering::Relaxed);
            return Ok(size <= newest);
        }
        Ok(true)
    }

    /// The hashes of the entries of a block, as many as a tree of `size` has.
    async fn block(&self, block: u64, size: u64) -> Result<Vec<Hash>, TileError> {
        let first = block << LOW;
        let width = as_usize(size.saturating_sub(first).min(1 << LOW));
        if let Some(hashes) = self.recent.lock().await.find(block, width) {
            return Ok(hashes);
        }
        let hashes = self.leaves(first, width).await?;
        self.recent.lock().await.keep(block, &hashes);
        Ok(hashes)
    }

    /// The tree above so many full blocks.
    async fn grown(&self, blocks: u64) -> Result<MutexGuard<'_, Vec<Vec<Hash>>>, TileError> {
        let mut full = self.full.lock().await;
        while full.first().map_or(0, Vec::len) < as_usize(blocks) {
            self.grow(&mut full).await?;
        }
        Ok(full)
    }

    async fn hashes(&self, tile: Tile) -> Result<Vec<Hash>, TileError> {
        let first = tile.index * u64::from(WIDTH);
        let Kind::Level(level @ 1..) = tile.kind else { return self.leaves(first, tile.width.into()).await };
        let row = u32::from(level) * HEIGHT - LOW;
        let end = first + u64::from(tile.width);
        let missing = || TileError::Missing(end.saturating_mul(u64::from(WIDTH)));
        let full = self.grown(end.checked_shl(row).ok_or_else(missing)?).await?;
        let row = full.get(as_usize(row.into())).and_then(|row| row.get(as_usize(first)..as_usize(end)));
        row.map(<[Hash]>::to_vec).ok_or_else(missing)
    }

    /// The hashes of so many entries.
    async fn leaves(&self, first: u64, width: usize) -> Result<Vec<Hash>, TileError> {
        let hashes = self.store.hashes(first, width).await?;
        if hashes.len() == width { Ok(hashes) } else { Err(TileError::Missing(first + hashes.len() as u64)) }
    }

    /// More full blocks, and the roots above that they fill.
    async fn grow(&self, full: &mut Vec<Vec<Hash>>) -> Result<(), TileError> {
        let first = (full.first().map_or(0, Vec::len) as u64) << LOW;
        let leaves = self.store.hashes(first, BATCH << LOW).await?;
        let mut whole = leaves.chunks_exact(1 << LOW).peekable();
        if whole.peek().is_none() {
            return Err(TileError::Missing(first + leaves.len() as u64));
        }
        for leaves in whole {
            let mut root = tree::root(leaves.iter().copied());
            for row in 0.. {
                if full.len() == row {
                    full.push(Vec::new());
                }
                full[row].push(root);
                let [.., left, right] = full[row].as_slice() else { break };
                if full[row].len() % 2 != 0 {
                    break;
                }
                root = tree::node_hash(left, right);
            }
        }
        Ok(())
    }

    /// The entries of a tile of entries.
    async fn entries(&self, tile: Tile) -> Result<Vec<Stored>, TileError> {
        let first = tile.index * u64::from(WIDTH);
        let entries = self.store.sequenced(first, usize::from(tile.width)).await?;
        let read = entries.len();
        if read == usize::from(tile.width) { Ok(entries) } else { Err(TileError::Missing(first + read as u64)) }
    }
}

/// The root of a perfect subtree of a block, out of the hashes of its entries.
fn inner(leaves: &[Hash], height: u32, place: u64) -> Option<Hash> {
    let first = as_usize((place << height) % (1 << LOW));
    Some(tree::root(leaves.get(first..first + (1 << height))?.iter().copied()))
}

/// Indexes of what lies in memory.
fn as_usize(number: u64) -> usize {
    usize::try_from(number).unwrap_or(usize::MAX)
}

/// The height of a block: what a proof has to read and hash is 32 entries, what stays in memory two hashes for them, four
/// megabytes for a million entries.
const LOW: u32 = 5;

/// Blocks that are read at a time: some megabytes.
const BATCH: usize = 128;
