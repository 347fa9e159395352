//! Places in the tree: a checkpoint that covers the next entries.

use rusqlite::params;

use super::read;
use super::writer::{Work, Writing, execute};
use super::{lease, to_row};
use crate::store::{Fence, StoreError};

/// Gives the next entries their places.
pub(super) struct Sequence {
    pub(super) fence: Fence,
    pub(super) ids: Vec<u64>,
    /// The size of the tree with them.
    pub(super) size: u64,
    pub(super) note: String,
}

impl Work for Sequence {
    type Answer = ();

    fn apply(self, writing: &mut Writing<'_>) -> Result<(), StoreError> {
        lease::check(writing.connection, &self.fence)?;
        let placed = read::size(writing.connection)?;
        let newest = writing.heads.last(writing.connection)?;
        // Ids have no gap, so the next entries are those that follow the ones with a place.
        let next = self.ids.iter().copied().eq(placed + 1..=self.size) && self.size > placed && self.size <= newest;
        if !next {
            let what = format!(
                "was asked for places out of order: {placed} entries have theirs, up to {} were meant",
                self.size
            );
            return Err(StoreError::Broken { what, source: None });
        }
        let sql = "INSERT INTO checkpoint (size, note) VALUES (?1, ?2)";
        execute(writing.connection, sql, params![to_row(self.size), self.note], "could not write a checkpoint")?;
        writing.heads.leaves.placed(self.size);
        Ok(())
    }
}
