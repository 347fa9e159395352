//! What a bundle tells, read once.

use jiff::Timestamp;
use remint_core::plan::Plan;
use remint_evidence_format::bundle::{Bundle, plan_name};
use remint_evidence_format::ledger::{Ledger, LedgerError};
use remint_evidence_format::{FormatError, entry};
use serde_json::{Map, Value};

/// Why a bundle that verifies cannot be told.
#[derive(Debug, thiserror::Error)]
pub enum StoryError {
    #[error("the entries do not follow each other")]
    Ledger(#[from] LedgerError),
    #[error("an entry cannot be read")]
    Entry(#[from] FormatError),
    #[error("entry {0} has a time that is none")]
    Time(u64),
    #[error("the plan {0} cannot be read; use the version of remint that wrote it")]
    Plan(String, #[source] serde_json::Error),
}

/// One reset, as its bundle tells it.
pub(super) struct Story {
    pub(super) ledger: Ledger,
    /// The plan in force at the end.
    pub(super) plan: Plan,
    pub(super) told: Vec<Told>,
    /// The signed note of the log.
    pub(super) checkpoint: String,
}

/// One entry.
pub(super) struct Told {
    pub(super) number: u64,
    pub(super) at: Timestamp,
    pub(super) kind: String,
    pub(super) subject: Option<String>,
    pub(super) body: Map<String, Value>,
}

impl Told {
    /// A word of the body.
    pub(super) fn word(&self, key: &str) -> Option<&str> {
        self.body.get(key).and_then(Value::as_str)
    }

    /// The verb of an effect that is done.
    pub(super) fn did(&self, verb: &str) -> bool {
        self.kind == "effect.done" && self.word("verb") == Some(verb)
    }

    /// What a step established, when it says so.
    pub(super) fn established(&self, key: &str) -> Option<&Value> {
        self.body.get("established").and_then(|facts| facts.get(key))
    }
}

impl Story {
    pub(super) fn read(bundle: &Bundle) -> Result<Self, StoryError> {
        let ledger = bundle.ledger()?;
        let mut told = Vec::new();
        for bytes in bundle.entries() {
            let entry = entry::parse(&bytes)?;
            told.push(Told {
                number: entry.number,
                at: entry.at.parse().map_err(|_| StoryError::Time(entry.number))?,
                kind: entry.kind.to_string(),
                subject: entry.subject.as_deref().map(str::to_owned),
                body: entry.body()?,
            });
        }
        let newest = ledger.plan().and_then(|plan| ledger.plans().iter().position(|one| *one == plan)).unwrap_or(0);
        let name = plan_name(newest + 1);
        let bytes = bundle.files().get(&name).map(Vec::as_slice).unwrap_or_default();
        let plan = serde_json::from_slice(bytes).map_err(|error| StoryError::Plan(name, error))?;
        let checkpoint = bundle.files().get(remint_evidence_format::bundle::CHECKPOINT);
        let checkpoint = String::from_utf8_lossy(checkpoint.map(Vec::as_slice).unwrap_or_default()).into_owned();
        Ok(Self { ledger, plan, told, checkpoint })
    }

    /// When it was asked for.
    pub(super) fn begin(&self) -> Timestamp {
        self.told.first().map_or(Timestamp::UNIX_EPOCH, |told| told.at)
    }

    pub(super) fn end(&self) -> Timestamp {
        self.told.last().map_or(Timestamp::UNIX_EPOCH, |told| told.at)
    }
}
