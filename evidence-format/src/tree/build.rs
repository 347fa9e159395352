//! Roots and proofs from leaves.

use super::{Hash, node_hash, sha256};

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
        let mut peaks = self.peaks.iter().rev();
        let Some(last) = peaks.next() else { return sha256(b"") };
        peaks.fold(*last, |right, left| node_hash(left, &right))
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
        (size <= self.size()).then(|| self.range(0, size))
    }

    /// The proof that leaf `index` is in the tree of the first `size` leaves: siblings from the leaf up.
    pub fn inclusion(&self, index: usize, size: usize) -> Option<Vec<Hash>> {
        if index >= size || size > self.size() {
            return None;
        }
        let mut proof = Vec::new();
        let (mut low, mut high) = (0, size);
        while high - low > 1 {
            let middle = low + split(high - low);
            if index < middle {
                proof.push(self.range(middle, high));
                high = middle;
            } else {
                proof.push(self.range(low, middle));
                low = middle;
            }
        }
        proof.reverse();
        Some(proof)
    }

    /// The proof that the tree of the first `old` leaves is the beginning of that of the first `new`. Empty when `old` is
    /// nothing or everything.
    pub fn consistency(&self, old: usize, new: usize) -> Option<Vec<Hash>> {
        if old > new || new > self.size() {
            return None;
        }
        if old == 0 || old == new {
            return Some(Vec::new());
        }
        let mut proof = Vec::new();
        let (mut low, mut high) = (0, new);
        while high != old {
            let middle = low + split(high - low);
            if old <= middle {
                proof.push(self.range(middle, high));
                high = middle;
            } else {
                proof.push(self.range(low, middle));
                low = middle;
            }
        }
        // The old tree's own root is known to the verifier and left out.
        if low > 0 {
            proof.push(self.range(low, high));
        }
        proof.reverse();
        Some(proof)
    }

    /// The root over leaves `low..high`, where `low` is a multiple of a power of two that is not below `high - low`.
    fn range(&self, low: usize, high: usize) -> Hash {
        let mut peaks = Vec::new();
        let mut at = low;
        while at < high {
            let height = (high - at).ilog2() as usize;
            peaks.push(self.levels[height][at >> height]);
            at += 1 << height;
        }
        let mut peaks = peaks.into_iter().rev();
        let Some(last) = peaks.next() else { return sha256(b"") };
        peaks.fold(last, |right, left| node_hash(&left, &right))
    }
}

/// The largest power of two below `size`, for a `size` above 1.
fn split(size: usize) -> usize {
    1 << (size - 1).ilog2()
}
