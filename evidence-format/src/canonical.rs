//! RFC 8785 JSON, limited to strings, booleans, arrays, objects and integers within ±(2^53 − 1).
//!
//! [`write()`] makes the one form a value has. [`Scanner`] reads that form and no other, in one pass and without copying:
//! white space, an escape that is not needed, keys out of order or twice, `-0`, a fraction and null are all refused where
//! they stand. So accepting bytes means that writing their value again gives the same bytes; a property test holds it.
//!
//! Guarantees: work is linear in the input; nesting is bounded by [`MAX_DEPTH`] in both directions.

use serde_json::{Map, Value};

use crate::FormatError;

pub(crate) use self::scan::Scanner;

mod scan;

/// Objects and arrays within each other, the outermost counted.
pub const MAX_DEPTH: usize = 32;

/// Integers beyond it have more than one form in IEEE 754 doubles (RFC 7493, section 2.2).
pub const MAX_INTEGER: i64 = (1 << 53) - 1;

/// Appends the canonical form of an object.
pub fn write(object: &Map<String, Value>, out: &mut Vec<u8>) -> Result<(), FormatError> {
    write_object(object, 1, out)
}

/// Appends the canonical form of an object that is a member of one at the first depth.
pub(crate) fn write_member(object: &Map<String, Value>, out: &mut Vec<u8>) -> Result<(), FormatError> {
    write_object(object, 2, out)
}

/// Appends an integer; its text is its canonical form.
pub(crate) fn write_integer(number: i64, out: &mut Vec<u8>) {
    // A 64-bit integer has at most nineteen digits.
    let mut digits = [0; 19];
    let mut first = digits.len();
    let mut rest = number.unsigned_abs();
    loop {
        first -= 1;
        digits[first] = b'0' + u8::try_from(rest % 10).unwrap_or_default();
        rest /= 10;
        if rest == 0 {
            break;
        }
    }
    if number < 0 {
        out.push(b'-');
    }
    out.extend_from_slice(&digits[first..]);
}

/// Appends the canonical form of a string, quotes included.
pub fn write_string(text: &str, out: &mut Vec<u8>) {
    out.push(b'"');
    let bytes = text.as_bytes();
    let mut plain = 0;
    for (at, byte) in bytes.iter().enumerate() {
        if !needs_escape(*byte) {
            continue;
        }
        out.extend_from_slice(&bytes[plain..at]);
        plain = at + 1;
        match short_escape(*byte) {
            Some(letter) => out.extend_from_slice(&[b'\\', letter]),
            None => out.extend_from_slice(format!("\\u{byte:04x}").as_bytes()),
        }
    }
    out.extend_from_slice(&bytes[plain..]);
    out.push(b'"');
}

fn write_value(value: &Value, depth: usize, out: &mut Vec<u8>) -> Result<(), FormatError> {
    match value {
        Value::Null => return Err(FormatError::NotAllowed { what: "null" }),
        Value::Bool(true) => out.extend_from_slice(b"true"),
        Value::Bool(false) => out.extend_from_slice(b"false"),
        Value::Number(number) => write_integer(integer(number)?, out),
        Value::String(text) => write_string(text, out),
        Value::Array(items) => write_array(items, depth + 1, out)?,
        Value::Object(members) => write_object(members, depth + 1, out)?,
    }
    Ok(())
}

fn write_array(items: &[Value], depth: usize, out: &mut Vec<u8>) -> Result<(), FormatError> {
    bound(depth)?;
    out.push(b'[');
    for (place, item) in items.iter().enumerate() {
        if place > 0 {
            out.push(b',');
        }
        write_value(item, depth, out)?;
    }
    out.push(b']');
    Ok(())
}

fn write_object(members: &Map<String, Value>, depth: usize, out: &mut Vec<u8>) -> Result<(), FormatError> {
    bound(depth)?;
    if members.keys().is_sorted_by(|a, b| utf16_order(a, b).is_lt()) {
        return write_members(members.iter(), depth, out);
    }
    let mut sorted: Vec<(&String, &Value)> = members.iter().collect();
    sorted.sort_by(|(a, _), (b, _)| utf16_order(a, b));
    write_members(sorted.into_iter(), depth, out)
}

fn write_members<'m>(
    members: impl Iterator<Item = (&'m String, &'m Value)>,
    depth: usize,
    out: &mut Vec<u8>,
) -> Result<(), FormatError> {
    out.push(b'{');
    for (place, (key, value)) in members.enumerate() {
        if place > 0 {
            out.push(b',');
        }
        write_string(key, out);
        out.push(b':');
        write_value(value, depth, out)?;
    }
    out.push(b'}');
    Ok(())
}

fn integer(number: &serde_json::Number) -> Result<i64, FormatError> {
    let Some(integer) = number.as_i64() else {
        let what = if number.is_u64() { BEYOND } else { "a number that is not an integer" };
        return Err(FormatError::NotAllowed { what });
    };
    if integer.abs() > MAX_INTEGER { Err(FormatError::NotAllowed { what: BEYOND }) } else { Ok(integer) }
}

fn bound(depth: usize) -> Result<(), FormatError> {
    if depth > MAX_DEPTH { Err(FormatError::TooDeep { limit: MAX_DEPTH }) } else { Ok(()) }
}

/// RFC 8785 sorts by UTF-16 code units. That is the order of UTF-8 bytes, unless the first that differ begin characters from
/// U+E000 on, of which those beyond the basic plane come first.
fn utf16_order(a: &str, b: &str) -> std::cmp::Ordering {
    match a.bytes().zip(b.bytes()).find(|(a, b)| a != b) {
        None => a.len().cmp(&b.len()),
        Some((a, b)) if a.max(b) < FROM_E000 => a.cmp(&b),
        Some(_) => a.encode_utf16().cmp(b.encode_utf16()),
    }
}

/// The first byte of U+E000 in UTF-8.
const FROM_E000: u8 = 0xee;

fn needs_escape(byte: u8) -> bool {
    byte < 0x20 || byte == b'"' || byte == b'\\'
}

fn short_escape(byte: u8) -> Option<u8> {
    match byte {
        b'"' | b'\\' => Some(byte),
        0x08 => Some(b'b'),
        0x09 => Some(b't'),
        0x0a => Some(b'n'),
        0x0c => Some(b'f'),
        0x0d => Some(b'r'),
        _ => None,
    }
}

const BEYOND: &str = "an integer beyond 2^53 - 1";

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::utf16_order;

    proptest! {
        #[test]
        fn keys_are_ordered_by_their_utf16_units(a in "[a\u{e9}\u{d7ff}\u{e000}\u{ffff}\u{10000}\u{10ffff}]{0,3}", b in "[a\u{e9}\u{d7ff}\u{e000}\u{ffff}\u{10000}\u{10ffff}]{0,3}") {
            prop_assert_eq!(utf16_order(&a, &b), a.encode_utf16().cmp(b.encode_utf16()));
        }
    }
}
