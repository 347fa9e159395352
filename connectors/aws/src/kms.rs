//! A key of KMS that wraps other keys, or signs texts: its secret half never leaves the service.
//!
//! Flow: [`KmsKey::encrypt`] and [`KmsKey::decrypt`] are for a symmetric key, under an encryption context that says what for,
//! which stands in CloudTrail too. [`KmsKey::public`] and [`KmsKey::sign`] are for an Ed25519 key (`ECC_NIST_EDWARDS25519`,
//! signing pure texts: `ED25519_SHA_512`). KMS makes no next version of such a key: another one has another name.
//!
//! Guarantees: as for the connector. Nothing changes in KMS by any of it.
//!
//! Source: the API reference of AWS KMS, 2014-11-01.

use std::sync::Arc;

use jiff::Timestamp;
use remint_contract::{Call, Error, ErrorKind, HostRules, Material, OperationId, SecretValue, Verb};
use serde::de::DeserializeOwned;
use serde::{Deserialize, Deserializer, Serialize};
use serde_json::{Value, json};

use crate::client::Client;
use crate::config::Settings;
use crate::object::{Api, ask};

/// One key of one region.
pub struct KmsKey {
    client: Client,
    name: String,
}

/// A key that signs: its ARN, and its public half in base64, a `SubjectPublicKeyInfo` in DER.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Shown {
    pub arn: String,
    pub public: String,
}

/// What the wrapped keys are for: what was wrapped for anything else does not open.
#[derive(Serialize)]
struct Purpose {
    remint: &'static str,
}

const PURPOSE: Purpose = Purpose { remint: "key-encryption-key" };
/// Pure Ed25519: KMS gets the text itself.
const ALGORITHM: &str = "ED25519_SHA_512";

#[derive(Serialize)]
#[serde(rename_all = "PascalCase")]
struct Encrypt<'t> {
    key_id: &'t str,
    plaintext: &'t str,
    encryption_context: Purpose,
}

#[derive(Serialize)]
#[serde(rename_all = "PascalCase")]
struct Decrypt<'t> {
    key_id: &'t str,
    ciphertext_blob: &'t str,
    encryption_context: Purpose,
}

#[derive(Serialize)]
#[serde(rename_all = "PascalCase")]
struct Sign<'t> {
    key_id: &'t str,
    message: &'t str,
    message_type: &'static str,
    signing_algorithm: &'static str,
}

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
struct Encrypted {
    ciphertext_blob: String,
}

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
struct Decrypted {
    #[serde(deserialize_with = "secret")]
    plaintext: SecretValue,
}

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
struct Answered {
    key_id: String,
    public_key: String,
    #[serde(default)]
    signing_algorithms: Vec<String>,
}

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
struct Signed {
    signature: String,
}

impl KmsKey {
    /// The key of that id, ARN or alias. The settings are those of an `aws` system without its service; no call is made.
    ///
    /// # Errors
    /// The settings cannot be understood.
    pub fn open(settings: &Value, name: &str, rules: &HostRules) -> Result<Self, Error> {
        let mut settings = settings.clone();
        // One of those that answer in JSON: their settings are the same.
        settings["service"] = json!("ssm");
        let settings = Settings::read(&settings).map_err(Error::settings)?;
        let plain = |byte: u8| byte.is_ascii_alphanumeric() || b":/_-".contains(&byte);
        if name.is_empty() || name.len() > 2048 || !name.bytes().all(plain) {
            return Err(Error::new(ErrorKind::Invalid, Verb::Check, "write the key's ARN, its id, or alias/NAME"));
        }
        Ok(Self { client: Client::open(settings, rules)?, name: name.to_owned() })
    }

    /// What was encrypted, in base64, of a text in base64 of at most 4,096 bytes.
    ///
    /// # Errors
    /// The service refuses, or the key does not encrypt.
    pub async fn encrypt(&self, actor: &Arc<Material>, text: &str) -> Result<String, Error> {
        let asked = Encrypt { key_id: &self.name, plaintext: text, encryption_context: PURPOSE };
        Ok(self.ask::<Encrypted>(actor, Verb::Verify, "Encrypt", &asked).await?.ciphertext_blob)
    }

    /// The text in base64 that was encrypted.
    ///
    /// # Errors
    /// The service refuses, or it was not this key that encrypted it, or for another purpose.
    pub async fn decrypt(&self, actor: &Arc<Material>, encrypted: &str) -> Result<SecretValue, Error> {
        let asked = Decrypt { key_id: &self.name, ciphertext_blob: encrypted, encryption_context: PURPOSE };
        Ok(self.ask::<Decrypted>(actor, Verb::Read, "Decrypt", &asked).await?.plaintext)
    }

    /// The key's ARN, which an alias may leave for another one, and its public half.
    ///
    /// # Errors
    /// The service refuses, or the key is not one that signs with Ed25519.
    pub async fn public(&self, actor: &Arc<Material>) -> Result<Shown, Error> {
        let shown: Answered = self.ask(actor, Verb::Check, "GetPublicKey", &json!({ "KeyId": self.name })).await?;
        if shown.signing_algorithms.iter().any(|known| known == ALGORITHM) {
            return Ok(Shown { arn: shown.key_id, public: shown.public_key });
        }
        let message = "the key must be of the kind ECC_NIST_EDWARDS25519, and for signing";
        Err(self.named(Error::new(ErrorKind::Invalid, Verb::Check, message)))
    }

    /// The signature of the key of that ARN over a text in base64 of at most 4,096 bytes, in base64 too.
    ///
    /// # Errors
    /// The service refuses, or the key does not sign.
    pub async fn sign(&self, actor: &Arc<Material>, arn: &str, text: &str) -> Result<String, Error> {
        let asked = Sign { key_id: arn, message: text, message_type: "RAW", signing_algorithm: ALGORITHM };
        // Signing changes nothing: asked again, the service says the same.
        Ok(self.ask::<Signed>(actor, Verb::Verify, "Sign", &asked).await?.signature)
    }

    async fn ask<T: DeserializeOwned>(
        &self,
        actor: &Arc<Material>,
        verb: Verb,
        action: &str,
        asked: &impl Serialize,
    ) -> Result<T, Error> {
        let operation = OperationId(format!("key-{}", self.name));
        let call = Call { operation, deadline: Timestamp::MAX, actor: Some(Arc::clone(actor)) };
        let answer = ask(&self.client, Api::Kms, &call, verb, action, asked).await;
        answer
            .and_then(|answer| answer.map_err(|failure| failure.error(verb, "the key")))
            .map_err(|error| self.named(error))
    }

    fn named(&self, error: Error) -> Error {
        error.with("key", &self.name)
    }
}

fn secret<'de, D: Deserializer<'de>>(deserializer: D) -> Result<SecretValue, D::Error> {
    String::deserialize(deserializer).map(SecretValue::from)
}
