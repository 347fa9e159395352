//! The daemon through its door, over fake services.

mod alerts;
mod api;
mod chart;
mod client;
mod cluster;
mod commands;
mod entrances;
mod folder;
mod governed;
mod image;
mod log;
mod logs;
mod openid;
mod schemathesis;
mod team;

use std::os::unix::fs::PermissionsExt as _;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use remint::app::{App, AppError, Places};
use remint::context::Context;
use remint::engine::record::ResetStatus;
use remint::serve::{Listen, ListenError, Options, Reader, ServeError, TokenError, serve};
use remint::store::StoreError;
use remint_contract::{HostRules, Material, ResetId, SecretValue};
use remint_fake::world::{Fault, Trouble};
use serde_json::{Value, json};
use tokio::sync::oneshot;
use tokio::task::JoinHandle;

use crate::rig::{OnlyFake, Rig, Shape, documents};
use client::{Answer, Client};

/// Longer than anything here takes.
const LONG: Duration = Duration::from_secs(20);

const TOKEN: &str = "a-token-that-is-long-enough-0123456789";

/// A state, a folder of documents, and what is needed to serve them again and again.
struct Place {
    rig: Rig,
    estate: tempfile::TempDir,
    keys: tempfile::TempDir,
}

/// A daemon that runs until it is stopped or killed.
struct Daemon {
    stop: oneshot::Sender<()>,
    serving: JoinHandle<Result<(), ServeError>>,
    client: Client,
}

impl Place {
    async fn new(count: usize) -> Self {
        let place = Self::bare(count).await;
        App::init(&place.places(), &Context::system(), Arc::new(OnlyFake::default())).await.unwrap();
        place
    }

    /// Without a state.
    async fn bare(count: usize) -> Self {
        let rig = Rig::start(count).await;
        let place = Self { rig, estate: tempfile::tempdir().unwrap(), keys: tempfile::tempdir().unwrap() };
        place.write(&place.documents());
        place
    }

    fn documents(&self) -> String {
        let count = self.rig.estate.workloads.keys().filter(|workload| workload.name.as_str() != "remint").count();
        documents(&Shape { count, ..Shape::default() }, &self.rig.world)
    }

    fn write(&self, text: &str) {
        std::fs::write(self.estate.path().join("estate.yaml"), text).unwrap();
    }

    fn places(&self) -> Places {
        Places {
            state: self.rig.folder.path().to_owned(),
            kek: self.keys.path().join("kek"),
            same_folder: false,
            store: None,
        }
    }

    fn socket(&self) -> PathBuf {
        self.rig.folder.path().join("remint.sock")
    }

    /// Opens the state, as soon as whoever held it is gone.
    async fn open(&self) -> App {
        let kinds: Arc<dyn remint_contract::Kinds> = Arc::new(OnlyFake::default());
        until("the state is free", async || {
            let settings = self.rig.settings.clone();
            let context = Context::system();
            match App::open(&self.places(), &context, Arc::clone(&kinds), HostRules::default(), settings).await {
                Err(AppError::Store(StoreError::Locked(_))) => None,
                opened => Some(opened.unwrap()),
            }
        })
        .await
    }

    async fn serve(&self) -> Daemon {
        self.serve_on(Listen::Socket(self.socket()), Client::socket(self.socket())).await
    }

    async fn serve_on(&self, listen: Listen, client: Client) -> Daemon {
        self.serving(self.options(listen), client).await
    }

    async fn serve_with(&self, options: Options) -> Daemon {
        self.serving(options, Client::socket(self.socket())).await
    }

    async fn serving(&self, options: Options, client: Client) -> Daemon {
        Self::serving_app(self.open().await, options, client).await
    }

    async fn serving_app(app: App, options: Options, client: Client) -> Daemon {
        let (stop, stopped) = oneshot::channel();
        let serving = tokio::spawn(serve(app, options, async {
            // A daemon that is killed drops the other end, too; it is aborted then.
            let _ = stopped.await;
        }));
        let daemon = Daemon { stop, serving, client };
        until("the daemon answers", async || {
            assert!(!daemon.serving.is_finished(), "the daemon ended by itself");
            daemon.client.try_get("/livez").await
        })
        .await;
        daemon
    }

    fn options(&self, listen: Listen) -> Options {
        Options {
            estate: self.estate.path().to_owned(),
            reader: Reader::Program(env!("CARGO_BIN_EXE_remint").into()),
            listen: vec![listen],
            every: Duration::from_millis(20),
            by: "tester".to_owned(),
            cluster: None,
            webhooks: None,
        }
    }

    /// Every value that lies at a place of the applications now.
    fn values(&self, count: usize) -> Vec<SecretValue> {
        (0..count).map(|index| self.rig.store.value(&format!("apps/{index}"), "secret").unwrap()).collect()
    }
}

impl Daemon {
    async fn stop(self) {
        self.stop.send(()).unwrap();
        tokio::time::timeout(LONG, self.serving).await.expect("it stops in time").unwrap().unwrap();
    }

    /// What a crash is to the rest of the world: nothing of it goes on.
    async fn kill(self) {
        self.serving.abort();
        assert!(self.serving.await.unwrap_err().is_cancelled());
    }

    /// How a reset stands, once that is what is wanted.
    async fn status(&self, id: &str, wanted: &str) -> Value {
        let path = format!("/v1/resets/{id}");
        until(&format!("reset {id} is {wanted}"), async || {
            let shown = self.client.get(&path).await.ok();
            (shown["status"] == wanted).then_some(shown)
        })
        .await
    }
}

/// Asks again until there is an answer.
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

fn ask(id: &str, from: &[&str]) -> Value {
    json!({ "requestId": id, "from": from, "reason": "INC-1", "approve": true })
}

#[tokio::test]
async fn a_reset_over_http_settles_and_is_complete_after_its_reproof() {
    let place = Place::new(3).await;
    let before = place.values(3);
    let daemon = place.serve().await;
    let answer = daemon.client.post("/v1/resets", &ask("inc-1", &["Credential/app0", "Credential/app1"])).await;
    assert_eq!((answer.status, &answer.body["reset"]), (202, &json!("inc-1")), "{answer:?}");
    let shown = daemon.status("inc-1", "complete").await;
    assert_eq!(shown["rotations"], json!({ "settled": 2 }));
    let rotations = daemon.client.get("/v1/resets/inc-1/rotations").await.ok();
    assert!(rotations.as_array().unwrap().iter().all(|one| one["proof"] == "refused"), "{rotations}");
    let mut answers = vec![answer.text, shown.to_string(), rotations.to_string()];
    for path in ["/v1/resets", "/v1/findings", "/v1/tasks", "/v1/estate"] {
        answers.push(daemon.client.get(path).await.text);
    }
    daemon.stop().await;

    let after = place.values(3);
    for index in 0..3 {
        let replaced = index < 2;
        assert_eq!(before[index] != after[index], replaced);
        assert_eq!(place.rig.issuer.accepts(&Material::of(before[index].clone())), !replaced);
        assert!(place.rig.issuer.accepts(&Material::of(after[index].clone())));
    }
    for secret in before.iter().chain(&after) {
        let secret = secret.expose_str().unwrap();
        assert!(answers.iter().all(|answer| !answer.contains(secret)), "a secret is in an answer");
    }
    let app = place.open().await;
    let entries = app.engine.store.entries_of(&ResetId("inc-1".into())).await.unwrap();
    let kinds: Vec<String> = entries
        .iter()
        .map(|entry| String::from_utf8_lossy(&entry.bytes).into_owned())
        .filter(|entry| entry.contains("rotation.provisional") || entry.contains("reset.closed"))
        .collect();
    assert_eq!(kinds.len(), 3, "two settled provisionally, and one close: {kinds:#?}");
}

#[tokio::test]
async fn a_request_id_runs_once() {
    let place = Place::new(1).await;
    let daemon = place.serve().await;
    let first = daemon.client.post("/v1/resets", &ask("once", &["Credential/app0"])).await;
    assert_eq!(first.status, 202);
    daemon.status("once", "complete").await;
    let value = place.values(1);
    let again = daemon.client.post("/v1/resets", &ask("once", &["Credential/app0"])).await;
    again.is_problem(409, "twice");
    daemon.stop().await;
    assert_eq!(place.values(1), value, "nothing was replaced again");
    assert_eq!(place.open().await.engine.resets().await.unwrap().len(), 1);
}

#[tokio::test]
async fn a_killed_daemon_goes_on_where_it_was() {
    let place = Place::new(3).await;
    let before = place.values(3);
    // An answer that never comes while the daemon lives.
    let fault = Fault::on("write", Trouble::Latency(Duration::from_hours(1))).from("remint");
    let fault = place.rig.world.fault("shelf", fault).unwrap();
    let daemon = place.serve().await;
    let from = ["Credential/app0", "Credential/app1", "Credential/app2"];
    daemon.client.post("/v1/resets", &ask("inc-2", &from)).await;
    until("a write is under way", async || {
        (place.rig.world.service("shelf").unwrap().fault_hits(fault) > 0).then_some(())
    })
    .await;
    daemon.kill().await;
    let app = place.open().await;
    let reset = app.engine.reset(&ResetId("inc-2".into())).await.unwrap();
    assert_eq!(reset.status, ResetStatus::Running);
    drop(app);

    place.rig.world.service("shelf").unwrap().end_fault(fault);
    let daemon = place.serve().await;
    assert_eq!(daemon.status("inc-2", "complete").await["rotations"], json!({ "settled": 3 }));
    daemon.stop().await;
    for (index, old) in before.iter().enumerate() {
        assert!(!place.rig.issuer.accepts(&Material::of(old.clone())));
        assert_eq!(place.rig.issuer.live_versions(&format!("app{index}")).len(), 1);
    }
}

#[tokio::test]
async fn a_stop_lets_what_is_under_way_end_and_leaves_nothing_behind() {
    let place = Place::new(1).await;
    let fault = Fault::on("mint", Trouble::Latency(Duration::from_millis(300))).from("remint");
    let fault = place.rig.world.fault("bank", fault).unwrap();
    let daemon = place.serve().await;
    daemon.client.post("/v1/resets", &ask("inc-3", &["Credential/app0"])).await;
    until("a mint is under way", async || {
        (place.rig.world.service("bank").unwrap().fault_hits(fault) > 0).then_some(())
    })
    .await;
    daemon.stop().await;
    assert!(!place.socket().exists());
    let app = place.open().await;
    let reset = app.engine.reset(&ResetId("inc-3".into())).await.unwrap();
    assert_eq!(reset.status, ResetStatus::Provisional);
    assert!(app.engine.store.unsequenced(1).await.unwrap().is_empty(), "every entry has its place");
}

#[tokio::test]
async fn what_only_a_dirty_workload_reads_waits_until_somebody_says_it_is_clean() {
    let place = Place::new(1).await;
    let before = place.values(1);
    let daemon = place.serve().await;
    let answer = daemon.client.post("/v1/resets", &ask("inc-4", &["Workload/w0"])).await;
    assert_eq!(answer.status, 202, "{answer:?}");
    let shown = daemon.status("inc-4", "resting").await;
    assert_eq!(shown["dirty"], json!(["Workload/w0"]));
    assert!(!place.rig.issuer.accepts(&Material::of(before[0].clone())), "it is dead while it waits");
    let other = json!({ "reset": "inc-4", "node": "Workload/w9", "reason": "rebuilt" });
    daemon.client.post("/v1/nodes/clean", &other).await.is_problem(409, "refused");
    let clean = json!({ "reset": "inc-4", "node": "Workload/w0", "reason": "rebuilt" });
    assert_eq!(daemon.client.post("/v1/nodes/clean", &clean).await.status, 200);
    daemon.status("inc-4", "complete").await;
    daemon.stop().await;
    assert_ne!(place.values(1), before);
}

#[tokio::test]
async fn a_foreign_version_holds_a_reset_open_until_it_is_decided() {
    let place = Place::new(1).await;
    let (planted, key) = place.rig.issuer.seed("app0").unwrap();
    let daemon = place.serve().await;
    daemon.client.post("/v1/resets", &ask("inc-5", &["Credential/app0"])).await;
    daemon.status("inc-5", "resting").await;
    let findings = daemon.client.get("/v1/findings").await.ok();
    assert_eq!(findings[0]["version"], json!(planted.0), "{findings}");
    assert!(place.rig.issuer.accepts(&key), "nobody decided yet");
    let path = format!("/v1/findings/{}/decide", findings[0]["id"].as_str().unwrap());
    let decided = daemon.client.post(&path, &json!({ "decision": "revoke", "reason": "not ours" })).await;
    assert_eq!(decided.status, 200, "{decided:?}");
    daemon.status("inc-5", "complete").await;
    daemon.stop().await;
    assert!(!place.rig.issuer.accepts(&key));
}

#[tokio::test]
async fn what_is_parked_goes_back_and_a_revision_that_was_approved_contains_it() {
    let place = Place::new(1).await;
    let before = place.values(1);
    place.rig.host.ignore_reload("w0");
    let daemon = place.serve().await;
    daemon.client.post("/v1/resets", &ask("inc-9", &["Credential/app0"])).await;
    daemon.status("inc-9", "resting").await;
    assert_ne!(place.values(1), before);
    let word = json!({ "reason": "it cannot reload today", "only": "Credential/app0" });
    let back = daemon.client.post("/v1/resets/inc-9/rollback", &word).await.ok();
    assert_eq!(
        back["back"],
        json!([{ "credential": "Credential/app0", "killed": false, "unfinished": null }]),
        "{back}"
    );
    assert_eq!(place.values(1), before);
    let other = json!({ "reason": "again", "only": "Credential/root" });
    daemon.client.post("/v1/resets/inc-9/rollback", &other).await.is_problem(409, "refused");

    place.rig.host.heed_reload("w0");
    let nothing = json!({ "reason": "worse" });
    daemon.client.post("/v1/resets/inc-9/escalate", &nothing).await.is_problem(422, "invalid");
    let asked = json!({ "reason": "worse", "contain": "*" });
    let revised = daemon.client.post("/v1/resets/inc-9/escalate", &asked).await.ok();
    assert_eq!(revised["delta"][0]["credential"], "Credential/app0", "{revised}");
    let approve = |digest: &Value| json!({ "plan": digest });
    let parent = approve(&revised["parent"]);
    daemon.client.post("/v1/resets/inc-9/approve", &parent).await.is_problem(409, "other-plan");
    daemon.client.post("/v1/resets/inc-9/approve", &approve(&revised["revision"])).await.ok();
    daemon.status("inc-9", "complete").await;
    assert_ne!(place.values(1), before);
    daemon.stop().await;
}

#[tokio::test]
async fn a_reset_that_nobody_approved_does_nothing() {
    let place = Place::new(1).await;
    let before = place.values(1);
    let daemon = place.serve().await;
    let since = "2026-01-02T03:04:05Z";
    let asked = json!({ "requestId": "inc-6", "from": ["Credential/app0"], "reason": "INC-6", "exposedAt": since, "drill": true });
    let answer = daemon.client.post("/v1/resets", &asked).await;
    let shown = daemon.client.get("/v1/resets/inc-6").await.ok();
    assert_eq!((&shown["exposedAt"], &shown["urgency"]), (&json!(since), &json!("scheduled")), "{shown}");
    assert_eq!((answer.status, &answer.body["status"]), (202, &json!("requested")));
    let other = json!({ "plan": format!("sha256:{}", "0".repeat(64)) });
    daemon.client.post("/v1/resets/inc-6/approve", &other).await.is_problem(409, "other-plan");
    let rejected = daemon.client.post("/v1/resets/inc-6/reject", &json!({ "reason": "a mistake" })).await;
    assert_eq!((rejected.status, &rejected.body["status"]), (200, &json!("rejected")));
    daemon.client.post("/v1/resets/inc-6/approve", &json!({})).await.is_problem(409, "refused");
    daemon.stop().await;
    assert_eq!(place.values(1), before);
}

#[tokio::test]
async fn the_token_opens_the_loopback_door_and_nothing_else_does() {
    let place = Place::new(1).await;
    let file = place.keys.path().join("token");
    let write = |token: &str, mode: u32| {
        std::fs::write(&file, token).unwrap();
        std::fs::set_permissions(&file, std::fs::Permissions::from_mode(mode)).unwrap();
        Listen::loopback("127.0.0.1:0".parse().unwrap(), &file)
    };
    assert!(matches!(write(TOKEN, 0o644), Err(ListenError::Token(TokenError::Mode { mode: 0o644, .. }))));
    assert!(matches!(write(&TOKEN[..31], 0o600), Err(ListenError::Token(TokenError::Unfit(_)))));
    let public = Listen::loopback("0.0.0.0:0".parse().unwrap(), &file);
    assert!(matches!(public, Err(ListenError::Public(_))));
    let listen = write(&format!("{TOKEN}\n"), 0o600).unwrap();
    let client = Client::tcp(listen.address().unwrap());
    let daemon = place.serve_on(listen, client.clone().with("authorization", &format!("Bearer {TOKEN}"))).await;
    assert_eq!(daemon.client.get("/v1/estate").await.status, 200);
    client.get("/v1/estate").await.is_problem(401, "token");
    for wrong in ["", "Bearer ", &format!("Bearer {TOKEN}x"), &format!("Basic {TOKEN}"), &TOKEN[1..]] {
        client.clone().with("authorization", wrong).get("/v1/estate").await.is_problem(401, "token");
    }
    // A page whose name was made to point here.
    let rebound = daemon.client.clone().with("host", "evil.example");
    rebound.get("/v1/estate").await.is_problem(421, "host");
    assert_eq!(client.get("/livez").await.status, 200);
    daemon.stop().await;
    log::seven_refusals_are_one_entry(&place).await;
}

#[tokio::test]
async fn the_socket_is_its_owners_and_only_a_dead_ones_file_is_replaced() {
    let place = Place::new(1).await;
    // A daemon died and left its file.
    drop(std::os::unix::net::UnixListener::bind(place.socket()).unwrap());
    let daemon = place.serve().await;
    let mode = std::fs::metadata(place.socket()).unwrap().permissions().mode() & 0o777;
    assert_eq!(mode, 0o600);
    daemon.stop().await;
    let live = std::os::unix::net::UnixListener::bind(place.socket()).unwrap();
    let refused = serve(place.open().await, place.options(Listen::Socket(place.socket())), async {}).await;
    assert!(matches!(refused, Err(ServeError::Listen(ListenError::Live(_)))), "{refused:?}");
    drop(live);
    std::fs::remove_file(place.socket()).unwrap();
    std::fs::write(place.socket(), "somebody's words").unwrap();
    let refused = serve(place.open().await, place.options(Listen::Socket(place.socket())), async {}).await;
    assert!(matches!(refused, Err(ServeError::Listen(ListenError::NotASocket(_)))), "{refused:?}");
    assert_eq!(std::fs::read_to_string(place.socket()).unwrap(), "somebody's words");
}

#[tokio::test]
async fn every_refusal_is_a_problem_document() {
    let place = Place::new(1).await;
    let daemon = place.serve().await;
    let client = &daemon.client;
    let plain = |answer: &Answer, status: u16| {
        assert_eq!((answer.status, answer.kind.as_str()), (status, "application/problem+json"), "{answer:?}");
        assert_eq!(answer.body["status"], status);
    };
    plain(&client.get("/v2").await, 404);
    plain(&client.post("/v1/findings", &json!({})).await, 405);
    plain(&client.get("/v1/resets/%ff").await, 400);
    client.get("/v1/resets/none").await.is_problem(404, "unknown");
    client
        .post("/v1/findings/none/decide", &json!({ "decision": "revoke", "reason": "x" }))
        .await
        .is_problem(404, "unknown");
    client.post("/v1/tasks/none/attest", &json!({ "words": "done" })).await.is_problem(404, "unknown");
    let mut unknown = ask("inc-9", &["Credential/app0"]);
    unknown["aprove"] = json!(true);
    client.post("/v1/resets", &unknown).await.is_problem(422, "invalid");
    client.post("/v1/resets", &ask("../x", &["Credential/app0"])).await.is_problem(422, "invalid");
    client.post("/v1/resets", &ask("inc-9", &[])).await.is_problem(422, "invalid");
    client.post("/v1/resets", &ask("inc-9", &["Credential/nobody"])).await.is_problem(422, "no-plan");
    let mut wordless = ask("inc-9", &["Credential/app0"]);
    wordless["reason"] = json!(" ");
    client.post("/v1/resets", &wordless).await.is_problem(422, "invalid");
    wordless["reason"] = json!("x".repeat(1 << 20));
    plain(&client.post("/v1/resets", &wordless).await, 413);
    assert_eq!(client.get("/v1/resets").await.ok(), json!([]), "none of that left anything");
    daemon.stop().await;
}
