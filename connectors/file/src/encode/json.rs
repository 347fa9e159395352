//! JSON objects: `a` is a member of the root, `a.b` of the object `a`.
//!
//! The text is first checked as a whole by `serde_json`; the scan after it only notes where values stand.

use std::ops::Range;

use remint_contract::SecretValue;
use zeroize::Zeroizing;

use super::outline::{Node, NodeKind, Opening, Outline, Writing, quote};
use super::{Fields, Problem, content_text, line_of, text_of};

const WRITING: Writing = Writing { key: |key| quote(key).to_string(), string: quote };

pub(super) fn set(old: &[u8], fields: &Fields) -> Result<Zeroizing<Vec<u8>>, Problem> {
    let empty = old.iter().all(u8::is_ascii_whitespace);
    let mut content = Zeroizing::new(if empty { b"{}\n".to_vec() } else { old.to_vec() });
    for (field, value) in fields {
        let outline = outline(&content)?;
        content = outline.set(&content, field, text_of(field, value)?, &WRITING)?;
    }
    Ok(content)
}

pub(super) fn read(content: &[u8]) -> Result<Fields, Problem> {
    if content.iter().all(u8::is_ascii_whitespace) {
        return Ok(Fields::new());
    }
    Ok(outline(content)?.fields())
}

fn outline(content: &[u8]) -> Result<Outline, Problem> {
    let text = content_text(content)?;
    serde_json::from_str::<serde::de::IgnoredAny>(text)
        .map_err(|error| Problem::Syntax { line: error.line(), why: "it is not JSON" })?;
    let mut scan = Scan { text, nodes: Vec::new(), open: Vec::new(), path: Vec::new(), lists: 0 };
    let mut at = 0;
    while at < text.len() {
        at = scan.step(at)?;
    }
    if !matches!(scan.nodes.first(), Some(Node { kind: NodeKind::Map(_), .. })) {
        return Err(Problem::Syntax { line: 1, why: "it is not a JSON object" });
    }
    Outline::new(scan.nodes, content)
}

/// A walk over text that is known to be JSON.
struct Scan<'a> {
    text: &'a str,
    nodes: Vec<Node>,
    open: Vec<Open>,
    path: Vec<String>,
    /// How many of `open` are lists: what is inside one has no name.
    lists: usize,
}

/// A list or object that was opened.
struct Open {
    /// The index of its node, when it has one.
    node: Option<usize>,
    list: bool,
    /// True while an object waits for a key.
    key_next: bool,
}

impl Scan<'_> {
    fn step(&mut self, at: usize) -> Result<usize, Problem> {
        let end = match self.text.as_bytes()[at] {
            b'{' => {
                self.begin(at, false);
                return Ok(at + 1);
            }
            b'[' => {
                self.begin(at, true);
                return Ok(at + 1);
            }
            b'}' | b']' => {
                self.finish(at + 1);
                return Ok(at + 1);
            }
            b',' => {
                if let Some(open) = self.open.last_mut() {
                    open.key_next = !open.list;
                }
                return Ok(at + 1);
            }
            b'"' => end_of_string(self.text.as_bytes(), at),
            byte if byte.is_ascii_whitespace() || byte == b':' => return Ok(at + 1),
            _ => at + self.text[at..].bytes().take_while(|byte| !b",]} \t\r\n".contains(byte)).count().max(1),
        };
        if let Some(open) = self.open.last_mut()
            && open.key_next
        {
            open.key_next = false;
            let key = string(self.text, at..end)?;
            self.path.push(key);
        } else {
            let value = match &self.text[at..end] {
                "null" => None,
                raw if raw.starts_with('"') => Some(SecretValue::from(string(self.text, at..end)?)),
                raw => Some(SecretValue::from(raw)),
            };
            self.note(at..end, NodeKind::Scalar(value));
            self.leave();
        }
        Ok(end)
    }

    fn begin(&mut self, at: usize, list: bool) {
        let kind = if list { NodeKind::Other("it is a list") } else { NodeKind::Map(self.opening(at + 1)) };
        let node = self.note(at..at + 1, kind);
        self.lists += usize::from(list);
        self.open.push(Open { node, list, key_next: !list });
    }

    fn finish(&mut self, end: usize) {
        if let Some(open) = self.open.pop() {
            self.lists -= usize::from(open.list);
            if let Some(node) = open.node {
                self.nodes[node].range.end = end;
            }
            self.leave();
        }
    }

    /// After a member's value its key is done with.
    fn leave(&mut self) {
        if self.open.last().is_some_and(|open| !open.list) {
            self.path.pop();
        }
    }

    fn note(&mut self, range: Range<usize>, kind: NodeKind) -> Option<usize> {
        if self.lists > 0 {
            return None;
        }
        self.nodes.push(Node { path: self.path.clone(), range, kind });
        Some(self.nodes.len() - 1)
    }

    /// A new first member is laid out as the one that is first now.
    fn opening(&self, at: usize) -> Opening {
        let rest = &self.text[at..];
        let space = &rest[..rest.len() - rest.trim_start().len()];
        if rest.trim_start().starts_with('}') {
            Opening { at, before: String::new(), after: String::new() }
        } else {
            let after = if space.is_empty() { ", " } else { "," };
            Opening { at, before: space.to_owned(), after: after.to_owned() }
        }
    }
}

fn end_of_string(bytes: &[u8], open: usize) -> usize {
    let mut at = open + 1;
    while at < bytes.len() && bytes[at] != b'"' {
        at += if bytes[at] == b'\\' { 2 } else { 1 };
    }
    (at + 1).min(bytes.len())
}

fn string(text: &str, range: Range<usize>) -> Result<String, Problem> {
    let line = line_of(text.as_bytes(), range.start);
    serde_json::from_str(&text[range]).map_err(|_| Problem::Syntax { line, why: "it is not a JSON string" })
}
