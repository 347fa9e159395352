//! Reads canonical JSON and nothing else.

use std::borrow::Cow;

use super::{BEYOND, MAX_DEPTH, MAX_INTEGER, bound, needs_escape, short_escape, utf16_order};
use crate::FormatError;

/// A place in a text that is read once, from left to right.
pub(crate) struct Scanner<'a> {
    text: &'a str,
    bytes: &'a [u8],
    at: usize,
}

impl<'a> Scanner<'a> {
    pub(crate) fn new(text: &'a str) -> Self {
        Self { text, bytes: text.as_bytes(), at: 0 }
    }

    /// Nothing may follow.
    pub(crate) fn end(&self) -> Result<(), FormatError> {
        if self.at == self.bytes.len() { Ok(()) } else { Err(self.refuse("something follows the value")) }
    }

    /// Exactly this; false, and the place is the same, where something else stands.
    pub(crate) fn literal(&mut self, literal: &str) -> bool {
        let there = self.bytes[self.at..].starts_with(literal.as_bytes());
        self.at += if there { literal.len() } else { 0 };
        there
    }

    /// An object, outermost at depth 1; `member` must read the value of the key that it is given.
    pub(crate) fn object<F>(&mut self, depth: usize, mut member: F) -> Result<(), FormatError>
    where
        F: FnMut(&mut Self, Cow<'a, str>) -> Result<(), FormatError>,
    {
        bound(depth)?;
        self.expect(b'{', "an object must begin here")?;
        if self.skip(b'}') {
            return Ok(());
        }
        let mut last: Option<Cow<'a, str>> = None;
        loop {
            let start = self.at;
            let key = self.string()?;
            if let Some(last) = &last {
                match utf16_order(last, &key) {
                    std::cmp::Ordering::Less => {}
                    std::cmp::Ordering::Equal => return Err(refuse(start, "the key stands twice")),
                    std::cmp::Ordering::Greater => return Err(refuse(start, "the keys are not in order")),
                }
            }
            self.expect(b':', "`:` must stand here")?;
            member(self, key.clone())?;
            last = Some(key);
            if self.skip(b'}') {
                return Ok(());
            }
            self.expect(b',', "`,` or `}` must stand here")?;
        }
    }

    /// An array at `depth`; `item` must read one item each time.
    pub(crate) fn array<F>(&mut self, depth: usize, mut item: F) -> Result<(), FormatError>
    where
        F: FnMut(&mut Self) -> Result<(), FormatError>,
    {
        bound(depth)?;
        self.expect(b'[', "an array must begin here")?;
        if self.skip(b']') {
            return Ok(());
        }
        loop {
            item(self)?;
            if self.skip(b']') {
                return Ok(());
            }
            self.expect(b',', "`,` or `]` must stand here")?;
        }
    }

    /// An object, whatever it holds; gives its text.
    pub(crate) fn any_object(&mut self, depth: usize) -> Result<&'a str, FormatError> {
        let start = self.at;
        self.object(depth, |scanner, _| scanner.any(depth))?;
        Ok(&self.text[start..self.at])
    }

    /// Any value inside something at `depth`. Recursion ends at [`MAX_DEPTH`].
    fn any(&mut self, depth: usize) -> Result<(), FormatError> {
        match self.bytes.get(self.at) {
            Some(b'"') => self.string().map(drop),
            Some(b'{') => self.object(depth + 1, |scanner, _| scanner.any(depth + 1)),
            Some(b'[') => self.array(depth + 1, |scanner| scanner.any(depth + 1)),
            Some(b't') => self.word("true"),
            Some(b'f') => self.word("false"),
            Some(b'n') => Err(FormatError::NotAllowed { what: "null" }),
            Some(b'-' | b'0'..=b'9') => self.integer().map(drop),
            _ => Err(self.refuse("a value must stand here")),
        }
    }

    /// An integer in its one form.
    pub(crate) fn integer(&mut self) -> Result<i64, FormatError> {
        let start = self.at;
        let negative = self.skip(b'-');
        let digits = self.at;
        let mut value: i64 = 0;
        while let Some(digit @ b'0'..=b'9') = self.bytes.get(self.at) {
            // Sixteen digits hold every allowed integer and fit an i64.
            if self.at - digits == 16 {
                return Err(FormatError::NotAllowed { what: BEYOND });
            }
            value = value * 10 + i64::from(digit - b'0');
            self.at += 1;
        }
        let length = self.at - digits;
        if length == 0 {
            return Err(refuse(start, "a digit must stand here"));
        }
        if self.bytes[digits] == b'0' && (length > 1 || negative) {
            return Err(refuse(start, "the number has a sign or a zero too many"));
        }
        if matches!(self.bytes.get(self.at), Some(b'.' | b'e' | b'E')) {
            return Err(FormatError::NotAllowed { what: "a number that is not an integer" });
        }
        if value > MAX_INTEGER {
            return Err(FormatError::NotAllowed { what: BEYOND });
        }
        Ok(if negative { -value } else { value })
    }

    /// A string; borrowed unless it has an escape.
    pub(crate) fn string(&mut self) -> Result<Cow<'a, str>, FormatError> {
        self.expect(b'"', "a string must begin here")?;
        let start = self.at;
        self.at += plain(&self.bytes[start..]);
        match self.bytes.get(self.at) {
            Some(b'"') => {
                let text = &self.text[start..self.at];
                self.at += 1;
                Ok(Cow::Borrowed(text))
            }
            Some(b'\\') => self.escaped(start).map(Cow::Owned),
            Some(_) => Err(self.refuse("a control character is not escaped")),
            None => Err(self.refuse("the string has no end")),
        }
    }

    fn escaped(&mut self, start: usize) -> Result<String, FormatError> {
        let mut text = String::new();
        let mut plain = start;
        loop {
            match self.bytes.get(self.at) {
                Some(b'"') => {
                    text.push_str(&self.text[plain..self.at]);
                    self.at += 1;
                    return Ok(text);
                }
                Some(b'\\') => {
                    text.push_str(&self.text[plain..self.at]);
                    text.push(char::from(self.escape()?));
                    plain = self.at;
                }
                Some(byte) if needs_escape(*byte) => return Err(self.refuse("a control character is not escaped")),
                Some(_) => self.at += 1,
                None => return Err(self.refuse("the string has no end")),
            }
        }
    }

    /// The byte that an escape stands for; the shortest escape is the only one.
    fn escape(&mut self) -> Result<u8, FormatError> {
        let rest = &self.bytes[self.at + 1..];
        let (byte, length) = match rest {
            [letter @ (b'"' | b'\\'), ..] => (*letter, 2),
            [b'b', ..] => (0x08, 2),
            [b't', ..] => (0x09, 2),
            [b'n', ..] => (0x0a, 2),
            [b'f', ..] => (0x0c, 2),
            [b'r', ..] => (0x0d, 2),
            [b'u', b'0', b'0', high @ (b'0' | b'1'), low, ..] => {
                let low = match low {
                    b'0'..=b'9' => low - b'0',
                    b'a'..=b'f' => low - b'a' + 10,
                    _ => return Err(self.refuse("the escape is not the shortest")),
                };
                let byte = (high - b'0') << 4 | low;
                if short_escape(byte).is_some() {
                    return Err(self.refuse("the escape is not the shortest"));
                }
                (byte, 6)
            }
            _ => return Err(self.refuse("the escape is not the shortest")),
        };
        self.at += length;
        Ok(byte)
    }

    fn word(&mut self, word: &'static str) -> Result<(), FormatError> {
        if self.literal(word) { Ok(()) } else { Err(self.refuse("a value must stand here")) }
    }

    fn skip(&mut self, byte: u8) -> bool {
        let there = self.bytes.get(self.at) == Some(&byte);
        self.at += usize::from(there);
        there
    }

    fn expect(&mut self, byte: u8, what: &'static str) -> Result<(), FormatError> {
        if self.skip(byte) { Ok(()) } else { Err(self.refuse(what)) }
    }

    fn refuse(&self, what: &'static str) -> FormatError {
        refuse(self.at, what)
    }
}

/// How many bytes of a string come before one that ends it or wants an escape, eight at a time.
fn plain(bytes: &[u8]) -> usize {
    const ONES: u64 = u64::from_ne_bytes([1; 8]);
    const HIGH: u64 = ONES << 7;
    // Marks the high bit of each byte below `limit`, of which there is none over 127. A borrow marks too much only behind
    // the first, and only the first counts.
    let below = |word: u64, limit: u8| word.wrapping_sub(ONES * u64::from(limit)) & !word & HIGH;
    let (chunks, rest) = bytes.as_chunks();
    for (place, chunk) in chunks.iter().enumerate() {
        let word = u64::from_le_bytes(*chunk);
        let quote = below(word ^ (ONES * u64::from(b'"')), 1);
        let escape = below(word ^ (ONES * u64::from(b'\\')), 1);
        let stops = below(word, 0x20) | quote | escape;
        if stops != 0 {
            return place * 8 + stops.trailing_zeros() as usize / 8;
        }
    }
    let tail = rest.iter().take_while(|byte| !needs_escape(**byte)).count();
    bytes.len() - rest.len() + tail
}

fn refuse(at: usize, what: &'static str) -> FormatError {
    FormatError::NotCanonical { at, what }
}

const _: () = assert!(MAX_DEPTH < 128, "serde_json reads 128 levels and must be able to read what is accepted here");

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_ends_a_string_is_found_wherever_it_stands() {
        for length in 0..20 {
            for at in 0..length {
                for byte in 0..=255 {
                    for fill in [b'a', b'!', 0x7f, 0x80, 0xff] {
                        let mut bytes = vec![fill; length];
                        bytes[at] = byte;
                        let expected = if needs_escape(byte) { at } else { length };
                        assert_eq!(plain(&bytes), expected, "{byte:#x} at {at} of {length} {fill:#x}");
                    }
                }
            }
        }
    }
}
