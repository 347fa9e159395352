//! The suite over a folder. A test gives it a connector, a place to write to, and what cannot be reached; it knows the rest.
#![expect(clippy::unwrap_used, reason = "what cannot be set up ends the test")]

use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};

use async_trait::async_trait;
use remint_conformance::{Harness, StoreCase, assert_passes, run};
use remint_contract::{Call, Connector, ConnectorKind as _, HostRules, OperationId, SecretValue};
use serde_json::json;

struct Folder {
    root: tempfile::TempDir,
    made: AtomicU32,
}

fn open(root: &Path) -> Arc<dyn Connector> {
    remint_example_connector::kind().open(&json!({"root": root}), &HostRules::default()).unwrap()
}

#[async_trait]
impl Harness for Folder {
    fn connector(&self) -> Arc<dyn Connector> {
        open(self.root.path())
    }

    async fn call(&self) -> Call {
        let operation = OperationId(format!("operation-{}", self.made.fetch_add(1, Ordering::Relaxed)));
        Call { operation, deadline: "9000-01-01T00:00:00Z".parse().unwrap(), actor: None }
    }

    async fn store_case(&self) -> Option<StoreCase> {
        let path = format!("app-{}", self.made.fetch_add(1, Ordering::Relaxed));
        std::fs::create_dir(self.root.path().join(&path)).unwrap();
        std::fs::write(self.root.path().join(&path).join("kept"), "kept-marker-0815").unwrap();
        let kept = Some(("kept".to_owned(), SecretValue::from("kept-marker-0815")));
        Some(StoreCase { path, field: "token".to_owned(), kept, missing: "nowhere".to_owned() })
    }

    async fn unreachable(&self) -> Option<Arc<dyn Connector>> {
        Some(open(&self.root.path().join("gone")))
    }
}

#[tokio::test]
async fn the_example_behaves_as_the_contract_says() {
    let folder = Folder { root: tempfile::tempdir().unwrap(), made: AtomicU32::new(0) };
    let report = run(&folder).await;
    assert_passes(&report);
    // What is not shown is said, one by one: a harness that could set up less would be noticed here.
    let not_shown: Vec<_> = report.not_shown.iter().map(|(name, _)| name.as_str()).collect();
    let expected = [
        "describe makes no call",
        "check by somebody who may not is Denied",
        "store: readers see a staged value only after promote, which may be repeated",
        "store: a write that expects another version is a Conflict",
        "store: a late promote of an older version leaves the newer value alone",
        "store: a destroyed version is gone, and destroying it again is fine",
        "store: after a crash at each request of write it is taken up again",
    ];
    assert_eq!(not_shown, expected, "{report}");
}
