//! What lies at a path of a key-value engine: texts, which may be secret, and whatever else somebody put there.

use std::collections::BTreeMap;

use remint_contract::{Error, ErrorKind, SecretValue, Verb};
use serde::{Deserialize, Deserializer, Serialize, Serializer};

pub(crate) type Fields = BTreeMap<String, Field>;

#[derive(Clone, PartialEq, Eq)]
pub(crate) enum Field {
    Text(SecretValue),
    /// A number, a list: kept as it is.
    Other(serde_json::Value),
}

impl<'de> Deserialize<'de> for Field {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        Ok(match serde_json::Value::deserialize(deserializer)? {
            serde_json::Value::String(text) => Self::Text(text.into()),
            other => Self::Other(other),
        })
    }
}

impl Serialize for Field {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        match self {
            Self::Text(text) => serializer.serialize_str(text.expose_str().unwrap_or_default()),
            Self::Other(value) => value.serialize(serializer),
        }
    }
}

/// JSON carries text only.
pub(crate) fn fits(fields: &BTreeMap<String, SecretValue>) -> Result<(), Error> {
    match fields.iter().find(|(_, value)| value.expose_str().is_none()) {
        None => Ok(()),
        Some((name, _)) => {
            let message = "the value is not text; a key-value engine holds JSON";
            Err(Error::new(ErrorKind::RefusedValue, Verb::Write, message).with("field", name))
        }
    }
}

/// True when everything is there already.
pub(crate) fn holds(there: &Fields, wanted: &BTreeMap<String, SecretValue>) -> bool {
    wanted.iter().all(|(name, value)| there.get(name) == Some(&Field::Text(value.clone())))
}

/// These fields over what is there.
pub(crate) fn merge(mut there: Fields, wanted: &BTreeMap<String, SecretValue>) -> Fields {
    there.extend(wanted.iter().map(|(name, value)| (name.clone(), Field::Text(value.clone()))));
    there
}

/// As the contract reads: what is no text as its JSON.
pub(crate) fn values(there: Fields) -> BTreeMap<String, SecretValue> {
    let value = |field| match field {
        Field::Text(text) => text,
        Field::Other(other) => SecretValue::from(other.to_string()),
    };
    there.into_iter().map(|(name, field)| (name, value(field))).collect()
}
