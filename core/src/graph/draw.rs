//! The graph as people and programs see it: text, DOT, Mermaid, JSON, and a picture.
//!
//! Each takes the graph and what is reached; with an empty [`Reach`] nothing is marked. Equal arguments give equal text.
//! Names come from documents and may be hostile: each form escapes them in its own way.

use std::fmt::Write as _;

use remint_contract::Kind;
use serde_json::{Value, json};

use crate::estate::UnlockVerb;
use crate::plan::Node;

use super::{Graph, NodeId, Reach, is_followed};

pub use super::svg::svg;

/// Every node with what it leads to.
#[must_use]
pub fn text(graph: &Graph, reached: &Reach) -> String {
    let mut text = String::new();
    // Writing to a string cannot fail, here and below.
    for node in 0..graph.len() {
        let mark = match reached.parent(node) {
            Some(parent) if parent == node => "  << start",
            Some(_) => "  << reached",
            None => "",
        };
        let _ = writeln!(text, "{}{mark}", line_text(&name(graph, node)));
        for (to, verb) in graph.edges.edges(node) {
            let _ = writeln!(text, "  {:<5}  {}", word(verb), line_text(&name(graph, to)));
        }
    }
    let edges = graph.edges.all().count();
    let _ = writeln!(text, "\n{} nodes, {edges} edges, {} reached.", graph.len(), reached.order.len());
    text
}

/// For Graphviz.
#[must_use]
pub fn dot(graph: &Graph, reached: &Reach) -> String {
    let mut text = String::from("digraph estate {\n  rankdir=LR;\n  node [style=filled, fillcolor=white];\n");
    for node in 0..graph.len() {
        let shape = match kind(graph, node) {
            "Credential" => "box",
            "Workload" => "component",
            "System" => "cylinder",
            "Identity" => "house",
            _ => "note",
        };
        let _ = write!(text, "  n{node} [label={}, shape={shape}", dot_text(&name(graph, node)));
        match reached.parent(node) {
            Some(parent) if parent == node => text.push_str(", color=\"#c4232d\", fillcolor=\"#ffd9d6\", penwidth=3"),
            Some(_) => text.push_str(", color=\"#c4232d\", fillcolor=\"#fff0ef\""),
            None => {}
        }
        text.push_str("];\n");
    }
    for (from, to, verb) in graph.edges.all() {
        let style = if is_followed(verb) { "" } else { ", style=dashed" };
        let colour = if is_path(reached, from, to, verb) { ", color=\"#c4232d\", penwidth=2" } else { "" };
        let _ = writeln!(text, "  n{from} -> n{to} [label={}{style}{colour}];", word(verb));
    }
    text.push_str("}\n");
    text
}

/// For Mermaid, as Markdown pages show it.
#[must_use]
pub fn mermaid(graph: &Graph, reached: &Reach) -> String {
    let mut text = String::from("flowchart LR\n");
    for node in 0..graph.len() {
        let (open, close) = match kind(graph, node) {
            "Workload" => ("([", "])"),
            "System" => ("[(", ")]"),
            "Identity" => ("{{", "}}"),
            "Credential" => ("[", "]"),
            _ => ("(", ")"),
        };
        let _ = writeln!(text, "  n{node}{open}\"{}\"{close}", mermaid_text(&name(graph, node)));
    }
    let mut path = Vec::new();
    for (index, (from, to, verb)) in graph.edges.all().enumerate() {
        let arrow = if is_followed(verb) { "-->" } else { "-.->" };
        let _ = writeln!(text, "  n{from} {arrow}|{}| n{to}", word(verb));
        if is_path(reached, from, to, verb) {
            path.push(index.to_string());
        }
    }
    if !reached.order.is_empty() {
        let marked: Vec<String> = reached.order.iter().map(|node| format!("n{node}")).collect();
        text.push_str("  classDef reached fill:#fff0ef,stroke:#c4232d,stroke-width:2px,color:#24292f\n");
        let _ = writeln!(text, "  class {} reached", marked.join(","));
    }
    if !path.is_empty() {
        let _ = writeln!(text, "  linkStyle {} stroke:#c4232d,stroke-width:2px", path.join(","));
    }
    text
}

/// For a script: the shape is a contract.
#[must_use]
pub fn json(graph: &Graph, reached: &Reach) -> Value {
    let nodes: Vec<Value> = (0..graph.len())
        .map(|node| json!({"ref": name(graph, node), "kind": kind(graph, node), "reached": reached.parent(node).is_some()}))
        .collect();
    let edges: Vec<Value> = graph
        .edges
        .all()
        .map(|(from, to, verb)| {
            json!({"from": name(graph, from), "to": name(graph, to), "verb": verb, "followed": is_followed(verb)})
        })
        .collect();
    json!({"nodes": nodes, "edges": edges})
}

/// What a node is called; its number in a graph of bare edges.
pub(super) fn name(graph: &Graph, node: NodeId) -> String {
    graph.label(node).map_or_else(|| format!("#{node}"), ToString::to_string)
}

/// The kind of its document, or `Place`.
pub(super) fn kind(graph: &Graph, node: NodeId) -> &'static str {
    match graph.label(node) {
        Some(Node::Place(_)) => "Place",
        Some(Node::Doc(reference)) => match reference.kind {
            Kind::System => "System",
            Kind::Identity => "Identity",
            Kind::Credential => "Credential",
            Kind::Workload => "Workload",
            _ => "Document",
        },
        None => "Node",
    }
}

pub(crate) const fn word(verb: UnlockVerb) -> &'static str {
    match verb {
        UnlockVerb::Read => "read",
        UnlockVerb::Write => "write",
        UnlockVerb::Mint => "mint",
        UnlockVerb::Admin => "admin",
        UnlockVerb::Use => "use",
    }
}

/// True for the edge by which its end was first reached.
pub(super) fn is_path(reached: &Reach, from: NodeId, to: NodeId, verb: UnlockVerb) -> bool {
    from != to && is_followed(verb) && reached.parent(to) == Some(from)
}

/// Nothing of a name may move the reader's cursor.
fn line_text(text: &str) -> String {
    text.chars().map(|letter| if letter.is_control() { '\u{fffd}' } else { letter }).collect()
}

fn dot_text(text: &str) -> String {
    let mut quoted = String::from("\"");
    for letter in text.chars() {
        match letter {
            '"' | '\\' => quoted.extend(['\\', letter]),
            letter if letter.is_control() => quoted.push('\u{fffd}'),
            letter => quoted.push(letter),
        }
    }
    quoted.push('"');
    quoted
}

/// Mermaid has no escape of its own: what it or HTML could take for syntax is written as its number.
fn mermaid_text(text: &str) -> String {
    let mut escaped = String::new();
    for letter in text.chars() {
        match letter {
            letter if letter.is_control() => escaped.push('\u{fffd}'),
            letter if letter.is_alphanumeric() || "/:.-_* ".contains(letter) => escaped.push(letter),
            letter => {
                let _ = write!(escaped, "#{};", u32::from(letter));
            }
        }
    }
    escaped
}
