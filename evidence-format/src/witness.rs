//! What a log asks of a witness, and what a witness may answer: `add-checkpoint` of c2sp.org/tlog-witness, without a socket
//! and without a memory.
//!
//! ```text
//! old 20852014
//! base64(hash of the consistency proof)
//! …
//!
//! the checkpoint, a signed note
//! ```
//!
//! Flow: the log sends a [`Request`]; the witness, which remembers one checkpoint for each log, asks [`judge`], writes down
//! what it is about to sign, and only then signs.

use crate::FormatError;
use crate::checkpoint::{Checkpoint, number};
use crate::note::{Note, VerifierKey};
use crate::tree::{Hash, verify_consistency};

/// The most hashes that a request may have.
pub const MAX_PROOF: usize = 63;

/// The largest request that is read.
pub const MAX_SIZE: usize = 64 * 1024;

/// The content type of the answer that says how far the witness is.
pub const SIZE_TYPE: &str = "text/x.tlog.size";

/// A checkpoint to be cosigned.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Request<'a> {
    /// The size of the checkpoint that the witness saw last, as far as the log knows.
    pub old: u64,
    pub proof: Vec<Hash>,
    /// The signed note.
    pub checkpoint: &'a str,
}

impl<'a> Request<'a> {
    /// The body of the request.
    pub fn to_text(&self) -> String {
        let mut text = format!("old {}\n", self.old);
        for hash in &self.proof {
            text.push_str(&hash.to_base64());
            text.push('\n');
        }
        text + "\n" + self.checkpoint
    }

    /// Reads the body of a request, strictly.
    pub fn parse(body: &'a [u8]) -> Result<Self, FormatError> {
        if body.len() > MAX_SIZE {
            return Err(FormatError::TooLarge { what: "the request", limit: MAX_SIZE });
        }
        let body = std::str::from_utf8(body).map_err(|_| malformed("it is not UTF-8"))?;
        let (line, mut rest) = body.split_once('\n').ok_or(malformed("it is cut off"))?;
        let old = line.strip_prefix("old ").and_then(number).ok_or(malformed("its first line must be `old N`"))?;
        let mut proof = Vec::new();
        loop {
            let (line, after) = rest.split_once('\n').ok_or(malformed("it is cut off"))?;
            rest = after;
            if line.is_empty() {
                break;
            }
            if proof.len() == MAX_PROOF {
                return Err(malformed("it has more than 63 hashes"));
            }
            proof.push(Hash::from_base64(line).ok_or(malformed("a hash is not the base64 of 32 bytes"))?);
        }
        Note::parse(rest.as_bytes())?;
        Ok(Self { old, proof, checkpoint: rest })
    }
}

/// What a witness remembers of a log: the largest checkpoint that it cosigned.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Latest {
    pub size: u64,
    pub root: Hash,
}

/// What a witness has to answer, by the status of HTTP.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Verdict<'a> {
    /// 200: it continues what was seen. Remember the checkpoint, then cosign this text of it.
    Cosign { checkpoint: Checkpoint, text: &'a str },
    /// 400: this is no request.
    Garbled(FormatError),
    /// 403: the log is known, and no key that is trusted for it signed.
    Unsigned,
    /// 404: nobody told this witness of the log.
    Unknown,
    /// 409: the witness is at this size; the log may come again with a proof from there. Where both name the same size, the
    /// log signed two trees of it.
    Conflict(u64),
    /// 422: it does not continue what was seen: the log forked, or its proof is wrong.
    Inconsistent,
}

/// Judges the body of a request. `keys` are those that are trusted for the log of an origin, none when it is unknown;
/// `latest` is what the witness remembers of it.
pub fn judge(
    body: &[u8],
    keys: impl FnOnce(&str) -> Vec<VerifierKey>,
    latest: impl FnOnce(&str) -> Option<Latest>,
) -> Verdict<'_> {
    let request = match Request::parse(body) {
        Ok(request) => request,
        Err(error) => return Verdict::Garbled(error),
    };
    let read = Note::parse(request.checkpoint.as_bytes()).and_then(|note| Ok((Checkpoint::head(note.text)?.0, note)));
    let (checkpoint, note) = match read {
        Ok(read) => read,
        Err(error) => return Verdict::Garbled(error),
    };
    let keys = keys(&checkpoint.origin);
    if keys.is_empty() {
        return Verdict::Unknown;
    }
    if !keys.iter().any(|key| note.verify(key).is_ok()) {
        return Verdict::Unsigned;
    }
    if request.old > checkpoint.size {
        return Verdict::Garbled(malformed("its old size is larger than that of its checkpoint"));
    }
    let latest = latest(&checkpoint.origin);
    let size = latest.map_or(0, |latest| latest.size);
    if request.old != size {
        return Verdict::Conflict(size);
    }
    match latest {
        Some(latest) if latest.size == checkpoint.size && latest.root != checkpoint.root => Verdict::Conflict(size),
        Some(latest) if !continues(&latest, &checkpoint, &request.proof) => Verdict::Inconsistent,
        None if !request.proof.is_empty() => Verdict::Inconsistent,
        _ => Verdict::Cosign { checkpoint, text: note.text },
    }
}

fn continues(latest: &Latest, checkpoint: &Checkpoint, proof: &[Hash]) -> bool {
    verify_consistency(latest.size, latest.root, checkpoint.size, checkpoint.root, proof)
}

fn malformed(why: &'static str) -> FormatError {
    FormatError::Malformed { what: "request of a witness", why }
}
