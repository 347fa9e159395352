//! The plans: that each is one that the entries name, and that the entries account for all that they reach.

use std::collections::{BTreeMap, BTreeSet};

use serde::Deserialize;
use serde_json::Value;

use super::plan_name;
use crate::FormatError;
use crate::ledger::Ledger;
use crate::report::{Finding, Report};
use crate::tree::sha256;

/// True for a name that [`plan_name`] gives.
pub(super) fn is_plan(name: &str) -> bool {
    number(name).is_some()
}

fn number(name: &str) -> Option<usize> {
    let number = name.strip_prefix("plan-")?.strip_suffix(".json")?.parse().ok()?;
    (number > 0 && plan_name(number) == name).then_some(number)
}

pub(super) fn check(files: &BTreeMap<String, Vec<u8>>, ledger: &Ledger, report: &mut Report) {
    let named = ledger.plans();
    if named.is_empty() {
        report.find(Finding::broken(&plan_name(1), "no entry says which plan was asked for"));
    }
    for name in files.keys().filter(|name| number(name).is_some_and(|number| number > named.len())) {
        report.find(Finding::broken(name, "no entry names such a plan"));
    }
    let mut all = true;
    for (place, expected) in named.iter().enumerate() {
        let name = plan_name(place + 1);
        let wrong = match files.get(&name) {
            None => Some("an entry names it and it is missing".to_owned()),
            Some(bytes) if sha256(bytes) != *expected => Some("it is not the plan that the entries name".to_owned()),
            Some(bytes) => account(bytes, ledger, report).err().map(|error| error.to_string()),
        };
        if let Some(what) = wrong {
            all = false;
            report.find(Finding::broken(&name, what));
        }
    }
    if all && report.integrity {
        report.hold(match named.len() {
            1 => "The plan is the one that the entries name.".to_owned(),
            count => format!("The {count} plans, the first and its revisions, are those that the entries name."),
        });
    }
}

/// Every credential that a plan reaches is in the entries, whatever became of it.
fn account(bytes: &[u8], ledger: &Ledger, report: &mut Report) -> Result<(), FormatError> {
    let what = || FormatError::NotUnderstood { what: "the plan".to_owned() };
    let plan: Plan = serde_json::from_slice(bytes).map_err(|_| what())?;
    let reached = plan.reached.into_iter().filter_map(|found| match found.node {
        Value::String(node) if node.starts_with("Credential/") => Some(node),
        _ => None,
    });
    let named: BTreeSet<String> = plan
        .members
        .into_iter()
        .map(|member| member.credential)
        .chain(plan.tasks.into_iter().map(|task| task.node))
        .chain(plan.exceptions)
        .chain(reached)
        .collect();
    for credential in named.into_iter().filter(|credential| !ledger.rows().contains_key(credential)) {
        report.find(Finding::incomplete(&credential, "the plan reaches it, and no entry says what became of it"));
    }
    Ok(())
}

/// What of a plan's file says what is reached; the rest is Remint's own.
#[derive(Deserialize)]
struct Plan {
    members: Vec<Member>,
    #[serde(default)]
    tasks: Vec<Task>,
    #[serde(default)]
    exceptions: Vec<String>,
    #[serde(default)]
    reached: Vec<Found>,
}

#[derive(Deserialize)]
struct Member {
    credential: String,
}

#[derive(Deserialize)]
struct Task {
    node: String,
}

#[derive(Deserialize)]
struct Found {
    node: Value,
}
