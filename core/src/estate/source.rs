//! Files as bytes, cut into documents.
//!
//! Every document is guarded and parsed alone, so that one that cannot be read hides none of the others. The guards are
//! byte scans in linear time: length, encoding, byte order mark, tabs.

use super::problem::{Reporter, Span};

/// One file of an estate. The name is what problems are reported under; nothing is opened.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SourceFile {
    pub name: String,
    pub bytes: Vec<u8>,
}

/// A longer file is refused by its length, before a byte of it is read.
pub(super) const FILE_LIMIT: usize = 4 << 20;
/// A longer document is refused unparsed.
const DOCUMENT_BYTES: usize = 1 << 20;
/// More documents in one file are refused: split the file.
const DOCUMENT_LIMIT: usize = 10_000;

/// The text of one document, with where it begins.
pub(super) struct Chunk<'a> {
    pub(super) file: usize,
    /// The line of the file that the text's first line is, from 1.
    pub(super) first_line: u64,
    pub(super) text: &'a str,
}

/// Cuts a file into documents that can be parsed; reports what cannot. True: every part of it could be read.
pub(super) fn cut<'a>(
    file: usize,
    source: &'a SourceFile,
    chunks: &mut Vec<Chunk<'a>>,
    report: &mut Reporter<'_>,
) -> bool {
    let whole = Span { file, line: 0, column: 0 };
    if source.bytes.len() > FILE_LIMIT {
        report.error(
            whole,
            None,
            format!("the file has {} MiB and is refused unread", source.bytes.len() >> 20),
            format!("split it: a file has at most {} MiB", FILE_LIMIT >> 20),
        );
        return false;
    }
    let mut readable = true;
    let mut bytes = source.bytes.as_slice();
    if let Some(rest) = bytes.strip_prefix(b"\xEF\xBB\xBF") {
        let start = Span { file, line: 1, column: 1 };
        report.error(start, None, "the file begins with a byte order mark", "save it as UTF-8 without one");
        bytes = rest;
    }
    for (count, (first_line, part)) in documents(bytes).into_iter().enumerate() {
        if count >= DOCUMENT_LIMIT {
            let span = Span { file, line: first_line, column: 1 };
            let hint = format!("split it: a file has at most {DOCUMENT_LIMIT} documents");
            report.error(span, None, "the file has too many documents; the rest is not read", hint);
            return false;
        }
        match guard(file, first_line, part, report) {
            Some(text) if has_content(text) => chunks.push(Chunk { file, first_line, text }),
            Some(_) => {}
            None => readable = false,
        }
    }
    readable
}

/// Splits at lines that are `---`: YAML lets no scalar hold such a line.
fn documents(bytes: &[u8]) -> Vec<(u64, &[u8])> {
    let mut parts = Vec::new();
    let (mut start, mut first_line) = (0, 1);
    let (mut offset, mut line) = (0, 1);
    for text in bytes.split_inclusive(|byte| *byte == b'\n') {
        let marker = text.starts_with(b"---") && text.get(3).is_none_or(u8::is_ascii_whitespace);
        if marker && offset > start {
            parts.push((first_line, &bytes[start..offset]));
            (start, first_line) = (offset, line);
        }
        offset += text.len();
        line += 1;
    }
    if offset > start {
        parts.push((first_line, &bytes[start..]));
    }
    parts
}

/// UTF-8 and no tabs before the first character of a line.
fn guard<'a>(file: usize, first_line: u64, part: &'a [u8], report: &mut Reporter<'_>) -> Option<&'a str> {
    if part.len() > DOCUMENT_BYTES {
        let span = Span { file, line: first_line, column: 1 };
        report.error(span, None, "the document has more than 1 MiB", "split it into several documents");
        return None;
    }
    let text = match std::str::from_utf8(part) {
        Ok(text) => text,
        Err(error) => {
            let good = std::str::from_utf8(&part[..error.valid_up_to()]).unwrap_or_default();
            let line = first_line + good.matches('\n').count() as u64;
            let column = good.rsplit('\n').next().unwrap_or_default().chars().count() as u64 + 1;
            let hint = if part.starts_with(b"\xFF\xFE") || part.starts_with(b"\xFE\xFF") {
                "it looks like UTF-16; save it as UTF-8"
            } else {
                "save the file as UTF-8; the rest of this document is not read"
            };
            report.error(Span { file, line, column }, None, "a byte here is not UTF-8", hint);
            return None;
        }
    };
    let mut clean = true;
    for (line, content) in (first_line..).zip(text.lines()) {
        let indent = content.len() - content.trim_start_matches([' ', '\t']).len();
        let tab = content[..indent].find('\t').filter(|_| indent < content.len());
        if let Some(tab) = tab {
            let span = Span { file, line, column: tab as u64 + 1 };
            report.error(span, None, "a tab stands in the indentation", "indent with spaces");
            clean = false;
        }
    }
    clean.then_some(text)
}

fn has_content(text: &str) -> bool {
    text.lines()
        .map(|line| line.strip_prefix("---").or_else(|| line.strip_prefix("...")).unwrap_or(line).trim())
        .any(|line| !line.is_empty() && !line.starts_with('#'))
}
