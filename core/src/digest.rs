//! SHA-256 digests as values.

use std::{fmt, io};

use serde::{Deserialize, Serialize};

/// A SHA-256 digest, written `sha256:` and 64 hex digits.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct Digest(pub [u8; 32]);

impl Digest {
    /// The digest of the bytes.
    #[must_use]
    pub fn of(bytes: &[u8]) -> Self {
        let mut out = [0; 32];
        out.copy_from_slice(aws_lc_rs::digest::digest(&aws_lc_rs::digest::SHA256, bytes).as_ref());
        Self(out)
    }

    /// The digest of what `write` writes, without holding all of it; `None` when that fails.
    pub(crate) fn of_written<E>(write: impl FnOnce(&mut dyn io::Write) -> Result<(), E>) -> Option<Self> {
        let context = aws_lc_rs::digest::Context::new(&aws_lc_rs::digest::SHA256);
        let mut buffer = io::BufWriter::with_capacity(1 << 16, Hashed(context));
        write(&mut buffer).ok()?;
        let mut out = [0; 32];
        out.copy_from_slice(buffer.into_inner().ok()?.0.finish().as_ref());
        Some(Self(out))
    }

    /// The digest of one leaf of a Merkle tree.
    pub(crate) fn leaf(bytes: &[u8]) -> Self {
        let mut context = aws_lc_rs::digest::Context::new(&aws_lc_rs::digest::SHA256);
        context.update(&[0]);
        context.update(bytes);
        let mut out = [0; 32];
        out.copy_from_slice(context.finish().as_ref());
        Self(out)
    }

    /// The root of a Merkle tree over leaves, hashed as RFC 6962 does: leaf `0x00 || bytes`, node `0x01 || left || right`,
    /// split at the largest power of two below the count. The empty tree is the digest of nothing.
    #[must_use]
    pub fn merkle(leaves: &[Vec<u8>]) -> Self {
        Self::merkle_of(&leaves.iter().map(|leaf| Self::leaf(leaf)).collect::<Vec<_>>())
    }

    /// As [`Digest::merkle`], over leaves that are digests already.
    pub(crate) fn merkle_of(leaves: &[Self]) -> Self {
        if leaves.is_empty() {
            return Self::of(&[]);
        }
        // A stack of complete subtrees, as many leaves each as its height says: no recursion on input size.
        let mut stack: Vec<(u32, Self)> = Vec::new();
        for &leaf in leaves {
            let mut node = (0, leaf);
            while let Some(&(height, left)) = stack.last().filter(|top| top.0 == node.0) {
                stack.pop();
                node = (height + 1, Self::node(left, node.1));
            }
            stack.push(node);
        }
        let mut root = stack.pop().map_or_else(|| Self::of(&[]), |top| top.1);
        while let Some((_, left)) = stack.pop() {
            root = Self::node(left, root);
        }
        root
    }

    fn node(left: Self, right: Self) -> Self {
        Self::of(&[&[1], left.0.as_slice(), right.0.as_slice()].concat())
    }

    /// The first `digits` hex digits, for people.
    #[must_use]
    pub fn short(&self, digits: usize) -> String {
        self.hex().chars().take(digits).collect()
    }

    fn hex(&self) -> String {
        const DIGITS: [char; 16] = ['0', '1', '2', '3', '4', '5', '6', '7', '8', '9', 'a', 'b', 'c', 'd', 'e', 'f'];
        let digits = self.0.iter().flat_map(|byte| [byte >> 4, byte & 15]);
        digits.map(|digit| DIGITS[usize::from(digit)]).collect()
    }
}

/// What is as it would be if nobody had said it is not written: a field that comes to a document later leaves every digest
/// made before as it was, and hashing, which is most of the work over many documents, has half as much to do.
pub(crate) fn is_default<T: Default + PartialEq>(value: &T) -> bool {
    *value == T::default()
}

/// A digest that is written to.
struct Hashed(aws_lc_rs::digest::Context);

impl io::Write for Hashed {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.0.update(bytes);
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

impl fmt::Display for Digest {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "sha256:{}", self.hex())
    }
}

impl fmt::Debug for Digest {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

impl TryFrom<String> for Digest {
    type Error = String;

    fn try_from(text: String) -> Result<Self, String> {
        let bad = || format!("`{text}` is not a digest: write sha256: and 64 hex digits");
        let hex = text.strip_prefix("sha256:").filter(|hex| hex.len() == 64 && hex.is_ascii()).ok_or_else(bad)?;
        let mut out = [0; 32];
        for (index, byte) in out.iter_mut().enumerate() {
            *byte = u8::from_str_radix(&hex[index * 2..index * 2 + 2], 16).map_err(|_| bad())?;
        }
        Ok(Self(out))
    }
}

impl From<Digest> for String {
    fn from(digest: Digest) -> Self {
        ["sha256:", &digest.hex()].concat()
    }
}
