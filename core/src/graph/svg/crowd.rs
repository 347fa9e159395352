//! A graph too large to draw node by node: systems with what lies in them, what they issue and what runs on them.

use std::collections::BTreeMap;

use crate::estate::UnlockVerb;
use crate::graph::draw::{is_path, kind, name};
use crate::graph::{Graph, NodeId, Reach};
use crate::plan::Node;

use super::scene::{Arrow, Card, LIMIT, Scene, add, counted};

/// One box per group of those nodes that are `wanted`; if even those are too many, the largest groups.
pub(super) fn scene(graph: &Graph, reached: &Reach, wanted: &dyn Fn(NodeId) -> bool) -> Scene {
    let home = homes(graph);
    let mut groups: BTreeMap<(&'static str, String), Vec<NodeId>> = BTreeMap::new();
    for node in (0..graph.len()).filter(|&node| wanted(node)) {
        let start = reached.parent(node) == Some(node);
        let key = if start { ("", name(graph, node)) } else { (kind(graph, node), home[node as usize].clone()) };
        groups.entry(key).or_default().push(node);
    }
    let total = groups.len();
    let mut kept: Vec<_> = groups.into_iter().collect();
    kept.sort_by_key(|((kind, _), nodes)| (!kind.is_empty(), std::cmp::Reverse(nodes.len())));
    kept.truncate(LIMIT);
    let mut scene = Scene::default();
    let mut group = vec![None; graph.len() as usize];
    for ((_, home), nodes) in kept {
        for &node in &nodes {
            group[node as usize] = Some(scene.boxes.len());
        }
        scene.boxes.push(a_box(graph, reached, &home, &nodes));
    }
    let mut arrows = BTreeMap::new();
    for (from, to, verb) in graph.edges.all() {
        let (Some(one), Some(other)) = (group[from as usize], group[to as usize]) else { continue };
        let held = matches!(kind(graph, from), "System" | "Identity") && !reached.contains(from);
        if one != other && !held {
            add(&mut arrows, &Arrow { from: one, to: other, verb, path: is_path(reached, from, to, verb) });
        }
    }
    scene.arrows = arrows.into_values().collect();
    scene
        .notes
        .push("Too many nodes for one box each: drawn by system. `remint reach` lists them one by one.".to_owned());
    if total > LIMIT {
        scene.notes.push(format!("Only the {LIMIT} largest of {total} groups are drawn."));
    }
    scene
}

/// The system that each node belongs to: where a place lies, what issues a credential, where a workload runs.
fn homes(graph: &Graph) -> Vec<String> {
    let mut home = vec![String::new(); graph.len() as usize];
    for (from, to, verb) in graph.edges.all() {
        let issues = verb == UnlockVerb::Mint && graph.credential(to).is_some();
        let runs = verb == UnlockVerb::Admin && kind(graph, to) == "Workload";
        if kind(graph, from) == "System" && (issues || runs) {
            home[to as usize] = name(graph, from);
        }
    }
    for node in 0..graph.len() {
        match graph.label(node) {
            Some(Node::Place(location)) => home[node as usize] = location.system.to_string(),
            Some(Node::Doc(reference)) if kind(graph, node) == "System" => home[node as usize] = reference.to_string(),
            _ => {}
        }
    }
    home
}

fn a_box(graph: &Graph, reached: &Reach, home: &str, nodes: &[NodeId]) -> Card {
    let first = nodes.first().copied().unwrap_or_default();
    let start = reached.parent(first) == Some(first);
    let kind = kind(graph, first);
    let inside = nodes.iter().filter(|&&node| reached.contains(node)).count();
    let (title, mut lines) = if nodes.len() == 1 {
        (name(graph, first).split_once('/').map_or(name(graph, first), |(_, rest)| rest.to_owned()), Vec::new())
    } else {
        let home = home.split_once('/').map_or(home, |(_, rest)| rest);
        let word = if kind == "Place" { "in" } else { "of" };
        let home = if home.is_empty() { "no system" } else { home };
        (counted(&BTreeMap::from([(kind, nodes.len())])), vec![format!("{word} {home}")])
    };
    if inside > 0 && nodes.len() > 1 {
        lines.push(format!("{inside} reached"));
    }
    Card { kind, hint: format!("{title} {home}"), title, lines, reached: inside > 0, start }
}
