//! The daemon's own loop: it opens a window when its time comes, carries the reset on, and makes up for what it missed.

use std::sync::Arc;
use std::time::Duration;

use remint::app::{App, AppError, Places};
use remint::context::Context;
use remint::engine::record::ResetStatus;
use remint::serve::{Listen, Options, Reader, serve};
use remint::store::StoreError;
use remint_contract::{Clock as _, HostRules, Kinds, ResetId};
use tokio::sync::oneshot;

use super::Moved;
use crate::rig::{Rig, Shape, documents};

/// Longer than anything here takes.
const LONG: Duration = Duration::from_secs(20);

struct Place {
    rig: Rig,
    estate: tempfile::TempDir,
    keys: tempfile::TempDir,
    clock: Arc<Moved>,
}

impl Place {
    /// One credential, replaced every night from two to six.
    async fn new(missed: &str) -> Self {
        let rig = Rig::start(1).await;
        let place = Self {
            rig,
            estate: tempfile::tempdir().unwrap(),
            keys: tempfile::tempdir().unwrap(),
            clock: Moved::at("2027-06-01T12:00:00Z"),
        };
        let text = documents(&Shape::default(), &place.rig.world)
            + &format!(
                "\n---\napiVersion: remint.dev/v1alpha1\nkind: RotationWindow\nmetadata: {{name: nights}}\nspec: {{cron: \"0 2 * * *\", timeZone: UTC, duration: 4h, select: {{name: app0}}, missed: {missed}}}\n"
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
            let settings = self.rig.settings.clone();
            match App::open(&self.places(), &self.context(), Arc::clone(&kinds), HostRules::default(), settings).await {
                Err(AppError::Store(StoreError::Locked(_))) => None,
                opened => Some(opened.unwrap()),
            }
        })
        .await
    }

    /// Runs a daemon for as long as `watched` looks at it.
    async fn served<T>(&self, watched: impl AsyncFnOnce(&remint::engine::Engine) -> T) -> T {
        let app = self.open().await;
        let engine = app.engine.clone();
        let options = Options {
            estate: self.estate.path().to_owned(),
            reader: Reader::Here,
            listen: Listen::Socket(self.rig.folder.path().join("remint.sock")),
            every: Duration::from_millis(20),
            by: "tester".to_owned(),
        };
        let (stop, stopped) = oneshot::channel::<()>();
        let serving = tokio::spawn(serve(app, options, async {
            let _ = stopped.await;
        }));
        // The windows are seen for the first time.
        until("the window is known", async || engine.window(&"RotationWindow/nights".parse().unwrap()).await.unwrap())
            .await;
        let seen = watched(&engine).await;
        stop.send(()).unwrap();
        tokio::time::timeout(LONG, serving).await.expect("it stops in time").unwrap().unwrap();
        seen
    }
}

async fn until<T>(what: &str, mut answer: impl AsyncFnMut() -> Option<T>) -> T {
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

/// Waits until the window opened, moves the clock to the turn in it, and waits until that is done.
async fn settled(place: &Place, engine: &remint::engine::Engine, id: &str) {
    let reset = until(&format!("{id} opened"), async || engine.reset(&ResetId(id.to_owned())).await.ok()).await;
    let turns = reset.plan.occasion.clone().unwrap().turns;
    let last = turns.values().max().unwrap();
    if *last > place.clock.now() {
        place.clock.to(&last.to_string());
    }
    until(&format!("{id} settled"), async || {
        let reset = engine.reset(&ResetId(id.to_owned())).await.ok()?;
        matches!(reset.status, ResetStatus::Provisional | ResetStatus::Complete).then_some(())
    })
    .await;
}

#[tokio::test]
async fn a_daemon_opens_a_window_at_its_time_and_carries_it_on_night_after_night() {
    let place = Place::new("skip").await;
    let old = place.rig.value(0);
    place
        .served(async |engine| {
            assert!(engine.resets().await.unwrap().is_empty(), "not before its time");
            place.clock.to("2027-06-02T02:00:00Z");
            settled(&place, engine, "window-nights-20270602T020000Z").await;
            place.clock.to("2027-06-03T02:00:00Z");
            settled(&place, engine, "window-nights-20270603T020000Z").await;
            assert_eq!(engine.resets().await.unwrap().len(), 2);
        })
        .await;
    assert!(!place.rig.issuer.accepts(&old) && place.rig.issuer.accepts(&place.rig.value(0)));
}

#[tokio::test]
async fn a_daemon_that_was_down_over_three_windows_makes_up_for_one_or_for_none() {
    for (missed, wanted) in [("catch-up", 1), ("skip", 0)] {
        let place = Place::new(missed).await;
        place.served(async |_| ()).await;
        place.clock.to("2027-06-04T10:00:00Z");
        let (resets, known) = place
            .served(async |engine| {
                let window = "RotationWindow/nights".parse().unwrap();
                let known = until("it was looked at", async || {
                    let (known, _) = engine.window(&window).await.unwrap()?;
                    (known.seen >= place.clock.now() - Duration::from_hours(12)).then_some(known)
                })
                .await;
                if wanted == 1 {
                    settled(&place, engine, "window-nights-20270604T020000Z").await;
                }
                (engine.resets().await.unwrap().len(), known)
            })
            .await;
        assert_eq!((resets, known.missed), (wanted, 3 - wanted as u64), "{missed}");
    }
}
