//! The keys of one issuer, each with the one algorithm that it is for.

use std::sync::Arc;

use jsonwebtoken::jwk::{AlgorithmParameters, EllipticCurve, Jwk, KeyAlgorithm, PublicKeyUse};
use jsonwebtoken::{Algorithm, DecodingKey};
use serde::Deserialize;
use serde_json::Value;

/// The keys that an issuer published at one time.
#[derive(Debug, Clone, Default)]
pub struct Keys(Vec<Key>);

#[derive(Debug, Clone)]
pub(super) struct Key {
    pub(super) id: Option<String>,
    pub(super) algorithm: Algorithm,
    pub(super) key: DecodingKey,
    /// As it was published.
    pub(super) jwk: Arc<Value>,
}

/// Why a document holds no keys.
#[derive(Debug, thiserror::Error)]
pub enum KeysError {
    #[error("what the issuer published is no set of keys")]
    Unreadable(#[source] serde_json::Error),
    #[error("the issuer published no key that signs in a way that is taken here (RS, PS, ES, EdDSA)")]
    None,
    #[error("the issuer published two keys of one name; nobody can say which one is meant")]
    Twice,
}

#[derive(Deserialize)]
struct Document {
    keys: Vec<Value>,
}

impl Keys {
    /// Reads a JWK Set. Keys for encryption, shared secrets and what is not understood are passed over.
    ///
    /// # Errors
    /// There is no usable key in it, or two have one name.
    pub fn parse(text: &[u8]) -> Result<Self, KeysError> {
        let document: Document = serde_json::from_slice(text).map_err(KeysError::Unreadable)?;
        let mut keys: Vec<Key> = Vec::new();
        for value in document.keys {
            let Some(key) = usable(value) else { continue };
            if keys.iter().any(|known| known.id == key.id && known.algorithm == key.algorithm) {
                return Err(KeysError::Twice);
            }
            keys.push(key);
        }
        if keys.is_empty() { Err(KeysError::None) } else { Ok(Self(keys)) }
    }

    /// The key of that name. A token that names none is taken only where there is one key.
    pub(super) fn named(&self, id: Option<&str>) -> Vec<&Key> {
        match id {
            Some(_) => self.0.iter().filter(|key| key.id.as_deref() == id).collect(),
            None if self.0.len() == 1 => self.0.iter().collect(),
            None => Vec::new(),
        }
    }
}

/// A public key that signs, with its algorithm: the one that it says, else the usual one of its kind.
fn usable(value: Value) -> Option<Key> {
    let jwk: Jwk = serde_json::from_value(value.clone()).ok()?;
    if jwk.common.public_key_use.as_ref().is_some_and(|used| *used != PublicKeyUse::Signature) {
        return None;
    }
    let said = jwk.common.key_algorithm;
    let algorithm = match &jwk.algorithm {
        AlgorithmParameters::RSA(_) => match said {
            None | Some(KeyAlgorithm::RS256) => Algorithm::RS256,
            Some(KeyAlgorithm::RS384) => Algorithm::RS384,
            Some(KeyAlgorithm::RS512) => Algorithm::RS512,
            Some(KeyAlgorithm::PS256) => Algorithm::PS256,
            Some(KeyAlgorithm::PS384) => Algorithm::PS384,
            Some(KeyAlgorithm::PS512) => Algorithm::PS512,
            Some(_) => return None,
        },
        AlgorithmParameters::EllipticCurve(curve) => match (&curve.curve, said) {
            (EllipticCurve::P256, None | Some(KeyAlgorithm::ES256)) => Algorithm::ES256,
            (EllipticCurve::P384, None | Some(KeyAlgorithm::ES384)) => Algorithm::ES384,
            _ => return None,
        },
        AlgorithmParameters::OctetKeyPair(pair) => match (&pair.curve, said) {
            (EllipticCurve::Ed25519, None | Some(KeyAlgorithm::EdDSA)) => Algorithm::EdDSA,
            _ => return None,
        },
        // A shared secret in a public place is none.
        _ => return None,
    };
    let key = DecodingKey::from_jwk(&jwk).ok()?;
    Some(Key { id: jwk.common.key_id, algorithm, key, jwk: Arc::new(value) })
}
