//! Remint in its own estate.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use remint_contract::{ConfirmGrade, Kind, Name, NameError, Ref};

use super::model::{Confirm, ConfirmHow, Estate, Meta, Reload, Workload};

/// The name of the workload that is this daemon, in the default namespace.
pub(super) const REMINT: &str = "remint";

/// Adds `Workload/remint`, the reader of every system's `auth`. Doing it again changes nothing.
///
/// It knows which value it logged in with, so that it confirms itself.
pub fn derive_remint(estate: &mut Estate) {
    let Ok(own) = own() else { return };
    let acting: BTreeSet<Ref> = estate.systems.values().filter_map(|system| system.auth.clone()).collect();
    for (name, credential) in &mut estate.credentials {
        if acting.contains(name) {
            credential.consumed_by.insert(own.clone());
        } else {
            credential.consumed_by.remove(&own);
        }
    }
    if acting.is_empty() {
        estate.workloads.remove(&own);
        return;
    }
    let meta = Meta { name: own.name.clone(), namespace: own.namespace.clone(), labels: BTreeMap::new() };
    let workload = Workload {
        meta,
        runs_on: None,
        reload: Reload { how: "none".into(), settings: serde_json::Value::Null },
        confirm: Confirm {
            how: ConfirmHow(ConfirmGrade::SelfReported),
            within: Duration::from_mins(1),
            source: None,
            settings: serde_json::Value::Null,
        },
        reads: Vec::new(),
    };
    estate.workloads.insert(own, workload);
}

/// Takes it out again: what is left is what people wrote.
pub(super) fn forget_remint(estate: &mut Estate) {
    let Ok(own) = own() else { return };
    estate.workloads.remove(&own);
    for credential in estate.credentials.values_mut() {
        credential.consumed_by.remove(&own);
    }
}

fn own() -> Result<Ref, NameError> {
    Ref::within(Kind::Workload, &Name::default_namespace(), REMINT)
}
