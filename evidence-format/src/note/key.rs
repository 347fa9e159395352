//! The two halves of the key of a log and their text.

use zeroize::Zeroizing;

use super::half::{Public, Secret, Sort};
use crate::FormatError;

/// The half that checks: public, and what `--key` takes.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct VerifierKey(Public);

impl VerifierKey {
    /// Reads `name+id+base64`.
    pub fn parse(text: &str) -> Result<Self, FormatError> {
        Public::parse(Sort::Note, text).map(Self)
    }

    /// The key of these bytes, as a service that keeps the other half tells them.
    pub fn from_bytes(name: &str, bytes: [u8; 32]) -> Result<Self, FormatError> {
        Public::new(Sort::Note, name, bytes).map(Self)
    }

    /// Who signs; in a checkpoint, the origin of the log.
    pub fn name(&self) -> &str {
        self.0.name()
    }

    pub fn id(&self) -> [u8; 4] {
        self.0.id()
    }

    pub(super) fn fits(&self, text: &[u8], signature: &[u8]) -> bool {
        self.0.fits(text, signature)
    }
}

impl std::fmt::Display for VerifierKey {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        self.0.fmt(f)
    }
}

/// The half that signs. Its `Debug` shows the public half only; the seed is wiped when it is dropped.
pub struct SigningKey {
    secret: Secret,
    verifier: VerifierKey,
}

impl SigningKey {
    /// The key of a seed of 32 random bytes; randomness is the caller's.
    pub fn from_seed(name: &str, seed: Zeroizing<[u8; 32]>) -> Result<Self, FormatError> {
        Secret::from_seed(Sort::Note, name, seed).map(Self::of)
    }

    /// Reads `PRIVATE+KEY+name+id+base64`.
    pub fn parse(text: &str) -> Result<Self, FormatError> {
        Secret::parse(Sort::Note, text).map(Self::of)
    }

    /// The text to keep; as secret as the key.
    pub fn to_text(&self) -> Zeroizing<String> {
        self.secret.to_text(&self.verifier.0)
    }

    pub fn verifier(&self) -> &VerifierKey {
        &self.verifier
    }

    /// The bare signature over a text, for [`super::attach`].
    pub fn sign(&self, text: &[u8]) -> [u8; 64] {
        self.secret.sign(text)
    }

    fn of((secret, public): (Secret, Public)) -> Self {
        Self { secret, verifier: VerifierKey(public) }
    }
}

impl std::fmt::Debug for SigningKey {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("SigningKey").field("verifier", &self.verifier).finish_non_exhaustive()
    }
}
