//! What reaches what: documents and places as numbered nodes, and flat arrays of edges.
//!
//! Flow: [`Graph::build`] numbers an estate; [`reach`] walks from the compromised nodes and keeps, for each member, the
//! edge that explains it; [`components`] finds cycles. Guarantees: nothing recurses on input size, everything is
//! deterministic, and a million nodes with five million edges fit in a few hundred megabytes.

use std::collections::HashMap;

use remint_contract::{Kind, Location, Ref};

use crate::estate::UnlockVerb;
use crate::plan::Node;

mod build;
mod components;
mod csr;
pub mod draw;
mod found;
mod layout;
mod reach;
mod svg;

pub(crate) use build::read_by;
pub use components::{components, cycles};
pub use csr::Csr;
pub use reach::{Reach, reach};

/// A node, by number.
pub type NodeId = u32;

/// A map with a hash that is fast for short keys; like the standard one it is seeded anew in every process.
pub(crate) type Map<K, V> = HashMap<K, V, foldhash::fast::RandomState>;

/// The graph of an estate. `label` is empty for a graph made from bare edges.
#[derive(Debug, Clone, Default)]
pub struct Graph {
    pub edges: Csr,
    label: Vec<Node>,
    documents: Map<Ref, NodeId>,
    places: Map<Location, NodeId>,
    /// Where each place stands among all places in their order; nothing of documents.
    rank: Vec<u32>,
}

impl Graph {
    /// A graph of bare numbers; the benchmark's way in. Edges may come in any order; equal ones are kept once.
    #[must_use]
    pub fn from_edges(nodes: u32, edges: impl Iterator<Item = (NodeId, NodeId, UnlockVerb)>) -> Self {
        Self { edges: Csr::new(nodes, edges.collect()), ..Self::default() }
    }

    /// The same edges, turned round.
    #[must_use]
    pub fn reversed(&self) -> Csr {
        self.edges.reversed()
    }

    #[must_use]
    pub fn len(&self) -> u32 {
        self.edges.len()
    }

    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// The number of a node of the estate.
    #[must_use]
    pub fn number(&self, node: &Node) -> Option<NodeId> {
        match node {
            Node::Doc(reference) => self.documents.get(reference),
            Node::Place(location) => self.places.get(location),
        }
        .copied()
    }

    /// The number of a document.
    #[must_use]
    pub fn document(&self, reference: &Ref) -> Option<NodeId> {
        self.documents.get(reference).copied()
    }

    /// The number of a place, whatever its field.
    #[must_use]
    pub fn place(&self, location: &Location) -> Option<NodeId> {
        match location.field {
            None => self.places.get(location),
            Some(_) => self.places.get(&location.whole()),
        }
        .copied()
    }

    /// Where a place stands among all places in their order, which costs less than to compare their texts.
    pub(crate) fn rank(&self, place: &Location) -> Option<u32> {
        self.rank.get(self.place(place)? as usize).copied()
    }

    /// What a number stands for; `None` in a graph of bare edges.
    #[must_use]
    pub fn label(&self, id: NodeId) -> Option<&Node> {
        self.label.get(id as usize)
    }

    /// The credential a number stands for.
    #[must_use]
    pub fn credential(&self, id: NodeId) -> Option<&Ref> {
        match self.label(id) {
            Some(Node::Doc(reference)) if reference.kind == Kind::Credential => Some(reference),
            _ => None,
        }
    }

    fn add(&mut self, node: Node) -> NodeId {
        if let Some(id) = self.number(&node) {
            return id;
        }
        self.insert(node)
    }

    /// A node that is not there yet.
    fn insert(&mut self, node: Node) -> NodeId {
        let id = u32::try_from(self.label.len()).unwrap_or(u32::MAX);
        match &node {
            Node::Doc(reference) => self.documents.insert(reference.clone(), id),
            Node::Place(location) => self.places.insert(location.clone(), id),
        };
        self.label.push(node);
        id
    }
}

/// True for the verbs that an attacker follows.
#[must_use]
pub const fn is_followed(verb: UnlockVerb) -> bool {
    matches!(verb, UnlockVerb::Read | UnlockVerb::Mint | UnlockVerb::Admin)
}
