//! What a node lets its bearer do without another credential: written again here, from the documents, so that the
//! planner's own reading is checked against it.

use std::collections::{BTreeMap, BTreeSet};

use remint_contract::{Kind, Location, Ref};
use remint_core::estate::{Credential, Estate, UnlockVerb, UnlockWhat, Workload};
use remint_core::plan::Node;

/// The powers of every node, with credentials and places by number.
pub struct Hands {
    pub credentials: Vec<Ref>,
    pub number: BTreeMap<Ref, usize>,
    pub places: Vec<Location>,
    pub place_number: BTreeMap<Location, usize>,
    /// The credential that lies in each place.
    pub lies: Vec<usize>,
    /// The credential that each dies with.
    pub parent: Vec<Option<usize>>,
    /// The credential that Remint logs in with where each is issued.
    pub acts: Vec<Option<usize>>,
    of_credential: Vec<Power>,
    of_node: BTreeMap<Node, Power>,
}

/// Places read, credentials minted.
#[derive(Default, Clone)]
pub struct Power {
    pub places: Vec<usize>,
    pub mints: Vec<usize>,
    pub workloads: BTreeSet<Ref>,
}

impl Hands {
    pub fn of(estate: &Estate) -> Self {
        let credentials: Vec<Ref> = estate.credentials.keys().cloned().collect();
        let number: BTreeMap<Ref, usize> = credentials.iter().cloned().enumerate().map(|(i, name)| (name, i)).collect();
        let (mut places, mut lies) = (Vec::new(), Vec::new());
        for (index, credential) in estate.credentials.values().enumerate() {
            for destination in &credential.delivered_to {
                places.push(destination.at.whole());
                lies.push(index);
            }
        }
        let place_number = places.iter().cloned().enumerate().map(|(i, place)| (place, i)).collect();
        let find = |name: Option<Ref>| name.and_then(|name| number.get(&name).copied());
        let parent = credentials.iter().map(|name| find(dies_with(estate, name))).collect();
        let acts = estate
            .credentials
            .values()
            .map(|credential| find(estate.systems[&credential.issued_by.system].auth.clone()))
            .collect();
        let mut hands = Self {
            credentials,
            number,
            places,
            place_number,
            lies,
            parent,
            acts,
            of_credential: Vec::new(),
            of_node: BTreeMap::new(),
        };
        hands.of_credential =
            hands.credentials.iter().map(|name| hands.power(estate, &Node::Doc(name.clone()))).collect();
        let documents = estate.systems.keys().chain(estate.workloads.keys()).cloned().map(Node::Doc);
        let nodes: Vec<Node> = documents.chain(hands.places.iter().cloned().map(Node::Place)).collect();
        hands.of_node = nodes.into_iter().map(|node| (node.clone(), hands.power(estate, &node))).collect();
        hands
    }

    pub fn credential(&self, credential: usize) -> &Power {
        &self.of_credential[credential]
    }

    pub fn node(&self, node: &Node) -> &Power {
        let whole = match node {
            Node::Place(place) => Node::Place(place.whole()),
            Node::Doc(document) => Node::Doc(document.clone()),
        };
        &self.of_node[&whole]
    }

    fn power(&self, estate: &Estate, node: &Node) -> Power {
        let (mut places, mut mints, mut systems, mut workloads) =
            (BTreeSet::new(), BTreeSet::new(), BTreeSet::new(), BTreeSet::new());
        match node {
            Node::Place(place) => {
                places.insert(place.whole());
            }
            Node::Doc(reference) => match reference.kind {
                Kind::System => {
                    systems.insert(reference.clone());
                }
                Kind::Workload => {
                    workloads.insert(reference.clone());
                }
                Kind::Credential => {
                    for unlock in &estate.credentials[reference].unlocks {
                        match (&unlock.what, unlock.verb) {
                            (UnlockWhat::Places(pattern), UnlockVerb::Read | UnlockVerb::Admin) => {
                                places.extend(self.places.iter().filter(|at| pattern.matches(at)).cloned());
                                if unlock.verb == UnlockVerb::Admin && pattern.wildcard && pattern.path.is_empty() {
                                    systems.insert(pattern.system.clone());
                                }
                            }
                            (UnlockWhat::Node(target), UnlockVerb::Mint) => {
                                mints.insert(target.clone());
                            }
                            (UnlockWhat::Node(target), UnlockVerb::Admin) => {
                                systems.insert(target.clone());
                            }
                            _ => {}
                        }
                    }
                    let logs_in = estate.systems.iter().filter(|(_, system)| system.auth.as_ref() == Some(reference));
                    systems.extend(logs_in.map(|(name, _)| name.clone()));
                    let made = estate.credentials.iter().filter(|(_, c)| c.issued_by.by.as_ref() == Some(reference));
                    mints.extend(made.map(|(name, _)| name.clone()));
                }
                _ => {}
            },
        }
        for system in systems {
            places.extend(self.places.iter().filter(|at| at.system == system).cloned());
            let issued = estate.credentials.iter().filter(|(_, c)| c.issued_by.system == system);
            mints.extend(issued.map(|(name, _)| name.clone()));
            let on_it = |w: &Workload| w.runs_on.as_ref().is_some_and(|on| on.system == system);
            workloads.extend(estate.workloads.iter().filter(|(_, w)| on_it(w)).map(|(name, _)| name.clone()));
        }
        for workload in &workloads {
            for pattern in &estate.workloads[workload].reads {
                places.extend(self.places.iter().filter(|at| pattern.matches(at)).cloned());
            }
            for credential in estate.credentials.values().filter(|c| c.consumed_by.contains(workload)) {
                places.extend(reads(estate, workload, credential));
            }
        }
        Power {
            places: places.iter().map(|place| self.place_number[place]).collect(),
            mints: mints.iter().map(|name| self.number[name]).collect(),
            workloads,
        }
    }
}

/// Where a workload finds a credential: on its own host, else anywhere.
pub fn reads(estate: &Estate, workload: &Ref, credential: &Credential) -> Vec<Location> {
    let host = estate.workloads[workload].runs_on.as_ref().map(|on| on.system.clone());
    let all: Vec<Location> = credential.delivered_to.iter().map(|d| d.at.whole()).collect();
    let own: Vec<Location> = all.iter().filter(|at| Some(&at.system) == host.as_ref()).cloned().collect();
    if own.is_empty() { all } else { own }
}

fn dies_with(estate: &Estate, name: &Ref) -> Option<Ref> {
    let issued = &estate.credentials[name].issued_by;
    let minter = issued.by.clone().or_else(|| estate.systems[&issued.system].auth.clone());
    minter.filter(|minter| issued.dies_with_issuer && minter != name)
}
