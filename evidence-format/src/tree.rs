//! The tree over the entries: RFC 6962 section 2.1, SHA-256, with proofs of inclusion and consistency.
//!
//! A leaf is `SHA-256(0x00 ‖ bytes)`, a node `SHA-256(0x01 ‖ left ‖ right)`, the root of nothing `SHA-256("")`. Everything
//! is iterative: no input makes the stack grow.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;

use crate::hex;

pub(crate) use self::build::range_root;
pub use self::build::{Frontier, Tree, root};
pub use self::sha256::sha256;
pub use self::verify::{verify_consistency, verify_inclusion};

mod build;
pub(crate) mod ranges;
mod sha256;
mod verify;

/// A SHA-256 hash; its text is 64 lower-case hexadecimal digits.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Hash(pub [u8; 32]);

impl Hash {
    /// The hash that a text of 64 lower-case hexadecimal digits stands for.
    pub fn from_hex(text: &str) -> Option<Self> {
        hex::decode(text).map(Self)
    }

    /// The hash that a text in padded base64 stands for, as checkpoints and proofs write it.
    pub fn from_base64(text: &str) -> Option<Self> {
        STANDARD.decode(text).ok()?.try_into().ok().map(Self)
    }

    /// The text in padded base64.
    pub fn to_base64(self) -> String {
        STANDARD.encode(self.0)
    }
}

impl std::fmt::Display for Hash {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(&hex::encode(&self.0))
    }
}

impl std::fmt::Debug for Hash {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{self}")
    }
}

/// The hash of a leaf.
pub fn leaf_hash(bytes: &[u8]) -> Hash {
    sha256::prefixed(0, bytes)
}

/// The hash of a node over its two children.
pub fn node_hash(left: &Hash, right: &Hash) -> Hash {
    sha256::joined(1, left, right)
}
