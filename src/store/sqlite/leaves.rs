//! What has no place in the tree yet, kept by the writer as it writes it: giving places costs no read and no second hash.
//!
//! Guarantees: what is kept is what was committed, in order and without a gap; where that is not known, after a start, a
//! failure or too many entries, [`Leaves::after`] says so and the entries are read.

use std::collections::VecDeque;

use super::read;
use super::writer::{Work, Writing};
use crate::store::{Leaf, StoreError};

/// Leaves kept at most: some megabytes, and what comes in many merge delays.
const KEPT: usize = 1 << 16;

/// Room that is kept when there is nothing in it.
const ROOM: usize = 256;

/// The leaves of the newest entries.
#[derive(Default)]
pub(super) struct Leaves {
    /// Their ids follow each other.
    kept: VecDeque<Leaf>,
}

impl Leaves {
    /// Takes the leaf of the entry that was just written.
    pub(super) fn push(&mut self, leaf: Leaf) {
        let follows = self.kept.back().is_none_or(|last| last.id + 1 == leaf.id);
        if follows && self.kept.len() < KEPT {
            self.kept.push_back(leaf);
        }
    }

    /// Forgets the leaves of entries that came after this one and were undone.
    pub(super) fn undo(&mut self, last: u64) {
        let kept = self.kept.partition_point(|leaf| leaf.id <= last);
        self.kept.truncate(kept);
    }

    /// Forgets the leaves of entries up to this one, which have their places.
    pub(super) fn placed(&mut self, size: u64) {
        let placed = self.kept.partition_point(|leaf| leaf.id <= size);
        self.kept.drain(..placed);
        if self.kept.is_empty() {
            self.kept.shrink_to(ROOM);
        }
    }

    pub(super) fn forget(&mut self) {
        self.kept.clear();
    }

    /// The next leaves after the first `placed` entries; `None` when they have to be read.
    fn after(&self, placed: u64, limit: usize) -> Option<Vec<Leaf>> {
        let first = self.kept.partition_point(|leaf| leaf.id <= placed);
        self.kept.get(first).filter(|leaf| leaf.id == placed + 1)?;
        Some(self.kept.range(first..).take(limit).cloned().collect())
    }
}

/// Asks for the next leaves.
pub(super) struct Next {
    pub(super) limit: usize,
}

impl Work for Next {
    type Answer = Option<Vec<Leaf>>;

    fn apply(self, writing: &mut Writing<'_>) -> Result<Self::Answer, StoreError> {
        let placed = read::size(writing.connection)?;
        Ok(writing.heads.leaves.after(placed, self.limit))
    }
}
