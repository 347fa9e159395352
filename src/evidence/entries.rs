//! Entries as they are shown: alone and by a daemon the same.

use remint_evidence_format::{FormatError, Stored, entry};
use serde_json::{Value, json};

/// Each entry with its number in its reset, its place in the tree, and what it says.
///
/// # Errors
/// One of them is no entry.
pub fn told(stored: &[Stored]) -> Result<Vec<Value>, FormatError> {
    let one = |one: &Stored| {
        let parsed = entry::parse(&one.bytes)?;
        Ok(json!({
            "number": one.number, "index": one.index, "at": parsed.at, "kind": parsed.kind, "subject": parsed.subject,
            "body": parsed.body()?,
        }))
    };
    stored.iter().map(one).collect()
}
