//! A store in memory.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::atomic::{AtomicU32, Ordering};
use std::sync::{Arc, Mutex};

use async_trait::async_trait;
use remint_conformance::{Harness, Report, StoreCase, run};
use remint_contract::{
    Call, Capabilities, Connector, Error, ErrorKind, OperationId, ReadBack, SecretValue, StoreCapabilities, Verb,
    WriteRequest, Written,
};

type Fields = BTreeMap<String, SecretValue>;

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Defect {
    None,
    DropsOtherFields,
    PrintsSecrets,
    HasUndeclaredVerb,
    ClassesMissingAsDenied,
    DestroysOnCheck,
}

struct Shelf {
    defect: Defect,
    paths: Mutex<BTreeMap<String, Fields>>,
    made: AtomicU32,
}

#[async_trait]
impl Connector for Shelf {
    fn describe(&self) -> Capabilities {
        Capabilities {
            verbs: BTreeSet::from([Verb::Check, Verb::Write, Verb::Read]),
            issuer: None,
            store: Some(StoreCapabilities {
                compare_and_set: false,
                staged: false,
                versioned: false,
                own_login: false,
            }),
            consumer: None,
        }
    }

    async fn check(&self, _call: &Call, path: Option<&str>) -> Result<(), Error> {
        if let (Some(path), Defect::DestroysOnCheck) = (path, self.defect) {
            self.paths.lock().unwrap().remove(path);
        }
        Ok(())
    }

    async fn write(&self, _call: &Call, request: &WriteRequest) -> Result<Written, Error> {
        let mut paths = self.paths.lock().unwrap();
        let fields = paths.entry(request.path.clone()).or_default();
        if self.defect == Defect::DropsOtherFields {
            fields.clear();
        }
        fields.extend(request.fields.clone());
        let version = match (self.defect, request.fields.values().next()) {
            (Defect::PrintsSecrets, Some(value)) => value.expose_str().unwrap().to_owned(),
            _ => "1".to_owned(),
        };
        Ok(Written { version })
    }

    async fn read(&self, _call: &Call, path: &str) -> Result<ReadBack, Error> {
        let kind = if self.defect == Defect::ClassesMissingAsDenied { ErrorKind::Denied } else { ErrorKind::Missing };
        let fields = self.paths.lock().unwrap().get(path).cloned();
        let fields = fields.ok_or_else(|| Error::new(kind, Verb::Read, "nothing is there"))?;
        Ok(ReadBack { version: "1".to_owned(), fields })
    }

    async fn versions(&self, _call: &Call, _path: &str) -> Result<Vec<String>, Error> {
        match self.defect {
            Defect::HasUndeclaredVerb => Ok(Vec::new()),
            _ => Err(Error::unsupported(Verb::Versions)),
        }
    }
}

struct OneShelf(Arc<Shelf>);

#[async_trait]
impl Harness for OneShelf {
    fn connector(&self) -> Arc<dyn Connector> {
        self.0.clone()
    }

    async fn call(&self) -> Call {
        let operation = OperationId(self.0.made.fetch_add(1, Ordering::Relaxed).to_string());
        Call { operation, deadline: "2026-01-01T00:00:00Z".parse().unwrap(), actor: None }
    }

    async fn store_case(&self) -> Option<StoreCase> {
        let path = format!("path-{}", self.0.made.fetch_add(1, Ordering::Relaxed));
        let kept = ("kept".to_owned(), SecretValue::from("kept-marker-0815"));
        self.0.paths.lock().unwrap().insert(path.clone(), Fields::from([kept.clone()]));
        Some(StoreCase { path, field: "secret".to_owned(), kept: Some(kept), missing: "nowhere".to_owned() })
    }
}

async fn examine(defect: Defect) -> Report {
    let shelf = Shelf { defect, paths: Mutex::default(), made: AtomicU32::new(0) };
    run(&OneShelf(Arc::new(shelf))).await
}

#[tokio::test]
async fn a_sound_store_passes_and_what_was_not_tried_is_named() {
    let report = examine(Defect::None).await;
    assert_eq!(report.failed, [], "\n{report}");
    let text = report.to_string();
    assert!(text.contains("not shown  describe makes no call: the target counts no requests"), "\n{text}");
    assert!(text.contains("passed     store: what is written is read back and other fields stay"), "\n{text}");
}

#[tokio::test]
async fn every_defect_fails_the_check_that_is_about_it() {
    let table = [
        (Defect::DropsOtherFields, "store: what is written is read back and other fields stay"),
        (Defect::PrintsSecrets, "no error and no printed value holds a secret"),
        (Defect::HasUndeclaredVerb, "verbs that are not declared answer Unsupported"),
        (Defect::ClassesMissingAsDenied, "store: what is not there is Missing"),
        (Defect::DestroysOnCheck, "store: check of a path changes nothing"),
    ];
    for (defect, check) in table {
        let report = examine(defect).await;
        assert!(report.failed.iter().any(|(failed, _)| failed == check), "{defect:?}\n{report}");
    }
}
