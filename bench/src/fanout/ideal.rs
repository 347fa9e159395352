//! The longest chain of calls that have to follow one another, whatever the budget.

use std::collections::HashMap;

use remint_core::plan::Plan;
use remint_core::step::Step;

/// Calls of a step that cannot be made side by side: each needs the answer of the one before, or its durable record.
const fn calls(step: Step) -> u64 {
    match step {
        // Read, then try. Ended, then listed.
        Step::Capture | Step::EndDerived => 2,
        // Twice refused, then the control.
        Step::Prove | Step::FinalProve => 3,
        // Written in `promote`, because these stores do not stage; nobody asked for a hold.
        Step::Deliver | Step::Hold => 0,
        _ => 1,
    }
}

/// In calls.
pub(super) fn critical_path(plan: &Plan) -> u64 {
    let mut number = HashMap::new();
    let mut nodes: Vec<(usize, Step)> = Vec::new();
    for (member, document) in plan.members.iter().enumerate() {
        for &step in document.steps() {
            number.insert((member, step), nodes.len());
            nodes.push((member, step));
        }
    }
    let mut next: Vec<Vec<usize>> = vec![Vec::new(); nodes.len()];
    let mut open = vec![0_usize; nodes.len()];
    let within = nodes.windows(2).filter(|pair| pair[0].0 == pair[1].0).map(|pair| (pair[0], pair[1]));
    let across = plan.precedences.iter().map(|edge| (edge.before, edge.after));
    for (before, after) in within.chain(across) {
        // A step that a path does not have holds nobody.
        if let (Some(&before), Some(&after)) = (number.get(&before), number.get(&after)) {
            next[before].push(after);
            open[after] += 1;
        }
    }
    let mut ends = vec![0; nodes.len()];
    let mut ready: Vec<usize> = (0..nodes.len()).filter(|&node| open[node] == 0).collect();
    while let Some(node) = ready.pop() {
        ends[node] += calls(nodes[node].1);
        for &after in &next[node] {
            ends[after] = ends[after].max(ends[node]);
            open[after] -= 1;
            if open[after] == 0 {
                ready.push(after);
            }
        }
    }
    ends.into_iter().max().unwrap_or_default()
}
