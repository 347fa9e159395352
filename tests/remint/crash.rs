//! Crash before and after every durable change of a reset, and inside every call that it makes.

use std::collections::BTreeSet;
use std::pin::pin;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use async_trait::async_trait;
use jiff::Timestamp;
use remint::engine::record::{Reset, ResetStatus};
use remint::engine::{Engine, EngineError, Progress};
use remint::store::sqlite::SqliteStore;
use remint::store::{Change, Committed, Fence, Key, Record, Sealed, Store, StoreError};
use remint_contract::{MadeBy, Material, ResetId, Slots};
use remint_core::plan::Plan;
use remint_core::step::Path;
use remint_evidence_format::Stored;
use remint_fake::world::{Fault, Trouble};

use crate::rig::{Rig, Shape, assert_chained, assert_settled};
use crate::sorts::Sort;

/// A store of a process that dies at its n-th commit: just before it, or just after. Nothing is written later, but the
/// commit that it died before, when the test lets it land.
pub(crate) struct Dying {
    inner: Arc<dyn Store>,
    at: u64,
    after: bool,
    commits: AtomicU64,
    dead: AtomicBool,
    late: Mutex<Option<Change>>,
}

impl Dying {
    pub(crate) fn new(inner: Arc<dyn Store>, at: u64, after: bool) -> Self {
        Self { inner, at, after, commits: AtomicU64::new(0), dead: AtomicBool::new(false), late: Mutex::default() }
    }

    /// Carries out what was on its way to the store under a lease; `None` when it was under none, as budgets are.
    async fn land(&self) -> Option<Result<Committed, StoreError>> {
        let late = self.late.lock().unwrap().take().unwrap();
        late.fence.is_some().then_some(())?;
        Some(self.inner.commit(late).await)
    }

    fn alive(&self) -> Result<(), StoreError> {
        if self.dead.load(Ordering::SeqCst) { Err(died()) } else { Ok(()) }
    }
}

fn died() -> StoreError {
    StoreError::Broken { what: "died with its process".to_owned(), source: None }
}

#[async_trait]
impl Store for Dying {
    async fn commit(&self, change: Change) -> Result<Committed, StoreError> {
        self.alive()?;
        if self.commits.fetch_add(1, Ordering::SeqCst) + 1 < self.at {
            return self.inner.commit(change).await;
        }
        self.dead.store(true, Ordering::SeqCst);
        if self.after {
            self.inner.commit(change).await?;
        } else {
            *self.late.lock().unwrap() = Some(change);
        }
        Err(died())
    }

    async fn get(&self, key: &Key) -> Result<Option<Record>, StoreError> {
        self.alive()?;
        self.inner.get(key).await
    }

    async fn list(&self, kind: &'static str, scope: Option<&str>) -> Result<Vec<Record>, StoreError> {
        self.alive()?;
        self.inner.list(kind, scope).await
    }

    async fn sealed(&self, id: &str) -> Result<Option<Sealed>, StoreError> {
        self.alive()?;
        self.inner.sealed(id).await
    }

    async fn lease(
        &self,
        name: &str,
        holder: &str,
        now: Timestamp,
        until: Timestamp,
    ) -> Result<Option<Fence>, StoreError> {
        self.alive()?;
        self.inner.lease(name, holder, now, until).await
    }

    async fn release(&self, fence: &Fence) -> Result<(), StoreError> {
        self.alive()?;
        self.inner.release(fence).await
    }

    async fn unsequenced(&self, limit: usize) -> Result<Vec<Stored>, StoreError> {
        self.inner.unsequenced(limit).await
    }

    async fn sequence(&self, fence: &Fence, ids: &[u64], size: u64, checkpoint: &str) -> Result<(), StoreError> {
        self.alive()?;
        self.inner.sequence(fence, ids, size, checkpoint).await
    }

    async fn sequenced(&self, from: u64, limit: usize) -> Result<Vec<Stored>, StoreError> {
        self.inner.sequenced(from, limit).await
    }

    async fn entries_of(&self, reset: &ResetId) -> Result<Vec<Stored>, StoreError> {
        self.inner.entries_of(reset).await
    }

    async fn checkpoint(&self) -> Result<Option<(u64, String)>, StoreError> {
        self.inner.checkpoint().await
    }
}

/// Opens the state folder as the next process does, once the tasks of the last one are gone.
pub(crate) async fn next_process(rig: &Rig) -> Engine {
    for _ in 0..10_000 {
        match SqliteStore::open(rig.folder.path()) {
            Ok(store) => return rig.engine_over(Arc::new(store)),
            Err(StoreError::Locked(_)) => tokio::task::yield_now().await,
            Err(error) => panic!("{error}"),
        }
    }
    panic!("the state folder is still held");
}

/// Runs an approved reset in a process that dies at its n-th commit, then in the next one. `None`: it did not get
/// that far.
async fn interrupted(rig: &Rig, plan: Plan, at: u64, after: bool) -> Option<(Engine, Reset)> {
    let store: Arc<dyn Store> = Arc::new(SqliteStore::open(rig.folder.path()).unwrap());
    let id = rig.approved(&rig.engine_over(Arc::clone(&store)), plan).await;
    let dying = rig.engine_over(Arc::new(Dying::new(store, at, after)));
    let first = rig.drive(&dying, &id).await;
    drop(dying);
    match first {
        Ok(_) => return None,
        Err(EngineError::Store(StoreError::Broken { .. })) => {}
        Err(error) => panic!("commit {at}: {error}"),
    }
    let engine = next_process(rig).await;
    let reset = rig.drive(&engine, &id).await.unwrap();
    Some((engine, reset))
}

/// The plan of a rig with every member on one path.
fn plan_on(rig: &Rig, path: Path) -> Plan {
    let mut plan = match path {
        Path::Cut => rig.cut(),
        Path::Rolling | Path::Contain => rig.plan(),
    };
    for member in &mut plan.members {
        member.path = path;
    }
    plan
}

/// The whole of it: every commit of a reset, before and after.
async fn crash_everywhere(shape: Shape, path: Path) {
    crash(shape, path, 1, |rig| plan_on(rig, path)).await;
}

/// Every third commit, before and after: for worlds that differ from one that was crashed everywhere in one thing.
pub(crate) async fn crash_here_and_there(shape: Shape, path: Path) {
    crash(shape, path, 3, |rig| plan_on(rig, path)).await;
}

async fn crash(shape: Shape, path: Path, stride: usize, plan: impl Fn(&Rig) -> Plan) {
    let mut rig = Rig::with(shape.clone()).await;
    let traffic = rig.world.traffic(Duration::from_millis(10), &BTreeSet::default());
    let mut points = 0;
    for after in [false, true] {
        // The two rounds stop at different commits.
        for at in (1 + u64::from(after && stride > 1)..).step_by(stride) {
            rig.forget();
            let old: Vec<Material> = (0..shape.count).map(|index| rig.value(index)).collect();
            let why =
                format!("{path}, {:?}, died {} commit {at}", shape.made_by, if after { "after" } else { "before" });
            let Some((engine, reset)) = interrupted(&rig, plan(&rig), at, after).await else { break };
            assert_settled(&rig, &engine, &reset, &old, &why).await;
            points += 1;
        }
    }
    assert!(points * stride > 30, "{points} points");
    let seen = traffic.stop().await;
    assert!(seen.requests > 0);
    if path == Path::Rolling && rig.sort != Sort::InPlace {
        assert_eq!(seen.failures, []);
    }
    assert_eq!((rig.issuer.early(), rig.issuer.stranded()), (Vec::new(), 0));
}

#[tokio::test]
async fn a_rolling_reset_survives_a_crash_around_every_commit() {
    crash_everywhere(Shape::default(), Path::Rolling).await;
}

#[tokio::test]
async fn it_survives_where_the_issuer_makes_the_value() {
    crash_here_and_there(Shape { made_by: MadeBy::Issuer, staged: false, ..Shape::default() }, Path::Rolling).await;
}

#[tokio::test]
async fn it_survives_where_the_value_is_shown_once_and_leaves_no_orphan() {
    let shape = Shape { made_by: MadeBy::IssuerOnce, slots: Slots::Two, ..Shape::default() };
    crash_everywhere(shape, Path::Rolling).await;
}

#[tokio::test]
async fn two_members_survive_together() {
    crash_here_and_there(Shape { count: 2, slots: Slots::Two, staged: false, ..Shape::default() }, Path::Rolling).await;
}

#[tokio::test]
async fn a_contained_reset_survives_a_crash_around_every_commit() {
    crash_everywhere(Shape::default(), Path::Contain).await;
}

#[tokio::test]
async fn containment_survives_where_the_value_is_shown_once() {
    let shape = Shape { made_by: MadeBy::IssuerOnce, slots: Slots::Two, staged: false, ..Shape::default() };
    crash_here_and_there(shape, Path::Contain).await;
}

#[tokio::test]
async fn a_cut_survives_crashes() {
    crash_here_and_there(Shape { count: 2, staged: false, ..Shape::default() }, Path::Cut).await;
}

#[tokio::test]
async fn remints_own_credential_survives_crashes() {
    crash(Shape::default(), Path::Rolling, 3, Rig::with_own).await;
}

/// A commit may wait behind others, or for a server that is away, when the run that sent it is over already.
#[tokio::test]
async fn what_a_run_had_on_its_way_to_the_store_does_not_land_behind_what_the_next_one_of_the_same_holder_read() {
    let mut rig = Rig::start(1).await;
    let mut points = 0;
    for at in 1.. {
        rig.forget();
        let old = vec![rig.value(0)];
        let store: Arc<dyn Store> = Arc::new(SqliteStore::open(rig.folder.path()).unwrap());
        let engine = rig.engine_over(Arc::clone(&store));
        let id = rig.approved(&engine, rig.plan()).await;
        let dying = Arc::new(Dying::new(store, at, false));
        if rig.drive(&rig.engine_over(dying.clone()), &id).await.is_ok() {
            break;
        }
        let mut moved = engine.watch();
        let mut running = pin!(engine.run(&id));
        // When something moves it has read what is open. The last commits move nothing.
        let reset = loop {
            tokio::select! {
                reset = &mut running => break Some(reset),
                event = moved.recv() => if matches!(event.unwrap(), Progress::Moved { .. }) { break None },
            }
        };
        let landed = dying.land().await;
        let reset = match reset {
            Some(reset) => reset,
            None => running.await,
        };
        assert!(matches!(landed, None | Some(Err(StoreError::Fenced(_)))), "commit {at}: {landed:?}");
        assert_settled(&rig, &engine, &reset.unwrap(), &old, &format!("commit {at} was late")).await;
        points += usize::from(landed.is_some());
    }
    assert!(points > 15, "{points} points");
}

#[tokio::test]
async fn a_reset_that_dies_while_it_is_proven_again_is_closed_once() {
    let mut rig = Rig::start(1).await;
    for after in [false, true] {
        for at in 1.. {
            rig.forget();
            let store: Arc<dyn Store> = Arc::new(SqliteStore::open(rig.folder.path()).unwrap());
            let reset = rig.reset(&rig.engine_over(Arc::clone(&store)), rig.plan()).await;
            let dying = rig.engine_over(Arc::new(Dying::new(store, at, after)));
            let whole = dying.reprove(&reset.id).await.is_ok();
            drop(dying);
            let engine = next_process(&rig).await;
            if !whole {
                engine.reprove(&reset.id).await.unwrap();
            }
            assert_eq!(engine.reset(&reset.id).await.unwrap().status, ResetStatus::Complete);
            assert!(assert_chained(&engine, &reset.id).await.is_complete());
            let closed =
                crate::rig::told(&engine, &reset.id).await.iter().filter(|told| told.0 == "reset.closed").count();
            assert_eq!(closed, 1, "died at commit {at}");
            if whole {
                break;
            }
        }
    }
}

/// Every call that Remint makes on the way, by service.
const CALLS: [(&str, &[&str]); 3] = [
    ("bank", &["mint", "use", "rights", "revoke", "sessions", "end-sessions", "list"]),
    ("shelf", &["read", "check", "write", "promote", "versions", "destroy-version"]),
    ("floor", &["reload", "status"]),
];

/// Loses every call once; the reset settles, by itself or after a retry.
async fn lose_everything(shape: Shape, path: Path) {
    let mut rig = Rig::with(shape.clone()).await;
    let traffic = rig.world.traffic(Duration::from_millis(10), &BTreeSet::default());
    let calls = CALLS.iter().flat_map(|(service, verbs)| verbs.iter().map(move |verb| (*service, *verb)));
    for (service, verb) in calls {
        if (verb == "promote" && !shape.staged) || (verb == "rights" && path == Path::Contain) {
            continue;
        }
        for trouble in [Trouble::LostBefore, Trouble::LostAfter] {
            rig.forget();
            let old: Vec<Material> = (0..shape.count).map(|index| rig.value(index)).collect();
            let made = last_version(&rig);
            let engine = rig.engine();
            let mut plan = rig.plan();
            plan.members[0].path = path;
            let id = rig.approved(&engine, plan).await;
            let why = format!("{service} {verb} {trouble:?}");
            let fault = rig.world.fault(service, Fault::on(verb, trouble.clone()).from("remint").times(1)).unwrap();
            let mut reset = engine.run(&id).await.unwrap();
            if reset.status == ResetStatus::Resting {
                engine.retry(&id, None).await.unwrap();
                reset = engine.run(&id).await.unwrap();
            }
            assert_settled(&rig, &engine, &reset, &old, &why).await;
            assert_eq!(rig.world.service(service).unwrap().fault_hits(fault), 1, "{why}");
            // A lost mint is asked about: the issuer made one version, and a second only where it cannot show the first.
            let orphan = shape.made_by == MadeBy::IssuerOnce && verb == "mint" && trouble == Trouble::LostAfter;
            assert_eq!(last_version(&rig) - made, if orphan { 2 } else { 1 }, "{why}");
        }
    }
    if path == Path::Rolling {
        assert_eq!(traffic.stop().await.failures, []);
    }
}

/// The issuer numbers what it makes.
fn last_version(rig: &Rig) -> u64 {
    let living = rig.issuer.live_versions("app0");
    living.last().unwrap().version.0.split_once('@').unwrap().1.parse().unwrap()
}

#[tokio::test]
async fn every_call_of_a_rolling_reset_may_be_lost_once() {
    lose_everything(Shape::default(), Path::Rolling).await;
}

#[tokio::test]
async fn every_call_may_be_lost_where_the_value_is_shown_once() {
    let shape = Shape { made_by: MadeBy::IssuerOnce, slots: Slots::Two, staged: false, ..Shape::default() };
    lose_everything(shape, Path::Rolling).await;
}

#[tokio::test]
async fn every_call_may_be_lost_where_the_issuer_makes_the_value() {
    lose_everything(Shape { made_by: MadeBy::Issuer, ..Shape::default() }, Path::Rolling).await;
}

#[tokio::test]
async fn every_call_of_containment_may_be_lost_once() {
    lose_everything(Shape::default(), Path::Contain).await;
}

#[tokio::test]
async fn a_mint_that_is_lost_again_and_again_is_asked_about_each_time() {
    for made_by in [MadeBy::Remint, MadeBy::Issuer, MadeBy::IssuerOnce] {
        let rig = Rig::with(Shape { made_by, slots: Slots::Two, ..Shape::default() }).await;
        let old = [rig.value(0)];
        let engine = rig.engine();
        for trouble in [Trouble::LostBefore, Trouble::LostAfter, Trouble::LostAfter] {
            rig.world.fault("bank", Fault::on("mint", trouble).times(1)).unwrap();
        }
        let reset = rig.reset(&engine, rig.plan()).await;
        assert_settled(&rig, &engine, &reset, &old, &format!("{made_by:?}")).await;
    }
}

#[tokio::test]
async fn a_target_that_never_answers_parks_and_goes_on_when_it_does() {
    for verb in ["mint", "revoke"] {
        let rig = Rig::start(1).await;
        let old = [rig.value(0)];
        let engine = rig.engine();
        let fault = rig.world.fault("bank", Fault::on(verb, Trouble::LostAfter).from("remint")).unwrap();
        let id = rig.approved(&engine, rig.plan()).await;
        if verb == "mint" {
            // Nor does it say what became of it.
            let mute = rig.world.fault("bank", Fault::on("find", Trouble::Broken)).unwrap();
            let reset = engine.run(&id).await.unwrap();
            assert_eq!(reset.status, ResetStatus::Resting);
            assert!(rig.issuer.accepts(&old[0]));
            rig.issuer.end_fault(mute);
        } else {
            assert_eq!(engine.run(&id).await.unwrap().status, ResetStatus::Resting);
        }
        let parked = engine.rotations(&id).await.unwrap().remove(0).rotation.state;
        let unclear = matches!(&parked, remint_core::machine::State::Parked { reason, .. }
            if matches!(reason, remint_core::machine::Reason::Unclear { .. }));
        assert!(unclear, "{parked:?}");
        rig.issuer.end_fault(fault);
        engine.retry(&id, None).await.unwrap();
        let reset = engine.run(&id).await.unwrap();
        assert_settled(&rig, &engine, &reset, &old, verb).await;
    }
}
