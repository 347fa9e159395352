//! What a person signs to say yes: a text that anybody can check with his key, without Remint and without its log.
//!
//! ```text
//! remint.dev/approval/v1
//! about reset r-1
//! digest sha256:5f0c…
//! file 9ab1…
//! person alice
//! additions none
//! at 2026-01-31T08:30:00Z
//! until 2026-01-31T16:30:00Z
//! ```
//!
//! as the text of a signed note (see [`crate::note`]) of the person's own key, whose name is the person's. An entry names it
//! by its hash ([`Said`], `approval_sha256`), so that it can be erased with its name and still be missed; the bundle has the
//! note itself in `approvals.json`.
//!
//! | line | |
//! |---|---|
//! | `about` | `reset ID`, or `exception ID` |
//! | `digest` | the Merkle digest of the plan or revision, or that of the exception ([`pin_exception`]) |
//! | `file` | SHA-256 of the plan's file in the bundle; of an exception the same as `digest` |
//! | `additions` | what may be added without asking again: `none`, or a number and tiers, like `3 standard` |
//! | `until` | after this it counts no more, whatever a policy allows |

use serde_json::{Map, Value};

use crate::FormatError;
use crate::canonical::{self, Scanner};
use crate::entry::{self, Entry};
use crate::note::{self, Note, SigningKey, VerifierKey};
use crate::tree::{Hash, sha256};

/// The kind of the entry that somebody approved a reset's plan.
pub const SIGNED: &str = "reset.signed";
/// The kind of the entry that somebody took that back.
pub const WITHDRAWN: &str = "reset.withdrawn";
/// The key of the note's hash in the body of such an entry.
pub const APPROVAL_SHA256: &str = "approval_sha256";
/// The key of the hash of the signer's public key, as the table of persons had it.
pub const SIGNER_SHA256: &str = "signer_sha256";

/// What is signed of an exception: SHA-256 over the canonical JSON of `credential`, `exception` (its id), `owner`, `until` and
/// `why`.
#[must_use]
pub fn pin_exception(id: &str, credential: &str, owner: &str, until: &str, why: &str) -> Hash {
    let members = [("credential", credential), ("exception", id), ("owner", owner), ("until", until), ("why", why)];
    let members: Map<String, Value> =
        members.into_iter().map(|(key, value)| (key.to_owned(), Value::from(value))).collect();
    let mut bytes = Vec::new();
    // Strings alone always have a canonical form.
    let _ = canonical::write(&members, &mut bytes);
    sha256(&bytes)
}

/// An exception that persons approved, as the entry of a reset that relied on it says it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Excepted {
    pub entry: u64,
    pub subject: String,
    pub id: String,
    pub owner: String,
    pub digest: Hash,
    /// The hashes of the notes that were signed, each with that of its key.
    pub signed: Vec<(Hash, Hash)>,
}

impl Excepted {
    /// `None`: the entry names no exception of its own, as old ones and ungoverned ones do.
    pub(crate) fn of(entry: &Entry<'_>) -> Result<Option<Self>, FormatError> {
        let body = entry.body()?;
        let word = |key: &str| body.get(key).and_then(Value::as_str).map(str::to_owned);
        let Some(id) = word("exception") else { return Ok(None) };
        let must = |field: &'static str| {
            word(field).ok_or(FormatError::Field { field, why: "this kind of entry must have it" })
        };
        let subject = entry.subject.as_deref().unwrap_or_default().to_owned();
        let (owner, until, why) = (must("owner")?, must("until")?, must("why")?);
        let wrong = || FormatError::Field { field: "approvals", why: "it must be pairs of SHA-256" };
        let pair = |pair: &Value| {
            let hash = |at: usize| pair.get(at).and_then(Value::as_str).and_then(Hash::from_hex).ok_or_else(wrong);
            Ok((hash(0)?, hash(1)?))
        };
        let pairs = body.get("approvals").and_then(Value::as_array);
        let signed = pairs.into_iter().flatten().map(pair).collect::<Result<Vec<_>, FormatError>>()?;
        let digest = pin_exception(&id, &subject, &owner, &until, &why);
        Ok(Some(Self { entry: entry.number, subject, id, owner, digest, signed }))
    }
}

/// A yes, as it is signed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Approval {
    pub about: String,
    pub digest: String,
    pub file: Hash,
    pub person: String,
    pub additions: String,
    pub at: String,
    pub until: String,
}

impl Approval {
    /// Signs it.
    ///
    /// # Errors
    /// A field is empty or has a control character, a time is none, or the key is of another name.
    pub fn sign(&self, key: &SigningKey) -> Result<String, FormatError> {
        if key.verifier().name() != self.person {
            return Err(FormatError::Field { field: "person", why: "the key is of another person" });
        }
        let text = self.text();
        // What would not be read back is not signed.
        Self::parse(&text)?;
        note::sign(&text, key)
    }

    /// Reads a signed one and checks that the key signed it.
    ///
    /// # Errors
    /// It is none, or somebody else signed it.
    pub fn open(signed: &str, key: &VerifierKey) -> Result<Self, FormatError> {
        let approval = Self::unchecked(signed)?;
        Note::parse(signed.as_bytes())?.verify(key)?;
        if approval.person == key.name() {
            Ok(approval)
        } else {
            Err(FormatError::Field { field: "person", why: "the key is of another person" })
        }
    }

    /// Reads a signed one; nothing is known of who signed it.
    ///
    /// # Errors
    /// It is none, or has more than one signature.
    pub fn unchecked(signed: &str) -> Result<Self, FormatError> {
        let note = Note::parse(signed.as_bytes())?;
        if note.signatures.len() != 1 {
            return Err(FormatError::Malformed { what: "approval", why: "it must have exactly one signature" });
        }
        Self::parse(note.text)
    }

    fn text(&self) -> String {
        let Self { about, digest, file, person, additions, at, until } = self;
        format!(
            "{FORMAT}\nabout {about}\ndigest {digest}\nfile {file}\nperson {person}\nadditions {additions}\nat {at}\nuntil {until}\n"
        )
    }

    fn parse(text: &str) -> Result<Self, FormatError> {
        let mut lines = text.strip_suffix('\n').ok_or_else(malformed)?.split('\n');
        if lines.next() != Some(FORMAT) {
            return Err(FormatError::NotUnderstood { what: "the version of an approval".to_owned() });
        }
        let mut next = |name: &str| {
            let value = lines.next().and_then(|line| line.strip_prefix(name)?.strip_prefix(' '));
            let value = value.filter(|value| !value.is_empty() && !value.chars().any(char::is_control));
            value.map(str::to_owned).ok_or_else(malformed)
        };
        let approval = Self {
            about: next("about")?,
            digest: next("digest")?,
            file: Hash::from_hex(&next("file")?).ok_or_else(malformed)?,
            person: next("person")?,
            additions: next("additions")?,
            at: next("at")?,
            until: next("until")?,
        };
        entry::check_time(&approval.at)?;
        entry::check_time(&approval.until)?;
        if lines.next().is_some() { Err(malformed()) } else { Ok(approval) }
    }
}

/// A yes as its entry says it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Said {
    pub entry: u64,
    pub at: String,
    /// The digest of the plan or revision.
    pub plan: String,
    pub by: String,
    /// The person, where the table knew one: a name or a commitment.
    pub person: Option<String>,
    pub grade: String,
    /// The hash of the note, and that of the key: only of one that was signed.
    pub signed: Option<(Hash, Hash)>,
    /// The entry by which he took it back.
    pub withdrawn: Option<u64>,
}

impl Said {
    pub(crate) fn of(entry: &Entry<'_>) -> Result<Self, FormatError> {
        let body = entry.body()?;
        let word = |key: &str| body.get(key).and_then(Value::as_str).map(str::to_owned);
        let must = |field: &'static str| {
            word(field).ok_or(FormatError::Field { field, why: "this kind of entry must have it" })
        };
        let hash = |field: &'static str| {
            let wrong = FormatError::Field { field, why: "it must be a SHA-256" };
            word(field).map(|text| Hash::from_hex(&text).ok_or(wrong)).transpose()
        };
        Ok(Self {
            entry: entry.number,
            at: entry.at.clone().into_owned(),
            plan: must("plan")?,
            by: must("by")?,
            person: word("person"),
            grade: must("grade")?,
            signed: hash(APPROVAL_SHA256)?.zip(hash(SIGNER_SHA256)?),
            withdrawn: None,
        })
    }

    /// Whose it is: the person, else the principal.
    #[must_use]
    pub fn whose(&self) -> &str {
        self.person.as_deref().unwrap_or(&self.by)
    }
}

/// A signed approval in a bundle, with the key that the table of persons had for its signer.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Disclosed {
    pub entry: u64,
    pub key: String,
    pub note: String,
}

/// The file of some: one a line, in the order of their entries, `[]` when there is none.
///
/// # Errors
/// Something has no canonical form.
pub fn write(approvals: &[Disclosed]) -> Result<Vec<u8>, FormatError> {
    if approvals.is_empty() {
        return Ok(b"[]\n".to_vec());
    }
    let mut sorted: Vec<&Disclosed> = approvals.iter().collect();
    sorted.sort_by_key(|one| (one.entry, &one.note));
    let mut out = b"[\n".to_vec();
    for (place, one) in sorted.into_iter().enumerate() {
        if place > 0 {
            out.extend_from_slice(b",\n");
        }
        let members: [(&str, Value); 3] =
            [("entry", one.entry.into()), ("key", one.key.clone().into()), ("note", one.note.clone().into())];
        let members: Map<String, Value> = members.into_iter().map(|(key, value)| (key.to_owned(), value)).collect();
        canonical::write(&members, &mut out)?;
    }
    out.extend_from_slice(b"\n]\n");
    Ok(out)
}

/// Reads such a file, strictly.
///
/// # Errors
/// It is not the one form of a list of approvals.
pub fn read(bytes: &[u8]) -> Result<Vec<Disclosed>, FormatError> {
    let text = std::str::from_utf8(bytes).map_err(|_| not_a_list("it is not UTF-8"))?;
    if text == "[]\n" {
        return Ok(Vec::new());
    }
    let lines = text.strip_prefix("[\n").and_then(|rest| rest.strip_suffix("\n]\n"));
    let lines = lines.ok_or(not_a_list("it is not a list with one approval a line"))?;
    let approvals = lines.split(",\n").map(line).collect::<Result<Vec<_>, _>>()?;
    if write(&approvals)? == bytes { Ok(approvals) } else { Err(not_a_list("its approvals are not in order")) }
}

fn line(text: &str) -> Result<Disclosed, FormatError> {
    let (mut entry, mut key, mut note) = (None, None, None);
    let mut scanner = Scanner::new(text);
    scanner.object(1, |scanner, name| {
        match name.as_ref() {
            "entry" => entry = u64::try_from(scanner.integer()?).ok(),
            "key" => key = Some(scanner.string()?.into_owned()),
            "note" => note = Some(scanner.string()?.into_owned()),
            _ => return Err(FormatError::NotUnderstood { what: "a field of an approval".to_owned() }),
        }
        Ok(())
    })?;
    scanner.end()?;
    match (entry, key, note) {
        (Some(entry), Some(key), Some(note)) => Ok(Disclosed { entry, key, note }),
        _ => Err(not_a_list("an approval must have entry, key and note")),
    }
}

impl Disclosed {
    /// What the entry says of it: the hashes of the note and of the key.
    #[must_use]
    pub fn hashes(&self) -> (Hash, Hash) {
        (sha256(self.note.as_bytes()), sha256(self.key.as_bytes()))
    }
}

fn malformed() -> FormatError {
    FormatError::Malformed { what: "approval", why: "it does not have exactly the lines of one, each with its value" }
}

fn not_a_list(why: &'static str) -> FormatError {
    FormatError::Malformed { what: "list of approvals", why }
}

const FORMAT: &str = "remint.dev/approval/v1";
