//! One line of `proofs.jsonl`: `{"index":7,"number":1,"path":["…"]}`, canonical.

use super::Placed;
use crate::FormatError;
use crate::canonical::Scanner;
use crate::tree::Hash;

/// A place in the tree, as claimed.
pub(super) struct Place {
    pub(super) number: u64,
    pub(super) index: u64,
    pub(super) path: Vec<Hash>,
}

pub(super) fn write(number: u64, placed: &Placed, out: &mut Vec<u8>) {
    out.extend_from_slice(format!("{{\"index\":{},\"number\":{number},\"path\":[", placed.index).as_bytes());
    for (at, hash) in placed.proof.iter().enumerate() {
        if at > 0 {
            out.push(b',');
        }
        out.extend_from_slice(format!("\"{hash}\"").as_bytes());
    }
    out.extend_from_slice(b"]}\n");
}

pub(super) fn parse(line: &str) -> Result<Place, FormatError> {
    let (mut index, mut number, mut path) = (None, None, None);
    let mut scanner = Scanner::new(line);
    scanner.object(1, |scanner, key| {
        match key.as_ref() {
            "index" => index = u64::try_from(scanner.integer()?).ok(),
            "number" => number = u64::try_from(scanner.integer()?).ok(),
            "path" => {
                let mut hashes = Vec::new();
                scanner.array(2, |scanner| {
                    let hash = Hash::from_hex(&scanner.string()?);
                    hashes.push(hash.ok_or(FormatError::Malformed { what: "proof", why: "a hash is not one" })?);
                    // A tree of 2^64 entries has no longer path.
                    if hashes.len() > 64 {
                        return Err(FormatError::Malformed { what: "proof", why: "its path is too long" });
                    }
                    Ok(())
                })?;
                path = Some(hashes);
            }
            _ => return Err(FormatError::NotUnderstood { what: "a field of the proof".to_owned() }),
        }
        Ok(())
    })?;
    scanner.end()?;
    match (index, number, path) {
        (Some(index), Some(number), Some(path)) => Ok(Place { number, index, path }),
        _ => Err(FormatError::Malformed { what: "proof", why: "it must have index, number and path" }),
    }
}
