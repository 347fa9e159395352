//! What must be known without being told: which secret something was, by a keyed fingerprint; who somebody was, by a
//! salted commitment.
//!
//! A fingerprint is HMAC-SHA256 of a secret under a key of this state, so that a pasted secret can be matched to the graph
//! and nobody without the key can try values against what is stored. Keys have generations: a new one is used from then on,
//! and the old ones still match what was fingerprinted under them. A value with less than 64 bits of entropy has none: it
//! could be guessed by whoever has the key.

pub mod candidates;
pub mod fingerprint;
pub mod matching;
pub mod persons;
pub mod reads;
