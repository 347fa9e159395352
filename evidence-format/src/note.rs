//! Signed notes: a text and the signatures over it (c2sp.org/signed-note), Ed25519 only.
//!
//! ```text
//! text, any number of lines, each ended
//!
//! — name base64(key id ‖ signature)
//! ```
//!
//! The key id is the first four bytes of `SHA-256(name ‖ "\n" ‖ 0x01 ‖ public key)`. A verifier key is written
//! `name+id+base64(0x01 ‖ public key)`, a signing key `PRIVATE+KEY+name+id+base64(0x01 ‖ seed)`.
//!
//! Guarantees: base64 has one form here (padded, no spare bits); a signature that claims a known key and does not fit is
//! an error, not a signature to pass over; signatures of unknown keys are passed over: witnesses may sign beside.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;

use crate::FormatError;

pub use self::key::{SigningKey, VerifierKey};

pub(crate) mod half;
mod key;

/// A note as read. Nothing is known of it before [`Note::verify`].
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Note<'a> {
    /// What is signed, with its last line end.
    pub text: &'a str,
    pub signatures: Vec<Signature<'a>>,
}

/// One signature line.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Signature<'a> {
    pub name: &'a str,
    pub key_id: [u8; 4],
    pub bytes: Vec<u8>,
}

impl<'a> Note<'a> {
    /// Splits a note into text and signatures, strictly.
    pub fn parse(note: &'a [u8]) -> Result<Self, FormatError> {
        if note.len() > MAX_SIZE {
            return Err(FormatError::TooLarge { what: "the note", limit: MAX_SIZE });
        }
        let note = std::str::from_utf8(note).map_err(|_| malformed("it is not UTF-8"))?;
        if note.bytes().any(|byte| byte < 0x20 && byte != b'\n') {
            return Err(malformed("it has a control character"));
        }
        // The last empty line divides; the text may have others.
        let Some(divide) = note.rfind("\n\n") else { return Err(malformed("no empty line before the signatures")) };
        let (text, lines) = (&note[..=divide], &note[divide + 2..]);
        Ok(Self { text, signatures: signatures(lines)? })
    }

    /// Checks that the key signed the text.
    ///
    /// Errors: [`FormatError::Unsigned`] when no line is by the key, [`FormatError::BadSignature`] when a line says that
    /// it is and does not fit.
    pub fn verify(&self, key: &VerifierKey) -> Result<(), FormatError> {
        let mut signed = false;
        for signature in &self.signatures {
            if signature.name == key.name() && signature.key_id == key.id() {
                if !key.fits(self.text.as_bytes(), &signature.bytes) {
                    return Err(FormatError::BadSignature { name: key.name().to_owned() });
                }
                signed = true;
            }
        }
        if signed { Ok(()) } else { Err(FormatError::Unsigned { name: key.name().to_owned() }) }
    }
}

/// The note over a text: the text, an empty line and one signature.
///
/// Errors: a text that is empty, does not end its last line or has a control character.
pub fn sign(text: &str, key: &SigningKey) -> Result<String, FormatError> {
    attach(text, key.verifier(), &key.sign(text.as_bytes()))
}

/// As [`sign`], with a signature that was made elsewhere.
///
/// Errors: also a signature that does not fit the text, so that nobody is handed a note that nobody can check.
pub fn attach(text: &str, key: &VerifierKey, signature: &[u8]) -> Result<String, FormatError> {
    if !text.ends_with('\n') {
        return Err(malformed("the last line of the text has no end"));
    }
    if text.bytes().any(|byte| byte < 0x20 && byte != b'\n') {
        return Err(malformed("the text has a control character"));
    }
    if !key.fits(text.as_bytes(), signature) {
        return Err(FormatError::BadSignature { name: key.name().to_owned() });
    }
    Ok(format!("{text}\n{}", line(key.name(), key.id(), signature)))
}

/// The line of a signature, ended: what may be appended to a note.
pub(crate) fn line(name: &str, id: [u8; 4], signature: &[u8]) -> String {
    format!("\u{2014} {name} {}\n", STANDARD.encode([&id, signature].concat()))
}

/// Reads signature lines alone, as a witness answers with.
pub fn signatures(lines: &str) -> Result<Vec<Signature<'_>>, FormatError> {
    let Some(lines) = lines.strip_suffix('\n') else { return Err(malformed("the last line has no end")) };
    let signatures = lines.split('\n').map(signature).collect::<Result<Vec<_>, _>>()?;
    if signatures.len() > MAX_SIGNATURES {
        return Err(malformed("it has more than 100 signatures"));
    }
    Ok(signatures)
}

fn signature(line: &str) -> Result<Signature<'_>, FormatError> {
    let wrong = || malformed("a signature line must be `— name base64`");
    let (name, encoded) = line.strip_prefix("\u{2014} ").and_then(|rest| rest.split_once(' ')).ok_or_else(wrong)?;
    if !half::is_name(name) {
        return Err(wrong());
    }
    let decoded = STANDARD.decode(encoded).map_err(|_| wrong())?;
    let Some((key_id, bytes)) = decoded.split_first_chunk::<4>() else { return Err(wrong()) };
    if bytes.is_empty() {
        return Err(wrong());
    }
    Ok(Signature { name, key_id: *key_id, bytes: bytes.to_vec() })
}

fn malformed(why: &'static str) -> FormatError {
    FormatError::Malformed { what: "signed note", why }
}

/// A manifest of a bundle has few files; a checkpoint has three lines.
const MAX_SIZE: usize = 1024 * 1024;
const MAX_SIGNATURES: usize = 100;
