//! The bytes of a sealed value.
//!
//! ```text
//! format 2    02 ‖ count ‖ count × stanza ‖ value under its data key ‖ tag
//! stanza      01 ‖ generation (8) ‖ nonce (12) ‖ data key under that generation (32) ‖ tag (16)
//!             02 ‖ recovery key's id (8) ‖ ephemeral key (32) ‖ data key under the agreed key (32) ‖ tag (16)
//! format 1    01 ‖ nonce (12) ‖ data key under the one generation (32) ‖ tag (16) ‖ value ‖ tag
//! ```
//!
//! A value is bound to its id and scope; each wrapped data key to those and to the head of its stanza. In format 1 all of
//! it was bound to the generation too, so that it cannot be wrapped anew without being opened. Format 1 is read, and never
//! written again.

use aws_lc_rs::aead::NONCE_LEN;
use zeroize::Zeroizing;

use super::cipher::{self, KEY, TAG};

/// What names a recovery key in a stanza.
pub(super) type RecipientId = [u8; 8];

/// A sealed value, taken apart.
pub(super) struct Envelope<'b> {
    pub(super) stanzas: Vec<Stanza>,
    /// The value under its data key, and the tag.
    pub(super) body: &'b [u8],
}

/// A data key for one recipient.
pub(super) enum Stanza {
    /// Under a generation of the key-encryption key.
    Generation { generation: u64, nonce: [u8; NONCE_LEN], wrapped: Vec<u8> },
    /// For the holder of a recovery key: an ephemeral public key, and the data key under what both agree on.
    Recovery { recipient: RecipientId, wrapped: Vec<u8> },
}

impl Stanza {
    /// Wraps a data key under a generation.
    pub(super) fn wrap(
        generation: u64,
        key: &[u8; KEY],
        nonce: [u8; NONCE_LEN],
        bound: &[u8],
        data_key: &Zeroizing<[u8; KEY]>,
    ) -> Option<Self> {
        let wrapped = cipher::wrap(key, nonce, &headed(bound, GENERATION, generation.to_be_bytes()), data_key)?;
        Some(Self::Generation { generation, nonce, wrapped })
    }

    /// The data key of a stanza of a generation.
    pub(super) fn unwrap(&self, key: &[u8; KEY], bound: &[u8]) -> Option<Zeroizing<[u8; KEY]>> {
        let Self::Generation { generation, nonce, wrapped } = self else { return None };
        cipher::unwrap(key, *nonce, &headed(bound, GENERATION, generation.to_be_bytes()), wrapped)
    }

    /// The recovery key that it is for.
    pub(super) fn recovery(&self) -> Option<RecipientId> {
        match self {
            Self::Recovery { recipient, .. } => Some(*recipient),
            Self::Generation { .. } => None,
        }
    }
}

impl<'b> Envelope<'b> {
    /// Takes the bytes apart, strictly.
    pub(super) fn read(bytes: &'b [u8]) -> Option<Self> {
        let (&[FORMAT, count], mut rest) = bytes.split_first_chunk::<2>()? else { return None };
        let mut stanzas = Vec::with_capacity(count.into());
        for _ in 0..count {
            let (&tag, after) = rest.split_first()?;
            let (name, after) = after.split_first_chunk::<8>()?;
            let stanza;
            (stanza, rest) = match tag {
                GENERATION => {
                    let (nonce, after) = after.split_first_chunk::<NONCE_LEN>()?;
                    let (wrapped, after) = after.split_at_checked(KEY + TAG)?;
                    let generation = u64::from_be_bytes(*name);
                    (Stanza::Generation { generation, nonce: *nonce, wrapped: wrapped.to_vec() }, after)
                }
                RECOVERY => {
                    let (wrapped, after) = after.split_at_checked(KEY + KEY + TAG)?;
                    (Stanza::Recovery { recipient: *name, wrapped: wrapped.to_vec() }, after)
                }
                _ => return None,
            };
            stanzas.push(stanza);
        }
        Some(Self { stanzas, body: rest })
    }

    pub(super) fn write(&self) -> Option<Vec<u8>> {
        let count = u8::try_from(self.stanzas.len()).ok().filter(|count| *count > 0)?;
        let mut bytes = vec![FORMAT, count];
        for stanza in &self.stanzas {
            match stanza {
                Stanza::Generation { generation, nonce, wrapped } => {
                    bytes.push(GENERATION);
                    bytes.extend_from_slice(&generation.to_be_bytes());
                    bytes.extend_from_slice(nonce);
                    bytes.extend_from_slice(wrapped);
                }
                Stanza::Recovery { recipient, wrapped } => {
                    bytes.push(RECOVERY);
                    bytes.extend_from_slice(recipient);
                    bytes.extend_from_slice(wrapped);
                }
            }
        }
        bytes.extend_from_slice(self.body);
        Some(bytes)
    }

    /// The generation that it is wrapped under, when it is wrapped under one.
    pub(super) fn generation(&self) -> Option<u64> {
        self.stanzas.iter().find_map(|stanza| match stanza {
            Stanza::Generation { generation, .. } => Some(*generation),
            Stanza::Recovery { .. } => None,
        })
    }
}

/// What a sealed value is bound to. Lengths stand before texts, so that no two places bind alike.
pub(super) fn bind(id: &str, scope: &str) -> Vec<u8> {
    placed(b"remint-sealed-v2", id, scope)
}

/// What a wrapped data key is bound to: its value's place, and the head of its stanza.
pub(super) fn headed(bound: &[u8], tag: u8, name: [u8; 8]) -> Vec<u8> {
    [bound, &[tag], &name].concat()
}

fn placed(domain: &[u8], id: &str, scope: &str) -> Vec<u8> {
    let mut bound = domain.to_vec();
    for text in [id, scope] {
        bound.extend_from_slice(&(text.len() as u64).to_be_bytes());
        bound.extend_from_slice(text.as_bytes());
    }
    bound
}

/// The first format, which had one recipient.
pub(super) mod first {
    use aws_lc_rs::aead::NONCE_LEN;
    use remint_contract::SecretValue;
    use zeroize::Zeroizing;

    use super::super::cipher::{KEY, ONCE, TAG, open_copy, unwrap};

    pub(in crate::escrow) fn is(bytes: &[u8]) -> bool {
        bytes.first() == Some(&FORMAT)
    }

    pub(in crate::escrow) fn bind(id: &str, scope: &str, generation: u64) -> Vec<u8> {
        let mut bound = super::placed(b"remint-sealed-v1", id, scope);
        bound.extend_from_slice(&generation.to_be_bytes());
        bound
    }

    pub(in crate::escrow) fn unseal(key: &[u8; KEY], bound: &[u8], bytes: &[u8]) -> Option<SecretValue> {
        let (_, rest) = bytes.split_first()?;
        let (nonce, rest) = rest.split_first_chunk::<NONCE_LEN>()?;
        let (wrapped, body) = rest.split_at_checked(KEY + TAG)?;
        let data_key: Zeroizing<[u8; KEY]> = unwrap(key, *nonce, bound, wrapped)?;
        let mut value = open_copy(&data_key, ONCE, bound, body)?;
        Some(SecretValue::new(std::mem::take(&mut *value)))
    }

    const FORMAT: u8 = 1;
}

const FORMAT: u8 = 2;
const GENERATION: u8 = 1;
pub(super) const RECOVERY: u8 = 2;
