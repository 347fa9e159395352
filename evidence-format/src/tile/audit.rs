//! Everything that a log publishes, read and held against its checkpoint.

use std::collections::BTreeMap;

use super::{Kind, Tile, WIDTH, read_entries, read_hashes};
use crate::checkpoint::Checkpoint;
use crate::entry::{self, Entry};
use crate::ledger::{Ledger, LedgerError};
use crate::tree::{self, Frontier, Hash};

/// Something that does not hold, and where.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Fault {
    /// The path of a tile, with the entry where that is known, or `checkpoint`.
    pub place: String,
    pub what: String,
}

impl std::fmt::Display for Fault {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{}: {}", self.place, self.what)
    }
}

/// Reads every tile of a tree, `fetch` giving the bytes of each or a sentence why it is not there. Nothing is found only
/// when each is there, the entries follow each other within their resets, every hash is that of what is below it, and all
/// of it has the root of the checkpoint and, at their sizes, those of checkpoints that were `seen` before. The signatures of
/// all of them are the caller's to check.
pub fn audit(
    checkpoint: &Checkpoint,
    seen: &[Checkpoint],
    mut fetch: impl FnMut(&Tile) -> Result<Vec<u8>, String>,
) -> Vec<Fault> {
    let mut faults = Vec::new();
    for seen in seen {
        if seen.origin != checkpoint.origin {
            let what = format!("the one that was seen before is of another log, {}", seen.origin);
            faults.push(Fault { place: super::CHECKPOINT.to_owned(), what });
        } else if seen.size > checkpoint.size {
            let what = format!("it has {} entries, and the one that was seen before {}", checkpoint.size, seen.size);
            faults.push(Fault { place: super::CHECKPOINT.to_owned(), what });
        }
    }
    // After its first fault every later entry of the same reset would be another.
    let mut chains = Some(Chains::default());
    let mut whole = true;
    let mut frontier = Frontier::default();
    // The hashes of the level below that the tiles of this one are made of.
    let mut level: Vec<Hash> = Vec::new();
    for tile in super::of_tree(checkpoint.size).take_while(|tile| tile.kind == Kind::Entries) {
        let bytes = match fetch(&tile) {
            Ok(bytes) => bytes,
            Err(what) => {
                faults.push(Fault { place: tile.path(), what });
                (whole, chains) = (false, None);
                continue;
            }
        };
        let entries = match read_entries(&bytes, tile.width) {
            Ok(entries) => entries,
            Err(error) => {
                faults.push(Fault { place: tile.path(), what: error.to_string() });
                (whole, chains) = (false, None);
                continue;
            }
        };
        for (at, bytes) in entries.into_iter().enumerate() {
            if let Some(Err(error)) = chains.as_mut().map(|chains| chains.read(bytes)) {
                chains = None;
                let index = tile.index * u64::from(WIDTH) + at as u64;
                faults.push(Fault { place: format!("{tile} entry {index}"), what: error.to_string() });
            }
            let hash = entry::hash(bytes);
            frontier.append(hash);
            level.push(hash);
            if whole {
                hold_against(seen, &frontier, &mut faults);
            }
        }
    }
    if !whole {
        // The places of what follows are not known: what its hashes differ in would be noise.
        return faults;
    }
    if frontier.root() != checkpoint.root {
        let what = "the entries do not give the root that was signed".to_owned();
        faults.push(Fault { place: super::CHECKPOINT.to_owned(), what });
    }
    audit_levels(checkpoint.size, level, &mut fetch, &mut faults);
    faults
}

/// Holds the tree, as far as it was read, against what was seen at that size.
fn hold_against(seen: &[Checkpoint], frontier: &Frontier, faults: &mut Vec<Fault>) {
    for seen in seen.iter().filter(|seen| seen.size == frontier.size() && seen.root != frontier.root()) {
        let what = format!("its first {} entries are not those that were seen before: the log forked", seen.size);
        faults.push(Fault { place: super::CHECKPOINT.to_owned(), what });
    }
}

/// Holds the tiles of hashes against the entries, level by level.
fn audit_levels(
    size: u64,
    mut level: Vec<Hash>,
    fetch: &mut impl FnMut(&Tile) -> Result<Vec<u8>, String>,
    faults: &mut Vec<Fault>,
) {
    for number in 0..8 {
        for (index, hashes) in (0..).zip(level.chunks(usize::from(WIDTH))) {
            let Some(tile) = Tile::in_tree(Kind::Level(number), index, size) else { break };
            let found =
                fetch(&tile).and_then(|bytes| read_hashes(&bytes, tile.width).map_err(|error| error.to_string()));
            let what = match found {
                Err(what) => what,
                Ok(found) => match found.iter().zip(hashes).position(|(found, made)| found != made) {
                    Some(at) => format!("hash {at} is not that of what is below it"),
                    None => continue,
                },
            };
            faults.push(Fault { place: tile.path(), what });
        }
        let full = level.chunks_exact(usize::from(WIDTH));
        level = full.map(|hashes| tree::root(hashes.iter().copied())).collect();
    }
}

/// The entries of a whole log, read in order: that each follows the one before within its reset.
#[derive(Debug, Default)]
pub struct Chains {
    resets: BTreeMap<String, Ledger>,
    /// The number and hash of the newest entry of no reset.
    count: u64,
    head: Option<Hash>,
}

impl Chains {
    /// Takes the next entry: its form, its number, the hash of the one before, and what it closes.
    pub fn read(&mut self, bytes: &[u8]) -> Result<Hash, LedgerError> {
        let entry = entry::parse(bytes)?;
        let hash = entry::hash(bytes);
        match entry.reset.as_deref() {
            None => self.follow(&entry, hash)?,
            Some(reset) => match self.resets.get_mut(reset) {
                Some(ledger) => ledger.read(&entry, hash)?,
                None => {
                    let mut ledger = Ledger::new(reset);
                    ledger.read(&entry, hash)?;
                    self.resets.insert(reset.to_owned(), ledger);
                }
            },
        }
        Ok(hash)
    }

    /// What the entries of each reset add up to.
    pub fn resets(&self) -> &BTreeMap<String, Ledger> {
        &self.resets
    }

    fn follow(&mut self, entry: &Entry<'_>, hash: Hash) -> Result<(), LedgerError> {
        if entry.number != self.count + 1 {
            return Err(LedgerError::Number { expected: self.count + 1, found: entry.number });
        }
        if entry.previous != self.head.unwrap_or(entry::FIRST) {
            return Err(LedgerError::Previous);
        }
        self.count = entry.number;
        self.head = Some(hash);
        Ok(())
    }
}
