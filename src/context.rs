//! What the daemon is given from outside: time and randomness. Nothing else in the crate asks the machine for either.

use std::sync::Arc;

use remint_contract::{Clock, OperationId, ResetId, SecretValue, SystemClock};
use remint_evidence_format::hex;

use crate::escrow::{NoRandomness, Randomness, SystemRandomness};

/// Time and randomness.
#[derive(Clone)]
pub struct Context {
    pub clock: Arc<dyn Clock>,
    pub random: Arc<dyn Randomness>,
}

impl Context {
    /// The machine's own.
    #[must_use]
    pub fn system() -> Self {
        Self { clock: Arc::new(SystemClock), random: Arc::new(SystemRandomness) }
    }

    /// A new operation id: 80 random bits.
    pub fn operation(&self) -> Result<OperationId, NoRandomness> {
        Ok(OperationId(format!("op-{}", self.hex(10)?)))
    }

    /// A new reset id: short enough to type, 40 random bits.
    pub fn reset(&self) -> Result<ResetId, NoRandomness> {
        Ok(ResetId(format!("r-{}", self.hex(5)?)))
    }

    /// `count` random bytes in hex.
    pub fn hex(&self, count: usize) -> Result<String, NoRandomness> {
        let mut bytes = vec![0; count];
        self.random.fill(&mut bytes)?;
        Ok(hex::encode(&bytes))
    }

    /// A new secret of `length` characters drawn evenly from `alphabet` (by rejection, so without bias).
    pub fn secret(&self, length: usize, alphabet: &str) -> Result<SecretValue, NoRandomness> {
        let letters: Vec<char> = alphabet.chars().collect();
        let bound = 256 - 256 % letters.len().clamp(1, 256);
        let mut text = zeroize::Zeroizing::new(String::with_capacity(length * 4));
        let mut left = length;
        let mut pool = zeroize::Zeroizing::new([0_u8; 64]);
        while left > 0 && !letters.is_empty() {
            self.random.fill(&mut *pool)?;
            for &byte in pool.iter().filter(|&&byte| usize::from(byte) < bound).take(left) {
                text.push(letters[usize::from(byte) % letters.len()]);
                left -= 1;
            }
        }
        Ok(SecretValue::new(text.as_bytes().to_vec()))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_secret_has_the_length_and_only_letters_of_the_alphabet() {
        let secret = Context::system().secret(40, "abc").unwrap();
        let text = secret.expose_str().unwrap();
        assert_eq!(text.len(), 40);
        assert!(text.chars().all(|letter| "abc".contains(letter)));
    }
}
