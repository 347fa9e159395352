//! The sequencer, the signing key and the bundle.

use std::sync::Arc;
use std::time::Duration;

use remint::escrow::Escrow;
use remint::evidence::key::{self, KeyError};
use remint::evidence::{ExportError, Flush, Sequencer, SequencerError, export};
use remint::store::sqlite::SqliteStore;
use remint::store::{Change, Store};
use remint_contract::{Clock, ResetId, TestClock};
use remint_evidence_format::checkpoint::Checkpoint;
use remint_evidence_format::ledger::{CLOSED, Ledger, PLAN_SHA256, STARTED};
use remint_evidence_format::note::SigningKey;
use remint_evidence_format::outcome::{Outcome, Proof, REACHED};
use remint_evidence_format::{Draft, bundle, entry, tree};
use serde_json::json;
use zeroize::Zeroizing;

use crate::escrow::{Counting, escrow};
use crate::store::{at, draft};

fn signing_key() -> Arc<SigningKey> {
    Arc::new(SigningKey::from_seed("log.example", Zeroizing::new([7; 32])).unwrap())
}

fn sequencer(store: &Arc<SqliteStore>, clock: &Arc<TestClock>, holder: &str) -> Sequencer {
    let (store, clock): (Arc<dyn Store>, Arc<dyn Clock>) = (Arc::clone(store) as _, Arc::clone(clock) as _);
    Sequencer::new(store, signing_key(), clock, holder)
}

async fn record(store: &SqliteStore, count: u64) {
    let entries = (0..count).map(|turn| draft([None, Some("r1")][usize::from(turn % 2 == 0)], turn)).collect();
    store.commit(Change { entries, ..Change::default() }).await.unwrap();
}

/// The newest checkpoint is signed and fits the entries, which have their places in commit order.
async fn fits(store: &SqliteStore, size: u64) {
    let (stored, note) = store.checkpoint().await.unwrap().unwrap();
    let checkpoint = Checkpoint::open(note.as_bytes(), signing_key().verifier()).unwrap();
    assert_eq!((stored, checkpoint.size), (size, size));
    let entries = store.sequenced(0, usize::MAX).await.unwrap();
    assert_eq!(entries.len() as u64, size);
    assert!(entries.iter().zip(0..).all(|(entry, place)| entry.index == Some(place)));
    assert!(entries.is_sorted_by_key(|entry| entry.id));
    assert_eq!(tree::root(entries.iter().map(|stored| entry::hash(&stored.bytes))), checkpoint.root);
}

#[tokio::test]
async fn every_entry_gets_one_place_in_commit_order_under_a_signed_checkpoint() {
    let store = Arc::new(SqliteStore::open_in_memory().unwrap());
    let clock = Arc::new(TestClock::new(at(0)));
    let first = sequencer(&store, &clock, "a");
    assert_eq!(first.flush().await.unwrap(), Flush::Placed(0));
    assert_eq!(store.checkpoint().await.unwrap(), None, "nothing is signed over nothing");
    record(&store, 5).await;
    assert_eq!(first.flush().await.unwrap(), Flush::Placed(5));
    fits(&store, 5).await;
    assert_eq!(first.flush().await.unwrap(), Flush::Placed(0));
    // More than a batch, by one who has to build the tree from the store.
    record(&store, 5000).await;
    assert_eq!(sequencer(&store, &clock, "a").flush().await.unwrap(), Flush::Placed(5000));
    fits(&store, 5005).await;
    record(&store, 1).await;
    assert_eq!(first.flush().await.unwrap(), Flush::Placed(1), "the first one catches up");
    fits(&store, 5006).await;
}

#[tokio::test]
async fn of_two_sequencers_one_writes_and_the_other_takes_over_when_the_lease_has_ended() {
    let store = Arc::new(SqliteStore::open_in_memory().unwrap());
    let clock = Arc::new(TestClock::new(at(0)));
    let (one, two) = (sequencer(&store, &clock, "one"), sequencer(&store, &clock, "two"));
    record(&store, 3).await;
    assert_eq!(one.flush().await.unwrap(), Flush::Placed(3));
    record(&store, 3).await;
    assert_eq!(two.flush().await.unwrap(), Flush::Elsewhere);
    clock.advance(Duration::from_secs(10));
    assert_eq!(two.flush().await.unwrap(), Flush::Placed(3));
    record(&store, 3).await;
    assert_eq!(one.flush().await.unwrap(), Flush::Elsewhere);
    fits(&store, 6).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn sequencers_that_fight_for_the_lease_place_every_entry_once() {
    let store = Arc::new(SqliteStore::open_in_memory().unwrap());
    let clock = Arc::new(TestClock::new(at(0)));
    let mut fighters = tokio::task::JoinSet::new();
    for holder in ["one", "two", "three"] {
        let (store, clock) = (Arc::clone(&store), Arc::clone(&clock));
        fighters.spawn(async move {
            let sequencer = sequencer(&store, &clock, holder);
            for _ in 0..50 {
                record(&store, 2).await;
                // Losing the lease in the middle is an error of that flush only.
                let _ = sequencer.flush().await;
                clock.advance(Duration::from_secs(7));
            }
        });
    }
    while let Some(fighter) = fighters.join_next().await {
        fighter.unwrap();
    }
    clock.advance(Duration::from_secs(10));
    sequencer(&store, &clock, "last").flush().await.unwrap();
    fits(&store, 300).await;
}

#[tokio::test]
async fn a_running_sequencer_places_what_comes_and_lets_the_lease_go_at_the_end() {
    let store = Arc::new(SqliteStore::open_in_memory().unwrap());
    let clock = Arc::new(TestClock::new(at(0)));
    let (stop, stopped) = tokio::sync::oneshot::channel::<()>();
    let running = sequencer(&store, &clock, "a");
    let running = tokio::spawn(async move { running.run(async { drop(stopped.await) }).await });
    record(&store, 4).await;
    while store.checkpoint().await.unwrap().is_none() {
        tokio::task::yield_now().await;
    }
    record(&store, 4).await;
    stop.send(()).unwrap();
    running.await.unwrap();
    fits(&store, 8).await;
    record(&store, 1).await;
    assert_eq!(sequencer(&store, &clock, "b").flush().await.unwrap(), Flush::Placed(1), "no wait for the lease");
}

#[tokio::test]
async fn nothing_is_signed_on_top_of_entries_that_were_changed_from_outside() {
    let folder = tempfile::tempdir().unwrap();
    let clock = Arc::new(TestClock::new(at(0)));
    let store = Arc::new(SqliteStore::open(folder.path()).unwrap());
    record(&store, 3).await;
    sequencer(&store, &clock, "a").flush().await.unwrap();
    drop(store);
    let raw = rusqlite::Connection::open(folder.path().join("remint.db")).unwrap();
    raw.execute_batch("DROP TRIGGER entry_stays; UPDATE entry SET bytes = x'00' WHERE id = 2").unwrap();
    drop(raw);
    let store = Arc::new(SqliteStore::open(folder.path()).unwrap());
    record(&store, 1).await;
    let refused = sequencer(&store, &clock, "a").flush().await.unwrap_err();
    assert!(matches!(refused, SequencerError::Changed { size: 3 }), "{refused}");
    assert_eq!(store.checkpoint().await.unwrap().unwrap().0, 3);
}

#[tokio::test]
async fn a_log_is_not_continued_with_another_key() {
    let store = Arc::new(SqliteStore::open_in_memory().unwrap());
    let clock = Arc::new(TestClock::new(at(0)));
    record(&store, 1).await;
    sequencer(&store, &clock, "a").flush().await.unwrap();
    record(&store, 1).await;
    let other = Arc::new(SigningKey::from_seed("log.example", Zeroizing::new([8; 32])).unwrap());
    let other = Sequencer::new(Arc::clone(&store) as _, other, clock as _, "a");
    assert!(matches!(other.flush().await.unwrap_err(), SequencerError::Foreign(_)));
}

#[test]
fn the_signing_key_is_made_once_and_opens_with_its_own_key_file_only() {
    let folder = tempfile::tempdir().unwrap();
    let state = folder.path().join("state");
    std::fs::create_dir(&state).unwrap();
    let sealing = escrow(folder.path());
    let made = key::open_or_create(&state, "log.example", &sealing, &Counting::default()).unwrap();
    let again = key::open_or_create(&state, "another-name", &sealing, &Counting::default()).unwrap();
    assert_eq!(made.verifier(), again.verifier());

    let file = state.join("evidence.key");
    assert_eq!(std::os::unix::fs::PermissionsExt::mode(&file.metadata().unwrap().permissions()) & 0o777, 0o600);
    let text = std::fs::read_to_string(&file).unwrap();
    assert!(!text.contains("PRIVATE") && !text.contains(made.to_text().rsplit('+').next().unwrap()));

    let elsewhere = tempfile::tempdir().unwrap();
    let other: Escrow = {
        let path = elsewhere.path().join("kek");
        let randomness = Counting::default();
        remint::escrow::Randomness::fill(&randomness, &mut [0]).unwrap();
        remint::escrow::Kek::create(&path, &state, false, &randomness).unwrap();
        Escrow::new(remint::escrow::Kek::load(&path, &state, false).unwrap(), Box::new(randomness))
    };
    let refused = key::open_or_create(&state, "log.example", &other, &Counting::default()).unwrap_err();
    assert!(matches!(refused, KeyError::Open { .. }));
    std::fs::write(&file, &text[..20]).unwrap();
    let refused = key::open_or_create(&state, "log.example", &sealing, &Counting::default()).unwrap_err();
    assert!(matches!(refused, KeyError::Format(_)), "a damaged key is not replaced");
}

/// A draft of the reset `r1`.
fn of_reset(kind: &str, subject: Option<&str>, body: serde_json::Map<String, serde_json::Value>) -> Draft {
    let subject = subject.map(str::to_owned);
    Draft { kind: kind.to_owned(), at: at(0).to_string(), reset: Some("r1".to_owned()), subject, body }
}

async fn commit(store: &SqliteStore, entries: Vec<Draft>) {
    store.commit(Change { entries, ..Change::default() }).await.unwrap();
}

/// A store with a whole reset in it, among other entries.
async fn closed_reset(plan: &[u8]) -> Arc<SqliteStore> {
    let store = Arc::new(SqliteStore::open_in_memory().unwrap());
    let hash = aws_lc_rs::digest::digest(&aws_lc_rs::digest::SHA256, plan);
    let pinned = json!({PLAN_SHA256: tree::Hash(hash.as_ref().try_into().unwrap()).to_string()});
    commit(&store, vec![of_reset(STARTED, None, pinned.as_object().cloned().unwrap()), draft(None, 1)]).await;
    let subject = Some("Credential/pg-admin");
    let (settled, body) = Outcome::Settled { proof: Proof::Refused, confirm: None }.to_entry();
    let entries =
        vec![of_reset(REACHED, subject, serde_json::Map::new()), draft(None, 2), of_reset(settled, subject, body)];
    commit(&store, entries).await;
    let entries = store.entries_of(&r1()).await.unwrap();
    let ledger = Ledger::of("r1", entries.iter().map(|stored| stored.bytes.as_slice())).unwrap();
    commit(&store, vec![of_reset(CLOSED, None, ledger.closing()), draft(Some("r2"), 3)]).await;
    store
}

fn r1() -> ResetId {
    ResetId("r1".to_owned())
}

#[tokio::test]
async fn an_exported_reset_verifies_under_the_key_also_after_the_log_has_grown() {
    let plan = br#"{"members":[]}"#;
    let store = closed_reset(plan).await;
    let clock = Arc::new(TestClock::new(at(0)));
    let (key, sequencer) = (signing_key(), sequencer(&store, &clock, "a"));
    for _ in 0..3 {
        sequencer.flush().await.unwrap();
        let archive = export(&*store, &r1(), plan, &key).await.unwrap();
        let report = bundle::verify(&archive, Some(key.verifier()));
        assert!(report.ok && report.complete, "{:?}", report.findings);
        let other = SigningKey::from_seed("log.example", Zeroizing::new([8; 32])).unwrap();
        assert!(!bundle::verify(&archive, Some(other.verifier())).ok);
        record_elsewhere(&store).await;
    }
}

async fn record_elsewhere(store: &SqliteStore) {
    commit(store, (0..7).map(|turn| draft(Some("r2"), turn)).collect()).await;
}

#[tokio::test]
async fn what_cannot_be_exported_is_refused_by_its_reason() {
    let plan = br#"{"members":[]}"#;
    let store = closed_reset(plan).await;
    let clock = Arc::new(TestClock::new(at(0)));
    let key = signing_key();
    let refused = export(&*store, &r1(), plan, &key).await.unwrap_err();
    assert!(matches!(refused, ExportError::Unplaced { count: 4, .. }), "{refused}");
    sequencer(&store, &clock, "a").flush().await.unwrap();
    let refused = export(&*store, &ResetId("r9".to_owned()), plan, &key).await.unwrap_err();
    assert!(matches!(refused, ExportError::Unknown(_)), "{refused}");
    let refused = export(&*store, &r1(), br#"{"members":[],"other":true}"#, &key).await.unwrap_err();
    assert!(matches!(refused, ExportError::NoPlan { .. }), "another plan than the one that was pinned: {refused}");
}
