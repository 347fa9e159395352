//! A key as the server shows it, and the limits between which its versions work.

use std::collections::BTreeMap;

use jiff::Timestamp;
use remint_contract::{Call, Error, ErrorKind, SecretValue, Verb, VersionId};
use serde::Deserialize;
use vaultrs::api::transit::requests::ReadKeyRequest;

use crate::client::Client;
use crate::request::{Effect, Request};

#[derive(Deserialize)]
pub(super) struct Key {
    pub(super) latest_version: u64,
    pub(super) min_decryption_version: u64,
    pub(super) min_encryption_version: u64,
    #[serde(default)]
    min_available_version: u64,
    #[serde(default)]
    supports_encryption: bool,
    #[serde(default)]
    derived: bool,
    /// Version → when it was made, in seconds, or more about it.
    #[serde(default)]
    keys: BTreeMap<u64, serde_json::Value>,
}

/// The least versions that decrypt and encrypt.
#[derive(Clone, Copy)]
pub(super) struct Limits {
    pub(super) decrypt: u64,
    pub(super) encrypt: u64,
}

impl Key {
    /// The server counts from 1, and writes 0 where nothing was trimmed.
    pub(super) fn least_available(&self) -> u64 {
        self.min_available_version.max(1)
    }

    pub(super) fn created(&self, number: u64) -> Option<Timestamp> {
        self.keys.get(&number)?.as_i64().and_then(|second| Timestamp::from_second(second).ok())
    }

    /// Can its versions be tried, and what is under them moved?
    pub(super) fn encrypts(&self, verb: Verb, name: &str) -> Result<(), Error> {
        let message = if !self.supports_encryption {
            "the key signs and does not encrypt"
        } else if self.derived {
            "the key is derived anew for each context, which Remint does not know"
        } else {
            return Ok(());
        };
        Err(Error::new(ErrorKind::Invalid, verb, message).with("key", name))
    }
}

pub(super) async fn read(client: &Client, call: &Call, verb: Verb, name: &str) -> Result<Key, Error> {
    let request = ReadKeyRequest { mount: client.settings.mount.clone(), name: name.to_owned() };
    let answer = client.act(call, &Request::of(verb, Effect::Reads, &request)?).await?;
    let found = answer.found("the key").map_err(|failure| failure.with("key", name))?;
    found.ok_or_else(|| {
        let message = "there is no such key; create it, or correct `issuedBy.target`";
        Error::new(ErrorKind::Missing, verb, message).with("key", name)
    })
}

pub(super) async fn configure(
    client: &Client,
    call: &Call,
    verb: Verb,
    name: &str,
    limits: Limits,
) -> Result<(), Error> {
    let path = format!("{}/keys/{name}/config", client.settings.mount);
    let body = serde_json::json!({
        "min_decryption_version": limits.decrypt, "min_encryption_version": limits.encrypt,
    });
    let answer = client.act(call, &Request::post(verb, Effect::Changes, &path, &body)?).await?;
    answer.done("the key's limits").map_err(|failure| failure.with("key", name))
}

pub(super) fn version(name: &str, number: u64) -> VersionId {
    VersionId(format!("{name}@{number}"))
}

/// The number of a version of this key.
pub(super) fn number(verb: Verb, name: &str, version: &str) -> Result<u64, Error> {
    let number = version.strip_prefix(name).and_then(|rest| rest.strip_prefix('@')).and_then(|rest| rest.parse().ok());
    number.ok_or_else(|| {
        Error::new(ErrorKind::Missing, verb, "it is no version of this key").with("key", name).with("version", version)
    })
}

/// The version that a ciphertext was made under: `vault:v3:…`.
pub(super) fn number_of(ciphertext: &SecretValue) -> Option<u64> {
    ciphertext.expose_str()?.strip_prefix("vault:v")?.split_once(':')?.0.parse().ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_version_names_its_key_and_a_ciphertext_its_version() {
        assert_eq!(number(Verb::Revoke, "app", &version("app", 7).0).unwrap(), 7);
        assert!(number(Verb::Revoke, "app", "apple@7").is_err());
        assert_eq!(number_of(&SecretValue::from("vault:v12:abc=")), Some(12));
        for other in ["vault:vx:abc", "vault:v12", "abc", ""] {
            assert_eq!(number_of(&SecretValue::from(other)), None, "{other}");
        }
    }
}
