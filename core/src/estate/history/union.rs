//! Two estates of different times as one.

use std::collections::BTreeMap;

use remint_contract::Ref;

use crate::estate::model::{Credential, Destination, Estate, Workload};

/// Adds to `whole` what an older estate said and it does not.
pub(super) fn add(whole: &mut Estate, older: &Estate) {
    missing(&mut whole.systems, &older.systems);
    missing(&mut whole.identities, &older.identities);
    missing(&mut whole.windows, &older.windows);
    missing(&mut whole.grants, &older.grants);
    for (name, old) in &older.credentials {
        match whole.credentials.get_mut(name) {
            Some(credential) => widen(credential, old),
            None => drop(whole.credentials.insert(name.clone(), old.clone())),
        }
    }
    for (name, old) in &older.workloads {
        match whole.workloads.get_mut(name) {
            Some(workload) => widen_workload(workload, old),
            None => drop(whole.workloads.insert(name.clone(), old.clone())),
        }
    }
}

fn missing<T: Clone>(into: &mut BTreeMap<Ref, T>, from: &BTreeMap<Ref, T>) {
    for (name, document) in from {
        if !into.contains_key(name) {
            into.insert(name.clone(), document.clone());
        }
    }
}

fn widen(credential: &mut Credential, old: &Credential) {
    for place in &old.delivered_to {
        match credential.delivered_to.iter_mut().find(|one| one.at == place.at) {
            Some(one) => {
                for (field, template) in &place.fields {
                    one.fields.entry(field.clone()).or_insert_with(|| template.clone());
                }
            }
            // The newest estate says which place is the source of truth.
            None => credential.delivered_to.push(Destination { source: false, ..place.clone() }),
        }
    }
    credential.consumed_by.extend(old.consumed_by.iter().cloned());
    extend(&mut credential.trusted_by, &old.trusted_by);
    credential.verified_by.extend(old.verified_by.iter().cloned());
    extend(&mut credential.unlocks, &old.unlocks);
}

fn widen_workload(workload: &mut Workload, old: &Workload) {
    extend(&mut workload.reads, &old.reads);
    if workload.runs_on.is_none() {
        workload.runs_on.clone_from(&old.runs_on);
    }
}

fn extend<T: Clone + PartialEq>(into: &mut Vec<T>, from: &[T]) {
    for item in from {
        if !into.contains(item) {
            into.push(item.clone());
        }
    }
}
