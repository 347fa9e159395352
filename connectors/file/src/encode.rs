//! How named fields lie in a file, chosen by the file's extension.
//!
//! | name | format | fields |
//! |---|---|---|
//! | `.env`, `*.env`, `.env.*` | [`dotenv`]: read the same by a shell (`set -a; . file`) and by dotenv readers | variables |
//! | `*.env-file` | [`env`]: what `docker run --env-file` reads, nothing quoted | variables |
//! | `*.json` | [`json`] | `a` or `a.b` for nested objects |
//! | `*.yaml`, `*.yml` | [`yaml`] | `a` or `a.b` for nested mappings |
//! | `*.pem`, `*.key`, `*.crt` | [`pem`] | `private-key`, `certificate`, `chain`, or `value` for the whole file |
//! | anything else | [`plain`] | `value`: the whole file |
//!
//! Guarantees: what is set is read back byte for byte, or the change is refused; every other field, comment and line
//! stays as it was. Both are checked on the result of every change, so that a layout nobody thought of is a refusal
//! and never a broken file. Nothing here does IO, and no message holds a value.

mod dotenv;
mod env;
mod json;
mod outline;
mod pem;
mod plain;
mod yaml;

use std::collections::BTreeMap;

use remint_contract::{SecretValue, WHOLE};
use zeroize::Zeroizing;

/// Named values of one file.
pub type Fields = BTreeMap<String, SecretValue>;

/// How the fields of a file are laid out.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Format {
    Dotenv,
    Env,
    Json,
    Yaml,
    Pem,
    Plain,
}

/// Why fields cannot be set in, or read from, a file.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Problem {
    #[error("`{field}` cannot be a field of this file: {why}")]
    Field { field: String, why: &'static str },
    #[error("the value of `{field}` cannot be carried by this file: {why}")]
    Value { field: String, why: &'static str },
    #[error("line {line} cannot be understood: {why}")]
    Syntax { line: usize, why: &'static str },
    #[error("`{field}` is not a single value in this file: {why}")]
    Taken { field: String, why: &'static str },
    #[error("`{field}` would not be read back as written, or another field would change; give it a place of its own")]
    NotKept { field: String },
}

impl Format {
    /// The format of a file with this path.
    #[must_use]
    pub fn of(path: &str) -> Self {
        let name = path.rsplit('/').next().unwrap_or(path);
        if name.starts_with(".env.") {
            return Self::Dotenv;
        }
        match name.rsplit_once('.').map_or("", |(_, extension)| extension) {
            "env" => Self::Dotenv,
            "env-file" => Self::Env,
            "json" => Self::Json,
            "yaml" | "yml" => Self::Yaml,
            "pem" | "key" | "crt" => Self::Pem,
            _ => Self::Plain,
        }
    }

    /// Could a file of this format carry these fields?
    pub fn fits(self, fields: &Fields) -> Result<(), Problem> {
        self.set(None, fields).map(|_| ())
    }

    /// The file's new content: `old` with these fields set.
    pub fn set(self, old: Option<&[u8]>, fields: &Fields) -> Result<SecretValue, Problem> {
        let before = old.map_or_else(|| Ok(Fields::new()), |old| self.read(old))?;
        let new = match self {
            Self::Dotenv => dotenv::set(old.unwrap_or_default(), fields),
            Self::Env => env::set(old.unwrap_or_default(), fields),
            Self::Json => json::set(old.unwrap_or_default(), fields),
            Self::Yaml => yaml::set(old.unwrap_or_default(), fields),
            Self::Pem => pem::set(old.unwrap_or_default(), fields),
            Self::Plain => plain::set(fields),
        }?;
        self.confirm_kept(&before, fields, &new)?;
        Ok(SecretValue::new(std::mem::take(&mut *{ new })))
    }

    /// The fields of a file that are plain values.
    pub fn read(self, content: &[u8]) -> Result<Fields, Problem> {
        match self {
            Self::Dotenv => dotenv::read(content),
            Self::Env => env::read(content),
            Self::Json => json::read(content),
            Self::Yaml => yaml::read(content),
            Self::Pem => pem::read(content),
            Self::Plain => Ok(plain::read(content)),
        }
    }

    /// The one check that every format's guarantee rests on.
    fn confirm_kept(self, before: &Fields, set: &Fields, new: &[u8]) -> Result<(), Problem> {
        let after = self.read(new)?;
        for (field, value) in set {
            if after.get(field) != Some(value) {
                return Err(Problem::NotKept { field: field.clone() });
            }
        }
        for (field, value) in before {
            // The whole file is also a field of some formats: it changes with every change of a part, and the reverse.
            let whole = field == WHOLE || set.contains_key(WHOLE);
            if !whole && !set.contains_key(field) && after.get(field) != Some(value) {
                return Err(Problem::NotKept { field: field.clone() });
            }
        }
        Ok(())
    }
}

/// Text without NUL: what every format but [`plain`] needs.
fn text_of<'a>(field: &str, value: &'a SecretValue) -> Result<&'a str, Problem> {
    let text =
        value.expose_str().ok_or_else(|| Problem::Value { field: field.to_owned(), why: "it is not UTF-8 text" })?;
    if text.contains('\0') {
        return Err(Problem::Value { field: field.to_owned(), why: "it holds a NUL character" });
    }
    Ok(text)
}

/// The text of a file.
fn content_text(content: &[u8]) -> Result<&str, Problem> {
    std::str::from_utf8(content)
        .map_err(|error| Problem::Syntax { line: line_of(content, error.valid_up_to()), why: "it is not UTF-8 text" })
}

/// A name that environment variables may have.
fn variable_name(field: &str) -> Result<(), Problem> {
    let mut bytes = field.bytes();
    let first = bytes.next().is_some_and(|byte| byte.is_ascii_alphabetic() || byte == b'_');
    if first && bytes.all(|byte| byte.is_ascii_alphanumeric() || byte == b'_') {
        Ok(())
    } else {
        Err(Problem::Field {
            field: field.to_owned(),
            why: "a variable's name has letters, digits and `_`, and begins with no digit",
        })
    }
}

/// The number of the line that holds byte `offset`, from 1.
fn line_of(content: &[u8], offset: usize) -> usize {
    1 + content.iter().take(offset).filter(|byte| **byte == b'\n').count()
}

/// A copy of `old` with the ranges replaced; the ranges are in order and do not touch one another.
fn splice(old: &[u8], changes: &[(std::ops::Range<usize>, Zeroizing<Vec<u8>>)]) -> Zeroizing<Vec<u8>> {
    let added: usize = changes.iter().map(|(_, new)| new.len()).sum();
    // Sized once: growing would leave copies of secrets behind in freed memory.
    let mut out = Zeroizing::new(Vec::with_capacity(old.len() + added));
    let mut from = 0;
    for (range, new) in changes {
        out.extend_from_slice(&old[from..range.start]);
        out.extend_from_slice(new);
        from = range.end;
    }
    out.extend_from_slice(&old[from..]);
    out
}

#[cfg(test)]
mod tests;
