//! One entry: what happened, when, to what, and which entry came before it in the same reset.
//!
//! The bytes are the line [`DOMAIN`] followed by one canonical JSON object (see [`crate::canonical`]) and nothing else:
//!
//! ```text
//! remint.dev/evidence/v1
//! {"at":"…","body":{…},"governed":"ungoverned","kind":"…","number":1,"previous":"…","reset":"…","subject":"…"}
//! ```
//!
//! | field | |
//! |---|---|
//! | `at` | RFC 3339 in UTC, written with `T` and `Z` |
//! | `body` | an object; its keys belong to the kind |
//! | `governed` | `ungoverned`, the only word of this version; whether a reset was governed its `reset.requested` says |
//! | `kind` | 1 to 64 of `a-z 0-9 . -` |
//! | `number` | 1, 2, 3, … within the reset, or within the entries of no reset |
//! | `previous` | leaf hash of the entry with the number before, 64 hexadecimal digits; [`FIRST`] for number 1 |
//! | `reset` | only of an entry that belongs to one |
//! | `subject` | only of an entry that is about one document or place |
//!
//! Guarantees: [`parse`] accepts exactly what [`seal`] can give, so a content has one form and one hash; whoever hashes
//! takes the bytes as stored. An unknown version, field or word is [`FormatError::NotUnderstood`], never skipped.

use std::borrow::Cow;

use serde_json::{Map, Value};

use crate::canonical::{self, Scanner};
use crate::tree::{self, Hash};
use crate::{Draft, FormatError, hex};

/// The version and what the bytes are, so that a hash of an entry is never the hash of something else.
pub const DOMAIN: &str = "remint.dev/evidence/v1\n";

/// `previous` of the first entry.
pub const FIRST: Hash = Hash([0; 32]);

/// The largest entry, in bytes: what the length before an entry of a tile can say (c2sp.org/tlog-tiles).
pub const MAX_SIZE: usize = 0xffff;

/// The only word of `governed` in this version.
pub const UNGOVERNED: &str = "ungoverned";

/// What a reset and its bundle say where policies and persons stood behind it.
pub const GOVERNED: &str = "governed";

/// An entry as read; it borrows from the bytes that it was read from.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Entry<'a> {
    pub kind: Cow<'a, str>,
    pub at: Cow<'a, str>,
    pub reset: Option<Cow<'a, str>>,
    pub number: u64,
    pub previous: Hash,
    pub subject: Option<Cow<'a, str>>,
    /// The canonical text of the body.
    pub body: &'a str,
}

impl Entry<'_> {
    /// The body as a value.
    pub fn body(&self) -> Result<Map<String, Value>, FormatError> {
        serde_json::from_str(self.body).map_err(|_| FormatError::Field { field: "body", why: "it is not an object" })
    }
}

/// The bytes of an entry: what is stored, hashed and shown.
///
/// Errors: a field that is not as the table above says, a value without a canonical form, nesting beyond
/// [`canonical::MAX_DEPTH`], more than [`MAX_SIZE`] bytes.
pub fn seal(draft: &Draft, number: u64, previous: Hash) -> Result<Vec<u8>, FormatError> {
    check_kind(&draft.kind)?;
    check_time(&draft.at)?;
    check_name("reset", draft.reset.as_deref())?;
    check_name("subject", draft.subject.as_deref())?;
    check_place(number, previous)?;
    let mut out = Vec::with_capacity(512);
    out.extend_from_slice(DOMAIN.as_bytes());
    out.extend_from_slice(b"{\"at\":");
    canonical::write_string(&draft.at, &mut out);
    out.extend_from_slice(b",\"body\":");
    // The body is an object inside the entry's own.
    canonical::write_member(&draft.body, &mut out)?;
    out.extend_from_slice(b",\"governed\":\"ungoverned\",\"kind\":");
    canonical::write_string(&draft.kind, &mut out);
    out.extend_from_slice(b",\"number\":");
    canonical::write_integer(number.cast_signed(), &mut out);
    out.extend_from_slice(b",\"previous\":\"");
    hex::append(&previous.0, &mut out);
    out.push(b'"');
    if let Some(reset) = &draft.reset {
        out.extend_from_slice(b",\"reset\":");
        canonical::write_string(reset, &mut out);
    }
    if let Some(subject) = &draft.subject {
        out.extend_from_slice(b",\"subject\":");
        canonical::write_string(subject, &mut out);
    }
    out.push(b'}');
    if out.len() > MAX_SIZE {
        return Err(FormatError::TooLarge { what: "the entry", limit: MAX_SIZE });
    }
    debug_assert!(parse(&out).is_ok(), "an entry was sealed that cannot be read");
    Ok(out)
}

/// Reads an entry, strictly.
pub fn parse(bytes: &[u8]) -> Result<Entry<'_>, FormatError> {
    if bytes.len() > MAX_SIZE {
        return Err(FormatError::TooLarge { what: "the entry", limit: MAX_SIZE });
    }
    let Some(json) = bytes.strip_prefix(DOMAIN.as_bytes()) else {
        return Err(FormatError::NotUnderstood { what: "the version of the entry".to_owned() });
    };
    let json = std::str::from_utf8(json)
        .map_err(|error| FormatError::NotCanonical { at: error.valid_up_to(), what: "it is not UTF-8" })?;
    parse_json(json)
}

/// The hash of an entry's bytes: a leaf of the tree, and `previous` of the entry after it.
pub fn hash(bytes: &[u8]) -> Hash {
    tree::leaf_hash(bytes)
}

/// Reads the JSON of an entry, without its first line; positions in errors count from the brace.
pub(crate) fn parse_json(json: &str) -> Result<Entry<'_>, FormatError> {
    // The canonical order of the keys leaves an entry one form. What has another is refused by whoever can say why.
    let fields = match Fields::known(json)? {
        Some(fields) => fields,
        None => Fields::any(json)?,
    };
    fields.check()
}

/// An entry's fields as they stand.
struct Fields<'a> {
    at: Cow<'a, str>,
    body: &'a str,
    governed: Cow<'a, str>,
    kind: Cow<'a, str>,
    number: i64,
    previous: Cow<'a, str>,
    reset: Option<Cow<'a, str>>,
    subject: Option<Cow<'a, str>>,
}

impl<'a> Fields<'a> {
    /// Reads the keys that an entry has, in their order; `None` where others stand.
    fn known(json: &'a str) -> Result<Option<Self>, FormatError> {
        let mut scanner = Scanner::new(json);
        macro_rules! after {
            ($key:literal, $read:expr) => {
                if scanner.literal($key) { $read } else { return Ok(None) }
            };
        }
        let at = after!("{\"at\":", scanner.string()?);
        let body = after!(",\"body\":", scanner.any_object(2)?);
        let governed = after!(",\"governed\":", scanner.string()?);
        let kind = after!(",\"kind\":", scanner.string()?);
        let number = after!(",\"number\":", scanner.integer()?);
        let previous = after!(",\"previous\":", scanner.string()?);
        let reset = if scanner.literal(",\"reset\":") { Some(scanner.string()?) } else { None };
        let subject = if scanner.literal(",\"subject\":") { Some(scanner.string()?) } else { None };
        after!("}", scanner.end()?);
        Ok(Some(Self { at, body, governed, kind, number, previous, reset, subject }))
    }

    /// Reads whatever stands there, and says what is wrong with it.
    fn any(json: &'a str) -> Result<Self, FormatError> {
        let mut at = None;
        let mut body = None;
        let mut governed = None;
        let mut kind = None;
        let mut number = None;
        let mut previous = None;
        let mut reset = None;
        let mut subject = None;
        let mut scanner = Scanner::new(json);
        scanner.object(1, |scanner, key| {
            match key.as_ref() {
                "at" => at = Some(scanner.string()?),
                "body" => body = Some(scanner.any_object(2)?),
                "governed" => governed = Some(scanner.string()?),
                "kind" => kind = Some(scanner.string()?),
                "number" => number = Some(scanner.integer()?),
                "previous" => previous = Some(scanner.string()?),
                "reset" => reset = Some(scanner.string()?),
                "subject" => subject = Some(scanner.string()?),
                _ => return Err(FormatError::NotUnderstood { what: "a field of the entry".to_owned() }),
            }
            Ok(())
        })?;
        scanner.end()?;
        Ok(Self {
            at: required("at", at)?,
            body: required("body", body)?,
            governed: required("governed", governed)?,
            kind: required("kind", kind)?,
            number: required("number", number)?,
            previous: required("previous", previous)?,
            reset,
            subject,
        })
    }

    fn check(self) -> Result<Entry<'a>, FormatError> {
        if self.governed != UNGOVERNED {
            return Err(FormatError::NotUnderstood { what: "the word in `governed`".to_owned() });
        }
        let entry = Entry {
            at: self.at,
            body: self.body,
            kind: self.kind,
            number: u64::try_from(self.number).unwrap_or_default(),
            previous: hex::decode(&self.previous)
                .map(Hash)
                .ok_or(FormatError::Field { field: "previous", why: "it is not 64 hexadecimal digits" })?,
            reset: self.reset,
            subject: self.subject,
        };
        check_kind(&entry.kind)?;
        check_time(&entry.at)?;
        check_name("reset", entry.reset.as_deref())?;
        check_name("subject", entry.subject.as_deref())?;
        check_place(entry.number, entry.previous)?;
        Ok(entry)
    }
}

fn required<T>(field: &'static str, value: Option<T>) -> Result<T, FormatError> {
    value.ok_or(FormatError::Field { field, why: "it is missing" })
}

fn check_kind(kind: &str) -> Result<(), FormatError> {
    let allowed = |byte: u8| byte.is_ascii_lowercase() || byte.is_ascii_digit() || byte == b'.' || byte == b'-';
    if kind.is_empty() || kind.len() > 64 || !kind.bytes().all(allowed) {
        return Err(FormatError::Field { field: "kind", why: "it must be 1 to 64 of a-z, 0-9, `.` and `-`" });
    }
    Ok(())
}

/// Whether one time of the form of `at` lies before another; a fraction counts, however many digits it has.
pub(crate) fn is_before(one: &str, other: &str) -> bool {
    let split = |at: &str| {
        let (whole, fraction) =
            at.trim_end_matches('Z').split_once('.').map_or((at, ""), |(whole, rest)| (whole, rest));
        (whole.trim_end_matches('Z').to_owned(), format!("{fraction:0<9}"))
    };
    split(one) < split(other)
}

/// `YYYY-MM-DDTHH:MM:SS`, a fraction of 1 to 9 digits if any, `Z`.
pub(crate) fn check_time(at: &str) -> Result<(), FormatError> {
    let wrong = FormatError::Field { field: "at", why: "it must be RFC 3339 in UTC, like 2026-01-31T08:30:00Z" };
    let bytes = at.as_bytes();
    let (Some(whole), Some(rest)) = (bytes.get(..19), bytes.get(19..)) else { return Err(wrong) };
    let shape = b"dddd-dd-ddTdd:dd:dd";
    let fits = whole.iter().zip(shape).all(|(byte, form)| match form {
        b'd' => byte.is_ascii_digit(),
        _ => byte == form,
    });
    let pair = |at: usize| (whole[at] - b'0') * 10 + (whole[at + 1] - b'0');
    let in_range = fits
        && (1..=12).contains(&pair(5))
        && (1..=31).contains(&pair(8))
        && pair(11) < 24
        && pair(14) < 60
        && pair(17) < 60;
    let ending = match rest {
        b"Z" => true,
        [b'.', digits @ .., b'Z'] => (1..=9).contains(&digits.len()) && digits.iter().all(u8::is_ascii_digit),
        _ => false,
    };
    if in_range && ending { Ok(()) } else { Err(wrong) }
}

fn check_name(field: &'static str, name: Option<&str>) -> Result<(), FormatError> {
    match name {
        Some("") => Err(FormatError::Field { field, why: "it is empty; leave it out" }),
        _ => Ok(()),
    }
}

fn check_place(number: u64, previous: Hash) -> Result<(), FormatError> {
    if number == 0 || number > canonical::MAX_INTEGER.unsigned_abs() {
        return Err(FormatError::Field { field: "number", why: "it must be 1 or more, and within 2^53 - 1" });
    }
    if (number == 1) != (previous == FIRST) {
        return Err(FormatError::Field { field: "previous", why: "it is all zeros in number 1, and only there" });
    }
    Ok(())
}
