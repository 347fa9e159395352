//! The intruder: the old value is used once a minute after every known consumer has moved.

use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use jiff::Timestamp;
use remint::engine::{Engine, Progress};
use remint_contract::{Clock, Material, TestClock};
use remint_core::machine::{Reason, State};
use remint_core::plan::{AtDeadline, Quiet};
use remint_core::step::Step;

use crate::rig::{Rig, Shape, assert_settled, told};

const INTRUDER: &str = "10.6.6.6";

/// A clock that moves when somebody waits; at every full minute the intruder knocks.
struct Minutes {
    clock: Arc<TestClock>,
    door: String,
    key: Material,
    client: reqwest::Client,
}

#[async_trait]
impl Clock for Minutes {
    fn now(&self) -> Timestamp {
        self.clock.now()
    }

    async fn sleep(&self, duration: Duration) {
        // A lease that is renewed is nothing that time waits for.
        if duration > Duration::from_mins(10) {
            return std::future::pending().await;
        }
        let minute = |at: Timestamp| at.as_second() / 60;
        let before = minute(self.clock.now());
        self.clock.advance(duration);
        if minute(self.clock.now()) > before {
            let key = String::from_utf8(self.key.secret.expose().to_vec()).unwrap();
            let knock = self.client.post(format!("{}/use", self.door)).header("x-source", INTRUDER);
            // Refused or not: that is for the issuer to say.
            let _ = knock.basic_auth("", Some(key)).json(&serde_json::json!({})).send().await;
        }
        tokio::task::yield_now().await;
    }
}

async fn intruded() -> (Rig, Engine, Material) {
    let clock = Arc::new(TestClock::new("2026-01-01T00:00:30Z".parse().unwrap()));
    let mut rig = Rig::with(Shape { clock: Some(Arc::clone(&clock)), ..Shape::default() }).await;
    rig.settings.lease = Duration::from_hours(1000);
    let old = rig.value(0);
    let mut engine = rig.engine();
    let door = rig.issuer.urls().remove(0);
    engine.context.clock = Arc::new(Minutes { clock, door, key: old.clone(), client: reqwest::Client::new() });
    (rig, engine, old)
}

fn quiet(rig: &Rig, at_deadline: AtDeadline) -> remint_core::plan::Plan {
    let mut plan = rig.plan();
    plan.members[0].quiet = Some(Quiet { lasts: Duration::from_mins(5), at_deadline });
    plan
}

/// The sources that were alarmed, in the entries and to whoever watches.
async fn alarmed(engine: &Engine, id: &remint_contract::ResetId) -> Vec<String> {
    let told = told(engine, id).await;
    let used = told.iter().filter(|(kind, _, _)| kind == "old.used");
    used.map(|(_, _, body)| body["source"].as_str().unwrap().to_owned()).collect()
}

#[tokio::test]
async fn an_intruder_is_alarmed_with_his_source_and_an_incident_revokes_at_the_deadline() {
    let (rig, engine, old) = intruded().await;
    let mut watch = engine.watch();
    let began = engine.context.clock.now();
    let reset = rig.reset(&engine, quiet(&rig, AtDeadline::Revoke)).await;
    assert_settled(&rig, &engine, &reset, std::slice::from_ref(&old), "the intruder is out").await;
    assert_eq!(alarmed(&engine, &reset.id).await, [INTRUDER], "once for a source");
    assert!(engine.context.clock.now().duration_since(began).unsigned_abs() >= Duration::from_mins(5));
    let mut sources = Vec::new();
    while let Ok(progress) = watch.try_recv() {
        if let Progress::OldUsed { source, .. } = progress {
            sources.push(source);
        }
    }
    assert_eq!(sources, [INTRUDER]);
}

#[tokio::test]
async fn an_intruder_parks_a_scheduled_rotation_for_its_owner() {
    let (rig, engine, old) = intruded().await;
    let reset = rig.reset(&engine, quiet(&rig, AtDeadline::Park)).await;
    let record = engine.rotations(&reset.id).await.unwrap().remove(0);
    let reason = Reason::InUse { sources: [INTRUDER.to_owned()].into(), decider: "b".to_owned() };
    assert_eq!(record.rotation.state, State::Parked { step: Step::Hold, reason });
    assert!(rig.issuer.accepts(&old), "it was killed while somebody unknown may depend on it");
    assert_eq!(alarmed(&engine, &reset.id).await, [INTRUDER]);
}

#[tokio::test]
async fn a_quiet_time_in_which_nobody_comes_alarms_nobody() {
    let clock = Arc::new(TestClock::new("2026-01-01T00:00:30Z".parse().unwrap()));
    let mut rig = Rig::with(Shape { clock: Some(Arc::clone(&clock)), ..Shape::default() }).await;
    rig.settings.lease = Duration::from_hours(1000);
    let (old, mut engine) = (rig.value(0), rig.engine());
    let key = Material::of("not-the-old-value".into());
    let door = rig.issuer.urls().remove(0);
    engine.context.clock = Arc::new(Minutes { clock, door, key, client: reqwest::Client::new() });
    let reset = rig.reset(&engine, quiet(&rig, AtDeadline::Park)).await;
    assert_settled(&rig, &engine, &reset, &[old], "nobody came").await;
    assert!(alarmed(&engine, &reset.id).await.is_empty());
}
