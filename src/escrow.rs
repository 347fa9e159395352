//! Escrow: values sealed so that the state folder alone opens none of them.
//!
//! Flow: each value gets a data key of its own (AES-256-GCM). The data key is wrapped for every recipient: the newest
//! generation of the key-encryption key, and each recovery key that the key file names. The store keeps all of it as one
//! [`Sealed`]; opening takes any one of the recipients. What the bytes look like is [`envelope`]'s.
//!
//! Guarantees: a sealed value opens only under the id and the scope it was sealed with, for a recipient it was wrapped
//! for, and with no bit changed; no plaintext is left in memory that is not wiped. Only deleting a generation destroys
//! what it wrapped.
//!
//! Assumptions: the key file lies elsewhere than the state folder (see [`Kek::load`]); one generation wraps fewer than
//! 2^32 values, which is what its random nonces allow.

use aws_lc_rs::aead::NONCE_LEN;
use aws_lc_rs::hmac;
use jiff::Timestamp;
use remint_contract::SecretValue;
use remint_evidence_format::hex;
use zeroize::Zeroizing;

use self::cipher::{KEY, ONCE, open_copy, seal_in_place};
use self::envelope::{Envelope, Stanza, bind, first};
use crate::store::Sealed;

pub use self::kek::{Keeping, Kek, KekError};
pub use self::randomness::{NoRandomness, Randomness, SystemRandomness};

mod cipher;
mod envelope;
pub mod kek;
mod randomness;
mod recovery;

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
         hand in the key file that this state was made with, or its recovery key file"
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

    /// The keys that it seals and opens with.
    pub fn kek(&self) -> &Kek {
        &self.kek
    }

    /// Seals a value for every recipient.
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
        let mut data_key = Zeroizing::new([0; KEY]);
        self.randomness.fill(data_key.as_mut()).map_err(|source| failed(Some(source)))?;
        let mut body = Zeroizing::new(value.expose().to_vec());
        let tag = seal_in_place(&data_key, ONCE, &bind(id, scope), &mut body).ok_or_else(|| failed(None))?;
        let mut sealed = std::mem::take(&mut *body);
        sealed.extend_from_slice(&tag);
        self.wrap(id, scope, expires, &data_key, &sealed)
    }

    /// Opens a value.
    ///
    /// # Errors
    /// The key file holds none of its recipients, or it is not what was sealed.
    pub fn open(&self, sealed: &Sealed) -> Result<SecretValue, EscrowError> {
        if first::is(&sealed.bytes) {
            return self.open_first(sealed);
        }
        let (data_key, body) = self.unwrap(sealed)?;
        let mut value = open_copy(&data_key, ONCE, &bind(&sealed.id, &sealed.scope), body).ok_or_else(|| no(sealed))?;
        Ok(SecretValue::new(std::mem::take(&mut *value)))
    }

    /// The same value for the recipients of today. The value itself is decrypted only where its old format asks for it.
    ///
    /// # Errors
    /// It does not open, or there is no randomness to be had.
    pub fn rewrap(&self, sealed: &Sealed) -> Result<Sealed, EscrowError> {
        if first::is(&sealed.bytes) {
            return self.seal(&sealed.id, &sealed.scope, &self.open_first(sealed)?, sealed.expires);
        }
        let (data_key, body) = self.unwrap(sealed)?;
        let body = body.to_vec();
        // A data key that does not open its own value is not carried on as if it did.
        open_copy(&data_key, ONCE, &bind(&sealed.id, &sealed.scope), &body).ok_or_else(|| no(sealed))?;
        self.wrap(&sealed.id, &sealed.scope, sealed.expires, &data_key, &body)
    }

    /// True when a value is wrapped for exactly the recipients of today.
    pub fn is_current(&self, sealed: &Sealed) -> bool {
        let Some(envelope) = Envelope::read(&sealed.bytes) else { return false };
        let newest = self.kek.newest().map(|(generation, _)| generation);
        let mut wanted: Vec<_> = self.kek.recipients().map(recovery::Recipient::id).collect();
        let mut found: Vec<_> = envelope.stanzas.iter().filter_map(Stanza::recovery).collect();
        wanted.sort_unstable();
        found.sort_unstable();
        envelope.generation() == newest && newest.unwrap_or(0) == sealed.generation && wanted == found
    }

    /// A name for a value that tells equal ones apart from others, and tells nothing to who has not the key:
    /// `hmac-sha256:` and the first 16 bytes of an HMAC-SHA-256, in hexadecimal.
    ///
    /// Assumption: the value has at least 64 bits of entropy. Whoever gets hold of the key could guess a weaker one, so
    /// nothing that a person chose is ever fingerprinted.
    pub fn keyed_fingerprint(&self, value: &SecretValue) -> String {
        let tag = hmac::sign(self.kek.fingerprint_key(), value.expose());
        format!("hmac-sha256:{}", hex::encode(&tag.as_ref()[..16]))
    }

    /// Wraps a data key for every recipient, and puts the envelope together.
    fn wrap(
        &self,
        id: &str,
        scope: &str,
        expires: Option<Timestamp>,
        data_key: &Zeroizing<[u8; KEY]>,
        body: &[u8],
    ) -> Result<Sealed, EscrowError> {
        let failed = |source| EscrowError::Seal { id: id.to_owned(), source };
        let bound = bind(id, scope);
        let mut stanzas = Vec::with_capacity(2);
        if let Some((generation, key)) = self.kek.newest() {
            let mut nonce = [0; NONCE_LEN];
            self.randomness.fill(&mut nonce).map_err(|source| failed(Some(source)))?;
            let wrapped = Stanza::wrap(generation, key, nonce, &bound, data_key);
            stanzas.push(wrapped.ok_or_else(|| failed(None))?);
        }
        for recipient in self.kek.recipients() {
            let mut ephemeral = Zeroizing::new([0; KEY]);
            self.randomness.fill(ephemeral.as_mut()).map_err(|source| failed(Some(source)))?;
            let wrapped = recipient.wrap(&ephemeral, &bound, data_key).ok_or_else(|| failed(None))?;
            stanzas.push(Stanza::Recovery { recipient: recipient.id(), wrapped });
        }
        let envelope = Envelope { stanzas, body };
        let generation = envelope.generation().unwrap_or(0);
        let bytes = envelope.write().ok_or_else(|| failed(None))?;
        Ok(Sealed { id: id.to_owned(), scope: scope.to_owned(), generation, expires, bytes })
    }

    /// The data key of a value, by whichever recipient this key file is, and what it sealed.
    fn unwrap<'s>(&self, sealed: &'s Sealed) -> Result<(Zeroizing<[u8; KEY]>, &'s [u8]), EscrowError> {
        let Sealed { id, scope, generation, bytes, .. } = sealed;
        let missing = || EscrowError::Generation { id: id.clone(), generation: *generation };
        let envelope = Envelope::read(bytes).ok_or_else(|| no(sealed))?;
        if envelope.generation().unwrap_or(0) != *generation {
            // Whoever moved the number wants another key to be tried, or blamed.
            return Err(if self.kek.generation(*generation).is_some() { no(sealed) } else { missing() });
        }
        let bound = bind(id, scope);
        for stanza in &envelope.stanzas {
            let data_key = match stanza {
                Stanza::Generation { generation, .. } => match self.kek.generation(*generation) {
                    Some(key) => stanza.unwrap(key, &bound),
                    None => continue,
                },
                Stanza::Recovery { recipient, wrapped } => match self.kek.recovery(*recipient) {
                    Some(key) => key.unwrap(wrapped, &bound),
                    None => continue,
                },
            };
            return Ok((data_key.ok_or_else(|| no(sealed))?, envelope.body));
        }
        Err(missing())
    }

    /// Opens a value of the first format: one recipient, and the value itself bound to the generation.
    fn open_first(&self, sealed: &Sealed) -> Result<SecretValue, EscrowError> {
        let Sealed { id, scope, generation, bytes, .. } = sealed;
        let missing = || EscrowError::Generation { id: id.clone(), generation: *generation };
        let key = self.kek.generation(*generation).ok_or_else(missing)?;
        first::unseal(key, &first::bind(id, scope, *generation), bytes).ok_or_else(|| no(sealed))
    }
}

fn no(sealed: &Sealed) -> EscrowError {
    EscrowError::Open { id: sealed.id.clone(), generation: sealed.generation }
}
