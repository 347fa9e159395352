//! The fields of a Secret as people name them: a key of its data, or a part of the logins for registries of images.
//!
//! `.dockerconfigjson` holds logins for several registries in one JSON; `auths/REGISTRY/username` and
//! `auths/REGISTRY/password` name one login in it. What is written there leaves all other registries as they are.

use std::collections::BTreeMap;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use remint_contract::{Error, ErrorKind, SecretValue, Verb};
use serde_json::{Map, Value};
use zeroize::Zeroizing;

pub(crate) type Fields = BTreeMap<String, SecretValue>;

const CONFIG: &str = ".dockerconfigjson";

/// A part of a login.
fn login(field: &str) -> Option<(&str, &str)> {
    let (registry, part) = field.strip_prefix("auths/")?.rsplit_once('/')?;
    (!registry.is_empty() && matches!(part, "username" | "password")).then_some((registry, part))
}

/// Can a Secret hold them?
pub(crate) fn fits(fields: &Fields) -> Result<(), Error> {
    let wrong = |field: &str, message: &'static str| {
        Err(Error::new(ErrorKind::RefusedValue, Verb::Write, message).with("field", field))
    };
    let mut size = 0;
    for (field, value) in fields {
        size += value.expose().len();
        if login(field).is_some() {
            if value.expose_str().is_none() {
                return wrong(field, "the value is not text; a registry's login is JSON");
            }
        } else if !is_key(field) {
            return wrong(field, "a key of a Secret has letters, digits, `-`, `_` and `.` only");
        }
    }
    if size > LARGEST { wrong("", "a Secret holds at most 1 MiB") } else { Ok(()) }
}

/// The data with these fields in it, as keys that are written.
pub(crate) fn encode(there: &Fields, wanted: &Fields, verb: Verb) -> Result<Fields, Error> {
    let (logins, mut keys): (Fields, Fields) = wanted
        .iter()
        .map(|(field, value)| (field.clone(), value.clone()))
        .partition(|(field, _)| login(field).is_some());
    if logins.is_empty() {
        return Ok(keys);
    }
    let mut config = there.get(CONFIG).map_or_else(|| Some(Map::new()), read).ok_or_else(|| {
        Error::new(ErrorKind::Invalid, verb, "what lies in `.dockerconfigjson` is no JSON object").with("field", CONFIG)
    })?;
    let auths = config.entry("auths").or_insert_with(|| Value::Object(Map::new()));
    for (field, value) in &logins {
        let (Some((registry, part)), Some(auths)) = (login(field), auths.as_object_mut()) else { continue };
        let entry = auths.entry(registry).or_insert_with(|| Value::Object(Map::new()));
        if let Some(entry) = entry.as_object_mut() {
            entry.insert(part.to_owned(), value.expose_str().unwrap_or_default().into());
            let text = |part: &str| entry.get(part).and_then(Value::as_str).unwrap_or_default();
            let pair = Zeroizing::new(format!("{}:{}", text("username"), text("password")));
            entry.insert("auth".to_owned(), STANDARD.encode(pair.as_bytes()).into());
        }
    }
    let text = serde_json::to_vec(&config).unwrap_or_default();
    wipe(Value::Object(config));
    keys.insert(CONFIG.to_owned(), SecretValue::new(text));
    Ok(keys)
}

/// The data as people name it: its keys, and the parts of its logins.
pub(crate) fn decode(mut data: Fields) -> Fields {
    let Some(config) = data.get(CONFIG).and_then(read) else { return data };
    for (registry, entry) in config.get("auths").and_then(Value::as_object).into_iter().flatten() {
        for part in ["username", "password"] {
            if let Some(text) = entry.get(part).and_then(Value::as_str) {
                data.insert(format!("auths/{registry}/{part}"), SecretValue::from(text));
            }
        }
    }
    wipe(Value::Object(config));
    data
}

/// What a new Secret with these keys is.
pub(crate) fn sort(keys: &Fields) -> &'static str {
    if keys.contains_key(CONFIG) {
        "kubernetes.io/dockerconfigjson"
    } else if keys.contains_key("tls.crt") && keys.contains_key("tls.key") {
        "kubernetes.io/tls"
    } else {
        "Opaque"
    }
}

fn read(value: &SecretValue) -> Option<Map<String, Value>> {
    serde_json::from_slice(value.expose()).ok()
}

/// Texts of a JSON that was read leave no copy behind.
fn wipe(value: Value) {
    let mut left = vec![value];
    while let Some(value) = left.pop() {
        match value {
            Value::String(text) => drop(Zeroizing::new(text)),
            Value::Array(items) => left.extend(items),
            Value::Object(items) => left.extend(items.into_iter().map(|(_, value)| value)),
            Value::Null | Value::Bool(_) | Value::Number(_) => {}
        }
    }
}

fn is_key(text: &str) -> bool {
    let good = |byte: u8| byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'_' | b'.');
    !text.is_empty() && text.len() <= 253 && text.bytes().all(good) && !matches!(text, "." | "..")
}

/// Of all values together, by the API server's rule.
const LARGEST: usize = 1 << 20;

#[cfg(test)]
mod tests {
    use super::*;

    fn fields(pairs: &[(&str, &str)]) -> Fields {
        pairs.iter().map(|(field, value)| ((*field).to_owned(), SecretValue::from(*value))).collect()
    }

    #[test]
    fn a_login_for_one_registry_leaves_the_others_alone() {
        let there = fields(&[(CONFIG, r#"{"auths":{"a.test":{"auth":"eDp5"},"b.test":{"username":"u"}},"x":1}"#)]);
        let wanted = fields(&[("auths/b.test/password", "p")]);
        let written = encode(&there, &wanted, Verb::Write).unwrap();
        let config: Value = serde_json::from_slice(written[CONFIG].expose()).unwrap();
        assert_eq!(
            config,
            serde_json::json!({"auths": {
                "a.test": {"auth": "eDp5"},
                "b.test": {"username": "u", "password": "p", "auth": "dTpw"},
            }, "x": 1})
        );
        let read = decode(written.clone());
        assert_eq!(read["auths/b.test/password"], SecretValue::from("p"));
        assert_eq!(sort(&written), "kubernetes.io/dockerconfigjson");
    }

    #[test]
    fn a_config_that_is_not_understood_is_not_overwritten() {
        let there = fields(&[(CONFIG, "marker-4711")]);
        let failure = encode(&there, &fields(&[("auths/b.test/password", "p")]), Verb::Write).unwrap_err();
        assert!(!format!("{failure:?}").contains("marker"), "{failure:?}");
    }

    #[test]
    fn a_key_that_no_secret_can_have_is_refused() {
        assert!(fits(&fields(&[("password", "x"), ("auths/r.test:5000/password", "x")])).is_ok());
        for key in ["a/b", "", "..", "a b", "auths//password"] {
            assert_eq!(fits(&fields(&[(key, "x")])).unwrap_err().kind, ErrorKind::RefusedValue, "{key}");
        }
    }
}
