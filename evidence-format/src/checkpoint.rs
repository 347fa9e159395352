//! A checkpoint: the log's word on how large its tree is and what its root is (c2sp.org/tlog-checkpoint).
//!
//! ```text
//! origin
//! size
//! base64(root)
//! ```
//!
//! as the text of a signed note whose key has the origin as its name. Extension lines are refused: nobody here can say
//! what they mean.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;

use crate::FormatError;
use crate::note::{self, Note, SigningKey, VerifierKey};
use crate::tree::Hash;

/// The state of a log.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Checkpoint {
    /// Which log.
    pub origin: String,
    pub size: u64,
    pub root: Hash,
}

impl Checkpoint {
    /// The text that is signed.
    pub fn body(&self) -> String {
        format!("{}\n{}\n{}\n", self.origin, self.size, STANDARD.encode(self.root.0))
    }

    /// The signed note. The origin must be the key's name.
    pub fn sign(&self, key: &SigningKey) -> Result<String, FormatError> {
        if self.origin != key.verifier().name() {
            return Err(FormatError::Key { why: "its name is not the origin of the checkpoint" });
        }
        note::sign(&self.body(), key)
    }

    /// Reads the text of a checkpoint. It proves nothing by itself.
    pub fn parse(body: &str) -> Result<Self, FormatError> {
        let mut lines = body.split('\n');
        let (Some(origin), Some(size), Some(root), Some("")) = (lines.next(), lines.next(), lines.next(), lines.next())
        else {
            return Err(malformed("it must be the lines origin, size and root"));
        };
        if lines.next().is_some() {
            return Err(FormatError::NotUnderstood { what: "an extension line of the checkpoint".to_owned() });
        }
        if origin.is_empty() {
            return Err(malformed("the origin is empty"));
        }
        let decoded = STANDARD.decode(root).map_err(|_| malformed("the root is not base64"))?;
        let root = decoded.try_into().map(Hash).map_err(|_| malformed("the root is not 32 bytes"))?;
        Ok(Self { origin: origin.to_owned(), size: size_of(size)?, root })
    }

    /// Reads a signed checkpoint and checks that the key signed it, under its own name.
    pub fn open(signed: &[u8], key: &VerifierKey) -> Result<Self, FormatError> {
        let note = Note::parse(signed)?;
        note.verify(key)?;
        let checkpoint = Self::parse(note.text)?;
        if checkpoint.origin != key.name() {
            return Err(malformed("the origin is not the name of the key"));
        }
        Ok(checkpoint)
    }
}

/// Decimal without a sign or leading zeros.
fn size_of(text: &str) -> Result<u64, FormatError> {
    let digits = !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_digit());
    if !digits || (text.len() > 1 && text.starts_with('0')) {
        return Err(malformed("the size is not a decimal number"));
    }
    text.parse().map_err(|_| malformed("the size is too large"))
}

fn malformed(why: &'static str) -> FormatError {
    FormatError::Malformed { what: "checkpoint", why }
}
