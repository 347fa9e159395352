//! What a reset that rests waits for although nothing of it is parked: nodes that nobody called clean yet, and old values
//! that read where something is to be written.

use std::collections::{BTreeMap, BTreeSet};

use remint_contract::Ref;
use remint_core::estate::Destination;
use remint_core::machine::State;
use remint_core::plan::{Member, Node};
use remint_core::step::Step;

use crate::engine::record::{Reset, ResetStatus, RotationRecord};

/// What one member waits for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Waits {
    /// Where nothing was written yet; empty where nothing was minted.
    places: Vec<String>,
    /// Nodes that are to be called clean.
    nodes: BTreeSet<Ref>,
    /// Whose old values have to be dead first, with how they stand.
    members: BTreeMap<Ref, String>,
}

/// The members of a resting reset that wait so, by their index. Pure.
pub(crate) fn waits(reset: &Reset, rotations: &[RotationRecord]) -> BTreeMap<usize, Waits> {
    if reset.status != ResetStatus::Resting {
        return BTreeMap::new();
    }
    let by_index: BTreeMap<usize, &RotationRecord> = rotations.iter().map(|record| (record.index, record)).collect();
    let mut found = BTreeMap::new();
    for record in rotations {
        let Some(member) = reset.plan.members.get(record.index) else { continue };
        let facts = &record.rotation.facts;
        let missing = |place: &&Destination| !facts.delivered.contains(&place.at);
        match &record.rotation.state {
            State::Settled { .. } => {
                let withheld: Vec<_> = member.withheld.iter().filter(missing).collect();
                let late: Vec<_> = member.late.iter().filter(|late| missing(&&late.destination)).collect();
                if withheld.is_empty() && late.is_empty() {
                    continue;
                }
                let (nodes, after) = if withheld.is_empty() {
                    (BTreeSet::new(), [].as_slice())
                } else {
                    (dirty(reset, member), member.withheld_after.as_slice())
                };
                let alive = after.iter().chain(late.iter().flat_map(|late| &late.after)).filter_map(|index| {
                    let other = by_index.get(index)?;
                    let swept = other.rotation.facts.ended.contains(&Step::Sweep);
                    (!swept).then(|| (other.credential.clone(), other.rotation.state.to_string()))
                });
                let places = withheld.iter().copied().chain(late.iter().map(|late| &late.destination));
                let places = places.map(|place| place.at.to_string()).collect();
                found.insert(record.index, Waits { places, nodes, members: alive.collect() });
            }
            State::Waiting { step: Step::Mint } if member.dark => {
                let nodes = dirty(reset, member);
                if !nodes.is_empty() {
                    found.insert(record.index, Waits { places: Vec::new(), nodes, members: BTreeMap::new() });
                }
            }
            _ => {}
        }
    }
    found
}

impl Waits {
    /// Why it does not go on.
    pub(crate) fn reason(&self) -> String {
        let mut until = Vec::new();
        if !self.nodes.is_empty() {
            until.push(format!("{} clean", are(&self.nodes.iter().map(ToString::to_string).collect::<Vec<_>>())));
        }
        if !self.members.is_empty() {
            let members: Vec<_> = self.members.iter().map(|(name, state)| format!("{name} ({state})")).collect();
            until.push(format!("the old value of {} dead", are(&members)));
        }
        let until = if until.is_empty() { "the reset goes on".to_owned() } else { until.join(" and ") };
        if self.places.is_empty() {
            return format!(
                "only dirty nodes would read a new value, so none is made and the old one lives, until {until}"
            );
        }
        format!("the old value is dead; {} withheld until {until}", are(&self.places))
    }

    /// The commands that move it on.
    pub(crate) fn commands(&self, reset: &Reset) -> Vec<String> {
        let id = &reset.id;
        let nodes = self.nodes.iter().map(|node| format!("remint clean {node} --reset {id} --reason …"));
        let members = self.members.keys().map(|name| format!("remint get parked --reset {id}: see {name}"));
        let commands: Vec<_> = nodes.chain(members).collect();
        if commands.is_empty() { vec![format!("remint retry {id}")] } else { commands }
    }

    /// What is to be done, in words that fit every entrance.
    pub(crate) fn request(&self) -> String {
        let nodes: Vec<_> = self.nodes.iter().map(ToString::to_string).collect();
        match nodes.as_slice() {
            [] => "mend what the reason names; it goes on by itself".to_owned(),
            nodes => format!("rebuild or cut off {}, then POST /v1/nodes/clean", nodes.join(", ")),
        }
    }
}

/// Was the node called clean?
pub(crate) fn cleaned(reset: &Reset, node: &Node) -> bool {
    reset.cleaned.contains(named(node))
}

/// What `remint clean` takes for a node: of a place its system.
pub(crate) const fn named(node: &Node) -> &Ref {
    match node {
        Node::Doc(reference) => reference,
        Node::Place(place) => &place.system,
    }
}

/// As a run judges it: what the member awaits, or every dirty node of the plan.
fn dirty(reset: &Reset, member: &Member) -> BTreeSet<Ref> {
    let all: BTreeSet<Ref> = if member.awaits.is_empty() {
        reset.plan.dirty.clone()
    } else {
        member.awaits.iter().map(|node| named(node).clone()).collect()
    };
    all.difference(&reset.cleaned).cloned().collect()
}

fn are(names: &[String]) -> String {
    format!("{} {}", names.join(", "), if names.len() == 1 { "is" } else { "are" })
}
