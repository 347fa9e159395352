//! A published log that was tampered with: every change of a byte and every change of the order is seen, and the place said.

use std::collections::BTreeMap;

use remint_evidence_format::checkpoint::Checkpoint;
use remint_evidence_format::tile::{CHECKPOINT, Fault, Kind, Tile, audit, of_tree, write_entries, write_hashes};
use remint_evidence_format::tree::{Hash, root};
use remint_evidence_format::{Draft, entry};
use serde_json::json;

use crate::sample::{key, verifier};

/// The files of a log, by path.
#[derive(Clone)]
struct Log(BTreeMap<String, Vec<u8>>);

/// Entries of two resets and of none, in turn.
fn entries(count: u64) -> Vec<Vec<u8>> {
    let mut heads: BTreeMap<u64, (u64, Hash)> = BTreeMap::new();
    let mut entries = Vec::new();
    for turn in 0..count {
        let (number, previous) = heads.get(&(turn % 3)).copied().unwrap_or((0, entry::FIRST));
        let draft = Draft {
            kind: "effect.done".to_owned(),
            at: "2026-01-31T08:30:00Z".to_owned(),
            reset: (turn % 3 > 0).then(|| format!("reset-{}", turn % 3)),
            subject: None,
            body: json!({ "turn": turn }).as_object().cloned().unwrap(),
        };
        let bytes = entry::seal(&draft, number + 1, previous).unwrap();
        heads.insert(turn % 3, (number + 1, entry::hash(&bytes)));
        entries.push(bytes);
    }
    entries
}

/// What a log of these entries publishes, all of it right for itself.
fn published(entries: &[Vec<u8>]) -> Log {
    let size = entries.len() as u64;
    let leaves: Vec<Hash> = entries.iter().map(|bytes| entry::hash(bytes)).collect();
    let mut files = BTreeMap::new();
    for tile in of_tree(size) {
        let first = usize::try_from(tile.index).unwrap() * 256;
        let bytes = match tile.kind {
            Kind::Entries => {
                write_entries(entries[first..][..usize::from(tile.width)].iter().map(Vec::as_slice)).unwrap()
            }
            Kind::Level(0) => write_hashes(&leaves[first..][..usize::from(tile.width)]),
            Kind::Level(1) => {
                let above: Vec<Hash> = leaves.chunks_exact(256).map(|full| root(full.iter().copied())).collect();
                write_hashes(&above[first..][..usize::from(tile.width)])
            }
            Kind::Level(_) => panic!("the sample is small"),
        };
        files.insert(tile.path(), bytes);
    }
    let checkpoint = Checkpoint { origin: verifier().name().to_owned(), size, root: root(leaves) };
    files.insert(CHECKPOINT.to_owned(), checkpoint.sign(&key()).unwrap().into_bytes());
    Log(files)
}

impl Log {
    fn faults(&self, seen: &[Checkpoint]) -> Vec<Fault> {
        let checkpoint = match Checkpoint::open(&self.0[CHECKPOINT], &verifier()) {
            Ok(checkpoint) => checkpoint,
            Err(error) => return vec![Fault { place: CHECKPOINT.to_owned(), what: error.to_string() }],
        };
        audit(&checkpoint, seen, |tile| self.0.get(&tile.path()).cloned().ok_or("it is not there".to_owned()))
    }

    fn checkpoint(&self) -> Checkpoint {
        Checkpoint::open(&self.0[CHECKPOINT], &verifier()).unwrap()
    }

    /// The entries of the log exchanged for these, and everything else as it was signed.
    fn with_entries(&self, entries: &[Vec<u8>]) -> Self {
        let mut changed = self.clone();
        for tile in of_tree(self.checkpoint().size).filter(|tile| tile.kind == Kind::Entries) {
            let first = usize::try_from(tile.index).unwrap() * 256;
            let there = entries.iter().skip(first).take(usize::from(tile.width)).map(Vec::as_slice);
            changed.0.insert(tile.path(), write_entries(there).unwrap());
        }
        changed
    }
}

#[test]
fn an_untouched_log_has_no_fault() {
    for size in [1, 2, 255, 256, 257, 300, 520] {
        let log = published(&entries(size));
        assert_eq!(log.faults(&[]), [], "{size}");
        let seen: Vec<Checkpoint> = [1, size / 2 + 1, size].map(|size| published(&entries(size)).checkpoint()).into();
        assert_eq!(log.faults(&seen), [], "{size}");
    }
}

#[test]
fn every_byte_that_is_flipped_is_seen_and_its_place_is_said() {
    let log = published(&entries(7));
    let mut flipped = 0;
    for (path, bytes) in &log.0 {
        for at in 0..bytes.len() {
            for flip in [1, 0x80] {
                let mut changed = log.clone();
                changed.0.get_mut(path).unwrap()[at] ^= flip;
                let faults = changed.faults(&[]);
                assert!(
                    faults.iter().any(|fault| fault.place.starts_with(path.as_str())),
                    "{path} byte {at}: {faults:?}"
                );
                flipped += 1;
            }
        }
    }
    assert!(flipped > 2000, "{flipped} are few");
}

#[test]
fn an_entry_that_is_dropped_doubled_exchanged_or_cut_off_is_named() {
    let whole = entries(300);
    let log = published(&whole);
    let place = |at: usize| {
        format!("tile/entries/{}", if at < 256 { format!("000 entry {at}") } else { format!("001.p/44 entry {at}") })
    };
    for at in [0, 100, 255, 256, 298] {
        let mut dropped = whole.clone();
        dropped.remove(at);
        dropped.push(whole[0].clone());
        let named = |entries: &[Vec<u8>], wrong: usize, what: &str| {
            let faults = log.with_entries(entries).faults(&[]);
            let first = faults.first().map(|fault| fault.place.clone());
            assert_eq!(first, Some(place(wrong)), "{what} {at}: {faults:?}");
        };
        named(&dropped, at, "dropped");

        let mut doubled = whole.clone();
        doubled.insert(at, whole[at].clone());
        named(&doubled[..300], at + 1, "doubled");

        let mut exchanged = whole.clone();
        exchanged.swap(at, at + 1);
        named(&exchanged, at, "exchanged");
    }
    let faults = log.with_entries(&whole[..299]).faults(&[]);
    assert!(faults.iter().any(|fault| fault.place == "tile/entries/001.p/44"), "{faults:?}");
    for path in log.0.keys().filter(|path| *path != CHECKPOINT) {
        let mut missing = log.clone();
        missing.0.remove(path);
        let faults = missing.faults(&[]);
        assert!(faults.iter().any(|fault| fault.place == *path), "{path}: {faults:?}");
        let mut short = log.clone();
        short.0.get_mut(path).unwrap().pop();
        let faults = short.faults(&[]);
        assert!(faults.iter().any(|fault| fault.place == *path), "{path}: {faults:?}");
    }
}

#[test]
fn entries_of_one_reset_that_are_out_of_order_are_seen_although_the_tree_is_right() {
    let mut entries = entries(9);
    entries.swap(1, 4);
    let faults = published(&entries).faults(&[]);
    assert_eq!(faults.len(), 1);
    assert_eq!(faults[0].place, "tile/entries/000.p/9 entry 1");
    entries.swap(1, 4);
    entries.remove(5);
    let faults = published(&entries).faults(&[]);
    assert_eq!(faults.iter().map(|fault| fault.place.as_str()).collect::<Vec<_>>(), ["tile/entries/000.p/8 entry 7"]);
}

#[test]
fn a_fork_and_a_log_that_was_turned_back_are_seen_by_whoever_saw_more() {
    let seen = published(&entries(20)).checkpoint();
    let mut other = entries(20);
    other.swap(18, 19);
    let forked = published(&[other, entries(23)[20..].to_vec()].concat());
    assert!(forked.faults(&[]).is_empty(), "it is right for itself: only who saw the other one knows");
    let faults = forked.faults(std::slice::from_ref(&seen));
    assert_eq!(faults.len(), 1);
    assert!(faults[0].to_string().ends_with("the log forked"), "{faults:?}");
    let faults = published(&entries(19)).faults(std::slice::from_ref(&seen));
    assert_eq!(faults[0].to_string(), "checkpoint: it has 19 entries, and the one that was seen before 20");
    let elsewhere = Checkpoint { origin: "elsewhere".to_owned(), ..seen };
    assert_eq!(published(&entries(20)).faults(&[elsewhere]).len(), 1);
}

#[test]
fn a_log_under_another_key_has_no_checkpoint() {
    use remint_evidence_format::note::SigningKey;
    let mut log = published(&entries(5));
    let other = SigningKey::from_seed(verifier().name(), zeroize::Zeroizing::new([8; 32])).unwrap();
    log.0.insert(CHECKPOINT.to_owned(), log.checkpoint().sign(&other).unwrap().into_bytes());
    assert_eq!(log.faults(&[])[0].place, CHECKPOINT);
}

#[test]
fn the_sample_has_a_tile_of_every_sort() {
    let kinds: Vec<Kind> = of_tree(520).filter(Tile::is_full).map(|tile| tile.kind).collect();
    assert_eq!(kinds, [Kind::Entries, Kind::Entries, Kind::Level(0), Kind::Level(0)]);
}
