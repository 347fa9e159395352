//! An entry as a CloudEvent (specification 1.0, JSON format).

use remint_evidence_format::{FormatError, Stored, entry};
use serde_json::json;

use super::{Call, call};

/// One event, as it is sent every time.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Event {
    /// The log's name and the entry's place in it: the same however often it is sent.
    pub id: String,
    /// `dev.remint.` and the kind of the entry.
    pub kind: String,
    /// The JSON.
    pub body: String,
    /// Whom it calls, and what for.
    pub call: Option<Call>,
}

impl Event {
    /// Of an entry that has its place.
    ///
    /// # Errors
    /// The entry cannot be read.
    pub fn of(stored: &Stored, index: u64, origin: &str) -> Result<Self, FormatError> {
        let parsed = entry::parse(&stored.bytes)?;
        let id = format!("{origin}/{index}");
        let kind = format!("dev.remint.{}", parsed.kind);
        let call = call(&parsed.kind, parsed.reset.as_deref(), &parsed.body()?);
        let mut event = json!({
            "specversion": "1.0",
            "id": id,
            "source": format!("remint:{origin}"),
            "type": kind,
            "time": parsed.at,
            "datacontenttype": "application/json",
            "data": {
                "index": index,
                "number": parsed.number,
                // What finds the entry in a bundle, and in the tree.
                "hash": entry::hash(&stored.bytes).to_string(),
                "reset": parsed.reset,
                "body": parsed.body()?,
            },
        });
        if let Some(subject) = &parsed.subject {
            event["subject"] = json!(subject);
        }
        if let Some(Call { sort, next }) = &call {
            // An extension attribute, so that who routes events need not read their data.
            event["remintcall"] = json!(sort.word());
            event["data"]["next"] = json!(next);
        }
        Ok(Self { id, kind, body: event.to_string(), call })
    }
}
