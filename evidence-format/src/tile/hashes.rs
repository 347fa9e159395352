//! Proofs out of tiles: which ones are needed, and what they give.

use std::collections::{BTreeMap, BTreeSet};
use std::ops::Range;

use super::{HEIGHT, Kind, Tile};
use crate::tree::{Hash, node_hash, range_root, ranges};

/// The tiles that prove that leaf `index` is in the tree of `size`; `None` when it is not in there.
pub fn for_inclusion(index: u64, size: u64) -> Option<BTreeSet<Tile>> {
    Some(covering(ranges::inclusion(index, size)?, size))
}

/// The proof that leaf `index` is in the tree of `size`, where `node` knows the roots of perfect subtrees: by their height,
/// and their place among those of this height. `None` when it is not in there, or a root is not known.
pub fn inclusion(index: u64, size: u64, node: impl Fn(u32, u64) -> Option<Hash>) -> Option<Vec<Hash>> {
    ranges::inclusion(index, size)?.into_iter().map(|range| range_root(range, &node)).collect()
}

/// The proof that the tree of `old` is the beginning of that of `new`, as [`inclusion`] makes one. `None` when it is not,
/// or a root is not known.
pub fn consistency(old: u64, new: u64, node: impl Fn(u32, u64) -> Option<Hash>) -> Option<Vec<Hash>> {
    ranges::consistency(old, new)?.into_iter().map(|range| range_root(range, &node)).collect()
}

/// The tiles that prove that the tree of `old` is the beginning of that of `new`; `None` when `old` is larger.
pub fn for_consistency(old: u64, new: u64) -> Option<BTreeSet<Tile>> {
    Some(covering(ranges::consistency(old, new)?, new))
}

fn covering(ranges: Vec<Range<u64>>, size: u64) -> BTreeSet<Tile> {
    let nodes = ranges.into_iter().flat_map(ranges::perfect);
    nodes.filter_map(|(height, place)| tile_of(height, place, size)).collect()
}

/// The tile below whose own root, or among whose hashes, a perfect subtree's root is found.
fn tile_of(height: u32, place: u64, size: u64) -> Option<Tile> {
    let (kind, index, _) = position(height, place)?;
    Tile::in_tree(kind, index, size)
}

/// The level, the tile's index and the first hash in it of a perfect subtree.
fn position(height: u32, place: u64) -> Option<(Kind, u64, usize)> {
    let level = u8::try_from(height / HEIGHT).ok()?;
    let first = place << (height % HEIGHT);
    Some((Kind::Level(level), first >> HEIGHT, usize::try_from(first & 0xff).ok()?))
}

/// Tiles of hashes at hand.
#[derive(Debug, Clone, Default)]
pub struct Hashes {
    tiles: BTreeMap<(u8, u64), Vec<Hash>>,
}

impl Hashes {
    /// Takes the hashes of a tile; tiles of entries hold none and are passed over.
    pub fn insert(&mut self, tile: Tile, hashes: Vec<Hash>) {
        if let Kind::Level(level) = tile.kind {
            self.tiles.insert((level, tile.index), hashes);
        }
    }

    /// The proof that leaf `index` is in the tree of `size`; `None` when it is not, or a tile is missing.
    pub fn inclusion(&self, index: u64, size: u64) -> Option<Vec<Hash>> {
        inclusion(index, size, |height, place| self.node(height, place))
    }

    /// The proof that the tree of `old` is the beginning of that of `new`; `None` when it is not, or a tile is missing.
    pub fn consistency(&self, old: u64, new: u64) -> Option<Vec<Hash>> {
        consistency(old, new, |height, place| self.node(height, place))
    }

    /// The root of a perfect subtree by its height and its place among those of this height; `None` when its tile is
    /// missing.
    pub fn node(&self, height: u32, place: u64) -> Option<Hash> {
        let (kind, index, first) = position(height, place)?;
        let hashes = self.tiles.get(&(kind.level(), index))?;
        let mut level = hashes.get(first..first + (1 << (height % HEIGHT)))?.to_vec();
        while level.len() > 1 {
            level = level.chunks_exact(2).map(|pair| node_hash(&pair[0], &pair[1])).collect();
        }
        level.first().copied()
    }
}
