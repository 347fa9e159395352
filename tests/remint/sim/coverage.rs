//! Which edges of the machine's drawing were taken after which faults.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt::Write as _;
use std::sync::Mutex;

use remint_evidence_format::Draft;
use serde_json::Value;

use super::fate::Fault;

/// (from, event, to), in the words of the drawing.
pub(crate) type Edge = (String, String, String);

/// How often each edge was taken while a fault of each kind was struck since the member's last move.
#[derive(Default, Clone)]
pub(crate) struct Table(BTreeMap<Edge, BTreeMap<Fault, u32>>);

/// The faults of one run in order, and how far each rotation has read in them.
#[derive(Default)]
pub(crate) struct Tracker {
    inner: Mutex<Inner>,
}

#[derive(Default)]
struct Inner {
    struck: Vec<Fault>,
    read: BTreeMap<String, usize>,
    table: Table,
}

impl Tracker {
    pub(crate) fn strike(&self, fault: Fault) {
        self.inner.lock().unwrap().struck.push(fault);
    }

    /// A rotation's record is replaced by another, with these entries in the same change.
    pub(crate) fn moved(&self, before: Option<&Value>, after: &Value, entries: &[Draft]) {
        let Some(before) = before else { return };
        let word = |record: &Value| record["rotation"]["state"]["state"].as_str().unwrap_or_default().to_owned();
        let credential = after["credential"].as_str().unwrap_or_default().to_owned();
        let (from, to) = (word(before), word(after));
        let told = entries.iter().filter(|entry| entry.subject.as_deref() == Some(credential.as_str()));
        let event = told.filter_map(|entry| entry.body.get("event")?.as_str()).next_back();
        let event = match (event, from.as_str(), to.as_str()) {
            (Some(event), ..) => event,
            (None, "planned", "waiting") => "start",
            (None, "unknown", "doing") => "found-undone",
            (None, "settled", "settled") => "delivered",
            _ => return,
        };
        let mut inner = self.inner.lock().unwrap();
        let heard = inner.struck.len();
        let read = inner.read.insert(credential, heard).unwrap_or_default();
        let faults: BTreeSet<Fault> = inner.struck[read..].iter().copied().collect();
        // What was waiting is doing before a step of it can end.
        let of_a_step = matches!(event, "done" | "lost" | "failed" | "spoiled" | "destroyed");
        let edge = |from: &str, event: &str, to: &str| (from.to_owned(), event.to_owned(), to.to_owned());
        if from == "waiting" && of_a_step {
            inner.table.note(edge("waiting", "cleared", "doing"), &faults);
            inner.table.note(edge("doing", event, &to), &faults);
        } else {
            inner.table.note(edge(&from, event, &to), &faults);
        }
    }

    pub(crate) fn table(&self) -> Table {
        self.inner.lock().unwrap().table.clone()
    }
}

impl Table {
    fn note(&mut self, edge: Edge, faults: &BTreeSet<Fault>) {
        let row = self.0.entry(edge).or_default();
        for fault in faults {
            *row.entry(*fault).or_default() += 1;
        }
    }

    pub(crate) fn add(&mut self, other: &Self) {
        for (edge, row) in &other.0 {
            let mine = self.0.entry(edge.clone()).or_default();
            for (fault, count) in row {
                *mine.entry(*fault).or_default() += count;
            }
        }
    }

    /// Edges of the drawing that were never taken under a fault of a kind.
    pub(crate) fn missing(&self) -> Vec<(Edge, Fault)> {
        let mut missing = Vec::new();
        for edge in drawing().into_iter().filter(|edge| !is_never(edge)) {
            for fault in Fault::ALL {
                if self.0.get(&edge).is_none_or(|row| !row.contains_key(&fault)) {
                    missing.push((edge.clone(), fault));
                }
            }
        }
        missing
    }

    /// Edges that were taken and are not in the drawing.
    pub(crate) fn strangers(&self) -> Vec<Edge> {
        let drawing = drawing();
        self.0.keys().filter(|edge| !drawing.contains(*edge)).cloned().collect()
    }
}

impl std::fmt::Display for Table {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let mut text = format!("{:44}", "");
        for fault in Fault::ALL {
            let _ = write!(text, "{fault:>12}");
        }
        writeln!(f, "{text}")?;
        for edge in drawing() {
            let (from, event, to) = &edge;
            let mut line = format!("{:44}", format!("{from} --{event}--> {to}"));
            for fault in Fault::ALL {
                let count = self.0.get(&edge).and_then(|row| row.get(&fault)).copied().unwrap_or_default();
                let _ = write!(line, "{count:>12}");
            }
            writeln!(f, "{line}")?;
        }
        Ok(())
    }
}

/// Edges that no run of the engine takes, and why.
pub(crate) const NEVER: [(&str, &str, &str, &str); 4] = [
    ("", "superseded", "superseded", "no reset takes a credential over from another one in a run with one reset"),
    ("", "rolled-back", "rolled-back", "nobody rolls back in the simulation"),
    ("rolled-back", "retry", "waiting", "nobody rolls back in the simulation"),
    ("unknown", "found-done", "doing", "a step asks its target itself, and goes on from what it says: found-undone"),
];

/// Is this one of [`NEVER`]? An edge from nothing stands for all with that event.
fn is_never((from, event, to): &Edge) -> bool {
    let fits = |of: &str| of.is_empty() || of == from;
    NEVER.iter().any(|(of, by, into, _)| fits(of) && event == by && to == into)
        // The engine compares a plan with the active estate only before it starts.
        || (from == "waiting" && event == "drifted")
}

/// The edges of the drawing on top of the machine.
pub(crate) fn drawing() -> BTreeSet<Edge> {
    include_str!("../../../core/src/machine.rs")
        .lines()
        .filter_map(|line| line.strip_prefix("//! "))
        .filter(|line| line.contains("--") && line.contains("-> "))
        .filter_map(|line| {
            let (from, rest) = line.split_once("--")?;
            let (event, rest) = rest.split_once("> ")?;
            let to = rest.split_whitespace().next()?;
            Some((from.trim().to_owned(), event.trim_end_matches('-').to_owned(), to.to_owned()))
        })
        .collect()
}
