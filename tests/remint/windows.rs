//! Windows that open by themselves: once for ever, each credential at its turn, and what becomes of those that were missed.

pub(crate) mod daemon;

use std::sync::Arc;
use std::sync::atomic::{AtomicI64, Ordering};
use std::time::Duration;

use async_trait::async_trait;
use jiff::{SignedDuration, Timestamp};
use remint::engine::Engine;
use remint::engine::record::{ResetStatus, kind, put};
use remint::store::sqlite::SqliteStore;
use remint::store::{Change, Rule, Store};
use remint_contract::{Clock, Ref};
use remint_core::estate::{Estate, Meta, Missed, RotationWindow};
use remint_core::machine::State;
use tokio::sync::watch;

use crate::rig::{Rig, assert_settled};

/// A clock that the test moves, and that goes on by itself as every clock.
pub(crate) struct Moved {
    began: Timestamp,
    stands: Timestamp,
    by: AtomicI64,
    moves: watch::Sender<()>,
}

impl Moved {
    pub(crate) fn at(text: &str) -> Arc<Self> {
        let began = remint_contract::SystemClock.now();
        Arc::new(Self { began, stands: text.parse().unwrap(), by: AtomicI64::new(0), moves: watch::Sender::new(()) })
    }

    /// Moves it to a time, never back.
    pub(crate) fn to(&self, text: &str) {
        let wait = text.parse::<Timestamp>().unwrap().duration_since(self.now());
        self.by.fetch_add(wait.as_secs() + 1, Ordering::SeqCst);
        self.moves.send_replace(());
    }
}

#[async_trait]
impl Clock for Moved {
    fn now(&self) -> Timestamp {
        let passed = remint_contract::SystemClock.now().duration_since(self.began);
        self.stands + passed + SignedDuration::from_secs(self.by.load(Ordering::SeqCst))
    }

    /// Whoever sleeps wakes when the clock is moved past the time that he sleeps until.
    async fn sleep(&self, duration: Duration) {
        let (until, mut moves) = (self.now() + duration, self.moves.subscribe());
        while let Ok(left) = Duration::try_from(until.duration_since(self.now())) {
            tokio::select! {
                () = tokio::time::sleep(left) => return,
                _ = moves.changed() => {}
            }
        }
    }
}

/// The rig's estate with a window every night at two, for its applications.
pub(crate) fn nightly(rig: &Rig, missed: Missed) -> Estate {
    let mut estate = rig.estate.clone();
    for (name, credential) in &mut estate.credentials {
        if name.name.as_str() != "root" {
            credential.meta.labels.insert("when".into(), "night".into());
        }
    }
    let name: Ref = "RotationWindow/nights".parse().unwrap();
    let meta =
        Meta { name: name.name.clone(), namespace: name.namespace.clone(), labels: std::collections::BTreeMap::new() };
    let window = RotationWindow {
        meta,
        cron: "0 2 * * *".into(),
        time_zone: "UTC".into(),
        duration: Duration::from_hours(4),
        select: [("when".to_owned(), "night".to_owned())].into(),
        blackout: Vec::new(),
        jitter: None,
        missed,
        manual_only: false,
    };
    estate.windows.insert(name, window);
    estate
}

/// Replicas over one store, in which this estate is active, and that have seen its window.
async fn replicas(rig: &Rig, estate: &Estate, clock: &Arc<Moved>, count: usize) -> Vec<Engine> {
    let store: Arc<dyn Store> = Arc::new(SqliteStore::open(rig.folder.path()).unwrap());
    let digest = estate.digest().to_string();
    let puts = vec![
        put(kind::ESTATE, digest.clone(), "", estate, Rule::Upsert).unwrap(),
        put("active", "estate", "", &digest, Rule::Upsert).unwrap(),
    ];
    store.commit(Change { puts, ..Change::default() }).await.unwrap();
    let mut engines = Vec::new();
    for _ in 0..count {
        let mut engine = rig.engine_over(Arc::clone(&store));
        engine.context.clock = Arc::clone(clock) as Arc<dyn Clock>;
        assert!(engine.open_windows().await.unwrap().opened.is_empty(), "nothing is missed before it is known");
        engines.push(engine);
    }
    engines
}

#[tokio::test]
async fn of_two_replicas_one_opens_a_window_and_neither_does_again() {
    let rig = Rig::start(2).await;
    let clock = Moved::at("2027-06-01T12:00:00Z");
    let estate = nightly(&rig, Missed::Skip);
    let engines = replicas(&rig, &estate, &clock, 2).await;
    clock.to("2027-06-02T02:00:00Z");
    let (one, other) = tokio::join!(engines[0].open_windows(), engines[1].open_windows());
    let opened = [one.unwrap().opened, other.unwrap().opened].concat();
    assert_eq!(opened.len(), 1, "{opened:?}");
    assert_eq!(opened[0].reset.0, "window-nights-20270602T020000Z");
    for engine in &engines {
        assert!(engine.open_windows().await.unwrap().opened.is_empty(), "again");
    }
    let mut restarted = rig.engine_over(Arc::clone(&engines[0].store));
    restarted.context.clock = Arc::clone(&clock) as Arc<dyn Clock>;
    assert!(restarted.open_windows().await.unwrap().opened.is_empty(), "after a restart");
    let resets = restarted.resets().await.unwrap();
    assert_eq!(resets.len(), 1);
    assert_eq!(resets[0].status, ResetStatus::Running, "approved as this state approves");
    assert_eq!((resets[0].requested_by.as_str(), resets[0].plan.members.len()), ("RotationWindow/nights", 2));
}

#[tokio::test]
async fn every_credential_begins_at_its_turn_and_is_replaced() {
    let rig = Rig::start(3).await;
    let clock = Moved::at("2027-06-01T12:00:00Z");
    let engine = replicas(&rig, &nightly(&rig, Missed::Skip), &clock, 1).await.remove(0);
    let old: Vec<_> = (0..3).map(|index| rig.value(index)).collect();
    clock.to("2027-06-02T02:00:00Z");
    let id = engine.open_windows().await.unwrap().opened.remove(0).reset;
    let turns = engine.reset(&id).await.unwrap().plan.occasion.clone().unwrap().turns;
    let mut times: Vec<Timestamp> = turns.values().copied().collect();
    times.sort();
    for (done, turn) in times.iter().enumerate() {
        let before = engine.run(&id).await.unwrap();
        let settled = || async {
            let all = engine.rotations(&id).await.unwrap();
            all.iter().filter(|record| matches!(record.rotation.state, State::Settled { .. })).count()
        };
        if *turn > clock.now() {
            assert_eq!(settled().await, done, "before the turn at {turn}");
            assert_eq!(before.again.map(|again| again.at), Some(*turn), "it goes on at the next turn");
            clock.to(&turn.to_string());
        }
        engine.run(&id).await.unwrap();
        assert_eq!(settled().await, done + 1, "after the turn at {turn}");
    }
    let reset = engine.reset(&id).await.unwrap();
    assert_settled(&rig, &engine, &reset, &old, "by a window").await;
    clock.to("2027-06-03T02:00:00Z");
    assert_eq!(engine.open_windows().await.unwrap().opened.len(), 1, "the next night");
}

#[tokio::test]
async fn what_had_no_turn_before_the_window_closed_comes_first_in_the_next_one() {
    let rig = Rig::start(3).await;
    let clock = Moved::at("2027-06-01T12:00:00Z");
    let engine = replicas(&rig, &nightly(&rig, Missed::Skip), &clock, 1).await.remove(0);
    clock.to("2027-06-02T02:00:00Z");
    let id = engine.open_windows().await.unwrap().opened.remove(0).reset;
    // Nobody is there while it is open.
    clock.to("2027-06-02T06:00:00Z");
    engine.run(&id).await.unwrap();
    for record in engine.rotations(&id).await.unwrap() {
        let State::Superseded { by } = &record.rotation.state else { panic!("{}", record.rotation.state) };
        assert_eq!(by.0, "window-nights-20270603T020000Z", "the next opening takes it");
    }
    clock.to("2027-06-03T02:00:00Z");
    let next = engine.open_windows().await.unwrap().opened.remove(0).reset;
    let plan = engine.reset(&next).await.unwrap().plan.clone();
    let carried = &plan.occasion.as_ref().unwrap().carried;
    assert_eq!(carried.len(), 3);
    assert!(carried.values().all(|since| since.to_string() == "2027-06-02T02:00:00Z"), "{carried:?}");
    let text = remint_core::plan::render_plan(&plan, &rig.estate);
    assert!(text.contains("CARRIED OVER  Credential/app0 was due 24 h before this opening"), "{text}");
}

async fn down_over_three(missed: Missed) -> (Rig, Engine, usize, u64) {
    let rig = Rig::start(1).await;
    let clock = Moved::at("2027-06-01T12:00:00Z");
    let engine = replicas(&rig, &nightly(&rig, missed), &clock, 1).await.remove(0);
    clock.to("2027-06-04T10:00:00Z");
    let opened = engine.open_windows().await.unwrap().opened.len();
    assert!(engine.open_windows().await.unwrap().opened.is_empty(), "twice");
    let kept = engine.window(&"RotationWindow/nights".parse().unwrap()).await.unwrap().unwrap().0;
    (rig, engine, opened, kept.missed)
}

#[tokio::test]
async fn a_daemon_that_was_down_over_three_windows_skips_them() {
    let (_rig, engine, opened, missed) = down_over_three(Missed::Skip).await;
    assert_eq!((opened, missed), (0, 3));
    assert!(engine.resets().await.unwrap().is_empty());
}

#[tokio::test]
async fn a_daemon_that_was_down_over_three_windows_catches_up_once() {
    let (_rig, engine, opened, missed) = down_over_three(Missed::CatchUp).await;
    assert_eq!((opened, missed), (1, 2));
    let reset = engine.resets().await.unwrap().remove(0);
    assert_eq!(reset.id.0, "window-nights-20270604T020000Z");
}
