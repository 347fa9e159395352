//! A checkpoint: the log's word on how large its tree is and what its root is (c2sp.org/tlog-checkpoint).
//!
//! ```text
//! origin
//! size
//! base64(root)
//! ```
//!
//! as the text of a signed note whose key has the origin as its name. Extension lines are refused in a checkpoint of ours:
//! nobody here can say what they mean. A witness, who says nothing of them, reads others' with [`Checkpoint::head`].

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
        format!("{}\n{}\n{}\n", self.origin, self.size, self.root.to_base64())
    }

    /// The signed note, with a signature that was made elsewhere. The origin must be the key's name.
    pub fn attach(&self, key: &VerifierKey, signature: &[u8]) -> Result<String, FormatError> {
        if self.origin != key.name() {
            return Err(FormatError::Key { why: "its name is not the origin of the checkpoint" });
        }
        note::attach(&self.body(), key, signature)
    }

    /// The signed note. The origin must be the key's name.
    pub fn sign(&self, key: &SigningKey) -> Result<String, FormatError> {
        self.attach(key.verifier(), &key.sign(self.body().as_bytes()))
    }

    /// Reads the text of a checkpoint. It proves nothing by itself.
    pub fn parse(body: &str) -> Result<Self, FormatError> {
        let (checkpoint, extensions) = Self::head(body)?;
        if !extensions.is_empty() {
            return Err(FormatError::NotUnderstood { what: "an extension line of the checkpoint".to_owned() });
        }
        Ok(checkpoint)
    }

    /// Reads the three lines that every checkpoint has, and gives those that follow them.
    pub fn head(body: &str) -> Result<(Self, &str), FormatError> {
        let mut lines = body.splitn(4, '\n');
        let (Some(origin), Some(size), Some(root), Some(extensions)) =
            (lines.next(), lines.next(), lines.next(), lines.next())
        else {
            return Err(malformed("it must be the lines origin, size and root"));
        };
        if !extensions.is_empty() && (!extensions.ends_with('\n') || format!("\n{extensions}").contains("\n\n")) {
            return Err(malformed("an extension line is empty or has no end"));
        }
        if origin.is_empty() {
            return Err(malformed("the origin is empty"));
        }
        let root = Hash::from_base64(root).ok_or(malformed("the root is not the base64 of 32 bytes"))?;
        Ok((Self { origin: origin.to_owned(), size: number(size).ok_or(malformed(SIZE))?, root }, extensions))
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

/// Decimal without a sign or leading zeros, the one form of a number in these texts.
pub(crate) fn number(text: &str) -> Option<u64> {
    let digits = !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_digit());
    if !digits || (text.len() > 1 && text.starts_with('0')) {
        return None;
    }
    text.parse().ok()
}

fn malformed(why: &'static str) -> FormatError {
    FormatError::Malformed { what: "checkpoint", why }
}

const SIZE: &str = "the size is not a decimal number within 64 bits";
