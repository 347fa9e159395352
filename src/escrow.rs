//! Escrow: values sealed so that the state folder alone opens none of them.
//!
//! Flow: each value gets a data key of its own (AES-256-GCM), which is wrapped under the newest generation of the
//! key-encryption key; the store keeps both as one [`Sealed`]. Opening takes the generation that wrapped it.
//!
//! Guarantees: a sealed value opens only under the id, the scope and the generation it was sealed with, and with no bit
//! changed; no plaintext is left in memory that is not wiped. Only deleting a generation destroys what it wrapped.
//!
//! Assumptions: the key file lies elsewhere than the state folder (see [`Kek::load`]); one generation wraps fewer than
//! 2^32 values, which is what its random nonces allow.

use aws_lc_rs::aead::{AES_256_GCM, Aad, LessSafeKey, NONCE_LEN, Nonce, UnboundKey};
use aws_lc_rs::hmac;
use jiff::Timestamp;
use remint_contract::SecretValue;
use zeroize::Zeroizing;

use crate::store::Sealed;

pub use self::kek::{Kek, KekError};
pub use self::randomness::{NoRandomness, Randomness, SystemRandomness};

mod kek;
mod randomness;

/// Why a value was not sealed or not opened. Says nothing of the value.
#[derive(Debug, thiserror::Error)]
pub enum EscrowError {
    #[error("sealing `{id}` failed")]
    Seal {
        id: String,
        #[source]
        source: Option<NoRandomness>,
    },
    #[error(
        "`{id}` is sealed under generation {generation} of the key-encryption key, which the key file does not have; \
         hand in the key file that this state was made with"
    )]
    Generation { id: String, generation: u64 },
    #[error(
        "`{id}` does not open under generation {generation}: it was changed, moved from elsewhere, or sealed with another key file"
    )]
    Open { id: String, generation: u64 },
}

/// Seals and opens.
pub struct Escrow {
    kek: Kek,
    randomness: Box<dyn Randomness>,
}

impl Escrow {
    pub fn new(kek: Kek, randomness: Box<dyn Randomness>) -> Self {
        Self { kek, randomness }
    }

    /// Seals a value under the newest generation.
    ///
    /// # Errors
    /// There is no randomness to be had.
    pub fn seal(
        &self,
        id: &str,
        scope: &str,
        value: &SecretValue,
        expires: Option<Timestamp>,
    ) -> Result<Sealed, EscrowError> {
        let failed = |source| EscrowError::Seal { id: id.to_owned(), source };
        let (generation, key) = self.kek.newest().ok_or_else(|| failed(None))?;
        let mut data_key = Zeroizing::new([0; KEY]);
        let mut nonce = [0; NONCE_LEN];
        self.randomness.fill(data_key.as_mut()).map_err(|source| failed(Some(source)))?;
        self.randomness.fill(&mut nonce).map_err(|source| failed(Some(source)))?;
        let bound = bind(id, scope, generation);

        let mut bytes = Vec::with_capacity(HEAD + value.expose().len() + TAG);
        bytes.push(FORMAT);
        bytes.extend_from_slice(&nonce);
        let mut wrapped = data_key.clone();
        let tag = seal_in_place(key, nonce, &bound, wrapped.as_mut()).ok_or_else(|| failed(None))?;
        bytes.extend_from_slice(wrapped.as_ref());
        bytes.extend_from_slice(&tag);
        let mut body = Zeroizing::new(value.expose().to_vec());
        let tag = seal_in_place(&data_key, ONCE, &bound, &mut body).ok_or_else(|| failed(None))?;
        bytes.extend_from_slice(&body);
        bytes.extend_from_slice(&tag);
        Ok(Sealed { id: id.to_owned(), scope: scope.to_owned(), generation, expires, bytes })
    }

    /// Opens a value.
    ///
    /// # Errors
    /// Its generation is not in the key file, or it is not what was sealed.
    pub fn open(&self, sealed: &Sealed) -> Result<SecretValue, EscrowError> {
        let Sealed { id, scope, generation, bytes, .. } = sealed;
        let missing = || EscrowError::Generation { id: id.clone(), generation: *generation };
        let key = self.kek.generation(*generation).ok_or_else(missing)?;
        unseal(key, &bind(id, scope, *generation), bytes)
            .ok_or_else(|| EscrowError::Open { id: id.clone(), generation: *generation })
    }

    /// A name for a value that tells equal ones apart from others, and tells nothing to who has not the key:
    /// `hmac-sha256:` and the first 16 bytes of an HMAC-SHA-256, in hexadecimal.
    ///
    /// Assumption: the value has at least 64 bits of entropy. Whoever gets hold of the key could guess a weaker one, so
    /// nothing that a person chose is ever fingerprinted.
    pub fn keyed_fingerprint(&self, value: &SecretValue) -> String {
        use std::fmt::Write as _;
        let tag = hmac::sign(self.kek.fingerprint_key(), value.expose());
        tag.as_ref().iter().take(16).fold(String::from("hmac-sha256:"), |mut text, byte| {
            let _ = write!(text, "{byte:02x}");
            text
        })
    }
}

/// What a sealed value is bound to. Lengths stand before texts, so that no two places bind alike.
fn bind(id: &str, scope: &str, generation: u64) -> Vec<u8> {
    let mut bound = b"remint-sealed-v1".to_vec();
    for text in [id, scope] {
        bound.extend_from_slice(&(text.len() as u64).to_be_bytes());
        bound.extend_from_slice(text.as_bytes());
    }
    bound.extend_from_slice(&generation.to_be_bytes());
    bound
}

fn unseal(key: &[u8; KEY], bound: &[u8], bytes: &[u8]) -> Option<SecretValue> {
    let (&format, rest) = bytes.split_first()?;
    let (nonce, rest) = rest.split_first_chunk::<NONCE_LEN>()?;
    let (wrapped, body) = rest.split_at_checked(KEY + TAG)?;
    if format != FORMAT {
        return None;
    }
    let data_key = open_copy(key, *nonce, bound, wrapped)?;
    let data_key = Zeroizing::new(<[u8; KEY]>::try_from(data_key.as_slice()).ok()?);
    let mut value = open_copy(&data_key, ONCE, bound, body)?;
    Some(SecretValue::new(std::mem::take(&mut *value)))
}

fn seal_in_place(key: &[u8; KEY], nonce: [u8; NONCE_LEN], bound: &[u8], bytes: &mut [u8]) -> Option<Vec<u8>> {
    let key = LessSafeKey::new(UnboundKey::new(&AES_256_GCM, key).ok()?);
    let nonce = Nonce::assume_unique_for_key(nonce);
    let tag = key.seal_in_place_separate_tag(nonce, Aad::from(bound), bytes).ok()?;
    Some(tag.as_ref().to_vec())
}

fn open_copy(key: &[u8; KEY], nonce: [u8; NONCE_LEN], bound: &[u8], bytes: &[u8]) -> Option<Zeroizing<Vec<u8>>> {
    let key = LessSafeKey::new(UnboundKey::new(&AES_256_GCM, key).ok()?);
    let nonce = Nonce::assume_unique_for_key(nonce);
    let mut copy = Zeroizing::new(bytes.to_vec());
    let length = key.open_in_place(nonce, Aad::from(bound), &mut copy).ok()?.len();
    copy.truncate(length);
    Some(copy)
}

/// Bytes of a key of AES-256.
const KEY: usize = 32;
/// Bytes that GCM adds.
const TAG: usize = 16;
/// The first byte of what is stored.
const FORMAT: u8 = 1;
/// Format, nonce and wrapped data key.
const HEAD: usize = 1 + NONCE_LEN + KEY + TAG;
/// The nonce of a data key, which seals one value and nothing else.
const ONCE: [u8; NONCE_LEN] = [0; NONCE_LEN];
