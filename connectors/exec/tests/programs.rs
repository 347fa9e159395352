//! Programs that hang, lie, talk too much or change their mind; and every verb over the wire.
#![expect(clippy::unwrap_used, reason = "what cannot be set up ends the test")]

mod schema;

use std::collections::BTreeMap;
use std::path::Path;
use std::sync::Arc;
use std::time::{Duration, Instant};

use remint_contract::{
    Call, Connector, ConnectorKind as _, Error, ErrorKind, Expected, HostRules, Intent, Material, MintRequest,
    OperationId, Recovered, SecretValue, Strategy, Target, Verb, Verdict, VersionId, Workload, WriteRequest,
};
use serde_json::{Value, json};
use tokio::io::{AsyncBufReadExt as _, BufReader};
use tokio::net::UnixListener;

const SECRET: &str = "value-marker-4711";

fn verbs() -> Value {
    schema::schema()["$defs"]["verb"]["enum"].clone()
}

fn declares(verbs: &Value) -> Value {
    json!({
        "verbs": verbs,
        "issuer": {"slots": "many", "madeBy": "issuer-once", "probe": "free", "strategies": {"overlap": 1},
            "endpoints": ["here"], "propagationSeconds": 0, "reversibleDisable": false,
            "diesWithIssuer": false},
    })
}

fn rules(program: &str) -> HostRules {
    let script = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/scripted.py");
    let command = vec![program.to_owned(), script.to_owned()];
    HostRules { commands: BTreeMap::from([("scripted".to_owned(), command)]), ..HostRules::default() }
}

fn settings(folder: &Path, how: &str, answers: Value) -> Value {
    let declares = declares(&verbs());
    let system = json!({"declares": declares, "answers": answers, "how": how, "folder": folder});
    json!({"command": "scripted", "timeoutSeconds": 20, "settings": system, "declares": declares})
}

fn open(folder: &Path, how: &str, answers: Value) -> Arc<dyn Connector> {
    remint_exec::kind().open(&settings(folder, how, answers), &rules("/usr/bin/python3")).unwrap()
}

fn call() -> Call {
    Call {
        operation: OperationId("op-1".to_owned()),
        deadline: "9000-01-01T00:00:00Z".parse().unwrap(),
        actor: Some(Arc::new(Material::login("boss", "actor-marker-4711".into()))),
    }
}

fn target() -> Target {
    Target { name: "app".to_owned(), settings: json!({"scope": "read"}) }
}

fn request() -> MintRequest {
    MintRequest {
        target: target(),
        strategy: Strategy::Overlap,
        old: Some(VersionId("v-1".to_owned())),
        old_username: Some("app_a".to_owned()),
        proposed: Some(SecretValue::new(vec![0xff, 0, 1, 2, 3, 4, 5, 6])),
    }
}

async fn verify(connector: &dyn Connector) -> Error {
    connector.verify(&call(), &target(), &Material::of(SECRET.into())).await.unwrap_err()
}

async fn mint(connector: &dyn Connector) -> Error {
    connector.mint(&call(), &request()).await.unwrap_err()
}

#[tokio::test]
async fn no_request_reaches_a_program_that_declares_something_else() {
    let folder = tempfile::tempdir().unwrap();
    let mut settings = settings(folder.path(), "", json!({}));
    settings["settings"]["declares"]["issuer"]["slots"] = json!("one");
    let connector = remint_exec::kind().open(&settings, &rules("/usr/bin/python3")).unwrap();
    let error = mint(connector.as_ref()).await;
    assert_eq!(error.kind, ErrorKind::Invalid);
    assert_eq!(
        error.to_string(),
        "mint: the program says other issuer in its answer to describe than the document declares; nothing was asked \
         of it (command scripted)"
    );
    let lines = std::fs::read_to_string(folder.path().join("lines")).unwrap_or_default();
    assert!(!lines.contains("\"mint\"") && !lines.contains("marker"), "{lines}");
}

#[tokio::test]
async fn a_command_that_the_configuration_lacks_and_a_program_that_is_not_there_are_told_apart() {
    let folder = tempfile::tempdir().unwrap();
    let settings = settings(folder.path(), "", json!({}));
    let unknown = remint_exec::kind().open(&settings, &HostRules::default()).map(drop).unwrap_err();
    assert_eq!(unknown.kind, ErrorKind::Invalid);
    let gone = remint_exec::kind().open(&settings, &rules("/nowhere/python3")).unwrap();
    assert_eq!(mint(gone.as_ref()).await.kind, ErrorKind::Unreachable, "nothing was done");
}

#[tokio::test]
async fn a_program_that_takes_too_long_is_killed_with_all_it_started() {
    let folder = tempfile::tempdir().unwrap();
    let listener = UnixListener::bind(folder.path().join("pids")).unwrap();
    let mut settings = settings(folder.path(), "hang", json!({}));
    settings["timeoutSeconds"] = json!(8);
    let connector = remint_exec::kind().open(&settings, &rules("/usr/bin/python3")).unwrap();
    let asked = mint(connector.as_ref());
    tokio::pin!(asked);
    let pids = tokio::select! {
        error = &mut asked => panic!("the program never came so far: {error}"),
        pids = pids(&listener) => pids,
    };
    let error = asked.await;
    assert_eq!(error.kind, ErrorKind::Unclear, "{error}");
    gone(&pids);
}

#[tokio::test]
async fn a_call_that_is_given_up_kills_the_program_and_all_it_started() {
    let folder = tempfile::tempdir().unwrap();
    let listener = UnixListener::bind(folder.path().join("pids")).unwrap();
    let connector = open(folder.path(), "hang", json!({}));
    let pids = tokio::select! {
        error = mint(connector.as_ref()) => panic!("{error}"),
        pids = pids(&listener) => pids,
    };
    gone(&pids);
}

#[tokio::test]
async fn what_a_program_leaves_behind_after_its_answer_is_killed() {
    let folder = tempfile::tempdir().unwrap();
    let connector = open(folder.path(), "leave a child", json!({"revoke": {"ok": {}}}));
    connector.revoke(&call(), &target(), &VersionId("v-1".to_owned())).await.unwrap();
    gone(&[std::fs::read_to_string(folder.path().join("child")).unwrap()]);
}

#[tokio::test]
async fn an_answer_that_is_lost_is_unclear_where_the_verb_changes_something() {
    let folder = tempfile::tempdir().unwrap();
    for (how, changing, reading) in [
        ("silent from the start", ErrorKind::Unreachable, ErrorKind::Unreachable),
        ("silent", ErrorKind::Unclear, ErrorKind::Unreachable),
        ("too long", ErrorKind::Unclear, ErrorKind::Invalid),
        ("fail after the answer", ErrorKind::Unclear, ErrorKind::Invalid),
        ("say nonsense", ErrorKind::Unclear, ErrorKind::Invalid),
    ] {
        let nonsense = how == "say nonsense";
        let material =
            json!({"secret": if nonsense { json!(["made-marker-4711"]) } else { json!("made-marker-4711") }});
        let verified =
            if nonsense { json!("value-marker-4711") } else { json!({"version": "v-1", "principal": "app"}) };
        let answers = json!({"mint": {"ok": {"version": "v-2", "material": material}}, "verify": {"ok": verified}});
        let connector = open(folder.path(), how, answers);
        for (error, kind) in [(mint(connector.as_ref()).await, changing), (verify(connector.as_ref()).await, reading)] {
            assert_eq!(error.kind, kind, "{how}: {error}");
            assert!(!format!("{error} {error:?}").contains("marker"), "{how}: {error:?}");
        }
    }
}

#[tokio::test]
async fn what_a_program_complains_is_shown_unless_a_secret_may_be_in_it() {
    let folder = tempfile::tempdir().unwrap();
    let connector = open(folder.path(), "complain", json!({}));
    let shown = verify(connector.as_ref()).await.to_string();
    assert_eq!(shown, "verify: the program ended without an answer (command scripted, stderr no such host)");
    let hidden = mint(connector.as_ref()).await.to_string();
    assert_eq!(hidden, "mint: the program ended without an answer (command scripted)");
    for how in ["complain with the secret", "repeat the secret"] {
        let connector = open(folder.path(), how, json!({}));
        let error = verify(connector.as_ref()).await;
        assert!(!format!("{error} {error:?}").contains("marker"), "{error:?}");
    }
}

#[tokio::test]
async fn every_verb_goes_over_the_wire_as_the_schema_says() {
    let folder = tempfile::tempdir().unwrap();
    let at = "2026-11-21T17:00:00Z";
    let derived = json!({"id": "s-1", "what": "session", "expires": at});
    let minted = json!({"version": "v-2", "material": {"username": "app_b", "secret": {"base64": "/wABAgMEBQY="}}});
    let answers = json!({
        "check": {"ok": {}},
        "mint": {"ok": minted},
        "verify": {"ok": {"version": "v-2", "principal": "app", "expires": null}},
        "compare-rights": {"ok": {"narrower": ["write"]}},
        "disable": {"ok": {}}, "enable": {"ok": {}}, "revoke": {"ok": {}}, "revoke-value": {"ok": {}},
        "list-derived": {"ok": [derived]},
        "end-derived": {"ok": [{"derived": derived, "outcome": {"expires-at": at}}]},
        "probe": {"ok": {"unclear": "locked"}},
        "enumerate": {"ok": [{"version": "v-1", "target": null, "label": "by hand", "operation": null, "created": at}]},
        "last-used": {"ok": [{"at": at, "source": "10.0.0.7"}]},
        "recover": {"ok": {"outcome": "done", "minted": minted}},
        "discover": {"ok": [{"kind": "System"}]},
        "write": {"ok": {"version": "7"}},
        "read": {"ok": {"version": "7", "fields": {"token": SECRET}}},
        "promote": {"ok": {}},
        "versions": {"ok": ["7", "6"]},
        "destroy-version": {"ok": {}},
        "reload": {"ok": {}},
        "observe": {"ok": {"seen": "new", "grade": "served"}},
    });
    for (verb, answer) in answers.as_object().unwrap() {
        schema::validate(&format!("answer.{verb}"), answer).unwrap_or_else(|error| panic!("{verb}: {error}"));
    }
    let connector = open(folder.path(), "", answers);
    let (call, target, version) = (call(), target(), VersionId("v-1".to_owned()));
    let material = Material::of(SECRET.into());
    let workload = Workload { name: "web".into(), reference: "web-1".into(), settings: Value::Null };
    let expected = Expected { new: "sha256:1".into(), old: None, path: Some("app".into()) };
    let fields = BTreeMap::from([("token".to_owned(), SecretValue::from(SECRET))]);
    let write = WriteRequest { path: "app".into(), fields, expect: Some("6".into()) };
    let intent = Intent {
        operation: OperationId("op-0".into()),
        verb: Verb::Mint,
        target: target.clone(),
        version: Some(version.clone()),
        mint: Some(request()),
    };

    connector.check(&call, Some("app")).await.unwrap();
    let minted = connector.mint(&call, &request()).await.unwrap();
    assert_eq!(minted.material.secret.expose(), [0xff, 0, 1, 2, 3, 4, 5, 6]);
    connector.verify(&call, &target, &material).await.unwrap();
    connector.compare_rights(&call, &target, &version, &minted.version).await.unwrap();
    connector.disable(&call, &target, &version).await.unwrap();
    connector.enable(&call, &target, &version).await.unwrap();
    connector.revoke(&call, &target, &version).await.unwrap();
    connector.revoke_value(&call, &target, &material).await.unwrap();
    assert_eq!(connector.list_derived(&call, &target, &version).await.unwrap().len(), 1);
    assert_eq!(connector.end_derived(&call, &target, &version).await.unwrap().len(), 1);
    let verdict = connector.probe(&call, &target, &material, 0).await.unwrap();
    assert_eq!(verdict, Verdict::Unclear("locked".into()));
    assert_eq!(connector.enumerate(&call, std::slice::from_ref(&target)).await.unwrap()[0].target, None);
    assert_eq!(connector.last_used(&call, &target, &version, call.deadline).await.unwrap().len(), 1);
    assert!(matches!(connector.recover(&call, &intent).await.unwrap(), Recovered::Done(Some(_))));
    assert_eq!(connector.discover(&call).await.unwrap().len(), 1);
    assert_eq!(connector.write(&call, &write).await.unwrap().version, "7");
    assert_eq!(connector.read(&call, "app").await.unwrap().fields["token"], SecretValue::from(SECRET));
    connector.promote(&call, "app", "7").await.unwrap();
    assert_eq!(connector.versions(&call, "app").await.unwrap(), ["7", "6"]);
    connector.destroy_version(&call, "app", "6").await.unwrap();
    connector.reload(&call, &workload).await.unwrap();
    connector.observe(&call, &workload, &expected).await.unwrap();

    let lines = std::fs::read_to_string(folder.path().join("lines")).unwrap();
    let lines: Vec<Value> = lines.lines().map(|line| serde_json::from_str(line).unwrap()).collect();
    let mut sent: Vec<_> =
        lines.iter().map(|line| line["verb"].as_str().unwrap()).filter(|verb| *verb != "describe").collect();
    sent.sort_unstable();
    let mut all: Vec<_> = verbs().as_array().unwrap().iter().map(|verb| verb.as_str().unwrap().to_owned()).collect();
    all.sort_unstable();
    assert_eq!(sent, all);
    for line in &lines {
        let what = if line["verb"] == "describe" { "greeting" } else { "request" };
        schema::validate(what, line).unwrap_or_else(|error| panic!("{error}\n{line}"));
    }
}

/// The process ids that the program tells.
async fn pids(listener: &UnixListener) -> Vec<String> {
    let (stream, _) = listener.accept().await.unwrap();
    let line = BufReader::new(stream).lines().next_line().await.unwrap().unwrap();
    line.split(' ').map(str::to_owned).collect()
}

/// Waits until none of them runs: the kill is sent, the kernel takes its time.
#[track_caller]
fn gone(pids: &[String]) {
    let running = |pid: &String| {
        let status = std::fs::read_to_string(format!("/proc/{}/status", pid.trim())).unwrap_or_default();
        status.lines().any(|line| line.starts_with("State:") && !line.contains('Z') && !line.contains('X'))
    };
    let start = Instant::now();
    while pids.iter().any(running) {
        assert!(start.elapsed() < Duration::from_secs(20), "{pids:?} still runs");
        std::thread::yield_now();
    }
}
