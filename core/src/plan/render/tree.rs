//! What is reached, as a tree: each credential under the one through which it was first reached.

use std::collections::{BTreeMap, HashMap};
use std::fmt::Write as _;

use remint_contract::Kind;

use crate::graph::draw::word;

use super::super::{Node, Reached};
use super::columns::{clean, hang};
use super::names::{count, node, some};

/// What is reached, with the path to each.
#[must_use]
pub fn render_reach(reached: &[Reached]) -> String {
    if reached.is_empty() {
        return "Nothing is reached.\n".to_owned();
    }
    let tree = Tree::new(reached);
    let mut text = String::new();
    for root in &tree.roots {
        // Writing to a string cannot fail, here and below.
        let _ = writeln!(text, "{}", clean(&root.to_string()));
        tree.write(root, &mut text);
        text.push('\n');
    }
    text.push_str(&tree.rest());
    text.push_str(&summary(reached));
    text
}

/// "54 reached: 29 credentials, 25 places and workloads" as far as it goes.
fn summary(reached: &[Reached]) -> String {
    let mut parts = Vec::new();
    for (kind, word) in [(Kind::Credential, "credential"), (Kind::Workload, "workload"), (Kind::System, "system")] {
        let number = reached.iter().filter(|item| is(&item.node, kind)).count();
        if number > 0 {
            parts.push(count(number, word));
        }
    }
    let places = reached.iter().filter(|item| matches!(item.node, Node::Place(_))).count();
    if places > 0 {
        parts.push(count(places, "place"));
    }
    format!("{} reached: {}.\n", reached.len(), parts.join(", "))
}

fn is(node: &Node, kind: Kind) -> bool {
    matches!(node, Node::Doc(reference) if reference.kind == kind)
}

struct Tree<'a> {
    roots: Vec<&'a Node>,
    children: HashMap<&'a Node, Vec<&'a Reached>>,
    /// How many credentials lie in the subtree of a node, itself included.
    credentials: HashMap<&'a Node, usize>,
    reached: &'a [Reached],
}

impl<'a> Tree<'a> {
    fn new(reached: &'a [Reached]) -> Self {
        let mut tree = Self { roots: Vec::new(), children: HashMap::new(), credentials: HashMap::new(), reached };
        for item in reached {
            if let [root, ..] = item.path.as_slice()
                && !tree.roots.contains(&root)
            {
                tree.roots.push(root);
            }
            if let [.., parent, _] = item.path.as_slice() {
                tree.children.entry(parent).or_default().push(item);
            }
        }
        // The walk is nearest first, so that from the end every child comes before its parent.
        for item in reached.iter().rev() {
            let own = usize::from(is(&item.node, Kind::Credential));
            let all = tree.credentials.get(&item.node).copied().unwrap_or(0) + own;
            tree.credentials.insert(&item.node, all);
            if let [.., parent, _] = item.path.as_slice() {
                *tree.credentials.entry(parent).or_default() += all;
            }
        }
        tree
    }

    /// What leads to a credential, or is one.
    fn shown(&self, item: &Reached) -> bool {
        self.credentials.get(&item.node).is_some_and(|&count| count > 0)
    }

    fn below(&self, node: &Node) -> Vec<&'a Reached> {
        let children = self.children.get(node).map_or(&[][..], Vec::as_slice);
        children.iter().copied().filter(|item| self.shown(item)).collect()
    }

    fn write(&self, root: &'a Node, text: &mut String) {
        let mut work: Vec<(&Reached, String, usize)> = Vec::new();
        push(&mut work, &self.below(root), "  ", 1);
        while let Some((item, prefix, depth)) = work.pop() {
            // The last of its siblings is the one after which the stack goes back to a shorter prefix.
            let last = !work.last().is_some_and(|next| next.1 == prefix && next.2 == depth);
            let branch = if last { "└─" } else { "├─" };
            let mut this = item;
            let mut at = String::new();
            // A place through which one thing is reached stands behind that thing.
            if let (Node::Place(_), [only]) = (&item.node, self.below(&item.node).as_slice()) {
                at = format!("  at {}", node(&item.node));
                this = only;
            }
            let verb = word(item.verb);
            let deep = if depth > DEEPEST { format!(" (level {depth})") } else { String::new() };
            let line = format!("{prefix}{branch} {verb:<5} {}{at}{deep}", node(&this.node));
            let _ = writeln!(text, "{}", clean(&line));
            let below =
                if depth >= DEEPEST { prefix } else { format!("{prefix}{}", if last { "   " } else { "│  " }) };
            push(&mut work, &self.below(&this.node), &below, depth + 1);
        }
    }

    /// What is reached and leads no further to a credential: by kind, with some names.
    fn rest(&self) -> String {
        let mut rest: BTreeMap<&str, Vec<String>> = BTreeMap::new();
        for item in self.reached.iter().filter(|item| !self.shown(item)) {
            let kind = match &item.node {
                Node::Place(_) => "place",
                node if is(node, Kind::Workload) => "workload",
                node if is(node, Kind::System) => "system",
                Node::Doc(_) => "other",
            };
            rest.entry(kind).or_default().push(node(&item.node));
        }
        let mut text = String::new();
        for (kind, names) in rest {
            text.push_str(&hang(&format!("also {}", count(names.len(), kind)), &some(names, SHOWN)));
        }
        if !text.is_empty() {
            text.push('\n');
        }
        text
    }
}

fn push<'a>(work: &mut Vec<(&'a Reached, String, usize)>, items: &[&'a Reached], prefix: &str, depth: usize) {
    work.extend(items.iter().rev().map(|item| (*item, prefix.to_owned(), depth)));
}

/// Deeper than this the indent stays, so that a chain of ten thousand is no staircase.
const DEEPEST: usize = 12;
/// More names than this are counted.
const SHOWN: usize = 12;
