//! Credentials whose document is gone and whose versions are not proven dead.

use std::collections::BTreeSet;

use remint_contract::{Kind, Ref};

use crate::estate::model::{Credential, Estate, UnlockWhat};

/// Copies into `next` every credential of `active` that it lacks and that is not in `dead`, as a ghost, with the
/// documents that those need. What `next` has itself stays as it says.
pub(super) fn carry(active: &Estate, next: &mut Estate, dead: &BTreeSet<Ref>) {
    let gone: Vec<Ref> = active
        .credentials
        .keys()
        .filter(|name| !next.credentials.contains_key(*name) && !dead.contains(*name))
        .cloned()
        .collect();
    let mut wanted: Vec<Ref> = gone.clone();
    for name in gone {
        if let Some(credential) = active.credentials.get(&name) {
            next.credentials.insert(name, Credential { ghost: true, ..credential.clone() });
        }
    }
    // Each document is brought at most once, so that the walk ends.
    let mut brought: BTreeSet<Ref> = BTreeSet::new();
    while let Some(name) = wanted.pop() {
        if brought.insert(name.clone()) {
            bring(active, next, &name, &mut wanted);
        }
    }
    prune(next);
}

/// Brings one document when `next` lacks it, and asks for what it refers to.
fn bring(active: &Estate, next: &mut Estate, name: &Ref, wanted: &mut Vec<Ref>) {
    match name.kind {
        Kind::System => {
            if let (false, Some(system)) = (next.systems.contains_key(name), active.systems.get(name)) {
                wanted.extend(system.refers().cloned());
                next.systems.insert(name.clone(), system.clone());
            }
        }
        Kind::Identity => {
            if let (false, Some(identity)) = (next.identities.contains_key(name), active.identities.get(name)) {
                next.identities.insert(name.clone(), identity.clone());
            }
        }
        Kind::Workload => {
            if let (false, Some(workload)) = (next.workloads.contains_key(name), active.workloads.get(name)) {
                wanted.extend(workload.refers().cloned());
                next.workloads.insert(name.clone(), workload.clone());
            }
        }
        Kind::Credential => {
            if let Some(ghost) = next.credentials.get(name).filter(|credential| credential.ghost) {
                wanted.extend(ghost.refers().cloned());
            }
        }
        Kind::ApprovalPolicy | Kind::RotationWindow | Kind::Grant => {}
    }
}

/// Takes out references to credentials that are proven dead: a dead key opens nothing and mints nothing.
fn prune(next: &mut Estate) {
    let alive: BTreeSet<Ref> = next.credentials.keys().cloned().collect();
    for system in next.systems.values_mut() {
        system.auth = system.auth.take().filter(|auth| alive.contains(auth));
    }
    for ghost in next.credentials.values_mut().filter(|credential| credential.ghost) {
        ghost.issued_by.by = ghost.issued_by.by.take().filter(|by| alive.contains(by));
        ghost.unlocks.retain(|unlock| match &unlock.what {
            UnlockWhat::Node(node) if node.kind == Kind::Credential => alive.contains(node),
            _ => true,
        });
    }
}
