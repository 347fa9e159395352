//! What goes into the store and what comes out of it, around the bytes of an entry.

use serde::{Deserialize, Serialize};

/// What a caller wants recorded; the store adds the number in the reset and the hash of the entry before.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Draft {
    /// `reset.started`, `effect.intended`, `effect.done`, `rotation.parked`, `reset.closed`, …
    pub kind: String,
    /// RFC 3339, UTC.
    pub at: String,
    /// The reset it belongs to, when it belongs to one.
    pub reset: Option<String>,
    /// The document or place it is about.
    pub subject: Option<String>,
    /// Strings, booleans, arrays, objects and integers within ±(2^53 − 1) only.
    pub body: serde_json::Map<String, serde_json::Value>,
}

/// An entry as stored: the bytes are what is hashed, and are never serialised again.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Stored {
    /// The store's own order of commit.
    pub id: u64,
    /// The place in the tree, once sequenced.
    pub index: Option<u64>,
    pub reset: Option<String>,
    /// 1, 2, 3, … within the reset (or within the entries of no reset).
    pub number: u64,
    pub bytes: Vec<u8>,
}
