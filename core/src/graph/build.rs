//! From documents to numbered nodes and edges.
//!
//! A pattern is matched against the sorted places of its system by binary search, so a hundred patterns over a hundred
//! thousand places cost what they match and no more.

use remint_contract::{Location, Pattern, Ref};

use crate::estate::{Credential, Estate, Unlock, UnlockVerb, UnlockWhat, Workload};
use crate::plan::Node;

use super::{Graph, Map, NodeId};

impl Graph {
    /// The graph of an estate. Nodes are numbered documents first, then places; equal estates give equal numbers.
    #[must_use]
    pub fn build(estate: &Estate) -> Self {
        let mut build = Build { graph: Self::default(), edges: Vec::new(), places: Places::default() };
        let numbered = build.number(estate);
        for (credential, numbers) in estate.credentials.values().zip(&numbered) {
            build.credential(estate, credential, numbers);
        }
        for (reference, workload) in &estate.workloads {
            build.workload(reference, workload);
        }
        build.systems(estate);
        let nodes = u32::try_from(build.graph.label.len()).unwrap_or(u32::MAX);
        build.graph.edges = super::Csr::new(nodes, build.edges);
        build.graph
    }
}

/// The paths of each system, sorted, with their numbers; and what each system issues, by the target's name.
#[derive(Default)]
struct Places {
    by_system: Map<Ref, Vec<(String, NodeId)>>,
    issued: Map<Ref, Vec<(String, NodeId)>>,
}

impl Places {
    fn matching<'a>(list: Option<&'a Vec<(String, NodeId)>>, pattern: &Pattern) -> &'a [(String, NodeId)] {
        let Some(list) = list else { return &[] };
        let start = list.partition_point(|(path, _)| path.as_str() < pattern.path.as_str());
        let end = start
            + list[start..].partition_point(|(path, _)| {
                if pattern.wildcard { path.starts_with(&pattern.path) } else { *path == pattern.path }
            });
        &list[start..end]
    }
}

/// A credential's own number, and those of the places that it is delivered to.
struct Numbers {
    own: NodeId,
    places: Vec<NodeId>,
}

struct Build {
    graph: Graph,
    edges: Vec<(NodeId, NodeId, UnlockVerb)>,
    places: Places,
}

impl Build {
    /// Numbers everything; each credential's are kept, for they are needed again.
    fn number(&mut self, estate: &Estate) -> Vec<Numbers> {
        let documents = estate
            .systems
            .keys()
            .chain(estate.identities.keys())
            .chain(estate.credentials.keys())
            .chain(estate.workloads.keys());
        let count = estate.systems.len() + estate.identities.len() + estate.credentials.len() + estate.workloads.len();
        self.graph.documents.reserve(count);
        self.graph.places.reserve(estate.credentials.len());
        self.graph.label.reserve(count + estate.credentials.len());
        for reference in documents {
            self.graph.add(Node::Doc(reference.clone()));
        }
        // Documents are numbered in their order.
        let first = u32::try_from(estate.systems.len() + estate.identities.len()).unwrap_or(u32::MAX);
        let mut numbered = Vec::with_capacity(estate.credentials.len());
        for (own, credential) in (first..).zip(estate.credentials.values()) {
            let issued = &credential.issued_by;
            let list = match self.places.issued.get_mut(&issued.system) {
                Some(list) => list,
                None => self.places.issued.entry(issued.system.clone()).or_default(),
            };
            list.push((issued.target.name.clone(), own));
            let places = credential.delivered_to.iter().map(|destination| self.place(&destination.at)).collect();
            for location in &credential.trusted_by {
                self.place(location);
            }
            numbered.push(Numbers { own, places });
        }
        for list in self.places.by_system.values_mut().chain(self.places.issued.values_mut()) {
            list.sort_unstable();
            list.dedup();
        }
        self.graph.rank = vec![0; self.graph.label.len()];
        let mut systems: Vec<_> = self.places.by_system.iter().collect();
        systems.sort_unstable_by_key(|(system, _)| *system);
        for (rank, (_, place)) in (0..).zip(systems.into_iter().flat_map(|(_, places)| places)) {
            self.graph.rank[*place as usize] = rank;
        }
        numbered
    }

    fn place(&mut self, location: &Location) -> NodeId {
        if let Some(id) = self.graph.place(location) {
            return id;
        }
        let whole = location.whole();
        let path = whole.path.clone();
        let list = match self.places.by_system.get_mut(&whole.system) {
            Some(list) => list,
            None => self.places.by_system.entry(whole.system.clone()).or_default(),
        };
        let id = self.graph.insert(Node::Place(whole));
        list.push((path, id));
        id
    }

    fn edge(&mut self, from: NodeId, to: NodeId, verb: UnlockVerb) {
        self.edges.push((from, to, verb));
    }

    fn credential(&mut self, estate: &Estate, credential: &Credential, numbers: &Numbers) {
        let id = numbers.own;
        for &place in &numbers.places {
            self.edge(place, id, UnlockVerb::Read);
        }
        if let Some(identity) = self.graph.document(&credential.identity) {
            self.edge(identity, id, UnlockVerb::Read);
        }
        if let Some(minter) = credential.issued_by.by.as_ref().and_then(|by| self.graph.document(by)) {
            self.edge(minter, id, UnlockVerb::Mint);
        }
        for workload in &credential.consumed_by {
            if let Some(workload_id) = self.graph.document(workload) {
                self.edge(workload_id, id, UnlockVerb::Read);
                let reads = read_by(estate.workloads.get(workload), credential);
                for (destination, &place) in credential.delivered_to.iter().zip(&numbers.places) {
                    if reads.iter().any(|at| std::ptr::eq(*at, &raw const destination.at)) {
                        self.edge(workload_id, place, UnlockVerb::Read);
                    }
                }
            }
        }
        for unlock in &credential.unlocks {
            self.unlock(id, unlock);
        }
    }

    fn unlock(&mut self, id: NodeId, unlock: &Unlock) {
        match &unlock.what {
            UnlockWhat::Places(pattern) => self.pattern(id, pattern, unlock.verb),
            UnlockWhat::Node(node) => {
                let Some(target) = self.graph.document(node) else { return };
                let whole = Pattern { system: node.clone(), path: String::new(), wildcard: true };
                match (node.kind, unlock.verb) {
                    (remint_contract::Kind::System, UnlockVerb::Read | UnlockVerb::Mint | UnlockVerb::Write) => {
                        self.pattern(id, &whole, unlock.verb);
                    }
                    (remint_contract::Kind::Credential, UnlockVerb::Admin) => self.edge(id, target, UnlockVerb::Mint),
                    (_, verb) => self.edge(id, target, verb),
                }
            }
        }
    }

    fn pattern(&mut self, id: NodeId, pattern: &Pattern, verb: UnlockVerb) {
        if verb == UnlockVerb::Admin
            && pattern.wildcard
            && pattern.path.is_empty()
            && let Some(system) = self.graph.document(&pattern.system)
        {
            return self.edge(id, system, UnlockVerb::Admin);
        }
        if verb == UnlockVerb::Mint || verb == UnlockVerb::Admin {
            let issued = Places::matching(self.places.issued.get(&pattern.system), pattern);
            self.edges.extend(issued.iter().map(|(_, target)| (id, *target, UnlockVerb::Mint)));
        }
        if verb != UnlockVerb::Mint {
            let places = Places::matching(self.places.by_system.get(&pattern.system), pattern);
            self.edges.extend(places.iter().map(|(_, place)| (id, *place, verb)));
        }
    }

    fn workload(&mut self, reference: &Ref, workload: &Workload) {
        let id = self.graph.add(Node::Doc(reference.clone()));
        for pattern in &workload.reads {
            self.pattern(id, pattern, UnlockVerb::Read);
        }
        if let Some(host) = workload.runs_on.as_ref().and_then(|host| self.graph.document(&host.system)) {
            self.edge(host, id, UnlockVerb::Admin);
        }
    }

    fn systems(&mut self, estate: &Estate) {
        for (reference, system) in &estate.systems {
            let Some(id) = self.graph.document(reference) else { continue };
            if let Some(auth) = system.auth.as_ref().and_then(|auth| self.graph.document(auth)) {
                self.edge(auth, id, UnlockVerb::Admin);
            }
            let places = self.places.by_system.get(reference).map_or(&[][..], Vec::as_slice);
            self.edges.extend(places.iter().map(|(_, place)| (id, *place, UnlockVerb::Read)));
            let issued = self.places.issued.get(reference).map_or(&[][..], Vec::as_slice);
            self.edges.extend(issued.iter().map(|(_, target)| (id, *target, UnlockVerb::Mint)));
        }
    }
}

/// Where a consumer reads a credential: the places on its own host; when none is there, it may fetch from any.
pub(crate) fn read_by<'a>(workload: Option<&Workload>, credential: &'a Credential) -> Vec<&'a Location> {
    let host = workload.and_then(|workload| workload.runs_on.as_ref()).map(|host| &host.system);
    let all = credential.delivered_to.iter().map(|destination| &destination.at);
    let own: Vec<_> = all.clone().filter(|at| Some(&at.system) == host).collect();
    if own.is_empty() { all.collect() } else { own }
}
