//! All that a store holds, to be carried to another back end.
//!
//! Guarantees: [`Whole::fill`] is one transaction, and only into a store that holds nothing. Fencing numbers come along, so
//! that they never go backwards. It is held in memory meanwhile: some hundred bytes an entry.

use async_trait::async_trait;
use jiff::Timestamp;

use crate::store::{Sealed, Store, StoreError};

/// Everything, in the order in which it was written.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Contents {
    pub records: Vec<RecordRow>,
    pub sealed: Vec<Sealed>,
    pub leases: Vec<LeaseRow>,
    /// By id, which counts from one without a gap.
    pub entries: Vec<EntryRow>,
    /// The size of the tree and the signed note.
    pub checkpoints: Vec<(u64, String)>,
}

/// A record, its body as it was written.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RecordRow {
    pub kind: String,
    pub id: String,
    pub scope: String,
    pub revision: u64,
    pub body: String,
}

/// A lease, held or let go.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct LeaseRow {
    pub name: String,
    pub holder: Option<String>,
    pub token: u64,
    pub until: Timestamp,
}

/// An entry.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct EntryRow {
    /// Empty: of none.
    pub reset: String,
    pub number: u64,
    pub bytes: Vec<u8>,
}

impl Contents {
    /// True of a store that nobody used.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.records.is_empty() && self.sealed.is_empty() && self.leases.is_empty() && self.entries.is_empty()
    }
}

/// A back end that can be copied.
#[async_trait]
pub trait Whole: Store {
    async fn contents(&self) -> Result<Contents, StoreError>;
    /// Writes all of it, or nothing.
    ///
    /// # Errors
    /// The store holds something already.
    async fn fill(&self, contents: Contents) -> Result<(), StoreError>;
}

/// What a store that holds something says.
pub(super) fn not_empty() -> StoreError {
    let what = "holds something already, so nothing was copied into it; name an empty one".to_owned();
    StoreError::Broken { what, source: None }
}
