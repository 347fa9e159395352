//! What is asked of a system, its connector can do.

use std::collections::BTreeSet;

use remint_contract::{IssuerCapabilities, Kinds, Ref, Slots, Strategy};

use crate::estate::decode::STRATEGIES;
use crate::estate::load::Draft;
use crate::estate::model::{Credential, System};
use crate::estate::problem::Reporter;

pub(super) fn possible(draft: &Draft, kinds: &dyn Kinds, report: &mut Reporter<'_>) {
    for (name, credential) in &draft.estate.credentials {
        issuing(draft, kinds, name, credential, report);
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
    if strategy == Strategy::Overlap && issuer.slots == Slots::One {
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
    let built = [Strategy::Overlap, Strategy::Alternate, Strategy::InPlace];
    let words = built.into_iter().filter(|one| strategies.contains(one)).chain([Strategy::Manual]);
    words.map(spell).collect::<Vec<_>>().join(", ")
}
