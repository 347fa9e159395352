//! YAML mappings: `a` is a key of the root, `a.b` of the mapping `a`.
//!
//! A value is replaced where it stands, in double quotes; a new key is put at the head of its mapping, so that
//! comments, order and every other byte stay. Refused, because a change could mean more than it says: several
//! documents, values with a tag or an anchor, keys that are not plain text.

use std::ops::Range;

use granit_parser::{Event, Parser, ScalarStyle, Span, StructureStyle};
use remint_contract::SecretValue;
use zeroize::Zeroizing;

use super::outline::{Node, NodeKind, Opening, Outline, Writing, quote};
use super::{Fields, Problem, content_text, line_of, splice, text_of};

const WRITING: Writing = Writing { key, string: quote };

pub(super) fn set(old: &[u8], fields: &Fields) -> Result<Zeroizing<Vec<u8>>, Problem> {
    let mut content = Zeroizing::new(old.to_vec());
    for (field, value) in fields {
        let text = text_of(field, value)?;
        content = match outline(&content)? {
            Some(outline) => outline.set(&content, field, text, &WRITING)?,
            None => begin(&content, field, text)?,
        };
    }
    Ok(content)
}

pub(super) fn read(content: &[u8]) -> Result<Fields, Problem> {
    Ok(outline(content)?.map(Outline::fields).unwrap_or_default())
}

/// A file without any value, perhaps with comments: the first key goes to its end.
fn begin(content: &[u8], field: &str, value: &str) -> Result<Zeroizing<Vec<u8>>, Problem> {
    let before = if content.last().is_some_and(|byte| *byte != b'\n') { "\n" } else { "" };
    let end = content.len();
    let opening = Opening { at: 0, before: String::new(), after: "\n".to_owned() };
    let root = Node { path: Vec::new(), range: 0..0, kind: NodeKind::Map(opening) };
    let line = Outline::new(vec![root], &[])?.set(&[], field, value, &WRITING)?;
    Ok(splice(content, &[(end..end, Zeroizing::new(before.as_bytes().to_vec())), (end..end, line)]))
}

/// A key as people write it where that is safe, else quoted.
fn key(text: &str) -> String {
    const WORDS: [&str; 9] = ["y", "n", "yes", "no", "on", "off", "true", "false", "null"];
    let mut bytes = text.bytes();
    let first = bytes.next().is_some_and(|byte| byte.is_ascii_alphabetic() || byte == b'_');
    let plain = first && bytes.all(|byte| byte.is_ascii_alphanumeric() || matches!(byte, b'_' | b'-'));
    if plain && !WORDS.contains(&text.to_ascii_lowercase().as_str()) {
        text.to_owned()
    } else {
        quote(text).to_string()
    }
}

/// `None`: the file has no value at all.
fn outline(content: &[u8]) -> Result<Option<Outline>, Problem> {
    let text = content_text(content)?;
    let mut walk = Walk { text, nodes: Vec::new(), open: Vec::new(), path: Vec::new(), lists: 0, documents: 0 };
    for next in Parser::new_from_str(text) {
        let (event, span) = next.map_err(|error| Problem::Syntax {
            line: error.marker().line(),
            why: "it is not YAML, or uses a part of it that is not supported here",
        })?;
        walk.step(&event, &span)?;
    }
    match walk.nodes.first().map(|node| &node.kind) {
        None => Ok(None),
        Some(NodeKind::Scalar(None)) if walk.nodes[0].range.is_empty() => Ok(None),
        Some(NodeKind::Map(_)) => Outline::new(walk.nodes, content).map(Some),
        Some(_) => Err(Problem::Syntax { line: 1, why: "it is not a mapping" }),
    }
}

struct Walk<'a> {
    text: &'a str,
    nodes: Vec<Node>,
    open: Vec<Open>,
    path: Vec<String>,
    lists: usize,
    documents: usize,
}

struct Open {
    node: Option<usize>,
    list: bool,
    flow: bool,
    /// Where the last key ended; `None` while a key is waited for.
    key_end: Option<usize>,
    empty: bool,
}

impl Walk<'_> {
    fn step(&mut self, event: &Event<'_>, span: &Span) -> Result<(), Problem> {
        let range = span.byte_range().unwrap_or_default();
        match event {
            Event::DocumentStart(..) => {
                self.documents += 1;
                if self.documents > 1 {
                    return Err(self.refuse(&range, "a file with several documents is not supported"));
                }
            }
            Event::Scalar(text, style, anchor, tag) => {
                let bound = *anchor > 0 || tag.is_some();
                if self.key_next() {
                    if bound {
                        return Err(self.refuse(&range, "a key with a tag or an anchor is not supported"));
                    }
                    self.begin_member(text, &range);
                } else {
                    let range = match style {
                        ScalarStyle::Literal | ScalarStyle::Folded => self.block_scalar(range),
                        _ => range,
                    };
                    let kind = if bound {
                        NodeKind::Other("it has a tag or an anchor, so that other places change with it")
                    } else {
                        let null = *style == ScalarStyle::Plain
                            && matches!(text.as_ref(), "" | "~" | "null" | "Null" | "NULL");
                        NodeKind::Scalar((!null).then(|| SecretValue::from(text.as_ref())))
                    };
                    self.value(range, kind);
                }
            }
            Event::Alias(_) | Event::UnresolvedAlias(_) => {
                if self.key_next() {
                    return Err(self.refuse(&range, "an alias as a key is not supported"));
                }
                self.value(range, NodeKind::Other("it is an alias of another value"));
            }
            Event::SequenceStart(..) => self.begin(range, true, false, false)?,
            Event::MappingStart(style, anchor, _) => {
                self.begin(range, false, *style == StructureStyle::Flow, *anchor > 0)?;
            }
            Event::SequenceEnd | Event::MappingEnd => self.finish(&range),
            _ => {}
        }
        Ok(())
    }

    fn key_next(&self) -> bool {
        self.open.last().is_some_and(|open| !open.list && open.key_end.is_none())
    }

    fn begin_member(&mut self, key: &str, range: &Range<usize>) {
        let (text, lists) = (self.text, self.lists);
        if let Some(open) = self.open.last_mut() {
            open.key_end = Some(range.end);
            // The first key of a block mapping shows where another one can stand: in its place, with it pushed down.
            if open.empty
                && lists == 0
                && !open.flow
                && let Some(NodeKind::Map(opening)) = open.node.map(|node| &mut self.nodes[node].kind)
            {
                let line = text[..range.start].rfind('\n').map_or(0, |at| at + 1);
                let column = text[line..range.start].chars().count();
                opening.at = range.start;
                opening.after = format!("\n{}", " ".repeat(column));
            }
            open.empty = false;
        }
        self.path.push(key.to_owned());
    }

    fn value(&mut self, range: Range<usize>, kind: NodeKind) {
        // An absent value has no place: what replaces it goes after the key's colon.
        let key_end = self.open.last().and_then(|open| open.key_end);
        let range = match key_end {
            Some(end) if range.is_empty() => {
                let at = self.after_colon(end);
                at..at
            }
            _ => range,
        };
        self.note(range, kind);
        self.leave();
    }

    /// The span of a block scalar begins after its `|` or `>` and takes in the line breaks that follow it.
    fn block_scalar(&self, range: Range<usize>) -> Range<usize> {
        let end = range.start + self.text[range.clone()].trim_end().len();
        let Some(key_end) = self.open.last().and_then(|open| open.key_end) else { return range };
        let from = self.after_colon(key_end);
        self.text[from..].find(['|', '>']).map_or(range, |length| from + length..end)
    }

    fn after_colon(&self, key_end: usize) -> usize {
        self.text[key_end..].find(':').map_or(key_end, |length| key_end + length + 1)
    }

    fn begin(&mut self, range: Range<usize>, list: bool, flow: bool, anchored: bool) -> Result<(), Problem> {
        if self.key_next() {
            return Err(self.refuse(&range, "a mapping or list as a key is not supported"));
        }
        let kind = if list {
            NodeKind::Other("it is a list")
        } else if anchored {
            NodeKind::Other("it has an anchor, so that other places change with it")
        } else {
            let empty = self.text[range.end.min(self.text.len())..].trim_start().starts_with('}');
            let after = if empty { "" } else { ", " };
            NodeKind::Map(Opening { at: range.end, before: String::new(), after: after.to_owned() })
        };
        let node = self.note(range, kind);
        self.lists += usize::from(list);
        self.open.push(Open { node, list, flow, key_end: None, empty: true });
        Ok(())
    }

    fn finish(&mut self, range: &Range<usize>) {
        if let Some(open) = self.open.pop() {
            self.lists -= usize::from(open.list);
            if let Some(node) = open.node {
                self.nodes[node].range.end = range.end;
            }
            self.leave();
        }
    }

    fn leave(&mut self) {
        if let Some(open) = self.open.last_mut()
            && !open.list
        {
            open.key_end = None;
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

    fn refuse(&self, range: &Range<usize>, why: &'static str) -> Problem {
        Problem::Syntax { line: line_of(self.text.as_bytes(), range.start), why }
    }
}
