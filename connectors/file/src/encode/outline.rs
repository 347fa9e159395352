//! Where the values of a structured text stand, so that one can be changed without touching a byte of the rest.
//!
//! JSON and YAML are read into the same outline; this file knows neither. A field `a.b` is the key `b` inside `a`,
//! except where the text has the key `a.b` itself.

use std::collections::BTreeSet;
use std::fmt::Write as _;
use std::ops::Range;

use remint_contract::SecretValue;
use zeroize::Zeroizing;

use super::{Fields, Problem, line_of, splice};

/// A value inside mappings only. Values inside lists have no name and are not in the outline.
pub(super) struct Node {
    /// Keys from the root; empty for the root itself.
    pub(super) path: Vec<String>,
    pub(super) range: Range<usize>,
    pub(super) kind: NodeKind,
}

pub(super) enum NodeKind {
    /// A scalar, which can be replaced.
    Scalar(Option<SecretValue>),
    /// A mapping, which can take another key.
    Map(Opening),
    /// Replacing it would lose more than one value.
    Other(&'static str),
}

/// How another key is put at the head of a mapping.
pub(super) struct Opening {
    pub(super) at: usize,
    /// Before the key.
    pub(super) before: String,
    /// After its value.
    pub(super) after: String,
}

/// How one language writes a key and a string.
pub(super) struct Writing {
    pub(super) key: fn(&str) -> String,
    pub(super) string: fn(&str) -> Zeroizing<String>,
}

/// What stands where.
pub(super) struct Outline(Vec<Node>);

impl Outline {
    /// The outline of these nodes, unless a key stands twice.
    pub(super) fn new(nodes: Vec<Node>, content: &[u8]) -> Result<Self, Problem> {
        let mut seen = BTreeSet::new();
        for node in &nodes {
            if !seen.insert(&node.path) {
                let line = line_of(content, node.range.start);
                return Err(Problem::Syntax { line, why: "the key of this value stands twice" });
            }
        }
        Ok(Self(nodes))
    }

    /// Every named value.
    pub(super) fn fields(self) -> Fields {
        let mut fields = Fields::new();
        for node in self.0 {
            if let NodeKind::Scalar(Some(value)) = node.kind
                && !node.path.is_empty()
            {
                // A key that has a dot itself wins over the nested one, as in `locate`.
                let literal = node.path.len() == 1;
                let name = node.path.join(".");
                if literal || !fields.contains_key(&name) {
                    fields.insert(name, value);
                }
            }
        }
        fields
    }

    /// The content with one field set.
    pub(super) fn set(
        &self,
        content: &[u8],
        field: &str,
        value: &str,
        writing: &Writing,
    ) -> Result<Zeroizing<Vec<u8>>, Problem> {
        let path = self.locate(field)?;
        // The deepest part of the path that exists; the root always does.
        let (depth, node) = (0..=path.len())
            .rev()
            .find_map(|depth| Some((depth, self.at(&path[..depth])?)))
            .ok_or(Problem::Syntax { line: 1, why: "it is not a mapping" })?;
        let taken = |why| Problem::Taken { field: field.to_owned(), why };
        let change = match (&node.kind, path.get(depth)) {
            (NodeKind::Scalar(_), None) => {
                let string = (writing.string)(value);
                let mut new = Zeroizing::new(Vec::with_capacity(string.len() + 1));
                // What was absent stands right after its key's colon.
                new.extend(node.range.is_empty().then_some(b' '));
                new.extend_from_slice(string.as_bytes());
                (node.range.clone(), new)
            }
            (NodeKind::Map(opening), Some(key)) => {
                let text = member(key, &path[depth + 1..], value, writing);
                let mut new =
                    Zeroizing::new(Vec::with_capacity(text.len() + opening.before.len() + opening.after.len()));
                new.extend_from_slice(opening.before.as_bytes());
                new.extend_from_slice(text.as_bytes());
                new.extend_from_slice(opening.after.as_bytes());
                (opening.at..opening.at, new)
            }
            (NodeKind::Map(_), None) => return Err(taken("it holds other fields; name one of them")),
            (NodeKind::Scalar(_), Some(_)) => return Err(taken("a part of its name is a value, not a mapping")),
            (NodeKind::Other(why), _) => return Err(taken(why)),
        };
        Ok(splice(content, &[change]))
    }

    fn locate(&self, field: &str) -> Result<Vec<String>, Problem> {
        let literal = vec![field.to_owned()];
        if self.at(&literal).is_some() {
            return Ok(literal);
        }
        let path: Vec<String> = field.split('.').map(str::to_owned).collect();
        if path.iter().any(String::is_empty) || path.len() > DEEPEST {
            let why = "write key, or key.key for a nested one";
            return Err(Problem::Field { field: field.to_owned(), why });
        }
        Ok(path)
    }

    fn at(&self, path: &[String]) -> Option<&Node> {
        self.0.iter().find(|node| node.path == path)
    }
}

/// `key: value`, with the rest of the path as mappings in one line: `key: {"rest": value}`.
fn member(key: &str, rest: &[String], value: &str, writing: &Writing) -> Zeroizing<String> {
    let string = (writing.string)(value);
    let mut text = Zeroizing::new(String::with_capacity(string.len() + key.len() * 6 + rest.len() * 260 + 16));
    let _ = write!(text, "{}: ", (writing.key)(key));
    for key in rest {
        let _ = write!(text, "{{{}: ", quote(key).as_str());
    }
    text.push_str(&string);
    text.extend(rest.iter().map(|_| '}'));
    text
}

/// A string in double quotes that JSON and YAML both read, in any of their versions.
pub(super) fn quote(text: &str) -> Zeroizing<String> {
    // The longest escape of one byte is six characters.
    let mut out = Zeroizing::new(String::with_capacity(text.len() * 6 + 2));
    out.push('"');
    for character in text.chars() {
        match character {
            '"' => out.push_str("\\\""),
            '\\' => out.push_str("\\\\"),
            '\n' => out.push_str("\\n"),
            '\r' => out.push_str("\\r"),
            '\t' => out.push_str("\\t"),
            // Control characters, and what YAML takes for a line break, a byte-order mark or not printable.
            '\0'..='\u{1f}' | '\u{7f}'..='\u{9f}' | '\u{2028}' | '\u{2029}' | '\u{feff}' | '\u{fffe}' | '\u{ffff}' => {
                let _ = write!(out, "\\u{:04x}", u32::from(character));
            }
            other => out.push(other),
        }
    }
    out.push('"');
    out
}

/// Parsers refuse deeper texts than some hundred levels; nobody names a field so.
const DEEPEST: usize = 32;
