//! The two halves of an Ed25519 key with a name, whatever it signs: the text of a note, or that a witness saw a checkpoint.
//!
//! What it signs is the byte before the key, so that a key of one sort is never taken for one of the other.

use aws_lc_rs::signature::{ED25519, Ed25519KeyPair, KeyPair as _, UnparsedPublicKey};
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use zeroize::Zeroizing;

use crate::tree::sha256;
use crate::{FormatError, hex};

/// What a key signs, as the signed-note specification numbers it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Sort {
    /// The text of a note.
    Note = 1,
    /// A checkpoint, with the time at which a witness saw it.
    Cosignature = 4,
}

/// The half that checks.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Public {
    sort: Sort,
    name: String,
    id: [u8; 4],
    bytes: [u8; 32],
}

impl Public {
    /// Reads `name+id+base64`.
    pub(crate) fn parse(sort: Sort, text: &str) -> Result<Self, FormatError> {
        let (name, id, bytes) = split(sort, text).ok_or(MALFORMED)?;
        let key = Self::new(sort, name, *bytes)?;
        if key.id == id { Ok(key) } else { Err(WRONG_ID) }
    }

    pub(crate) fn new(sort: Sort, name: &str, bytes: [u8; 32]) -> Result<Self, FormatError> {
        if !is_name(name) {
            return Err(FormatError::Key { why: "its name must not be empty nor hold white space or `+`" });
        }
        let hashed = sha256(&[name.as_bytes(), b"\n", &[sort as u8], &bytes].concat()).0;
        Ok(Self { sort, name: name.to_owned(), id: [hashed[0], hashed[1], hashed[2], hashed[3]], bytes })
    }

    pub(crate) fn name(&self) -> &str {
        &self.name
    }

    pub(crate) fn id(&self) -> [u8; 4] {
        self.id
    }

    pub(crate) fn bytes(&self) -> &[u8; 32] {
        &self.bytes
    }

    pub(crate) fn fits(&self, message: &[u8], signature: &[u8]) -> bool {
        UnparsedPublicKey::new(&ED25519, self.bytes).verify(message, signature).is_ok()
    }
}

impl std::fmt::Display for Public {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let mut typed = vec![self.sort as u8];
        typed.extend_from_slice(&self.bytes);
        write!(f, "{}+{}+{}", self.name, hex::encode(&self.id), STANDARD.encode(typed))
    }
}

/// The half that signs; the seed is wiped when it is dropped. Its `Debug` shows the public half only.
pub(crate) struct Secret {
    seed: Zeroizing<[u8; 32]>,
    pair: Ed25519KeyPair,
}

impl Secret {
    /// Both halves of the key of a seed.
    pub(crate) fn from_seed(sort: Sort, name: &str, seed: Zeroizing<[u8; 32]>) -> Result<(Self, Public), FormatError> {
        let pair = Ed25519KeyPair::from_seed_unchecked(seed.as_ref())
            .map_err(|_| FormatError::Key { why: "the provider does not take its seed" })?;
        let mut bytes = [0; 32];
        bytes.copy_from_slice(pair.public_key().as_ref());
        let public = Public::new(sort, name, bytes)?;
        Ok((Self { seed, pair }, public))
    }

    /// Reads `PRIVATE+KEY+name+id+base64`.
    pub(crate) fn parse(sort: Sort, text: &str) -> Result<(Self, Public), FormatError> {
        let (name, id, seed) = text.strip_prefix(PRIVATE).and_then(|text| split(sort, text)).ok_or(MALFORMED)?;
        let (secret, public) = Self::from_seed(sort, name, seed)?;
        if public.id == id { Ok((secret, public)) } else { Err(WRONG_ID) }
    }

    /// The text to keep; as secret as the key.
    pub(crate) fn to_text(&self, public: &Public) -> Zeroizing<String> {
        let mut typed = Zeroizing::new([public.sort as u8; 33]);
        typed[1..].copy_from_slice(self.seed.as_ref());
        let encoded = Zeroizing::new(STANDARD.encode(typed.as_ref()));
        Zeroizing::new(format!("{PRIVATE}{}+{}+{}", public.name, hex::encode(&public.id), *encoded))
    }

    pub(crate) fn sign(&self, message: &[u8]) -> [u8; 64] {
        let mut bytes = [0; 64];
        bytes.copy_from_slice(self.pair.sign(message).as_ref());
        bytes
    }
}

/// Whether a key may be called so.
pub(super) fn is_name(name: &str) -> bool {
    !name.is_empty() && !name.contains(|letter: char| letter.is_whitespace() || letter.is_control() || letter == '+')
}

/// `name+id+base64(sort ‖ 32 bytes)`. Base64 may hold `+`, a name and an id may not.
fn split(sort: Sort, text: &str) -> Option<(&str, [u8; 4], Half)> {
    let (name, rest) = text.split_once('+')?;
    let (id, encoded) = rest.split_once('+')?;
    let decoded = Zeroizing::new(STANDARD.decode(encoded).ok()?);
    let (first, bytes) = decoded.split_first()?;
    let mut half = Zeroizing::new([0; 32]);
    if *first != sort as u8 || bytes.len() != half.len() {
        return None;
    }
    half.copy_from_slice(bytes);
    Some((name, hex::decode(id)?, half))
}

/// A public key or a seed: which, only the caller knows.
type Half = Zeroizing<[u8; 32]>;

const PRIVATE: &str = "PRIVATE+KEY+";
const MALFORMED: FormatError =
    FormatError::Malformed { what: "note key", why: "it must be `name+id+base64` of an Ed25519 key of this sort" };
const WRONG_ID: FormatError = FormatError::Key { why: "its id does not belong to its name and bytes" };
