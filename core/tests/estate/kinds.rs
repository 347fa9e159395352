//! Connector kinds for these tests: they read settings and open nothing.

use std::collections::BTreeSet;
use std::sync::Arc;
use std::time::Duration;

use remint_contract::{
    Capabilities, Connector, ConnectorKind, ConsumerCapabilities, Error, HostRules, IssuerCapabilities, Kinds, MadeBy,
    ProbeCost, SettingProblem, Slots, StoreCapabilities, Strategy, Target, Verb,
};
use remint_core::estate::{Estate, Loaded, Problems, SourceFile, load};
use serde_json::Value;

/// A kind whose capabilities are its settings: `{strategies: [..], slots: one|two|many, issues: bool, stores: bool}`.
struct FakeKind(&'static str);

fn strategy(word: &str) -> Option<Strategy> {
    serde_json::from_value(Value::String(word.to_owned())).ok()
}

impl ConnectorKind for FakeKind {
    fn name(&self) -> &'static str {
        self.0
    }

    fn describe(&self, settings: &Value) -> Result<Capabilities, Vec<SettingProblem>> {
        let mut problems = Vec::new();
        let mut strategies = BTreeSet::new();
        let words = settings["strategies"].as_array().cloned();
        let words = words.unwrap_or_else(|| ["overlap", "alternate", "in-place"].map(Value::from).to_vec());
        for (index, word) in words.iter().enumerate() {
            match word.as_str().and_then(strategy) {
                Some(strategy) => drop(strategies.insert(strategy)),
                None => problems.push(SettingProblem {
                    path: vec!["strategies".into(), index.to_string()],
                    message: "no such strategy".into(),
                }),
            }
        }
        if let Some(port) = settings.get("port").filter(|port| !port.is_u64()) {
            problems.push(SettingProblem { path: vec!["port".into()], message: format!("{port} is not a port") });
        }
        if !problems.is_empty() {
            return Err(problems);
        }
        let slots = match settings["slots"].as_str() {
            Some("one") => Slots::One,
            Some("two") => Slots::Two,
            _ => Slots::Many,
        };
        let issuer = IssuerCapabilities {
            slots,
            made_by: MadeBy::Remint,
            probe: ProbeCost::Free,
            propagation: Duration::ZERO,
            strategies,
            endpoints: Vec::new(),
            verifies_at: None,
            reversible_disable: true,
            dies_with_issuer: true,
            calls: Vec::new(),
        };
        let store = StoreCapabilities { compare_and_set: false, staged: false, versioned: false, own_login: false };
        let has = |role: &str| settings[role].as_bool().unwrap_or(true);
        Ok(Capabilities {
            verbs: BTreeSet::new(),
            issuer: has("issues").then_some(issuer),
            store: has("stores").then_some(store),
            consumer: Some(ConsumerCapabilities { grades: BTreeSet::new() }),
        })
    }

    fn check_target(&self, settings: &Value, _: &Target, _: Strategy) -> Vec<SettingProblem> {
        let ttl = settings.get("ttl").filter(|ttl| !ttl.is_string());
        ttl.map(|_| SettingProblem { path: vec!["ttl".into()], message: "not text".into() }).into_iter().collect()
    }

    fn open(&self, _: &Value, _: &HostRules) -> Result<Arc<dyn Connector>, Error> {
        Err(Error::unsupported(Verb::Check))
    }
}

/// `fake`, and the names of two real kinds that take any settings.
pub(crate) struct TestKinds([FakeKind; 3]);

pub(crate) const KINDS: TestKinds = TestKinds([FakeKind("fake"), FakeKind("file"), FakeKind("sql")]);

impl Kinds for TestKinds {
    fn kind(&self, name: &str) -> Option<&dyn ConnectorKind> {
        self.0.iter().find(|kind| kind.0 == name).map(|kind| kind as &dyn ConnectorKind)
    }

    fn names(&self) -> Vec<&'static str> {
        self.0.iter().map(|kind| kind.0).collect()
    }
}

pub(crate) fn file(name: &str, bytes: impl Into<Vec<u8>>) -> SourceFile {
    SourceFile { name: name.to_owned(), bytes: bytes.into() }
}

/// Loads one file called `estate.yaml`.
pub(crate) fn loading(text: impl Into<Vec<u8>>) -> Result<Loaded, Problems> {
    load(&[file("estate.yaml", text)], &KINDS)
}

pub(crate) fn good(text: &str) -> Estate {
    match loading(text) {
        Ok(loaded) => loaded.estate,
        Err(problems) => panic!("{problems}"),
    }
}

/// The problems of a text that must not load.
pub(crate) fn bad(text: impl Into<Vec<u8>>) -> String {
    loading(text).expect_err("the text has a problem").to_string()
}

/// A document in one line.
pub(crate) fn document(kind: &str, name: &str, spec: &str) -> String {
    format!("---\napiVersion: remint.dev/v1alpha1\nkind: {kind}\nmetadata: {{name: {name}}}\nspec: {spec}\n")
}

/// Two systems, an identity and a workload that most tests refer to.
pub(crate) fn ground() -> String {
    [
        document("System", "issuer", "{fake: {}}"),
        document("System", "host", "{fake: {}}"),
        document("Identity", "app", "{class: workload, owners: {policy: a, execution: b, business: c}}"),
        document(
            "Workload",
            "web",
            "{runsOn: {system: host, ref: web}, reload: signal, confirm: {how: self-reported}}",
        ),
    ]
    .concat()
}
