//! Conditions of an object, as `kubectl wait` reads them.

use jiff::Timestamp;
use serde_json::{Value, json};

/// One thing that is true of an object, or not.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Condition {
    pub kind: &'static str,
    /// `None`: nobody knows yet.
    pub holds: Option<bool>,
    pub reason: &'static str,
    pub message: String,
}

impl Condition {
    #[must_use]
    pub fn new(kind: &'static str, holds: bool, reason: &'static str, message: impl Into<String>) -> Self {
        Self { kind, holds: Some(holds), reason, message: message.into() }
    }

    fn status(&self) -> &'static str {
        match self.holds {
            Some(true) => "True",
            Some(false) => "False",
            None => "Unknown",
        }
    }
}

/// The conditions as an object carries them: one that says what it said before keeps its time. Messages are cut.
#[must_use]
pub fn written(conditions: &[Condition], before: &Value, generation: &Value, now: Timestamp) -> Value {
    let known = |kind: &str| before.as_array()?.iter().find(|known| known["type"] == kind);
    let one = |condition: &Condition| {
        let since = known(condition.kind)
            .filter(|known| known["status"] == condition.status())
            .and_then(|known| known["lastTransitionTime"].as_str());
        json!({
            "type": condition.kind,
            "status": condition.status(),
            "reason": condition.reason,
            "message": short(&condition.message, MESSAGE),
            "lastTransitionTime": since.map_or_else(|| whole(now), str::to_owned),
            "observedGeneration": generation,
        })
    };
    conditions.iter().map(one).collect()
}

/// A time without its fraction, as objects have it.
#[must_use]
pub fn whole(at: Timestamp) -> String {
    Timestamp::from_second(at.as_second()).unwrap_or(at).to_string()
}

/// At most so many bytes, cut between letters.
#[must_use]
pub fn short(text: &str, most: usize) -> String {
    if text.len() <= most {
        return text.to_owned();
    }
    let mut end = most.saturating_sub('…'.len_utf8());
    while !text.is_char_boundary(end) {
        end -= 1;
    }
    format!("{}…", &text[..end])
}

/// The longest message.
const MESSAGE: usize = 2048;
