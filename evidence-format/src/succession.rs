//! From the key that an auditor has to the one that signs today.
//!
//! A log keeps its name and its tree when it takes a new key: an entry [`ROTATED`] names both, and the first checkpoint over
//! it is signed by both. A link is the proof of that entry ([`crate::proof`]) with the entry's bytes as its extra data; it
//! stands alone, so links are kept as files and go with a bundle.
//!
//! Guarantees: [`follow`] gives the last key only when every key named the next one in the log, under its own signature, and
//! the next one signed the same checkpoint. It does not say that a key was not stolen: who has a key can name another.

use serde_json::{Map, Value};

use crate::FormatError;
use crate::checkpoint::Checkpoint;
use crate::entry;
use crate::note::{Note, VerifierKey};
use crate::proof::Proof;

/// The kind of the entry: `origin`, `before` and `after`, both as `name+id+base64`, and `by` whom.
pub const ROTATED: &str = "log.key-rotated";

/// The body of the entry.
pub fn body(before: &VerifierKey, after: &VerifierKey, by: &str) -> Map<String, Value> {
    Map::from_iter([
        ("after".to_owned(), Value::from(after.to_string())),
        ("before".to_owned(), Value::from(before.to_string())),
        ("by".to_owned(), Value::from(by)),
        ("origin".to_owned(), Value::from(before.name())),
    ])
}

/// The two keys that an entry of that kind names.
pub fn keys(bytes: &[u8]) -> Result<(VerifierKey, VerifierKey), FormatError> {
    let entry = entry::parse(bytes)?;
    if entry.kind != ROTATED {
        return Err(FormatError::Field { field: "kind", why: "it is not the entry of a new key" });
    }
    let body = entry.body()?;
    let key = |field| {
        let text = body.get(field).and_then(Value::as_str);
        text.ok_or(FormatError::Field { field, why: "this kind of entry must have it" }).and_then(VerifierKey::parse)
    };
    let (before, after) = (key("before")?, key("after")?);
    if before.name() != after.name() || before == after {
        return Err(FormatError::Field { field: "after", why: "it must be another key of the same log" });
    }
    Ok((before, after))
}

/// The link, out of an entry, its place and the checkpoint that both keys signed.
pub fn link(entry: &[u8], index: u64, path: Vec<crate::tree::Hash>, checkpoint: &str) -> String {
    Proof { extra: Some(entry.to_vec()), index, path, checkpoint }.to_text()
}

/// Where a succession leads.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Followed {
    /// The key that signs after the last link.
    pub key: VerifierKey,
    /// The checkpoint of each link.
    pub checkpoints: Vec<Checkpoint>,
}

/// Follows the links from the key that is known. A link that begins at another key is passed over as long as none was
/// followed: whoever has a newer key needs fewer of them.
///
/// Errors: a link does not verify, or the next one does not begin where the last one ended.
pub fn follow<'l>(first: &VerifierKey, links: impl IntoIterator<Item = &'l [u8]>) -> Result<Followed, FormatError> {
    let mut followed = Followed { key: first.clone(), checkpoints: Vec::new() };
    for link in links {
        let proof = Proof::parse(link)?;
        let bytes =
            proof.extra.as_deref().ok_or(FormatError::Malformed { what: "link of keys", why: "it has no entry" })?;
        let (before, after) = keys(bytes)?;
        if before != followed.key {
            if followed.checkpoints.is_empty() {
                continue;
            }
            return Err(FormatError::Key { why: "a link does not begin at the key where the one before ended" });
        }
        let checkpoint = proof.verify(entry::hash(bytes), &before)?;
        Note::parse(proof.checkpoint.as_bytes())?.verify(&after)?;
        followed.checkpoints.push(checkpoint);
        followed.key = after;
    }
    Ok(followed)
}
