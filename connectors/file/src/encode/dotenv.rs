//! `NAME=value` lines that a shell and a dotenv reader take for the same.
//!
//! A value is written in the first of three forms that carries it:
//!
//! 1. bare, when it has only letters, digits and `_ - . / : @ % + , =`: read alike by everything, also unquoting readers;
//! 2. `'single quoted'`, when it has neither `'` nor `\`: read alike by POSIX shells, systemd and dotenv libraries;
//! 3. `"double quoted"` with `\` before `\ " $` and the backtick: the POSIX shell's rule, which systemd shares. Some
//!    dotenv libraries leave `\$` as two characters: generate values without `'` and `\` where such a one reads.
//!
//! Read back are the same forms, joined as a shell joins them. A value that the shell would compute (`$HOME`) is kept
//! and is no field. A line that is neither a comment nor one assignment makes the whole file refused: what follows an
//! unknown line may mean anything.

use std::ops::Range;

use remint_contract::SecretValue;
use zeroize::Zeroizing;

use super::{Fields, Problem, content_text, line_of, splice, text_of, variable_name};

struct Entry<'a> {
    name: &'a str,
    range: Range<usize>,
    /// `None` when the shell would compute it.
    value: Option<SecretValue>,
}

pub(super) fn set(old: &[u8], fields: &Fields) -> Result<Zeroizing<Vec<u8>>, Problem> {
    let entries = entries(content_text(old)?)?;
    let mut changes = Vec::new();
    // A name that stands twice is changed twice: the earlier line would keep the old secret.
    for entry in &entries {
        if let Some(value) = fields.get(entry.name) {
            changes.push((entry.range.clone(), quote(text_of(entry.name, value)?)));
        }
    }
    let mut added = Zeroizing::new(Vec::new());
    for (field, value) in fields {
        variable_name(field)?;
        let quoted = quote(text_of(field, value)?);
        if entries.iter().all(|entry| entry.name != field) {
            added.extend_from_slice(field.as_bytes());
            added.push(b'=');
            added.extend_from_slice(&quoted);
            added.push(b'\n');
        }
    }
    if !added.is_empty() && old.last().is_some_and(|byte| *byte != b'\n') {
        added.insert(0, b'\n');
    }
    changes.push((old.len()..old.len(), added));
    Ok(splice(old, &changes))
}

pub(super) fn read(content: &[u8]) -> Result<Fields, Problem> {
    let entries = entries(content_text(content)?)?;
    let mut fields = Fields::new();
    for entry in entries {
        match entry.value {
            Some(value) => fields.insert(entry.name.to_owned(), value),
            None => fields.remove(entry.name),
        };
    }
    Ok(fields)
}

fn quote(value: &str) -> Zeroizing<Vec<u8>> {
    let bare = |byte: u8| byte.is_ascii_alphanumeric() || b"_-./:@%+,=".contains(&byte);
    if !value.is_empty() && value.bytes().all(bare) {
        return Zeroizing::new(value.as_bytes().to_vec());
    }
    let mut out = Zeroizing::new(Vec::with_capacity(value.len() * 2 + 2));
    if value.contains(['\'', '\\']) {
        out.push(b'"');
        for byte in value.bytes() {
            if b"\\\"$`".contains(&byte) {
                out.push(b'\\');
            }
            out.push(byte);
        }
        out.push(b'"');
    } else {
        out.push(b'\'');
        out.extend_from_slice(value.as_bytes());
        out.push(b'\'');
    }
    out
}

fn entries(text: &str) -> Result<Vec<Entry<'_>>, Problem> {
    let bytes = text.as_bytes();
    let mut entries = Vec::new();
    let mut at = 0;
    while at < bytes.len() {
        at = skip_blanks(bytes, at);
        match bytes.get(at) {
            None => break,
            Some(b'\n') => at += 1,
            Some(b'#') => at = end_of_line(bytes, at),
            Some(_) => {
                let (entry, end) = assignment(text, at)?;
                entries.push(entry);
                at = end_of_assignment(bytes, end)?;
            }
        }
    }
    Ok(entries)
}

fn assignment(text: &str, at: usize) -> Result<(Entry<'_>, usize), Problem> {
    let bytes = text.as_bytes();
    let exported = text[at..].strip_prefix("export").filter(|rest| rest.starts_with([' ', '\t']));
    let start = exported.map_or(at, |rest| skip_blanks(bytes, text.len() - rest.len()));
    let length = bytes[start..].iter().take_while(|byte| byte.is_ascii_alphanumeric() || **byte == b'_').count();
    let name = &text[start..start + length];
    let begin = start + length + 1;
    if variable_name(name).is_err() || bytes.get(begin - 1) != Some(&b'=') {
        return Err(Problem::Syntax { line: line_of(bytes, at), why: "it is neither a comment nor NAME=value" });
    }
    let (value, end) = word(bytes, begin)?;
    Ok((Entry { name, range: begin..end, value }, end))
}

/// One shell word from `begin`, and where it ends.
fn word(bytes: &[u8], begin: usize) -> Result<(Option<SecretValue>, usize), Problem> {
    let mut value = Zeroizing::new(Vec::with_capacity(bytes.len() - begin));
    let mut computed = bytes.get(begin) == Some(&b'~');
    let mut at = begin;
    while let Some(&byte) = bytes.get(at) {
        match byte {
            b' ' | b'\t' | b'\n' => break,
            b';' | b'&' | b'|' | b'<' | b'>' | b'(' | b')' => {
                let why = "the value has a character that the shell takes for a command; quote it";
                return Err(Problem::Syntax { line: line_of(bytes, at), why });
            }
            b'\'' => at = single_quoted(bytes, at, &mut value)?,
            b'"' => at = double_quoted(bytes, at, &mut value, &mut computed)?,
            b'\\' => {
                match bytes.get(at + 1) {
                    None | Some(b'\n') => {}
                    Some(next) => value.push(*next),
                }
                at = (at + 2).min(bytes.len());
            }
            b'$' | b'`' => {
                computed = true;
                at += 1;
            }
            other => {
                value.push(other);
                at += 1;
            }
        }
    }
    let value = (!computed).then(|| SecretValue::new(std::mem::take(&mut *value)));
    Ok((value, at))
}

fn single_quoted(bytes: &[u8], open: usize, value: &mut Vec<u8>) -> Result<usize, Problem> {
    let length = bytes[open + 1..].iter().position(|byte| *byte == b'\'').ok_or_else(|| unclosed(bytes, open))?;
    value.extend_from_slice(&bytes[open + 1..open + 1 + length]);
    Ok(open + length + 2)
}

fn double_quoted(bytes: &[u8], open: usize, value: &mut Vec<u8>, computed: &mut bool) -> Result<usize, Problem> {
    let mut at = open + 1;
    loop {
        match (bytes.get(at), bytes.get(at + 1)) {
            (None, _) => return Err(unclosed(bytes, open)),
            (Some(b'"'), _) => return Ok(at + 1),
            (Some(b'\\'), Some(b'\n')) => at += 2,
            (Some(b'\\'), Some(next)) if b"\\\"$`".contains(next) => {
                value.push(*next);
                at += 2;
            }
            (Some(byte), _) => {
                *computed |= matches!(byte, b'$' | b'`');
                value.push(*byte);
                at += 1;
            }
        }
    }
}

fn unclosed(bytes: &[u8], open: usize) -> Problem {
    Problem::Syntax { line: line_of(bytes, open), why: "a quote is opened and never closed" }
}

/// After a value only a comment may stand before the line ends.
fn end_of_assignment(bytes: &[u8], end: usize) -> Result<usize, Problem> {
    let at = skip_blanks(bytes, end);
    match bytes.get(at) {
        None => Ok(at),
        Some(b'\n') => Ok(at + 1),
        Some(b'#') => Ok(end_of_line(bytes, at)),
        Some(_) => {
            let why = "more follows after the value; quote a value that has spaces";
            Err(Problem::Syntax { line: line_of(bytes, at), why })
        }
    }
}

fn skip_blanks(bytes: &[u8], from: usize) -> usize {
    from + bytes[from..].iter().take_while(|byte| matches!(byte, b' ' | b'\t')).count()
}

fn end_of_line(bytes: &[u8], from: usize) -> usize {
    bytes[from..].iter().position(|byte| *byte == b'\n').map_or(bytes.len(), |length| from + length + 1)
}
