//! A key of a transit engine of Vault or OpenBao.

use std::path::PathBuf;
use std::sync::Arc;

use async_trait::async_trait;
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use remint_contract::{HostRules, Material, SecretValue};
use remint_vault::TransitKey;
use serde::Deserialize;
use serde_json::{Value, json};

use super::{KeeperError, Service, Version, settings};

/// A key of a transit engine.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct At {
    address: String,
    #[serde(default)]
    namespace: Option<String>,
    #[serde(default)]
    mount: Option<String>,
    /// The key's name.
    key: String,
    /// As `login` of a `vault` system; the secret is a token where it is not named.
    #[serde(default)]
    login: Option<Value>,
    #[serde(default)]
    ca: Option<Value>,
    /// The role id, for a login by AppRole.
    #[serde(default)]
    pub(super) username: Option<String>,
    /// The file with what the login takes: a token, a secret id, a service account's token, a key with its certificate.
    pub(super) secret_file: PathBuf,
}

pub(super) fn open(at: &At, rules: &HostRules) -> Result<TransitKey, KeeperError> {
    let optional = [
        ("namespace", at.namespace.clone().map(Value::from)),
        ("mount", at.mount.clone().map(Value::from)),
        ("login", at.login.clone()),
        ("ca", at.ca.clone()),
    ];
    let settings = settings(json!({ "address": at.address, "engine": "transit" }), optional);
    Ok(TransitKey::open(&settings, &at.key, rules)?)
}

#[async_trait]
impl Service for TransitKey {
    async fn newest(&self, actor: &Arc<Material>) -> Result<Version, KeeperError> {
        let version = self.newest(actor).await?;
        let public = STANDARD.decode(&version.public).map_err(|_| KeeperError::Garbled)?;
        let public = public.try_into().map_err(|_| KeeperError::Garbled)?;
        Ok(Version { name: version.number.to_string(), public })
    }

    async fn make(&self, actor: &Arc<Material>) -> Result<(), KeeperError> {
        Ok(self.rotate(actor).await?)
    }

    async fn sign(&self, actor: &Arc<Material>, version: &str, text: &str) -> Result<String, KeeperError> {
        let version = version.parse().map_err(|_| KeeperError::Other)?;
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
const PREFIX: &str = "transit:";
