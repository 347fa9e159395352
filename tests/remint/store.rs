//! What every back end of the store must hold, and what only the embedded one promises.

use std::collections::BTreeMap;
use std::sync::Arc;

use remint::store::dump::Line;
use remint::store::{Change, Fence, Key, Leaf, Put, Rule, Sealed, Store, StoreError, Woken};
use remint_contract::ResetId;
use remint_evidence_format::tree::Hash;
use remint_evidence_format::{Draft, Stored, entry};
use serde_json::json;

pub(crate) mod postgres;
mod sqlite;

/// Every promise of the trait, for a back end that `make` gives a fresh store of.
pub(crate) async fn suite<S: Store + 'static>(make: impl AsyncFn() -> S) {
    a_change_is_all_or_nothing(make().await).await;
    a_put_holds_to_its_rule(make().await).await;
    a_change_is_refused_when_what_it_expects_has_changed(make().await).await;
    records_are_listed_oldest_first_and_by_scope(make().await).await;
    a_sealed_value_is_never_replaced_by_another(make().await).await;
    sealed_values_are_listed_by_id(make().await).await;
    a_lease_has_one_holder_and_its_number_grows(make().await).await;
    a_worker_that_lost_its_lease_records_nothing(make().await).await;
    a_claim_takes_what_is_free_and_passes_over_the_rest(make().await).await;
    a_key_that_a_change_names_twice_is_written_in_order(make().await).await;
    whoever_watches_is_told_of_a_reset(make().await).await;
    entries_are_numbered_and_chained_within_their_reset_under_64_callers(make().await).await;
    a_refused_change_leaves_no_gap_in_its_chain(make().await).await;
    entries_get_their_places_once_and_in_order(make().await).await;
    the_leaves_are_those_of_what_has_no_place_yet(make().await).await;
}

/// What a back end promises that can be copied, backed up and wrapped anew.
pub(crate) async fn copies<S: Store + 'static>(make: impl AsyncFn() -> S) {
    a_dump_loads_into_an_empty_store_whole_or_not_at_all(make().await, make().await).await;
    sealed_values_are_exchanged_only_where_they_are_what_was_read(make().await).await;
}

async fn a_change_is_all_or_nothing(store: impl Store) {
    store.commit(put("task", "there", Rule::Insert)).await.unwrap();
    let mut change = put("task", "new", Rule::Insert);
    change.puts.extend(put("task", "there", Rule::Insert).puts);
    change.seals.push(sealed("s1", b"x"));
    change.entries.push(draft(Some("r1"), 1));
    assert!(matches!(store.commit(change).await, Err(StoreError::Exists { kind: "task", id }) if id == "there"));
    assert_eq!(store.get(&key("task", "new")).await.unwrap(), None);
    assert_eq!(store.sealed("s1").await.unwrap(), None);
    assert!(store.unsequenced(9).await.unwrap().is_empty());
}

async fn a_put_holds_to_its_rule(store: impl Store) {
    store.commit(put("task", "a", Rule::Insert)).await.unwrap();
    assert!(matches!(store.commit(put("task", "a", Rule::Insert)).await, Err(StoreError::Exists { .. })));
    store.commit(put("task", "a", Rule::Revision(1))).await.unwrap();
    assert!(matches!(store.commit(put("task", "a", Rule::Revision(1))).await, Err(StoreError::Stale { .. })));
    assert!(matches!(store.commit(put("task", "b", Rule::Revision(1))).await, Err(StoreError::Stale { .. })));
    store.commit(put("task", "a", Rule::Upsert)).await.unwrap();
    assert_eq!(store.get(&key("task", "a")).await.unwrap().unwrap().revision, 3);
    store.commit(Change { deletes: vec![key("task", "a")], ..Change::default() }).await.unwrap();
    assert_eq!(store.get(&key("task", "a")).await.unwrap(), None);
}

async fn a_change_is_refused_when_what_it_expects_has_changed(store: impl Store) {
    let expecting =
        |revision| Change { expects: vec![(key("owner", "c"), revision)], ..put("task", "a", Rule::Upsert) };
    let stale = |answer| matches!(answer, Err(StoreError::Stale { kind: "owner", id }) if id == "c");
    assert!(stale(store.commit(expecting(1)).await.map(drop)), "it is not there");
    store.commit(expecting(0)).await.unwrap();
    store.commit(put("owner", "c", Rule::Insert)).await.unwrap();
    assert!(stale(store.commit(expecting(0)).await.map(drop)), "it is there");
    store.commit(expecting(1)).await.unwrap();
    // A change may write what it expects.
    let mut own = expecting(1);
    own.puts.extend(put("owner", "c", Rule::Upsert).puts);
    store.commit(own).await.unwrap();
    assert!(stale(store.commit(expecting(1)).await.map(drop)), "it was written since");
    assert_eq!(store.get(&key("task", "a")).await.unwrap().unwrap().revision, 3, "what was refused wrote nothing");
}

async fn records_are_listed_oldest_first_and_by_scope(store: impl Store) {
    for (id, scope) in [("z", "r1"), ("m", "r2"), ("a", "r1")] {
        let mut change = put("task", id, Rule::Insert);
        scope.clone_into(&mut change.puts[0].scope);
        store.commit(change).await.unwrap();
    }
    store.commit(put("task", "z", Rule::Upsert)).await.unwrap();
    store.commit(put("other", "q", Rule::Insert)).await.unwrap();
    let ids = |records: Vec<remint::store::Record>| records.into_iter().map(|record| record.id).collect::<Vec<_>>();
    assert_eq!(ids(store.list("task", None).await.unwrap()), ["z", "m", "a"]);
    assert_eq!(ids(store.list("task", Some("r1")).await.unwrap()), ["a"]);
    assert_eq!(ids(store.list("task", Some("r9")).await.unwrap()), Vec::<String>::new());
}

async fn a_sealed_value_is_never_replaced_by_another(store: impl Store) {
    let seal = |bytes: &[u8]| Change { seals: vec![sealed("s", bytes)], ..Change::default() };
    store.commit(seal(b"one")).await.unwrap();
    store.commit(seal(b"one")).await.unwrap();
    assert!(matches!(store.commit(seal(b"two")).await, Err(StoreError::Exists { .. })));
    assert_eq!(store.sealed("s").await.unwrap(), Some(sealed("s", b"one")));
    store.commit(Change { unseals: vec!["s".to_owned()], ..Change::default() }).await.unwrap();
    assert_eq!(store.sealed("s").await.unwrap(), None);
}

async fn a_lease_has_one_holder_and_its_number_grows(store: impl Store) {
    let first = store.lease("l", "a", at(0), at(10)).await.unwrap().unwrap();
    assert_eq!(store.lease("l", "b", at(9), at(20)).await.unwrap(), None);
    assert_eq!(store.lease("l", "a", at(9), at(12)).await.unwrap().unwrap(), first, "renewed");
    assert_eq!(store.lease("l", "b", at(11), at(20)).await.unwrap(), None, "the renewal counts");
    let second = store.lease("l", "b", at(12), at(20)).await.unwrap().unwrap();
    assert_eq!(second.token, first.token + 1);
    assert!(matches!(store.release(&first).await, Err(StoreError::Fenced(_))), "it is not his to release");
    store.release(&second).await.unwrap();
    let third = store.lease("l", "b", at(13), at(20)).await.unwrap().unwrap();
    assert_eq!(third.token, second.token + 1, "taken anew after a release");
}

async fn a_worker_that_lost_its_lease_records_nothing(store: impl Store) {
    let late = store.lease("l", "a", at(0), at(10)).await.unwrap().unwrap();
    let present = store.lease("l", "b", at(10), at(20)).await.unwrap().unwrap();
    let never = Fence { lease: "unheard-of".to_owned(), token: 1 };
    let fenced = |fence: &Fence| {
        let mut change = put("task", "x", Rule::Upsert);
        change.fence = Some(fence.clone());
        change.entries.push(draft(Some("r1"), 1));
        change
    };
    assert!(matches!(store.commit(fenced(&late)).await, Err(StoreError::Fenced(name)) if name == "l"));
    assert!(matches!(store.commit(fenced(&never)).await, Err(StoreError::Fenced(_))));
    assert_eq!(store.get(&key("task", "x")).await.unwrap(), None);
    assert!(store.unsequenced(9).await.unwrap().is_empty());
    store.commit(fenced(&present)).await.unwrap();
    store.release(&present).await.unwrap();
    assert!(matches!(store.commit(fenced(&present)).await, Err(StoreError::Fenced(_))), "let go is lost");
}

async fn a_claim_takes_what_is_free_and_passes_over_the_rest(store: impl Store) {
    let names: Vec<String> = ["a", "b", "c"].map(str::to_owned).to_vec();
    let held = store.lease("b", "other", at(0), at(10)).await.unwrap().unwrap();
    let claimed = store.claim(&names, "me", at(1), at(10)).await.unwrap();
    assert_eq!(claimed, ["a", "c"].map(|lease| Fence { lease: lease.to_owned(), token: 1 }));
    assert_eq!(store.claim(&names, "me", at(2), at(10)).await.unwrap(), claimed, "renewed");
    store.commit(Change { fence: Some(held), ..Change::default() }).await.unwrap();
    let late = store.claim(&names[1..2], "me", at(10), at(20)).await.unwrap();
    assert_eq!(late, [Fence { lease: "b".to_owned(), token: 2 }]);
}

async fn a_key_that_a_change_names_twice_is_written_in_order(store: impl Store) {
    let mut change = put("task", "a", Rule::Insert);
    change.puts.extend(put("task", "a", Rule::Revision(1)).puts);
    change.puts.extend(put("task", "a", Rule::Upsert).puts);
    change.puts.extend(put("task", "b", Rule::Insert).puts);
    change.seals = vec![sealed("s", b"one"), sealed("s", b"one")];
    change.entries.push(draft(Some("r1"), 1));
    store.commit(change.clone()).await.unwrap();
    assert_eq!(store.get(&key("task", "a")).await.unwrap().unwrap().revision, 3);
    change = put("task", "c", Rule::Insert);
    change.puts.extend(put("task", "c", Rule::Insert).puts);
    change.entries.push(draft(Some("r1"), 2));
    assert!(matches!(store.commit(change).await, Err(StoreError::Exists { kind: "task", .. })));
    assert_eq!(store.get(&key("task", "c")).await.unwrap(), None);
    assert_eq!(store.unsequenced(9).await.unwrap().len(), 1);
}

async fn whoever_watches_is_told_of_a_reset(store: impl Store) {
    let mut told = store.watch().await.unwrap();
    store.commit(put("task", "a", Rule::Insert)).await.unwrap();
    store.commit(put("reset", "r1", Rule::Insert)).await.unwrap();
    assert_eq!(told.next().await, Woken::Put { kind: "reset".to_owned(), id: "r1".to_owned() });
}

async fn entries_are_numbered_and_chained_within_their_reset_under_64_callers<S: Store + 'static>(store: S) {
    let store = Arc::new(store);
    let mut callers = tokio::task::JoinSet::new();
    for caller in 0..64_u64 {
        let store = Arc::clone(&store);
        callers.spawn(async move {
            for turn in 0..10 {
                let reset = [None, Some("r1"), Some("r2")][usize::try_from((caller + turn) % 3).unwrap()];
                let entries = vec![draft(reset, caller * 100 + turn), draft(Some("r1"), caller * 100 + turn)];
                let committed = store.commit(Change { entries, ..Change::default() }).await.unwrap();
                assert_eq!(committed.entries.len(), 2);
            }
        });
    }
    while let Some(caller) = callers.join_next().await {
        caller.unwrap();
    }
    let all = store.unsequenced(10_000).await.unwrap();
    assert_eq!(all.len(), 64 * 10 * 2);
    assert!(all.windows(2).all(|pair| pair[0].id < pair[1].id), "in commit order");
    chained(&all);
    let r1: Vec<_> = all.iter().filter(|entry| entry.reset.as_deref() == Some("r1")).cloned().collect();
    assert_eq!(store.entries_of(&ResetId("r1".to_owned())).await.unwrap(), r1);
}

async fn a_refused_change_leaves_no_gap_in_its_chain(store: impl Store) {
    store.commit(put("task", "there", Rule::Insert)).await.unwrap();
    let work = |id: &str| {
        let mut change = put("task", id, Rule::Insert);
        change.entries = vec![draft(Some("r1"), 1), draft(Some("r1"), 2)];
        change
    };
    // All in one queue, so that the refused ones share a commit with the others.
    let changes = ["a", "there", "b", "there", "c"].map(|id| store.commit(work(id)));
    let outcomes: Vec<bool> = futures::future::join_all(changes).await.into_iter().map(|o| o.is_ok()).collect();
    assert_eq!(outcomes, [true, false, true, false, true]);
    let all = store.unsequenced(100).await.unwrap();
    assert_eq!(all.iter().map(|entry| entry.id).collect::<Vec<_>>(), [1, 2, 3, 4, 5, 6]);
    chained(&all);
}

async fn entries_get_their_places_once_and_in_order(store: impl Store) {
    let entries = (0..5).map(|turn| draft(Some("r1"), turn)).collect();
    store.commit(Change { entries, ..Change::default() }).await.unwrap();
    let fence = store.lease("sequencer", "a", at(0), at(10)).await.unwrap().unwrap();
    let ids: Vec<u64> = store.unsequenced(3).await.unwrap().iter().map(|entry| entry.id).collect();
    assert!(store.sequence(&fence, &ids[1..], 3, "skips one").await.is_err());
    assert!(store.sequence(&fence, &ids, 4, "counts wrong").await.is_err());
    store.sequence(&fence, &ids, 3, "note 3").await.unwrap();
    assert!(store.sequence(&fence, &ids, 3, "again").await.is_err());
    assert_eq!(store.checkpoint().await.unwrap(), Some((3, "note 3".to_owned())));
    let placed = store.sequenced(1, 10).await.unwrap();
    assert_eq!(placed.iter().map(|entry| entry.index).collect::<Vec<_>>(), [Some(1), Some(2)]);
    assert_eq!(store.unsequenced(10).await.unwrap().len(), 2);
    let indexes = store.entries_of(&ResetId("r1".to_owned())).await.unwrap().into_iter().map(|entry| entry.index);
    assert_eq!(indexes.collect::<Vec<_>>(), [Some(0), Some(1), Some(2), None, None]);
    store.lease("sequencer", "b", at(10), at(20)).await.unwrap().unwrap();
    assert!(matches!(store.sequence(&fence, &[4, 5], 5, "late").await, Err(StoreError::Fenced(_))));
}

async fn a_dump_loads_into_an_empty_store_whole_or_not_at_all<S: Store>(full: S, empty: S) {
    let mut change = put("task", "b", Rule::Insert);
    change.puts.extend(put("task", "a", Rule::Insert).puts);
    change.seals.push(sealed("s1", b"x"));
    change.entries = (0..5).map(|turn| draft(Some("r1"), turn)).chain([draft(None, 9)]).collect();
    full.commit(change).await.unwrap();
    full.commit(put("task", "b", Rule::Upsert)).await.unwrap();
    let fence = full.lease("sequencer", "a", at(0), at(10)).await.unwrap().unwrap();
    full.sequence(&fence, &[1, 2, 3], 3, "note 3").await.unwrap();
    let backup = lines(&full, false).await;
    assert!(!backup.iter().any(|line| matches!(line, Line::Sealed(_))), "a backup holds no sealed value");
    assert!(!backup.iter().any(|line| matches!(line, Line::Lease { held: Some(_), .. })), "and nobody holds anything");
    assert!(load(&empty, backup[..backup.len() - 1].to_vec()).await.is_err(), "cut off");
    assert!(empty.unsequenced(9).await.unwrap().is_empty(), "and nothing is left of it");
    load(&empty, lines(&full, true).await).await.unwrap();
    assert!(matches!(load(&empty, backup).await, Err(StoreError::NotEmpty)));
    assert_eq!(empty.list("task", None).await.unwrap(), full.list("task", None).await.unwrap(), "revisions, and order");
    assert_eq!(empty.sequenced(0, 9).await.unwrap(), full.sequenced(0, 9).await.unwrap());
    assert_eq!(empty.unsequenced(9).await.unwrap(), full.unsequenced(9).await.unwrap());
    assert_eq!(empty.checkpoint().await.unwrap(), full.checkpoint().await.unwrap());
    assert_eq!(empty.sealed("s1").await.unwrap(), full.sealed("s1").await.unwrap());
    let early = empty.lease("sequencer", "b", at(9), at(20)).await.unwrap();
    assert_eq!(early, None, "in a copy who holds it holds it: something of his may still land");
    let next = empty.lease("sequencer", "b", at(10), at(20)).await.unwrap().unwrap();
    assert_eq!(next.token, fence.token + 1, "its number goes on");
    // The chains go on.
    for store in [&empty, &full] {
        store.commit(Change { entries: vec![draft(Some("r1"), 6)], ..Change::default() }).await.unwrap();
    }
    let r1 = ResetId("r1".to_owned());
    assert_eq!(empty.entries_of(&r1).await.unwrap(), full.entries_of(&r1).await.unwrap());
}

async fn the_leaves_are_those_of_what_has_no_place_yet(store: impl Store) {
    assert_eq!(store.leaves(9).await.unwrap(), []);
    store.commit(put("task", "there", Rule::Insert)).await.unwrap();
    // Of several in one queue some are refused, and take their entries with them.
    let work = |id: &str| {
        let mut change = put("task", id, Rule::Insert);
        change.entries = vec![draft(Some("r1"), 1), draft(None, 2)];
        change
    };
    let changes = ["a", "there", "b", "there"].map(|id| store.commit(work(id)));
    assert_eq!(futures::future::join_all(changes).await.iter().filter(|change| change.is_ok()).count(), 2);
    assert!(store.commit(work("a")).await.is_err(), "refused alone");
    let fence = store.lease("sequencer", "a", at(0), at(10)).await.unwrap().unwrap();
    for (first, size, note) in [(0, 1, "note 1"), (1, 4, "note 4"), (4, 6, "note 6")] {
        if first == 4 {
            assert_eq!(store.leaves(9).await.unwrap(), []);
            store.commit(work("c")).await.unwrap();
        }
        let expected: Vec<Leaf> = store.unsequenced(9).await.unwrap().into_iter().map(Leaf::of).collect();
        assert_eq!(expected.first().map(|leaf| leaf.id), Some(first + 1));
        assert_eq!(store.leaves(9).await.unwrap(), expected);
        assert_eq!(store.leaves(1).await.unwrap(), expected[..1]);
        assert_eq!(expected[0].bytes.is_some(), first == 1, "an entry of no reset comes whole");
        let ids: Vec<u64> = (first + 1..=size).collect();
        store.sequence(&fence, &ids, size, note).await.unwrap();
    }
    assert_eq!(store.leaves(9).await.unwrap(), []);
    let hashes = store.hashes(1, 3).await.unwrap();
    let placed = store.sequenced(1, 3).await.unwrap();
    assert_eq!(hashes, placed.iter().map(|stored| entry::hash(&stored.bytes)).collect::<Vec<_>>());
}

/// Everything a store sends.
async fn lines(store: &impl Store, with_sealed: bool) -> Vec<Line> {
    let (sender, mut receiver) = tokio::sync::mpsc::channel(1);
    let gather = async {
        let mut lines = Vec::new();
        while let Some(line) = receiver.recv().await {
            lines.push(line);
        }
        lines
    };
    let (sent, lines) = tokio::join!(store.dump(with_sealed, sender), gather);
    sent.unwrap();
    lines
}

async fn load(store: &impl Store, lines: Vec<Line>) -> Result<(), StoreError> {
    let (sender, receiver) = tokio::sync::mpsc::channel(1000);
    for line in lines {
        sender.send(line).await.unwrap();
    }
    drop(sender);
    store.load(receiver).await
}

async fn sealed_values_are_listed_by_id(store: impl Store) {
    let seals = ["b", "B", "c"].map(|id| sealed(id, b"x")).to_vec();
    store.commit(Change { seals, ..Change::default() }).await.unwrap();
    let page = store.sealed_after(None, 2).await.unwrap();
    assert_eq!(page, [sealed("B", b"x"), sealed("b", b"x")]);
    assert_eq!(store.sealed_after(Some("b"), 9).await.unwrap(), [sealed("c", b"x")]);
}

async fn sealed_values_are_exchanged_only_where_they_are_what_was_read(store: impl Store) {
    let seals = ["a", "b", "c"].map(|id| sealed(id, b"old")).to_vec();
    store.commit(Change { seals, ..Change::default() }).await.unwrap();
    let fence = store.lease("rewrap", "x", at(0), at(10)).await.unwrap().unwrap();
    store.commit(Change { unseals: vec!["b".to_owned()], ..Change::default() }).await.unwrap();
    let pair = |id: &str, before: &[u8]| (sealed(id, before), Sealed { generation: 2, ..sealed(id, b"new") });
    let pairs = vec![pair("a", b"old"), pair("b", b"old"), pair("c", b"another")];
    assert_eq!(store.rewrap(&fence, pairs.clone()).await.unwrap(), 1);
    assert_eq!(store.sealed("a").await.unwrap().unwrap().generation, 2);
    assert_eq!(store.sealed("b").await.unwrap(), None);
    assert_eq!(store.sealed("c").await.unwrap().unwrap().generation, 1);
    store.release(&fence).await.unwrap();
    assert!(matches!(store.rewrap(&fence, pairs).await, Err(StoreError::Fenced(_))));
}

/// Each chain is 1, 2, 3, … and each entry carries the hash of the one before.
fn chained(entries: &[Stored]) {
    let mut heads: BTreeMap<Option<String>, (u64, Hash)> = BTreeMap::new();
    for stored in entries {
        let (number, previous) = heads.get(&stored.reset).copied().unwrap_or((0, entry::FIRST));
        let read = entry::parse(&stored.bytes).unwrap();
        assert_eq!((stored.number, read.number, read.previous), (number + 1, number + 1, previous));
        assert_eq!(read.reset.as_deref(), stored.reset.as_deref());
        heads.insert(stored.reset.clone(), (stored.number, entry::hash(&stored.bytes)));
    }
}

pub(crate) fn key(kind: &'static str, id: &str) -> Key {
    Key { kind, id: id.to_owned() }
}

pub(crate) fn put(kind: &'static str, id: &str, rule: Rule) -> Change {
    let put = Put { key: key(kind, id), scope: String::new(), body: json!({"of": id}), rule };
    Change { puts: vec![put], ..Change::default() }
}

pub(crate) fn sealed(id: &str, bytes: &[u8]) -> Sealed {
    Sealed { id: id.to_owned(), scope: "r1".to_owned(), generation: 1, expires: Some(at(60)), bytes: bytes.to_vec() }
}

pub(crate) fn draft(reset: Option<&str>, turn: u64) -> Draft {
    let body = json!({"turn": turn}).as_object().cloned().unwrap();
    let (kind, at) = ("effect.done".to_owned(), at(0).to_string());
    Draft { kind, at, reset: reset.map(str::to_owned), subject: None, body }
}

pub(crate) fn at(second: i64) -> jiff::Timestamp {
    jiff::Timestamp::from_second(1_700_000_000 + second).unwrap()
}
