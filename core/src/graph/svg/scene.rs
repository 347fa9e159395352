//! What is drawn: the graph with everything folded that a picture says better in words.
//!
//! A place with one credential becomes a line in that credential's box, and so does a workload that reads nothing else.
//! Systems and identities hold or issue nearly everything; they are drawn where something leads to them, and what they
//! hold only where they are reached. What is left out is counted, and said below the picture.

use std::collections::{BTreeMap, BTreeSet};

use remint_contract::Kind;

use crate::estate::UnlockVerb;
use crate::graph::draw::{is_path, kind, name};
use crate::graph::{Graph, NodeId, Reach, is_followed};
use crate::plan::Node;

/// Boxes and arrows, and what to say of the rest.
#[derive(Debug, Default)]
pub(super) struct Scene {
    pub(super) boxes: Vec<Card>,
    pub(super) arrows: Vec<Arrow>,
    /// Sentences below the picture.
    pub(super) notes: Vec<String>,
}

/// One box.
#[derive(Debug, Default, Clone)]
pub(super) struct Card {
    pub(super) kind: &'static str,
    pub(super) title: String,
    /// Smaller, below the title.
    pub(super) lines: Vec<String>,
    /// In full, for who points at it.
    pub(super) hint: String,
    pub(super) reached: bool,
    pub(super) start: bool,
}

/// One arrow, between indexes of boxes.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Arrow {
    pub(super) from: usize,
    pub(super) to: usize,
    /// The strongest of the verbs between the two.
    pub(super) verb: UnlockVerb,
    /// By this one its end was first reached.
    pub(super) path: bool,
}

/// What a node becomes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Fate {
    Drawn,
    /// A line in the box of another.
    Inside(NodeId),
    Hidden,
}

impl Scene {
    pub(super) fn new(graph: &Graph, reached: &Reach) -> Self {
        let mut fate = fold(graph, reached);
        let drawn = |fate: &[Fate]| fate.iter().filter(|fate| **fate == Fate::Drawn).count();
        let mut notes = Vec::new();
        if drawn(&fate) > LIMIT && !reached.order.is_empty() {
            let before = drawn(&fate);
            for (node, fate) in (0..).zip(&mut fate) {
                if *fate == Fate::Drawn && reached.parent(node).is_none() {
                    *fate = Fate::Hidden;
                }
            }
            notes.push(format!("Only what is reached is drawn: {} of {before} boxes.", drawn(&fate)));
        }
        if drawn(&fate) > LIMIT {
            let mut scene =
                super::crowd::scene(graph, reached, &|node| reached.order.is_empty() || reached.contains(node));
            notes.append(&mut scene.notes);
            scene.notes = notes;
            return scene;
        }
        notes.extend(left_out(graph, reached, &fate));
        let mut scene = draw(graph, reached, &fate);
        scene.notes = notes;
        scene
    }
}

/// Decides what becomes of each node.
fn fold(graph: &Graph, reached: &Reach) -> Vec<Fate> {
    let count = graph.len() as usize;
    let holds = |node: NodeId| matches!(kind(graph, node), "System" | "Identity");
    let mut entered = vec![false; count];
    for (from, to, _) in graph.edges.all() {
        entered[to as usize] |= !holds(from) || reached.contains(from);
    }
    (0..graph.len())
        .map(|node| {
            let start = reached.parent(node) == Some(node);
            let targets: BTreeSet<NodeId> = graph.edges.targets(node).iter().copied().collect();
            let credentials: Vec<NodeId> =
                targets.iter().copied().filter(|&target| graph.credential(target).is_some()).collect();
            match kind(graph, node) {
                _ if start => Fate::Drawn,
                "Place" if credentials.len() == 1 => Fate::Inside(credentials[0]),
                "Workload" if !entered[node as usize] && credentials.len() == 1 => {
                    // A place of another credential that it reads is something to see.
                    let only = targets.iter().all(|&target| {
                        target == credentials[0]
                            || kind(graph, target) == "Place" && lies_in(graph, credentials[0], target)
                    });
                    if only { Fate::Inside(credentials[0]) } else { Fate::Drawn }
                }
                "System" | "Identity" if !entered[node as usize] => Fate::Hidden,
                _ => Fate::Drawn,
            }
        })
        .collect()
}

/// True when the credential and nothing else lies there.
fn lies_in(graph: &Graph, credential: NodeId, place: NodeId) -> bool {
    graph.edges.targets(place).iter().all(|&target| target == credential)
}

fn left_out(graph: &Graph, reached: &Reach, fate: &[Fate]) -> Vec<String> {
    let mut hidden: BTreeMap<&str, usize> = BTreeMap::new();
    let mut inside: BTreeMap<&str, usize> = BTreeMap::new();
    for (node, fate) in (0..).zip(fate) {
        match fate {
            Fate::Inside(_) => *inside.entry(kind(graph, node)).or_default() += 1,
            Fate::Hidden if matches!(kind(graph, node), "System" | "Identity") => {
                *hidden.entry(kind(graph, node)).or_default() += 1;
            }
            Fate::Drawn | Fate::Hidden => {}
        }
    }
    let mut notes = Vec::new();
    if !inside.is_empty() {
        notes.push(format!("Written in the box of the only credential that they lead to: {}.", counted(&inside)));
    }
    let holding = |node: NodeId| matches!(kind(graph, node), "System" | "Identity");
    if (0..graph.len()).any(|node| holding(node) && !reached.contains(node)) {
        notes.push("What a system holds and issues is drawn only where the system itself is reached.".to_owned());
    }
    if !hidden.is_empty() {
        notes.push(format!("Not drawn, because nothing leads to them: {}.", counted(&hidden)));
    }
    notes
}

/// "3 systems and 2 identities".
pub(super) fn counted(counts: &BTreeMap<&str, usize>) -> String {
    let parts: Vec<String> = counts
        .iter()
        .map(|(kind, &count)| {
            let word = match (*kind, count) {
                ("Identity", 1) => "identity".to_owned(),
                ("Identity", _) => "identities".to_owned(),
                (kind, 1) => kind.to_lowercase(),
                (kind, _) => format!("{}s", kind.to_lowercase()),
            };
            format!("{count} {word}")
        })
        .collect();
    parts.join(" and ")
}

fn draw(graph: &Graph, reached: &Reach, fate: &[Fate]) -> Scene {
    let mut number = BTreeMap::new();
    let mut scene = Scene::default();
    for node in (0..graph.len()).filter(|&node| fate[node as usize] == Fate::Drawn) {
        number.insert(node, scene.boxes.len());
        scene.boxes.push(a_box(graph, reached, node));
    }
    let mut inside: BTreeMap<NodeId, Vec<NodeId>> = BTreeMap::new();
    for (node, fate) in (0..).zip(fate) {
        if let Fate::Inside(host) = fate {
            inside.entry(*host).or_default().push(node);
        }
    }
    for (host, nodes) in inside {
        if let Some(this) = number.get(&host).and_then(|&index| scene.boxes.get_mut(index)) {
            write_inside(graph, this, &nodes);
        }
    }
    let end = |node: NodeId| match fate[node as usize] {
        Fate::Drawn => number.get(&node).copied(),
        Fate::Inside(host) => number.get(&host).copied(),
        Fate::Hidden => None,
    };
    let mut arrows: BTreeMap<(usize, usize), Arrow> = BTreeMap::new();
    for (from, to, verb) in graph.edges.all() {
        let path = is_path(reached, from, to, verb);
        let held = matches!(kind(graph, from), "System" | "Identity") && !reached.contains(from);
        let (Some(one), Some(other)) = (end(from), end(to)) else { continue };
        if one != other && !held && !matches!(fate[from as usize], Fate::Inside(_)) {
            add(&mut arrows, &Arrow { from: one, to: other, verb, path });
        }
    }
    scene.arrows = arrows.into_values().collect();
    scene
}

/// Several edges between two boxes are one arrow: the strongest verb, and on the path when one of them is.
pub(super) fn add(arrows: &mut BTreeMap<(usize, usize), Arrow>, arrow: &Arrow) {
    let rank = |verb| match verb {
        UnlockVerb::Admin => 4,
        UnlockVerb::Mint => 3,
        UnlockVerb::Read => 2,
        UnlockVerb::Write => 1,
        UnlockVerb::Use => 0,
    };
    let known = arrows.entry((arrow.from, arrow.to)).or_insert_with(|| arrow.clone());
    known.path |= arrow.path && is_followed(arrow.verb);
    if rank(arrow.verb) > rank(known.verb) {
        known.verb = arrow.verb;
    }
}

fn a_box(graph: &Graph, reached: &Reach, node: NodeId) -> Card {
    let mut hint = name(graph, node);
    let path = reached.path(node);
    if path.len() > 1 {
        let steps: Vec<String> = path.iter().map(|&step| name(graph, step)).collect();
        hint = format!("{hint}\nreached by {}", steps.join(" > "));
    }
    let (title, lines) = match graph.label(node) {
        Some(Node::Doc(reference)) => (short(reference), Vec::new()),
        Some(Node::Place(location)) => (location.path.clone(), vec![format!("in {}", short(&location.system))]),
        None => (name(graph, node), Vec::new()),
    };
    let start = reached.parent(node) == Some(node);
    Card { kind: kind(graph, node), title, lines, hint, reached: reached.contains(node), start }
}

/// Without its kind, which the colour says.
fn short(reference: &remint_contract::Ref) -> String {
    let full = reference.to_string();
    full.split_once('/').map_or(full.clone(), |(_, rest)| rest.to_owned())
}

fn write_inside(graph: &Graph, this: &mut Card, nodes: &[NodeId]) {
    let (mut places, mut readers) = (Vec::new(), Vec::new());
    for &node in nodes {
        match graph.label(node) {
            Some(Node::Place(location)) => places.push(format!("{}:{}", short(&location.system), location.path)),
            Some(Node::Doc(reference)) if reference.kind == Kind::Workload => readers.push(short(reference)),
            _ => {}
        }
    }
    for place in &places {
        this.hint.extend(["\nat ", place]);
    }
    for reader in &readers {
        this.hint.extend(["\nread by ", reader]);
    }
    this.lines.extend(some("at", &places, "places"));
    this.lines.extend(some("for", &readers, "workloads"));
}

fn some(word: &str, names: &[String], many: &str) -> Option<String> {
    match names {
        [] => None,
        [one] => Some(format!("{word} {one}")),
        [first, rest @ ..] if rest.len() == 1 => Some(format!("{word} {first} +1")),
        all => Some(format!("{word} {} {many}", all.len())),
    }
}

/// More boxes than this nobody reads.
pub(super) const LIMIT: usize = 400;
