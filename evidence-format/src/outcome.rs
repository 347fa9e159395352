//! What became of one credential in a reset, and the kinds of entry that say so.
//!
//! | kind | keys of the body | the subject is then |
//! |---|---|---|
//! | `credential.reached` | | open, unless something is known of it already |
//! | `rotation.parked`, `rotation.dark`, `rotation.reopened` | `why` | open |
//! | `rotation.provisional` | `proof`, `until`, `confirm`? | settled until it is proven again |
//! | `rotation.settled` | `proof`, `confirm`? | settled |
//! | `task.opened` | `why` | a task nobody attested |
//! | `task.attested` | `by`, `why` | a task somebody attested |
//! | `exception.granted` | `by`, `until`, `why` | excepted |
//! | `foreign.found` | `why` | a foreign credential nobody decided about |
//! | `foreign.decided` | `decision`, `by` | decided: `adopt`, `revoke` or `except` |
//!
//! The last such entry of a subject counts. Other kinds change nothing; other keys of the body are the writer's own. A
//! grade or decision that is not known is [`FormatError::NotUnderstood`].

use serde_json::{Map, Value};

use crate::FormatError;
use crate::entry::{self, Entry};

/// Puts a credential into the reached set.
pub const REACHED: &str = "credential.reached";

/// What became of one credential.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Outcome {
    Open { why: String },
    Provisional { proof: Proof, confirm: Option<Confirm>, until: String },
    Settled { proof: Proof, confirm: Option<Confirm> },
    Task { why: String, by: Option<String> },
    Exception { by: String, until: String, why: String },
    Foreign { decided: Option<(Decision, String)> },
}

impl Outcome {
    /// Whether nothing is left to do or to wait for.
    pub fn is_closed(&self) -> bool {
        match self {
            Self::Open { .. } | Self::Provisional { .. } => false,
            Self::Settled { .. } | Self::Exception { .. } => true,
            Self::Task { by, .. } => by.is_some(),
            Self::Foreign { decided } => decided.is_some(),
        }
    }

    /// The same at a time: an exception counts until its end.
    pub fn is_closed_at(&self, at: &str) -> bool {
        self.is_closed() && !self.has_ended(at)
    }

    /// Whether it is an exception that was over by then.
    pub fn has_ended(&self, at: &str) -> bool {
        matches!(self, Self::Exception { until, .. } if !entry::is_before(at, until))
    }

    /// The kind and body of the entry that says so; the writer may add keys of its own.
    pub fn to_entry(&self) -> (&'static str, Map<String, Value>) {
        match self {
            Self::Open { why } => ("rotation.parked", body([("why", Some(why.as_str()))])),
            Self::Provisional { proof, confirm, until } => (
                "rotation.provisional",
                body([
                    ("proof", Some(proof.word())),
                    ("confirm", confirm.map(Confirm::word)),
                    ("until", Some(until.as_str())),
                ]),
            ),
            Self::Settled { proof, confirm } => {
                ("rotation.settled", body([("proof", Some(proof.word())), ("confirm", confirm.map(Confirm::word))]))
            }
            Self::Task { why, by: None } => ("task.opened", body([("why", Some(why.as_str()))])),
            Self::Task { why, by: Some(by) } => {
                ("task.attested", body([("by", Some(by.as_str())), ("why", Some(why.as_str()))]))
            }
            Self::Exception { by, until, why } => (
                "exception.granted",
                body([("by", Some(by.as_str())), ("until", Some(until.as_str())), ("why", Some(why.as_str()))]),
            ),
            Self::Foreign { decided: None } => ("foreign.found", Map::new()),
            Self::Foreign { decided: Some((decision, by)) } => {
                ("foreign.decided", body([("decision", Some(decision.word())), ("by", Some(by.as_str()))]))
            }
        }
    }

    /// What an entry says of its subject; `None` when it is of a kind that says nothing of it.
    pub fn of(entry: &Entry<'_>) -> Result<Option<Self>, FormatError> {
        let kind = entry.kind.as_ref();
        if !DECIDING.contains(&kind) {
            return Ok(None);
        }
        if kind == REACHED {
            return Ok(Some(Self::Open { why: "reached, and nothing was done yet".to_owned() }));
        }
        let body = entry.body()?;
        let word = |key: &'static str| {
            let value = body.get(key).and_then(Value::as_str).filter(|word| !word.is_empty());
            value.map(str::to_owned).ok_or(FormatError::Field { field: key, why: "this kind of entry must have it" })
        };
        let until = || {
            let until = word("until")?;
            let wrong = |_| FormatError::Field { field: "until", why: "it must be RFC 3339 in UTC" };
            entry::check_time(&until).map_err(wrong).map(|()| until)
        };
        let confirm = || body.get("confirm").map(|_| Confirm::read(&word("confirm")?)).transpose();
        let outcome = match kind {
            "rotation.provisional" => {
                Self::Provisional { proof: Proof::read(&word("proof")?)?, confirm: confirm()?, until: until()? }
            }
            "rotation.settled" => Self::Settled { proof: Proof::read(&word("proof")?)?, confirm: confirm()? },
            "task.opened" => Self::Task { why: word("why")?, by: None },
            "task.attested" => Self::Task { why: word("why")?, by: Some(word("by")?) },
            "exception.granted" => Self::Exception { by: word("by")?, until: until()?, why: word("why")? },
            "foreign.found" => Self::Foreign { decided: None },
            "foreign.decided" => Self::Foreign { decided: Some((Decision::read(&word("decision")?)?, word("by")?)) },
            _ => Self::Open { why: word("why")? },
        };
        Ok(Some(outcome))
    }

    /// The word for it in `completeness.json`, and the rest of its row.
    pub(crate) fn row(&self) -> Map<String, Value> {
        let (_, mut row) = self.to_entry();
        let word = match self {
            Self::Open { .. } => "open",
            Self::Provisional { .. } => "provisional",
            Self::Settled { .. } => "settled",
            Self::Task { .. } => "task",
            Self::Exception { .. } => "exception",
            Self::Foreign { .. } => "foreign",
        };
        row.insert("outcome".to_owned(), Value::from(word));
        row
    }
}

/// A closed set of words, weakest last.
macro_rules! words {
    ($(#[$doc:meta])* $name:ident, $what:literal: $($variant:ident = $word:literal),+) => {
        $(#[$doc])*
        #[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
        pub enum $name { $($variant),+ }

        impl $name {
            pub const ALL: &[Self] = &[$(Self::$variant),+];

            pub const fn word(self) -> &'static str {
                match self { $(Self::$variant => $word),+ }
            }

            /// The word's meaning, or [`FormatError::NotUnderstood`].
            pub fn read(word: &str) -> Result<Self, FormatError> {
                match word {
                    $($word => Ok(Self::$variant),)+
                    _ => Err(FormatError::NotUnderstood { what: $what.to_owned() }),
                }
            }
        }
    };
}

words! {
    /// How the old value is known to be dead.
    Proof, "the grade of a proof":
    Refused = "refused", RefusedUncontrolled = "refused-uncontrolled", Published = "published", Absent = "absent",
    Attested = "attested"
}

words! {
    /// How a consumer is known to use the new value.
    Confirm, "the grade of a confirmation":
    IssuerSeen = "issuer-seen", SelfReported = "self-reported", Served = "served", RolledOut = "rolled-out",
    Attested = "attested"
}

words! {
    /// What somebody decided about a foreign credential.
    Decision, "the decision about a foreign credential":
    Adopt = "adopt", Revoke = "revoke", Except = "except"
}

fn body<const N: usize>(members: [(&str, Option<&str>); N]) -> Map<String, Value> {
    members.into_iter().filter_map(|(key, value)| Some((key.to_owned(), Value::from(value?)))).collect()
}

const DECIDING: [&str; 11] = [
    REACHED,
    "rotation.parked",
    "rotation.dark",
    "rotation.reopened",
    "rotation.provisional",
    "rotation.settled",
    "task.opened",
    "task.attested",
    "exception.granted",
    "foreign.found",
    "foreign.decided",
];
