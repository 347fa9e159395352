//! What is asked of a system, its connector can do.

use std::collections::BTreeSet;

use remint_contract::{ConfirmGrade, IssuerCapabilities, Kinds, Location, Ref, Slots, Strategy, Template};

use crate::estate::decode::STRATEGIES;
use crate::estate::load::Draft;
use crate::estate::model::{Credential, CredentialClass, Destination, System};
use crate::estate::problem::Reporter;

pub(super) fn possible(draft: &Draft, kinds: &dyn Kinds, report: &mut Reporter<'_>) {
    for (name, credential) in &draft.estate.credentials {
        issuing(draft, kinds, name, credential, report);
        classed(draft, name, credential, report);
        verified(draft, name, credential, report);
        leased(draft, name, credential, report);
        storing(draft, name, credential, report);
    }
}

fn issuing(draft: &Draft, kinds: &dyn Kinds, name: &Ref, credential: &Credential, report: &mut Reporter<'_>) {
    let issued = &credential.issued_by;
    let strategy = credential.rotation.strategy;
    let (Some(system), Some(capabilities)) =
        (draft.estate.systems.get(&issued.system), draft.capabilities.get(&issued.system))
    else {
        return;
    };
    if strategy == Strategy::Manual {
        return;
    }
    let Some(issuer) = &capabilities.issuer else {
        let message = format!("{} issues no credentials: it is a `{}`", issued.system, system.connector);
        let hint = "name the System that issues it, or write `rotation: {strategy: manual}` to have it as a task";
        report.error(draft.at(name, &["spec", "issuedBy", "system"]), Some(name), message, hint);
        return;
    };
    let span = draft.at(name, &["spec", "rotation", "strategy"]);
    if let Some((message, hint)) = impossible(strategy, system, issuer) {
        report.error(span, Some(name), message, hint);
        return;
    }
    if credential.class == CredentialClass::Encryption && !capabilities.can_rewrap() {
        let message = format!(
            "`{}` cannot move what is encrypted to another version, or stop a version reversibly",
            system.connector
        );
        let hint = "write `rotation: {strategy: manual}`: a person moves the data, and Remint looks";
        report.error(draft.at(name, &["spec", "class"]), Some(name), message, hint);
        return;
    }
    if let Some(kind) = kinds.kind(&system.connector) {
        for problem in kind.check_target(&issued.target.settings, &issued.target, strategy) {
            let path: Vec<&str> =
                ["spec", "issuedBy"].into_iter().chain(problem.path.iter().map(String::as_str)).collect();
            let message = format!("`{}`: {}", path[1..].join("."), problem.message);
            report.error(draft.at(name, &path), Some(name), message, "see the connector's settings of a target");
        }
    }
}

fn impossible(strategy: Strategy, system: &System, issuer: &IssuerCapabilities) -> Option<(String, String)> {
    let word = spell(strategy);
    let offered = offered(&issuer.strategies);
    if matches!(strategy, Strategy::Overlap | Strategy::DualTrust) && issuer.slots == Slots::One {
        let message =
            format!("the strategy `{word}` needs room for two versions, and `{}` has room for one", system.connector);
        return Some((message, format!("write `strategy:` with one of {offered}")));
    }
    if !issuer.strategies.contains(&strategy) {
        let message = format!("the connector `{}` does not have the strategy `{word}`", system.connector);
        return Some((message, format!("write `strategy:` with one of {offered}")));
    }
    None
}

/// A class leaves few ways.
fn classed(draft: &Draft, name: &Ref, credential: &Credential, report: &mut Reporter<'_>) {
    let strategy = credential.rotation.strategy;
    let (message, hint) = match credential.class {
        CredentialClass::VerifierPair if !matches!(strategy, Strategy::DualTrust | Strategy::Manual) => (
            "the verifiers of a signing key must trust the new one before it signs",
            "write `strategy: dual-trust`, or leave it out",
        ),
        CredentialClass::Encryption if !matches!(strategy, Strategy::Overlap | Strategy::Manual) => (
            "an encryption key is replaced by a new version beside the old one, which its data still need",
            "write `strategy: overlap`, or leave it out",
        ),
        _ => return,
    };
    report.error(draft.at(name, &["spec", "rotation", "strategy"]), Some(name), message, hint);
}

/// Who verifies is asked only where something is verified, and only who can be asked.
fn verified(draft: &Draft, name: &Ref, credential: &Credential, report: &mut Reporter<'_>) {
    let trusted =
        credential.class == CredentialClass::VerifierPair || credential.rotation.strategy == Strategy::DualTrust;
    if !trusted {
        if !credential.verified_by.is_empty() {
            let message = "nobody verifies this: its class is not `verifier-pair` and its strategy not `dual-trust`";
            let hint = "take `verifiedBy` out, or write `strategy: dual-trust`";
            report.error(draft.at(name, &["spec", "verifiedBy"]), Some(name), message, hint);
        }
        return;
    }
    for verifier in &credential.verified_by {
        if draft.estate.workloads.get(verifier).is_some_and(|workload| workload.runs_on.is_none()) {
            let message = format!("{verifier} runs nowhere, so nobody can ask whether it trusts the new version");
            let hint = "give the Workload `runsOn`, or take it out of `verifiedBy`";
            report.error(draft.at(name, &["spec", "verifiedBy"]), Some(name), message, hint);
        }
    }
    let kept = |place: &&Location| {
        let whole = place.whole();
        let lies = |other: &Credential| other.delivered_to.iter().any(|there| there.at.whole() == whole);
        !draft.estate.credentials.values().any(lies)
    };
    let names_public = |destination: &Destination| destination.fields.values().any(Template::has_username);
    let knows = credential.source().is_some_and(names_public);
    let manual = credential.rotation.strategy == Strategy::Manual;
    if !knows && !manual && credential.trusted_by.iter().any(|place| kept(&place)) {
        let message =
            "the bundle of `trustedBy` holds public halves, and no field of the source of truth has this one's";
        let hint = "write `fields:` with one of \"{username}\" beside \"{secret}\" in `deliveredTo`";
        report.error(draft.at(name, &["spec", "trustedBy"]), Some(name), message, hint);
    }
}

/// Consumers fetch leases by themselves: nothing is delivered, and each has a value of its own.
fn leased(draft: &Draft, name: &Ref, credential: &Credential, report: &mut Reporter<'_>) {
    if credential.rotation.strategy != Strategy::Ephemeral {
        return;
    }
    if !credential.delivered_to.is_empty() {
        let message = "leases are fetched by their consumers; nothing is delivered";
        let hint = "take `deliveredTo` out, or take another strategy than `ephemeral`";
        report.error(draft.at(name, &["spec", "deliveredTo"]), Some(name), message, hint);
    }
    for consumer in &credential.consumed_by {
        let Some(workload) = draft.estate.workloads.get(consumer) else { continue };
        if matches!(workload.confirm.how.0, ConfirmGrade::SelfReported | ConfirmGrade::Served) {
            let message = format!("{name} gives every consumer a value of its own, which Remint does not know");
            let hint = "write `how: issuer-seen`, `rolled-out` or `attested`";
            report.error(draft.at(consumer, &["spec", "confirm"]), Some(consumer), message, hint);
        }
    }
}

fn storing(draft: &Draft, name: &Ref, credential: &Credential, report: &mut Reporter<'_>) {
    for (index, place) in credential.delivered_to.iter().enumerate() {
        let Some(capabilities) = draft.capabilities.get(&place.at.system) else { continue };
        if capabilities.store.is_none() {
            let span = draft.at(name, &["spec", "deliveredTo", &index.to_string(), "at"]);
            let message = format!("{} keeps no values", place.at.system);
            report.error(span, Some(name), message, "name a System that stores: a file system, a secret store");
        }
    }
}

fn spell(strategy: Strategy) -> &'static str {
    STRATEGIES.iter().find(|(_, one)| *one == strategy).map_or("", |(word, _)| *word)
}

/// The strategies to choose from, `manual` among them.
fn offered(strategies: &BTreeSet<Strategy>) -> String {
    let offered = STRATEGIES.iter().filter(|(_, one)| strategies.contains(one) || *one == Strategy::Manual);
    offered.map(|(word, _)| *word).collect::<Vec<_>>().join(", ")
}
