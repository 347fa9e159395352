//! Revising a plan: the same scope with other paths, as the successor of the plan that runs.
//!
//! Guarantees: members keep their places, so that what is known of them stays theirs; the digest covers the parent's, so
//! that an approval is one of exactly this difference.

use std::collections::BTreeSet;

use jiff::Timestamp;
use remint_contract::{Kinds, Ref};
use serde::{Deserialize, Serialize};

use crate::estate::Estate;
use crate::step::Path;

use super::{FoundFrom, Node, Plan, Refusal, Request, Selector, plan};

/// One credential that goes another way.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Turn {
    pub credential: Ref,
    pub from: Path,
    pub to: Path,
}

/// The plan with other paths: `contain` and `roll` say whose. `fixed` are credentials that went too far to turn.
///
/// # Errors
/// Every reason why there can be none.
#[expect(clippy::too_many_arguments, reason = "each is what the caller alone knows")]
pub fn revise(
    parent: &Plan,
    estate: &Estate,
    contain: Option<&Selector>,
    roll: Option<&Selector>,
    fixed: &BTreeSet<Ref>,
    clean: &BTreeSet<Ref>,
    kinds: &dyn Kinds,
    now: Timestamp,
) -> Result<Plan, Vec<Refusal>> {
    let mut request = Request::new(starts(parent));
    request.clean = clean.iter().cloned().map(Node::Doc).chain(attested(parent)).collect();
    request.exceptions = parent.exceptions.iter().cloned().collect();
    request.deadline = parent.limits.deadline;
    request.canary = parent.limits.canary;
    request.growth = parent.limits.growth;
    request.failure_budget = parent.limits.failure_budget;
    request.incident = parent.members.iter().all(|member| member.hold.is_zero()) && parent.occasion.is_none();
    request.occasion.clone_from(&parent.occasion);
    for member in &parent.members {
        let chosen = |selector: Option<&Selector>| {
            let document = estate.credentials.get(&member.credential);
            !fixed.contains(&member.credential)
                && document.is_some_and(|found| selector.is_some_and(|selector| selector.matches(estate, found)))
        };
        let stop = !chosen(roll) && (member.path == Path::Contain || chosen(contain));
        let list = if stop { &mut request.stop } else { &mut request.roll };
        list.insert(member.credential.clone());
    }
    let mut revised = plan(estate, &request, kinds, now)?;
    let names = |plan: &Plan| plan.members.iter().map(|member| member.credential.clone()).collect::<Vec<_>>();
    if names(&revised) != names(parent) {
        return Err(vec![Refusal::OtherScope]);
    }
    revised.from.clone_from(&parent.from);
    revised.new_destinations.clone_from(&parent.new_destinations);
    revised.parent = Some(parent.digest);
    revised.digest = revised.recompute();
    Ok(revised)
}

/// What the parent's request said is clean: it was reached, and the parent does not call it dirty.
fn attested(parent: &Plan) -> impl Iterator<Item = Node> + '_ {
    let nodes = parent.reached.iter().flat_map(|found| match &found.from {
        FoundFrom::Start(start) => [Some(start), Some(&found.node)],
        FoundFrom::Found(_) => [None, Some(&found.node)],
    });
    let clean = |node: &&Node| matches!(node, Node::Doc(reference) if !parent.dirty.contains(reference));
    nodes.flatten().filter(clean).cloned()
}

/// Where the attacker started, places as places.
fn starts(plan: &Plan) -> Vec<Node> {
    let begins = plan.reached.iter().filter_map(|found| match &found.from {
        FoundFrom::Start(node) => Some(node.clone()),
        FoundFrom::Found(_) => None,
    });
    let mut starts: Vec<Node> = begins.collect();
    let named = |starts: &[Node], reference: &Ref| {
        starts.iter().any(|node| match node {
            Node::Doc(other) => other == reference,
            Node::Place(place) => place.system == *reference,
        })
    };
    for reference in &plan.from {
        if !named(&starts, reference) {
            starts.push(Node::Doc(reference.clone()));
        }
    }
    starts.sort_unstable();
    starts.dedup();
    starts
}

impl Plan {
    /// Which credentials go another way than in the plan that this one revises.
    #[must_use]
    pub fn delta(&self, parent: &Self) -> Vec<Turn> {
        let pairs = self.members.iter().zip(&parent.members).filter(|(new, old)| new.path != old.path);
        pairs.map(|(new, old)| Turn { credential: new.credential.clone(), from: old.path, to: new.path }).collect()
    }
}
