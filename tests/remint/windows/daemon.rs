//! The daemon's own loop: it opens a window when its time comes, carries the reset on, and makes up for what it missed.

use std::collections::BTreeSet;
use std::sync::Arc;
use std::time::Duration;

use remint::app::{App, AppError, Places};
use remint::context::Context;
use remint::engine::record::{Reset, ResetStatus};
use remint::engine::{Engine, EngineSettings};
use remint::serve::{Listen, Options, Reader, serve};
use remint::store::StoreError;
use remint_contract::{Clock as _, HostRules, Kinds, Material, ResetId};
use remint_core::machine::State;
use tokio::sync::oneshot;

use super::Moved;
use crate::rig::{Rig, Shape, documents};
use crate::sorts::Sort;
use crate::stream::{SECRET, inbox};

/// Longer than anything here takes.
const LONG: Duration = Duration::from_secs(20);

struct Place {
    rig: Rig,
    estate: tempfile::TempDir,
    keys: tempfile::TempDir,
    clock: Arc<Moved>,
}

impl Place {
    /// Credentials that are replaced every night from two to six.
    async fn new(count: usize, missed: &str) -> Self {
        Self::with(Shape { count, ..Shape::default() }, missed).await
    }

    async fn with(shape: Shape, missed: &str) -> Self {
        let rig = Rig::with(shape.clone()).await;
        let place = Self {
            rig,
            estate: tempfile::tempdir().unwrap(),
            keys: tempfile::tempdir().unwrap(),
            clock: Moved::at("2027-06-01T12:00:00Z"),
        };
        let text = documents(&shape, &place.rig.world)
            .replace("metadata: {name: app", "metadata: {labels: {at: night}, name: app")
            + &format!(
                "\n---\napiVersion: remint.dev/v1alpha1\nkind: RotationWindow\nmetadata: {{name: nights}}\nspec: {{cron: \"0 2 * * *\", timeZone: UTC, duration: 4h, select: {{at: night}}, missed: {missed}}}\n"
            );
        std::fs::write(place.estate.path().join("estate.yaml"), text).unwrap();
        App::init(&place.places(), &place.context(), Arc::clone(&place.rig.kinds) as _).await.unwrap();
        place
    }

    fn places(&self) -> Places {
        let (state, kek) = (self.rig.folder.path().to_owned(), self.keys.path().join("kek"));
        Places { state, kek, same_folder: false, store: None }
    }

    fn context(&self) -> Context {
        Context { clock: Arc::clone(&self.clock) as _, ..Context::system() }
    }

    async fn open(&self) -> App {
        let kinds = Arc::clone(&self.rig.kinds) as Arc<dyn Kinds>;
        until("the state is free", async || {
            let settings = leaping(&self.rig.settings);
            match App::open(&self.places(), &self.context(), Arc::clone(&kinds), HostRules::default(), settings).await {
                Err(AppError::Store(StoreError::Locked(_))) => None,
                opened => Some(opened.unwrap()),
            }
        })
        .await
    }

    /// A daemon, for as long as `watched` looks at it.
    async fn served<T>(&self, watched: impl AsyncFnOnce(&Engine) -> T) -> T {
        served(self.open().await, self.estate.path(), self.rig.folder.path(), async |engine| {
            // The window is seen for the first time.
            until("the window is known", async || engine.window(&nights()).await.unwrap()).await;
            watched(engine).await
        })
        .await
    }

    fn values(&self, count: usize) -> Vec<Material> {
        (0..count).map(|index| self.rig.value(index)).collect()
    }
}

/// A clock that leaps ends leases that are held: what was under way goes on a moment later, not half a minute.
pub(crate) fn leaping(settings: &EngineSettings) -> EngineSettings {
    let mut settings = EngineSettings { lease: Duration::from_secs(2), skew: Duration::ZERO, ..settings.clone() };
    settings.host.call_timeout = Duration::from_secs(2);
    settings
}

fn nights() -> remint_contract::Ref {
    "RotationWindow/nights".parse().unwrap()
}

/// Runs a daemon over a state for as long as `watched` looks at it.
pub(crate) async fn served<T>(
    app: App,
    estate: &std::path::Path,
    socket: &std::path::Path,
    watched: impl AsyncFnOnce(&Engine) -> T,
) -> T {
    let engine = app.engine.clone();
    let options = Options {
        cluster: None,
        webhooks: None,
        estate: estate.to_owned(),
        reader: Reader::Here,
        listen: vec![Listen::Socket(socket.join("remint.sock"))],
        every: Duration::from_millis(20),
        by: "tester".to_owned(),
    };
    let (stop, stopped) = oneshot::channel::<()>();
    let serving = tokio::spawn(serve(app, options, async {
        let _ = stopped.await;
    }));
    let seen = watched(&engine).await;
    assert!(!serving.is_finished(), "the daemon ended by itself");
    stop.send(()).unwrap();
    tokio::time::timeout(LONG, serving).await.expect("it stops in time").unwrap().unwrap();
    seen
}

pub(crate) async fn until<T>(what: &str, mut answer: impl AsyncFnMut() -> Option<T>) -> T {
    let asked = async {
        loop {
            if let Some(answer) = answer().await {
                return answer;
            }
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
    };
    tokio::time::timeout(LONG, asked).await.unwrap_or_else(|_| panic!("in vain: {what}"))
}

/// The same for what the daemon looks at every so often: its clock goes on, faster than ours.
pub(crate) async fn until_later<T>(clock: &Moved, what: &str, mut answer: impl AsyncFnMut() -> Option<T>) -> T {
    let mut asked = 0_u32;
    until(what, async || {
        asked += 1;
        if asked.is_multiple_of(100) {
            clock.to(&(clock.now() + Duration::from_mins(1)).to_string());
        }
        answer().await
    })
    .await
}

/// A reset, once the daemon opened the window for it and it was approved: what is asked for and then left alone for an hour
/// expires, and a clock that leaps in between leaves it alone.
pub(crate) async fn opened(engine: &Engine, id: &str) -> Reset {
    until(&format!("{id} opened"), async || {
        let reset = engine.reset(&ResetId(id.to_owned())).await.ok()?;
        reset.approval.is_some().then_some(reset)
    })
    .await
}

/// Waits until so many of its credentials have been replaced.
pub(crate) async fn replaced(engine: &Engine, reset: &Reset, count: usize) {
    until(&format!("{count} of {} are replaced", reset.id), async || {
        let records = engine.rotations(&reset.id).await.unwrap();
        let settled = records.iter().filter(|record| matches!(record.rotation.state, State::Settled { .. })).count();
        (settled == count).then_some(())
    })
    .await;
}

/// Moves the clock to one turn after the other, and sees each credential replaced at its own.
pub(crate) async fn in_turn(clock: &Moved, engine: &Engine, reset: &Reset) {
    let mut turns: Vec<_> = reset.plan.occasion.clone().unwrap().turns.into_values().collect();
    turns.sort();
    for (index, turn) in turns.iter().enumerate() {
        if *turn > clock.now() {
            replaced(engine, reset, index).await;
            clock.to(&turn.to_string());
        }
        replaced(engine, reset, index + 1).await;
    }
}

async fn over(engine: &Engine, reset: &Reset) {
    let id = &reset.id;
    until(&format!("{id} is over"), async || {
        let reset = engine.reset(id).await.unwrap();
        matches!(reset.status, ResetStatus::Provisional | ResetStatus::Complete).then_some(())
    })
    .await;
}

#[tokio::test]
async fn a_daemon_opens_a_window_at_its_time_and_begins_each_credential_at_its_turn() {
    let place = Place::new(3, "skip").await;
    let old = place.values(3);
    place
        .served(async |engine| {
            assert!(engine.resets().await.unwrap().is_empty(), "not before its time");
            for day in ["20270602", "20270603"] {
                let at = format!("{}-{}-{}T02:00:00Z", &day[..4], &day[4..6], &day[6..]);
                place.clock.to(&at);
                let reset = opened(engine, &format!("window-nights-{day}T020000Z")).await;
                let turns = reset.plan.occasion.as_ref().unwrap().turns.values();
                assert_eq!(turns.collect::<BTreeSet<_>>().len(), 3, "spread over the window");
                in_turn(&place.clock, engine, &reset).await;
                over(engine, &reset).await;
            }
            assert_eq!(engine.resets().await.unwrap().len(), 2);
        })
        .await;
    for (index, old) in old.iter().enumerate() {
        assert!(!place.rig.issuer.accepts(old) && place.rig.issuer.accepts(&place.rig.value(index)));
        assert_eq!(place.rig.issuer.live_versions(&format!("app{index}")).len(), 1);
    }
}

#[tokio::test]
async fn what_had_no_turn_while_the_window_was_open_is_begun_by_the_daemon_in_the_next_one() {
    let place = Place::new(2, "skip").await;
    let old = place.values(2);
    place
        .served(async |engine| {
            place.clock.to("2027-06-02T02:00:00Z");
            let first = opened(engine, "window-nights-20270602T020000Z").await;
            let turns = first.plan.occasion.as_ref().unwrap().turns.values();
            place.clock.to(&turns.min().unwrap().to_string());
            replaced(engine, &first, 1).await;
            // The other one's turn passes, and the window closes, while the daemon has no time for it.
            place.clock.to("2027-06-02T06:00:00Z");
            let superseded = async || {
                let records = engine.rotations(&first.id).await.unwrap();
                records.iter().find_map(|record| match &record.rotation.state {
                    State::Superseded { by } => Some((record.credential.clone(), by.clone())),
                    _ => None,
                })
            };
            let (late, by) = until("the other one is left to the next night", superseded).await;
            assert_eq!(by.0, "window-nights-20270603T020000Z");
            place.clock.to("2027-06-03T02:00:00Z");
            let next = opened(engine, &by.0).await;
            let occasion = next.plan.occasion.clone().unwrap();
            assert_eq!(occasion.carried.keys().collect::<Vec<_>>(), [&late]);
            assert_eq!(occasion.turns.iter().min_by_key(|(_, turn)| **turn).unwrap().0, &late, "it comes first");
            in_turn(&place.clock, engine, &next).await;
        })
        .await;
    for old in &old {
        assert!(!place.rig.issuer.accepts(old), "each of them was replaced by now");
    }
}

#[tokio::test]
async fn a_daemon_that_was_down_over_three_windows_makes_up_for_one_or_for_none() {
    for (missed, wanted) in [("catch-up", 1), ("skip", 0)] {
        let place = Place::new(1, missed).await;
        place.served(async |_| ()).await;
        place.clock.to("2027-06-04T10:00:00Z");
        let (resets, known) = place
            .served(async |engine| {
                let known = until("it was looked at", async || {
                    let (known, _) = engine.window(&nights()).await.unwrap()?;
                    (known.seen >= place.clock.now() - Duration::from_hours(12)).then_some(known)
                })
                .await;
                if wanted == 1 {
                    let reset = opened(engine, "window-nights-20270604T020000Z").await;
                    in_turn(&place.clock, engine, &reset).await;
                    over(engine, &reset).await;
                }
                (engine.resets().await.unwrap().len(), known)
            })
            .await;
        assert_eq!((resets, known.missed), (wanted, 3 - wanted as u64), "{missed}");
    }
}

#[tokio::test]
async fn what_a_window_left_to_a_person_is_called_overdue_at_the_webhook_when_nobody_did_it() {
    let place = Place::with(Shape { sort: Sort::Manual, ..Shape::default() }, "skip").await;
    let documents = place.estate.path().join("estate.yaml");
    let text = std::fs::read_to_string(&documents).unwrap();
    std::fs::write(&documents, text.replace("{strategy: manual", "{due: 30m, strategy: manual")).unwrap();
    let (address, inbox) = inbox(&[]).await;
    let secret = place.keys.path().join("secret");
    write(&secret, SECRET);
    let told = format!(
        "streams: [{{name: pager, webhook: 'http://{address}/hook', secret_file: {}, only: [task]}}]\n",
        secret.display()
    );
    write(&place.rig.folder.path().join("remint.yaml"), &told);
    let events = |kind: &str| {
        let came = &inbox.lock().unwrap().came;
        came.iter().filter(|(_, body)| body.contains(&format!("\"dev.remint.{kind}\""))).count()
    };
    place
        .served(async |engine| {
            place.clock.to("2027-06-02T02:00:00Z");
            let reset = opened(engine, "window-nights-20270602T020000Z").await;
            let turns = reset.plan.occasion.as_ref().unwrap().turns.values();
            place.clock.to(&turns.max().unwrap().to_string());
            let asked = until("a person is asked", async || {
                let tasks = engine.tasks(Some(&reset.id)).await.unwrap();
                tasks.first().cloned()
            })
            .await;
            assert_eq!(events("task.overdue"), 0);
            place.clock.to(&asked.due.unwrap().to_string());
            until_later(&place.clock, "the pager is told", async || (events("task.overdue") == 1).then_some(())).await;
        })
        .await;
}

fn write(path: &std::path::Path, text: &str) {
    use std::os::unix::fs::PermissionsExt as _;
    std::fs::write(path, text).unwrap();
    std::fs::set_permissions(path, std::fs::Permissions::from_mode(0o600)).unwrap();
}
