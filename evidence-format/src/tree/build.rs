//! Roots and proofs from leaves.

use std::ops::Range;

use super::{Hash, node_hash, ranges, sha256};

/// The root over some leaf hashes.
pub fn root(leaves: impl IntoIterator<Item = Hash>) -> Hash {
    let mut frontier = Frontier::default();
    for leaf in leaves {
        frontier.append(leaf);
    }
    frontier.root()
}

/// The right edge of a growing tree: all that appending and the root need, one hash per bit set in the size.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Frontier {
    size: u64,
    /// Roots of the perfect subtrees, the largest first.
    peaks: Vec<Hash>,
}

impl Frontier {
    pub fn size(&self) -> u64 {
        self.size
    }

    /// Adds the next leaf.
    pub fn append(&mut self, leaf: Hash) {
        let mut node = leaf;
        // Each set bit at the low end is a peak of the same height as `node`.
        for _ in 0..self.size.trailing_ones() {
            if let Some(left) = self.peaks.pop() {
                node = node_hash(&left, &node);
            }
        }
        self.peaks.push(node);
        self.size += 1;
    }

    /// The root over everything appended so far.
    pub fn root(&self) -> Hash {
        fold(&self.peaks)
    }

    /// The roots of the perfect subtrees, the largest first.
    pub fn peaks(&self) -> &[Hash] {
        &self.peaks
    }

    /// The right edge that these peaks are of; `None` when a tree of that size has more or fewer.
    pub fn from_peaks(size: u64, peaks: Vec<Hash>) -> Option<Self> {
        (peaks.len() == size.count_ones() as usize).then_some(Self { size, peaks })
    }
}

/// A whole tree in memory: every perfect subtree's root, so that a proof costs no hashing but at the right edge.
#[derive(Debug, Clone)]
pub struct Tree {
    /// `levels[h][i]` is the root over leaves `i << h .. (i + 1) << h`.
    levels: Vec<Vec<Hash>>,
}

impl Tree {
    pub fn new(leaves: Vec<Hash>) -> Self {
        let mut levels = vec![leaves];
        while let Some(below) = levels.last().filter(|level| level.len() > 1) {
            let level = below.chunks_exact(2).map(|pair| node_hash(&pair[0], &pair[1])).collect();
            levels.push(level);
        }
        Self { levels }
    }

    pub fn size(&self) -> usize {
        self.levels.first().map_or(0, Vec::len)
    }

    /// The root over the first `size` leaves; `None` when there are fewer.
    pub fn root(&self, size: usize) -> Option<Hash> {
        (size <= self.size()).then(|| self.range(0..size as u64)).flatten()
    }

    /// The root over leaves `place << height .. (place + 1) << height`.
    pub(crate) fn node(&self, height: u32, place: u64) -> Option<Hash> {
        self.levels.get(height as usize)?.get(usize::try_from(place).ok()?).copied()
    }

    /// The proof that leaf `index` is in the tree of the first `size` leaves: siblings from the leaf up.
    pub fn inclusion(&self, index: usize, size: usize) -> Option<Vec<Hash>> {
        let ranges = ranges::inclusion(index as u64, size as u64).filter(|_| size <= self.size())?;
        ranges.into_iter().map(|range| self.range(range)).collect()
    }

    /// The proof that the tree of the first `old` leaves is the beginning of that of the first `new`. Empty when `old` is
    /// nothing or everything.
    pub fn consistency(&self, old: usize, new: usize) -> Option<Vec<Hash>> {
        let ranges = ranges::consistency(old as u64, new as u64).filter(|_| new <= self.size())?;
        ranges.into_iter().map(|range| self.range(range)).collect()
    }

    fn range(&self, range: Range<u64>) -> Option<Hash> {
        range_root(range, |height, place| self.node(height, place))
    }
}

/// The root over a range, from the roots of its perfect subtrees; `None` when one of them is not at hand.
pub(crate) fn range_root(range: Range<u64>, node: impl Fn(u32, u64) -> Option<Hash>) -> Option<Hash> {
    let peaks = ranges::perfect(range).map(|(height, place)| node(height, place)).collect::<Option<Vec<_>>>()?;
    Some(fold(&peaks))
}

/// The root over perfect subtrees, the largest first.
fn fold(peaks: &[Hash]) -> Hash {
    let Some((last, rest)) = peaks.split_last() else { return sha256(b"") };
    rest.iter().rfold(*last, |right, left| node_hash(left, &right))
}
