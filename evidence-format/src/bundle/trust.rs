//! What the person who verifies brings along: keys, and a checkpoint seen before.

use crate::checkpoint::Checkpoint;
use crate::cosignature::Quorum;
use crate::note::VerifierKey;

/// What is believed already. With nothing in it only integrity can be known.
#[derive(Debug, Clone, Default)]
pub struct Trust {
    /// The key of the log.
    pub key: Option<VerifierKey>,
    /// A checkpoint of the same log that was seen before: what is verified must not contradict it.
    pub seen: Option<Checkpoint>,
    /// Keys of probers. When there is one, every old value that was tried must have been tried by one of them, too.
    pub probers: Vec<VerifierKey>,
    /// Keys of persons, each under the person's name. When there is one, every approval that was signed must be signed by
    /// one of them.
    pub persons: Vec<VerifierKey>,
    /// Who else must have seen the log, and how many of them.
    pub witnesses: Option<Quorum>,
}

impl Trust {
    /// In a log key, and nothing else.
    pub fn in_key(key: Option<&VerifierKey>) -> Self {
        Self { key: key.cloned(), ..Self::default() }
    }
}
