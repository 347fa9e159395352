//! Keys that a service keeps: a transit engine of Vault or OpenBao, or AWS KMS.
//!
//! Flow: `remint.yaml` says which key, where, and as whom Remint asks ([`KeptAt`]); [`Keeper::open`] makes no call. A key that
//! signs is asked for its newest version once, which the caller writes down, and that version signs from then on. A key that
//! wraps has the keys of the key file wrapped, one by one; they are unwrapped when the file is read.
//!
//! Guarantees: the secret half of the service's key is never here. The login is read from its file each time, so that what
//! renews it there is followed. A call ends after some seconds.

use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use remint_contract::{Error, HostRules, Material, SecretValue};
use serde::Deserialize;
use serde_json::Value;
use zeroize::Zeroizing;

mod kms;
mod transit;

/// Where a key is kept: in one of these. It holds no secret.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct KeptAt {
    #[serde(default)]
    transit: Option<transit::At>,
    #[serde(default)]
    kms: Option<kms::At>,
}

/// Why a key cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum KeeperError {
    #[error("write where the key is kept: `transit` or `kms`, and only one of them")]
    Where,
    #[error("cannot read the login to the service that keeps the key in {path}")]
    Login {
        path: PathBuf,
        #[source]
        source: std::io::Error,
    },
    #[error("the service that keeps the key")]
    Service(#[from] Error),
    #[error("the service that keeps the key did not answer in {} s", PATIENCE.as_secs())]
    Silent,
    #[error("what the service gave is no key, signature or wrapped key in base64")]
    Garbled,
    #[error("AWS KMS makes no next version of a key that signs; make another key there, and name it in remint.yaml")]
    NoNext,
    #[error("another service keeps this key than the one that remint.yaml names")]
    Other,
}

/// The way to a key.
pub struct Keeper {
    service: Box<dyn Service>,
    username: Option<String>,
    secret_file: PathBuf,
}

/// What a service does with its key. Texts, keys and signatures are in base64.
#[async_trait]
trait Service: Send + Sync {
    async fn newest(&self, actor: &Arc<Material>) -> Result<Version, KeeperError>;
    async fn make(&self, actor: &Arc<Material>) -> Result<(), KeeperError>;
    async fn sign(&self, actor: &Arc<Material>, version: &str, text: &str) -> Result<String, KeeperError>;
    /// A word that says which service wrapped it.
    async fn wrap(&self, actor: &Arc<Material>, key: &str) -> Result<String, KeeperError>;
    async fn unwrap(&self, actor: &Arc<Material>, word: &str) -> Result<SecretValue, KeeperError>;
}

/// A version of a key that signs.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Version {
    /// What the service calls it: a number, or an ARN.
    pub name: String,
    /// The public half.
    pub public: [u8; 32],
}

impl Keeper {
    /// Makes no call.
    ///
    /// # Errors
    /// The settings cannot be understood.
    pub fn open(at: &KeptAt) -> Result<Self, KeeperError> {
        let rules = HostRules { connect_timeout: Some(PATIENCE), ..HostRules::default() };
        let (service, username, secret_file): (Box<dyn Service>, _, _) = match (&at.transit, &at.kms) {
            (Some(at), None) => (Box::new(transit::open(at, &rules)?), at.username.clone(), &at.secret_file),
            (None, Some(at)) => (Box::new(kms::open(at, &rules)?), Some(at.username.clone()), &at.secret_file),
            _ => return Err(KeeperError::Where),
        };
        Ok(Self { service, username, secret_file: secret_file.clone() })
    }

    /// The newest version of a key that signs with Ed25519.
    ///
    /// # Errors
    /// The service cannot be asked, or the key is another.
    pub async fn newest(&self) -> Result<Version, KeeperError> {
        within(self.service.newest(&self.actor()?)).await
    }

    /// Makes the next version of a key that signs.
    ///
    /// # Errors
    /// The service cannot be asked, or makes none.
    pub async fn make(&self) -> Result<(), KeeperError> {
        within(self.service.make(&self.actor()?)).await
    }

    /// The signature of that version over a text.
    ///
    /// # Errors
    /// The service cannot be asked, or refuses.
    pub async fn sign(&self, version: &str, text: &[u8]) -> Result<Vec<u8>, KeeperError> {
        let signature = within(self.service.sign(&self.actor()?, version, &STANDARD.encode(text))).await?;
        STANDARD.decode(signature).map_err(|_| KeeperError::Garbled)
    }

    /// A key as the service wrapped it, in one word.
    ///
    /// # Errors
    /// The service cannot be asked, or its key does not encrypt.
    pub async fn wrap(&self, key: &[u8]) -> Result<String, KeeperError> {
        let text = Zeroizing::new(STANDARD.encode(key));
        within(self.service.wrap(&self.actor()?, &text)).await
    }

    /// The key in a word of [`Keeper::wrap`], in base64.
    ///
    /// # Errors
    /// The service cannot be asked, or it was not its key that wrapped it.
    pub async fn unwrap(&self, word: &str) -> Result<SecretValue, KeeperError> {
        within(self.service.unwrap(&self.actor()?, word)).await
    }

    fn actor(&self) -> Result<Arc<Material>, KeeperError> {
        let failed = |source| KeeperError::Login { path: self.secret_file.clone(), source };
        let bytes = Zeroizing::new(std::fs::read(&self.secret_file).map_err(failed)?);
        let secret = SecretValue::new(bytes.trim_ascii_end().to_vec());
        Ok(Arc::new(Material { username: self.username.clone(), secret }))
    }
}

/// A call that ends.
async fn within<T>(call: impl Future<Output = Result<T, KeeperError>>) -> Result<T, KeeperError> {
    tokio::time::timeout(PATIENCE, call).await.unwrap_or(Err(KeeperError::Silent))
}

/// Settings, with those that are named.
fn settings<const N: usize>(mut settings: Value, optional: [(&str, Option<Value>); N]) -> Value {
    for (name, value) in optional {
        if let Some(value) = value {
            settings[name] = value;
        }
    }
    settings
}

/// The longest that a call may take: shorter than the sequencer's lease.
const PATIENCE: Duration = Duration::from_secs(5);
