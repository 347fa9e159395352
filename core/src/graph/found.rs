//! The graph of a plan alone: what was reached, and the one edge by which each was reached first. For whoever has a plan
//! and no estate, as an auditor does.

use crate::plan::{FoundFrom, Node, Plan};

use super::{Csr, Graph, NodeId};

impl Graph {
    /// The tree of hops of a plan, and the numbers of its starting nodes.
    #[must_use]
    pub fn of_plan(plan: &Plan) -> (Self, Vec<NodeId>) {
        let mut graph = Self::default();
        let starts: Vec<NodeId> = plan.from.iter().map(|start| graph.add(Node::Doc(start.clone()))).collect();
        let mut numbers: Vec<NodeId> = Vec::with_capacity(plan.reached.len());
        let mut edges = Vec::with_capacity(plan.reached.len());
        for hop in &plan.reached {
            let to = graph.add(hop.node.clone());
            let from = match &hop.from {
                FoundFrom::Start(start) => Some(graph.add(start.clone())),
                // Only ever an earlier one; a plan that was edited may say otherwise.
                FoundFrom::Found(before) => numbers.get(*before).copied(),
            };
            numbers.push(to);
            edges.extend(from.map(|from| (from, to, hop.verb)));
        }
        graph.edges = Csr::new(u32::try_from(graph.label.len()).unwrap_or(u32::MAX), edges);
        (graph, starts)
    }
}
