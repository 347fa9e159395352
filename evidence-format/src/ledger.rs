//! The entries of one reset, read in order: that none is missing, and what they add up to.
//!
//! Reading checks the numbers 1, 2, 3, …, the hash that each entry carries of the one before, and every `reset.closed`:
//! its body says how many entries came before it (`count`), the hash of the last of them (`head`) and the Merkle root over
//! the reached set (`reached`: each subject's UTF-8 bytes a leaf, in the order of the bytes). A reset may be closed, go on
//! (a proof tried again, a value alive again) and be closed anew; it is closed when its last entry closes it.
//!
//! `reset.recovered` says that the log was begun anew under another origin (`origin`, after `before`), and which entries of
//! the one before are lost: those from place `from` up to place `to`, or nobody knows how many without `to`.
//!
//! `reset.started` and `reset.revised` carry `plan_sha256`, the SHA-256 of the plan's file in hexadecimal digits;
//! `reset.requested` may: it names the plan that is asked for. [`said`] has what people said of the reset as a whole,
//! [`crate::observation`] what a prober saw, [`crate::approval`] whose yes it took. `governance` in the body of
//! `reset.requested` says whether policies and persons stood behind it; without that word it is `ungoverned`.

use std::collections::BTreeMap;

use serde_json::{Map, Value};

use crate::approval::{self, SIGNED, WITHDRAWN};
use crate::entry::{self, Entry};
use crate::observation::{self, Observed};
use crate::outcome::Outcome;
use crate::tree::{self, Hash};
use crate::{FormatError, canonical};

pub use self::said::Said;

mod said;

pub const REQUESTED: &str = "reset.requested";
pub const STARTED: &str = "reset.started";
pub const REVISED: &str = "reset.revised";
pub const RECOVERED: &str = "reset.recovered";
pub const CLOSED: &str = "reset.closed";
const EXCEPTED: &str = "exception.granted";
/// The key of the plan's hash in the bodies of [`STARTED`] and [`REVISED`].
pub const PLAN_SHA256: &str = "plan_sha256";

/// What the entries of one reset add up to.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Ledger {
    reset: String,
    count: u64,
    head: Hash,
    closed: bool,
    started: bool,
    /// When the last entry was written, by the clock of who wrote it.
    at: String,
    plans: Vec<Hash>,
    said: Vec<Said>,
    observed: Vec<Observed>,
    controls: Vec<Observed>,
    gaps: Vec<Gap>,
    governed: bool,
    asked: Option<String>,
    approvals: Vec<approval::Said>,
    begun: Vec<Begun>,
    excepted: Vec<approval::Excepted>,
    rows: BTreeMap<String, Row>,
}

/// That a plan, or a revision of it, came into force in a governed reset.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Begun {
    pub entry: u64,
    /// The digest of the plan.
    pub plan: String,
    /// So many different persons it took.
    pub needs: u64,
    /// How it came into force without the yes of persons for this plan alone: `standing`, `break-glass`.
    pub by_way_of: Option<String>,
}

/// Entries of the log that are lost: what was recorded of the reset among them, nobody can show any more.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Gap {
    /// The log before, and the one that goes on.
    pub before: String,
    pub origin: String,
    /// How many entries of the log before are left.
    pub from: u64,
    /// How many it had, when anybody knows.
    pub to: Option<u64>,
}

/// What became of one subject, and the entry that says so.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Row {
    pub entry: u64,
    pub outcome: Outcome,
}

/// Why an entry cannot be the next of its reset.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum LedgerError {
    #[error("it is number {found} where number {expected} must follow: an entry is missing, doubled or moved")]
    Number { expected: u64, found: u64 },
    #[error("it does not carry the hash of the entry before: one of the two was changed or exchanged")]
    Previous,
    #[error("it belongs to another reset")]
    OtherReset,
    #[error("it closes the reset over other entries than these: its `{0}` differs")]
    Closing(&'static str),
    #[error(transparent)]
    Format(#[from] FormatError),
}

impl Ledger {
    /// Nothing read yet.
    pub fn new(reset: &str) -> Self {
        Self {
            reset: reset.to_owned(),
            count: 0,
            head: entry::FIRST,
            closed: false,
            started: false,
            at: String::new(),
            plans: Vec::new(),
            said: Vec::new(),
            observed: Vec::new(),
            controls: Vec::new(),
            gaps: Vec::new(),
            governed: false,
            asked: None,
            approvals: Vec::new(),
            begun: Vec::new(),
            excepted: Vec::new(),
            rows: BTreeMap::new(),
        }
    }

    /// Reads the stored bytes of all entries of a reset, in order.
    pub fn of<'b>(reset: &str, entries: impl IntoIterator<Item = &'b [u8]>) -> Result<Self, LedgerError> {
        let mut ledger = Self::new(reset);
        for bytes in entries {
            ledger.read(&entry::parse(bytes)?, entry::hash(bytes))?;
        }
        Ok(ledger)
    }

    /// Takes the next entry, `hash` being that of its bytes. After an error the ledger is as it was.
    pub fn read(&mut self, entry: &Entry<'_>, hash: Hash) -> Result<(), LedgerError> {
        if entry.reset.as_deref() != Some(self.reset.as_str()) {
            return Err(LedgerError::OtherReset);
        }
        if entry.number != self.count + 1 {
            return Err(LedgerError::Number { expected: self.count + 1, found: entry.number });
        }
        if entry.previous != self.head {
            return Err(LedgerError::Previous);
        }
        match entry.kind.as_ref() {
            CLOSED => self.check_closing(entry)?,
            STARTED | REVISED => {
                let missing = FormatError::Field { field: PLAN_SHA256, why: "this kind of entry must have it" };
                self.name_plan(plan_of(entry)?.ok_or(missing)?);
                self.begun.extend(begun_of(entry)?);
            }
            REQUESTED => {
                self.governed |= governed_of(entry)?;
                let body = entry.body()?;
                self.asked = body.get("person").and_then(Value::as_str).map(str::to_owned);
                plan_of(entry)?.into_iter().for_each(|plan| self.name_plan(plan));
            }
            SIGNED => self.approvals.push(approval::Said::of(entry)?),
            WITHDRAWN => self.withdraw(entry)?,
            RECOVERED => self.gaps.push(gap_of(entry)?),
            observation::OBSERVED => self.observed.push(Observed::of(entry)?),
            observation::CONTROLLED => self.controls.push(Observed::of(entry)?),
            EXCEPTED => {
                self.excepted.extend(approval::Excepted::of(entry)?);
                self.decide(entry)?;
            }
            _ => self.decide(entry)?,
        }
        self.said.extend(Said::of(entry)?);
        self.closed = entry.kind == CLOSED;
        self.started |= entry.kind == STARTED;
        entry.at.as_ref().clone_into(&mut self.at);
        self.count = entry.number;
        self.head = hash;
        Ok(())
    }

    /// The body of the closing entry that would follow now.
    pub fn closing(&self) -> Map<String, Value> {
        Map::from_iter([
            ("count".to_owned(), Value::from(self.count)),
            ("head".to_owned(), Value::from(self.head.to_string())),
            ("reached".to_owned(), Value::from(self.reached_root().to_string())),
        ])
    }

    /// The root over the reached set.
    pub fn reached_root(&self) -> Hash {
        tree::root(self.rows.keys().map(|subject| tree::leaf_hash(subject.as_bytes())))
    }

    pub fn reset(&self) -> &str {
        &self.reset
    }

    /// How many entries were read.
    pub fn count(&self) -> u64 {
        self.count
    }

    /// Whether the last entry closes the reset.
    pub fn is_closed(&self) -> bool {
        self.closed
    }

    /// Whether somebody said that it may begin.
    pub fn is_started(&self) -> bool {
        self.started
    }

    /// Started and closed, and nothing reached is open, provisional, unattested, undecided or excepted until before the end.
    pub fn is_complete(&self) -> bool {
        self.started && self.closed && self.rows.values().all(|row| row.outcome.is_closed_at(&self.at))
    }

    /// When the last entry was written.
    pub fn at(&self) -> &str {
        &self.at
    }

    /// The SHA-256 of the newest plan's file.
    pub fn plan(&self) -> Option<Hash> {
        self.plans.last().copied()
    }

    /// Every plan that an entry names, each once, in the order in which it was first named.
    pub fn plans(&self) -> Vec<Hash> {
        let mut plans: Vec<Hash> = Vec::new();
        for plan in &self.plans {
            if !plans.contains(plan) {
                plans.push(*plan);
            }
        }
        plans
    }

    /// What people said of the reset as a whole, oldest first.
    pub fn said(&self) -> &[Said] {
        &self.said
    }

    /// What probers saw, oldest first; their signatures are not checked here.
    pub fn observed(&self) -> &[Observed] {
        &self.observed
    }

    /// What probers saw of new values.
    pub fn controls(&self) -> &[Observed] {
        &self.controls
    }

    /// Where the log was lost and begun anew, oldest first.
    pub fn gaps(&self) -> &[Gap] {
        &self.gaps
    }

    /// Whether policies and persons stood behind it.
    pub fn is_governed(&self) -> bool {
        self.governed
    }

    /// The word for that.
    pub fn governance(&self) -> &'static str {
        if self.governed { entry::GOVERNED } else { entry::UNGOVERNED }
    }

    /// The person who asked, where the table knew one.
    pub fn asked(&self) -> Option<&str> {
        self.asked.as_deref()
    }

    /// What persons approved, oldest first, with what they took back.
    pub fn approvals(&self) -> &[approval::Said] {
        &self.approvals
    }

    /// Which plans came into force in a governed reset, and how many persons each took.
    pub fn begun(&self) -> &[Begun] {
        &self.begun
    }

    /// Exceptions that persons approved.
    pub fn excepted(&self) -> &[approval::Excepted] {
        &self.excepted
    }

    /// Everything reached or found, by subject.
    pub fn rows(&self) -> &BTreeMap<String, Row> {
        &self.rows
    }

    /// The completeness statement: one JSON object, one line for each subject.
    pub fn completeness(&self) -> Result<String, FormatError> {
        let mut out = format!("{{\"closed\":{},\"complete\":{},", self.closed, self.is_complete()).into_bytes();
        out.extend_from_slice(format!("\"governance\":\"{}\",\"reset\":", self.governance()).as_bytes());
        canonical::write_string(&self.reset, &mut out);
        out.extend_from_slice(b",\"credentials\":[\n");
        for (place, (subject, row)) in self.rows.iter().enumerate() {
            if place > 0 {
                out.extend_from_slice(b",\n");
            }
            let mut members = row.outcome.row();
            members.insert("credential".to_owned(), Value::from(subject.as_str()));
            members.insert("entry".to_owned(), Value::from(row.entry));
            canonical::write(&members, &mut out)?;
        }
        out.extend_from_slice(b"\n]}\n");
        String::from_utf8(out).map_err(|_| FormatError::Field { field: "subject", why: "it is not UTF-8" })
    }

    fn name_plan(&mut self, plan: Hash) {
        if self.plans.last() != Some(&plan) {
            self.plans.push(plan);
        }
    }

    /// Takes back what that person said so far.
    fn withdraw(&mut self, entry: &Entry<'_>) -> Result<(), FormatError> {
        let body = entry.body()?;
        let word = |key: &str| body.get(key).and_then(Value::as_str);
        let whose = word("person").or_else(|| word("by")).unwrap_or_default();
        for said in self.approvals.iter_mut().filter(|said| said.withdrawn.is_none() && said.whose() == whose) {
            said.withdrawn = Some(entry.number);
        }
        Ok(())
    }

    fn decide(&mut self, entry: &Entry<'_>) -> Result<(), FormatError> {
        let Some(outcome) = Outcome::of(entry)? else { return Ok(()) };
        let Some(subject) = entry.subject.as_deref() else {
            return Err(FormatError::Field { field: "subject", why: "this kind of entry must have it" });
        };
        if entry.kind == crate::outcome::REACHED && self.rows.contains_key(subject) {
            return Ok(());
        }
        self.rows.insert(subject.to_owned(), Row { entry: entry.number, outcome });
        Ok(())
    }

    fn check_closing(&self, entry: &Entry<'_>) -> Result<(), LedgerError> {
        let body = entry.body()?;
        for (key, expected) in ["count", "head", "reached"].into_iter().zip(self.closing().values()) {
            if body.get(key) != Some(expected) {
                return Err(LedgerError::Closing(key));
            }
        }
        Ok(())
    }
}

fn governed_of(entry: &Entry<'_>) -> Result<bool, FormatError> {
    match entry.body()?.get("governance").map(|word| word.as_str().unwrap_or_default()) {
        None | Some(entry::UNGOVERNED) => Ok(false),
        Some(entry::GOVERNED) => Ok(true),
        Some(_) => Err(FormatError::NotUnderstood { what: "the governance of the reset".to_owned() }),
    }
}

fn begun_of(entry: &Entry<'_>) -> Result<Option<Begun>, FormatError> {
    let body = entry.body()?;
    let Some(needs) = body.get("needs") else { return Ok(None) };
    let wrong = FormatError::Field { field: "needs", why: "it must be a number of persons" };
    let word = |key: &str| body.get(key).and_then(Value::as_str).map(str::to_owned);
    let plan = word("plan").ok_or(FormatError::Field { field: "plan", why: "this kind of entry must have it" })?;
    let needs = needs.as_u64().ok_or(wrong)?;
    Ok(Some(Begun { entry: entry.number, plan, needs, by_way_of: word("by-way-of") }))
}

fn gap_of(entry: &Entry<'_>) -> Result<Gap, FormatError> {
    let body = entry.body()?;
    let word = |field: &'static str| {
        let value = body.get(field).and_then(Value::as_str).filter(|word| !word.is_empty()).map(str::to_owned);
        value.ok_or(FormatError::Field { field, why: "this kind of entry must have it" })
    };
    let wrong = |field| FormatError::Field { field, why: "it must be a number of entries" };
    let from = body.get("from").and_then(Value::as_u64).ok_or_else(|| wrong("from"))?;
    let to = body.get("to").map(|to| to.as_u64().ok_or_else(|| wrong("to"))).transpose()?;
    Ok(Gap { before: word("before")?, origin: word("origin")?, from, to })
}

fn plan_of(entry: &Entry<'_>) -> Result<Option<Hash>, FormatError> {
    let body = entry.body()?;
    let Some(named) = body.get(PLAN_SHA256) else { return Ok(None) };
    let wrong = FormatError::Field { field: PLAN_SHA256, why: "it must be the SHA-256 of the plan's file" };
    named.as_str().and_then(Hash::from_hex).map(Some).ok_or(wrong)
}
