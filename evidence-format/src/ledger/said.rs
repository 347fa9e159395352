//! What people said of a reset as a whole: who asked, who approved, who stopped it, and how that is known.
//!
//! | kind | who | also |
//! |---|---|---|
//! | `reset.requested` | `requested-by` | `reason` |
//! | `reset.started`, `reset.revised` | `approved-by` | `grade` |
//! | `reset.escalated` | `requested-by` | `reason` |
//! | `break-glass.used`, `break-glass.reviewed` | `by` | `reason` |
//! | `reset.rejected`, `reset.paused`, `reset.resumed`, `reset.aborted`, `node.cleaned` | `by` | `reason`, `grade` |
//!
//! A name that is missing stays missing: old writers, and whatever nobody answered for.

use serde_json::Value;

use crate::FormatError;
use crate::entry::Entry;

/// One thing that somebody said.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Said {
    pub entry: u64,
    pub at: String,
    pub kind: String,
    pub by: Option<String>,
    pub why: Option<String>,
    /// `recorded` is a word that nobody verified.
    pub grade: Option<String>,
}

impl Said {
    /// What an entry says; `None` when it is of a kind that is not listed above.
    pub(super) fn of(entry: &Entry<'_>) -> Result<Option<Self>, FormatError> {
        let kind = entry.kind.as_ref();
        let Some((_, who)) = KINDS.iter().find(|(known, _)| *known == kind) else { return Ok(None) };
        let body = entry.body()?;
        let word = |key: &str| body.get(key).and_then(Value::as_str).map(str::to_owned);
        Ok(Some(Self {
            entry: entry.number,
            at: entry.at.clone().into_owned(),
            kind: kind.to_owned(),
            by: word(who),
            why: word("reason"),
            grade: word("grade"),
        }))
    }
}

const KINDS: [(&str, &str); 11] = [
    ("break-glass.used", "by"),
    ("break-glass.reviewed", "by"),
    ("reset.requested", "requested-by"),
    ("reset.started", "approved-by"),
    ("reset.revised", "approved-by"),
    ("reset.escalated", "requested-by"),
    ("reset.rejected", "by"),
    ("reset.paused", "by"),
    ("reset.resumed", "by"),
    ("reset.aborted", "by"),
    ("node.cleaned", "by"),
];
