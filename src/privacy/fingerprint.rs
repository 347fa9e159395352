//! Keyed fingerprints, in generations.
//!
//! A generation is a random key, sealed like every secret of this state, under `fingerprint-key/1`, `/2`, …. A fingerprint is
//! written `fp1:` and 32 hexadecimal digits; the number is its generation.

use std::sync::Arc;

use aws_lc_rs::hmac;
use remint_contract::SecretValue;
use remint_evidence_format::hex;
use serde::{Deserialize, Serialize};
use serde_json::json;
use zeroize::Zeroizing;

use crate::context::Context;
use crate::engine::record::{entry, put};
use crate::escrow::{Escrow, EscrowError, NoRandomness};
use crate::store::{Change, Put, Rule, Store, StoreError};

/// Why there are no fingerprints.
#[derive(Debug, thiserror::Error)]
pub enum FingerprintError {
    #[error(transparent)]
    Store(#[from] StoreError),
    #[error("a key of the fingerprints does not open")]
    Open(#[source] EscrowError),
    #[error("a key of the fingerprints could not be sealed")]
    Seal(#[source] EscrowError),
    #[error(transparent)]
    Random(#[from] NoRandomness),
}

/// What a fingerprint was made of.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Known {
    pub credential: String,
    /// The operation that sealed it: captured, or minted.
    pub operation: String,
    pub reset: String,
}

/// The keys of a state.
#[derive(Clone, Default)]
pub struct Fingerprints(Arc<[hmac::Key]>);

impl std::fmt::Debug for Fingerprints {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "Fingerprints of {} generations", self.0.len())
    }
}

impl Fingerprints {
    /// The keys there are; with none, nothing is fingerprinted.
    ///
    /// # Errors
    /// One of them does not open.
    pub async fn open(store: &dyn Store, escrow: &Escrow) -> Result<Self, FingerprintError> {
        let mut keys = Vec::new();
        while let Some(sealed) = store.sealed(&name(keys.len() + 1)).await? {
            let key = escrow.open(&sealed).map_err(FingerprintError::Open)?;
            keys.push(hmac::Key::new(hmac::HMAC_SHA256, key.expose()));
        }
        Ok(Self(keys.into()))
    }

    /// Makes the next generation, with its entry; gives its number. Of two that make one at once, one wins and both use it.
    ///
    /// # Errors
    /// It could not be made or kept.
    pub async fn rotate(
        store: &dyn Store,
        escrow: &Escrow,
        context: &Context,
        by: &str,
    ) -> Result<usize, FingerprintError> {
        let number = Self::open(store, escrow).await?.0.len() + 1;
        let mut key = Zeroizing::new(vec![0; 32]);
        context.random.fill(&mut key)?;
        let key = SecretValue::new(key.to_vec());
        let sealed = escrow.seal(&name(number), "", &key, None).map_err(FingerprintError::Seal)?;
        let body = json!({ "generation": number, "by": by });
        let entries = vec![entry("fingerprint.generation", context.clock.now(), None, None, &body)];
        match store.commit(Change { seals: vec![sealed], entries, ..Change::default() }).await {
            Ok(_) | Err(StoreError::Exists { .. }) => Ok(number),
            Err(error) => Err(error.into()),
        }
    }

    /// How many generations there are.
    pub fn generations(&self) -> usize {
        self.0.len()
    }

    /// The fingerprint under the newest generation; none of what could be guessed.
    pub fn of(&self, value: &SecretValue) -> Option<String> {
        self.under(self.0.len(), value).filter(|_| is_strong(value.expose()))
    }

    /// Under every generation: what a candidate may have been recorded as.
    pub fn all(&self, value: &SecretValue) -> Vec<String> {
        (1..=self.0.len()).filter_map(|generation| self.under(generation, value)).collect()
    }

    fn under(&self, generation: usize, value: &SecretValue) -> Option<String> {
        let tag = hmac::sign(self.0.get(generation.checked_sub(1)?)?, value.expose());
        Some(format!("fp{generation}:{}", hex::encode(&tag.as_ref()[..16])))
    }

    /// The record that finds a credential by a value of its.
    ///
    /// # Errors
    /// It cannot be written down.
    pub fn record(&self, value: &SecretValue, known: &Known) -> Result<Option<Put>, StoreError> {
        self.of(value).map(|print| put(KIND, print, &known.reset, known, Rule::Upsert)).transpose()
    }
}

/// 64 bits at the least, as far as letters can tell: length times the bits of the smallest alphabet that has them all, with
/// eight different letters. What a person made up of words passes it and has less: such values come from nowhere here but a
/// source of truth that somebody else filled.
#[must_use]
pub fn is_strong(value: &[u8]) -> bool {
    let any = |wanted: fn(&u8) -> bool| value.iter().any(wanted);
    let alphabet = [
        (any(u8::is_ascii_digit), 10_u32),
        (any(u8::is_ascii_lowercase), 26),
        (any(u8::is_ascii_uppercase), 26),
        (any(|byte| byte.is_ascii_punctuation() || *byte == b' '), 33),
        (any(|byte| !byte.is_ascii_graphic() && *byte != b' '), 128),
    ];
    let letters: u32 = alphabet.iter().filter(|(there, _)| *there).map(|(_, letters)| letters).sum();
    let different = value.iter().collect::<std::collections::BTreeSet<_>>().len();
    // Rounded down, so that no float is in it.
    let bits = u64::from(letters.max(1).ilog2());
    value.len() as u64 * bits >= 64 && different >= 8
}

fn name(generation: usize) -> String {
    format!("fingerprint-key/{generation}")
}

/// The kind of the records.
pub const KIND: &str = "fingerprint";

#[cfg(test)]
mod tests {
    use super::is_strong;

    #[test]
    fn what_could_be_guessed_has_no_fingerprint() {
        for weak in ["", "hunter2", "Password1!", "aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa", "1234567890123456", "0123456789"]
        {
            assert!(!is_strong(weak.as_bytes()), "{weak}");
        }
        for strong in ["q8Zk3vT9bLw1XeRy", "3f786850e387550fdab836ed7e6dc881de23001b"] {
            assert!(is_strong(strong.as_bytes()), "{strong}");
        }
    }
}
