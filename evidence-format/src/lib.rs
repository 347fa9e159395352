//! The format of the evidence: entries, the tree over them, signed checkpoints, proofs and bundles, and how to verify
//! them offline. No writer and no store; the verifier depends on nothing else.

pub use self::draft::{Draft, Stored};
pub use self::error::FormatError;

pub mod canonical;
pub mod checkpoint;
mod draft;
pub mod entry;
mod error;
mod hex;
pub mod note;
pub mod tree;
