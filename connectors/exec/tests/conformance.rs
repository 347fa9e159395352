//! The conformance suite over the example program, in all three roles, and every line of it against the schema.
#![expect(clippy::unwrap_used, reason = "what cannot be set up ends the test")]

mod schema;

use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};

use async_trait::async_trait;
use remint_conformance::leaks::Leaks;
use remint_conformance::{ConsumerCase, Crash, Cut, Fault, Harness, IssuerCase, StoreCase, assert_passes, run};
use remint_contract::{
    Call, Connector, ConnectorKind as _, ErrorKind, Expected, HostRules, Material, MintRequest, OperationId,
    SecretValue, Strategy, Target, Verdict, VersionId, Workload,
};
use serde_json::{Value, json};
use tokio::io::{AsyncBufReadExt as _, AsyncWriteExt as _, BufReader};
use tokio::net::UnixListener;
use tokio::sync::RwLock;

const ADMIN: &str = "admin-marker-4711";

struct Office {
    root: tempfile::TempDir,
    /// Where the program between writes down what it sees.
    between: tempfile::TempDir,
    made: AtomicU32,
}

impl Office {
    fn new() -> Self {
        let office =
            Self { root: tempfile::tempdir().unwrap(), between: tempfile::tempdir().unwrap(), made: AtomicU32::new(0) };
        for part in ["tokens", "sessions", "store", "run"] {
            std::fs::create_dir(office.root.path().join(part)).unwrap();
        }
        let first =
            json!({"hash": sha256(ADMIN), "operation": null, "enabled": true, "created": "2026-01-01T00:00:00Z"});
        office.put("tokens/admins.json", &json!({"first": first}));
        office
    }

    fn next(&self) -> u32 {
        self.made.fetch_add(1, Ordering::Relaxed)
    }

    fn put(&self, path: &str, content: &Value) {
        std::fs::write(self.root.path().join(path), content.to_string()).unwrap();
    }

    fn acting(&self, actor: &str) -> Call {
        Call {
            operation: OperationId(format!("operation-{}", self.next())),
            deadline: "9000-01-01T00:00:00Z".parse().unwrap(),
            actor: Some(Arc::new(Material::of(actor.into()))),
        }
    }

    fn open(&self, folder: &Path) -> Arc<dyn Connector> {
        let here = PathBuf::from(env!("CARGO_MANIFEST_DIR"));
        let text = |path: &Path| path.to_str().unwrap().to_owned();
        let python = "/usr/bin/python3".to_owned();
        let command = vec![
            python.clone(),
            "-IS".to_owned(),
            text(&here.join("tests/between.py")),
            text(self.between.path()),
            python,
            "-IS".to_owned(),
            text(&here.join("examples/token_office.py")),
        ];
        let rules =
            HostRules { commands: BTreeMap::from([("token-office".to_owned(), command)]), ..HostRules::default() };
        remint_exec::kind().open(&settings(folder), &rules).unwrap()
    }
}

/// As the README writes them.
fn settings(folder: &Path) -> Value {
    let mut settings = document()["spec"]["exec"].clone();
    settings["settings"]["folder"] = json!(folder);
    settings
}

/// The System document of the README.
fn document() -> Value {
    let readme = include_str!("../README.md");
    let block = readme.split("```yaml\n").nth(1).and_then(|rest| rest.split("```").next()).unwrap();
    serde_yaml::from_str(block).unwrap()
}

fn sha256(text: &str) -> String {
    let digest = aws_lc_rs::digest::digest(&aws_lc_rs::digest::SHA256, text.as_bytes());
    digest.as_ref().iter().map(|byte| format!("{byte:02x}")).collect()
}

#[async_trait]
impl Harness for Office {
    fn connector(&self) -> Arc<dyn Connector> {
        self.open(self.root.path())
    }

    async fn call(&self) -> Call {
        self.acting(ADMIN)
    }

    async fn issuer_case(&self, strategy: Strategy) -> Option<IssuerCase> {
        let number = self.next();
        let target = |name: String| Target { name, settings: Value::Null };
        let case = target(format!("app-{number}"));
        self.put(&format!("tokens/app-{number}.json"), &json!({}));
        let proposed = Some(SecretValue::from(format!("first-marker-{number:08}")));
        let request = MintRequest { target: case.clone(), strategy, old: None, old_username: None, proposed };
        let old = self.connector().mint(&self.call().await, &request).await.unwrap();
        Some(IssuerCase { target: case, old, missing: target(format!("missing-{number}")) })
    }

    async fn store_case(&self) -> Option<StoreCase> {
        let path = format!("app-{}.json", self.next());
        self.put(&format!("store/{path}"), &json!({"version": "1", "fields": {"kept": "kept-marker-0815"}}));
        let kept = Some(("kept".to_owned(), SecretValue::from("kept-marker-0815")));
        Some(StoreCase { path, field: "token".to_owned(), kept, missing: "nowhere/app.json".to_owned() })
    }

    async fn consumer_case(&self) -> Option<ConsumerCase> {
        let (old, new) = (Material::of("old-marker-4711".into()), Material::of("new-marker-4711".into()));
        let name = format!("app-{}", self.next());
        let listener = UnixListener::bind(self.root.path().join(format!("run/{name}.sock"))).unwrap();
        tokio::spawn(consume(listener, old.fingerprint(), new.fingerprint()));
        let workload = |reference: String| Workload { name: "app".to_owned(), reference, settings: Value::Null };
        let expected = Expected { new: new.fingerprint(), old: Some(old.fingerprint()), path: None };
        Some(ConsumerCase {
            workload: workload(name.clone()),
            expected,
            missing: Some(workload(format!("{name}-gone"))),
        })
    }

    async fn wrong_actor(&self) -> Option<Call> {
        Some(self.acting("nobody-marker-4711"))
    }

    async fn unreachable(&self) -> Option<Arc<dyn Connector>> {
        Some(self.open(&self.root.path().join("gone")))
    }

    async fn requests(&self) -> Option<u64> {
        Some(std::fs::read_to_string(self.between.path().join("lines")).map_or(0, |text| text.lines().count() as u64))
    }

    async fn fault(&self, fault: Fault) -> bool {
        let word = match fault {
            Fault::LyingRevoke => "lying-revoke".to_owned(),
            Fault::LostAnswer(verb) => format!("lost-answer {verb}"),
            Fault::Throttle => "throttle".to_owned(),
            Fault::Lagging => return false,
        };
        std::fs::write(self.between.path().join("fault"), word).is_ok()
    }

    async fn crash(&self, crash: Crash) -> bool {
        let how = format!("{:?}", crash.how);
        let gone = crash == Crash { request: 1, how: Cut::Refused };
        let words = json!({"left": if gone { 0 } else { crash.request }, "how": how});
        std::fs::write(self.between.path().join("crash"), words.to_string()).is_ok()
    }

    async fn crashed(&self) -> bool {
        let path = self.between.path().join("crash");
        let words: Value = serde_json::from_slice(&std::fs::read(&path).unwrap()).unwrap();
        std::fs::remove_file(path).unwrap();
        words["left"] == 0
    }

    async fn settle(&self) {
        let _ = std::fs::remove_file(self.between.path().join("fault"));
    }

    async fn plant_foreign(&self, target: &Target) -> Option<String> {
        let path = self.root.path().join(format!("tokens/{}.json", target.name));
        let mut tokens: Value = serde_json::from_slice(&std::fs::read(&path).unwrap()).unwrap();
        tokens["token-foreign"] =
            json!({"hash": sha256("x"), "operation": "planted", "enabled": true, "created": "2026-01-01T00:00:00Z"});
        self.put(&format!("tokens/{}.json", target.name), &tokens);
        Some("planted".to_owned())
    }

    async fn open_session(&self, target: &Target, material: &Material) -> Option<u64> {
        let (call, number) = (self.call().await, self.next());
        let version = self.connector().verify(&call, target, material).await.unwrap().version;
        self.put(&format!("sessions/{}.json", target.name), &json!({"another": "others", number.to_string(): version}));
        Some(number.into())
    }

    async fn session_alive(&self, session: u64) -> bool {
        let sessions = std::fs::read_dir(self.root.path().join("sessions")).unwrap();
        let mut held = sessions.map(|file| std::fs::read(file.unwrap().path()).unwrap());
        held.any(|held| serde_json::from_slice::<Value>(&held).unwrap().get(session.to_string()).is_some())
    }
}

/// A program that reads its token at the start and at `reload`.
async fn consume(listener: UnixListener, old: String, new: String) {
    let mut in_use = old;
    loop {
        let (stream, _) = listener.accept().await.unwrap();
        let (reader, mut writer) = stream.into_split();
        let word = BufReader::new(reader).lines().next_line().await.unwrap().unwrap();
        if word == "reload" {
            in_use.clone_from(&new);
        }
        writer.write_all(format!("{in_use}\n").as_bytes()).await.unwrap();
    }
}

#[tokio::test]
async fn a_program_in_python_behaves_as_the_contract_says() {
    let office = Office::new();
    let report = run(&office).await;
    assert_passes(&report);
    let not_shown: BTreeSet<_> = report.not_shown.iter().map(|(name, _)| name.as_str()).collect();
    let expected = [
        // None of its places is behind, and its store holds one version.
        "Overlap: an endpoint that is behind is seen to accept still, and to deny later",
        "store: readers see a staged value only after promote, which may be repeated",
        "store: a late promote of an older version leaves the newer value alone",
        "store: a destroyed version is gone, and destroying it again is fine",
    ];
    assert_eq!(not_shown, BTreeSet::from(expected), "{report}");

    let lines = std::fs::read_to_string(office.between.path().join("lines")).unwrap();
    let mut verbs = BTreeSet::new();
    for line in lines.lines().map(|line| serde_json::from_str::<Value>(line).unwrap()) {
        let verb = line["verb"].as_str().unwrap();
        let answer = format!("answer.{verb}");
        for (what, words) in [(if verb == "describe" { "greeting" } else { "request" }, "request"), (&answer, "answer")]
        {
            schema::validate(what, &line[words]).unwrap_or_else(|error| panic!("{what}: {error}\n{}", line[words]));
        }
        verbs.insert(verb.to_owned());
    }
    assert_eq!(verbs.len(), 16, "{verbs:?}");

    // What a neighbour can see of the process.
    let seen = std::fs::read(office.between.path().join("seen")).unwrap();
    let mut leaks = Leaks::default();
    leaks.watch(&ADMIN.into());
    leaks.scan_bytes("the arguments and the environment", &seen);
    assert!(leaks.found().is_empty());
    let text = String::from_utf8(seen).unwrap();
    let environment = text.lines().nth(1).unwrap();
    let expected = "LC_ALL=C.UTF-8\0PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin\0";
    assert_eq!(environment, expected, "the environment holds what it should not");
    assert!(!text.contains("marker"), "{text}");
}

#[tokio::test]
async fn remints_own_token_is_replaced_while_it_works() {
    let office = Office::new();
    let connector = office.connector();
    let target = |name: &str| Target { name: name.to_owned(), settings: Value::Null };
    let (app, admins) = (target("app"), target("admins"));
    office.put("tokens/app.json", &json!({}));
    let request = |target: &Target| {
        let proposed = Some(SecretValue::from(format!("proposed-marker-{:08}", office.next())));
        MintRequest { target: target.clone(), strategy: Strategy::Overlap, old: None, old_username: None, proposed }
    };
    let acting = RwLock::new(ADMIN.to_owned());
    let made = AtomicU32::new(0);
    let worked = async |enough: u32| {
        while made.load(Ordering::SeqCst) < enough {
            tokio::task::yield_now().await;
        }
    };
    let work = async {
        loop {
            let actor = acting.read().await;
            connector.mint(&office.acting(&actor), &request(&app)).await.unwrap();
            made.fetch_add(1, Ordering::SeqCst);
        }
    };
    let change = async {
        worked(1).await;
        let new = connector.mint(&office.acting(ADMIN), &request(&admins)).await.unwrap();
        let own = new.material.secret.expose_str().unwrap().to_owned();
        connector.check(&office.acting(&own), None).await.unwrap();
        own.clone_into(&mut *acting.write().await);
        let old = VersionId("first".to_owned());
        connector.revoke(&office.acting(&own), &admins, &old).await.unwrap();
        worked(made.load(Ordering::SeqCst) + 2).await;
        own
    };
    let own = tokio::select! {
        own = change => own,
        () = work => unreachable!("it works until it is told to stop"),
    };
    let denied = connector.check(&office.acting(ADMIN), None).await.unwrap_err();
    assert_eq!(denied.kind, ErrorKind::Denied);
    let call = office.acting(&own);
    let live = connector.enumerate(&call, &[app, admins.clone()]).await.unwrap();
    let of = |name: &str| live.iter().filter(|live| live.target.as_deref() == Some(name)).count();
    // One more may have been on its way when it was told to stop.
    let made = made.load(Ordering::SeqCst) as usize;
    assert!((made..=made + 1).contains(&of("app")), "{} of {made}", of("app"));
    assert_eq!(of("admins"), 1);
    let verdict = connector.probe(&call, &admins, &Material::of(ADMIN.into()), 0).await.unwrap();
    assert_eq!(verdict, Verdict::Denied);
}

#[test]
fn the_readme_declares_what_the_example_says_and_the_schema_knows_it() {
    let declared = &document()["spec"]["exec"]["declares"];
    schema::validate("declared", declared).unwrap();
    remint_exec::kind().describe(&document()["spec"]["exec"]).unwrap();
    assert!(schema::validate("declared", &json!({"verbs": ["mint"]})).is_err(), "every program checks");
}
