//! Ten thousand credentials as objects, over four systems in this process that answer at once.

use std::sync::Arc;
use std::time::Duration;

use remint_contract::{Capabilities, Connector, ConnectorKind, Error, HostRules, Kinds, SettingProblem};
use serde_json::{Value, json};

use crate::fanout::shape::name;
use crate::fanout::town::{FIELD, Town};

const SYSTEMS: usize = 4;
/// The kind that the definitions have for what is only played.
const KIND: &str = "fake";

/// The town under a name that an API server takes.
pub(super) struct Named(Town);

impl Named {
    /// So many credentials, each at home at a system.
    pub(super) fn of(credentials: usize) -> Self {
        let town = Town::new(SYSTEMS, Duration::ZERO);
        for index in 0..credentials {
            town.settle(index % SYSTEMS, &name(index), None);
        }
        Self(town)
    }
}

impl ConnectorKind for Named {
    fn name(&self) -> &'static str {
        KIND
    }

    fn describe(&self, settings: &Value) -> Result<Capabilities, Vec<SettingProblem>> {
        self.0.describe(settings)
    }

    fn open(&self, settings: &Value, rules: &HostRules) -> Result<Arc<dyn Connector>, Error> {
        self.0.open(settings, rules)
    }
}

impl Kinds for Named {
    fn kind(&self, name: &str) -> Option<&dyn ConnectorKind> {
        (name == KIND).then_some(self as &dyn ConnectorKind)
    }

    fn names(&self) -> Vec<&'static str> {
        vec![KIND]
    }
}

fn object(kind: &str, name: &str, space: &str, spec: Value) -> Value {
    let mut made = json!({"apiVersion": "remint.dev/v1alpha1", "kind": kind, "metadata": {"name": name}, "spec": spec});
    if !space.is_empty() {
        made["metadata"]["namespace"] = json!(space);
    }
    made
}

pub(super) fn credential(index: usize, space: &str) -> Value {
    let (name, system) = (name(index), format!("s{}", index % SYSTEMS));
    let spec = json!({
        "type": "api-key", "identity": "all", "issuedBy": {"system": system, "target": name},
        "deliveredTo": [{"at": format!("{system}:{name}"), "fields": {FIELD: "{secret}"}}],
        "consumedBy": [name], "rotation": {"strategy": "overlap"},
    });
    object("Credential", &name, space, spec)
}

/// Everything, in an order in which nothing refers to what is still to come.
pub(super) fn documents(credentials: usize) -> Vec<Value> {
    let owners = json!({"business": "b", "policy": "p", "execution": "e"});
    let mut all = vec![object("Identity", "all", "default", json!({"class": "machine", "owners": owners}))];
    all.extend((0..SYSTEMS).map(|number| {
        let spec = json!({KIND: {"number": number}, "budget": {"concurrency": 64}});
        object("System", &format!("s{number}"), "", spec)
    }));
    for index in 0..credentials {
        let (name, system) = (name(index), format!("s{}", index % SYSTEMS));
        let confirm = json!({"how": "self-reported", "within": "10m"});
        let spec = json!({"runsOn": {"system": system, "ref": name}, "reload": "signal", "confirm": confirm});
        all.push(object("Workload", &name, "default", spec));
        all.push(credential(index, "default"));
    }
    all
}

/// What is said of one that is settled.
pub(super) fn status() -> Value {
    let at = "2026-11-22T10:00:00Z";
    let condition = |kind: &str, reason: &str| {
        json!({
            "type": kind, "status": "True", "reason": reason, "message": "", "lastTransitionTime": at, "observedGeneration": 1,
        })
    };
    json!({
        "observedGeneration": 1, "conditions": [condition("Ready", "Settled"), condition("Valid", "Valid")],
        "state": "Settled", "reset": "k-all-0123456789abcdef01234567", "lastRotated": at, "proof": "refused",
    })
}
