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
use tokio::io::{AsyncReadExt, AsyncWriteExt};

use crate::rig::{Rig, Shape, assert_settled, told};

const INTRUDER: &str = "10.6.6.6";

/// A clock that moves when somebody waits; at every full minute the intruder knocks.
struct Minutes {
    clock: Arc<TestClock>,
    door: String,
    key: Material,
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
            knock(&self.door, &self.key).await;
        }
        tokio::task::yield_now().await;
    }
}

/// Tries the value at the issuer's door. Refused or not: that is for the issuer to say.
async fn knock(door: &str, key: &Material) {
    let door = door.trim_start_matches("http://");
    let (host, path) = door.split_once('/').unwrap_or((door, ""));
    let path = if path.is_empty() { "/use".to_owned() } else { format!("/{path}/use") };
    let key = String::from_utf8(key.secret.expose().to_vec()).unwrap();
    let asked = format!(
        "POST {path} HTTP/1.1\r\nhost: {host}\r\nx-source: {INTRUDER}\r\nauthorization: Bearer {key}\r\n\
         content-type: application/json\r\ncontent-length: 2\r\nconnection: close\r\n\r\n{{}}"
    );
    let mut line = tokio::net::TcpStream::connect(host).await.unwrap();
    line.write_all(asked.as_bytes()).await.unwrap();
    let mut answer = Vec::new();
    let _ = line.read_to_end(&mut answer).await;
    assert!(answer.starts_with(b"HTTP/1.1 "), "the door did not answer");
}

async fn intruded() -> (Rig, Engine, Material) {
    let clock = Arc::new(TestClock::new("2026-01-01T00:00:30Z".parse().unwrap()));
    let mut rig = Rig::with(Shape { clock: Some(Arc::clone(&clock)), ..Shape::default() }).await;
    rig.settings.lease = Duration::from_hours(1000);
    let old = rig.value(0);
    let mut engine = rig.engine();
    let door = rig.issuer.urls().remove(0);
    engine.context.clock = Arc::new(Minutes { clock, door, key: old.clone() });
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
    engine.context.clock = Arc::new(Minutes { clock, door, key });
    let reset = rig.reset(&engine, quiet(&rig, AtDeadline::Park)).await;
    assert_settled(&rig, &engine, &reset, &[old], "nobody came").await;
    assert!(alarmed(&engine, &reset.id).await.is_empty());
}
