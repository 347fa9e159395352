//! Changes that go into one transaction, as the arrays that the database's own function takes.
//!
//! Keys of different changes of a group differ, so that all of it can be looked at and written as sets. Where one change
//! names a key twice, the second time goes into a layer of its own, applied after the first in the same transaction.

use std::collections::{HashMap, HashSet};

use remint_evidence_format::tree::Hash;
use remint_evidence_format::{Stored, entry};

use super::to_row;
use crate::store::{Change, Rule, StoreError, WATCHED};

/// The end of a chain of entries.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Head {
    pub(super) number: u64,
    pub(super) hash: Hash,
}

/// Before the first entry.
pub(super) const START: Head = Head { number: 0, hash: entry::FIRST };

/// What a change touches or looks at, so that no two of one group touch the same.
pub(super) fn keys(change: &Change) -> impl Iterator<Item = (&str, &str)> {
    let records = change.puts.iter().map(|put| &put.key).chain(&change.deletes).map(|key| (key.kind, key.id.as_str()));
    let sealed = change.seals.iter().map(|sealed| sealed.id.as_str()).chain(change.unseals.iter().map(String::as_str));
    let expected = change.expects.iter().map(|(key, _)| (key.kind, key.id.as_str()));
    records.chain(expected).chain(sealed.map(|id| ("\0sealed", id)))
}

/// One call's worth of arrays.
#[derive(Default)]
pub(super) struct Layer {
    pub(super) fences: (Vec<i32>, Vec<String>, Vec<i64>),
    pub(super) deletes: (Vec<i32>, Vec<String>, Vec<String>),
    pub(super) puts: Puts,
    pub(super) unseals: Vec<String>,
    pub(super) seals: Seals,
    pub(super) heads: (Vec<String>, Vec<i64>),
    pub(super) entries: (Vec<String>, Vec<i64>, Vec<Vec<u8>>),
    pub(super) told: Vec<String>,
    pub(super) expects: (Vec<i32>, Vec<String>, Vec<String>, Vec<i64>),
}

#[derive(Default)]
pub(super) struct Puts {
    pub(super) change: Vec<i32>,
    pub(super) kind: Vec<String>,
    pub(super) id: Vec<String>,
    pub(super) scope: Vec<String>,
    pub(super) rule: Vec<i32>,
    pub(super) revision: Vec<i64>,
    pub(super) body: Vec<String>,
}

#[derive(Default)]
pub(super) struct Seals {
    pub(super) change: Vec<i32>,
    pub(super) id: Vec<String>,
    pub(super) scope: Vec<String>,
    pub(super) generation: Vec<i64>,
    pub(super) expires: Vec<Option<String>>,
    pub(super) bytes: Vec<Vec<u8>>,
}

/// A group as it is sent.
pub(super) struct Sealed {
    pub(super) layers: Vec<Layer>,
    /// The entries as they will be stored, of each change; ids are still counted from zero.
    pub(super) entries: Vec<Vec<Stored>>,
    /// The ends of the chains once it stands.
    pub(super) heads: HashMap<String, Head>,
}

/// Numbers, chains and lays out; an entry that cannot be recorded refuses its change, by index.
pub(super) fn seal(changes: &[&Change], heads: &HashMap<String, Head>) -> Result<Sealed, (usize, StoreError)> {
    let mut layers = vec![Layer::default()];
    let mut after: HashMap<String, Head> = HashMap::new();
    let mut before: HashMap<String, Head> = HashMap::new();
    let mut all = Vec::with_capacity(changes.len());
    let mut id = 0;
    for (index, change) in changes.iter().enumerate() {
        lay(&mut layers, index, change);
        let mut mine = Vec::with_capacity(change.entries.len());
        for draft in &change.entries {
            let reset = draft.reset.clone().unwrap_or_default();
            let known = heads.get(&reset).copied().unwrap_or(START);
            before.entry(reset.clone()).or_insert(known);
            let head = after.get(&reset).copied().unwrap_or(known);
            let number = head.number + 1;
            let bytes = entry::seal(draft, number, head.hash)
                .map_err(|source| (index, StoreError::Unrecordable { kind: draft.kind.clone(), source }))?;
            after.insert(reset.clone(), Head { number, hash: entry::hash(&bytes) });
            let first = &mut layers[0];
            first.entries.0.push(reset);
            first.entries.1.push(to_row(number));
            first.entries.2.push(bytes.clone());
            mine.push(Stored { id, index: None, reset: draft.reset.clone(), number, bytes });
            id += 1;
        }
        all.push(mine);
    }
    let first = &mut layers[0];
    for (reset, head) in before {
        first.heads.0.push(reset);
        first.heads.1.push(to_row(head.number));
    }
    // The first layer looks at everything first; what is told and numbered goes with it.
    Ok(Sealed { layers, entries: all, heads: after })
}

fn lay(layers: &mut Vec<Layer>, index: usize, change: &Change) {
    let number = i32::try_from(index).unwrap_or(i32::MAX);
    let first = &mut layers[0];
    if let Some(fence) = &change.fence {
        first.fences.0.push(number);
        first.fences.1.push(fence.lease.clone());
        first.fences.2.push(to_row(fence.token));
    }
    for (key, revision) in &change.expects {
        first.expects.0.push(number);
        first.expects.1.push(key.kind.to_owned());
        first.expects.2.push(key.id.clone());
        first.expects.3.push(to_row(*revision));
    }
    for key in &change.deletes {
        first.deletes.0.push(number);
        first.deletes.1.push(key.kind.to_owned());
        first.deletes.2.push(key.id.clone());
    }
    first.unseals.extend(change.unseals.iter().cloned());
    let mut told = HashSet::new();
    let mut times: HashMap<(&str, &str), usize> = HashMap::new();
    for put in &change.puts {
        let puts = &mut layer(layers, &mut times, (put.key.kind, &put.key.id)).puts;
        let (rule, revision) = match put.rule {
            Rule::Upsert => (0, 0),
            Rule::Insert => (1, 0),
            Rule::Revision(revision) => (2, to_row(revision)),
        };
        puts.change.push(number);
        puts.kind.push(put.key.kind.to_owned());
        puts.id.push(put.key.id.clone());
        puts.scope.push(put.scope.clone());
        puts.rule.push(rule);
        puts.revision.push(revision);
        puts.body.push(put.body.to_string());
        if WATCHED.contains(&put.key.kind) && told.insert(&put.key) {
            layers[0].told.push(format!("{}/{}", put.key.kind, put.key.id));
        }
    }
    for sealed in &change.seals {
        let seals = &mut layer(layers, &mut times, ("\0sealed", &sealed.id)).seals;
        seals.change.push(number);
        seals.id.push(sealed.id.clone());
        seals.scope.push(sealed.scope.clone());
        seals.generation.push(to_row(sealed.generation));
        seals.expires.push(sealed.expires.map(|at| at.to_string()));
        seals.bytes.push(sealed.bytes.clone());
    }
}

/// The layer for one more mention of a key.
fn layer<'l, 'k>(
    layers: &'l mut Vec<Layer>,
    times: &mut HashMap<(&'k str, &'k str), usize>,
    key: (&'k str, &'k str),
) -> &'l mut Layer {
    let time = times.entry(key).or_insert(0);
    let turn = *time;
    *time += 1;
    if layers.len() <= turn {
        layers.push(Layer::default());
    }
    &mut layers[turn]
}
