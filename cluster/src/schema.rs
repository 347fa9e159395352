//! Structural schemas in pieces: what an API server checks by itself, and what `kubectl explain` says.
//!
//! Every text and list has a largest size, so that rules over them have a bounded cost. A schema is the second line: the
//! webhook answers before it, with the sentences that `remint validate` has.

pub mod acts;
pub mod estate;
pub mod status;

use serde_json::{Map, Value, json};

/// The longest text of any field that has no shorter bound.
pub const TEXT: usize = 4096;
/// The longest name of a document.
pub const NAME: usize = 63;
/// The most members of any list.
pub const MANY: usize = 1000;

/// A rule in the server's expression language, with our sentence.
#[must_use]
pub fn rule(rule: &str, message: &str) -> Value {
    json!({ "rule": rule, "message": message })
}

fn text(says: &str, longest: usize) -> Value {
    json!({ "type": "string", "description": says, "minLength": 1, "maxLength": longest })
}

/// Text of a form.
fn form(says: &str, longest: usize, pattern: &str) -> Value {
    json!({ "type": "string", "description": says, "maxLength": longest, "pattern": pattern })
}

fn word(says: &str, words: &[&str]) -> Value {
    json!({ "type": "string", "description": says, "enum": words })
}

fn truth(says: &str) -> Value {
    json!({ "type": "boolean", "description": says })
}

fn count(says: &str, least: u32, most: u32) -> Value {
    json!({ "type": "integer", "format": "int64", "description": says, "minimum": least, "maximum": most })
}

fn duration(says: &str) -> Value {
    form(&format!("{says} A whole number and its unit: 500ms, 30s, 5m, 1h or 7d."), 24, r"^[0-9]+(ms|s|m|h|d)$")
}

fn time(says: &str) -> Value {
    json!({ "type": "string", "format": "date-time", "description": says, "maxLength": 40 })
}

fn name(says: &str) -> Value {
    form(says, NAME, r"^[a-z0-9]([a-z0-9.-]*[a-z0-9])?$")
}

/// `name`, `namespace/name`, or either with the kind before it.
fn reference(says: &str) -> Value {
    text(says, 160)
}

/// `system:path#field`, or a pattern.
fn place(says: &str) -> Value {
    text(says, 2048)
}

fn list(says: &str, most: usize, items: &Value) -> Value {
    json!({ "type": "array", "description": says, "maxItems": most, "items": items })
}

/// A list that is a set: applied from several sides, it is joined.
fn set(says: &str, most: usize, items: &Value) -> Value {
    json!({ "type": "array", "description": says, "maxItems": most, "items": items, "x-kubernetes-list-type": "set" })
}

/// Texts under keys that the author chooses.
fn texts(says: &str, most: usize) -> Value {
    let one = json!({ "type": "string", "maxLength": TEXT });
    json!({ "type": "object", "description": says, "maxProperties": most, "additionalProperties": one })
}

/// Anything: somebody else's own, kept as it is and checked by the webhook.
fn open(says: &str) -> Value {
    json!({ "type": "object", "description": says, "x-kubernetes-preserve-unknown-fields": true })
}

/// A word or a map: no one type says both, so that only the webhook checks it.
fn either(says: &str) -> Value {
    json!({ "description": says, "x-kubernetes-preserve-unknown-fields": true })
}

/// A map with these keys and no others.
fn map<const N: usize>(says: &str, required: &[&str], properties: [(&str, Value); N]) -> Value {
    let properties: Map<String, Value> = properties.into_iter().map(|(key, value)| (key.to_owned(), value)).collect();
    let mut made = json!({ "type": "object", "description": says, "properties": properties });
    if !required.is_empty() {
        made["required"] = json!(required);
    }
    made
}

/// The same map, which keeps keys that are a connector's own.
fn and_others(mut map: Value) -> Value {
    map["x-kubernetes-preserve-unknown-fields"] = json!(true);
    map
}

/// The same, with rules.
fn ruled(mut schema: Value, rules: &[Value]) -> Value {
    schema["x-kubernetes-validations"] = json!(rules);
    schema
}
