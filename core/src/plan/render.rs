//! Plans and reach as people and scripts read them. Pure: text comes back, nothing is printed.

use serde_json::{Value, json};

use super::Plan;

mod columns;
mod names;
mod table;
mod tree;

pub use table::render_plan;
pub use tree::render_reach;

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
