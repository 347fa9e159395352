//! The hashes of the blocks of entries that were asked for last.
//!
//! Guarantee: what is kept is right for ever, of a partial block too: a log only grows, and what is there never changes.

use std::collections::BTreeMap;

use remint_evidence_format::tree::Hash;

/// Blocks kept at most: a quarter of a megabyte.
const KEPT: usize = 256;

#[derive(Default)]
pub(super) struct Recent {
    /// By index, with the turn in which each was asked for last.
    blocks: BTreeMap<u64, (u64, Vec<Hash>)>,
    turn: u64,
}

impl Recent {
    /// The first `width` hashes of a block, when that many are kept.
    pub(super) fn find(&mut self, index: u64, width: usize) -> Option<Vec<Hash>> {
        self.turn += 1;
        let (asked, hashes) = self.blocks.get_mut(&index)?;
        *asked = self.turn;
        hashes.get(..width).map(<[Hash]>::to_vec)
    }

    /// Keeps the hashes of a block in the place of those that were asked for longest ago.
    pub(super) fn keep(&mut self, index: u64, hashes: &[Hash]) {
        if self.blocks.get(&index).is_some_and(|(_, kept)| kept.len() >= hashes.len()) {
            return;
        }
        self.turn += 1;
        self.blocks.insert(index, (self.turn, hashes.to_vec()));
        if self.blocks.len() > KEPT
            && let Some(oldest) = self.blocks.iter().min_by_key(|(_, (asked, _))| *asked).map(|(index, _)| *index)
        {
            self.blocks.remove(&oldest);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_block_that_was_asked_for_longest_ago_makes_room() {
        let mut recent = Recent::default();
        for index in 0..KEPT as u64 {
            recent.keep(index, &[Hash([1; 32])]);
        }
        assert!(recent.find(0, 1).is_some());
        recent.keep(1000, &[Hash([2; 32])]);
        assert!(recent.find(0, 1).is_some() && recent.find(1000, 1).is_some());
        assert!(recent.find(1, 1).is_none());
    }

    #[test]
    fn a_block_that_grew_is_asked_for_again_and_then_serves_every_width() {
        let mut recent = Recent::default();
        recent.keep(7, &[Hash([1; 32])]);
        assert!(recent.find(7, 2).is_none());
        recent.keep(7, &[Hash([1; 32]), Hash([2; 32])]);
        recent.keep(7, &[Hash([1; 32])]);
        assert_eq!(recent.find(7, 2).unwrap(), [Hash([1; 32]), Hash([2; 32])]);
        assert_eq!(recent.find(7, 1).unwrap(), [Hash([1; 32])]);
    }
}
