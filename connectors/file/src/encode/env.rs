//! What `docker run --env-file` and Podman read: one `NAME=value` a line, the value taken as it stands, nothing quoted.
//!
//! A value with a line break cannot be said in this format and is refused.

use remint_contract::SecretValue;
use zeroize::Zeroizing;

use super::{Fields, Problem, content_text, splice, text_of, variable_name};

struct Entry<'a> {
    name: &'a str,
    value: &'a str,
    start: usize,
}

pub(super) fn set(old: &[u8], fields: &Fields) -> Result<Zeroizing<Vec<u8>>, Problem> {
    let text = content_text(old)?;
    let entries = entries(text);
    let mut changes = Vec::new();
    for entry in &entries {
        if let Some(value) = fields.get(entry.name) {
            changes.push((entry.start..entry.start + entry.value.len(), Zeroizing::new(value.expose().to_vec())));
        }
    }
    let mut added = Zeroizing::new(Vec::new());
    for (field, value) in fields {
        variable_name(field)?;
        if text_of(field, value)?.contains(['\n', '\r']) {
            return Err(Problem::Value { field: field.clone(), why: "it holds a line break" });
        }
        if entries.iter().all(|entry| entry.name != field) {
            added.extend_from_slice(field.as_bytes());
            added.push(b'=');
            added.extend_from_slice(value.expose());
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
    let entries = entries(content_text(content)?);
    Ok(entries.iter().map(|entry| (entry.name.to_owned(), SecretValue::from(entry.value))).collect())
}

/// Every `NAME=value`. Comments, and names without a value (taken from the caller's environment), are passed over.
fn entries(text: &str) -> Vec<Entry<'_>> {
    let mut entries = Vec::new();
    let mut offset = 0;
    for whole in text.split_inclusive('\n') {
        let line = whole.strip_suffix('\n').unwrap_or(whole);
        let line = line.strip_suffix('\r').unwrap_or(line);
        let begin = line.len() - line.trim_start().len();
        if let Some((name, value)) = line[begin..].split_once('=')
            && !name.starts_with('#')
        {
            entries.push(Entry { name, value, start: offset + begin + name.len() + 1 });
        }
        offset += whole.len();
    }
    entries
}
