//! Checking a store: the tree against its checkpoint, every chain, the records against the entries, every seal.
//!
//! Nothing is changed, and everything that is wrong is named; a check that ends is not a store that is sound.

use std::collections::{BTreeMap, BTreeSet};

use remint_core::machine::State;
use remint_evidence_format::Stored;
use remint_evidence_format::checkpoint::Checkpoint;
use remint_evidence_format::entry;
use remint_evidence_format::ledger::Ledger;
use remint_evidence_format::outcome::Outcome;
use remint_evidence_format::tree::{Frontier, Hash};
use serde::Serialize;

use crate::app::{App, AppError};
use crate::engine::record::{Reset, ResetStatus, RotationRecord};
use crate::store::pages::Pages;

/// What was looked at, and what is wrong.
#[derive(Debug, Default, Serialize)]
pub struct Checked {
    /// Entries that have a place.
    pub entries: u64,
    pub chains: usize,
    pub resets: usize,
    pub rotations: usize,
    pub sealed: usize,
    pub problems: Vec<Problem>,
}

/// One thing that is wrong.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Problem {
    pub place: String,
    pub what: String,
}

impl Checked {
    fn find(&mut self, place: impl Into<String>, what: impl Into<String>) {
        self.problems.push(Problem { place: place.into(), what: what.into() });
    }
}

/// Looks at everything.
///
/// # Errors
/// The store cannot be read.
pub async fn check(app: &App) -> Result<Checked, AppError> {
    let mut checked = Checked::default();
    if !app.standing.is_sound() {
        checked.find("the anchor", app.standing.sentence());
    }
    tree(app, &mut checked).await?;
    let mut needed = BTreeSet::new();
    for reset in app.engine.resets().await? {
        checked.resets += 1;
        let rotations = app.engine.rotations(&reset.id).await?;
        checked.rotations += rotations.len();
        if reset.status != ResetStatus::Rejected && reset.status != ResetStatus::Complete {
            for record in &rotations {
                let facts = &record.rotation.facts;
                let sealed =
                    [&facts.old, &facts.new].into_iter().flatten().filter_map(|version| version.sealed.clone());
                needed.extend(sealed.map(|sealed| (sealed, record.credential.to_string())));
            }
        }
        records(app, &reset, &rotations, &mut checked).await?;
    }
    seals(app, needed, &mut checked).await?;
    Ok(checked)
}

/// The entries give the root that the checkpoint signs, and each chain has every number and every hash.
async fn tree(app: &App, checked: &mut Checked) -> Result<(), AppError> {
    let store = &app.store;
    let (size, note) = store.checkpoint().await?.unwrap_or_default();
    let mut frontier = Frontier::default();
    let mut heads: BTreeMap<Option<String>, (u64, Hash)> = BTreeMap::new();
    let mut look = |stored: &Stored, checked: &mut Checked| {
        let (number, previous) = heads.get(&stored.reset).copied().unwrap_or((0, entry::FIRST));
        let wrong = match entry::parse(&stored.bytes) {
            Err(error) => Some(error.to_string()),
            Ok(read) if read.number != number + 1 || read.number != stored.number => {
                Some(format!("number {} must follow", number + 1))
            }
            Ok(read) if read.previous != previous => Some("it does not carry the hash of the one before".to_owned()),
            Ok(read) if read.reset.as_deref() != stored.reset.as_deref() => {
                Some("it belongs to another reset".to_owned())
            }
            Ok(_) => None,
        };
        if let Some(wrong) = wrong {
            let of = stored.reset.as_deref().unwrap_or("no reset");
            checked.find(format!("entry {} of {of}", stored.number), wrong);
        }
        heads.insert(stored.reset.clone(), (stored.number, entry::hash(&stored.bytes)));
    };
    while frontier.size() < size {
        let batch = store.sequenced(frontier.size(), 4096).await?;
        if batch.is_empty() {
            checked.find("the tree", format!("the checkpoint is over {size} entries and {} are here", frontier.size()));
            break;
        }
        for stored in &batch {
            frontier.append(entry::hash(&stored.bytes));
            look(stored, checked);
        }
    }
    for stored in store.unsequenced(usize::MAX).await? {
        look(&stored, checked);
    }
    checked.entries = frontier.size();
    checked.chains = heads.len();
    if note.is_empty() {
        return Ok(());
    }
    match Checkpoint::open(note.as_bytes(), app.key.verifier()) {
        Err(error) => checked.find("the checkpoint", error.to_string()),
        Ok(signed) if signed.size != size || signed.root != frontier.root() => {
            checked.find("the tree", "its entries do not give the root that the checkpoint signs");
        }
        Ok(_) => {}
    }
    Ok(())
}

/// What the records say became of each credential is what the entries say.
async fn records(
    app: &App,
    reset: &Reset,
    rotations: &[RotationRecord],
    checked: &mut Checked,
) -> Result<(), AppError> {
    let entries = app.store.entries_of(&reset.id).await?;
    let ledger = match Ledger::of(&reset.id.0, entries.iter().map(|entry| entry.bytes.as_slice())) {
        Ok(ledger) => ledger,
        Err(error) => {
            checked.find(format!("the entries of {}", reset.id), error.to_string());
            return Ok(());
        }
    };
    if reset.status == ResetStatus::Complete && !ledger.is_closed() {
        checked.find(reset.id.0.clone(), "it is recorded as complete, and its entries are not closed");
    }
    for record in rotations {
        let told = ledger.rows().get(&record.credential.to_string()).map(|row| &row.outcome);
        let fits = match (&record.rotation.state, told) {
            (State::Settled { .. }, Some(outcome)) => {
                matches!(outcome, Outcome::Settled { .. } | Outcome::Provisional { .. })
            }
            (State::Parked { .. } | State::Dark { .. }, Some(outcome)) => matches!(outcome, Outcome::Open { .. }),
            (_, Some(_)) => true,
            (_, None) => false,
        };
        if !fits {
            let state = &record.rotation.state;
            checked.find(
                format!("{} of {}", record.credential, reset.id),
                format!("it is recorded as {state}, and its entries say something else"),
            );
        }
    }
    Ok(())
}

/// Every sealed value opens, and none is missing that a reset goes on with.
async fn seals(app: &App, needed: BTreeSet<(String, String)>, checked: &mut Checked) -> Result<(), AppError> {
    let mut there = BTreeSet::new();
    let mut pages = Pages::of(&*app.store);
    while let Some(page) = pages.next().await? {
        for sealed in page {
            checked.sealed += 1;
            if let Err(error) = app.engine.escrow.open(&sealed) {
                checked.find(format!("the sealed value {}", sealed.id), error.to_string());
            }
            there.insert(sealed.id);
        }
    }
    for (sealed, credential) in needed {
        if !there.contains(&sealed) {
            checked.find(format!("the sealed value {sealed}"), format!("{credential} goes on with it, and it is gone"));
        }
    }
    Ok(())
}
