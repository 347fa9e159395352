//! Where a secret could come out, and what was seen there.

use std::collections::BTreeMap;
use std::fmt::{Debug, Display};
use std::io::Read as _;
use std::path::Path;
use std::process::{Command, Stdio};
use std::sync::{Mutex, OnceLock};

use remint::app::{App, Places};
use remint::engine::Progress;
use remint::engine::record::Reset;
use remint::engine::reset::plan_bytes;
use remint::evidence::export;
use remint_conformance::leaks::Leaks;
use remint_contract::ResetId;
use remint_core::plan::{render_plan, to_json};
use remint_evidence_format::bundle::{Bundle, verify};
use tokio::sync::broadcast::Receiver;

/// Every kind of place that a run has to fill.
pub(super) const PLACES: [&str; 18] = [
    "answers",
    "api",
    "arguments",
    "bundle",
    "bundle file entries.jsonl",
    "bundle report",
    "daemon log",
    "documents",
    "entries",
    "errors",
    "log",
    "plan",
    "progress",
    "records",
    "state, closed: remint.db",
    "state, open: remint.db-wal",
    "table entry",
    "table record",
];

/// What was seen, by place.
#[derive(Default)]
pub(super) struct Seen(BTreeMap<String, Vec<u8>>);

impl Seen {
    pub(super) fn add(&mut self, place: &str, bytes: &[u8]) {
        let seen = self.0.entry(place.to_owned()).or_default();
        seen.extend_from_slice(bytes);
        // Two things beside one another never make a third.
        seen.push(b'\n');
    }

    /// Places of [`PLACES`] where nothing was seen.
    pub(super) fn empty(&self) -> Vec<&str> {
        let filled = |place: &&str| self.0.get(*place).is_some_and(|seen| seen.len() > 1);
        PLACES.into_iter().filter(|place| !filled(place)).collect()
    }

    pub(super) fn search(&self, leaks: &mut Leaks) {
        for (place, bytes) in &self.0 {
            leaks.scan_bytes(place, bytes);
        }
    }

    pub(super) fn errors(&self) -> Vec<String> {
        self.0
            .get("errors")
            .map(|seen| String::from_utf8_lossy(seen).lines().map(str::to_owned).collect())
            .unwrap_or_default()
    }

    pub(super) fn error(&mut self, display: &impl Display, debug: &impl Debug) {
        self.add("errors", format!("{display}\n{debug:?}\n{debug:#?}").as_bytes());
    }

    /// An error and all its causes.
    pub(super) fn failure(&mut self, error: &dyn std::error::Error) {
        let mut cause = Some(error);
        while let Some(error) = cause {
            self.add("errors", format!("{error}\n{error:?}").as_bytes());
            cause = error.source();
        }
    }

    /// A plan as it is shown, saved and answered.
    pub(super) fn plan(&mut self, reset: &Reset) {
        let plan = &reset.plan;
        self.add("plan", &plan_bytes(plan));
        self.add("plan", to_json(plan).to_string().as_bytes());
        self.add("plan", render_plan(plan, &remint_core::estate::Estate::default()).as_bytes());
        self.add("plan", format!("{:?}", plan.reached).as_bytes());
        self.add("plan", format!("{plan:?}").as_bytes());
    }

    /// Everything that the engine answers with, as JSON and for a debugger.
    pub(super) async fn records(&mut self, app: &App, id: &ResetId) {
        let engine = &app.engine;
        let (resets, rotations) = (engine.resets().await.unwrap(), engine.rotations(id).await.unwrap());
        let (findings, tasks) = (engine.findings(None).await.unwrap(), engine.tasks(None).await.unwrap());
        for text in [
            serde_json::to_string(&resets).unwrap(),
            serde_json::to_string(&rotations).unwrap(),
            serde_json::to_string(&findings).unwrap(),
            serde_json::to_string(&tasks).unwrap(),
            format!("{resets:?}\n{rotations:?}\n{findings:?}\n{tasks:?}"),
        ] {
            self.add("records", text.as_bytes());
        }
        for entry in engine.store.entries_of(id).await.unwrap() {
            self.add("entries", &entry.bytes);
            self.add("entries", format!("{entry:?}").as_bytes());
        }
        self.add("records", format!("{:?} {:?}", engine.settings, engine.rules).as_bytes());
    }

    pub(super) fn progress(&mut self, mut watching: Receiver<Progress>) {
        loop {
            match watching.try_recv() {
                Ok(event) => {
                    self.add("progress", format!("{event:?} {}", serde_json::to_string(&event).unwrap()).as_bytes());
                }
                Err(tokio::sync::broadcast::error::TryRecvError::Lagged(_)) => {}
                Err(_) => return,
            }
        }
    }

    /// The bundle as one file, every file in it, and what verifying it says.
    pub(super) async fn bundle(&mut self, app: &App, id: &ResetId) {
        app.sequencer.flush().await.unwrap();
        let reset = app.engine.reset(id).await.unwrap();
        let bytes = export(&*app.engine.store, id, &plan_bytes(&reset.plan), &app.key).await.unwrap();
        self.add("bundle", &bytes);
        for (name, file) in Bundle::from_archive(&bytes).unwrap().files() {
            self.add(&format!("bundle file {name}"), file);
        }
        let report = verify(&bytes, Some(app.key.verifier()));
        self.add("bundle report", format!("{}\n{}", report.render(), report.to_json()).as_bytes());
    }

    /// Every file of a folder, and its name.
    pub(super) fn folder(&mut self, when: &str, folder: &Path) {
        for item in std::fs::read_dir(folder).unwrap() {
            let path = item.unwrap().path();
            let name = path.file_name().unwrap().to_string_lossy().into_owned();
            self.add(&format!("state, {when}: {name}"), &std::fs::read(&path).unwrap());
        }
    }

    /// Every cell of every table: a value can lie across two pages, where no search of the file finds it.
    pub(super) fn tables(&mut self, folder: &Path) {
        let database = rusqlite::Connection::open(folder.join("remint.db")).unwrap();
        let names = "SELECT name FROM sqlite_schema WHERE type = 'table'";
        let mut names = database.prepare(names).unwrap();
        let names: Vec<String> = names.query_map([], |row| row.get(0)).unwrap().map(Result::unwrap).collect();
        for name in names {
            let mut cells = database.prepare(&format!("SELECT * FROM {name}")).unwrap();
            let width = cells.column_count();
            let mut rows = cells.query([]).unwrap();
            while let Some(row) = rows.next().unwrap() {
                for column in 0..width {
                    match row.get_ref(column).unwrap() {
                        rusqlite::types::ValueRef::Text(bytes) | rusqlite::types::ValueRef::Blob(bytes) => {
                            self.add(&format!("table {name}"), bytes);
                        }
                        _ => {}
                    }
                }
            }
        }
    }

    /// What the program answers over this state, and with which arguments and environment it ran.
    pub(super) fn answers(&mut self, places: &Places, id: &ResetId) {
        let retry = ["retry", &id.0];
        let commands: [&[&str]; 7] = [
            &["get", "resets"],
            &["get", "rotations"],
            &["get", "credentials"],
            &["get", "findings"],
            &["get", "tasks"],
            &["evidence", "list", &id.0],
            &retry,
        ];
        for command in commands {
            for output in ["table", "json"] {
                let mut child = Command::new(env!("CARGO_BIN_EXE_remint"));
                child.args(command).args(["-o", output, "--state"]).arg(&places.state).arg("--kek").arg(&places.kek);
                self.child(child);
            }
        }
    }

    /// What the daemon answers over its socket, and what it logs of all that at the finest level.
    pub(super) fn daemon(&mut self, places: &Places, documents: &str, id: &ResetId) {
        let folder = tempfile::tempdir().unwrap();
        std::fs::write(folder.path().join("estate.yaml"), documents).unwrap();
        let socket = folder.path().join("socket");
        let mut child = Command::new(env!("CARGO_BIN_EXE_remint"))
            .args(["serve", "--log", "trace", "--estate"])
            .arg(folder.path())
            .arg("--socket")
            .arg(&socket)
            .arg("--state")
            .arg(&places.state)
            .arg("--kek")
            .arg(&places.kek)
            .stdin(Stdio::null())
            .stderr(std::fs::File::create(folder.path().join("log")).unwrap())
            .spawn()
            .unwrap();
        // The file is there a moment before anybody listens.
        while std::os::unix::net::UnixStream::connect(&socket).is_err() {
            assert!(child.try_wait().unwrap().is_none(), "{:?}", std::fs::read_to_string(folder.path().join("log")));
            std::thread::yield_now();
        }
        let id = &id.0;
        for path in ["/readyz", "/v1/estate", "/v1/findings", "/v1/tasks", "/v1/resets", "/v1/nothing"] {
            self.add("api", &ask(&socket, "GET", path, ""));
        }
        for path in [format!("/v1/resets/{id}"), format!("/v1/resets/{id}/rotations"), "/v1/resets/r-none".to_owned()] {
            self.add("api", &ask(&socket, "GET", &path, ""));
        }
        self.add("api", &ask(&socket, "POST", &format!("/v1/resets/{id}/approve"), "{}"));
        self.add("api", &ask(&socket, "POST", &format!("/v1/resets/{id}/retry"), "{}"));
        self.add("api", &ask(&socket, "POST", "/v1/resets", "{\"from\":["));
        for name in ["cmdline", "environ"] {
            let _ = std::fs::read(format!("/proc/{}/{name}", child.id())).map(|bytes| self.add("arguments", &bytes));
        }
        rustix::process::kill_process(rustix::process::Pid::from_child(&child), rustix::process::Signal::TERM).unwrap();
        child.wait().unwrap();
        self.add("daemon log", &std::fs::read(folder.path().join("log")).unwrap());
    }

    /// Runs a program to its end, looking at its arguments and environment all along.
    pub(super) fn child(&mut self, mut command: Command) {
        let mut child = command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
        let (mut out, mut err) = (child.stdout.take().unwrap(), child.stderr.take().unwrap());
        // The arguments are there a moment after the program is.
        let arguments = format!("/proc/{}/cmdline", child.id());
        while std::fs::read(&arguments).is_ok_and(|bytes| bytes.is_empty()) && child.try_wait().unwrap().is_none() {
            std::thread::yield_now();
        }
        for name in ["cmdline", "environ"] {
            // Its environment is closed to whoever is not privileged, and both are gone with it.
            let _ = std::fs::read(format!("/proc/{}/{name}", child.id())).map(|bytes| self.add("arguments", &bytes));
        }
        // Who waits for words has shown its arguments by now.
        drop(child.stdin.take());
        let other = std::thread::spawn(move || {
            let mut bytes = Vec::new();
            err.read_to_end(&mut bytes).map(|_| bytes)
        });
        let mut bytes = Vec::new();
        out.read_to_end(&mut bytes).unwrap();
        self.add("answers", &bytes);
        self.add("answers", &other.join().unwrap().unwrap());
        let ended = child.wait().unwrap();
        let said = String::from_utf8_lossy(&bytes).into_owned();
        assert!(matches!(ended.code(), Some(0 | 1)), "{command:?} {ended}: {said}");
    }

    /// Everything that was logged until now, in this process.
    pub(super) fn log(&mut self) {
        self.add("log", &LOG.get().unwrap().lock().unwrap());
    }
}

/// One request, and the whole answer.
fn ask(socket: &Path, method: &str, path: &str, body: &str) -> Vec<u8> {
    use std::io::Write as _;
    let mut stream = std::os::unix::net::UnixStream::connect(socket).unwrap();
    let length = body.len();
    let head = format!("{method} {path} HTTP/1.1\r\nhost: localhost\r\nconnection: close\r\n");
    let rest = format!("content-type: application/json\r\ncontent-length: {length}\r\n\r\n{body}");
    stream.write_all(format!("{head}{rest}").as_bytes()).unwrap();
    let mut answer = Vec::new();
    stream.read_to_end(&mut answer).unwrap();
    assert!(answer.starts_with(b"HTTP/1.1 "), "{}", String::from_utf8_lossy(&answer));
    answer
}

/// What every crate of this process logged since [`capture`].
static LOG: OnceLock<Mutex<Vec<u8>>> = OnceLock::new();

/// From now on everything that is logged in this process is kept.
pub(super) fn capture() {
    LOG.get_or_init(|| {
        let writer = || Captured;
        let all = tracing_subscriber::fmt().with_max_level(tracing::Level::TRACE).with_ansi(false).with_writer(writer);
        all.try_init().unwrap();
        log::set_logger(&Captured).unwrap();
        log::set_max_level(log::LevelFilter::Trace);
        Mutex::default()
    });
}

struct Captured;

impl std::io::Write for Captured {
    fn write(&mut self, bytes: &[u8]) -> std::io::Result<usize> {
        if let Some(log) = LOG.get() {
            log.lock().unwrap().extend_from_slice(bytes);
        }
        Ok(bytes.len())
    }

    fn flush(&mut self) -> std::io::Result<()> {
        Ok(())
    }
}

impl log::Log for Captured {
    fn enabled(&self, _: &log::Metadata<'_>) -> bool {
        true
    }

    fn log(&self, record: &log::Record<'_>) {
        if let Some(log) = LOG.get() {
            log.lock().unwrap().extend_from_slice(format!("{} {}\n", record.target(), record.args()).as_bytes());
        }
    }

    fn flush(&self) {}
}
