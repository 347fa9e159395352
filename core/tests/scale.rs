//! Graphs and estates so large or deep that anything recursive overflows the stack, which aborts the whole process.
#![allow(clippy::unwrap_used, reason = "a test that cannot make its estate has failed")]

#[path = "world/world.rs"]
mod world;

use jiff::Timestamp;
use remint_contract::Kind;
use remint_core::estate::{Estate, UnlockVerb};
use remint_core::graph::{Graph, components, reach};
use remint_core::plan::{Node, Plan, Request, plan};
use world::{Dice, Make, TestKinds, cred, pattern, r, unlock};

/// Smaller than any thread's by default.
const STACK: usize = 256 * 1024;
const NODES: u32 = 1_000_000;
const EDGES: u32 = 5_000_000;
const DEEP: usize = 100_000;

fn on_a_small_stack<T: Send>(work: impl FnOnce() -> T + Send) -> T {
    std::thread::scope(|scope| {
        std::thread::Builder::new().stack_size(STACK).spawn_scoped(scope, work).unwrap().join().unwrap()
    })
}

/// One cycle through every node, and four random edges from each.
fn cyclic() -> Graph {
    let mut dice = Dice::new(1);
    let edges = (0..EDGES).map(|edge| {
        let from = edge % NODES;
        let to = if edge < NODES { (from + 1) % NODES } else { dice.below32(NODES) };
        (from, to, UnlockVerb::Read)
    });
    Graph::from_edges(NODES, edges)
}

#[test]
fn a_cyclic_graph_of_a_million_nodes_is_one_component_and_reached_whole() {
    on_a_small_stack(|| {
        let graph = cyclic();
        let found = components(&graph.edges);
        assert_eq!(found.len(), 1);
        assert!(found[0].iter().copied().eq(0..NODES));
        assert_eq!(reach(&graph, &[7]).order.len(), NODES as usize);
    });
}

#[test]
fn a_ring_of_a_million_nodes_is_one_component_and_a_chain_is_a_million() {
    on_a_small_stack(|| {
        let ring = Graph::from_edges(NODES, (0..NODES).map(|node| (node, (node + 1) % NODES, UnlockVerb::Mint)));
        assert_eq!(components(&ring.edges).len(), 1);
        assert_eq!(reach(&ring, &[0]).path(NODES - 1).len(), NODES as usize);
        let chain = Graph::from_edges(NODES, (1..NODES).map(|node| (node - 1, node, UnlockVerb::Mint)));
        let order: Vec<u32> = components(&chain.edges).into_iter().flatten().collect();
        assert!(order.iter().copied().eq((0..NODES).rev()), "reverse topological order");
    });
}

/// Each credential reads the place of the next; the last one that of the first when `closed`.
fn readers(count: usize, closed: bool) -> Estate {
    let mut make = Make::default();
    make.system("i0");
    make.system("s0");
    for index in 0..count {
        let credential = make.credential(&format!("c{index}"), "i0", &[&format!("s0:p{index}")], &[]);
        if closed || index + 1 < count {
            let next = pattern(&format!("s0:p{}", (index + 1) % count));
            credential.unlocks.push(unlock(next, UnlockVerb::Read));
        }
    }
    make.0
}

fn plan_from_first(estate: &Estate) -> Plan {
    plan(estate, &Request::new(vec![Node::Doc(r(Kind::Credential, "c0"))]), &TestKinds, Timestamp::UNIX_EPOCH).unwrap()
}

#[test]
fn a_chain_of_a_hundred_thousand_readers_is_planned_in_its_order() {
    on_a_small_stack(|| {
        let plan = plan_from_first(&readers(DEEP, false));
        assert_eq!((plan.members.len(), plan.cuts.len()), (DEEP, 0));
        // Nobody is in an earlier wave, or earlier in his own, than the one he waits for.
        let order: Vec<_> =
            plan.waves.iter().flatten().map(|&member| plan.members[member].credential.clone()).collect();
        assert_eq!(order, (0..DEEP).map(|index| cred(&format!("c{index}"))).collect::<Vec<_>>());
        // The place and the credential of each hop.
        assert_eq!(plan.path(plan.reached.len() - 1).len(), 2 * DEEP - 1);
    });
}

#[test]
fn a_cycle_of_a_hundred_thousand_readers_is_cut_as_one() {
    on_a_small_stack(|| {
        let plan = plan_from_first(&readers(DEEP, true));
        assert_eq!(plan.members.len(), DEEP);
        assert_eq!(plan.cuts.iter().map(|cut| cut.members.len()).collect::<Vec<_>>(), [DEEP]);
    });
}
