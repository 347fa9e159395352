//! A signing key that never leaves Vault or OpenBao: an Ed25519 key of a transit engine.
//!
//! Flow: the first time, the newest version of the key is asked for and written down ([`TransitSigner::keep`]); from then on
//! that version signs, and its public half is known without a call. A rotation of the log's key takes the newest version, or
//! has one made ([`Transit::after`]), as any other rotation does: with an entry that names both, and a checkpoint that both
//! sign. A rotation of the key in transit alone changes nothing here.
//!
//! Guarantees: the private half is never here; what signs is the version that the log named, or nothing does. The login is
//! read from its file each time, so that what renews it there is followed.
//!
//! Errors: where the service does not answer, entries are committed and wait for their places.

use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use remint_contract::{Error, HostRules, Material, SecretValue};
use remint_evidence_format::FormatError;
use remint_evidence_format::note::VerifierKey;
use serde::{Deserialize, Serialize};
use serde_json::Value;

use crate::engine::record::{put, read};
use crate::evidence::signer::{SignError, Signer};
use crate::store::dump::Line;
use crate::store::{Change, Key, Put, Rule, Store, StoreError};

/// Where the key is, and how Remint logs in there: `log: {transit: …}` of `remint.yaml`. It holds no secret.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct TransitAt {
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
    username: Option<String>,
    /// The file with what the login takes: a token, a secret id, a service account's token, a key with its certificate.
    secret_file: PathBuf,
}

/// Why the key cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum TransitError {
    #[error("cannot read the login of the log's signing key in {path}")]
    Login {
        path: PathBuf,
        #[source]
        source: std::io::Error,
    },
    #[error("the service that keeps the log's signing key")]
    Service(#[from] Error),
    #[error("the service that keeps the log's signing key did not answer in {} s", PATIENCE.as_secs())]
    Silent,
    #[error("what the service gave is no base64 of a key or signature")]
    Garbled,
    #[error("the log's signing key cannot be used")]
    Format(#[from] FormatError),
    #[error(transparent)]
    Store(#[from] StoreError),
}

/// The way to the key.
pub struct Transit {
    key: remint_vault::SigningKey,
    username: Option<String>,
    secret_file: PathBuf,
}

/// One version of the key, under the name of a log.
#[derive(Clone)]
pub struct TransitSigner {
    transit: Arc<Transit>,
    verifier: VerifierKey,
    version: u64,
}

/// Which version signs, as it is written down.
#[derive(Debug, Serialize, Deserialize)]
struct Signing {
    key: String,
    version: u64,
}

impl Transit {
    /// Makes no call.
    ///
    /// # Errors
    /// The settings cannot be understood.
    pub fn open(at: &TransitAt) -> Result<Self, TransitError> {
        let mut settings = serde_json::json!({ "address": at.address, "engine": "transit" });
        let optional = [
            ("namespace", at.namespace.clone().map(Value::from)),
            ("mount", at.mount.clone().map(Value::from)),
            ("login", at.login.clone()),
            ("ca", at.ca.clone()),
        ];
        for (name, value) in optional {
            if let Some(value) = value {
                settings[name] = value;
            }
        }
        let rules = HostRules { connect_timeout: Some(PATIENCE), ..HostRules::default() };
        let key = remint_vault::SigningKey::open(&settings, &at.key, &rules)?;
        Ok(Self { key, username: at.username.clone(), secret_file: at.secret_file.clone() })
    }

    /// The version that signs the log of a store, as it was written down; `None` when none was.
    ///
    /// # Errors
    /// The store cannot be read.
    pub async fn kept(self: &Arc<Self>, store: &dyn Store) -> Result<Option<TransitSigner>, TransitError> {
        let Some(record) = store.get(&place()).await? else { return Ok(None) };
        let Signing { key, version } = read(record)?;
        Ok(Some(TransitSigner { transit: Arc::clone(self), verifier: VerifierKey::parse(&key)?, version }))
    }

    /// The newest version, for the log of that name.
    ///
    /// # Errors
    /// The service cannot be asked, or the key is none that signs.
    pub async fn newest(self: &Arc<Self>, name: &str) -> Result<TransitSigner, TransitError> {
        let actor = self.actor()?;
        let version = within(self.key.newest(&actor)).await?;
        let public = STANDARD.decode(&version.public).map_err(|_| TransitError::Garbled)?;
        let public = public.try_into().map_err(|_| TransitError::Garbled)?;
        let verifier = VerifierKey::from_bytes(name, public)?;
        Ok(TransitSigner { transit: Arc::clone(self), verifier, version: version.number })
    }

    /// A version that is another key than this one: the newest, which is made when there is no newer one yet.
    ///
    /// # Errors
    /// As for [`Transit::newest`], or the service makes none.
    pub async fn after(self: &Arc<Self>, before: &VerifierKey) -> Result<TransitSigner, TransitError> {
        let newest = self.newest(before.name()).await?;
        if newest.verifier != *before {
            return Ok(newest);
        }
        let actor = self.actor()?;
        within(self.key.rotate(&actor)).await?;
        self.newest(before.name()).await
    }

    fn actor(&self) -> Result<Arc<Material>, TransitError> {
        let failed = |source| TransitError::Login { path: self.secret_file.clone(), source };
        let bytes = zeroize::Zeroizing::new(std::fs::read(&self.secret_file).map_err(failed)?);
        let secret = SecretValue::new(bytes.trim_ascii_end().to_vec());
        Ok(Arc::new(Material { username: self.username.clone(), secret }))
    }
}

impl TransitSigner {
    /// Writes down that this version signs.
    ///
    /// # Errors
    /// It cannot be written.
    pub async fn keep(&self, store: &dyn Store) -> Result<(), TransitError> {
        let puts = vec![self.put()?];
        store.commit(Change { puts, ..Change::default() }).await?;
        Ok(())
    }

    /// The same version for a log of another name.
    ///
    /// # Errors
    /// No log can be called so.
    pub async fn named(&self, name: &str) -> Result<Self, TransitError> {
        self.transit.newest(name).await
    }

    fn put(&self) -> Result<Put, StoreError> {
        let Key { kind, id } = place();
        put(kind, id, "", &Signing { key: self.verifier.to_string(), version: self.version }, Rule::Upsert)
    }

    async fn signature(&self, text: &[u8]) -> Result<Vec<u8>, TransitError> {
        let actor = self.transit.actor()?;
        let encoded = within(self.transit.key.sign(&actor, self.version, &STANDARD.encode(text))).await?;
        STANDARD.decode(encoded).map_err(|_| TransitError::Garbled)
    }
}

#[async_trait]
impl Signer for TransitSigner {
    fn verifier(&self) -> &VerifierKey {
        &self.verifier
    }

    async fn sign(&self, text: &[u8]) -> Result<Vec<u8>, SignError> {
        let failed = |source| SignError { key: self.verifier.to_string(), source: Box::new(source) };
        self.signature(text).await.map_err(failed)
    }
}

/// The public half of the key that is kept elsewhere, out of the records of a store that is copied.
pub fn named_in<'l>(lines: impl IntoIterator<Item = &'l Line>) -> Option<VerifierKey> {
    let Key { kind, id } = place();
    let body = lines.into_iter().find_map(|line| match line {
        Line::Record { kind: of, id: named, body, .. } if of == kind && *named == id => Some(body),
        _ => None,
    });
    VerifierKey::parse(body?["key"].as_str()?).ok()
}

/// Whether a key that is kept elsewhere signs the log of a store.
///
/// # Errors
/// The store cannot be read.
pub async fn kept(store: &dyn Store) -> Result<bool, StoreError> {
    Ok(store.get(&place()).await?.is_some())
}

/// A call that ends.
async fn within<T>(call: impl Future<Output = Result<T, Error>>) -> Result<T, TransitError> {
    match tokio::time::timeout(PATIENCE, call).await {
        Ok(answer) => Ok(answer?),
        Err(_) => Err(TransitError::Silent),
    }
}

fn place() -> Key {
    Key { kind: "signer", id: "log".to_owned() }
}

/// The longest that a signature may take: shorter than the sequencer's lease.
const PATIENCE: Duration = Duration::from_secs(5);
