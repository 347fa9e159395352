//! Plans and reach as people and scripts read them.
use super::{Plan, Reached};
use crate::estate::Estate;
use serde_json::{Value, json};

/// The plan for a person.
#[must_use]
pub fn render_plan(plan: &Plan, _estate: &Estate) -> String {
    format!("plan {}\n", plan.digest)
}

/// What is reached, with paths.
#[must_use]
pub fn render_reach(reached: &[Reached]) -> String {
    reached.iter().map(|item| format!("{}\n", item.node)).collect()
}

/// The plan for a script.
#[must_use]
pub fn to_json(plan: &Plan) -> Value {
    json!({"digest": plan.digest})
}
