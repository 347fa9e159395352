//! PEM files: a private key, a certificate and its chain, alone or in one file.
//!
//! `private-key` is the first block whose label ends in `PRIVATE KEY`, `certificate` the first `CERTIFICATE` block and
//! `chain` all later ones. Setting one keeps the others and every line between the blocks. `value` is the whole file.

use std::ops::Range;

use remint_contract::{SecretValue, WHOLE};
use zeroize::Zeroizing;

use super::{Fields, Problem, content_text, line_of, splice, text_of};

const PRIVATE_KEY: &str = "private-key";
const CERTIFICATE: &str = "certificate";
const CHAIN: &str = "chain";

struct Block<'a> {
    field: Option<&'static str>,
    label: &'a str,
    range: Range<usize>,
}

pub(super) fn set(old: &[u8], fields: &Fields) -> Result<Zeroizing<Vec<u8>>, Problem> {
    if let Some(value) = fields.get(WHOLE) {
        if let Some(other) = fields.keys().find(|field| *field != WHOLE) {
            return Err(Problem::Field { field: other.clone(), why: "`value` is already the whole file" });
        }
        if blocks(text_of(WHOLE, value)?).is_ok_and(|blocks| !blocks.is_empty()) {
            return Ok(Zeroizing::new(value.expose().to_vec()));
        }
        return Err(Problem::Value { field: WHOLE.to_owned(), why: "it is not PEM" });
    }
    for (field, value) in fields {
        accept(field, text_of(field, value)?)?;
    }
    let mut content = Zeroizing::new(old.to_vec());
    for field in [PRIVATE_KEY, CERTIFICATE, CHAIN] {
        if let Some(value) = fields.get(field) {
            content = set_one(&content, field, value)?;
        }
    }
    Ok(content)
}

pub(super) fn read(content: &[u8]) -> Result<Fields, Problem> {
    let text = content_text(content)?;
    let mut fields = Fields::from([(WHOLE.to_owned(), SecretValue::from(text))]);
    for field in [PRIVATE_KEY, CERTIFICATE, CHAIN] {
        let mut joined = Zeroizing::new(String::with_capacity(text.len()));
        for block in blocks(text)?.iter().filter(|block| block.field == Some(field)) {
            joined.push_str(&text[block.range.clone()]);
        }
        if !joined.is_empty() {
            fields.insert(field.to_owned(), SecretValue::from(std::mem::take(&mut *joined)));
        }
    }
    Ok(fields)
}

/// Is this text what the field holds: blocks of the right kind, each line ended, nothing between?
fn accept(field: &str, value: &str) -> Result<(), Problem> {
    let refused = |why| Problem::Value { field: field.to_owned(), why };
    let blocks = blocks(value).map_err(|_| refused("it is not PEM"))?;
    let good = match field {
        PRIVATE_KEY => blocks.len() == 1 && blocks[0].field == Some(PRIVATE_KEY),
        CERTIFICATE => blocks.len() == 1 && blocks[0].field == Some(CERTIFICATE),
        CHAIN => !blocks.is_empty() && blocks.iter().all(|block| block.label == "CERTIFICATE"),
        _ => {
            let why = "a PEM file has `private-key`, `certificate`, `chain`, or `value` for the whole file";
            return Err(Problem::Field { field: field.to_owned(), why });
        }
    };
    let covered: usize = blocks.iter().map(|block| block.range.len()).sum();
    if !good {
        Err(refused("it is not PEM of that kind"))
    } else if covered != value.len() || !value.ends_with('\n') {
        Err(refused("something stands beside its PEM blocks, or its last line does not end"))
    } else {
        Ok(())
    }
}

fn set_one(old: &[u8], field: &'static str, value: &SecretValue) -> Result<Zeroizing<Vec<u8>>, Problem> {
    let blocks = blocks(content_text(old)?)?;
    let mut changes: Vec<_> = blocks
        .iter()
        .filter(|block| block.field == Some(field))
        .map(|block| (block.range.clone(), Zeroizing::new(Vec::new())))
        .collect();
    if let Some((_, new)) = changes.first_mut() {
        new.extend_from_slice(value.expose());
    } else {
        // A first certificate goes before the chain, else it would be read as a part of it.
        let chain = (field == CERTIFICATE).then(|| blocks.iter().find(|block| block.field == Some(CHAIN))).flatten();
        let at = chain.map_or(old.len(), |block| block.range.start);
        let mut new = Zeroizing::new(Vec::with_capacity(value.expose().len() + 1));
        if at > 0 && old[at - 1] != b'\n' {
            new.push(b'\n');
        }
        new.extend_from_slice(value.expose());
        changes.push((at..at, new));
    }
    Ok(splice(old, &changes))
}

fn blocks(text: &str) -> Result<Vec<Block<'_>>, Problem> {
    let mut blocks: Vec<Block<'_>> = Vec::new();
    let mut open: Option<(&str, usize)> = None;
    let mut offset = 0;
    for whole in text.split_inclusive('\n') {
        let line = whole.trim_end();
        let syntax = |why| Problem::Syntax { line: line_of(text.as_bytes(), offset), why };
        if let Some(label) = line.strip_prefix("-----BEGIN ").and_then(|rest| rest.strip_suffix("-----")) {
            if open.is_some() {
                return Err(syntax("a PEM block begins inside another"));
            }
            open = Some((label, offset));
        } else if let Some(label) = line.strip_prefix("-----END ").and_then(|rest| rest.strip_suffix("-----")) {
            let (_, start) =
                open.take().filter(|(begun, _)| *begun == label).ok_or_else(|| syntax("no PEM block begins here"))?;
            let first = !blocks.iter().any(|block| block.field == Some(CERTIFICATE));
            let field = match label {
                "CERTIFICATE" => Some(if first { CERTIFICATE } else { CHAIN }),
                key if key.ends_with("PRIVATE KEY") => Some(PRIVATE_KEY),
                _ => None,
            };
            blocks.push(Block { field, label, range: start..offset + whole.len() });
        }
        offset += whole.len();
    }
    match open {
        None => Ok(blocks),
        Some((_, start)) => {
            Err(Problem::Syntax { line: line_of(text.as_bytes(), start), why: "a PEM block has no END line" })
        }
    }
}
