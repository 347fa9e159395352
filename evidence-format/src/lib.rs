//! The format of the evidence: entries, the tree over them, signed checkpoints, proofs and bundles, and how to verify
//! them offline. No writer and no store; the verifier depends on nothing else.
//!
//! | layer | module | source |
//! |---|---|---|
//! | one form for a value | [`canonical`] | RFC 8785 (JCS), RFC 7493 (I-JSON) for integers |
//! | one thing that happened | [`entry`] | the domain line, then canonical JSON |
//! | a tree over all entries | [`tree`] | RFC 6962 section 2.1; proofs checked as in RFC 9162 section 2.1 |
//! | a signature over a text | [`note`] | c2sp.org/signed-note, Ed25519 |
//! | a signed tree | [`checkpoint`] | c2sp.org/tlog-checkpoint |
//! | who else saw it | [`cosignature`], [`witness`] | c2sp.org/tlog-cosignature, c2sp.org/tlog-witness |
//! | the log as files | [`tile`], [`shard`] | c2sp.org/tlog-tiles |
//! | a proof that stands alone | [`proof`], [`succession`] | c2sp.org/tlog-proof |
//! | the entries of one reset | [`ledger`], [`outcome`] | numbers, hash chain, closing entry, what became of each |
//! | who somebody is | [`person`] | a salted commitment |
//! | what a prober saw | [`observation`] | a signed note |
//! | what a person approved | [`approval`] | a signed note |
//! | what an auditor gets | [`bundle`], [`report`] | POSIX `ustar`, `sha256sum` |
//!
//! # From an event to a verified bundle
//!
//! 1. A writer has a [`Draft`]. [`entry::seal`] with the next number and the hash of the entry before gives its bytes, which
//!    are stored as they are; [`entry::hash`] of them is the leaf and the next entry's `previous`.
//! 2. A sequencer gives entries of all resets their places in the tree ([`tree::Frontier`]) and signs a
//!    [`checkpoint::Checkpoint`].
//! 3. A reset begins with `reset.started` (with `plan_sha256`), says what it reached and what became of it
//!    ([`outcome::Outcome`]), and ends with `reset.closed`, whose body is [`ledger::Ledger::closing`].
//! 4. [`bundle::Bundle::build`] takes plan, entries, proofs and checkpoint; the completeness statement follows from the
//!    entries, so nobody can write a better one. [`bundle::verify`] checks all of it offline.
//!
//! # What is promised
//!
//! - Bytes are hashed as stored and never serialised again. A content has exactly one form; any other is refused.
//! - An unknown version, field, word, file or extension is refused as not understood, never skipped.
//! - Nothing recurses on the size of an input; nesting ends at [`canonical::MAX_DEPTH`], an entry at [`entry::MAX_SIZE`].
//! - No input makes a reader panic. No error quotes a value.
//!
//! The vectors in `vectors/` pin every byte: a change that breaks one needs a new version in the domain line.

pub use self::draft::{Draft, Stored};
pub use self::error::FormatError;

pub mod approval;
pub mod bundle;
pub mod canonical;
pub mod checkpoint;
pub mod cosignature;
mod draft;
pub mod entry;
mod error;
pub mod hex;
pub mod ledger;
pub mod note;
pub mod observation;
pub mod outcome;
pub mod person;
pub mod proof;
pub mod report;
pub mod shard;
pub mod succession;
pub mod tile;
pub mod tree;
pub mod witness;
