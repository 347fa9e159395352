//! The words that go over the pipes: see `protocol.schema.json`.

use std::collections::BTreeMap;
use std::fmt;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use jiff::Timestamp;
use remint_contract::{
    ErrorKind, Expected, Material, MintRequest, OperationId, SecretValue, Strategy, Target, Verb, VersionId, Workload,
};
use serde::de::{self, MapAccess, Visitor};
use serde::ser::{Error as _, SerializeMap as _};
use serde::{Deserialize, Deserializer, Serialize, Serializer};
use zeroize::Zeroizing;

/// The version of the words.
pub(crate) const PROTOCOL: u32 = 1;

/// The first line: what can you do?
#[derive(Serialize)]
pub(crate) struct Greeting<'a> {
    pub(crate) protocol: u32,
    pub(crate) verb: &'static str,
    pub(crate) system: &'a serde_json::Value,
}

/// The second line.
#[derive(Serialize)]
pub(crate) struct Request<'a> {
    pub(crate) protocol: u32,
    pub(crate) verb: Verb,
    pub(crate) operation: &'a OperationId,
    pub(crate) deadline: Timestamp,
    pub(crate) system: &'a serde_json::Value,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) actor: Option<Bearer<'a>>,
    pub(crate) with: With<'a>,
}

/// What the verb is about; each verb has its own of them.
#[derive(Default, Serialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct With<'a> {
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) target: Option<&'a Target>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) targets: Option<&'a [Target]>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) strategy: Option<Strategy>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) old: Option<&'a VersionId>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) old_username: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) new: Option<&'a VersionId>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) proposed: Option<Sent<'a>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) material: Option<Bearer<'a>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) version: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) endpoint: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) since: Option<Timestamp>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) path: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) fields: Option<BTreeMap<&'a str, Sent<'a>>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) expect: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) workload: Option<&'a Workload>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) expected: Option<Wanted<'a>>,
    /// `recover`: the verb whose outcome is asked for, and its operation.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) effect: Option<Verb>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) effect_operation: Option<&'a OperationId>,
}

impl<'a> With<'a> {
    pub(crate) fn target(target: &'a Target) -> Self {
        Self { target: Some(target), ..Self::default() }
    }

    pub(crate) fn version(target: &'a Target, version: &'a VersionId) -> Self {
        Self { version: Some(&version.0), ..Self::target(target) }
    }

    pub(crate) fn mint(request: &'a MintRequest) -> Self {
        Self {
            strategy: Some(request.strategy),
            old: request.old.as_ref(),
            old_username: request.old_username.as_deref(),
            proposed: request.proposed.as_ref().map(Sent),
            ..Self::target(&request.target)
        }
    }
}

/// A material on its way out.
#[derive(Serialize)]
pub(crate) struct Bearer<'a> {
    #[serde(skip_serializing_if = "Option::is_none")]
    username: Option<&'a str>,
    secret: Sent<'a>,
}

impl<'a> From<&'a Material> for Bearer<'a> {
    fn from(material: &'a Material) -> Self {
        Self { username: material.username.as_deref(), secret: Sent(&material.secret) }
    }
}

#[derive(Serialize)]
pub(crate) struct Wanted<'a> {
    new: &'a str,
    #[serde(skip_serializing_if = "Option::is_none")]
    old: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    path: Option<&'a str>,
}

impl<'a> From<&'a Expected> for Wanted<'a> {
    fn from(expected: &'a Expected) -> Self {
        Self { new: &expected.new, old: expected.old.as_deref(), path: expected.path.as_deref() }
    }
}

/// A secret on its way out: text, or `{"base64": …}` where it is none.
pub(crate) struct Sent<'a>(pub(crate) &'a SecretValue);

impl Serialize for Sent<'_> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        if let Some(text) = self.0.expose_str() {
            return serializer.serialize_str(text);
        }
        let bytes = self.0.expose();
        let mut text = Zeroizing::new(vec![0; bytes.len().div_ceil(3) * 4]);
        STANDARD.encode_slice(bytes, &mut text).map_err(S::Error::custom)?;
        let mut map = serializer.serialize_map(Some(1))?;
        map.serialize_entry("base64", std::str::from_utf8(&text).map_err(S::Error::custom)?)?;
        map.end()
    }
}

/// A secret on its way in.
pub(crate) struct Received(pub(crate) SecretValue);

impl<'de> Deserialize<'de> for Received {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Form;

        impl<'de> Visitor<'de> for Form {
            type Value = Received;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("a secret as text or {base64}")
            }

            fn visit_str<E: de::Error>(self, text: &str) -> Result<Received, E> {
                Ok(Received(SecretValue::from(text)))
            }

            fn visit_string<E: de::Error>(self, text: String) -> Result<Received, E> {
                Ok(Received(SecretValue::from(text)))
            }

            fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Received, A::Error> {
                let Some((key, text)) = map.next_entry::<String, String>()? else {
                    return Err(de::Error::missing_field("base64"));
                };
                let text = Zeroizing::new(text);
                // The decoder's own words would repeat a byte of it.
                let bytes = STANDARD.decode(&*text).map_err(|_| de::Error::custom("the base64 cannot be read"))?;
                if key != "base64" || map.next_key::<de::IgnoredAny>()?.is_some() {
                    return Err(de::Error::custom("a secret that is no text is {base64} and nothing else"));
                }
                Ok(Received(SecretValue::new(bytes)))
            }
        }

        deserializer.deserialize_any(Form)
    }
}

/// An answer: one of the two.
#[derive(Deserialize)]
#[serde(deny_unknown_fields, bound(deserialize = "T: Deserialize<'de>"))]
pub(crate) struct Answer<T> {
    #[serde(default = "none")]
    pub(crate) ok: Option<T>,
    pub(crate) error: Option<Refusal>,
}

fn none<T>() -> Option<T> {
    None
}

/// The program's own word for what went wrong.
#[derive(Deserialize)]
#[serde(deny_unknown_fields, rename_all = "camelCase")]
pub(crate) struct Refusal {
    pub(crate) kind: ErrorKind,
    pub(crate) message: String,
    pub(crate) retry_after_seconds: Option<u64>,
}

/// `{}`: done.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Done {}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Made {
    pub(crate) version: VersionId,
    pub(crate) material: Shown,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Shown {
    pub(crate) username: Option<String>,
    pub(crate) secret: Received,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Held {
    pub(crate) version: String,
    pub(crate) fields: BTreeMap<String, Received>,
}

/// The answer to `recover`.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Outcome {
    pub(crate) outcome: OutcomeKind,
    pub(crate) minted: Option<Made>,
    pub(crate) orphan: Option<VersionId>,
}

#[derive(Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub(crate) enum OutcomeKind {
    NotDone,
    Done,
    Orphan,
}
