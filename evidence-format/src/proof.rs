//! A proof that stands alone: that an entry is in a log, and who saw that log (c2sp.org/tlog-proof).
//!
//! ```text
//! c2sp.org/tlog-proof@v1
//! index 73894
//! base64(sibling), from the leaf up
//! …
//!
//! the checkpoint, a signed note
//! ```
//!
//! Extra data, which the format has room for between the first two lines, is kept and means nothing here.

use std::fmt::Write as _;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;

use crate::FormatError;
use crate::checkpoint::{Checkpoint, number};
use crate::note::{Note, VerifierKey};
use crate::tree::{Hash, verify_inclusion};

/// The most siblings that a leaf can have: one for each bit of a size.
pub const MAX_PATH: usize = 63;

/// A proof as read. It proves nothing before [`Proof::verify`].
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Proof<'a> {
    pub extra: Option<Vec<u8>>,
    /// The place of the entry, from 0.
    pub index: u64,
    /// Siblings from the leaf up.
    pub path: Vec<Hash>,
    /// The checkpoint with its signatures, as it came.
    pub checkpoint: &'a str,
}

impl<'a> Proof<'a> {
    /// The text of the proof.
    pub fn to_text(&self) -> String {
        let mut text = format!("{HEAD}\n");
        if let Some(extra) = &self.extra {
            // Writing to a string cannot fail.
            let _ = writeln!(text, "extra {}", STANDARD.encode(extra));
        }
        let _ = writeln!(text, "index {}", self.index);
        for hash in &self.path {
            text.push_str(&hash.to_base64());
            text.push('\n');
        }
        text + "\n" + self.checkpoint
    }

    /// Reads a proof, strictly.
    pub fn parse(text: &'a [u8]) -> Result<Self, FormatError> {
        if text.len() > MAX_SIZE {
            return Err(FormatError::TooLarge { what: "the proof", limit: MAX_SIZE });
        }
        let text = std::str::from_utf8(text).map_err(|_| malformed("it is not UTF-8"))?;
        let (head, mut rest) = text.split_once('\n').ok_or(malformed("it has one line"))?;
        if head != HEAD {
            return Err(FormatError::NotUnderstood { what: "the version of the proof".to_owned() });
        }
        let mut next = || {
            let (line, after) = rest.split_once('\n').ok_or(malformed("it is cut off"))?;
            rest = after;
            Ok(line)
        };
        let mut line = next()?;
        let mut extra = None;
        if let Some(encoded) = line.strip_prefix("extra ") {
            extra = Some(STANDARD.decode(encoded).map_err(|_| malformed("its extra data is not base64"))?);
            line = next()?;
        }
        let index = line.strip_prefix("index ").and_then(number).ok_or(malformed("it does not name an index"))?;
        let mut path = Vec::new();
        loop {
            match next()? {
                "" => break,
                _ if path.len() == MAX_PATH => return Err(malformed("it has more than 63 hashes")),
                line => path.push(Hash::from_base64(line).ok_or(malformed("a hash is not the base64 of 32 bytes"))?),
            }
        }
        Note::parse(rest.as_bytes())?;
        Ok(Self { extra, index, path, checkpoint: rest })
    }

    /// Checks that the entry of this hash is in the log whose key this is, and gives the checkpoint that says so.
    pub fn verify(&self, leaf: Hash, key: &VerifierKey) -> Result<Checkpoint, FormatError> {
        let checkpoint = Checkpoint::open(self.checkpoint.as_bytes(), key)?;
        if verify_inclusion(leaf, self.index, checkpoint.size, &self.path, checkpoint.root) {
            Ok(checkpoint)
        } else {
            Err(malformed("it does not lead from the entry to the root of its checkpoint"))
        }
    }
}

fn malformed(why: &'static str) -> FormatError {
    FormatError::Malformed { what: "proof", why }
}

const HEAD: &str = "c2sp.org/tlog-proof@v1";
const MAX_SIZE: usize = 2 * 1024 * 1024;
