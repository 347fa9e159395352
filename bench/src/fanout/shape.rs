//! Estates of ten thousand credentials in four shapes, as documents, and the town that they describe.

use std::fmt::Write as _;

use remint_contract::Ref;
use remint_core::estate::{Estate, SourceFile, load};
use remint_core::plan::{Node, Request};

use super::town::{FIELD, Town};
use crate::Outcome;

/// How the credentials hang together.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Shape {
    /// Nothing hangs on anything.
    Flat,
    /// Tokens that die with the one that minted them, three deep: one in twenty-one is a root, and each mints four.
    Tree,
    /// Chains of six: each reads the place where the next one lies.
    Chains,
    /// A cycle of two hundred that has to be cut, and the rest flat.
    Cut,
}

impl Shape {
    pub(super) const ALL: [Self; 4] = [Self::Flat, Self::Tree, Self::Chains, Self::Cut];

    pub(super) const fn name(self) -> &'static str {
        match self {
            Self::Flat => "flat",
            Self::Tree => "tree",
            Self::Chains => "chains",
            Self::Cut => "cut",
        }
    }

    /// Who mints `index`, and whose place it reads.
    fn edges(self, index: usize, count: usize) -> (Option<usize>, Option<usize>) {
        match self {
            Self::Flat => (None, None),
            Self::Tree => {
                // 0 is the root, 1..=4 its children, 5..=20 theirs.
                let (tree, place) = (index / 21 * 21, index % 21);
                ((place > 0).then(|| tree + (place - 1) / 4), None)
            }
            Self::Chains => (None, (index % 6 < 5 && index + 1 < count).then_some(index + 1)),
            Self::Cut => (None, (index < CYCLE.min(count)).then(|| (index + 1) % CYCLE.min(count))),
        }
    }
}

/// Members of the one cut.
const CYCLE: usize = 200;

/// The estate, and the request that reaches all of it: an identity whose credentials are all lost.
pub(super) fn of(shape: Shape, count: usize, town: &Town, budget: usize) -> Outcome<(Estate, Request)> {
    let systems = town.systems.len();
    let mut files = Vec::new();
    let mut text = String::new();
    let document = |kind: &str, name: &str, spec: &str| {
        format!("---\napiVersion: remint.dev/v1alpha1\nkind: {kind}\nmetadata: {{name: {name}}}\nspec: {{{spec}}}\n")
    };
    for number in 0..systems {
        let spec = format!("town: {{number: {number}}}, budget: {{concurrency: {budget}}}");
        text += &document("System", &format!("s{number}"), &spec);
    }
    text += &document("Identity", "all", "class: machine, owners: {business: b, policy: p, execution: e}");
    // A chain and a tree lie at one system each, so that every system has as much to do as the others.
    let at = |index: usize| match shape {
        Shape::Tree => index / 21 % systems,
        Shape::Chains => index / 6 % systems,
        Shape::Flat | Shape::Cut => index % systems,
    };
    for index in 0..count {
        let (system, name) = (at(index), name(index));
        let (by, reads) = shape.edges(index, count);
        town.settle(system, &name, by.map(self::name).as_deref());
        let by = by.map(|by| format!(", by: {}, diesWithIssuer: true", self::name(by))).unwrap_or_default();
        let unlocks = reads
            .map(|reads| format!(", unlocks: [{{what: \"s{}:{}\", verb: read}}]", at(reads), self::name(reads)))
            .unwrap_or_default();
        write!(
            text,
            "{}{}",
            document(
                "Credential",
                &name,
                &format!(
                    "type: api-key, identity: all, issuedBy: {{system: s{system}, target: {name}{by}}}, \
                     deliveredTo: [{{at: \"s{system}:{name}\", fields: {{{FIELD}: \"{{secret}}\"}}}}], \
                     consumedBy: [{name}]{unlocks}, rotation: {{strategy: overlap}}"
                ),
            ),
            document(
                "Workload",
                &name,
                &format!(
                    "runsOn: {{system: s{system}, ref: {name}}}, reload: signal, \
                     confirm: {{how: self-reported, within: 10m}}"
                ),
            )
        )?;
        if text.len() > FILE {
            files.push(SourceFile { name: format!("{}.yaml", files.len()), bytes: std::mem::take(&mut text).into() });
        }
    }
    files.push(SourceFile { name: format!("{}.yaml", files.len()), bytes: text.into() });
    let estate = load(&files, town).map_err(|problems| problems.to_string())?.estate;
    let start = Node::Doc("Identity/all".parse::<Ref>()?);
    Ok((estate, Request::new(vec![start])))
}

pub(crate) fn name(index: usize) -> String {
    format!("c{index:06}")
}

/// About as much as one file may hold.
const FILE: usize = 1 << 20;
