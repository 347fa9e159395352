//! The log as a whole: tiles, witnesses, keys that follow each other, years.

mod independent;
mod rotation;
pub(crate) mod transit;
mod witness;
mod years;

use std::path::Path;
use std::sync::Arc;

use remint::evidence::publish::{audit_folder, publish};
use remint::evidence::witnessing::checkpoint_over;
use remint::evidence::{Sequencer, Tiles};
use remint::store::sqlite::SqliteStore;
use remint::store::{Change, Store};
use remint_contract::{Clock, TestClock};
use remint_evidence_format::checkpoint::Checkpoint;
use remint_evidence_format::note::{SigningKey, VerifierKey};
use remint_evidence_format::tile::{Kind, Tile};
use remint_evidence_format::tree::{Tree, verify_consistency, verify_inclusion};
use remint_evidence_format::{Draft, entry};
use zeroize::Zeroizing;

use crate::store::{at, draft};

/// A log in memory, its sequencer and its clock.
struct Log {
    store: Arc<dyn Store>,
    clock: Arc<TestClock>,
    key: Arc<SigningKey>,
    sequencer: Sequencer,
}

impl Log {
    fn new() -> Self {
        Self::over(Arc::new(SqliteStore::open_in_memory().unwrap()), 7)
    }

    /// Over that store, with the key of a seed.
    fn over(store: Arc<dyn Store>, seed: u8) -> Self {
        let clock = Arc::new(TestClock::new(at(0)));
        let key = Arc::new(SigningKey::from_seed("log.example", Zeroizing::new([seed; 32])).unwrap());
        let sequencer =
            Sequencer::new(Arc::clone(&store), Arc::clone(&key), Arc::clone(&clock) as Arc<dyn Clock>, "test");
        Self { store, clock, key, sequencer }
    }

    fn verifier(&self) -> &VerifierKey {
        self.key.verifier()
    }

    fn clock(&self) -> Arc<dyn Clock> {
        Arc::clone(&self.clock) as _
    }

    /// Records so many entries, of one reset and of none in turn, at the time of the clock, and gives them places.
    async fn grow(&self, count: u64) {
        let now = self.clock.now().to_string();
        let one = |turn: u64| Draft { at: now.clone(), ..draft([None, Some("r1")][usize::from(turn % 2 == 0)], turn) };
        let entries = (0..count).map(one).collect();
        self.store.commit(Change { entries, ..Change::default() }).await.unwrap();
        self.sequencer.flush().await.unwrap();
    }

    async fn checkpoint(&self) -> Checkpoint {
        let (_, note) = self.store.checkpoint().await.unwrap().unwrap();
        Checkpoint::open(note.as_bytes(), self.verifier()).unwrap()
    }

    async fn publish(&self, folder: &Path) -> u64 {
        let tiles = Tiles::new(Arc::clone(&self.store));
        let (size, note) = checkpoint_over(&*self.store, 0).await.unwrap().unwrap();
        publish(&tiles, size, &note, folder).await.unwrap()
    }

    /// The tree, made anew from the stored bytes.
    async fn tree(&self) -> Tree {
        let entries = self.store.sequenced(0, usize::MAX).await.unwrap();
        Tree::new(entries.iter().map(|stored| entry::hash(&stored.bytes)).collect())
    }
}

#[tokio::test]
async fn a_published_log_verifies_and_grows_by_what_is_new() {
    let (log, folder) = (Log::new(), tempfile::tempdir().unwrap());
    log.grow(700).await;
    let first = log.publish(folder.path()).await;
    assert_eq!(first, 2 * 3 + 1 + 1, "three tiles of entries and of hashes, one above, and the checkpoint");
    let seen = log.checkpoint().await;
    assert_eq!(audit_folder(folder.path(), &seen, &[]), []);
    log.grow(70).await;
    assert_eq!(log.publish(folder.path()).await, 2 * 2 + 1 + 1, "the full tiles stay as they are");
    let newest = log.checkpoint().await;
    assert_eq!(audit_folder(folder.path(), &newest, &[seen]), []);
    std::fs::write(folder.path().join("tile/0/001"), [0; 32]).unwrap();
    let faults = audit_folder(folder.path(), &newest, &[]);
    assert_eq!(faults.iter().map(|fault| fault.place.as_str()).collect::<Vec<_>>(), ["tile/0/001"]);
}

#[tokio::test]
async fn proofs_out_of_the_store_are_those_of_the_tree() {
    let log = Log::new();
    log.grow(66_000).await;
    let (tree, tiles, signed) = (log.tree().await, Tiles::new(Arc::clone(&log.store)), log.checkpoint().await);
    assert_eq!(signed.size, 66_000);
    for index in [0, 1, 255, 256, 65_535, 65_536, 65_999] {
        let path = tiles.inclusion(index, signed.size).await.unwrap().unwrap();
        let leaf = entry::hash(&log.store.sequenced(index, 1).await.unwrap()[0].bytes);
        assert!(verify_inclusion(leaf, index, signed.size, &path, signed.root), "{index}");
    }
    for old in [1, 256, 300, 65_536, 65_999] {
        let proof = tiles.consistency(old, signed.size).await.unwrap().unwrap();
        let root = tree.root(usize::try_from(old).unwrap()).unwrap();
        assert!(verify_consistency(old, root, signed.size, signed.root, &proof), "{old}");
    }
    assert_eq!(tiles.inclusion(66_000, 66_000).await.unwrap(), None);
    assert_eq!(tiles.consistency(1, 66_001).await.unwrap(), None, "beyond the newest checkpoint");
}

#[tokio::test]
async fn nothing_beyond_the_checkpoint_is_shown() {
    let log = Log::new();
    log.grow(300).await;
    log.store.commit(Change { entries: vec![draft(None, 9)], ..Change::default() }).await.unwrap();
    let tiles = Tiles::new(Arc::clone(&log.store));
    let of = |kind, index, width| Tile { kind, index, width };
    for (tile, there) in [
        (of(Kind::Entries, 1, 44), true),
        (of(Kind::Entries, 1, 43), true),
        (of(Kind::Entries, 1, 45), false),
        (of(Kind::Level(0), 1, 45), false),
        (of(Kind::Level(0), 2, 1), false),
        (of(Kind::Level(1), 0, 1), true),
        (of(Kind::Level(1), 0, 2), false),
        (of(Kind::Level(63), 0, 1), false),
    ] {
        assert_eq!(tiles.bytes(tile).await.unwrap().is_some(), there, "{tile}");
    }
    let (narrow, wide) = (of(Kind::Level(0), 1, 20), of(Kind::Level(0), 1, 44));
    let (narrow, wide) = (tiles.bytes(narrow).await.unwrap().unwrap(), tiles.bytes(wide).await.unwrap().unwrap());
    assert_eq!(wide[..20 * 32], narrow, "a partial tile is the beginning of the wider one");
}
