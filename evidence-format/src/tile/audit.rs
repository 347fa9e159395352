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
    let mut audit = Audit { checkpoint, seen, faults: Vec::new() };
    audit.compare();
    let published = audit.hashes(&mut fetch);
    // Where the hashes of level 0 are those that were signed, an entry that has another one is the wrong one of the two.
    let signed = published.as_deref().filter(|hashes| tree::root(hashes.iter().copied()) == checkpoint.root);
    let Some(made) = audit.entries(signed, &mut fetch) else { return audit.faults };
    if signed.is_none() && tree::root(made.iter().copied()) != checkpoint.root {
        audit.find(super::CHECKPOINT, "neither the entries nor the hashes give the root that was signed");
    }
    audit.levels(signed.map_or(made, <[Hash]>::to_vec), &mut fetch);
    audit.faults
}

/// An audit under way.
struct Audit<'a> {
    checkpoint: &'a Checkpoint,
    seen: &'a [Checkpoint],
    faults: Vec<Fault>,
}

impl Audit<'_> {
    fn find(&mut self, place: impl Into<String>, what: impl Into<String>) {
        self.faults.push(Fault { place: place.into(), what: what.into() });
    }

    /// Holds the checkpoint against those that were seen before.
    fn compare(&mut self) {
        for seen in self.seen {
            if seen.origin != self.checkpoint.origin {
                self.find(
                    super::CHECKPOINT,
                    format!("the one that was seen before is of another log, {}", seen.origin),
                );
            } else if seen.size > self.checkpoint.size {
                let (here, there) = (self.checkpoint.size, seen.size);
                self.find(
                    super::CHECKPOINT,
                    format!("it has {here} entries, and the one that was seen before {there}"),
                );
            }
        }
    }

    /// The hashes of level 0 as they are published; `None` when one of their tiles is not there.
    fn hashes(&mut self, fetch: &mut impl FnMut(&Tile) -> Result<Vec<u8>, String>) -> Option<Vec<Hash>> {
        let mut all = Some(Vec::new());
        for tile in super::of_tree(self.checkpoint.size).filter(|tile| tile.kind == Kind::Level(0)) {
            let read =
                fetch(&tile).and_then(|bytes| read_hashes(&bytes, tile.width).map_err(|error| error.to_string()));
            match read {
                Ok(hashes) => all.iter_mut().for_each(|all| all.extend(&hashes)),
                Err(what) => {
                    self.find(tile.path(), what);
                    all = None;
                }
            }
        }
        all
    }

    /// Reads the entries, and holds them against the hashes that were signed. Gives their own; `None` when some are not
    /// there, for then the places of what follows are not known.
    fn entries(
        &mut self,
        signed: Option<&[Hash]>,
        fetch: &mut impl FnMut(&Tile) -> Result<Vec<u8>, String>,
    ) -> Option<Vec<Hash>> {
        // After its first fault every later entry of the same reset would be another.
        let mut chains = Some(Chains::default());
        let mut made = Some(Vec::new());
        let mut frontier = Frontier::default();
        for tile in super::of_tree(self.checkpoint.size).take_while(|tile| tile.kind == Kind::Entries) {
            let bytes = fetch(&tile);
            let read = bytes.as_ref().map_err(Clone::clone);
            let read = read.and_then(|bytes| read_entries(bytes, tile.width).map_err(|error| error.to_string()));
            let entries = match read {
                Ok(entries) => entries,
                Err(what) => {
                    self.find(tile.path(), what);
                    (made, chains) = (None, None);
                    continue;
                }
            };
            let mut named = false;
            for (index, bytes) in (tile.index * u64::from(WIDTH)..).zip(entries) {
                let hash = entry::hash(bytes);
                let place = || format!("{tile} entry {index}");
                let other = signed.zip(usize::try_from(index).ok()).is_some_and(|(all, at)| all.get(at) != Some(&hash));
                // One entry that was taken out moves all that follow it: the first of a tile says it.
                if other && !named {
                    self.find(place(), "it is not the entry whose hash was signed");
                    named = true;
                }
                if let Some(Err(error)) = chains.as_mut().map(|chains| chains.read(bytes)) {
                    chains = None;
                    self.find(place(), error.to_string());
                }
                frontier.append(hash);
                if let Some(made) = &mut made {
                    made.push(hash);
                    self.hold(&frontier);
                }
            }
        }
        made
    }

    /// Holds the tree, as far as it was read, against what was seen at that size.
    fn hold(&mut self, frontier: &Frontier) {
        for seen in self.seen {
            if seen.size == frontier.size() && seen.root != frontier.root() {
                let what =
                    format!("its first {} entries are not those that were seen before: the log forked", seen.size);
                self.find(super::CHECKPOINT, what);
            }
        }
    }

    /// Holds the tiles of hashes against what is below them, level by level.
    fn levels(&mut self, mut level: Vec<Hash>, fetch: &mut impl FnMut(&Tile) -> Result<Vec<u8>, String>) {
        for number in 0..8 {
            for (index, hashes) in (0..).zip(level.chunks(usize::from(WIDTH))) {
                let Some(tile) = Tile::in_tree(Kind::Level(number), index, self.checkpoint.size) else { break };
                let read =
                    fetch(&tile).and_then(|bytes| read_hashes(&bytes, tile.width).map_err(|error| error.to_string()));
                let what = match read {
                    // Said when it was read first.
                    Err(_) if number == 0 => continue,
                    Err(what) => what,
                    Ok(found) => match found.iter().zip(hashes).position(|(found, made)| found != made) {
                        Some(at) => format!("hash {at} is not that of what is below it"),
                        None => continue,
                    },
                };
                self.find(tile.path(), what);
            }
            let full = level.chunks_exact(usize::from(WIDTH));
            level = full.map(|hashes| tree::root(hashes.iter().copied())).collect();
        }
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
            Some(reset) => {
                if let Some(ledger) = self.resets.get_mut(reset) {
                    ledger.read(&entry, hash)?;
                } else {
                    let mut ledger = Ledger::new(reset);
                    ledger.read(&entry, hash)?;
                    self.resets.insert(reset.to_owned(), ledger);
                }
            }
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
