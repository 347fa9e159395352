//! A person's yes with a key of his own: making the key, making the yes, and what it must be bound to.
//!
//! The key's file holds the signing key of a note (`PRIVATE+KEY+…`), one line, readable by its owner only; its public half
//! goes into the table of persons, under `keys`.

use std::fs::OpenOptions;
use std::io::{self, Write as _};
use std::os::unix::fs::{OpenOptionsExt as _, PermissionsExt as _};
use std::path::{Path, PathBuf};
use std::time::Duration;

use jiff::Timestamp;
use remint_core::approval::Additions;
use remint_core::digest::Digest;
use remint_evidence_format::FormatError;
use remint_evidence_format::approval::Approval;
use remint_evidence_format::note::SigningKey;
use remint_evidence_format::tree::Hash;
use zeroize::Zeroizing;

use crate::escrow::{NoRandomness, Randomness};

/// What a yes is of.
#[derive(Debug, Clone)]
pub struct About<'a> {
    /// `reset ID` or `exception ID`.
    pub what: &'a str,
    pub digest: Digest,
    /// SHA-256 of the file that people look at, in hexadecimal.
    pub file: &'a str,
}

/// What a yes says beside what it is of.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Bound {
    pub at: Timestamp,
    pub until: Timestamp,
    pub additions: Option<Additions>,
}

/// A person's key.
#[derive(Debug)]
pub struct PersonKey(SigningKey);

/// Why there is no key, or no yes.
#[derive(Debug, thiserror::Error)]
pub enum YesError {
    #[error("could not {verb} the person's key {path}")]
    Io {
        verb: &'static str,
        path: PathBuf,
        #[source]
        source: io::Error,
    },
    #[error("{0} is not the key of a person; make one with: remint policy key")]
    Format(PathBuf),
    #[error(
        "{0} can be read by others than its owner; chmod 600 it, and make a new key if others could read it before"
    )]
    Open(PathBuf),
    #[error("no key of that name can be made")]
    Name(#[source] FormatError),
    #[error("the approval cannot be signed")]
    Sign(#[source] FormatError),
    #[error(transparent)]
    Random(#[from] NoRandomness),
}

/// How far the clock of whoever signs may be from the one that takes it in.
pub(super) const SKEW: Duration = Duration::from_mins(5);

/// How long a yes counts where the signer says nothing; policies make it shorter.
pub const LASTS: Duration = Duration::from_hours(8);

impl About<'_> {
    /// Checks that a yes is of this, and no older than that.
    ///
    /// # Errors
    /// What it is of instead.
    pub fn bind(&self, approval: &Approval, now: Timestamp, oldest: Duration) -> Result<Bound, String> {
        if approval.about != self.what {
            return Err(format!("it is about {}, not about {}", approval.about, self.what));
        }
        if approval.digest != self.digest.to_string() {
            return Err(format!("it is of {}, and {} waits; look at it, and sign that", approval.digest, self.digest));
        }
        if approval.file.to_string() != self.file {
            return Err("it is of another file of that plan; look at the one that waits, and sign that".to_owned());
        }
        let time = |text: &str| text.parse::<Timestamp>().map_err(|error| error.to_string());
        let (at, until) = (time(&approval.at)?, time(&approval.until)?);
        let age = now.duration_since(at);
        if age.unsigned_abs() > if age.is_negative() { SKEW } else { oldest } {
            return Err(format!("it was signed at {at}, and it is {now}: set the clock right, and sign again"));
        }
        if until <= now {
            return Err(format!("it counted until {until} only"));
        }
        let additions = match approval.additions.as_str() {
            "none" => None,
            words => Some(words.parse()?),
        };
        Ok(Bound { at: at.min(now), until, additions })
    }

    /// Says yes.
    ///
    /// # Errors
    /// Something of it cannot be signed.
    pub fn sign(&self, key: &PersonKey, bound: &Bound) -> Result<String, YesError> {
        let malformed = FormatError::Field { field: "file", why: "it must be a SHA-256" };
        let approval = Approval {
            about: self.what.to_owned(),
            digest: self.digest.to_string(),
            file: Hash::from_hex(self.file).ok_or(YesError::Sign(malformed))?,
            person: key.0.verifier().name().to_owned(),
            additions: bound.additions.as_ref().map_or_else(|| "none".to_owned(), ToString::to_string),
            at: bound.at.to_string(),
            until: bound.until.to_string(),
        };
        approval.sign(&key.0).map_err(YesError::Sign)
    }
}

impl PersonKey {
    /// Makes a key file for a person of the table.
    ///
    /// # Errors
    /// The file is there, or the name is none that a note's key can have.
    pub fn create(path: &Path, person: &str, random: &dyn Randomness) -> Result<Self, YesError> {
        let mut seed = Zeroizing::new([0; 32]);
        random.fill(&mut *seed)?;
        let signing = SigningKey::from_seed(person, seed).map_err(YesError::Name)?;
        let failed = |source| YesError::Io { verb: "make", path: path.to_owned(), source };
        let mut file = OpenOptions::new().write(true).create_new(true).mode(0o600).open(path).map_err(failed)?;
        file.write_all(signing.to_text().as_bytes()).and_then(|()| file.write_all(b"\n")).map_err(failed)?;
        file.sync_all().map_err(failed)?;
        Ok(Self(signing))
    }

    /// Reads a key file.
    ///
    /// # Errors
    /// It cannot be read, others can read it, or it is none.
    pub fn load(path: &Path) -> Result<Self, YesError> {
        let failed = |source| YesError::Io { verb: "read", path: path.to_owned(), source };
        let mode = std::fs::metadata(path).map_err(failed)?.permissions().mode();
        if mode & 0o077 != 0 {
            return Err(YesError::Open(path.to_owned()));
        }
        let text = Zeroizing::new(std::fs::read_to_string(path).map_err(failed)?);
        SigningKey::parse(text.trim_end()).map(Self).map_err(|_| YesError::Format(path.to_owned()))
    }

    /// What the table of persons has under `keys`.
    #[must_use]
    pub fn public(&self) -> String {
        self.0.verifier().to_string()
    }
}
