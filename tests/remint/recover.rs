//! A store that is older than the world: noticed, only looked at, recovered.

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use remint::app::{App, Places};
use remint::check::check;
use remint::context::Context;
use remint::engine::EngineError;
use remint::engine::record::{DecisionWord, ResetStatus};
use remint::engine::reset::plan_bytes;
use remint::evidence::anchor::Standing;
use remint::evidence::export;
use remint::recover::{mark_restored, recover};
use remint::store::dump;
use remint::store::postgres::{Address, PostgresStore};
use remint::store::sqlite::SqliteStore;
use remint::store::{Store, StoreError};
use remint_contract::{HostRules, ResetId};
use remint_evidence_format::bundle::verify;
use remint_fake::world::{Fault, Trouble};

use crate::backup::backup;
use crate::crash::Dying;
use crate::rig::{OnlyFake, Rig};
use crate::store::postgres::Databases;

/// A rig with an application over it, and an anchor elsewhere.
struct Site {
    rig: Rig,
    keys: tempfile::TempDir,
    /// Where new stores are made, when not in the state folder.
    databases: Option<Databases>,
    address: Option<Address>,
}

impl Site {
    async fn new(count: usize) -> Self {
        let keys = tempfile::tempdir().unwrap();
        Self { rig: Rig::start(count).await, keys, databases: None, address: None }
    }

    async fn over(databases: Databases, count: usize) -> Self {
        let mut site = Self { databases: Some(databases), ..Self::new(count).await };
        crate::replicas::brief(&mut site.rig.settings);
        site
    }

    /// From now on an empty store.
    async fn forget(&mut self) {
        self.rig.forget();
        if let Some(databases) = &self.databases {
            self.address = Some(databases.fresh().await);
        }
    }

    fn places(&self) -> Places {
        Places {
            state: self.rig.folder.path().to_owned(),
            kek: self.keys.path().join("kek"),
            same_folder: false,
            store: self.address.clone(),
        }
    }

    fn anchor(&self) -> PathBuf {
        self.keys.path().join("anchor")
    }

    /// A new state with the rig's estate in it.
    async fn start(&mut self) -> App {
        self.forget().await;
        let _ = std::fs::remove_file(self.anchor());
        let kinds = Arc::new(OnlyFake::default());
        let made = App::init_anchored(&self.places(), Some(self.anchor()), &Context::system(), kinds).await.unwrap();
        drop(made);
        let app = self.open().await;
        app.activate(self.rig.estate.clone(), "tester").await.unwrap();
        app
    }

    /// Opens it as the next process does. It remembers where its anchor is.
    async fn open(&self) -> App {
        let settings = self.rig.settings.clone();
        for _ in 0..100_000 {
            let kinds = Arc::new(OnlyFake::default());
            let rules = HostRules::default();
            match App::open(&self.places(), &Context::system(), kinds, rules, settings.clone()).await {
                Err(remint::app::AppError::Store(StoreError::Locked(_) | StoreError::InUse(_))) => {
                    tokio::task::yield_now().await;
                }
                opened => return opened.unwrap(),
            }
        }
        panic!("the state is still held");
    }

    /// A backup, as the command makes it.
    async fn backup(&self) -> PathBuf {
        let file = self.keys.path().join("backup");
        let _ = std::fs::remove_file(&file);
        backup(self.rig.folder.path(), self.address.as_ref(), &file).await;
        file
    }

    /// An empty state with the backup in it, as the command makes it.
    async fn restore(&mut self, file: &Path) {
        self.forget().await;
        let store: Box<dyn Store> = match &self.address {
            None => Box::new(SqliteStore::open(self.rig.folder.path()).unwrap()),
            Some(address) => Box::new(PostgresStore::open_alone(address.clone()).await.unwrap()),
        };
        dump::restore(file, &*store).await.unwrap();
        assert_eq!(mark_restored(&*store, "backup").await.unwrap(), Some(self.anchor()));
    }
}

fn copy(from: &Path, to: &Path) {
    for item in std::fs::read_dir(from).unwrap() {
        let path = item.unwrap().path();
        std::fs::copy(&path, to.join(path.file_name().unwrap())).unwrap();
    }
}

/// Nothing can be changed, everything can be looked at.
async fn only_looked_at(app: &App, id: &ResetId) {
    let refused = |error: EngineError| match error {
        EngineError::Store(StoreError::ReadOnly(why)) => assert!(why.contains("remint store recover"), "{why}"),
        error => panic!("{error}"),
    };
    refused(app.engine.run(id).await.unwrap_err());
    refused(app.engine.retry(id, None).await.unwrap_err());
    assert!(app.writable().is_err());
    app.sequencer.flush().await.unwrap();
    assert!(!app.engine.resets().await.unwrap().is_empty());
    assert!(!app.engine.store.entries_of(id).await.unwrap().is_empty());
}

#[tokio::test]
async fn yesterdays_files_under_todays_anchor_are_only_looked_at() {
    let mut site = Site::new(1).await;
    let app = site.start().await;
    let id = site.rig.approved(&app.engine, site.rig.plan()).await;
    app.sequencer.flush().await.unwrap();
    assert!(check(&app).await.unwrap().problems.is_empty());
    drop(app);
    let yesterday = tempfile::tempdir().unwrap();
    copy(site.rig.folder.path(), yesterday.path());
    let app = site.open().await;
    assert!(app.standing.is_sound());
    app.engine.run(&id).await.unwrap();
    app.sequencer.flush().await.unwrap();
    drop(app);

    site.rig.forget();
    copy(yesterday.path(), site.rig.folder.path());
    let app = site.open().await;
    assert!(
        matches!(&app.standing, Standing::Behind { here, anchor, .. } if *here < anchor.size),
        "{:?}",
        app.standing
    );
    only_looked_at(&app, &id).await;
    assert_eq!(check(&app).await.unwrap().problems.len(), 1);
    drop(app);
    // The anchor taken away is noticed, too.
    std::fs::rename(site.anchor(), site.keys.path().join("away")).unwrap();
    let app = site.open().await;
    assert!(matches!(&app.standing, Standing::Missing { .. }), "{:?}", app.standing);
    only_looked_at(&app, &id).await;
    drop(app);
    std::fs::write(site.anchor(), "not a note").unwrap();
    assert!(matches!(site.open().await.standing, Standing::Other { .. }));
    // The old key is here: it has the last word. What was sealed yesterday is, too, so that the reset goes on by itself.
    std::fs::rename(site.keys.path().join("away"), site.anchor()).unwrap();
    let app = site.open().await;
    let done = recover(&app, "tester", &BTreeSet::new()).await.unwrap();
    let begun = done.begun.unwrap();
    assert!(begun.last_words && begun.origin == "remint-2" && begun.to.unwrap() > begun.from, "{begun:?}");
    drop(app);
    assert!(site.open().await.standing.is_sound());
}

#[tokio::test]
async fn a_store_that_goes_another_way_than_its_anchor_is_noticed() {
    let mut site = Site::new(1).await;
    let app = site.start().await;
    app.sequencer.flush().await.unwrap();
    drop(app);
    let fork = tempfile::tempdir().unwrap();
    copy(site.rig.folder.path(), fork.path());
    let app = site.open().await;
    site.rig.approved(&app.engine, site.rig.plan()).await;
    app.sequencer.flush().await.unwrap();
    drop(app);
    let anchor = std::fs::read(site.anchor()).unwrap();
    site.rig.forget();
    copy(fork.path(), site.rig.folder.path());
    // As if the anchor had not been looked at: the copy goes its own way, further than the anchor.
    std::fs::copy(fork.path().join("remint.db"), site.rig.folder.path().join("remint.db")).unwrap();
    let store = SqliteStore::open(site.rig.folder.path()).unwrap();
    let key = Arc::new(signing_key(&site));
    let clock = Arc::new(remint_contract::SystemClock);
    let entries = (0..20).map(|turn| crate::store::draft(Some("r9"), turn)).collect();
    store.commit(remint::store::Change { entries, ..Default::default() }).await.unwrap();
    let sequencer = remint::evidence::Sequencer::new(Arc::new(store), key, clock, "remint");
    sequencer.flush().await.unwrap();
    drop(sequencer);
    std::fs::write(site.anchor(), anchor).unwrap();
    let standing = site.open().await.standing.clone();
    assert!(matches!(standing, Standing::Forked { .. }), "{standing:?}");
}

fn signing_key(site: &Site) -> remint_evidence_format::note::SigningKey {
    let kek = remint::escrow::Kek::load(&site.places().kek, site.rig.folder.path(), false).unwrap();
    let escrow = remint::escrow::Escrow::new(kek, Box::new(remint::escrow::SystemRandomness));
    remint::evidence::key::open_or_create(site.rig.folder.path(), "remint", &escrow, &remint::escrow::SystemRandomness)
        .unwrap()
}

/// The backup is of a reset that died at its n-th commit; in the gap that reset settles, and somebody makes a key. Whatever
/// the backup knew, the world ends with one living version of each, and the stranger is found.
#[tokio::test]
async fn after_a_recovery_every_credential_ends_with_one_living_version_and_the_orphan_is_found() {
    let (parked, interrupted) = recoveries(Site::new(2).await, &[1, 3, 5, 7, 9, 12, 16, 20, 26]).await;
    assert!(interrupted >= 5, "{interrupted}");
    assert_eq!(parked, BTreeSet::from(["is gone", "no more"]), "each of these reasons to park was met");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_database_that_was_restored_is_recovered_as_a_folder_is() {
    let Some(databases) = Databases::find("recovery of a database").await else { return };
    let (_, interrupted) = recoveries(Site::over(databases, 2).await, &[3, 9, 16]).await;
    assert_eq!(interrupted, 3);
}

/// The reasons to park that were met, and how many resets died.
async fn recoveries(mut site: Site, commits: &[u64]) -> (BTreeSet<&'static str>, usize) {
    let (mut parked, mut interrupted) = (BTreeSet::new(), 0);
    for &at in commits {
        let app = site.start().await;
        let before: Vec<_> = (0..2).map(|index| site.rig.value(index)).collect();
        let id = site.rig.approved(&app.engine, site.rig.plan()).await;
        let mut dying = app.engine.clone();
        dying.store = Arc::new(Dying::new(Arc::clone(&app.engine.store), at, false));
        let died = dying.run(&id).await.is_err();
        drop(dying);
        app.sequencer.flush().await.unwrap();
        let file = site.backup().await;

        app.engine.run(&id).await.unwrap();
        let (orphan, _) = site.rig.issuer.seed("app0").unwrap();
        app.sequencer.flush().await.unwrap();
        drop(app);

        site.restore(&file).await;
        let app = site.open().await;
        assert_eq!(app.standing, Standing::Restored, "commit {at}");
        only_looked_at(&app, &id).await;
        let done = recover(&app, "tester", &BTreeSet::new()).await.unwrap();
        let begun = done.begun.as_ref().unwrap();
        assert!(!begun.last_words, "the old key was not in the backup");
        assert!(!died || begun.to.unwrap() > begun.from, "commit {at}: {begun:?}");
        drop(app);
        let app = site.open().await;
        assert!(app.standing.is_sound(), "commit {at}: {:?}", app.standing);
        let findings = app.engine.findings(None).await.unwrap();
        assert!(findings.iter().any(|finding| finding.version == orphan), "commit {at}: {done:?}");

        interrupted += usize::from(died);
        parked.extend(done.reconciled.parked.iter().flat_map(|(_, why)| why.split("; ")).map(|why| {
            let words = ["is gone", "no more", "does not list"];
            *words.iter().find(|words| why.contains(**words)).unwrap_or_else(|| panic!("{why}"))
        }));
        // No approval of before moves anything.
        let reset = app.engine.reset(&id).await.unwrap();
        if reset.status == ResetStatus::Requested {
            assert!(matches!(app.engine.run(&id).await, Err(EngineError::Unapproved(_))), "commit {at}");
            app.engine.approve(&id, "tester").await.unwrap();
        } else {
            assert!(!died, "commit {at}: {:?}", reset.status);
        }
        for finding in app.engine.findings(None).await.unwrap() {
            let word = if finding.version == orphan { DecisionWord::Revoke } else { DecisionWord::Adopt };
            app.engine.decide(&finding.id, word, "tester", "known").await.unwrap();
        }
        for reset in app.engine.resets().await.unwrap() {
            app.engine.run(&reset.id).await.unwrap();
            app.engine.retry(&reset.id, None).await.unwrap();
            app.engine.run(&reset.id).await.unwrap();
        }
        for index in 0..2 {
            let living = site.rig.issuer.live_versions(&format!("app{index}"));
            assert_eq!(living.len(), 1, "commit {at}, app{index}: {living:?} {done:?}");
            assert!(
                site.rig.issuer.accepts(&site.rig.value(index)),
                "commit {at}: what lies in the store is not accepted"
            );
        }
        assert!(before.iter().all(|old| !site.rig.issuer.accepts(old)), "commit {at}: an old value lives");
        assert!(site.rig.issuer.live_versions("app0").iter().all(|live| live.version != orphan));

        // Whoever had the database before may hold the sequencer's lease for a moment still.
        while !app.engine.store.unsequenced(1).await.unwrap().is_empty() {
            app.sequencer.flush().await.unwrap();
            tokio::task::yield_now().await;
        }
        let problems = check(&app).await.unwrap().problems;
        assert!(problems.is_empty(), "commit {at}: {problems:?}");
        let reset = app.engine.reset(&id).await.unwrap();
        assert_eq!(reset.status, ResetStatus::Provisional, "commit {at}");
        let bundle = export(&*app.engine.store, &id, &plan_bytes(&reset.plan), &app.key).await.unwrap();
        let report = verify(&bundle, Some(app.key.verifier()));
        assert!(report.integrity && report.origin, "commit {at}: {report:?}");
        assert!(report.render().contains("goes on as remint-2"), "{}", report.render());
        assert_eq!(report.render().contains("GAP: the log remint had "), died, "commit {at}");
    }
    (parked, interrupted)
}

#[tokio::test]
async fn an_issuer_that_cannot_be_asked_keeps_the_state_read_only_until_it_is_named() {
    not_asked(Site::new(1).await).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn so_does_one_under_a_restored_database() {
    let Some(databases) = Databases::find("an issuer that cannot be asked, over PostgreSQL").await else { return };
    not_asked(Site::over(databases, 1).await).await;
}

async fn not_asked(mut site: Site) {
    let app = site.start().await;
    site.rig.approved(&app.engine, site.rig.plan()).await;
    app.sequencer.flush().await.unwrap();
    let file = site.backup().await;
    drop(app);
    site.restore(&file).await;
    site.rig.settings.host.tries = 1;
    let _mute = site.rig.world.fault("bank", Fault::on("list", Trouble::Broken)).unwrap();
    let app = site.open().await;
    recover(&app, "tester", &BTreeSet::new()).await.unwrap_err();
    drop(app);
    let app = site.open().await;
    assert_eq!(app.standing, Standing::Unreconciled);

    let bank = BTreeSet::from(["System/bank".parse().unwrap()]);
    let done = recover(&app, "tester", &bank).await.unwrap();
    assert!(done.begun.is_none() && done.reconciled.not_asked == ["System/bank"], "{done:?}");
    drop(app);
    let app = site.open().await;
    assert!(app.standing.is_sound());
    let tasks = app.engine.tasks(None).await.unwrap();
    assert!(tasks[0].what.starts_with("list System/bank by hand"), "{tasks:?}");
}
