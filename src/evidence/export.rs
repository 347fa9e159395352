//! The bundle of one reset, for an auditor.

use remint_contract::ResetId;
use remint_core::plan::Plan;
use remint_evidence_format::bundle::{BuildError, Bundle, Earlier, Parts, Placed};
use remint_evidence_format::ledger::{Ledger, LedgerError};
use remint_evidence_format::note::SigningKey;
use remint_evidence_format::tree::{Hash, Tree, sha256};
use remint_evidence_format::{FormatError, Stored, entry};

use crate::engine::record::{kind, read};
use crate::engine::reset::plan_bytes;
use crate::evidence::witnessing::checkpoint_over;
use crate::privacy::persons::disclosed;
use crate::store::{Key, Store, StoreError};

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
    #[error("the entries of `{reset}` do not follow each other: the store was changed from outside")]
    Entries {
        reset: ResetId,
        #[source]
        source: LedgerError,
    },
    #[error("the plan {hash} of `{reset}` is not in the store any more; restore it from a backup")]
    NoPlan { reset: ResetId, hash: Hash },
    #[error(
        "this log has {size} entries, and the checkpoint that was seen {seen}: it is not this log, or it was turned back"
    )]
    Ahead { size: u64, seen: u64 },
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

/// Exports a reset: its entries, their proofs under the newest checkpoint, its plan (the bytes that `reset.started` pins)
/// and the plans before it, signed. What became of everything reached follows from the entries.
///
/// Assumption: [`super::Sequencer::flush`] came before, where the newest entries matter.
///
/// # Errors
/// There is no such reset, some of its entries have no place yet, or the parts do not fit each other.
pub async fn export(store: &dyn Store, reset: &ResetId, plan: &[u8], key: &SigningKey) -> Result<Vec<u8>, ExportError> {
    let bundle = export_seen(store, reset, plan, key, &[]).await?;
    bundle.to_archive().map_err(|source| ExportError::Pack { reset: reset.clone(), source })
}

/// The same for somebody who saw the log when it had these sizes: with the proof that it goes on from there.
///
/// # Errors
/// As for [`export`], and the log is not that long.
pub async fn export_seen(
    store: &dyn Store,
    reset: &ResetId,
    plan: &[u8],
    key: &SigningKey,
    seen: &[u64],
) -> Result<Bundle, ExportError> {
    // The entries first: a checkpoint that is read later covers at least those that had a place by then.
    let entries = store.entries_of(reset).await?;
    if entries.is_empty() {
        return Err(ExportError::Unknown(reset.clone()));
    }
    let count = entries.iter().filter(|entry| entry.index.is_none()).count();
    let last = entries.iter().filter_map(|entry| entry.index).map(|index| index + 1).max();
    let needed = seen.iter().copied().chain(last).max().unwrap_or_default();
    let newest = match store.checkpoint().await?.filter(|_| count == 0) {
        Some((newest, _)) => newest,
        None => return Err(ExportError::Unplaced { reset: reset.clone(), count }),
    };
    if let Some(seen) = seen.iter().find(|seen| **seen > newest) {
        return Err(ExportError::Ahead { size: newest, seen: *seen });
    }
    // One that witnesses saw, where it covers what is needed.
    let Some((size, checkpoint)) = checkpoint_over(store, needed).await? else {
        return Err(ExportError::Unplaced { reset: reset.clone(), count });
    };
    let plans = plans(store, reset, &entries, plan).await?;
    let tree = Tree::new(leaves(store, size).await?);
    let placed = entries.iter().map(|entry| Placed::new(entry, &tree, size)).collect::<Option<Vec<_>>>();
    let placed = placed.ok_or(ExportError::Moved)?;
    let earlier =
        seen.iter().map(|seen| Earlier::new(&tree, *seen, size).ok_or(ExportError::Ahead { size, seen: *seen }));
    let earlier = earlier.collect::<Result<Vec<_>, _>>()?;
    let persons = disclosed(store, &reset.0).await?;
    let parts = Parts {
        reset: &reset.0,
        plans: &plans,
        entries: &placed,
        checkpoint: &checkpoint,
        earlier: &earlier,
        persons: &persons,
    };
    Bundle::build(&parts, key).map_err(|source| ExportError::Build { reset: reset.clone(), source })
}

/// Every plan that the entries name; the newest is at hand.
async fn plans(
    store: &dyn Store,
    reset: &ResetId,
    entries: &[Stored],
    newest: &[u8],
) -> Result<Vec<Vec<u8>>, ExportError> {
    let read_all = Ledger::of(&reset.0, entries.iter().map(|stored| stored.bytes.as_slice()));
    let ledger = read_all.map_err(|source| ExportError::Entries { reset: reset.clone(), source })?;
    let mut plans = Vec::new();
    for hash in ledger.plans() {
        if sha256(newest) == hash {
            plans.push(newest.to_vec());
            continue;
        }
        let key = Key { kind: kind::PLAN, id: hash.to_string() };
        let missing = || ExportError::NoPlan { reset: reset.clone(), hash };
        let plan: Plan = read(store.get(&key).await?.ok_or_else(missing)?)?;
        plans.push(plan_bytes(&plan));
    }
    Ok(plans)
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
