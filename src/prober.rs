//! The prober: somebody else, on another host and with a key of its own, who tries an old value and signs what the target
//! answered. Remint asks; the prober looks; the answer is an entry that Remint cannot make by itself.
//!
//! ```text
//! remint                                             prober
//!   Question, signed by the log's key,   ─ HTTP ─▶   knows that key; the question is fresh, and for it
//!   value sealed for this prober                     tries the value with its own connector, from its own network
//!   Observation, in an entry             ◀───────    signs it with its own key
//! ```
//!
//! Guarantees: only the prober opens the value, and keeps nothing of it; a question is answered only when a key that the
//! prober was told signed it, within ten minutes; an answer names the hash of its question, so that an old answer is none
//! to a new one. Two observations of one value have the same fingerprint, which only the prober can make: a value that it
//! saw accepted and later denied was the live one.
//!
//! What goes over the wire is sealed or signed, so plain HTTP loses nothing but who asks about what.

mod answer;
mod client;
mod door;
mod key;
mod question;
mod seal;

pub use answer::{Refused, answer};
pub use client::Remote;
pub use door::{DoorError, serve};
pub use key::{ProberKey, ProberKeyError, PublicProber};
pub use question::{Question, QuestionError};
