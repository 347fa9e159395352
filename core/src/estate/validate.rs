//! What only the whole estate can show. Each check reads the draft and reports; none stops another.

mod cycles;
mod places;
mod references;
mod strategy;
mod windows;

use remint_contract::{ConfirmGrade, Kinds};

use super::load::Draft;
use super::problem::Reporter;

pub(super) fn all(draft: &Draft, kinds: &dyn Kinds, report: &mut Reporter<'_>) {
    missing(draft, report);
    wrong(draft, kinds, report);
    // Notes on an estate that is refused would be noise: what is missing may be what could not be read.
    if !report.has_errors() {
        owners(draft, report);
        idle(draft, report);
        windows::empty(draft, report);
    }
}

/// References to what is not there: it may still come.
pub(super) fn missing(draft: &Draft, report: &mut Reporter<'_>) {
    references::lost(draft, report);
}

/// What nothing that comes later makes good.
pub(super) fn wrong(draft: &Draft, kinds: &dyn Kinds, report: &mut Reporter<'_>) {
    references::granted(draft, report);
    cycles::auth(draft, report);
    cycles::minting(draft, report);
    places::sources(draft, report);
    places::overlaps(draft, report);
    strategy::possible(draft, kinds, report);
    confirmations(draft, report);
    windows::offsets(draft, report);
}

/// An issuer that sees a use cannot say which of several consumers it was, unless it is told how to tell them apart.
fn confirmations(draft: &Draft, report: &mut Reporter<'_>) {
    for (name, credential) in &draft.estate.credentials {
        if credential.consumed_by.len() < 2 {
            continue;
        }
        for consumer in &credential.consumed_by {
            let Some(workload) = draft.estate.workloads.get(consumer) else { continue };
            if workload.confirm.how.0 == ConfirmGrade::IssuerSeen && workload.confirm.source.is_none() {
                let message =
                    format!("several workloads read {name}, and the issuer cannot tell this one from the others");
                let hint = "add `source:` to `confirm`, with what the issuer calls it (application name, address)";
                report.error(draft.at(consumer, &["spec", "confirm"]), Some(consumer), message, hint);
            }
        }
    }
}

fn owners(draft: &Draft, report: &mut Reporter<'_>) {
    for (name, identity) in &draft.estate.identities {
        let owners = &identity.owners;
        let missing: Vec<&str> =
            [("policy", &owners.policy), ("execution", &owners.execution), ("business", &owners.business)]
                .into_iter()
                .filter(|(_, owner)| owner.is_none())
                .map(|(word, _)| word)
                .collect();
        if !missing.is_empty() {
            let span = draft.at(name, &["spec", "owners"]);
            let message = format!("nobody is named as {} owner", missing.join(", "));
            report.warn(span, Some(name), message, "name who answers for it under `owners`");
        }
    }
}

fn idle(draft: &Draft, report: &mut Reporter<'_>) {
    let estate = &draft.estate;
    let acting: std::collections::BTreeSet<_> =
        estate.systems.values().filter_map(|system| system.auth.as_ref()).collect();
    for (name, credential) in &estate.credentials {
        if credential.consumed_by.is_empty() && !acting.contains(name) {
            let hint = "name its readers under `consumedBy`, or retire it";
            report.warn(draft.at(name, &["spec"]), Some(name), "no workload reads this credential", hint);
        }
    }
    let reading: std::collections::BTreeSet<_> = estate
        .credentials
        .values()
        .flat_map(|credential| credential.consumed_by.iter().chain(&credential.verified_by))
        .collect();
    for (name, workload) in &estate.workloads {
        if !reading.contains(name) && workload.reads.is_empty() {
            let hint = "name it under `consumedBy` of what it reads, or give it `reads`";
            report.warn(draft.at(name, &["spec"]), Some(name), "this workload reads no credential", hint);
        }
    }
}
