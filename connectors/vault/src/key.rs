//! A key of transit that signs texts, or wraps other keys: its secret half never leaves the server.
//!
//! Flow: [`TransitKey::newest`] says which version of an Ed25519 key there is and its public half; [`TransitKey::sign`] has a
//! text signed under one version, which the caller chose and wrote down: a rotation of the key changes nothing until he asks
//! again. [`TransitKey::encrypt`] and [`TransitKey::decrypt`] are for a key that encrypts; what was encrypted names its version.
//!
//! Guarantees: as for the connector: one request each, nothing is tried again but for a session of ours that ended.
//!
//! Errors: [`ErrorKind::Invalid`] for a key of another type, and for a public half, signature or text that is none.

use std::collections::BTreeMap;
use std::sync::Arc;

use jiff::Timestamp;
use remint_contract::{Call, Error, ErrorKind, HostRules, Material, OperationId, SecretValue, Verb};
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};

use crate::answer::Answer;
use crate::client::Client;
use crate::config::Settings;
use crate::request::{Effect, Request};
use crate::session::secret;

/// One key at one mount.
pub struct TransitKey {
    client: Client,
    name: String,
}

/// A version of a key: its number and its public half, in base64.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Version {
    pub number: u64,
    pub public: String,
}

#[derive(Deserialize)]
struct Shown {
    #[serde(rename = "type")]
    kind: String,
    latest_version: u64,
    /// What else there is of other types is refused by `kind`.
    keys: BTreeMap<u64, Value>,
    #[serde(default)]
    derived: bool,
}

#[derive(Deserialize)]
struct Signed {
    signature: String,
}

#[derive(Deserialize)]
struct Encrypted {
    ciphertext: String,
}

#[derive(Deserialize)]
struct Decrypted {
    #[serde(deserialize_with = "secret")]
    plaintext: SecretValue,
}

#[derive(Serialize)]
struct Encrypt<'t> {
    plaintext: &'t str,
}

impl TransitKey {
    /// The key of that name. The settings are those of a `vault` system of engine `transit`; no call is made.
    ///
    /// # Errors
    /// The settings cannot be understood.
    pub fn open(settings: &Value, name: &str, rules: &HostRules) -> Result<Self, Error> {
        let invalid = |message: String| Error::new(ErrorKind::Invalid, Verb::Check, message);
        let settings = Settings::read(settings).map_err(Error::settings)?;
        if name.is_empty() || name.contains('/') || crate::config::read_path(name).is_err() {
            return Err(invalid("write the key's name without slashes".to_owned()));
        }
        Ok(Self { client: Client::open(settings, rules)?, name: name.to_owned() })
    }

    /// The newest version.
    ///
    /// # Errors
    /// The server cannot be asked, or the key is not one that signs with Ed25519.
    pub async fn newest(&self, actor: &Arc<Material>) -> Result<Version, Error> {
        let request = Request::get(Verb::Check, &format!("{}/keys/{}", self.client.settings.mount, self.name))?;
        let shown: Shown = self.ask(actor, &request).await?.data("the key").map_err(|error| self.named(error))?;
        let wrong = |message: &str| self.named(Error::new(ErrorKind::Invalid, Verb::Check, message));
        if shown.kind != "ed25519" || shown.derived {
            return Err(wrong("the key must be of type ed25519, and not derived"));
        }
        let number = shown.latest_version;
        let public = shown.keys.get(&number).and_then(|version| version["public_key"].as_str());
        Ok(Version { number, public: public.ok_or_else(|| wrong("the server shows no public half of it"))?.to_owned() })
    }

    /// Makes the next version, which is the newest then.
    ///
    /// # Errors
    /// The server refuses, or its answer is lost: then [`TransitKey::newest`] says whether it was made.
    pub async fn rotate(&self, actor: &Arc<Material>) -> Result<(), Error> {
        let path = format!("{}/keys/{}/rotate", self.client.settings.mount, self.name);
        let request = Request::post(Verb::Mint, Effect::Changes, &path, &json!({}))?;
        self.ask(actor, &request).await?.done("the key").map_err(|error| self.named(error))
    }

    /// The signature over a text in base64 under this version of the key, in base64 too.
    ///
    /// # Errors
    /// The server refuses, or answers with no signature of that version.
    pub async fn sign(&self, actor: &Arc<Material>, version: u64, text: &str) -> Result<String, Error> {
        let path = format!("{}/sign/{}", self.client.settings.mount, self.name);
        let body = json!({ "input": text, "key_version": version });
        // Signing changes nothing: asked again, the server says the same.
        let request = Request::post(Verb::Verify, Effect::Reads, &path, &body)?;
        let signed: Signed =
            self.ask(actor, &request).await?.data("the signature").map_err(|error| self.named(error))?;
        let bare = signed.signature.strip_prefix(&format!("vault:v{version}:")).map(str::to_owned);
        bare.ok_or_else(|| {
            self.named(Error::new(ErrorKind::Invalid, Verb::Verify, "the signature is of another version of the key"))
        })
    }

    /// What was encrypted, of a text in base64: `vault:vN:…`.
    ///
    /// # Errors
    /// The server refuses, or the key does not encrypt.
    pub async fn encrypt(&self, actor: &Arc<Material>, text: &str) -> Result<String, Error> {
        let path = format!("{}/encrypt/{}", self.client.settings.mount, self.name);
        let request = Request::post(Verb::Write, Effect::Reads, &path, &Encrypt { plaintext: text })?;
        let made: Encrypted =
            self.ask(actor, &request).await?.data("what was encrypted").map_err(|error| self.named(error))?;
        Ok(made.ciphertext)
    }

    /// The text in base64 that was encrypted.
    ///
    /// # Errors
    /// The server refuses, or it was not this key that encrypted it.
    pub async fn decrypt(&self, actor: &Arc<Material>, encrypted: &str) -> Result<SecretValue, Error> {
        let path = format!("{}/decrypt/{}", self.client.settings.mount, self.name);
        let request = Request::post(Verb::Read, Effect::Reads, &path, &json!({ "ciphertext": encrypted }))?;
        let read: Decrypted =
            self.ask(actor, &request).await?.data("what was decrypted").map_err(|error| self.named(error))?;
        Ok(read.plaintext)
    }

    async fn ask(&self, actor: &Arc<Material>, request: &Request) -> Result<Answer, Error> {
        let operation = OperationId(format!("key-{}", self.name));
        let call = Call { operation, deadline: Timestamp::MAX, actor: Some(Arc::clone(actor)) };
        self.client.act(&call, request).await
    }

    fn named(&self, error: Error) -> Error {
        error.with("key", &self.name)
    }
}
