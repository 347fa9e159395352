//! The conformance suite over a real folder and a workload that serves HTTP.
#![expect(clippy::unwrap_used, reason = "what cannot be set up ends the test")]

use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};

use async_trait::async_trait;
use remint_conformance::gate::Gate;
use remint_conformance::{ConsumerCase, Harness, StoreCase, assert_passes, run};
use remint_contract::{
    Call, Connector, ConnectorKind as _, Expected, HostRules, Material, OperationId, SecretValue, Workload,
};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpListener;

struct Folder {
    root: tempfile::TempDir,
    extension: &'static str,
    made: AtomicU32,
}

impl Folder {
    fn new(extension: &'static str) -> Self {
        Self { root: tempfile::tempdir().unwrap(), extension, made: AtomicU32::new(0) }
    }

    fn next(&self) -> u32 {
        self.made.fetch_add(1, Ordering::Relaxed)
    }
}

fn open(root: &Path) -> Arc<dyn Connector> {
    remint_file::kind().open(&serde_json::json!({ "root": root }), &HostRules::default()).unwrap()
}

#[async_trait]
impl Harness for Folder {
    fn connector(&self) -> Arc<dyn Connector> {
        open(self.root.path())
    }

    async fn call(&self) -> Call {
        Call {
            operation: OperationId(format!("operation-{}", self.next())),
            deadline: jiff::Timestamp::UNIX_EPOCH,
            actor: None,
        }
    }

    async fn store_case(&self) -> Option<StoreCase> {
        let path = format!("app-{}.{}", self.next(), self.extension);
        let kept = SecretValue::from("kept-marker-0815");
        let (content, field) = match self.extension {
            "env" => ("# head\nKEPT=kept-marker-0815\n", "PASSWORD"),
            "json" => ("{\"KEPT\": \"kept-marker-0815\"}", "db.password"),
            "yaml" => ("# head\nKEPT: kept-marker-0815\n", "db.password"),
            _ => ("", "value"),
        };
        std::fs::write(self.root.path().join(&path), content).unwrap();
        let kept = (!content.is_empty()).then(|| ("KEPT".to_owned(), kept));
        let missing = format!("nowhere/app.{}", self.extension);
        Some(StoreCase { path, field: field.to_owned(), kept, missing })
    }

    async fn consumer_case(&self) -> Option<ConsumerCase> {
        let file = self.root.path().join(format!("consumed-{}.txt", self.next()));
        let (old, new) = (Material::of("old-marker-4711".into()), Material::of("new-marker-4711".into()));
        std::fs::write(&file, old.secret.expose()).unwrap();
        let address = serve(file.clone()).await;
        std::fs::write(&file, new.secret.expose()).unwrap();
        let expected = Expected { new: new.fingerprint(), old: Some(old.fingerprint()), path: None };
        // A port that was free a moment ago and that nobody listens on.
        let gone = TcpListener::bind("127.0.0.1:0").await.unwrap().local_addr().unwrap().to_string();
        Some(ConsumerCase { workload: workload(&address), expected, missing: Some(workload(&gone)) })
    }

    async fn unreachable(&self) -> Option<Arc<dyn Connector>> {
        Some(open(&self.root.path().join("gone")))
    }
}

/// A workload that serves at this address.
fn workload(address: &str) -> Workload {
    Workload {
        name: "web".to_owned(),
        reference: "web".to_owned(),
        settings: serde_json::json!({
            "reload": {"how": "http", "settings": {"url": format!("http://{address}/reload")}},
            "confirm": {"how": "self-reported", "settings": {"http": {"url": format!("http://{address}/status")}}},
        }),
    }
}

/// One workload behind a gate; it goes back to its old value for each case.
struct Gated {
    folder: Folder,
    file: PathBuf,
    address: String,
    gate: Gate,
}

impl Gated {
    async fn new() -> Self {
        let folder = Folder::new("txt");
        let file = folder.root.path().join("consumed.txt");
        std::fs::write(&file, "").unwrap();
        let address = serve(file.clone()).await;
        let gate = Gate::to(&address).await;
        Self { folder, file, address, gate }
    }
}

#[async_trait]
impl Harness for Gated {
    fn connector(&self) -> Arc<dyn Connector> {
        self.folder.connector()
    }

    async fn call(&self) -> Call {
        self.folder.call().await
    }

    async fn consumer_case(&self) -> Option<ConsumerCase> {
        let (old, new) = (Material::of("old-marker-4711".into()), Material::of("new-marker-4711".into()));
        std::fs::write(&self.file, old.secret.expose()).unwrap();
        self.connector().reload(&self.call().await, &workload(&self.address)).await.unwrap();
        std::fs::write(&self.file, new.secret.expose()).unwrap();
        let expected = Expected { new: new.fingerprint(), old: Some(old.fingerprint()), path: None };
        Some(ConsumerCase { workload: workload(&self.gate.address), expected, missing: None })
    }

    fn gate(&self) -> Option<&Gate> {
        Some(&self.gate)
    }
}

#[tokio::test]
async fn after_a_crash_at_its_request_a_reload_is_made_again() {
    let report = run(&Gated::new().await).await;
    assert_passes(&report);
    let name = "consumer: after a crash at each request of reload it is taken up again";
    assert!(report.passed.iter().any(|passed| passed == name), "{report}");
}

/// A workload: reads its file at the start and at every POST, and answers with the fingerprint in use.
async fn serve(file: PathBuf) -> String {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap().to_string();
    let load = move || Material::of(SecretValue::new(std::fs::read(&file).unwrap())).fingerprint();
    let mut in_use = load();
    tokio::spawn(async move {
        loop {
            let (mut stream, _) = listener.accept().await.unwrap();
            let mut head = Vec::new();
            while !head.ends_with(b"\r\n\r\n") {
                head.push(stream.read_u8().await.unwrap());
            }
            if head.starts_with(b"POST") {
                in_use = load();
            }
            let body = format!("{{\"fingerprint\": \"{in_use}\"}}");
            let answer = format!("HTTP/1.1 200 OK\r\ncontent-length: {}\r\n\r\n{body}", body.len());
            stream.write_all(answer.as_bytes()).await.unwrap();
        }
    });
    address
}

#[tokio::test]
async fn files_of_every_format_conform() {
    for extension in ["env", "json", "yaml", "token"] {
        let report = run(&Folder::new(extension)).await;
        assert_passes(&report);
        assert!(report.passed.len() >= 15, "{report}");
    }
}
