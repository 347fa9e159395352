//! The other side, without a socket: issuers, stores and workloads as plain state behind one lock.
//!
//! Every call lands in one go ([`World::land`]); after each the promises that hold at every moment are looked at.

use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::fmt::Write as _;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use remint_contract::{ErrorKind, Material, SecretValue};
use remint_core::estate::Budget;

use super::clock::Time;
use super::connector::Issues;
pub(crate) use issuer::{Issuer, Life};
pub(crate) use shelf::Shelf;

pub(crate) mod issuer;
pub(crate) mod shelf;

/// Why a service says no.
pub(crate) type No = (ErrorKind, &'static str);

pub(crate) struct World {
    pub(crate) time: Time,
    state: Mutex<State>,
    trace: Mutex<Trace>,
    /// Calls of stopped processes that land when somebody says so.
    withheld: Mutex<Vec<Box<dyn FnOnce() + Send>>>,
}

#[derive(Default)]
struct Trace {
    lines: Vec<String>,
    /// Of every line, so that runs can be compared cheaply.
    hash: u64,
}

#[derive(Default)]
pub(crate) struct State {
    pub(crate) issuers: BTreeMap<String, Issuer>,
    pub(crate) shelves: BTreeMap<String, Shelf>,
    pub(crate) workloads: BTreeMap<String, Running>,
    pub(crate) promises: Vec<Promise>,
    /// Target → the workloads that must know its public half to accept it.
    pub(crate) verifiers: BTreeMap<String, Vec<String>>,
    /// Promises that were broken, once each.
    pub(crate) broken: BTreeSet<String>,
    /// Calls in flight per system: now, and at most.
    pub(crate) flights: BTreeMap<String, (u32, u32)>,
    pub(crate) budgets: BTreeMap<String, Budget>,
    /// When the calls of the last second began, per system.
    begun: BTreeMap<String, VecDeque<Duration>>,
}

/// A workload: what it reads, and what it holds.
#[derive(Default, Clone)]
pub(crate) struct Running {
    pub(crate) holdings: Vec<Holding>,
    /// Whom it trusts, as it read it last.
    pub(crate) bundles: Vec<Bundle>,
    /// Says yes to a reload and keeps what it has.
    pub(crate) deaf: bool,
}

#[derive(Clone)]
pub(crate) struct Holding {
    pub(crate) store: String,
    pub(crate) path: String,
    pub(crate) issuer: String,
    pub(crate) target: String,
    /// It is fetched at the issuer, and lies nowhere.
    pub(crate) leased: bool,
    pub(crate) held: Option<Material>,
}

/// Public halves, one per line, in the field `keys`.
#[derive(Clone)]
pub(crate) struct Bundle {
    pub(crate) store: String,
    pub(crate) path: String,
    pub(crate) text: String,
}

/// At every moment this workload holds a value that is accepted, and would read one if it started again.
#[derive(Clone)]
pub(crate) struct Promise {
    pub(crate) workload: String,
    pub(crate) target: String,
}

impl World {
    pub(crate) fn new(time: Time) -> Arc<Self> {
        let (state, trace, withheld) = (Mutex::default(), Mutex::default(), Mutex::default());
        Arc::new(Self { time, state, trace, withheld })
    }

    /// One call, or one thing that happens, in one go.
    pub(crate) fn land<T>(&self, what: impl FnOnce(&mut State) -> T) -> T {
        let mut state = self.state.lock().unwrap();
        let now = self.time.elapsed();
        state.issuers.values_mut().for_each(|issuer| issuer.now = now);
        state.shelves.values_mut().for_each(|shelf| shelf.now = now);
        let answer = what(&mut state);
        for broken in state.look() {
            if state.broken.insert(broken.clone()) {
                self.trace(&format!("BROKEN {broken}"));
            }
        }
        answer
    }

    pub(crate) fn see<T>(&self, what: impl FnOnce(&State) -> T) -> T {
        what(&self.state.lock().unwrap())
    }

    pub(crate) fn begin(&self, system: &str) {
        let mut state = self.state.lock().unwrap();
        let budget = state.budgets.get(system).copied().unwrap_or_default();
        let (now, most) = state.flights.entry(system.to_owned()).or_default();
        *now += 1;
        *most = (*most).max(*now);
        if *most > budget.concurrency {
            state.broken.insert(format!("{system} saw more calls at a time than its budget of {}", budget.concurrency));
        }
        let now = self.time.elapsed();
        let begun = state.begun.entry(system.to_owned()).or_default();
        begun.push_back(now);
        while begun.front().is_some_and(|first| *first + Duration::from_secs(1) <= now) {
            begun.pop_front();
        }
        // A process that is stopped just before a call makes it when it is woken: one for each of the three.
        if let Some(rate) = budget.per_second.filter(|rate| begun.len() > *rate as usize + 3) {
            let seen = begun.len();
            state.broken.insert(format!("{system} saw {seen} calls in a second, and its budget is {rate}"));
        }
    }

    pub(crate) fn end(&self, system: &str) {
        if let Some((now, _)) = self.state.lock().unwrap().flights.get_mut(system) {
            *now -= 1;
        }
    }

    pub(crate) fn withhold(&self, call: Box<dyn FnOnce() + Send>) {
        self.withheld.lock().unwrap().push(call);
    }

    /// What was withheld lands now; how many calls.
    pub(crate) fn release(&self) -> usize {
        let calls = std::mem::take(&mut *self.withheld.lock().unwrap());
        let count = calls.len();
        calls.into_iter().for_each(|call| call());
        count
    }

    pub(crate) fn trace(&self, line: &str) {
        let mut trace = self.trace.lock().unwrap();
        let line = format!("{:>9.3} {line}", self.time.elapsed().as_secs_f64());
        for byte in line.bytes() {
            trace.hash = (trace.hash ^ u64::from(byte)).wrapping_mul(0x0100_0000_01B3);
        }
        trace.lines.push(line);
    }

    pub(crate) fn fingerprint(&self) -> (usize, u64) {
        let trace = self.trace.lock().unwrap();
        (trace.lines.len(), trace.hash)
    }

    /// The end of the trace.
    pub(crate) fn story(&self, most: usize) -> String {
        let trace = self.trace.lock().unwrap();
        let from = trace.lines.len().saturating_sub(most);
        trace.lines[from..].iter().fold(String::new(), |mut text, line| {
            let _ = writeln!(text, "{line}");
            text
        })
    }
}

impl State {
    /// Every promise that is broken now.
    fn look(&self) -> Vec<String> {
        let mut broken = Vec::new();
        for promise in &self.promises {
            let Some(running) = self.workloads.get(&promise.workload) else { continue };
            for holding in running.holdings.iter().filter(|holding| holding.target == promise.target) {
                let accepted = |value: &Material| self.accepts(&holding.issuer, value).is_some();
                if !holding.held.as_ref().is_some_and(accepted) {
                    broken.push(format!("{} holds no working value of {}", promise.workload, promise.target));
                }
                let would = match self.issuers.get(&holding.issuer) {
                    Some(issuer) if holding.leased => issuer.lends(&holding.target),
                    _ => self.lies(&holding.store, &holding.path).as_ref().is_some_and(accepted),
                };
                if !would {
                    broken.push(format!("{} would read no working value of {}", promise.workload, promise.target));
                }
                let signs = self.issuers.get(&holding.issuer).filter(|issuer| issuer.issues == Issues::Signing);
                if let Some((issuer, id)) = signs.and_then(|issuer| Some((issuer, issuer.in_use(&promise.target)?)))
                    && issuer.accepts(&issuer.versions[id].material).is_none()
                {
                    broken.push(format!("{id} signs, and not every verifier trusts it"));
                }
            }
        }
        broken.extend(self.issuers.values().flat_map(Issuer::unreadable));
        broken
    }

    /// The version that this value is, when every endpoint and every verifier accepts it.
    pub(crate) fn accepts(&self, issuer: &str, value: &Material) -> Option<String> {
        let issuer = self.issuers.get(issuer)?;
        let id = issuer.accepts(value)?;
        self.trusted(issuer, id).then(|| id.to_owned())
    }

    /// The same at one endpoint. Verifiers that read a bundle are behind the only one.
    pub(crate) fn accepts_at(&self, issuer: &str, value: &Material, endpoint: usize) -> Option<String> {
        let issuer = self.issuers.get(issuer)?;
        let id = issuer.accepts_at(value, endpoint)?;
        self.trusted(issuer, id).then(|| id.to_owned())
    }

    fn trusted(&self, issuer: &Issuer, id: &str) -> bool {
        let version = &issuer.versions[id];
        let Some(verifiers) = self.verifiers.get(&version.target) else { return true };
        let knows = |workload: &String| {
            let public = version.material.username.as_deref().unwrap_or_default();
            let running = self.workloads.get(workload);
            running.is_some_and(|running| {
                running.bundles.iter().any(|bundle| bundle.text.lines().any(|line| line == public))
            })
        };
        verifiers.iter().all(knows)
    }

    /// Does this service refuse what comes after its deadline?
    pub(crate) fn refuses_late(&self, system: &str) -> bool {
        self.issuers.get(system).is_some_and(|issuer| issuer.deadlines)
            || self.shelves.get(system).is_some_and(|shelf| shelf.deadlines)
    }

    /// What was sent over a connection that is closed by now is not carried out any more. A login that knows no operation
    /// is set over one.
    pub(crate) fn has_hung_up(&self, system: &str, since: Duration) -> bool {
        since > Duration::from_secs(5) && self.issuers.get(system).is_some_and(|issuer| !issuer.remembers)
    }

    /// What readers see at a place.
    pub(crate) fn lies(&self, store: &str, path: &str) -> Option<Material> {
        let fields = self.shelves.get(store)?.seen(path)?;
        let text = |field: &str| fields.get(field).and_then(SecretValue::expose_str).map(str::to_owned);
        Some(Material { username: text("username"), secret: fields.get("secret")?.clone() })
    }

    /// The text of one field at a place.
    pub(crate) fn text(&self, store: &str, path: &str, field: &str) -> Option<&str> {
        self.shelves.get(store)?.seen(path)?.get(field)?.expose_str()
    }

    /// The workload reads everything anew, fetches what is lent, and works: something more is encrypted.
    pub(crate) fn reload(&mut self, workload: &str) {
        let Some(running) = self.workloads.get(workload) else { return };
        let mut fresh = running.clone();
        for holding in &mut fresh.holdings {
            holding.held = if holding.leased {
                self.issuers.get_mut(&holding.issuer).and_then(|issuer| issuer.fetch(&holding.target))
            } else {
                self.lies(&holding.store, &holding.path)
            };
            if let Some(issuer) = self.issuers.get_mut(&holding.issuer) {
                issuer.encrypt(&holding.target);
            }
        }
        for bundle in &mut fresh.bundles {
            bundle.text = self.text(&bundle.store, &bundle.path, "keys").unwrap_or_default().to_owned();
        }
        self.workloads.insert(workload.to_owned(), fresh);
    }
}
