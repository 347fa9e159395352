//! What was issued: a folder with one file for each certificate, named by its serial number.
//!
//! Guarantees: a file is seen whole or not at all, also after a crash; it holds nothing secret. Certificates that somebody
//! else put into the folder as `*.pem` are seen too.

use std::fs::{self, File, OpenOptions};
use std::io::{self, Write as _};
use std::os::unix::fs::OpenOptionsExt as _;
use std::path::{Path, PathBuf};

use jiff::Timestamp;
use serde::{Deserialize, Serialize};

use crate::certificate::Certificate;

/// One certificate.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Record {
    pub serial: String,
    /// The chain, leaf first, as PEM.
    pub chain: String,
    /// [`remint_contract::Material::fingerprint`] of its key; none where another made it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub fingerprint: Option<String>,
    /// The target that it was issued for.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub target: Option<String>,
    /// The operation that asked for it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub operation: Option<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub revoked: Option<Timestamp>,
}

impl Record {
    /// What stands in its certificate.
    #[must_use]
    pub fn certificate(&self) -> Option<Certificate> {
        Certificate::read(&self.chain)
    }
}

/// The folder.
#[derive(Debug, Clone)]
pub struct Ledger(PathBuf);

/// Nobody else changes what lies beside this lock.
#[derive(Debug)]
pub struct Lock(#[expect(dead_code, reason = "dropping it is what unlocks")] File);

impl Lock {
    /// Waits for its turn.
    ///
    /// # Errors
    /// The lock file cannot be made or locked.
    pub fn take(folder: &Path) -> io::Result<Self> {
        let file = OpenOptions::new().create(true).truncate(false).write(true).mode(0o600).open(folder.join("lock"))?;
        file.lock()?;
        Ok(Self(file))
    }
}

impl Ledger {
    /// In a folder that is made when it is first written to.
    #[must_use]
    pub const fn new(folder: PathBuf) -> Self {
        Self(folder)
    }

    /// The record of a serial number.
    ///
    /// # Errors
    /// It cannot be read.
    pub fn find(&self, serial: &str) -> io::Result<Option<Record>> {
        if !serial.bytes().all(|byte| byte.is_ascii_hexdigit() || byte == b':') {
            return Ok(None);
        }
        match fs::read(self.path(serial)) {
            Ok(text) => Ok(Some(serde_json::from_slice(&text)?)),
            Err(failure) if failure.kind() == io::ErrorKind::NotFound => {
                Ok(self.all()?.into_iter().find(|record| record.serial == serial))
            }
            Err(failure) => Err(failure),
        }
    }

    /// Writes a record, whole or not at all.
    ///
    /// # Errors
    /// It cannot be written.
    pub fn put(&self, record: &Record) -> io::Result<()> {
        fs::create_dir_all(&self.0)?;
        replace(&self.path(&record.serial), &serde_json::to_vec_pretty(record)?, 0o644)
    }

    /// Every record, and every certificate that lies there without one.
    ///
    /// # Errors
    /// The folder or a record cannot be read.
    pub fn all(&self) -> io::Result<Vec<Record>> {
        let entries = match fs::read_dir(&self.0) {
            Err(failure) if failure.kind() == io::ErrorKind::NotFound => return Ok(Vec::new()),
            entries => entries?,
        };
        let (mut records, mut strangers) = (Vec::new(), Vec::new());
        for entry in entries {
            let path = entry?.path();
            match path.extension().and_then(|extension| extension.to_str()) {
                Some("json") => records.push(serde_json::from_slice::<Record>(&fs::read(&path)?)?),
                Some("pem") => strangers.extend(stranger(fs::read_to_string(&path)?)),
                _ => {}
            }
        }
        strangers.retain(|stranger: &Record| records.iter().all(|record| record.serial != stranger.serial));
        records.append(&mut strangers);
        records.sort_by(|one, other| one.serial.cmp(&other.serial));
        Ok(records)
    }

    fn path(&self, serial: &str) -> PathBuf {
        self.0.join(format!("{}.json", serial.replace(':', "")))
    }
}

/// A certificate that nobody here issued. What is none is left alone.
fn stranger(chain: String) -> Option<Record> {
    let serial = Certificate::read(&chain)?.serial;
    Some(Record { serial, chain, fingerprint: None, target: None, operation: None, revoked: None })
}

/// Puts a file in place in one step, so that it lasts.
///
/// # Errors
/// It cannot be written; nothing that a reader sees has changed then.
pub fn replace(path: &Path, bytes: &[u8], mode: u32) -> io::Result<()> {
    let name = path.file_name().and_then(|name| name.to_str()).unwrap_or_default();
    let beside = path.with_file_name(format!(".{name}.new"));
    // Left from a crash: whoever writes here holds the lock.
    match fs::remove_file(&beside) {
        Err(failure) if failure.kind() != io::ErrorKind::NotFound => return Err(failure),
        _ => {}
    }
    let mut file = OpenOptions::new().write(true).create_new(true).mode(mode).open(&beside)?;
    file.write_all(bytes)?;
    file.sync_all()?;
    fs::rename(&beside, path)?;
    path.parent().map_or(Ok(()), |folder| File::open(folder)?.sync_all())
}
