//! The control: a secret that is known, put into every place in every form, has to be found in each of them.

use std::process::Command;
use std::sync::Arc;

use base64::Engine as _;
use base64::engine::general_purpose::{STANDARD, URL_SAFE_NO_PAD};
use remint::app::App;
use remint::engine::{EngineError, Progress};
use remint::store::{Change, Key, Put, Rule};
use remint_conformance::leaks::Leaks;
use remint_contract::{ResetId, SecretValue};
use remint_core::plan::PlannedTask;

use crate::rig::Rig;

use super::places::{self, PLACES, Seen};

/// With a letter that each of the escapes changes.
const SECRET: &str = "pl\"nted/ s3cr%t\\4711+x";

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_search_finds_a_planted_secret_in_every_place_and_every_form() {
    places::capture();
    for (form, text) in forms() {
        let seen = plant(&text).await;
        let mut leaks = Leaks::default();
        leaks.watch(&SecretValue::from(SECRET));
        seen.search(&mut leaks);
        let missed: Vec<&str> =
            PLACES.into_iter().filter(|place| !leaks.found().iter().any(|found| found == place)).collect();
        assert_eq!(missed, [""; 0], "not found as {form}");
    }
}

#[tokio::test]
async fn the_search_finds_nothing_where_nothing_was_planted() {
    places::capture();
    let seen = plant("nothing at all").await;
    let mut leaks = Leaks::default();
    leaks.watch(&SecretValue::from("another-s3cret-that-is-nowhere"));
    seen.search(&mut leaks);
    assert_eq!(leaks.found(), [""; 0]);
}

/// The secret as it could come out. Base64 three times: what stands before it moves its letters.
fn forms() -> Vec<(&'static str, String)> {
    let bytes = |format: fn(u8) -> String| SECRET.bytes().map(format).collect::<String>();
    let beside = |before: &str| STANDARD.encode(format!("{before}{SECRET}!!"));
    let json = serde_json::to_string(SECRET).unwrap();
    vec![
        ("it is", SECRET.to_owned()),
        ("base64", beside("")),
        ("base64 after one byte", beside("u")),
        ("base64 after two bytes", beside("u:")),
        ("base64 for URLs", URL_SAFE_NO_PAD.encode(format!("me:{SECRET}"))),
        ("hex", bytes(|byte| format!("{byte:02x}"))),
        ("large hex", bytes(|byte| format!("{byte:02X}"))),
        ("URL", "pl%22nted%2F%20s3cr%25t%5C4711%2Bx".to_owned()),
        ("URL with small letters", "pl%22nted%2f%20s3cr%25t%5c4711%2bx".to_owned()),
        ("a form", "pl%22nted%2F+s3cr%25t%5C4711%2Bx".to_owned()),
        ("JSON", json[1..json.len() - 1].to_owned()),
        ("JSON, every letter escaped", bytes(|byte| format!("\\u{byte:04x}"))),
    ]
}

/// A state, a reset and a child process with this text wherever text can get in.
async fn plant(text: &str) -> Seen {
    let mut seen = Seen::default();
    let rig = Rig::start(1).await;
    let engine = rig.engine();
    let mut plan = rig.plan();
    plan.tasks.push(PlannedTask { node: "Workload/w0".parse().unwrap(), why: text.to_owned() });
    let watching = engine.watch();
    let reset = rig.reset(&engine, plan).await;
    let at = engine.context.clock.now();
    let told = Progress::Wave { reset: ResetId(text.to_owned()), number: 1, of: 1, at };
    engine.progress.send(told).unwrap();
    let record = Put {
        key: Key { kind: "planted", id: "one".to_owned() },
        scope: String::new(),
        body: serde_json::json!({ "text": text }),
        rule: Rule::Insert,
    };
    engine.store.commit(Change { puts: vec![record], ..Change::default() }).await.unwrap();

    let key = Arc::new(
        remint::evidence::key::open_or_create(
            rig.folder.path(),
            "remint",
            &engine.escrow,
            &remint::escrow::SystemRandomness,
        )
        .unwrap(),
    );
    let sequencer = remint::evidence::Sequencer::new(
        Arc::clone(&engine.store),
        Arc::clone(&key),
        Arc::clone(&engine.context.clock),
        "test",
    );
    let gate = remint::govern::Gate::open(Arc::clone(&engine.store), engine.context.clone()).await.unwrap();
    let app = App {
        gate,
        passed: None,
        store: Arc::clone(&engine.store),
        engine,
        key,
        signing: None,
        wrapping: None,
        sequencer: Arc::new(sequencer),
        folder: rig.folder.path().to_owned(),
        standing: remint::evidence::anchor::Standing::Sound,
        anchor: None,
        configuration: remint::config::Configuration::default(),
    };
    seen.add("documents", text.as_bytes());
    seen.plan(&reset);
    seen.records(&app, &reset.id).await;
    seen.progress(watching);
    seen.bundle(&app, &reset.id).await;
    // What is answered and reported is made of the records and the bundle: here only that it is looked at.
    for place in ["bundle report", "api", "daemon log"] {
        seen.add(place, text.as_bytes());
    }
    seen.failure(&EngineError::NoReset(ResetId(text.to_owned())));
    seen.folder("open", rig.folder.path());
    drop(app);
    seen.tables(rig.folder.path());
    seen.folder("closed", rig.folder.path());
    tracing::trace!(planted = text, "{text}");
    log::trace!("{text}");
    seen.log();
    let mut child = Command::new("sh");
    child.args(["-c", "printf '%s\\n' \"$1\"; read -r line; exit 0", "sh", text]);
    seen.child(child);
    seen
}
