//! What the status of an object says of a reset: counters, the first of many, and what moves it on. Never larger than
//! [`LARGEST`], however many credentials it has.

use std::collections::BTreeMap;

use jiff::Timestamp;
use serde_json::{Value, json};

use crate::condition::{Condition, short, written};
use crate::schema::status::PARKED;

/// The largest status of a Reset, in bytes.
pub const LARGEST: usize = 32 << 10;

/// One that waits for somebody.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Parked {
    pub credential: String,
    pub why: String,
    pub next: String,
}

/// How a reset stands.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Progress {
    /// A word for people: Requested, Running, Complete, Expired, Refused, …
    pub phase: String,
    pub reset: String,
    pub plan: Option<String>,
    pub states: BTreeMap<String, usize>,
    pub proofs: BTreeMap<String, usize>,
    pub credentials: usize,
    /// All that may be shown; the first are.
    pub parked: Vec<Parked>,
    /// How many more there are, where whoever asked may not read.
    pub elsewhere: usize,
    /// Why it is where it is, in a sentence.
    pub message: String,
    pub next: String,
    pub link: String,
}

impl Progress {
    /// What was not begun, and why.
    #[must_use]
    pub fn not_begun(phase: &str, message: impl Into<String>, next: &str) -> Self {
        Self { phase: phase.to_owned(), message: message.into(), next: next.to_owned(), ..Self::default() }
    }

    /// The status, beside what the object has.
    #[must_use]
    pub fn status(&self, object: &Value, now: Timestamp) -> Value {
        let generation = &object["metadata"]["generation"];
        let before = &object["status"]["conditions"];
        let parked: Vec<Value> = self
            .parked
            .iter()
            .take(PARKED)
            .map(|one| json!({ "credential": short(&one.credential, 160), "why": cut(&one.why), "nextAction": cut(&one.next) }))
            .collect();
        let mut status = json!({
            "observedGeneration": generation,
            "conditions": written(&self.conditions(), before, generation, now),
            "phase": self.phase,
            "credentials": self.credentials,
            "states": self.states,
            "proofs": self.proofs,
            "parked": parked,
            "parkedTotal": self.parked.len() + self.elsewhere,
        });
        if self.elsewhere > 0 {
            status["parkedElsewhere"] = json!(self.elsewhere);
        }
        for (key, text) in [("reset", &self.reset), ("nextAction", &self.next), ("link", &self.link)] {
            if !text.is_empty() {
                status[key] = json!(short(text, 1024));
            }
        }
        if let Some(plan) = &self.plan {
            status["plan"] = json!(plan);
        }
        status
    }

    fn conditions(&self) -> Vec<Condition> {
        let phase = self.phase.as_str();
        let stopped = matches!(phase, "Refused" | "Expired" | "Rejected");
        let planned = self.plan.is_some();
        let running = matches!(phase, "Running" | "Resting" | "Paused");
        let settled = matches!(phase, "Complete" | "Provisional");
        let approved = running || settled || phase == "Aborted";
        let one = |kind, holds, yes: &'static str, no: &'static str, message: &str| {
            Condition::new(kind, holds, if holds { yes } else { no }, message)
        };
        vec![
            one("Ready", phase == "Complete", "Complete", "NotComplete", &self.message),
            one(
                "Valid",
                !matches!(phase, "Refused" | "Expired"),
                "Taken",
                "NotTaken",
                if stopped { &self.message } else { "" },
            ),
            one("Planned", planned, "Planned", "NoPlan", ""),
            one("Approved", approved, "Approved", "WaitsForApproval", ""),
            one("Running", running, "Running", "NotRunning", ""),
            one("Settled", settled, "Settled", "NotSettled", ""),
            one("Parked", self.parked.len() + self.elsewhere > 0, "WaitsForSomebody", "NothingParked", ""),
        ]
    }
}

fn cut(text: &str) -> String {
    short(text, 400)
}
