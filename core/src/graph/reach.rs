//! What an attacker has: a breadth-first walk that keeps the edge by which each node was first reached.

use crate::estate::UnlockVerb;
use crate::plan::{Found, FoundFrom, Node, Reached};

use super::{Graph, NodeId, is_followed};

/// What is reached, nearest first, and why.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Reach {
    /// Starting nodes first, then in the order of the walk.
    pub order: Vec<NodeId>,
    parent: Vec<NodeId>,
}

impl Reach {
    /// These nodes and nothing else: nobody walks on from them.
    #[must_use]
    pub fn named(graph: &Graph, nodes: &[NodeId]) -> Self {
        let mut parent = vec![NOT_REACHED; graph.len() as usize];
        let mut order = Vec::with_capacity(nodes.len());
        for &node in nodes {
            if let Some(slot) = parent.get_mut(node as usize).filter(|slot| **slot == NOT_REACHED) {
                *slot = node;
                order.push(node);
            }
        }
        Self { order, parent }
    }

    #[must_use]
    pub fn contains(&self, node: NodeId) -> bool {
        self.parent[node as usize] != NOT_REACHED
    }

    /// True for a node that the walk started from.
    #[must_use]
    pub fn is_start(&self, node: NodeId) -> bool {
        self.parent[node as usize] == node
    }

    /// From a starting node to `node`, both included; empty when it is not reached. A shortest one.
    #[must_use]
    pub fn path(&self, node: NodeId) -> Vec<NodeId> {
        if !self.contains(node) {
            return Vec::new();
        }
        let mut path = vec![node];
        let mut at = node;
        while self.parent[at as usize] != at {
            at = self.parent[at as usize];
            path.push(at);
        }
        path.reverse();
        path
    }

    /// The node from which `node` was first reached; itself for a starting node, `None` when it is not reached.
    #[must_use]
    pub fn parent(&self, node: NodeId) -> Option<NodeId> {
        self.parent.get(node as usize).copied().filter(|&parent| parent != NOT_REACHED)
    }

    /// Everything reached with its path, starting nodes left out.
    #[must_use]
    pub fn explain(&self, graph: &Graph) -> Vec<Reached> {
        self.order
            .iter()
            .filter(|&&node| self.parent[node as usize] != node)
            .filter_map(|&node| {
                Some(Reached {
                    node: graph.label(node)?.clone(),
                    path: self.path(node).iter().filter_map(|&step| graph.label(step).cloned()).collect(),
                    verb: self.verb(graph, node),
                })
            })
            .collect()
    }

    /// Everything reached with what it was reached from, starting nodes left out: as long as the walk, however deep.
    #[must_use]
    pub fn found(&self, graph: &Graph) -> Vec<Found> {
        let mut index = vec![0; self.parent.len()];
        let mut found = Vec::with_capacity(self.order.len());
        for &node in self.order.iter().filter(|&&node| !self.is_start(node)) {
            let parent = self.parent[node as usize];
            let Some(label) = graph.label(node) else { continue };
            let from = if self.is_start(parent) {
                let Some(start) = graph.label(parent) else { continue };
                FoundFrom::Start(start.clone())
            } else {
                FoundFrom::Found(index[parent as usize])
            };
            index[node as usize] = found.len();
            found.push(Found { node: label.clone(), from, verb: self.verb(graph, node) });
        }
        found
    }

    /// What can be planted in or used, though not read: the ends of `write` and `use` edges from what is reached.
    #[must_use]
    pub fn leaves(&self, graph: &Graph) -> Vec<(Node, UnlockVerb, Node)> {
        let mut found = Vec::new();
        for &from in &self.order {
            for (to, verb) in graph.edges.edges(from).filter(|edge| !is_followed(edge.1)) {
                if let (Some(from), Some(to)) = (graph.label(from), graph.label(to)) {
                    found.push((from.clone(), verb, to.clone()));
                }
            }
        }
        found
    }

    fn verb(&self, graph: &Graph, node: NodeId) -> UnlockVerb {
        graph
            .edges
            .edges(self.parent[node as usize])
            .find_map(|(to, verb)| (to == node && is_followed(verb)).then_some(verb))
            .unwrap_or(UnlockVerb::Read)
    }
}

/// Everything reached from `from` along followed verbs. Numbers that are no node are passed over.
#[must_use]
pub fn reach(graph: &Graph, from: &[NodeId]) -> Reach {
    let count = graph.len() as usize;
    let mut parent = vec![NOT_REACHED; count];
    // A bit per node stays in the processor's cache where the parents do not: most edges lead to what is known already.
    let mut known = vec![0_u64; count.div_ceil(64)];
    let mut order = Vec::new();
    for &node in from {
        if let Some(slot) = parent.get_mut(node as usize).filter(|slot| **slot == NOT_REACHED) {
            *slot = node;
            known[node as usize / 64] |= 1 << (node % 64);
            order.push(node);
        }
    }
    let mut at = 0;
    while let Some(&node) = order.get(at) {
        at += 1;
        for (target, verb) in graph.edges.edges(node) {
            let (word, bit) = (&mut known[target as usize / 64], 1 << (target % 64));
            if *word & bit == 0 && is_followed(verb) {
                *word |= bit;
                parent[target as usize] = node;
                order.push(target);
            }
        }
    }
    Reach { order, parent }
}

const NOT_REACHED: NodeId = u32::MAX;
