//! The bundle of one reset, for an auditor.

use remint_contract::ResetId;
use remint_core::approval::Signed;
use remint_core::plan::Plan;
use remint_evidence_format::approval::Disclosed;
use remint_evidence_format::bundle::{BuildError, Bundle, Earlier, Parts, Placed};
use remint_evidence_format::checkpoint::Checkpoint;
use remint_evidence_format::ledger::{Ledger, LedgerError};
use remint_evidence_format::tree::{Hash, Tree, sha256};
use remint_evidence_format::{FormatError, Stored};

use crate::engine::record::{kind, read};
use crate::engine::reset::plan_bytes;
use crate::evidence::rotation::Link;
use crate::evidence::signer::{SignError, Signer};
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
    #[error("the bundle of `{reset}` was not signed")]
    Sign {
        reset: ResetId,
        #[source]
        source: SignError,
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
pub async fn export(store: &dyn Store, reset: &ResetId, plan: &[u8], key: &dyn Signer) -> Result<Vec<u8>, ExportError> {
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
    key: &dyn Signer,
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
    let Some((newest, _)) = store.checkpoint().await?.filter(|_| count == 0) else {
        return Err(ExportError::Unplaced { reset: reset.clone(), count });
    };
    if let Some(seen) = seen.iter().find(|seen| **seen > newest) {
        return Err(ExportError::Ahead { size: newest, seen: *seen });
    }
    // One that witnesses saw, where it covers what is needed.
    let shown = checkpoint_over(store, needed).await?;
    // What witnesses saw before the key changed is signed by another one.
    let own = shown.filter(|(_, note)| Checkpoint::open(note.as_bytes(), key.verifier()).is_ok());
    let newest = if own.is_some() { None } else { store.checkpoint().await? };
    let Some((size, checkpoint)) = own.or(newest) else {
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
    let links: Vec<String> = Link::all(store).await?.into_iter().map(|link| link.proof).collect();
    let (approvals, exceptions) = approvals(store, reset, &entries).await?;
    let parts = Parts {
        reset: &reset.0,
        plans: &plans,
        entries: &placed,
        checkpoint: &checkpoint,
        earlier: &earlier,
        persons: &persons,
        links: &links,
        approvals: &approvals,
        exceptions: &exceptions,
    };
    let unbuilt = |source| ExportError::Build { reset: reset.clone(), source };
    let unsigned = Bundle::unsigned(&parts).map_err(unbuilt)?;
    let signed = key.sign(unsigned.text().as_bytes()).await;
    let signature = signed.map_err(|source| ExportError::Sign { reset: reset.clone(), source })?;
    unsigned.signed(key.verifier(), &signature).map_err(unbuilt)
}

/// What persons signed of its plans, and of what it leaves out, each to the entry that names it.
async fn approvals(
    store: &dyn Store,
    reset: &ResetId,
    entries: &[Stored],
) -> Result<(Vec<Disclosed>, Vec<Disclosed>), ExportError> {
    let read_all = Ledger::of(&reset.0, entries.iter().map(|stored| stored.bytes.as_slice()));
    let ledger = read_all.map_err(|source| ExportError::Entries { reset: reset.clone(), source })?;
    let of = async |entry: u64, note: Hash| -> Result<Option<Disclosed>, ExportError> {
        let record = store.get(&Key { kind: kind::APPROVAL, id: note.to_string() }).await?;
        let signed: Option<Signed> = record.map(read).transpose()?;
        // What was erased is not there, and is missed by whoever verifies.
        Ok(signed.map(|Signed { note, key }| Disclosed { entry, key, note }))
    };
    let (mut plans, mut exceptions) = (Vec::new(), Vec::new());
    for said in ledger.approvals() {
        if let Some((note, _)) = said.signed {
            plans.extend(of(said.entry, note).await?);
        }
    }
    for excepted in ledger.excepted() {
        for (note, _) in &excepted.signed {
            exceptions.extend(of(excepted.entry, *note).await?);
        }
    }
    Ok((plans, exceptions))
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
        let wanted = usize::try_from(size - leaves.len() as u64).map_or(BATCH, |left| left.min(BATCH));
        let batch = store.hashes(leaves.len() as u64, wanted).await?;
        if batch.is_empty() {
            return Err(ExportError::Moved);
        }
        leaves.extend(batch);
    }
    Ok(leaves)
}

/// Entries read at a time: some megabytes.
const BATCH: usize = 4096;
