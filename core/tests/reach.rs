//! What an attacker has, and the way to each thing.
#![allow(clippy::unwrap_used, reason = "a test that cannot make its estate has failed")]

#[path = "world/world.rs"]
mod world;

use jiff::Timestamp;
use remint_contract::Kind;
use remint_core::estate::{Tier, UnlockVerb, UnlockWhat};
use remint_core::graph::{Graph, is_followed, reach};
use remint_core::plan::{Node, Request, plan};
use world::{Dice, Make, TestKinds, cred, pattern, r, random, unlock};

fn two() -> Make {
    let mut make = Make::default();
    make.identity("someone", Tier::Standard);
    for system in ["i0", "s0", "s1"] {
        make.system(system);
    }
    make.credential("leaked", "i0", &["s1:leaked"], &[]);
    make.credential("other", "i0", &["s0:other"], &[]);
    make
}

/// Is `other` reached from `leaked`, and what can be planted or used?
fn with(what: UnlockWhat, verb: UnlockVerb) -> (bool, Vec<(String, UnlockVerb, String)>) {
    let mut make = two();
    make.credential("leaked", "i0", &[], &[]).unlocks.push(unlock(what, verb));
    let graph = Graph::build(&make.0);
    let from = graph.document(&cred("leaked")).unwrap();
    let reached = reach(&graph, &[from]);
    let leaves = reached.leaves(&graph).into_iter().map(|(from, verb, to)| (from.to_string(), verb, to.to_string()));
    (reached.contains(graph.document(&cred("other")).unwrap()), leaves.collect())
}

#[test]
fn read_and_mint_and_admin_are_followed() {
    assert_eq!(with(pattern("s0:*"), UnlockVerb::Read), (true, vec![]));
    assert_eq!(with(UnlockWhat::Node(cred("other")), UnlockVerb::Mint), (true, vec![]));
    assert_eq!(with(UnlockWhat::Node(r(Kind::System, "i0")), UnlockVerb::Admin), (true, vec![]));
}

#[test]
fn write_is_reported_and_not_followed() {
    let (reached, leaves) = with(pattern("s0:*"), UnlockVerb::Write);
    assert!(!reached);
    assert_eq!(leaves, [("Credential/leaked".into(), UnlockVerb::Write, "System/s0:other".into())]);
}

#[test]
fn use_is_a_leaf() {
    let (reached, leaves) = with(UnlockWhat::Node(r(Kind::System, "s0")), UnlockVerb::Use);
    assert!(!reached);
    assert_eq!(leaves, [("Credential/leaked".into(), UnlockVerb::Use, "System/s0".into())]);
}

#[test]
fn the_path_explains_each_member_step_by_step() {
    for seed in 0..300 {
        let estate = random(&mut Dice::new(seed));
        let start = Node::Doc(r(Kind::Workload, "w0"));
        let request = Request::new(vec![start.clone()]);
        let Ok(plan) = plan(&estate, &request, &TestKinds, Timestamp::UNIX_EPOCH) else { continue };
        let graph = Graph::build(&estate);
        for member in &plan.members {
            let node = Node::Doc(member.credential.clone());
            let why = plan.reached.iter().position(|reached| reached.node == node);
            let path = plan.path(why.unwrap_or_else(|| panic!("seed {seed}: {} has no path", member.credential)));
            assert_eq!(path.first(), Some(&&start), "seed {seed}");
            assert_eq!(path.last(), Some(&&node), "seed {seed}");
            for pair in path.windows(2) {
                let (from, to) = (graph.number(pair[0]).unwrap(), graph.number(pair[1]).unwrap());
                let edge = graph.edges.edges(from).any(|(target, verb)| target == to && is_followed(verb));
                assert!(edge, "seed {seed}: no way from {} to {}", pair[0], pair[1]);
            }
        }
    }
}
