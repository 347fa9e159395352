//! What two tokens may do, compared.

use std::collections::BTreeSet;

use remint_contract::RightsChange;
use serde_json::Value;

/// The rights under each pointer, one text each: the elements of a list, or the one value.
pub(crate) fn of(token: &Value, pointers: &[String]) -> BTreeSet<String> {
    let mut rights = BTreeSet::new();
    for pointer in pointers {
        match token.pointer(pointer) {
            Some(Value::Array(items)) => rights.extend(items.iter().map(|item| right(pointer, item))),
            Some(Value::Null) | None => {}
            Some(value) => {
                rights.insert(right(pointer, value));
            }
        }
    }
    rights
}

/// Anything added is broader, whatever is missing beside it: the careful answer.
pub(crate) fn compare(old: &BTreeSet<String>, new: &BTreeSet<String>) -> RightsChange {
    let added: Vec<_> = new.difference(old).cloned().collect();
    let missing: Vec<_> = old.difference(new).cloned().collect();
    match (added.is_empty(), missing.is_empty()) {
        (true, true) => RightsChange::Equal,
        (true, false) => RightsChange::Narrower(missing),
        (false, _) => RightsChange::Broader(added),
    }
}

fn right(pointer: &str, value: &Value) -> String {
    let name = pointer.rsplit('/').next().unwrap_or_default();
    match value {
        Value::String(text) => format!("{name} {text}"),
        other => format!("{name} {other}"),
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn what_was_added_is_broader_and_what_is_missing_is_narrower() {
        let pointers = ["/scopes".to_owned(), "/access_level".to_owned()];
        let rights = |scopes: Value, level: u8| of(&json!({"scopes": scopes, "access_level": level}), &pointers);
        let old = rights(json!(["read_api", "read_user"]), 30);
        assert_eq!(compare(&old, &rights(json!(["read_user", "read_api"]), 30)), RightsChange::Equal);
        let narrower = RightsChange::Narrower(vec!["scopes read_user".to_owned()]);
        assert_eq!(compare(&old, &rights(json!(["read_api"]), 30)), narrower);
        let broader = RightsChange::Broader(vec!["access_level 40".to_owned()]);
        assert_eq!(compare(&old, &rights(json!(["read_api"]), 40)), broader);
    }
}
