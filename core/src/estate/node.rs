//! YAML as a tree in which every key and value knows its place.
//!
//! The parser runs under a tight budget (no aliases, no merge keys, no unknown tags, 32 levels, 20,000 nodes), so that a
//! tree is small enough to walk by recursion: [`DEPTH`] bounds it, not the input.

use std::fmt;

use serde::de::{Deserialize, Deserializer, Error as _, MapAccess, SeqAccess, Visitor};
use serde_yaml::Spanned;
use serde_yaml::options::{DuplicateKeyPolicy, MergeKeyPolicy};

use super::problem::{Reporter, Span};
use super::source::Chunk;

/// The deepest nesting of a document.
const DEPTH: usize = 32;
const NODES: usize = 20_000;
const SCALAR_BYTES: usize = 1 << 20;

/// A value and its place.
#[derive(Debug, Clone)]
pub(super) struct Node {
    pub(super) span: Span,
    pub(super) value: Value,
}

#[derive(Debug, Clone)]
pub(super) enum Value {
    Null,
    Bool(bool),
    Whole(i64),
    Float(f64),
    Text(String),
    List(Vec<Node>),
    Map(Vec<(Key, Node)>),
    /// A secret stood here; it was reported and forgotten.
    Withheld,
}

#[derive(Debug, Clone)]
pub(super) struct Key {
    pub(super) span: Span,
    pub(super) text: String,
}

impl Node {
    /// The place of what lies under a path of keys and indexes, or of the deepest part of it that exists.
    pub(super) fn at<'p>(&self, path: impl IntoIterator<Item = &'p str>) -> Span {
        let mut node = self;
        for step in path {
            let next = match &node.value {
                Value::Map(entries) => entries.iter().find(|(key, _)| key.text == step).map(|(_, value)| value),
                Value::List(items) => step.parse::<usize>().ok().and_then(|index| items.get(index)),
                _ => None,
            };
            match next {
                Some(next) => node = next,
                None => break,
            }
        }
        node.span
    }

    /// The value under a key of a map.
    pub(super) fn key(&self, name: &str) -> Option<&Self> {
        match &self.value {
            Value::Map(entries) => entries.iter().find(|(key, _)| key.text == name).map(|(_, value)| value),
            _ => None,
        }
    }

    /// The same without places, for what a connector reads itself.
    pub(super) fn json(&self) -> serde_json::Value {
        match &self.value {
            Value::Null | Value::Withheld => serde_json::Value::Null,
            Value::Bool(value) => (*value).into(),
            Value::Whole(value) => (*value).into(),
            Value::Float(value) => (*value).into(),
            Value::Text(text) => text.as_str().into(),
            Value::List(items) => items.iter().map(Self::json).collect(),
            Value::Map(entries) => {
                // What is written in another order is the same document, and has the same digest.
                let mut entries: Vec<_> = entries.iter().map(|(key, value)| (key.text.clone(), value.json())).collect();
                entries.sort_by(|(one, _), (other, _)| one.cmp(other));
                entries.into_iter().collect()
            }
        }
    }
}

/// Parses one document. `None`: it could not be read, and why is reported.
pub(super) fn parse(chunk: &Chunk<'_>, report: &mut Reporter<'_>) -> Option<Node> {
    let origin = Span { file: chunk.file, line: chunk.first_line, column: 0 };
    let error = match read(chunk.text, DuplicateKeyPolicy::Error) {
        Ok(tree) => return Some(place(tree, origin)),
        Err(error) => error,
    };
    let span = error.location().map_or(Span { column: 1, ..origin }, |location| Span {
        line: origin.line + location.line().saturating_sub(1),
        column: location.column(),
        ..origin
    });
    let (message, hint) = explain(&error);
    report.error(span, None, message, hint);
    // The rest of a document with a key given twice is still worth a look.
    matches!(error, serde_yaml::Error::DuplicateMappingKey { .. })
        .then(|| read(chunk.text, DuplicateKeyPolicy::FirstWins).ok())
        .flatten()
        .map(|tree| place(tree, origin))
}

fn read(text: &str, duplicate_keys: DuplicateKeyPolicy) -> Result<Spanned<Raw>, serde_yaml::Error> {
    let options = serde_yaml::options! {
        budget: serde_yaml::budget! {
            max_nodes: NODES,
            max_events: 4 * NODES,
            max_aliases: 0,
            max_anchors: 0,
            max_depth: DEPTH,
            // The scanner looks ahead of the depth that counts; it does not recurse, so it needs no limit of its own.
            flow_nesting_limit: usize::MAX,
            max_documents: 1,
            max_total_scalar_bytes: SCALAR_BYTES,
        },
        duplicate_keys: duplicate_keys,
        merge_keys: MergeKeyPolicy::Error,
        strict_booleans: true,
        reject_unsupported_tags: true,
        with_snippet: false,
    };
    serde_yaml::from_str_with_options(text, options)
}

/// Says what the parser found in words of our own: its own may quote the text.
fn explain(error: &serde_yaml::Error) -> (String, &'static str) {
    use serde_yaml::Error as E;
    use serde_yaml::budget::BudgetBreach as B;
    let plain = |message: &str, hint| (message.to_owned(), hint);
    match error {
        E::DuplicateMappingKey { key, .. } => {
            let key = key.as_deref().filter(|key| key.len() <= 40 && super::pasted::shape(key).is_none());
            let message = key.map_or_else(|| "a key is given twice".into(), |key| format!("`{key}` is given twice"));
            (message, "keep one of them")
        }
        E::MergeKeyNotAllowed { .. } => plain("merge keys (`<<`) are not taken", "write the values out"),
        E::UnsupportedTag { .. } => plain("a tag (`!…`) stands here", "remove it: an estate has plain values only"),
        E::Budget { breach: B::Aliases { .. } | B::Anchors { .. }, .. } | E::UnknownAnchor { .. } => plain(
            "anchors and aliases (`&`, `*`) are not taken",
            "write the value out where it is needed; quote text that begins with `&` or `*`",
        ),
        E::Budget { breach: B::Depth { .. }, .. } => plain(
            "the document is nested more than 32 deep",
            "no document of an estate needs that; look for a stray bracket",
        ),
        E::Budget { breach: B::Nodes { .. } | B::Events { .. }, .. } => {
            plain("the document has more than 20,000 values", "split it into several documents")
        }
        E::Budget { .. } => plain("the document is too large", "split it into several documents"),
        _ => plain(
            "this is not YAML",
            "look here and just above for wrong indentation, a missing quote or bracket, or text that needs quotes",
        ),
    }
}

/// A value as the parser hands it over, before its place is known in terms of the file.
enum Raw {
    Null,
    Bool(bool),
    Whole(i64),
    Float(f64),
    Text(String),
    List(Vec<Spanned<Raw>>),
    Map(Vec<(Spanned<String>, Spanned<Raw>)>),
}

impl<'de> Deserialize<'de> for Raw {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_any(RawVisitor)
    }
}

struct RawVisitor;

impl<'de> Visitor<'de> for RawVisitor {
    type Value = Raw;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a YAML value")
    }

    fn visit_unit<E>(self) -> Result<Raw, E> {
        Ok(Raw::Null)
    }

    fn visit_none<E>(self) -> Result<Raw, E> {
        Ok(Raw::Null)
    }

    fn visit_bool<E>(self, value: bool) -> Result<Raw, E> {
        Ok(Raw::Bool(value))
    }

    fn visit_i64<E>(self, value: i64) -> Result<Raw, E> {
        Ok(Raw::Whole(value))
    }

    fn visit_u64<E: serde::de::Error>(self, value: u64) -> Result<Raw, E> {
        i64::try_from(value).map(Raw::Whole).map_err(|_| E::custom("a number is too large"))
    }

    fn visit_i128<E: serde::de::Error>(self, value: i128) -> Result<Raw, E> {
        i64::try_from(value).map(Raw::Whole).map_err(|_| E::custom("a number is too large"))
    }

    fn visit_u128<E: serde::de::Error>(self, value: u128) -> Result<Raw, E> {
        i64::try_from(value).map(Raw::Whole).map_err(|_| E::custom("a number is too large"))
    }

    fn visit_f64<E>(self, value: f64) -> Result<Raw, E> {
        Ok(Raw::Float(value))
    }

    fn visit_str<E>(self, value: &str) -> Result<Raw, E> {
        Ok(Raw::Text(value.to_owned()))
    }

    fn visit_string<E>(self, value: String) -> Result<Raw, E> {
        Ok(Raw::Text(value))
    }

    fn visit_bytes<E: serde::de::Error>(self, _: &[u8]) -> Result<Raw, E> {
        Err(E::custom("binary values are not taken"))
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut access: A) -> Result<Raw, A::Error> {
        let mut items = Vec::new();
        while let Some(item) = access.next_element()? {
            items.push(item);
            if items.len() > NODES {
                return Err(A::Error::custom("too many items"));
            }
        }
        Ok(Raw::List(items))
    }

    fn visit_map<A: MapAccess<'de>>(self, mut access: A) -> Result<Raw, A::Error> {
        let mut entries = Vec::new();
        while let Some(entry) = access.next_entry()? {
            entries.push(entry);
        }
        Ok(Raw::Map(entries))
    }
}

/// Turns lines of the document into lines of the file.
fn place(raw: Spanned<Raw>, origin: Span) -> Node {
    let span = shift(raw.referenced, origin);
    let value = match raw.value {
        Raw::Null => Value::Null,
        Raw::Bool(value) => Value::Bool(value),
        Raw::Whole(value) => Value::Whole(value),
        Raw::Float(value) => Value::Float(value),
        Raw::Text(text) => Value::Text(text),
        Raw::List(items) => Value::List(items.into_iter().map(|item| place(item, origin)).collect()),
        Raw::Map(entries) => Value::Map(
            entries
                .into_iter()
                .map(|(key, value)| {
                    (Key { span: shift(key.referenced, origin), text: key.value }, place(value, origin))
                })
                .collect(),
        ),
    };
    Node { span, value }
}

fn shift(location: serde_yaml::Location, origin: Span) -> Span {
    Span { file: origin.file, line: origin.line + location.line().saturating_sub(1), column: location.column() }
}
