//! Who somebody is, apart from what he did: an entry holds a salted commitment, and the name stands beside the tree, where it
//! can be erased without a trace in any hash.
//!
//! A commitment is written `person:` and the SHA-256, in hexadecimal digits, of the line [`DOMAIN`], 32 random bytes and the
//! name. `persons.json` discloses some: a list of objects with `name`, `person` and `salt`, one a line, in the order of the
//! commitments, `[]` when there is none. Whoever is not in it was not disclosed, or was erased: the entry still says that it was
//! the same person as elsewhere in the reset, and nothing else.

use std::collections::BTreeMap;

use serde_json::{Map, Value};

use crate::canonical::{self, Scanner};
use crate::tree::{Hash, sha256};
use crate::{FormatError, hex};

/// What is hashed is a person, and nothing else.
pub const DOMAIN: &str = "remint.dev/person/v1\n";

/// What a commitment begins with.
pub const PREFIX: &str = "person:";

/// A name, and what opens its commitment.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Disclosed {
    pub name: String,
    pub salt: [u8; 32],
}

impl Disclosed {
    /// What an entry says instead of the name.
    pub fn commitment(&self) -> String {
        let hash = sha256(&[DOMAIN.as_bytes(), &self.salt, self.name.as_bytes()].concat());
        format!("{PREFIX}{hash}")
    }
}

/// The file of some persons: the same for the same ones, in whatever order they come.
pub fn write(persons: &[Disclosed]) -> Result<Vec<u8>, FormatError> {
    let by: BTreeMap<String, &Disclosed> = persons.iter().map(|one| (one.commitment(), one)).collect();
    if by.is_empty() {
        return Ok(b"[]\n".to_vec());
    }
    let mut out = b"[\n".to_vec();
    for (place, (commitment, one)) in by.into_iter().enumerate() {
        if place > 0 {
            out.extend_from_slice(b",\n");
        }
        let members = [("name", one.name.clone()), ("person", commitment), ("salt", hex::encode(&one.salt))];
        let members: Map<String, Value> =
            members.into_iter().map(|(key, value)| (key.to_owned(), value.into())).collect();
        canonical::write(&members, &mut out)?;
    }
    out.extend_from_slice(b"\n]\n");
    Ok(out)
}

/// Reads such a file, strictly; gives names by commitment.
pub fn read(bytes: &[u8]) -> Result<BTreeMap<String, String>, FormatError> {
    let text = std::str::from_utf8(bytes).map_err(|_| malformed("it is not UTF-8"))?;
    if text == "[]\n" {
        return Ok(BTreeMap::new());
    }
    let lines = text.strip_prefix("[\n").and_then(|rest| rest.strip_suffix("\n]\n"));
    let lines = lines.ok_or(malformed("it is not a list with one person a line"))?;
    let (mut persons, mut names) = (Vec::new(), BTreeMap::new());
    for line in lines.split(",\n") {
        let (one, commitment) = parse(line)?;
        if one.commitment() != commitment {
            return Err(malformed("a name does not fit its commitment"));
        }
        names.insert(commitment, one.name.clone());
        persons.push(one);
    }
    // The one form: in order, each once.
    if write(&persons)? == bytes { Ok(names) } else { Err(malformed("its persons are not in order")) }
}

fn parse(line: &str) -> Result<(Disclosed, String), FormatError> {
    let (mut name, mut person, mut salt) = (None, None, None);
    let mut scanner = Scanner::new(line);
    scanner.object(1, |scanner, key| {
        match key.as_ref() {
            "name" => name = Some(scanner.string()?.into_owned()),
            "person" => person = Some(scanner.string()?.into_owned()),
            "salt" => salt = Hash::from_hex(&scanner.string()?),
            _ => return Err(FormatError::NotUnderstood { what: "a field of a person".to_owned() }),
        }
        Ok(())
    })?;
    scanner.end()?;
    match (name, person, salt) {
        (Some(name), Some(person), Some(salt)) => Ok((Disclosed { name, salt: salt.0 }, person)),
        _ => Err(malformed("a person must have name, person and salt")),
    }
}

/// A text with names where they are known.
pub fn told(text: &str, names: &BTreeMap<String, String>) -> String {
    let mut out = String::with_capacity(text.len());
    let mut rest = text;
    while let Some(at) = rest.find(PREFIX) {
        let end = at + PREFIX.len() + 64;
        let whole = rest.get(at..end).filter(|word| Hash::from_hex(&word[PREFIX.len()..]).is_some());
        let Some(word) = whole else {
            out.push_str(&rest[..at + PREFIX.len()]);
            rest = &rest[at + PREFIX.len()..];
            continue;
        };
        out.push_str(&rest[..at]);
        if let Some(name) = names.get(word) {
            out.push_str(name);
        } else {
            out.push_str("somebody whose name is not disclosed (");
            out.push_str(&word[..PREFIX.len() + 12]);
            out.push(')');
        }
        rest = &rest[end..];
    }
    out + rest
}

fn malformed(why: &'static str) -> FormatError {
    FormatError::Malformed { what: "list of persons", why }
}
