//! Generations and recovery keys: nothing is lost with one key file, and nothing is destroyed that is needed.

use std::os::unix::fs::{PermissionsExt as _, symlink};
use std::path::{Path, PathBuf};
use std::sync::Arc;

use remint::context::Context;
use remint::escrow::kek::{Fresh, edit};
use remint::escrow::{Escrow, EscrowError, Kek, KekError, SystemRandomness};
use remint::evidence::key;
use remint::keys::{KeysError, destroy, needs, rewrap};
use remint::store::postgres::{Address, PostgresStore};
use remint::store::sqlite::SqliteStore;
use remint::store::{Change, Sealed, Store};
use remint_contract::SecretValue;
use serde::Deserialize;

use crate::store::postgres::Databases;

#[derive(Deserialize)]
struct Vectors {
    keys: std::collections::BTreeMap<String, String>,
    sealed: Vec<Vector>,
}

#[derive(Deserialize)]
struct Vector {
    name: String,
    id: String,
    scope: String,
    generation: u64,
    value: String,
    bytes: String,
    opens: Vec<String>,
}

fn unhex(text: &str) -> Vec<u8> {
    (0..text.len()).step_by(2).map(|at| u8::from_str_radix(&text[at..at + 2], 16).unwrap()).collect()
}

fn write(path: &Path, text: &str) {
    std::fs::write(path, text).unwrap();
    std::fs::set_permissions(path, std::fs::Permissions::from_mode(0o600)).unwrap();
}

/// `tests/vectors/sealed.json` was written by another implementation (Python's `cryptography`). It never changes.
#[test]
fn every_vector_of_both_formats_opens_with_exactly_the_key_files_that_it_names() {
    let vectors: Vectors = serde_json::from_str(include_str!("../vectors/sealed.json")).unwrap();
    let folder = tempfile::tempdir().unwrap();
    let key = |name: &str| vectors.keys[name].clone();
    let (primary, recovery) = (folder.path().join("primary"), folder.path().join("recovery"));
    let fingerprint = key("fingerprint");
    let (one, two, public) = (key("generation_1"), key("generation_2"), key("recipient"));
    let text = "remint-kek-v1\nfingerprint ";
    write(&primary, &format!("{text}{fingerprint}\ngeneration 1 {one}\ngeneration 2 {two}\nrecipient {public}\n"));
    write(&recovery, &format!("{text}{fingerprint}\nrecovery {}\n", key("recovery")));
    assert_eq!(vectors.sealed.len(), 12);
    for (file, path) in [("primary", &primary), ("recovery", &recovery)] {
        let escrow = open(path);
        for vector in &vectors.sealed {
            let sealed = Sealed {
                id: vector.id.clone(),
                scope: vector.scope.clone(),
                generation: vector.generation,
                expires: None,
                bytes: unhex(&vector.bytes),
            };
            let opened = escrow.open(&sealed);
            if vector.opens.iter().any(|opens| opens == file) {
                assert_eq!(opened.unwrap(), SecretValue::new(unhex(&vector.value)), "{} with {file}", vector.name);
            } else {
                assert!(matches!(opened, Err(EscrowError::Generation { .. })), "{} with {file}", vector.name);
            }
        }
    }
}

fn fresh() -> Fresh {
    Fresh::new(&SystemRandomness).unwrap()
}

fn open(path: &Path) -> Escrow {
    Escrow::new(Kek::load(path, Path::new("/nowhere/state"), false).unwrap(), Box::new(SystemRandomness))
}

/// A state with values in it, and its key files.
struct Safe {
    folder: tempfile::TempDir,
    store: Arc<dyn Store>,
    address: Option<Address>,
    context: Context,
}

impl Safe {
    async fn with(values: usize, databases: Option<&Databases>) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let (store, address): (Arc<dyn Store>, _) = match databases {
            None => (Arc::new(SqliteStore::open(&folder.path().join("state")).unwrap()), None),
            Some(databases) => {
                std::fs::create_dir(folder.path().join("state")).unwrap();
                let address = databases.fresh().await;
                (Arc::new(PostgresStore::open(address.clone()).await.unwrap()), Some(address))
            }
        };
        let safe = Self { folder, store, address, context: Context::system() };
        Kek::create(&safe.primary(), &safe.state(), false, &SystemRandomness).unwrap();
        key::open_or_create(&safe.state(), "remint", &open(&safe.primary()), &SystemRandomness).unwrap();
        for number in 0..values {
            safe.seal(&format!("op-{number:04}")).await;
        }
        safe
    }

    fn state(&self) -> PathBuf {
        self.folder.path().join("state")
    }

    fn primary(&self) -> PathBuf {
        self.folder.path().join("kek")
    }

    fn recovery(&self) -> PathBuf {
        self.folder.path().join("recovery")
    }

    async fn seal(&self, id: &str) {
        let sealed = open(&self.primary()).seal(id, "r-1", &SecretValue::from(id), None).unwrap();
        self.store.commit(Change { seals: vec![sealed], ..Change::default() }).await.unwrap();
    }

    fn rotate(&self) -> u64 {
        let kek = Kek::load(&self.primary(), &self.state(), false).unwrap();
        edit::add_generation(&self.primary(), &kek, 0, &fresh()).unwrap()
    }

    fn add_recovery(&self) {
        let kek = Kek::load(&self.primary(), &self.state(), false).unwrap();
        let public = edit::recovery_file(&self.recovery(), &kek, &self.state(), &SystemRandomness).unwrap();
        assert!(edit::add_recipient(&self.primary(), &kek, &public).unwrap());
    }

    async fn rewrap(&self) -> usize {
        let done = rewrap(&*self.store, &open(&self.primary()), &self.state(), &self.context).await.unwrap();
        assert_eq!(done.unopened, Vec::<String>::new());
        done.values
    }

    async fn destroy(&self, generation: u64) -> Result<(), KeysError> {
        let kek = Kek::load(&self.primary(), &self.state(), false).unwrap();
        let store = self.address.clone();
        let places = remint::app::Places { state: self.state(), kek: self.primary(), same_folder: false, store };
        destroy(&*self.store, &places, &kek, generation, "tester", &self.context).await
    }

    /// Every value and the signing key open with this key file.
    async fn opens(&self, path: &Path) {
        let escrow = open(path);
        let all = self.store.sealed_after(None, 10_000).await.unwrap();
        for sealed in &all {
            assert_eq!(escrow.open(sealed).unwrap(), SecretValue::from(sealed.id.as_str()));
        }
        key::open_or_create(&self.state(), "other", &escrow, &SystemRandomness).unwrap();
    }

    async fn entries(&self) -> Vec<String> {
        let stored = self.store.unsequenced(1000).await.unwrap();
        let kind = |bytes: &[u8]| remint_evidence_format::entry::parse(bytes).unwrap().kind.into_owned();
        stored.iter().map(|entry| kind(&entry.bytes)).collect()
    }
}

#[tokio::test]
async fn losing_either_key_file_loses_nothing() {
    either_key_file(None).await;
}

async fn either_key_file(databases: Option<&Databases>) {
    let safe = Safe::with(300, databases).await;
    safe.add_recovery();
    assert_eq!(safe.rewrap().await, 300);
    assert_eq!(safe.rewrap().await, 0, "nothing is left to do");
    safe.opens(&safe.primary()).await;
    safe.opens(&safe.recovery()).await;

    // The primary is gone: the recovery file alone goes on, makes itself a generation, and is the primary from then on.
    std::fs::rename(safe.recovery(), safe.primary()).unwrap();
    safe.seal("op-by-recovery").await;
    let kek = Kek::load(&safe.primary(), &safe.state(), false).unwrap();
    let newest = needs(&*safe.store, &safe.state()).await.unwrap().newest();
    assert_eq!(edit::add_generation(&safe.primary(), &kek, newest, &fresh()).unwrap(), 2);
    assert_eq!(safe.rewrap().await, 301);
    safe.opens(&safe.primary()).await;
    let fingerprint = |path: &Path| open(path).keyed_fingerprint(&SecretValue::from("x"));
    assert_eq!(fingerprint(&safe.primary()), fingerprint(&safe.primary()));
}

#[tokio::test]
async fn a_rewrap_that_stops_anywhere_goes_on_with_the_rest() {
    rewrap_that_stops(None).await;
}

async fn rewrap_that_stops(databases: Option<&Databases>) {
    let safe = Safe::with(600, databases).await;
    safe.rotate();
    // Part of it, as a run does that is killed after its first batch.
    let escrow = open(&safe.primary());
    let fence = safe.store.lease("rewrap", "dead", jiff::Timestamp::UNIX_EPOCH, jiff::Timestamp::UNIX_EPOCH).await;
    let pairs = safe.store.sealed_after(None, 256).await.unwrap();
    let pairs = pairs.into_iter().map(|sealed| (sealed.clone(), escrow.rewrap(&sealed).unwrap())).collect();
    assert_eq!(safe.store.rewrap(&fence.unwrap().unwrap(), pairs).await.unwrap(), 256);
    safe.opens(&safe.primary()).await;
    assert_eq!(safe.rewrap().await, 600 - 256);
    safe.opens(&safe.primary()).await;
    assert_eq!(needs(&*safe.store, &safe.state()).await.unwrap().values, [(2, 600)].into());
}

#[tokio::test]
async fn two_rewraps_at_once_are_refused() {
    two_rewraps(None).await;
}

async fn two_rewraps(databases: Option<&Databases>) {
    let safe = Safe::with(1, databases).await;
    let now = safe.context.clock.now();
    let until = now + std::time::Duration::from_secs(30);
    let fence = safe.store.lease("rewrap", "somebody", now, until).await.unwrap().unwrap();
    let refused = rewrap(&*safe.store, &open(&safe.primary()), &safe.state(), &safe.context).await.unwrap_err();
    assert!(matches!(refused, KeysError::Busy), "{refused}");
    safe.store.release(&fence).await.unwrap();
    rewrap(&*safe.store, &open(&safe.primary()), &safe.state(), &safe.context).await.unwrap();
}

#[tokio::test]
async fn what_was_forgotten_meanwhile_does_not_come_back() {
    forgotten_meanwhile(None).await;
}

async fn forgotten_meanwhile(databases: Option<&Databases>) {
    let safe = Safe::with(1, databases).await;
    safe.rotate();
    let before = safe.store.sealed_after(None, 1).await.unwrap().remove(0);
    let after = open(&safe.primary()).rewrap(&before).unwrap();
    let unseals = vec![before.id.clone()];
    safe.store.commit(Change { unseals, ..Change::default() }).await.unwrap();
    let now = safe.context.clock.now();
    let fence = safe.store.lease("rewrap", "me", now, now + std::time::Duration::from_secs(9)).await.unwrap().unwrap();
    assert_eq!(safe.store.rewrap(&fence, vec![(before, after)]).await.unwrap(), 0);
    assert!(safe.store.sealed_after(None, 1).await.unwrap().is_empty());
}

#[tokio::test]
async fn a_generation_is_destroyed_only_when_nothing_needs_it() {
    generation_destroyed(None).await;
}

async fn generation_destroyed(databases: Option<&Databases>) {
    let safe = Safe::with(3, databases).await;
    assert!(matches!(safe.destroy(1).await, Err(KeysError::Kek(KekError::Newest(1)))));
    assert_eq!(safe.rotate(), 2);
    let refused = safe.destroy(1).await.unwrap_err();
    assert_eq!(
        refused.to_string(),
        "generation 1 is still needed by 3 sealed values and the signing key; remint keys rewrap moves them, then try again"
    );
    let old = safe.store.sealed_after(None, 1).await.unwrap().remove(0);
    assert_eq!(safe.rewrap().await, 3);
    assert!(matches!(safe.destroy(2).await, Err(KeysError::Kek(KekError::Newest(2)))));
    assert!(matches!(safe.destroy(9).await, Err(KeysError::Kek(KekError::NoGeneration { .. }))));
    safe.destroy(1).await.unwrap();
    safe.opens(&safe.primary()).await;
    assert!(matches!(open(&safe.primary()).open(&old), Err(EscrowError::Generation { generation: 1, .. })));
    assert_eq!(safe.entries().await.last().unwrap(), "key.destroyed");
    let text = std::fs::read_to_string(safe.primary()).unwrap();
    assert!(!text.contains("generation 1 ") && text.contains("generation 2 "), "only that line is gone");
}

#[tokio::test]
async fn a_destruction_that_was_interrupted_is_recorded_by_the_next_try() {
    destruction_interrupted(None).await;
}

async fn destruction_interrupted(databases: Option<&Databases>) {
    let safe = Safe::with(0, databases).await;
    safe.rotate();
    safe.rewrap().await;
    let kek = Kek::load(&safe.primary(), &safe.state(), false).unwrap();
    let begun = remint::engine::record::put("key", "destroying-1", "", &"x", remint::store::Rule::Upsert).unwrap();
    safe.store.commit(Change { puts: vec![begun], ..Change::default() }).await.unwrap();
    edit::remove_generation(&safe.primary(), &kek, 1).unwrap();
    safe.destroy(1).await.unwrap();
    assert_eq!(safe.entries().await.last().unwrap(), "key.destroyed");
    assert!(matches!(safe.destroy(1).await, Err(KeysError::Kek(KekError::NoGeneration { .. }))), "once");
}

#[test]
fn a_mounted_folder_is_read_through_one_update_and_is_not_remints_to_change() {
    let folder = tempfile::tempdir().unwrap();
    let (mount, update) = (folder.path().join("mount"), folder.path().join("mount/..2026_11_21"));
    std::fs::create_dir_all(&update).unwrap();
    let key = |of: char| format!("{}=\n", String::from(of).repeat(43));
    for (name, of) in [("fingerprint", 'A'), ("generation-1", 'Q'), ("generation-7", 'g')] {
        write(&update.join(name), &key(of));
        symlink(Path::new("..data").join(name), mount.join(name)).unwrap();
    }
    symlink("..2026_11_21", mount.join("..data")).unwrap();
    let kek = Kek::load(&mount, Path::new("/nowhere"), false).unwrap();
    assert_eq!(kek.generations().collect::<Vec<_>>(), [1, 7]);
    let sealed = Escrow::new(kek, Box::new(SystemRandomness)).seal("a", "b", &SecretValue::from("x"), None).unwrap();
    assert_eq!(sealed.generation, 7, "the newest seals");

    let kek = Kek::load(&mount, Path::new("/nowhere"), false).unwrap();
    let refused = edit::add_generation(&mount, &kek, 0, &fresh()).unwrap_err();
    assert!(
        refused
            .to_string()
            .ends_with("add a file generation-8 there (32 random bytes in base64), then: remint keys rewrap")
    );
    write(&update.join("notes"), "x");
    assert!(matches!(Kek::load(&mount, Path::new("/nowhere"), false), Err(KekError::Format { .. })));
    let inside = Kek::load(&mount, folder.path(), false).unwrap_err();
    assert!(matches!(inside, KekError::SameFolder { .. }), "{inside}");
}

#[tokio::test]
async fn expired_values_are_forgotten_and_what_an_open_reset_needs_is_not() {
    expired(None).await;
}

async fn expired(databases: Option<&Databases>) {
    let rig = crate::rig::Rig::start(1).await;
    let engine = match databases {
        None => rig.engine(),
        Some(databases) => rig.engine_over(Arc::new(databases.store().await)),
    };
    let reset = rig.reset(&engine, rig.plan()).await;
    let needed = engine.store.sealed_after(None, 100).await.unwrap();
    assert!(!needed.is_empty());
    let past = Some(engine.context.clock.now() - std::time::Duration::from_secs(1));
    let mut change = Change::default();
    for sealed in &needed {
        change.seals.push(Sealed { expires: past, ..sealed.clone() });
    }
    let stray = engine.escrow.seal("op-stray", &reset.id.0, &SecretValue::from("x"), past).unwrap();
    let fresh = engine.escrow.seal("op-fresh", &reset.id.0, &SecretValue::from("x"), None).unwrap();
    change.seals.extend([stray, fresh]);
    engine.store.commit(change).await.unwrap();
    // The value as it was proposed, before it was kept under its version, and the stray one.
    assert_eq!(engine.purge().await.unwrap(), 2);
    assert!(engine.store.sealed("op-stray").await.unwrap().is_none());
    assert!(engine.store.sealed("op-fresh").await.unwrap().is_some());
    let facts = engine.rotations(&reset.id).await.unwrap().remove(0).rotation.facts;
    for version in [facts.old.unwrap(), facts.new.unwrap()] {
        assert!(engine.store.sealed(&version.sealed.unwrap()).await.unwrap().is_some());
    }
    assert_eq!(engine.purge().await.unwrap(), 0);
}

#[tokio::test(flavor = "multi_thread")]
async fn over_postgresql_generations_rewraps_and_what_expired_are_as_over_files() {
    let Some(databases) = Databases::find("keys over PostgreSQL").await else { return };
    let databases = Some(&databases);
    either_key_file(databases).await;
    rewrap_that_stops(databases).await;
    two_rewraps(databases).await;
    forgotten_meanwhile(databases).await;
    generation_destroyed(databases).await;
    destruction_interrupted(databases).await;
    expired(databases).await;
}
