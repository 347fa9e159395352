//! The embedded back end: the suite, and what it promises beside it.

use remint::store::sqlite::SqliteStore;
use remint::store::{Change, Rule, Store, StoreError};

use super::{draft, key, put, suite};

#[tokio::test]
async fn the_embedded_store_holds_every_promise() {
    let folder = tempfile::tempdir().unwrap();
    let count = std::cell::Cell::new(0);
    suite(async || {
        count.set(count.get() + 1);
        SqliteStore::open(&folder.path().join(count.get().to_string())).unwrap()
    })
    .await;
}

#[tokio::test]
async fn the_store_in_memory_holds_every_promise() {
    suite(async || SqliteStore::open_in_memory().unwrap()).await;
}

#[tokio::test]
async fn a_store_that_is_opened_again_has_everything() {
    let folder = tempfile::tempdir().unwrap();
    let store = SqliteStore::open(folder.path()).unwrap();
    let mut change = put("task", "a", Rule::Insert);
    change.entries.push(draft(Some("r1"), 1));
    store.commit(change).await.unwrap();
    drop(store);
    let store = SqliteStore::open(folder.path()).unwrap();
    assert_eq!(store.get(&key("task", "a")).await.unwrap().unwrap().revision, 1);
    let committed = store.commit(Change { entries: vec![draft(Some("r1"), 2)], ..Change::default() }).await.unwrap();
    assert_eq!((committed.entries[0].id, committed.entries[0].number), (2, 2));
}

#[tokio::test]
async fn a_second_opener_is_refused_with_the_name_of_the_folder() {
    let folder = tempfile::tempdir().unwrap();
    let first = SqliteStore::open(folder.path()).unwrap();
    let refused = SqliteStore::open(folder.path()).err().unwrap();
    assert!(matches!(&refused, StoreError::Locked(path) if *path == folder.path().display().to_string()));
    drop(first);
    SqliteStore::open(folder.path()).unwrap();
}
