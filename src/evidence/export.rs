//! The bundle of one reset, for an auditor.

use remint_contract::ResetId;
use remint_evidence_format::bundle::{BuildError, Bundle, Parts, Placed};
use remint_evidence_format::note::SigningKey;
use remint_evidence_format::tree::{Hash, Tree};
use remint_evidence_format::{FormatError, entry};

use crate::store::{Store, StoreError};

/// Why there is no bundle.
#[derive(Debug, thiserror::Error)]
pub enum ExportError {
    #[error("the store could not be read")]
    Store(#[from] StoreError),
    #[error("there is no entry of a reset `{0}`; `remint get resets` lists what there is")]
    Unknown(ResetId),
    #[error("{count} entries of `{reset}` have no place in the tree yet; try again in a second")]
    Unplaced { reset: ResetId, count: usize },
    #[error("the tree changed while it was read; try again")]
    Moved,
    #[error("the bundle of `{reset}` could not be made")]
    Build {
        reset: ResetId,
        #[source]
        source: BuildError,
    },
    #[error("the bundle of `{reset}` could not be packed")]
    Pack {
        reset: ResetId,
        #[source]
        source: FormatError,
    },
}

/// Exports a reset: its entries, their proofs under the newest checkpoint, its plan (the bytes that `reset.started` pins),
/// signed. What became of everything reached follows from the entries.
///
/// Assumption: [`super::Sequencer::flush`] came before, where the newest entries matter.
///
/// # Errors
/// There is no such reset, some of its entries have no place yet, or the parts do not fit each other.
pub async fn export(store: &dyn Store, reset: &ResetId, plan: &[u8], key: &SigningKey) -> Result<Vec<u8>, ExportError> {
    // The entries first: a checkpoint that is read later covers at least those that had a place by then.
    let entries = store.entries_of(reset).await?;
    if entries.is_empty() {
        return Err(ExportError::Unknown(reset.clone()));
    }
    let count = entries.iter().filter(|entry| entry.index.is_none()).count();
    let Some((size, checkpoint)) = store.checkpoint().await?.filter(|_| count == 0) else {
        return Err(ExportError::Unplaced { reset: reset.clone(), count });
    };
    let tree = Tree::new(leaves(store, size).await?);
    let placed = entries.iter().map(|entry| Placed::new(entry, &tree, size)).collect::<Option<Vec<_>>>();
    let placed = placed.ok_or(ExportError::Moved)?;
    let parts = Parts { reset: &reset.0, plan, entries: &placed, checkpoint: &checkpoint };
    let bundle = Bundle::build(&parts, key).map_err(|source| ExportError::Build { reset: reset.clone(), source })?;
    bundle.to_archive().map_err(|source| ExportError::Pack { reset: reset.clone(), source })
}

/// The hashes of the first `size` entries.
async fn leaves(store: &dyn Store, size: u64) -> Result<Vec<Hash>, ExportError> {
    let mut leaves = Vec::new();
    while (leaves.len() as u64) < size {
        let batch = store.sequenced(leaves.len() as u64, BATCH).await?;
        if batch.is_empty() {
            return Err(ExportError::Moved);
        }
        leaves.extend(
            batch
                .iter()
                .take_while(|entry| entry.index.is_some_and(|index| index < size))
                .map(|entry| entry::hash(&entry.bytes)),
        );
    }
    Ok(leaves)
}

/// Entries read at a time: some megabytes.
const BATCH: usize = 4096;
