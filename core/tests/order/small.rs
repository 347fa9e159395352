//! Small estates, and questions to their plans.

use jiff::Timestamp;
use remint_contract::Kind;
use remint_core::estate::{Tier, UnlockVerb};
use remint_core::plan::{Member, Node, Plan, Refusal, Request, Row, plan};
use remint_core::step::Step;

use crate::world::{Make, TestKinds, cred, pattern, r, unlock};

/// `someone` with systems to issue at, to store in, and two hosts with a workload each.
pub(super) fn empty() -> Make {
    let mut make = Make::default();
    make.identity("someone", Tier::Standard);
    for system in ["i0", "i1", "s0", "s1", "h0", "h1"] {
        make.system(system);
    }
    make.workload("w0", Some("h0"));
    make.workload("w1", Some("h1"));
    make
}

/// Lets a credential read places.
pub(super) fn reads(make: &mut Make, name: &str, places: &str) {
    make.credential(name, "i0", &[], &[]).unlocks.push(unlock(pattern(places), UnlockVerb::Read));
}

/// All credentials of `someone` leaked: no node is dirty.
pub(super) fn leaked() -> Request {
    Request::new(vec![Node::Doc(r(Kind::Identity, "someone"))])
}

/// Somebody sits in `w0`.
pub(super) fn intruder() -> Request {
    Request::new(vec![Node::Doc(r(Kind::Workload, "w0"))])
}

pub(super) fn planned(make: &Make, request: &Request) -> Plan {
    plan(&make.0, request, &TestKinds, Timestamp::UNIX_EPOCH).unwrap()
}

pub(super) fn refused(make: &Make, request: &Request) -> Vec<Refusal> {
    plan(&make.0, request, &TestKinds, Timestamp::UNIX_EPOCH).unwrap_err()
}

pub(super) fn index(plan: &Plan, name: &str) -> usize {
    plan.members.iter().position(|member| member.credential == cred(name)).unwrap()
}

pub(super) fn member<'a>(plan: &'a Plan, name: &str) -> &'a Member {
    &plan.members[index(plan, name)]
}

/// True when the plan says for this row that one step waits for the other.
pub(super) fn waits(plan: &Plan, row: Row, before: (&str, Step), after: (&str, Step)) -> bool {
    let (before, after) = ((index(plan, before.0), before.1), (index(plan, after.0), after.1));
    plan.precedences.iter().any(|edge| edge.row == row && edge.before == before && edge.after == after)
}

/// The paths of destinations.
pub(super) fn places<'a>(list: impl IntoIterator<Item = &'a remint_core::estate::Destination>) -> Vec<String> {
    list.into_iter().map(|destination| destination.at.to_string()).collect()
}
