//! A key of AWS KMS.

use std::path::PathBuf;
use std::sync::Arc;

use async_trait::async_trait;
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use remint_aws::KmsKey;
use remint_contract::{HostRules, Material, SecretValue};
use serde::Deserialize;
use serde_json::{Value, json};

use super::{KeeperError, Service, Version, settings};

/// A key of AWS KMS.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct At {
    region: String,
    /// The key's ARN, its id, or `alias/NAME`.
    key: String,
    /// As `role` of an `aws` system.
    #[serde(default)]
    role: Option<Value>,
    /// Instead of AWS's own address.
    #[serde(default)]
    endpoint: Option<String>,
    /// The id of the access key.
    pub(super) username: String,
    /// The file with the access key's secret.
    pub(super) secret_file: PathBuf,
}

pub(super) fn open(at: &At, rules: &HostRules) -> Result<KmsKey, KeeperError> {
    let optional = [("role", at.role.clone()), ("endpoint", at.endpoint.clone().map(Value::from))];
    Ok(KmsKey::open(&settings(json!({ "region": at.region }), optional), &at.key, rules)?)
}

#[async_trait]
impl Service for KmsKey {
    async fn newest(&self, actor: &Arc<Material>) -> Result<Version, KeeperError> {
        let shown = self.public(actor).await?;
        let public = STANDARD.decode(&shown.public).map_err(|_| KeeperError::Garbled)?;
        let public = public.strip_prefix(SPKI).and_then(|public| public.try_into().ok());
        Ok(Version { name: shown.arn, public: public.ok_or(KeeperError::Garbled)? })
    }

    async fn make(&self, _: &Arc<Material>) -> Result<(), KeeperError> {
        Err(KeeperError::NoNext)
    }

    async fn sign(&self, actor: &Arc<Material>, version: &str, text: &str) -> Result<String, KeeperError> {
        Ok(self.sign(actor, version, text).await?)
    }

    async fn wrap(&self, actor: &Arc<Material>, key: &str) -> Result<String, KeeperError> {
        Ok(format!("{PREFIX}{}", self.encrypt(actor, key).await?))
    }

    async fn unwrap(&self, actor: &Arc<Material>, word: &str) -> Result<SecretValue, KeeperError> {
        let wrapped = word.strip_prefix(PREFIX).ok_or(KeeperError::Other)?;
        Ok(self.decrypt(actor, wrapped).await?)
    }
}

/// What stands before a word of this service.
const PREFIX: &str = "kms:";

/// What stands before an Ed25519 public key in its `SubjectPublicKeyInfo` (RFC 8410).
const SPKI: &[u8] = &[0x30, 0x2a, 0x30, 0x05, 0x06, 0x03, 0x2b, 0x65, 0x70, 0x03, 0x21, 0x00];
