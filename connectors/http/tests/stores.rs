//! The conformance suite for the recipes that keep values, over a small server of this test. Nothing here was tried against
//! gitlab.com or github.com.
#![expect(clippy::unwrap_used, reason = "what cannot be set up ends the test")]

mod shelf;

use std::collections::BTreeSet;
use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};

use async_trait::async_trait;
use remint_conformance::gate::Gate;
use remint_conformance::{Harness, Report, StoreCase, assert_passes, run};
use remint_contract::{
    Call, Connector, ConnectorKind as _, ErrorKind, HostRules, Material, OperationId, SecretValue, WHOLE, WriteRequest,
};
use serde_json::json;
use shelf::{ADMIN, HOME, Shelf};

struct Case {
    recipe: &'static str,
    /// Below the host.
    base: &'static str,
    shelf: Shelf,
    gate: Gate,
    made: AtomicU32,
}

const GITLAB: (&str, &str) = ("gitlab-project-variable", "/api/v4");
const GITHUB: (&str, &str) = ("github-actions-secret", "");

impl Case {
    async fn of((recipe, base): (&'static str, &'static str)) -> Self {
        let shelf = Shelf::start().await;
        let gate = Gate::to(&shelf.address).await;
        Self { recipe, base, shelf, gate, made: AtomicU32::new(0) }
    }

    fn open(&self, address: &str) -> Arc<dyn Connector> {
        let rules = HostRules { hosts: BTreeSet::from([address.to_owned()]), ..HostRules::default() };
        let settings = json!({"recipe": self.recipe, "base": format!("http://{address}{}", self.base)});
        remint_http::kind().open(&settings, &rules).unwrap()
    }

    fn acting(&self, actor: &str) -> Call {
        let operation = OperationId(format!("operation-{}", self.made.fetch_add(1, Ordering::Relaxed)));
        let deadline = "2026-11-21T17:00:00Z".parse().unwrap();
        Call { operation, deadline, actor: Some(Arc::new(Material::of(actor.into()))) }
    }

    fn put(path: &str, field: &str, value: &str) -> WriteRequest {
        let fields = [(field.to_owned(), SecretValue::from(value))].into();
        WriteRequest { path: path.to_owned(), fields, expect: None }
    }
}

#[async_trait]
impl Harness for Case {
    fn connector(&self) -> Arc<dyn Connector> {
        self.open(&self.gate.address)
    }

    async fn call(&self) -> Call {
        self.acting(ADMIN)
    }

    async fn store_case(&self) -> Option<StoreCase> {
        let path = format!("{HOME}/TOKEN_{}", self.made.fetch_add(1, Ordering::Relaxed));
        Some(StoreCase { path, field: WHOLE.to_owned(), kept: None, missing: "octo/gone/TOKEN".to_owned() })
    }

    async fn stored(&self, path: &str, _field: &str) -> Option<SecretValue> {
        let name = path.rsplit('/').next()?;
        self.shelf.world().kept.get(name).map(|value| SecretValue::from(value.as_str()))
    }

    async fn wrong_actor(&self) -> Option<Call> {
        Some(self.acting("nobody-marker-4711"))
    }

    async fn unreachable(&self) -> Option<Arc<dyn Connector>> {
        let free = std::net::TcpListener::bind(("127.0.0.1", 0)).unwrap().local_addr().unwrap();
        Some(self.open(&free.to_string()))
    }

    async fn requests(&self) -> Option<u64> {
        Some(self.shelf.world().asked.len() as u64)
    }

    fn gate(&self) -> Option<&Gate> {
        Some(&self.gate)
    }
}

fn not_shown(report: &Report) -> Vec<&str> {
    report.not_shown.iter().map(|(name, _)| name.as_str()).collect()
}

/// What a store without versions cannot show.
const PLAIN: [&str; 4] = [
    "store: readers see a staged value only after promote, which may be repeated",
    "store: a write that expects another version is a Conflict",
    "store: a late promote of an older version leaves the newer value alone",
    "store: a destroyed version is gone, and destroying it again is fine",
];

#[tokio::test]
async fn variables_of_gitlab_behave_as_the_contract_says() {
    let case = Case::of(GITLAB).await;
    let report = run(&case).await;
    assert_passes(&report);
    assert_eq!(not_shown(&report), PLAIN, "{report}");
}

#[tokio::test]
async fn secrets_of_github_behave_as_the_contract_says_and_leave_only_sealed() {
    let case = Case::of(GITHUB).await;
    let report = run(&case).await;
    assert_passes(&report);
    assert_eq!(not_shown(&report), PLAIN, "{report}");
    let world = case.shelf.world();
    let asked = world.asked.join("\n");
    assert!(asked.contains("encrypted_value") && asked.contains("2022-11-28"), "{asked}");
    for value in world.kept.values() {
        assert!(!asked.contains(value), "{asked}");
    }
}

#[tokio::test]
async fn a_value_that_gitlab_would_not_mask_is_refused_by_its_class() {
    let case = Case::of(GITLAB).await;
    let request = Case::put(&format!("{HOME}/TOKEN"), WHOLE, "has a space in it");
    let error = case.connector().write(&case.call().await, &request).await.unwrap_err();
    assert_eq!(error.kind, ErrorKind::RefusedValue, "{error}");
    assert!(!format!("{error} {error:?}").contains("space in it"), "{error:?}");
}

#[tokio::test]
async fn a_path_or_a_field_that_does_not_fit_is_refused_before_anything_is_asked() {
    let case = Case::of(GITHUB).await;
    let (connector, call) = (case.connector(), case.call().await);
    for (path, field, kind) in [
        ("octo/home", WHOLE, ErrorKind::Invalid),
        ("octo/home/a/b", WHOLE, ErrorKind::Invalid),
        ("octo//TOKEN", WHOLE, ErrorKind::Invalid),
        ("octo/home/TOKEN", "user", ErrorKind::RefusedValue),
    ] {
        let request = Case::put(path, field, "value-marker-4711");
        assert_eq!(connector.fits(path, &request.fields).unwrap_err().kind, kind, "{path}#{field}");
        assert_eq!(connector.write(&call, &request).await.unwrap_err().kind, kind, "{path}#{field}");
    }
    assert!(case.shelf.world().asked.is_empty());
}
