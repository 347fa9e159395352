//! A Secret as the API server keeps it, and what Remint writes beside it.

use std::collections::BTreeMap;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use remint_contract::{Call, Error, SecretValue, Verb};
use serde::{Deserialize, Deserializer, Serialize, Serializer};
use serde_json::Value;
use zeroize::Zeroizing;

use crate::client::Client;
use crate::place::{CORE, Place};
use crate::request::Request;

/// The version that the one in place replaced: what is read by whoever did not read again.
pub(crate) const REPLACES: &str = "remint.dev/replaces";
/// Which operation made it.
pub(crate) const OPERATION: &str = "remint.dev/operation";
/// Of a Secret that a token is bound to: whose token.
pub(crate) const TOKEN_OF: &str = "remint.dev/token-of";
/// Of an immutable Secret: the name that its versions share, and its number.
pub(crate) const VERSION_OF: &str = "remint.dev/version-of";
pub(crate) const VERSION: &str = "remint.dev/version";

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct Metadata {
    pub(crate) name: String,
    #[serde(default)]
    pub(crate) namespace: String,
    #[serde(default)]
    pub(crate) uid: String,
    #[serde(default)]
    pub(crate) resource_version: String,
    #[serde(default)]
    pub(crate) creation_timestamp: Option<jiff::Timestamp>,
    #[serde(default)]
    pub(crate) labels: BTreeMap<String, String>,
    #[serde(default)]
    pub(crate) annotations: BTreeMap<String, String>,
    #[serde(default)]
    pub(crate) managed_fields: Vec<Managed>,
}

/// Which fields a manager owns.
#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct Managed {
    #[serde(default)]
    pub(crate) manager: String,
    #[serde(default)]
    pub(crate) operation: String,
    #[serde(default)]
    fields_v1: Value,
}

impl Managed {
    /// Keys of `data` that it owns.
    pub(crate) fn data(&self) -> impl Iterator<Item = &str> {
        let keys = self.fields_v1.get("f:data").and_then(Value::as_object);
        keys.into_iter().flatten().filter_map(|(key, _)| key.strip_prefix("f:"))
    }
}

#[derive(Deserialize)]
pub(crate) struct Secret {
    pub(crate) metadata: Metadata,
    #[serde(default)]
    pub(crate) data: Option<BTreeMap<String, Data>>,
    #[serde(default)]
    pub(crate) immutable: Option<bool>,
    #[serde(default, rename = "type")]
    pub(crate) sort: String,
}

impl Secret {
    pub(crate) fn data(&self) -> BTreeMap<String, SecretValue> {
        let data = self.data.iter().flatten();
        data.map(|(key, value)| (key.clone(), value.0.clone())).collect()
    }

    pub(crate) fn annotation(&self, name: &str) -> Option<&str> {
        self.metadata.annotations.get(name).map(String::as_str)
    }
}

#[derive(Deserialize)]
pub(crate) struct List<T> {
    pub(crate) items: Vec<T>,
}

/// A value of `data`: base64 on the way.
pub(crate) struct Data(pub(crate) SecretValue);

impl<'de> Deserialize<'de> for Data {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = Zeroizing::new(String::deserialize(deserializer)?);
        let bytes = STANDARD.decode(text.as_bytes());
        // The cause would repeat a part of it.
        bytes.map(|bytes| Self(SecretValue::new(bytes))).map_err(|_| serde::de::Error::custom("no base64"))
    }
}

impl Serialize for Data {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(&Zeroizing::new(STANDARD.encode(self.0.expose())))
    }
}

/// What Remint applies or creates.
#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct Wanted<'a> {
    api_version: &'static str,
    kind: &'static str,
    pub(crate) metadata: WantedMetadata<'a>,
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    pub(crate) data: BTreeMap<String, Data>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) immutable: Option<bool>,
    #[serde(skip_serializing_if = "Option::is_none", rename = "type")]
    pub(crate) sort: Option<&'a str>,
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct WantedMetadata<'a> {
    name: &'a str,
    namespace: &'a str,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) resource_version: Option<&'a str>,
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    pub(crate) labels: BTreeMap<&'static str, String>,
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    pub(crate) annotations: BTreeMap<&'static str, String>,
}

impl<'a> Wanted<'a> {
    pub(crate) fn at(place: &'a Place) -> Self {
        let metadata = WantedMetadata {
            name: &place.name,
            namespace: &place.namespace,
            resource_version: None,
            labels: BTreeMap::new(),
            annotations: BTreeMap::new(),
        };
        Self { api_version: "v1", kind: "Secret", metadata, data: BTreeMap::new(), immutable: None, sort: None }
    }
}

/// The Secret of a name, where there is one.
pub(crate) async fn find(client: &Client, call: &Call, verb: Verb, place: &Place) -> Result<Option<Secret>, Error> {
    let answer = client.act(call, &Request::get(verb, place.path(CORE, "secrets"))).await?;
    answer.found("the Secret").map_err(|failure| failure.with("secret", place.to_string()))
}

/// The Secrets of a namespace that a selector names.
pub(crate) async fn list(
    client: &Client,
    call: &Call,
    verb: Verb,
    namespace: &str,
    selector: &str,
) -> Result<Vec<Secret>, Error> {
    let path = format!("{}?{selector}", crate::place::collection(CORE, namespace, "secrets"));
    let answer = client.act(call, &Request::get(verb, path)).await?;
    let list: List<Secret> = answer.data("the Secrets").map_err(|failure| failure.with("namespace", namespace))?;
    Ok(list.items)
}
