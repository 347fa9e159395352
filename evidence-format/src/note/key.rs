//! The two halves of an Ed25519 key and their text.

use aws_lc_rs::signature::{ED25519, Ed25519KeyPair, KeyPair as _, UnparsedPublicKey};
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use zeroize::Zeroizing;

use crate::tree::sha256;
use crate::{FormatError, hex};

/// The half that checks: public, and what `--key` takes.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct VerifierKey {
    name: String,
    id: [u8; 4],
    public: [u8; 32],
}

impl VerifierKey {
    /// Reads `name+id+base64`.
    pub fn parse(text: &str) -> Result<Self, FormatError> {
        let (name, id, public) = split(text).ok_or(MALFORMED)?;
        let key = Self::new(name, *public)?;
        if key.id == id { Ok(key) } else { Err(WRONG_ID) }
    }

    fn new(name: &str, public: [u8; 32]) -> Result<Self, FormatError> {
        if !is_name(name) {
            return Err(FormatError::Key { why: "its name must not be empty nor hold white space or `+`" });
        }
        let hashed = sha256(&[name.as_bytes(), b"\n", &[ALGORITHM], &public].concat()).0;
        Ok(Self { name: name.to_owned(), id: [hashed[0], hashed[1], hashed[2], hashed[3]], public })
    }

    /// Who signs; in a checkpoint, the origin of the log.
    pub fn name(&self) -> &str {
        &self.name
    }

    pub fn id(&self) -> [u8; 4] {
        self.id
    }

    pub(super) fn fits(&self, text: &[u8], signature: &[u8]) -> bool {
        UnparsedPublicKey::new(&ED25519, self.public).verify(text, signature).is_ok()
    }
}

impl std::fmt::Display for VerifierKey {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let mut typed = vec![ALGORITHM];
        typed.extend_from_slice(&self.public);
        write!(f, "{}+{}+{}", self.name, hex::encode(&self.id), STANDARD.encode(typed))
    }
}

/// The half that signs. Its `Debug` shows the public half only; the seed is wiped when it is dropped.
pub struct SigningKey {
    seed: Zeroizing<[u8; 32]>,
    pair: Ed25519KeyPair,
    verifier: VerifierKey,
}

impl SigningKey {
    /// The key of a seed of 32 random bytes; randomness is the caller's.
    pub fn from_seed(name: &str, seed: Zeroizing<[u8; 32]>) -> Result<Self, FormatError> {
        let pair = Ed25519KeyPair::from_seed_unchecked(seed.as_ref())
            .map_err(|_| FormatError::Key { why: "the provider does not take its seed" })?;
        let mut public = [0; 32];
        public.copy_from_slice(pair.public_key().as_ref());
        let verifier = VerifierKey::new(name, public)?;
        Ok(Self { seed, pair, verifier })
    }

    /// Reads `PRIVATE+KEY+name+id+base64`.
    pub fn parse(text: &str) -> Result<Self, FormatError> {
        let (name, id, seed) = text.strip_prefix(PRIVATE).and_then(split).ok_or(MALFORMED)?;
        let key = Self::from_seed(name, seed)?;
        if key.verifier.id == id { Ok(key) } else { Err(WRONG_ID) }
    }

    /// The text to keep; as secret as the key.
    pub fn to_text(&self) -> Zeroizing<String> {
        let mut typed = Zeroizing::new([ALGORITHM; 33]);
        typed[1..].copy_from_slice(self.seed.as_ref());
        let encoded = Zeroizing::new(STANDARD.encode(typed.as_ref()));
        Zeroizing::new(format!("{PRIVATE}{}+{}+{}", self.verifier.name, hex::encode(&self.verifier.id), *encoded))
    }

    pub fn verifier(&self) -> &VerifierKey {
        &self.verifier
    }

    pub(super) fn sign(&self, text: &[u8]) -> [u8; 64] {
        let mut bytes = [0; 64];
        bytes.copy_from_slice(self.pair.sign(text).as_ref());
        bytes
    }
}

impl std::fmt::Debug for SigningKey {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("SigningKey").field("verifier", &self.verifier).finish_non_exhaustive()
    }
}

/// Whether a key may be called so.
pub(super) fn is_name(name: &str) -> bool {
    !name.is_empty() && !name.contains(|letter: char| letter.is_whitespace() || letter.is_control() || letter == '+')
}

/// `name+id+base64(0x01 ‖ 32 bytes)`. Base64 may hold `+`, a name and an id may not.
fn split(text: &str) -> Option<(&str, [u8; 4], Half)> {
    let (name, rest) = text.split_once('+')?;
    let (id, encoded) = rest.split_once('+')?;
    let decoded = Zeroizing::new(STANDARD.decode(encoded).ok()?);
    let (&[ALGORITHM], bytes) = decoded.split_first_chunk::<1>()? else { return None };
    let mut half = Zeroizing::new([0; 32]);
    if bytes.len() != half.len() {
        return None;
    }
    half.copy_from_slice(bytes);
    Some((name, hex::decode(id)?, half))
}

/// A public key or a seed: which, only the caller knows.
type Half = Zeroizing<[u8; 32]>;

const PRIVATE: &str = "PRIVATE+KEY+";
/// Ed25519 as the signed-note specification numbers it.
const ALGORITHM: u8 = 1;
const MALFORMED: FormatError =
    FormatError::Malformed { what: "note key", why: "it must be `name+id+base64` of an Ed25519 key" };
const WRONG_ID: FormatError = FormatError::Key { why: "its id does not belong to its name and bytes" };
