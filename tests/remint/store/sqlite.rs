//! The embedded back end: the suite, and what it promises beside it.

use std::collections::BTreeSet;
use std::io::{BufRead as _, BufReader, Write as _};
use std::os::unix::fs::PermissionsExt as _;
use std::path::Path;
use std::process::{Command, Stdio};

use remint::store::sqlite::SqliteStore;
use remint::store::{Change, Rule, Store, StoreError};
use remint_contract::SecretValue;
use rusqlite::Connection;

use super::{chained, draft, key, put, suite};

#[tokio::test]
async fn the_embedded_store_holds_every_promise() {
    let folder = tempfile::tempdir().unwrap();
    let count = std::cell::Cell::new(0);
    suite(async || {
        count.set(count.get() + 1);
        SqliteStore::open(&folder.path().join(count.get().to_string())).unwrap()
    })
    .await;
    super::copies(async || {
        count.set(count.get() + 1);
        SqliteStore::open(&folder.path().join(count.get().to_string())).unwrap()
    })
    .await;
}

#[tokio::test]
async fn the_store_in_memory_holds_every_promise() {
    suite(async || SqliteStore::open_in_memory().unwrap()).await;
    super::copies(async || SqliteStore::open_in_memory().unwrap()).await;
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
    assert_eq!(store.leaves(9).await.unwrap().len(), 1, "read again");
    let committed = store.commit(Change { entries: vec![draft(Some("r1"), 2)], ..Change::default() }).await.unwrap();
    assert_eq!((committed.entries[0].id, committed.entries[0].number), (2, 2));
    let leaves = store.leaves(9).await.unwrap();
    assert_eq!(leaves.iter().map(|leaf| leaf.id).collect::<Vec<_>>(), [1, 2], "with what is kept since");
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

#[tokio::test]
async fn an_entry_is_neither_changed_nor_deleted_by_any_statement() {
    let folder = tempfile::tempdir().unwrap();
    let store = SqliteStore::open(folder.path()).unwrap();
    store.commit(Change { entries: vec![draft(Some("r1"), 1)], ..Change::default() }).await.unwrap();
    drop(store);
    let raw = Connection::open(folder.path().join("remint.db")).unwrap();
    for (sql, why) in [
        ("UPDATE entry SET bytes = x'00'", "an entry never changes"),
        ("UPDATE entry SET number = 2", "an entry never changes"),
        ("DELETE FROM entry", "an entry is never deleted"),
        ("INSERT OR REPLACE INTO entry SELECT id, reset, number, x'00' FROM entry", "an entry is never replaced"),
        ("INSERT OR REPLACE INTO entry SELECT id + 9, reset, number, x'00' FROM entry", "an entry is never replaced"),
    ] {
        assert_eq!(raw.execute(sql, []).unwrap_err().to_string(), why);
    }
}

#[test]
fn a_store_that_a_newer_version_wrote_is_refused_and_left_as_it_is() {
    let folder = tempfile::tempdir().unwrap();
    drop(SqliteStore::open(folder.path()).unwrap());
    let file = folder.path().join("remint.db");
    let raw = Connection::open(&file).unwrap();
    raw.execute_batch("UPDATE meta SET value = 2 WHERE key = 'schema'; PRAGMA wal_checkpoint(TRUNCATE)").unwrap();
    drop(raw);
    let before = std::fs::read(&file).unwrap();
    let refused = SqliteStore::open(folder.path()).err().unwrap();
    let sentence = "was written by a newer remint (schema 2, this one knows 1); use that version";
    assert_eq!(refused.to_string(), format!("{} {sentence}", file.display()));
    assert_eq!(std::fs::read(&file).unwrap(), before);
}

#[test]
fn a_file_that_is_no_database_is_refused() {
    let folder = tempfile::tempdir().unwrap();
    std::fs::write(folder.path().join("remint.db"), "x".repeat(4096)).unwrap();
    assert!(matches!(SqliteStore::open(folder.path()), Err(StoreError::Broken { .. })));
}

#[tokio::test]
async fn folder_and_files_are_for_their_owner_only() {
    let folder = tempfile::tempdir().unwrap();
    let state = folder.path().join("deep/state");
    let store = SqliteStore::open(&state).unwrap();
    store.commit(put("task", "a", Rule::Insert)).await.unwrap();
    let mode = |path: &Path| path.metadata().unwrap().permissions().mode() & 0o777;
    assert_eq!(mode(&state), 0o700);
    let files: Vec<_> = std::fs::read_dir(&state).unwrap().map(|file| file.unwrap().path()).collect();
    assert!(files.len() >= 3, "database, log and lock: {files:?}");
    assert!(files.iter().all(|file| mode(file) == 0o600));
}

#[tokio::test]
async fn an_entry_that_the_format_refuses_takes_its_change_with_it() {
    let store = SqliteStore::open_in_memory().unwrap();
    let mut change = put("task", "a", Rule::Insert);
    change.entries = vec![draft(Some("r1"), 1), draft(Some(""), 2)];
    assert!(matches!(store.commit(change).await, Err(StoreError::Unrecordable { kind, .. }) if kind == "effect.done"));
    assert_eq!(store.get(&key("task", "a")).await.unwrap(), None);
    let committed = store.commit(Change { entries: vec![draft(Some("r1"), 1)], ..Change::default() }).await.unwrap();
    assert_eq!((committed.entries[0].id, committed.entries[0].number), (1, 1));
}

#[tokio::test]
async fn no_byte_of_a_sealed_value_reaches_the_disk() {
    let folder = tempfile::tempdir().unwrap();
    let state = folder.path().join("state");
    let escrow = crate::escrow::escrow(folder.path());
    let store = SqliteStore::open(&state).unwrap();
    let (secret, public) = ("marker-of-the-secret-4711", "marker-of-the-record-4712");
    let mut change = put("task", public, Rule::Insert);
    change.seals.push(escrow.seal("s1", "r1", &SecretValue::from(secret), None).unwrap());
    store.commit(change).await.unwrap();
    let found = |marker: &str| {
        let files = std::fs::read_dir(&state).unwrap().map(|file| std::fs::read(file.unwrap().path()).unwrap());
        files.filter(|bytes| bytes.windows(marker.len()).any(|window| window == marker.as_bytes())).count()
    };
    assert!(found(public) > 0, "the scan sees what is there");
    assert_eq!(found(secret), 0);
    let sealed = store.sealed("s1").await.unwrap().unwrap();
    assert_eq!(escrow.open(&sealed).unwrap(), SecretValue::from(secret));
}

/// How the test below hands its child the folder.
const FOLDER: &str = "REMINT_TEST_FOLDER";

#[tokio::test(flavor = "multi_thread")]
#[ignore = "runs until it is killed; the test below starts it"]
async fn a_child_commits_and_says_so() {
    let folder = std::env::var_os(FOLDER).unwrap();
    let store = std::sync::Arc::new(SqliteStore::open(Path::new(&folder)).unwrap());
    let mut callers = tokio::task::JoinSet::new();
    for caller in 0..16 {
        let store = std::sync::Arc::clone(&store);
        callers.spawn(async move {
            for turn in 0.. {
                let id = format!("{caller}-{turn}");
                let mut change = put("task", &id, Rule::Insert);
                change.entries.push(draft(Some("r1"), turn));
                store.commit(change).await.unwrap();
                std::io::stdout().write_all(format!("done {id}\n").as_bytes()).unwrap();
            }
        });
    }
    callers.join_next().await;
}

#[tokio::test]
async fn a_killed_process_leaves_a_consistent_store_with_all_that_it_acknowledged() {
    let folder = tempfile::tempdir().unwrap();
    let mut child = Command::new(std::env::current_exe().unwrap())
        .args(["--ignored", "--exact", "--nocapture", "store::sqlite::a_child_commits_and_says_so"])
        .env(FOLDER, folder.path())
        .stdout(Stdio::piped())
        .spawn()
        .unwrap();
    let mut lines = BufReader::new(child.stdout.take().unwrap()).lines();
    let done = |line: std::io::Result<String>| line.unwrap().strip_prefix("done ").map(str::to_owned);
    let mut acknowledged: Vec<String> = lines.by_ref().filter_map(done).take(500).collect();
    child.kill().unwrap();
    child.wait().unwrap();
    // What it still had said before it died; the last line may be cut.
    acknowledged.extend(lines.filter_map(done).filter(|id| id.contains('-')));
    acknowledged.pop();
    assert!(acknowledged.len() >= 499);

    let store = SqliteStore::open(folder.path()).unwrap();
    let records = store.list("task", None).await.unwrap();
    let there: BTreeSet<&str> = records.iter().map(|record| record.id.as_str()).collect();
    assert!(acknowledged.iter().all(|id| there.contains(id.as_str())));
    let entries = store.unsequenced(usize::MAX).await.unwrap();
    assert_eq!(entries.len(), records.len(), "a change is there with its entry or not at all");
    chained(&entries);
}
