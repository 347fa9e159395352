//! What signs a log: a key that lies sealed in the state ([`super::key`]), or one that never leaves the service that keeps it
//! ([`super::elsewhere`]).
//!
//! A signer that is elsewhere is one implementation of [`Signer`]: the sequencer asks for a signature over the text of a
//! checkpoint and checks it before it is stored, so a service that answers with something else stops the log and forges
//! nothing.

use async_trait::async_trait;
use remint_evidence_format::note::{SigningKey, VerifierKey};

/// A note that its key signed, wherever the key is.
///
/// # Errors
/// There is no signature, or it does not fit.
pub async fn note(text: &str, key: &dyn Signer) -> Result<String, SignError> {
    let signature = key.sign(text.as_bytes()).await?;
    remint_evidence_format::note::attach(text, key.verifier(), &signature)
        .map_err(|source| SignError { key: key.verifier().to_string(), source: Box::new(source) })
}

/// Why there is no signature. Its cause is the service's.
#[derive(Debug, thiserror::Error)]
#[error("the key {key} did not sign")]
pub struct SignError {
    /// The public half.
    pub key: String,
    #[source]
    pub source: Box<dyn std::error::Error + Send + Sync>,
}

/// The half of a key that signs, wherever it is.
#[async_trait]
pub trait Signer: Send + Sync {
    /// The public half; its name is the origin of the log.
    fn verifier(&self) -> &VerifierKey;

    /// The Ed25519 signature over a text.
    async fn sign(&self, text: &[u8]) -> Result<Vec<u8>, SignError>;
}

/// Whoever shares a signer has one.
#[async_trait]
impl<S: Signer + ?Sized> Signer for std::sync::Arc<S> {
    fn verifier(&self) -> &VerifierKey {
        self.as_ref().verifier()
    }

    async fn sign(&self, text: &[u8]) -> Result<Vec<u8>, SignError> {
        self.as_ref().sign(text).await
    }
}

#[async_trait]
impl Signer for SigningKey {
    fn verifier(&self) -> &VerifierKey {
        self.verifier()
    }

    async fn sign(&self, text: &[u8]) -> Result<Vec<u8>, SignError> {
        Ok(SigningKey::sign(self, text).to_vec())
    }
}
