//! The evidence of one reset, in a form that an auditor checks alone and opens with ordinary tools.
//!
//! A bundle is a set of files: a folder, or one plain `tar` archive of them.
//!
//! | file | |
//! |---|---|
//! | `manifest` | signed note: format, reset, governance, then `sha256sum` lines and `wc -c` lines of every other file |
//! | `plan-1.json`, `plan-2.json`, … | every plan that an entry pins by `plan_sha256`, in the order of the entries: the first, then its revisions |
//! | `entries.jsonl` | one line for each entry of the reset: its bytes without the first line, [`entry::DOMAIN`] |
//! | `proofs.jsonl` | one line for each entry: number, index in the tree, inclusion path from the leaf up |
//! | `checkpoint` | signed note: the tree that the proofs lead to, with the cosignatures it has |
//! | `consistency.jsonl` | earlier checkpoints of the log, each with the proof that it is the beginning of this one |
//! | `completeness.json` | what became of everything reached; follows from the entries alone |
//! | `key-1.tlog-proof`, … | only of a log whose key changed: from each key to the next ([`crate::succession`]) |
//! | `persons.json` | names for commitments in the entries, as far as they are disclosed ([`crate::person`]) |
//! | `approvals.json` | what persons signed, each with his key ([`crate::approval`]); `[]` in a bundle that says `ungoverned` |
//! | `exceptions.json` | what persons signed to leave something as it is, in the same form; `[]` where nobody did |
//!
//! `sed -n '/^[0-9a-f]\{64\}  /p' manifest | sha256sum -c` checks the files by hand.
//!
//! Guarantees: files and archive have one form, so that a byte more, less or other is a finding; the signature covers
//! the manifest and through it every byte of every other file; what cannot be understood is a finding, never passed over.

use std::collections::BTreeMap;

use crate::approval;
use crate::entry::{self, DOMAIN};
use crate::ledger::{Ledger, LedgerError};
use crate::note::{self, SigningKey, VerifierKey};
use crate::person::{self, Disclosed};
use crate::report::{Finding, Report};
use crate::succession::Followed;
use crate::tree::{Hash, Tree};
use crate::{FormatError, Stored};

pub use self::trust::Trust;

mod approvals;
mod archive;
mod consistency;
mod manifest;
mod observed;
mod plans;
mod proof;
mod trust;
mod verify;

/// The files of a bundle, by name.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Bundle {
    files: BTreeMap<String, Vec<u8>>,
}

/// What a bundle is made of.
#[derive(Debug, Clone, Copy)]
pub struct Parts<'a> {
    pub reset: &'a str,
    /// The bytes of every plan's file, in the order in which the entries name them ([`Ledger::plans`]).
    pub plans: &'a [Vec<u8>],
    /// All entries of the reset so far, in order.
    pub entries: &'a [Placed],
    /// A signed checkpoint of the tree that the entries' proofs lead to.
    pub checkpoint: &'a str,
    /// Checkpoints that somebody may have seen before.
    pub earlier: &'a [Earlier],
    /// Names for what the entries commit to, as far as they are to be told.
    pub persons: &'a [Disclosed],
    /// From each key of the log to the next ([`crate::succession`]), the oldest first.
    pub links: &'a [String],
    /// What persons signed of its plans, as far as it is to be told.
    pub approvals: &'a [approval::Disclosed],
    /// What persons signed to leave something as it is.
    pub exceptions: &'a [approval::Disclosed],
}

/// An earlier state of the log, and the proof that it is the beginning of the one in the bundle.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Earlier {
    pub size: u64,
    pub root: Hash,
    pub path: Vec<Hash>,
}

impl Earlier {
    /// The first `size` entries of a tree that now has `now`; `None` when it has fewer.
    pub fn new(tree: &Tree, size: u64, now: u64) -> Option<Self> {
        let (at, end) = (usize::try_from(size).ok()?, usize::try_from(now).ok()?);
        Some(Self { size, root: tree.root(at)?, path: tree.consistency(at, end)? })
    }
}

/// An entry and its place in the tree.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Placed {
    pub bytes: Vec<u8>,
    pub index: u64,
    /// Siblings from the leaf up, in the tree of the checkpoint.
    pub proof: Vec<Hash>,
}

impl Placed {
    /// Places a stored entry in the tree of the first `size` entries; `None` when it is not in there.
    pub fn new(stored: &Stored, tree: &Tree, size: u64) -> Option<Self> {
        let index = stored.index?;
        let proof = tree.inclusion(usize::try_from(index).ok()?, usize::try_from(size).ok()?)?;
        Some(Self { bytes: stored.bytes.clone(), index, proof })
    }
}

/// Why no bundle could be made.
#[derive(Debug, thiserror::Error)]
pub enum BuildError {
    #[error("the bundle cannot be written")]
    Format(#[from] FormatError),
    #[error("entry {number} of the reset does not fit")]
    Entry {
        number: usize,
        #[source]
        source: LedgerError,
    },
    /// A bundle that its own verifier would refuse is not handed out.
    #[error("the bundle would not verify: {}", .0.iter().map(ToString::to_string).collect::<Vec<_>>().join("; "))]
    Refused(Vec<Finding>),
}

/// A bundle that only wants its signature.
#[derive(Debug, Clone)]
pub struct Unsigned {
    text: String,
    files: BTreeMap<String, Vec<u8>>,
}

impl Unsigned {
    /// What is to be signed.
    pub fn text(&self) -> &str {
        &self.text
    }

    /// The bundle, with a signature over [`Unsigned::text`].
    ///
    /// Errors: the signature does not fit, or the bundle would not verify under the key.
    pub fn signed(mut self, key: &VerifierKey, signature: &[u8]) -> Result<Bundle, BuildError> {
        self.files.insert(MANIFEST.to_owned(), note::attach(&self.text, key, signature)?.into_bytes());
        let bundle = Bundle { files: self.files };
        let report = bundle.verify(Some(key));
        if report.integrity { Ok(bundle) } else { Err(BuildError::Refused(report.findings)) }
    }
}

impl Bundle {
    /// Makes and signs the bundle of a reset, closed or not.
    ///
    /// Guarantees: the same parts and key give the same bytes; the result passes [`Bundle::verify`] under the key but for
    /// what is incomplete.
    pub fn build(parts: &Parts<'_>, key: &SigningKey) -> Result<Self, BuildError> {
        let unsigned = Self::unsigned(parts)?;
        let signature = key.sign(unsigned.text().as_bytes());
        unsigned.signed(key.verifier(), &signature)
    }

    /// The bundle before its manifest is signed, by a key that may be elsewhere.
    ///
    /// Errors: the parts do not fit each other.
    pub fn unsigned(parts: &Parts<'_>) -> Result<Unsigned, BuildError> {
        let mut ledger = Ledger::new(parts.reset);
        let mut entries = Vec::new();
        let mut proofs = Vec::new();
        for (place, placed) in parts.entries.iter().enumerate() {
            let refuse = |source| BuildError::Entry { number: place + 1, source };
            let parsed = entry::parse(&placed.bytes).map_err(|error| refuse(error.into()))?;
            ledger.read(&parsed, entry::hash(&placed.bytes)).map_err(refuse)?;
            entries.extend_from_slice(&placed.bytes[DOMAIN.len()..]);
            entries.push(b'\n');
            proof::write(parsed.number, placed, &mut proofs);
        }
        let mut files = BTreeMap::from([
            (APPROVALS.to_owned(), approval::write(parts.approvals)?),
            (CHECKPOINT.to_owned(), parts.checkpoint.as_bytes().to_vec()),
            (COMPLETENESS.to_owned(), ledger.completeness()?.into_bytes()),
            (CONSISTENCY.to_owned(), consistency::write(parts.earlier)),
            (ENTRIES.to_owned(), entries),
            (EXCEPTIONS.to_owned(), approval::write(parts.exceptions)?),
            (PERSONS.to_owned(), person::write(parts.persons)?),
            (PROOFS.to_owned(), proofs),
        ]);
        files.extend(parts.plans.iter().zip(1..).map(|(plan, number)| (plan_name(number), plan.clone())));
        files.extend(parts.links.iter().zip(1..).map(|(link, number)| (link_name(number), link.clone().into_bytes())));
        Ok(Unsigned { text: manifest::unsigned(parts.reset, ledger.governance(), &files)?, files })
    }

    /// The bundle of these files, as read from a folder; nothing is checked before [`Bundle::verify`].
    pub fn from_files(files: BTreeMap<String, Vec<u8>>) -> Self {
        Self { files }
    }

    pub fn files(&self) -> &BTreeMap<String, Vec<u8>> {
        &self.files
    }

    /// Reads the one-file form, strictly.
    pub fn from_archive(bytes: &[u8]) -> Result<Self, FormatError> {
        archive::read(bytes).map(Self::from_files)
    }

    /// The one-file form: a `tar` archive.
    pub fn to_archive(&self) -> Result<Vec<u8>, FormatError> {
        archive::write(&self.files)
    }

    /// Says what holds and what does not. Without a key nothing is known of who wrote it, and the report is not ok.
    pub fn verify(&self, key: Option<&VerifierKey>) -> Report {
        self.verify_with(&Trust::in_key(key))
    }

    /// The same, against all that whoever verifies knows.
    pub fn verify_with(&self, trust: &Trust) -> Report {
        verify::verify(&self.files, trust)
    }

    /// What the entries add up to, read as far as they go without a mistake; for whoever shows a bundle that verifies.
    ///
    /// # Errors
    /// The entries are not those of one reset.
    pub fn ledger(&self) -> Result<Ledger, LedgerError> {
        let manifest = self.files.get(MANIFEST).map(Vec::as_slice).unwrap_or_default();
        let reset = manifest::reset_of(&crate::note::Note::parse(manifest)?)?.0.to_owned();
        let mut ledger = Ledger::new(&reset);
        for bytes in self.entries() {
            ledger.read(&entry::parse(&bytes)?, entry::hash(&bytes))?;
        }
        Ok(ledger)
    }

    /// Where the links in it lead from a key: to the one that signs.
    ///
    /// # Errors
    /// A link does not verify, or does not begin where the one before ended.
    pub fn follow(&self, key: &VerifierKey) -> Result<Followed, FormatError> {
        verify::follow(&self.files, key)
    }

    /// Names by what the entries say instead, as far as they are disclosed.
    ///
    /// # Errors
    /// The file of them is not one.
    pub fn persons(&self) -> Result<BTreeMap<String, String>, FormatError> {
        person::read(self.files.get(PERSONS).map(Vec::as_slice).unwrap_or_default())
    }

    /// The bytes of every entry, in order.
    pub fn entries(&self) -> impl Iterator<Item = Vec<u8>> {
        let lines = self.files.get(ENTRIES).map(Vec::as_slice).unwrap_or_default();
        let lines = lines.split(|byte| *byte == b'\n').filter(|line| !line.is_empty());
        lines.map(|line| [DOMAIN.as_bytes(), line].concat())
    }
}

/// Verifies the one-file form.
pub fn verify(archive: &[u8], key: Option<&VerifierKey>) -> Report {
    verify_with(archive, &Trust::in_key(key))
}

/// The same, against all that whoever verifies knows.
pub fn verify_with(archive: &[u8], trust: &Trust) -> Report {
    match Bundle::from_archive(archive) {
        Ok(bundle) => bundle.verify_with(trust),
        Err(error) => Report::unreadable(&error),
    }
}

/// The name of the file of a link between keys, from 1.
pub fn link_name(number: usize) -> String {
    format!("key-{number}.tlog-proof")
}

/// The name of a plan's file, from 1.
pub fn plan_name(number: usize) -> String {
    format!("plan-{number}.json")
}

pub const MANIFEST: &str = "manifest";
/// The first plan.
pub const PLAN: &str = "plan-1.json";
pub const CONSISTENCY: &str = "consistency.jsonl";
pub const ENTRIES: &str = "entries.jsonl";
pub const PROOFS: &str = "proofs.jsonl";
pub const CHECKPOINT: &str = "checkpoint";
pub const COMPLETENESS: &str = "completeness.json";
pub const APPROVALS: &str = "approvals.json";
pub const EXCEPTIONS: &str = "exceptions.json";
pub const PERSONS: &str = "persons.json";
