//! Plans and reach as people and scripts read them. Pure: text comes back, nothing is printed.

use std::fmt::Write as _;

use serde_json::{Value, json};

use crate::estate::Estate;

use super::{Plan, Reached};

/// The plan for a person: what is new first, then outages, waves, and what is left to people.
#[must_use]
pub fn render_plan(plan: &Plan, _estate: &Estate) -> String {
    let mut text = String::new();
    // Writing to a string cannot fail.
    for place in plan.new_destinations.iter().take(SHOWN) {
        let _ = writeln!(text, "new destination  {place}");
    }
    if plan.new_destinations.len() > SHOWN {
        let _ = writeln!(text, "new destination  and {} more", plan.new_destinations.len() - SHOWN);
    }
    for cut in &plan.cuts {
        let members: Vec<_> = cut.members.iter().map(|&member| plan.members[member].credential.to_string()).collect();
        let consumers: Vec<_> = cut.consumers.iter().map(ToString::to_string).collect();
        let _ = writeln!(
            text,
            "outage  up to {} s  {}  for {}",
            cut.outage.as_secs(),
            members.join(", "),
            if consumers.is_empty() { "nobody".to_owned() } else { consumers.join(", ") }
        );
    }
    for (number, wave) in plan.waves.iter().enumerate() {
        let _ = writeln!(text, "wave {}", number + 1);
        for &member in wave {
            let this = &plan.members[member];
            let _ = write!(text, "  {}  {}", this.credential, this.path);
            for destination in &this.destinations {
                let _ = write!(text, "  -> {}", destination.at);
            }
            for node in &this.awaits {
                let _ = write!(text, "  waits for `remint clean {node}`");
            }
            if let Some(by) = &this.exposed_by {
                let _ = write!(text, "  exposed by {by}");
            }
            text.push('\n');
        }
    }
    for task in &plan.tasks {
        let _ = writeln!(text, "task  {}: {}", task.node, task.why);
    }
    for exception in &plan.exceptions {
        let _ = writeln!(text, "exception  {exception}");
    }
    for dirty in &plan.dirty {
        let _ = writeln!(text, "dirty  {dirty}");
    }
    let _ = writeln!(text, "about {} s; digest {}", plan.eta.as_secs().max(1), plan.digest);
    text
}

/// What is reached, with the path to each.
#[must_use]
pub fn render_reach(reached: &[Reached]) -> String {
    reached.iter().fold(String::new(), |mut text, item| {
        let path: Vec<_> = item.path.iter().map(ToString::to_string).collect();
        let _ = writeln!(text, "{}  {}", item.node, path.join(" > "));
        text
    })
}

/// The plan for a script: the shape is a contract.
#[must_use]
pub fn to_json(plan: &Plan) -> Value {
    let credential = |member: usize| plan.members[member].credential.to_string();
    let waves: Vec<Vec<Value>> = plan
        .waves
        .iter()
        .map(|wave| {
            wave.iter()
                .map(|&member| {
                    let this = &plan.members[member];
                    json!({"credential": this.credential, "strategy": this.strategy, "mode": this.path, "exposed_by": this.exposed_by})
                })
                .collect()
        })
        .collect();
    let cuts: Vec<Value> = plan
        .cuts
        .iter()
        .map(|cut| {
            let members: Vec<_> = cut.members.iter().map(|&member| credential(member)).collect();
            json!({"members": members, "because": cut.because, "outage_seconds": cut.outage.as_secs(), "consumers": cut.consumers})
        })
        .collect();
    json!({
        "digest": plan.digest, "waves": waves, "cuts": cuts, "tasks": plan.tasks, "exceptions": plan.exceptions,
        "eta_seconds": plan.eta.as_secs(), "new_destinations": plan.new_destinations,
    })
}

/// What an attacker has, for a script: the shape is a contract.
#[must_use]
pub fn reach_to_json(plan: &Plan) -> Value {
    let reached: Vec<Value> = plan
        .reached
        .iter()
        .enumerate()
        .map(|(index, hop)| json!({"ref": hop.node, "path": plan.path(index), "verb": hop.verb}))
        .collect();
    json!({"from": plan.from, "reached": reached, "dirty": plan.dirty})
}

/// More new destinations than this are counted instead of listed.
const SHOWN: usize = 20;
