//! The first line of a request, and the body below it.

use serde::ser::{SerializeMap as _, SerializeSeq as _};
use serde::{Deserialize, Serialize, Serializer};
use serde_json::{Map, Value};

use super::RecipeError;
use crate::template::{Template, TemplateError, Values};

/// `METHOD /path`, the path below the base.
#[derive(Debug, Clone, Deserialize)]
#[serde(try_from = "String")]
pub(crate) struct Line {
    pub(crate) method: Method,
    pub(crate) path: Template,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Method {
    Get,
    Post,
    Put,
    Patch,
    Delete,
}

impl Method {
    pub(crate) const ALL: [(&'static str, Self); 5] = [
        ("GET", Self::Get),
        ("POST", Self::Post),
        ("PUT", Self::Put),
        ("PATCH", Self::Patch),
        ("DELETE", Self::Delete),
    ];
}

impl TryFrom<String> for Line {
    type Error = RecipeError;

    fn try_from(text: String) -> Result<Self, RecipeError> {
        let (word, path) = text.split_once(' ').filter(|(_, path)| path.starts_with('/')).ok_or(RecipeError::Line)?;
        let (_, method) = Method::ALL.into_iter().find(|(name, _)| *name == word).ok_or(RecipeError::Line)?;
        Ok(Self { method, path: Template::try_from(path.to_owned())? })
    }
}

/// A JSON body: every text in it is a template, everything else stands as it is.
#[derive(Debug, Clone, Default, Deserialize)]
#[serde(try_from = "Map<String, Value>")]
pub(crate) struct Body(Vec<(String, Field)>);

#[derive(Debug, Clone)]
enum Field {
    One(Item),
    List(Vec<Item>),
}

#[derive(Debug, Clone)]
enum Item {
    Constant(Value),
    Text(Template),
}

impl TryFrom<Value> for Item {
    type Error = TemplateError;

    fn try_from(value: Value) -> Result<Self, TemplateError> {
        match value {
            Value::String(text) => Template::try_from(text).map(Self::Text),
            other => Ok(Self::Constant(other)),
        }
    }
}

impl Item {
    fn fill(&self, values: &Values<'_>) -> Result<Value, TemplateError> {
        match self {
            Self::Text(template) => template.value(values),
            Self::Constant(value) => Ok(value.clone()),
        }
    }
}

impl TryFrom<Map<String, Value>> for Body {
    type Error = TemplateError;

    fn try_from(map: Map<String, Value>) -> Result<Self, TemplateError> {
        let field = |value| match value {
            Value::Array(items) => items.into_iter().map(Item::try_from).collect::<Result<_, _>>().map(Field::List),
            value => Item::try_from(value).map(Field::One),
        };
        map.into_iter().map(|(key, value)| Ok((key, field(value)?))).collect::<Result<_, _>>().map(Self)
    }
}

impl Body {
    /// With every place filled in.
    pub(crate) fn fill(&self, values: &Values<'_>) -> Result<Value, TemplateError> {
        let field = |field: &Field| match field {
            Field::One(item) => item.fill(values),
            Field::List(items) => items.iter().map(|item| item.fill(values)).collect::<Result<_, _>>(),
        };
        let fields = self.0.iter().map(|(key, value)| Ok((key.clone(), field(value)?)));
        fields.collect::<Result<Map<_, _>, _>>().map(Value::from)
    }

    #[cfg(test)]
    pub(crate) fn keys(&self) -> impl Iterator<Item = &str> {
        self.0.iter().map(|(key, _)| key.as_str())
    }

    #[cfg(test)]
    pub(crate) fn templates(&self) -> Vec<&Template> {
        let items = self.0.iter().flat_map(|(_, field)| match field {
            Field::One(item) => std::slice::from_ref(item),
            Field::List(items) => items.as_slice(),
        });
        items.filter_map(|item| if let Item::Text(template) = item { Some(template) } else { None }).collect()
    }
}

/// A filled body with what is secret at one place. It is written with the body and is never a part of the tree.
pub(crate) struct Carrying<'a> {
    pub(crate) body: &'a Value,
    /// A JSON pointer to a place that the body has.
    pub(crate) at: Option<&'a str>,
    pub(crate) secret: Carried<'a>,
}

#[derive(Clone, Copy)]
pub(crate) enum Carried<'a> {
    One(&'a str),
    /// In a list.
    Each(&'a [&'a str]),
}

impl Carried<'_> {
    /// No shorter than it is when it is written: each byte escaped, between quotes and with a comma.
    pub(crate) fn longest(self) -> usize {
        let written = |secret: &str| secret.len() * 6 + 3;
        match self {
            Self::One(secret) => written(secret),
            Self::Each(secrets) => secrets.iter().map(|secret| written(secret)).sum(),
        }
    }
}

impl Serialize for Carried<'_> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        match self {
            Self::One(secret) => serializer.serialize_str(secret),
            Self::Each(secrets) => serializer.collect_seq(*secrets),
        }
    }
}

impl Serialize for Carrying<'_> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let Some(at) = self.at else { return self.body.serialize(serializer) };
        if at.is_empty() {
            return self.secret.serialize(serializer);
        }
        let (first, rest) =
            at[1..].split_once('/').map_or((&at[1..], ""), |(first, _)| (first, &at[first.len() + 1..]));
        let below = |here: bool, body| Carrying { body, at: here.then_some(rest), secret: self.secret };
        match self.body {
            Value::Object(fields) => {
                let mut map = serializer.serialize_map(Some(fields.len()))?;
                for (key, value) in fields {
                    map.serialize_entry(key, &below(key == first, value))?;
                }
                map.end()
            }
            Value::Array(items) => {
                let mut list = serializer.serialize_seq(Some(items.len()))?;
                for (index, item) in items.iter().enumerate() {
                    list.serialize_element(&below(index.to_string() == first, item))?;
                }
                list.end()
            }
            other => other.serialize(serializer),
        }
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn written(body: &Value, at: &str) -> Value {
        serde_json::to_value(Carrying { body, at: Some(at), secret: Carried::One("s") }).unwrap()
    }

    #[test]
    fn the_secret_stands_where_the_pointer_says_and_nowhere_else() {
        let body = json!({"value": null, "key_id": "7", "credentials": [null, 1]});
        assert_eq!(written(&body, "/value"), json!({"value": "s", "key_id": "7", "credentials": [null, 1]}));
        assert_eq!(written(&body, "/credentials/0"), json!({"value": null, "key_id": "7", "credentials": ["s", 1]}));
        assert_eq!(written(&body, "/nothing"), body);
        let each = Carrying { body: &body, at: Some("/credentials"), secret: Carried::Each(&["a", "b"]) };
        let all = json!({"value": null, "key_id": "7", "credentials": ["a", "b"]});
        assert_eq!(serde_json::to_value(each).unwrap(), all);
    }

    #[test]
    fn a_line_is_a_method_and_a_path() {
        for text in ["GET /a", "PATCH /a/{target}"] {
            assert!(Line::try_from(text.to_owned()).is_ok(), "{text}");
        }
        for text in ["get /a", "GET a", "GET https://elsewhere.example/a", "/a"] {
            assert!(Line::try_from(text.to_owned()).is_err(), "{text}");
        }
    }
}
