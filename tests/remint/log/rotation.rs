//! A new signing key for the same log, interrupted anywhere.

use std::path::Path;
use std::sync::Arc;

use remint::escrow::Escrow;
use remint::evidence::key::{self, Shelf};
use remint::evidence::rotation::{Link, Rotation};
use remint::evidence::{Sequencer, SequencerError};
use remint::store::sqlite::SqliteStore;
use remint::store::{Change, Store};
use remint_contract::{Clock, TestClock};
use remint_evidence_format::checkpoint::Checkpoint;
use remint_evidence_format::note::{Note, SigningKey};
use remint_evidence_format::succession::follow;

use crate::escrow::{Counting, escrow};
use crate::store::{at, draft};

/// A store, a folder with the key, and what opens it.
struct State {
    store: Arc<dyn Store>,
    clock: Arc<dyn Clock>,
    folder: tempfile::TempDir,
    escrow: Escrow,
    random: Counting,
}

impl State {
    fn new() -> Self {
        let folder = tempfile::tempdir().unwrap();
        let escrow = escrow(folder.path());
        let store: Arc<dyn Store> = Arc::new(SqliteStore::open_in_memory().unwrap());
        let clock: Arc<dyn Clock> = Arc::new(TestClock::new(at(0)));
        let random = Counting::default();
        // So that the first key is not all zeros.
        remint::escrow::Randomness::fill(&random, &mut [0]).unwrap();
        Self { store, clock, folder, escrow, random }
    }

    fn path(&self) -> &Path {
        self.folder.path()
    }

    fn key(&self) -> Arc<SigningKey> {
        Arc::new(key::open_or_create(self.path(), "remint", &self.escrow, &self.random).unwrap())
    }

    fn sequencer(&self) -> Sequencer {
        Sequencer::new(Arc::clone(&self.store), self.key(), Arc::clone(&self.clock), "test")
    }

    async fn grow(&self) {
        self.store.commit(Change { entries: vec![draft(Some("r1"), 1)], ..Change::default() }).await.unwrap();
        self.sequencer().flush().await.unwrap();
    }

    fn rotation<'a>(&'a self, shelf: Shelf<'a>) -> Rotation<'a> {
        Rotation {
            store: Arc::clone(&self.store),
            shelf,
            key: self.key(),
            escrow: &self.escrow,
            randomness: &self.random,
            clock: Arc::clone(&self.clock),
            holder: "test",
            anchor: None,
        }
    }

    async fn rotate(&self) -> Link {
        self.rotation(Shelf::Folder(self.path())).rotate("operator").await.unwrap()
    }

    async fn newest(&self) -> (u64, String) {
        self.store.checkpoint().await.unwrap().unwrap()
    }
}

#[tokio::test]
async fn a_log_goes_on_under_a_new_key_that_the_old_one_named() {
    let state = State::new();
    state.grow().await;
    let first = state.key();
    let mut before = Arc::clone(&first);
    for turn in 1..=3 {
        let link = state.rotate().await;
        let after = state.key();
        assert_ne!(after.verifier(), before.verifier());
        assert_eq!((link.before, link.after), (before.verifier().to_string(), after.verifier().to_string()));
        let (size, note) = state.newest().await;
        let note = Note::parse(note.as_bytes()).unwrap();
        note.verify(before.verifier()).unwrap();
        note.verify(after.verifier()).unwrap();
        assert!(!state.path().join("evidence.key.next").exists());
        state.grow().await;
        let (grown, note) = state.newest().await;
        assert_eq!(grown, size + 1);
        Checkpoint::open(note.as_bytes(), after.verifier()).unwrap();
        assert!(Checkpoint::open(note.as_bytes(), before.verifier()).is_err(), "the old one is gone");
        let links = Link::all(&*state.store).await.unwrap();
        assert_eq!(links.len(), turn);
        let followed = follow(first.verifier(), links.iter().map(|link| link.proof.as_bytes())).unwrap();
        assert_eq!(&followed.key, after.verifier());
        before = after;
    }
}

#[tokio::test]
async fn a_rotation_that_was_interrupted_leaves_the_old_key_working_and_is_gone_on_with() {
    let state = State::new();
    state.grow().await;
    let old = state.key();
    // It made the next key, and no more.
    let next = Shelf::Folder(state.path()).next(old.verifier(), &state.escrow, &state.random).await.unwrap().signer();
    state.grow().await;
    assert_eq!(state.key().verifier(), old.verifier());
    // It named the next key, and whoever opened the state next placed that under the old key alone.
    let body = remint_evidence_format::succession::body(old.verifier(), next.verifier(), "operator");
    let kind = remint_evidence_format::succession::ROTATED.to_owned();
    let named = remint_evidence_format::Draft { kind, body, ..draft(None, 0) };
    state.store.commit(Change { entries: vec![named], ..Change::default() }).await.unwrap();
    state.grow().await;
    assert_eq!(state.key().verifier(), old.verifier());
    // It placed the name under both keys, and did not put the next one in its place.
    state.rotate().await;
    assert_eq!(state.key().verifier(), next.verifier(), "the next key is the one that was made first");
    state.grow().await;
    let links = Link::all(&*state.store).await.unwrap();
    assert_eq!(follow(old.verifier(), links.iter().map(|link| link.proof.as_bytes())).unwrap().key, *next.verifier());
}

#[tokio::test]
async fn a_key_in_the_store_is_followed_in_the_store() {
    let state = State::new();
    let open =
        async || Arc::new(key::open_or_create_in(&*state.store, "remint", &state.escrow, &state.random).await.unwrap());
    let old = open().await;
    let rotation = Rotation { key: old.clone(), ..state.rotation(Shelf::Store(&*state.store)) };
    let link = rotation.rotate("operator").await.unwrap();
    assert_eq!(open().await.verifier().to_string(), link.after);
    assert_ne!(open().await.verifier(), old.verifier());
}

#[tokio::test]
async fn a_log_whose_key_was_followed_is_not_continued_by_the_old_one() {
    let state = State::new();
    state.grow().await;
    let old = state.key();
    state.rotate().await;
    state.grow().await;
    state.store.commit(Change { entries: vec![draft(None, 1)], ..Change::default() }).await.unwrap();
    let stale = Sequencer::new(Arc::clone(&state.store), old, Arc::clone(&state.clock), "test");
    assert!(matches!(stale.flush().await, Err(SequencerError::Foreign(_))));
}
