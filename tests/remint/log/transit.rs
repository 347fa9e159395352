//! A signing key that never leaves a real OpenBao.

use std::collections::BTreeSet;
use std::path::Path;
use std::sync::Arc;

use remint::app::copy::copy;
use remint::app::{App, Places};
use remint::context::Context;
use remint::engine::EngineSettings;
use remint::escrow::SystemRandomness;
use remint::evidence::anchor::Standing;
use remint::evidence::key::Shelf;
use remint::evidence::rotation::{Link, Rotation, RotationError};
use remint::recover::{mark_restored, recover};
use remint::store::{Change, dump};
use remint_contract::HostRules;
use remint_evidence_format::checkpoint::Checkpoint;
use remint_evidence_format::note::VerifierKey;
use remint_evidence_format::succession::follow;
use serde_json::json;

use crate::backup::backup;
use crate::keeper::bao::Bao;
use crate::rig::OnlyFake;
use crate::store::draft;
use crate::store::postgres::Databases;

fn places(home: &Path) -> Places {
    Places { state: home.join("state"), kek: home.join("kek"), same_folder: false, store: None }
}

async fn init(home: &Path) -> App {
    use std::os::unix::fs::PermissionsExt as _;
    std::fs::create_dir_all(home.join("state")).unwrap();
    std::fs::set_permissions(home.join("state"), std::fs::Permissions::from_mode(0o700)).unwrap();
    App::init(&places(home), &Context::system(), Arc::new(OnlyFake::default())).await.unwrap().0
}

async fn open(home: &Path) -> App {
    let (kinds, rules) = (Arc::new(OnlyFake::default()), HostRules::default());
    App::open(&places(home), &Context::system(), kinds, rules, EngineSettings::default()).await.unwrap()
}

async fn grow(app: &App) -> Checkpoint {
    app.engine.store.commit(Change { entries: vec![draft(Some("r1"), 1)], ..Change::default() }).await.unwrap();
    app.sequencer.flush().await.unwrap();
    let (_, note) = app.engine.store.checkpoint().await.unwrap().unwrap();
    Checkpoint::open(note.as_bytes(), app.key.verifier()).unwrap()
}

async fn rotate(app: &App) -> Link {
    rotated(app).await.unwrap()
}

pub(crate) async fn rotated(app: &App) -> Result<Link, RotationError> {
    let shelf = Shelf::Elsewhere(app.signing.as_ref().unwrap(), &*app.engine.store, &app.folder);
    let rotation = Rotation {
        store: app.engine.store.clone(),
        shelf,
        key: app.key.clone(),
        escrow: &app.engine.escrow,
        randomness: &SystemRandomness,
        clock: app.engine.context.clock.clone(),
        holder: &app.engine.settings.holder,
        anchor: None,
    };
    rotation.rotate("operator").await
}

async fn links(app: &App, from: &VerifierKey) -> VerifierKey {
    let links = Link::all(&*app.engine.store).await.unwrap();
    follow(from, links.iter().map(|link| link.proof.as_bytes())).unwrap().key
}

#[tokio::test]
async fn a_log_is_signed_by_a_key_that_is_nowhere_here_and_goes_on_under_its_next_version() {
    let (bao, home) = (Bao::find().await, tempfile::tempdir().unwrap());
    bao.key("log", "ed25519").await;
    bao.configure(home.path(), "log", "log", &bao.confined("log", &["rotate"]).await);
    let app = init(home.path()).await;
    assert!(!home.path().join("state/evidence.key").exists(), "no key was made here");
    assert_eq!(grow(&app).await.origin, "remint");
    let first = app.key.verifier().clone();
    drop(app);

    // Somebody rotates the key there: the version that the log named signs on.
    bao.post(&format!("{}/keys/log/rotate", bao.mount), json!({})).await;
    let app = open(home.path()).await;
    assert_eq!(*app.key.verifier(), first);
    grow(&app).await;
    // The log names the next one, which is there already.
    let link = rotate(&app).await;
    assert_eq!(link.before, first.to_string());
    drop(app);
    let app = open(home.path()).await;
    let second = app.key.verifier().clone();
    assert_eq!(link.after, second.to_string());
    grow(&app).await;
    // And once more, where none is there: one is made.
    rotate(&app).await;
    drop(app);
    let app = open(home.path()).await;
    let third = app.key.verifier().clone();
    assert!(third != second && third != first);
    grow(&app).await;
    assert_eq!(links(&app, &first).await, third);
}

#[tokio::test]
async fn a_log_under_a_key_of_its_own_moves_to_one_that_is_kept_elsewhere() {
    let (bao, home) = (Bao::find().await, tempfile::tempdir().unwrap());
    bao.key("log", "ed25519").await;
    let app = init(home.path()).await;
    let own = app.key.verifier().clone();
    grow(&app).await;
    drop(app);
    bao.configure(home.path(), "log", "log", &bao.confined("log", &[]).await);
    let app = open(home.path()).await;
    assert_eq!(*app.key.verifier(), own, "nothing changes before the log says so");
    rotate(&app).await;
    drop(app);
    let app = open(home.path()).await;
    assert_ne!(*app.key.verifier(), own);
    assert!(!home.path().join("state/evidence.key").exists(), "the sealed key is gone");
    grow(&app).await;
    assert_eq!(links(&app, &own).await, *app.key.verifier());
    drop(app);
    // Without the word of where it is, nothing else signs.
    std::fs::remove_file(home.path().join("state/remint.yaml")).unwrap();
    let (kinds, rules) = (Arc::new(OnlyFake::default()), HostRules::default());
    let refused = App::open(&places(home.path()), &Context::system(), kinds, rules, EngineSettings::default()).await;
    assert!(refused.err().unwrap().to_string().contains("remint.yaml"));
}

#[tokio::test]
async fn what_cannot_sign_stops_the_log_and_loses_nothing() {
    let (bao, home) = (Bao::find().await, tempfile::tempdir().unwrap());
    bao.key("log", "ed25519").await;
    bao.key("other", "rsa-2048").await;
    bao.configure(home.path(), "log", "other", &bao.confined("other", &[]).await);
    let failed = App::init(&places(home.path()), &Context::system(), Arc::new(OnlyFake::default())).await;
    let text = format!("{:?}", failed.err().unwrap());
    assert!(text.contains("ed25519"), "{text}");

    let token = bao.confined("log", &[]).await;
    bao.configure(home.path(), "log", "log", &token);
    let app = init(home.path()).await;
    grow(&app).await;
    bao.configure(home.path(), "log", "log", "a-token-of-nobody");
    app.engine.store.commit(Change { entries: vec![draft(None, 1)], ..Change::default() }).await.unwrap();
    let error = app.sequencer.flush().await.unwrap_err();
    assert!(!format!("{error:?}").contains("a-token-of-nobody"), "{error:?}");
    assert_eq!(app.engine.store.unsequenced(9).await.unwrap().len(), 1, "it waits");
    bao.configure(home.path(), "log", "log", &token);
    app.sequencer.flush().await.unwrap();
    assert!(app.engine.store.unsequenced(9).await.unwrap().is_empty());
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_log_under_such_a_key_is_copied_restored_and_begun_anew_under_the_same_key() {
    let (bao, home) = (Bao::find().await, tempfile::tempdir().unwrap());
    let Some(databases) = Databases::find("a copy of a log that is signed elsewhere").await else { return };
    bao.key("log", "ed25519").await;
    bao.configure(home.path(), "log", "log", &bao.confined("log", &[]).await);
    let app = init(home.path()).await;
    let first = grow(&app).await;
    let key = app.key.verifier().clone();
    // It ends in order, and lets go of what it places entries under.
    app.sequencer.run(std::future::ready(())).await;
    drop(app);

    // To a database, where it goes on.
    let other = tempfile::tempdir().unwrap();
    let state = other.path().join("state");
    std::fs::create_dir(&state).unwrap();
    std::fs::copy(home.path().join("state/remint.yaml"), state.join("remint.yaml")).unwrap();
    let there = Places { state, store: Some(databases.fresh().await), ..places(home.path()) };
    let copied = copy(&places(home.path()), &there).await.unwrap();
    assert_eq!(copied.tree, first.size);
    let (kinds, rules) = (Arc::new(OnlyFake::default()), HostRules::default());
    let app = App::open(&there, &Context::system(), kinds, rules, EngineSettings::default()).await.unwrap();
    assert_eq!(*app.key.verifier(), key);
    assert!(grow(&app).await.size > first.size);
    drop(app);

    // From a backup: a log of another name, signed there too.
    let file = home.path().join("backup");
    backup(&home.path().join("state"), None, &file).await;
    let restored = tempfile::tempdir().unwrap();
    bao.configure(restored.path(), "log", "log", &bao.confined("log", &[]).await);
    let again = Places { kek: home.path().join("kek"), ..places(restored.path()) };
    let store = again.alone().await.unwrap();
    dump::restore(&file, &*store).await.unwrap();
    mark_restored(&*store, "backup").await.unwrap();
    drop(store);
    let (kinds, rules) = (Arc::new(OnlyFake::default()), HostRules::default());
    let app = App::open(&again, &Context::system(), kinds, rules, EngineSettings::default()).await.unwrap();
    assert_eq!(app.standing, Standing::Restored);
    let done = recover(&app, "tester", &BTreeSet::new()).await.unwrap();
    let begun = done.begun.unwrap();
    assert!(begun.last_words, "the old name's key is there, and says which log comes after it");
    drop(app);
    let (kinds, rules) = (Arc::new(OnlyFake::default()), HostRules::default());
    let app = App::open(&again, &Context::system(), kinds, rules, EngineSettings::default()).await.unwrap();
    assert_eq!(app.key.verifier().name(), begun.origin);
    assert_eq!(grow(&app).await.origin, begun.origin);
    assert!(!again.state.join("evidence.key").exists(), "no key was made here");
}
