//! As much of JSON Schema as `protocol.schema.json` uses. A keyword that it does not know fails, so that none is ignored.

use serde_json::{Map, Value, json};

/// The committed schema.
pub(crate) fn schema() -> Value {
    serde_json::from_str(include_str!("../../protocol.schema.json")).unwrap()
}

/// Checks a value against `#/$defs/NAME`.
pub(crate) fn validate(name: &str, value: &Value) -> Result<(), String> {
    let root = schema();
    check(&root, &json!({"$ref": format!("#/$defs/{name}")}), value).map_err(|why| format!("{name}: {why}"))
}

fn check(root: &Value, schema: &Value, value: &Value) -> Result<(), String> {
    let rules = schema.as_object().unwrap();
    rules.iter().try_for_each(|(keyword, rule)| keyword_holds(root, rules, keyword, rule, value))
}

fn keyword_holds(
    root: &Value,
    rules: &Map<String, Value>,
    keyword: &str,
    rule: &Value,
    value: &Value,
) -> Result<(), String> {
    let fits = |rule: &Value, value: &Value| check(root, rule, value);
    let say = |holds: bool| if holds { Ok(()) } else { Err(format!("{keyword} {rule} does not hold of {value}")) };
    let (object, array) = (value.as_object(), value.as_array());
    let within = |count: Option<usize>, least: bool| {
        let limit = usize::try_from(rule.as_u64().unwrap()).unwrap();
        say(count.is_none_or(|count| if least { count >= limit } else { count <= limit }))
    };
    match keyword {
        "description" | "$comment" | "then" => Ok(()),
        "$ref" => fits(root.pointer(&rule.as_str().unwrap()[1..]).unwrap_or_else(|| panic!("{rule}")), value),
        "const" => say(value == rule),
        "enum" => say(rule.as_array().unwrap().contains(value)),
        "type" => {
            let is = |kind: &Value| match kind.as_str().unwrap() {
                "object" => value.is_object(),
                "array" => value.is_array(),
                "string" => value.is_string(),
                "integer" => value.is_i64() || value.is_u64(),
                "boolean" => value.is_boolean(),
                "null" => value.is_null(),
                other => panic!("{other}"),
            };
            say(rule.as_array().map_or_else(|| is(rule), |kinds| kinds.iter().any(is)))
        }
        "minimum" => say(value.as_i64().is_none_or(|number| number >= rule.as_i64().unwrap())),
        "required" => {
            let missing = |key: &&Value| object.is_some_and(|object| !object.contains_key(key.as_str().unwrap()));
            rule.as_array()
                .unwrap()
                .iter()
                .find(missing)
                .map_or(Ok(()), |key| Err(format!("{key} is missing in {value}")))
        }
        "minProperties" => within(object.map(Map::len), true),
        "maxProperties" => within(object.map(Map::len), false),
        "minItems" => within(array.map(Vec::len), true),
        "properties" => rule.as_object().unwrap().iter().try_for_each(|(key, rule)| {
            object.and_then(|object| object.get(key)).map_or(Ok(()), |value| fits(rule, value))
        }),
        "additionalProperties" => object.into_iter().flatten().try_for_each(|(key, value)| {
            let named = rules.get("properties").is_some_and(|known| known.get(key).is_some());
            match rule {
                _ if named => Ok(()),
                Value::Bool(false) => Err(format!("{key} is not known")),
                rule => fits(rule, value),
            }
        }),
        "propertyNames" => object.into_iter().flatten().try_for_each(|(key, _)| fits(rule, &Value::from(key.as_str()))),
        "items" => array.into_iter().flatten().try_for_each(|item| fits(rule, item)),
        "contains" => say(array.is_none_or(|items| items.iter().any(|item| fits(rule, item).is_ok()))),
        "allOf" => rule.as_array().unwrap().iter().try_for_each(|rule| fits(rule, value)),
        "oneOf" => say(rule.as_array().unwrap().iter().filter(|rule| fits(rule, value).is_ok()).count() == 1),
        "if" => {
            if fits(rule, value).is_ok() {
                fits(&rules["then"], value)
            } else {
                Ok(())
            }
        }
        other => panic!("the schema uses {other}, which this check does not know"),
    }
}
