//! Which edges of the machine's drawing were taken after which faults.
//!
//! A fault meets an edge when it was struck since the rotation's last move: a call's fault where it struck a system that
//! the credential needs (its issuer, its stores, the hosts of its consumers), any other wherever it struck, because every
//! process and every commit may be the one that carries this rotation on. What led to a rest counts for how it is left: a
//! step whose answer was lost is one step until it is asked about, and what parked a rotation, or had it rolled back,
//! stands beside whatever a person does with it.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt::Write as _;
use std::sync::Mutex;

use remint_evidence_format::Draft;
use serde_json::Value;
use tokio::sync::Notify;

use super::fate::Fault;

mod edges;

use edges::EDGES;
pub(crate) use edges::Edge;

/// How often each edge was taken under each kind of fault.
#[derive(Default, Clone)]
pub(crate) struct Table(BTreeMap<Edge, BTreeMap<Fault, u32>>);

/// The faults of one run in order, and how far each rotation has read in them.
#[derive(Default)]
pub(crate) struct Tracker {
    inner: Mutex<Inner>,
    /// Rung at every move.
    pub(crate) moves: Notify,
}

#[derive(Default)]
struct Inner {
    /// What was struck; a call's fault with its system.
    struck: Vec<(Fault, Option<String>)>,
    /// By reset and credential.
    rotations: BTreeMap<(String, String), Standing>,
    /// The systems that each credential needs.
    needs: BTreeMap<String, BTreeSet<String>>,
    table: Table,
}

/// A rotation as it was last seen.
#[derive(Default, Clone)]
struct Standing {
    word: String,
    /// So many faults were struck before it came there.
    read: usize,
}

impl Inner {
    fn met(&self, credential: &str, read: usize) -> BTreeSet<Fault> {
        let needs = self.needs.get(credential);
        let meets = |system: &Option<String>| {
            system.as_ref().is_none_or(|system| needs.is_some_and(|needs| needs.contains(system)))
        };
        self.struck[read..].iter().filter(|(_, system)| meets(system)).map(|(fault, _)| *fault).collect()
    }
}

impl Tracker {
    pub(crate) fn needs(&self, needs: BTreeMap<String, BTreeSet<String>>) {
        self.inner.lock().unwrap().needs = needs;
    }

    pub(crate) fn strike(&self, fault: Fault, system: Option<&str>) {
        self.inner.lock().unwrap().struck.push((fault, system.map(str::to_owned)));
    }

    /// Credentials of a reset's rotations that are in this state; `under`: met by a fault of this kind since they came
    /// there.
    pub(crate) fn standing(&self, reset: &str, word: &str, under: Option<Fault>) -> Vec<String> {
        let inner = self.inner.lock().unwrap();
        let fits = |((of, credential), standing): &(&(String, String), &Standing)| {
            of == reset
                && standing.word == word
                && under.is_none_or(|fault| inner.met(credential, standing.read).contains(&fault))
        };
        inner.rotations.iter().filter(fits).map(|((_, credential), _)| credential.clone()).collect()
    }

    /// A rotation's record is replaced by another, with these entries in the same change.
    pub(crate) fn moved(&self, before: Option<&Value>, after: &Value, entries: &[Draft]) {
        let word = |record: &Value| record["rotation"]["state"]["state"].as_str().unwrap_or_default().to_owned();
        let text = |field: &str| after[field].as_str().unwrap_or_default().to_owned();
        let (reset, credential, to) = (text("reset"), text("credential"), word(after));
        let mut inner = self.inner.lock().unwrap();
        let heard = inner.struck.len();
        let at = inner.rotations.entry((reset.clone(), credential.clone())).or_default();
        let read = at.read;
        // A step that is asked about goes on, and what rests waits for somebody.
        let rests = matches!(to.as_str(), "unknown" | "parked" | "rolled-back");
        if before.is_none() || !rests && !(to == "doing" && at.word == "unknown") {
            at.read = heard;
        }
        at.word.clone_from(&to);
        let Some(from) = before.map(word) else { return };
        let mine = |entry: &&Draft| {
            entry.subject.as_deref() == Some(credential.as_str()) && entry.reset.as_deref() == Some(reset.as_str())
        };
        let event = entries.iter().filter(mine).filter_map(|entry| entry.body.get("event")?.as_str()).next_back();
        let met = inner.met(&credential, read);
        // What was waiting is doing before a step of it can end.
        let of_a_step = |event: &str| matches!(event, "done" | "lost" | "failed" | "spoiled" | "destroyed");
        let path: &[(&str, &str, &str)] = match (event, from.as_str(), to.as_str()) {
            (Some(event), "waiting", to) if of_a_step(event) => {
                &[("waiting", "cleared", "doing"), ("doing", event, to)]
            }
            // The rotation ends, and another one of the same reset begins behind whoever took it.
            (Some("superseded"), from, "queued") => {
                &[(from, "superseded", "superseded"), ("planned", "queued", "queued")]
            }
            (Some(event), from, to) => &[(from, event, to)],
            (None, "planned", "waiting") => &[("planned", "start", "waiting")],
            (None, "planned", "queued") => &[("planned", "queued", "queued")],
            (None, "planned", "joined") => &[("planned", "joined", "joined")],
            (None, "queued", "planned") => &[("queued", "freed", "planned")],
            (None, "joined", "planned") => &[("joined", "freed", "planned")],
            // Nothing stood between the two.
            (None, "joined", "queued") => &[("joined", "freed", "planned"), ("planned", "queued", "queued")],
            (None, "queued", "joined") => &[("queued", "freed", "planned"), ("planned", "joined", "joined")],
            (None, "joined", "settled") => &[("joined", "vouched", "settled")],
            (None, "unknown", "doing") => &[("unknown", "found-undone", "doing")],
            (None, "settled", "settled") => &[("settled", "delivered", "settled")],
            _ => &[],
        };
        for (from, event, to) in path {
            inner.table.note(((*from).to_owned(), (*event).to_owned(), (*to).to_owned()), &met);
        }
        drop(inner);
        self.moves.notify_one();
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

    /// Edges that a run can take and that were never taken under a fault of a kind.
    pub(crate) fn holes(&self) -> Vec<(Edge, Fault)> {
        let mut holes = Vec::new();
        for (edge, _) in EDGES.iter().filter(|(_, untaken)| untaken.is_none()) {
            for fault in Fault::ALL {
                if self.0.get(edge).is_none_or(|row| !row.contains_key(&fault)) {
                    holes.push((edge.clone(), fault));
                }
            }
        }
        holes
    }

    /// Edges that were taken, and are not in the drawing or should never be taken.
    pub(crate) fn strangers(&self) -> Vec<String> {
        let strange = |edge: &&Edge| EDGES.get(*edge).is_none_or(Option::is_some);
        self.0.keys().filter(strange).map(|(from, event, to)| format!("{from} --{event}--> {to}")).collect()
    }
}

impl std::fmt::Display for Table {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let mut text = format!("{:40}", "");
        for fault in Fault::ALL {
            let _ = write!(text, "{fault:>12}");
        }
        writeln!(f, "{text}")?;
        for (edge, untaken) in EDGES.iter() {
            let (from, event, to) = edge;
            let mut line = format!("{:40}", format!("{from} --{event}--> {to}"));
            if let Some(why) = untaken {
                writeln!(f, "{line}  never: {why}")?;
                continue;
            }
            for fault in Fault::ALL {
                let count = self.0.get(edge).and_then(|row| row.get(&fault)).copied().unwrap_or_default();
                let _ = write!(line, "{count:>12}");
            }
            writeln!(f, "{line}")?;
        }
        Ok(())
    }
}
