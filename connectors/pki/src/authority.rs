//! An authority on disk: its generations, which one signs, and what they issued.
//!
//! ```text
//! FOLDER/AUTHORITY/generations/SERIAL.json  its certificate, whether it was revoked
//! FOLDER/AUTHORITY/generations/SERIAL.key   its key (0600), gone when it is revoked
//! FOLDER/AUTHORITY/active                   the serial number of the generation that signs
//! FOLDER/AUTHORITY/issued/                  what they issued; `*.pem` that others put there is seen as foreign
//! FOLDER/AUTHORITY/lock
//! ```

use std::fs;
use std::io;
use std::path::{Path, PathBuf};

use remint_certificate::{Certificate, Ledger, Lock, Record, replace};
use remint_contract::{Error, ErrorKind, SecretValue, Verb};

use crate::error::file;

/// One authority.
#[derive(Debug, Clone)]
pub(crate) struct Authority {
    pub(crate) name: String,
    folder: PathBuf,
    /// What it issued.
    pub(crate) issued: Ledger,
    /// Its own certificates.
    pub(crate) generations: Ledger,
    verb: Verb,
}

/// How the target of a certificate begins that only shows what a generation signed.
const PROOF: &str = "proof of ";

impl Authority {
    /// Those in the folder.
    pub(crate) fn all(root: &Path, verb: Verb) -> Result<Vec<Self>, Error> {
        let mut names = Vec::new();
        for entry in fs::read_dir(root).map_err(|failure| away(root, verb, failure))? {
            let entry = entry.map_err(|failure| file(verb, "reading the folder", failure))?;
            if entry.path().join(GENERATIONS).is_dir() {
                names.extend(entry.file_name().into_string());
            }
        }
        names.sort();
        Ok(names.into_iter().map(|name| Self::at(root, &name, verb)).collect())
    }

    /// The one of that name. Its folder is there, for Remint makes no authority that nobody asked for.
    pub(crate) fn open(root: &Path, name: &str, verb: Verb) -> Result<Self, Error> {
        fs::metadata(root).map_err(|failure| away(root, verb, failure))?;
        let authority = Self::at(root, name, verb);
        if authority.folder.is_dir() {
            return Ok(authority);
        }
        let message = "there is no such authority; make its folder, or correct `issuedBy`";
        Err(Error::new(ErrorKind::Missing, verb, message).with("folder", authority.folder.display().to_string()))
    }

    fn at(root: &Path, name: &str, verb: Verb) -> Self {
        let folder = root.join(name);
        let (issued, generations) = (Ledger::new(folder.join("issued")), Ledger::new(folder.join(GENERATIONS)));
        Self { name: name.to_owned(), folder, issued, generations, verb }
    }

    pub(crate) const fn verb(&self) -> Verb {
        self.verb
    }

    pub(crate) fn lock(&self) -> Result<Lock, Error> {
        Lock::take(&self.folder).map_err(|failure| self.failed("taking the lock", failure))
    }

    /// Its generations, dead ones too.
    pub(crate) fn generations(&self) -> Result<Vec<Record>, Error> {
        self.generations.all().map_err(|failure| self.failed("reading the generations", failure))
    }

    /// The generation that signs.
    pub(crate) fn active(&self) -> Result<Option<Record>, Error> {
        let serial = match fs::read_to_string(self.folder.join(ACTIVE)) {
            Err(failure) if failure.kind() == io::ErrorKind::NotFound => return Ok(None),
            serial => serial.map_err(|failure| self.failed("reading who signs", failure))?,
        };
        Ok(self.generations()?.into_iter().find(|one| one.serial == serial.trim() && one.revoked.is_none()))
    }

    /// From now on this generation signs.
    pub(crate) fn activate(&self, serial: &str) -> Result<(), Error> {
        replace(&self.folder.join(ACTIVE), serial.as_bytes(), 0o644)
            .map_err(|failure| self.failed("writing who signs", failure))
    }

    /// The generation that signed a chain.
    pub(crate) fn signer(&self, chain: &str) -> Result<Option<Record>, Error> {
        Ok(self.generations()?.into_iter().find(|one| Certificate::signed(chain, &one.chain)))
    }

    /// Whom to trust for what it issued, as PEM.
    pub(crate) fn roots(&self) -> Result<String, Error> {
        Ok(self.generations()?.into_iter().filter(|one| one.revoked.is_none()).map(|one| one.chain).collect())
    }

    pub(crate) fn issued(&self) -> Result<Vec<Record>, Error> {
        self.issued.all().map_err(|failure| self.failed("reading what was issued", failure))
    }

    pub(crate) fn find(&self, serial: &str) -> Result<Option<Record>, Error> {
        self.issued.find(serial).map_err(|failure| self.failed("reading what was issued", failure))
    }

    pub(crate) fn note(&self, record: &Record) -> Result<(), Error> {
        self.issued.put(record).map_err(|failure| self.failed("writing down what was issued", failure))
    }

    /// Writes a generation down, its key first.
    pub(crate) fn keep(&self, record: &Record, key: &SecretValue) -> Result<(), Error> {
        let failed = |failure| self.failed("keeping the new generation", failure);
        fs::create_dir_all(self.folder.join(GENERATIONS)).map_err(failed)?;
        replace(&self.key_path(&record.serial), key.expose(), 0o600).map_err(failed)?;
        self.generations.put(record).map_err(failed)
    }

    /// Writes down what became of a generation.
    pub(crate) fn renote(&self, record: &Record) -> Result<(), Error> {
        self.generations.put(record).map_err(|failure| self.failed("writing the generation down", failure))
    }

    /// The key of a generation; none once it was revoked.
    pub(crate) fn key(&self, serial: &str) -> Result<Option<SecretValue>, Error> {
        match fs::read(self.key_path(serial)) {
            Ok(key) => Ok(Some(SecretValue::new(key))),
            Err(failure) if failure.kind() == io::ErrorKind::NotFound => Ok(None),
            Err(failure) => Err(self.failed("reading a key", failure)),
        }
    }

    /// The key of a dead generation is not kept.
    pub(crate) fn forget_key(&self, serial: &str) -> Result<(), Error> {
        match fs::remove_file(self.key_path(serial)) {
            Err(failure) if failure.kind() != io::ErrorKind::NotFound => Err(self.failed("removing a key", failure)),
            _ => Ok(()),
        }
    }

    fn key_path(&self, serial: &str) -> PathBuf {
        self.folder.join(GENERATIONS).join(format!("{}.key", serial.replace(':', "")))
    }

    fn failed(&self, what: &'static str, failure: io::Error) -> Error {
        file(self.verb, what, failure).with("authority", &self.name)
    }
}

/// The target of the certificate that shows what a generation signed.
pub(crate) fn proof_of(serial: &str) -> String {
    format!("{PROOF}{serial}")
}

/// Does it only show what a generation signed?
pub(crate) fn is_proof(record: &Record) -> bool {
    record.target.as_ref().is_some_and(|target| target.starts_with(PROOF))
}

/// The folder of all is not there: perhaps it is not mounted.
fn away(root: &Path, verb: Verb, failure: io::Error) -> Error {
    let kind =
        if failure.kind() == io::ErrorKind::PermissionDenied { ErrorKind::Denied } else { ErrorKind::Unreachable };
    Error::new(kind, verb, "the folder of the authorities cannot be read")
        .with("folder", root.display().to_string())
        .because(failure)
}

const GENERATIONS: &str = "generations";
const ACTIVE: &str = "active";
