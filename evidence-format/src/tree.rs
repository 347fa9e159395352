//! The tree over the entries: RFC 6962 section 2.1, SHA-256, with proofs of inclusion and consistency.
//!
//! A leaf is `SHA-256(0x00 ‖ bytes)`, a node `SHA-256(0x01 ‖ left ‖ right)`, the root of nothing `SHA-256("")`. Everything
//! is iterative: no input makes the stack grow.

use aws_lc_rs::digest::{Context, SHA256, digest};
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;

use crate::hex;

pub(crate) use self::build::range_root;
pub use self::build::{Frontier, Tree, root};
pub use self::verify::{verify_consistency, verify_inclusion};

mod build;
pub(crate) mod ranges;
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
    leaf_hash_of(&[bytes])
}

/// The hash of the leaf whose bytes are these parts, one after the other.
pub(crate) fn leaf_hash_of(parts: &[&[u8]]) -> Hash {
    let length: usize = parts.iter().map(|part| part.len()).sum();
    // One call over bytes on the stack is twice as fast as a context, which the provider keeps on the heap.
    if length < ON_STACK {
        let mut buffer = [0; ON_STACK];
        let mut end = 1;
        for part in parts {
            buffer[end..end + part.len()].copy_from_slice(part);
            end += part.len();
        }
        return sha256(&buffer[..end]);
    }
    let mut context = Context::new(&SHA256);
    context.update(&[0]);
    for part in parts {
        context.update(part);
    }
    to_hash(context.finish().as_ref())
}

/// The hash of a node over its two children.
pub fn node_hash(left: &Hash, right: &Hash) -> Hash {
    let mut buffer = [1; 65];
    buffer[1..33].copy_from_slice(&left.0);
    buffer[33..].copy_from_slice(&right.0);
    sha256(&buffer)
}

/// Plain SHA-256: the root of the empty tree, files of a bundle, ids of keys.
pub fn sha256(bytes: &[u8]) -> Hash {
    to_hash(digest(&SHA256, bytes).as_ref())
}

fn to_hash(bytes: &[u8]) -> Hash {
    let mut hash = [0; 32];
    hash.copy_from_slice(bytes);
    Hash(hash)
}

const ON_STACK: usize = 1024;
