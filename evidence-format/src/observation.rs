//! What somebody else saw: a prober on another host tries a value with its own eyes and signs what the target answered.
//!
//! ```text
//! remint.dev/observation/v1
//! reset r-1
//! credential Credential/ci
//! system System/git
//! endpoint https://git.example.org
//! version v3
//! value 5f0c…
//! verdict denied
//! at 2026-01-31T08:30:00Z
//! request 9ab1…
//! ```
//!
//! as the text of a signed note (see [`crate::note`]) of the prober's own key; an entry `old.observed` has the note in its
//! body under `note`, with the credential as its subject.
//!
//! | line | |
//! |---|---|
//! | `value` | a keyed fingerprint that only the prober can make: the same in two observations means the same value |
//! | `verdict` | `accepted`, `denied` (as an authentication, never for rights), `unclear` |
//! | `at` | by the prober's own clock |
//! | `request` | SHA-256 of what the prober was asked, so that an old answer is none to a new question |
//!
//! A value that a prober saw accepted and later denied was the live one: whoever hands it a worthless value instead has
//! no `accepted` to show under the same `value`.

use serde_json::Value;

use crate::FormatError;
use crate::entry::{self, Entry};
use crate::note::{self, Note, SigningKey, VerifierKey};
use crate::tree::Hash;

/// The kind of the entry that holds one.
pub const OBSERVED: &str = "old.observed";

/// The kind of the entry that holds one of the new value, tried from where the old one was refused: what answered there is the
/// system itself. Whoever does not know the kind passes over it.
pub const CONTROLLED: &str = "new.observed";

/// What a prober saw.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Observation {
    pub reset: String,
    pub credential: String,
    pub system: String,
    pub endpoint: String,
    pub version: String,
    pub value: String,
    pub verdict: Verdict,
    pub at: String,
    pub request: Hash,
}

/// What the target answered.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Verdict {
    Accepted,
    Denied,
    Unclear,
}

impl Verdict {
    pub const fn word(self) -> &'static str {
        match self {
            Self::Accepted => "accepted",
            Self::Denied => "denied",
            Self::Unclear => "unclear",
        }
    }

    fn read(word: &str) -> Result<Self, FormatError> {
        [Self::Accepted, Self::Denied, Self::Unclear]
            .into_iter()
            .find(|verdict| verdict.word() == word)
            .ok_or_else(|| FormatError::NotUnderstood { what: "the verdict of an observation".to_owned() })
    }
}

impl Observation {
    /// Signs it.
    ///
    /// # Errors
    /// A field is empty or has a control character, or the time is not one.
    pub fn sign(&self, key: &SigningKey) -> Result<String, FormatError> {
        let text = self.text();
        // What would not be read back is not signed.
        Self::parse(&text)?;
        note::sign(&text, key)
    }

    fn text(&self) -> String {
        format!(
            "{FORMAT}\nreset {}\ncredential {}\nsystem {}\nendpoint {}\nversion {}\nvalue {}\nverdict {}\nat {}\nrequest {}\n",
            self.reset,
            self.credential,
            self.system,
            self.endpoint,
            self.version,
            self.value,
            self.verdict.word(),
            self.at,
            self.request
        )
    }

    /// Reads the text of one. It proves nothing by itself.
    ///
    /// # Errors
    /// It does not have exactly the lines above.
    pub fn parse(text: &str) -> Result<Self, FormatError> {
        let body = text.strip_suffix('\n').ok_or_else(malformed)?;
        let mut lines = body.split('\n');
        if lines.next() != Some(FORMAT) {
            return Err(FormatError::NotUnderstood { what: "the version of an observation".to_owned() });
        }
        let mut field = |name: &str| {
            let value = lines.next()?.strip_prefix(name)?.strip_prefix(' ')?;
            (!value.is_empty() && !value.chars().any(char::is_control)).then(|| value.to_owned())
        };
        let mut next = |name| field(name).ok_or_else(malformed);
        let observation = Self {
            reset: next("reset")?,
            credential: next("credential")?,
            system: next("system")?,
            endpoint: next("endpoint")?,
            version: next("version")?,
            value: next("value")?,
            verdict: Verdict::read(&next("verdict")?)?,
            at: next("at")?,
            request: Hash::from_hex(&next("request")?).ok_or_else(malformed)?,
        };
        entry::check_time(&observation.at)?;
        if lines.next().is_some() { Err(malformed()) } else { Ok(observation) }
    }

    /// Reads a signed one and checks that the key signed it.
    ///
    /// # Errors
    /// It is none, or somebody else signed it.
    pub fn open(signed: &str, key: &VerifierKey) -> Result<Self, FormatError> {
        let note = Note::parse(signed.as_bytes())?;
        note.verify(key)?;
        Self::parse(note.text)
    }
}

/// An observation as an entry holds it; nobody has checked its signature yet.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Observed {
    pub entry: u64,
    pub note: String,
    /// Who says that it signed it.
    pub by: String,
    pub saw: Observation,
}

impl Observed {
    pub(crate) fn of(entry: &Entry<'_>) -> Result<Self, FormatError> {
        let body = entry.body()?;
        let missing = FormatError::Field { field: "note", why: "this kind of entry must have it" };
        let text = body.get("note").and_then(Value::as_str).ok_or(missing)?.to_owned();
        let parsed = Note::parse(text.as_bytes())?;
        let [signature] = parsed.signatures.as_slice() else {
            return Err(FormatError::Malformed { what: "observation", why: "it must have exactly one signature" });
        };
        let (by, saw) = (signature.name.to_owned(), Observation::parse(parsed.text)?);
        if entry.subject.as_deref() != Some(&saw.credential) || entry.reset.as_deref() != Some(&saw.reset) {
            return Err(FormatError::Field { field: "note", why: "it is of another credential or reset" });
        }
        Ok(Self { entry: entry.number, note: text, by, saw })
    }
}

fn malformed() -> FormatError {
    FormatError::Malformed {
        what: "observation",
        why: "it does not have exactly the lines of one, each with its value",
    }
}

const FORMAT: &str = "remint.dev/observation/v1";
