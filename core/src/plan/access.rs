//! What one credential lets its bearer do directly: the walk stops at other credentials, because those have rows of their
//! own in the order.

use crate::estate::UnlockVerb;
use crate::graph::{Graph, NodeId, is_followed};

/// Places that are read and credentials that are minted, ascending.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(super) struct Access {
    pub(super) places: Vec<NodeId>,
    pub(super) mints: Vec<NodeId>,
    /// Credentials read wherever they lie.
    pub(super) reads: Vec<NodeId>,
}

/// Walks again and again over one graph without clearing a million marks each time.
pub(super) struct Walker<'a> {
    graph: &'a Graph,
    credential: Vec<bool>,
    place: Vec<bool>,
    mark: Vec<u32>,
    round: u32,
    work: Vec<NodeId>,
}

impl<'a> Walker<'a> {
    pub(super) fn new(graph: &'a Graph) -> Self {
        let count = graph.len();
        Self {
            graph,
            credential: (0..count).map(|id| graph.credential(id).is_some()).collect(),
            place: (0..count).map(|id| matches!(graph.label(id), Some(super::Node::Place(_)))).collect(),
            mark: vec![0; count as usize],
            round: 0,
            work: Vec::new(),
        }
    }

    /// The access of `from` alone.
    pub(super) fn access(&mut self, from: NodeId) -> Access {
        self.round += 1;
        let mut access = Access::default();
        self.work.push(from);
        self.mark[from as usize] = self.round;
        if self.place[from as usize] {
            access.places.push(from);
        }
        while let Some(node) = self.work.pop() {
            for (target, verb) in self.graph.edges.edges(node).filter(|edge| is_followed(edge.1)) {
                let at = target as usize;
                if self.credential[at] {
                    // A place gives what lies in it: that is the place's own reading. A workload reads what it consumes
                    // at the places it has edges to.
                    if verb == UnlockVerb::Mint {
                        access.mints.push(target);
                    } else if self.credential[node as usize] {
                        access.reads.push(target);
                    }
                } else if self.mark[at] != self.round {
                    self.mark[at] = self.round;
                    if self.place[at] {
                        access.places.push(target);
                    } else {
                        self.work.push(target);
                    }
                }
            }
        }
        for list in [&mut access.places, &mut access.mints, &mut access.reads] {
            list.sort_unstable();
            list.dedup();
        }
        access
    }
}
