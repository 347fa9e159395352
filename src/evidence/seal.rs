//! Entry bytes: a draft with its number in the reset and the hash of the entry before.

use aws_lc_rs::digest::{SHA256, digest};
use remint_evidence_format::Draft;

/// The hash that the next entry of the same reset carries.
pub type Hash = [u8; 32];

/// The bytes of an entry: a domain line, then JSON with sorted keys.
///
/// # Errors
/// The draft cannot be written as JSON.
pub fn seal(draft: &Draft, number: u64, previous: Option<&Hash>) -> Result<Vec<u8>, serde_json::Error> {
    let json = serde_json::json!({
        "at": draft.at, "body": draft.body, "kind": draft.kind, "number": number, "previous": previous.map(hex),
        "reset": draft.reset, "subject": draft.subject,
    });
    let mut bytes = b"remint-entry-v1\n".to_vec();
    serde_json::to_writer(&mut bytes, &json)?;
    Ok(bytes)
}

/// The hash of an entry's bytes.
pub fn hash(bytes: &[u8]) -> Hash {
    let mut out = [0; 32];
    out.copy_from_slice(digest(&SHA256, bytes).as_ref());
    out
}

fn hex(hash: &Hash) -> String {
    use std::fmt::Write as _;
    hash.iter().fold(String::with_capacity(64), |mut text, byte| {
        let _ = write!(text, "{byte:02x}");
        text
    })
}
