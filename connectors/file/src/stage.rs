//! What Remint keeps beside a managed file `x`: staged versions, and the record of what was promoted.
//!
//! - `.x.remint-staged-<version>`: the fields of one write that readers do not see yet, mode 0600. Fields and not a whole
//!   file: two credentials of one file can be staged together, and promoting one keeps what the other changed.
//! - `.x.remint-promoted`: the last promoted versions, each with the state of the file after it. No secret.
//! - `.x.remint-new`: a new content that is not in place yet; seen only after a crash.
//!
//! A version is a number that grows and the digest of the operation that wrote it.

use std::fmt::Write as _;

use remint_contract::{Error, OperationId, SecretValue, WriteRequest};
use rustix::fs::{Dir, Stat};
use zeroize::Zeroizing;

use crate::encode::Fields;
use crate::place::{Content, MARK, Place};
use crate::replace::{Rights, remove, replace};

/// A staged write.
pub(crate) struct Staged {
    pub(crate) expect: Option<String>,
    pub(crate) fields: Fields,
}

/// The promoted versions, oldest first, each with the file's state after it.
pub(crate) struct Record(Vec<(String, String)>);

impl Record {
    pub(crate) fn read(place: &Place) -> Result<Self, Error> {
        let content = place.content_of(&record_name(&place.name))?;
        let text = content.as_ref().and_then(|content| std::str::from_utf8(&content.bytes).ok()).unwrap_or_default();
        let pairs = text.lines().filter_map(|line| line.split_once(' '));
        Ok(Self(pairs.map(|(version, state)| (version.to_owned(), state.to_owned())).collect()))
    }

    pub(crate) fn has(&self, version: &str) -> bool {
        self.0.iter().any(|(promoted, _)| promoted == version)
    }

    /// The version of the file as readers see it: the promoted one, or the file's own state when somebody else wrote it.
    pub(crate) fn version_of(&self, content: &Content) -> String {
        let state = state_of(&content.stat);
        match self.0.last() {
            Some((version, after)) if *after == state => version.clone(),
            _ => state,
        }
    }

    pub(crate) fn add(&mut self, place: &Place, version: &str, stat: &Stat) -> Result<(), Error> {
        self.0.retain(|(promoted, _)| promoted != version);
        self.0.push((version.to_owned(), state_of(stat)));
        let surplus = self.0.len().saturating_sub(REMEMBERED);
        self.0.drain(..surplus);
        let mut text = String::new();
        for (version, state) in &self.0 {
            let _ = writeln!(text, "{version} {state}");
        }
        replace(place, &record_name(&place.name), text.as_bytes(), Rights::OWN).map(|_| ())
    }

    fn versions(&self) -> impl Iterator<Item = &str> {
        self.0.iter().map(|(version, _)| version.as_str())
    }
}

/// The version for a write: the one this operation has already, else a new one, higher than all.
pub(crate) fn version_for(place: &Place, record: &Record, operation: &OperationId) -> Result<String, Error> {
    let mark = mark_of(operation);
    let staged = staged_versions(place)?;
    if let Some(version) = staged.iter().find(|version| is_of(version, &mark)) {
        return Ok(version.clone());
    }
    let highest = staged.iter().map(String::as_str).chain(record.versions()).map(number_of).max().unwrap_or(0);
    Ok(format!("{}-{mark}", highest + 1))
}

/// The version that this operation has promoted, if the record still knows it.
pub(crate) fn promoted_by(record: &Record, operation: &OperationId) -> Option<String> {
    let mark = mark_of(operation);
    record.versions().find(|version| is_of(version, &mark)).map(str::to_owned)
}

/// All staged versions, oldest first.
pub(crate) fn staged_versions(place: &Place) -> Result<Vec<String>, Error> {
    let prefix = staged_name(&place.name, "");
    let folder = Dir::read_from(&place.folder).map_err(|errno| place.fail("listing the folder", errno))?;
    let mut versions = Vec::new();
    for entry in folder {
        let entry = entry.map_err(|errno| place.fail("listing the folder", errno))?;
        if let Some(version) = entry.file_name().to_str().ok().and_then(|name| name.strip_prefix(&prefix)) {
            versions.push(version.to_owned());
        }
    }
    versions.sort_by_key(|version| number_of(version));
    Ok(versions)
}

/// Removes every staged version older than `version` that would set one of the same fields: promoted late, it would
/// bring back an older value.
pub(crate) fn supersede(place: &Place, version: &str, fields: &Fields) -> Result<(), Error> {
    for older in staged_versions(place)?.iter().filter(|older| number_of(older) < number_of(version)) {
        let name = staged_name(&place.name, older);
        if let Some(staged) = read_staged(place, older)?
            && staged.fields.keys().any(|field| fields.contains_key(field))
        {
            remove(place, &name)?;
        }
    }
    Ok(())
}

pub(crate) fn write_staged(place: &Place, version: &str, request: &WriteRequest) -> Result<(), Error> {
    let size: usize = request.fields.iter().map(|(field, value)| field.len() + value.expose().len() + 48).sum();
    let mut bytes = Zeroizing::new(Vec::with_capacity(size + 128));
    bytes.extend_from_slice(format!("{HEAD}\n{}\n", request.expect.as_deref().unwrap_or("-")).as_bytes());
    for (field, value) in &request.fields {
        bytes.extend_from_slice(format!("{} {}\n", field.len(), value.expose().len()).as_bytes());
        bytes.extend_from_slice(field.as_bytes());
        bytes.extend_from_slice(value.expose());
    }
    replace(place, &staged_name(&place.name, version), &bytes, Rights::OWN).map(|_| ())
}

pub(crate) fn read_staged(place: &Place, version: &str) -> Result<Option<Staged>, Error> {
    if !version.bytes().all(|byte| byte.is_ascii_alphanumeric() || byte == b'-') {
        return Ok(None);
    }
    let Some(content) = place.content_of(&staged_name(&place.name, version))? else { return Ok(None) };
    let staged = parse(&content.bytes).ok_or_else(|| {
        place.refuse("a staged version cannot be read; destroy it and write again").with("version", version)
    })?;
    Ok(Some(staged))
}

fn parse(bytes: &[u8]) -> Option<Staged> {
    let rest = bytes.strip_prefix(HEAD.as_bytes())?.strip_prefix(b"\n")?;
    let (expect, mut rest) = line(rest)?;
    let mut fields = Fields::new();
    while !rest.is_empty() {
        let (lengths, after) = line(rest)?;
        let (field, value) = lengths.split_once(' ')?;
        let (field, after) = after.split_at_checked(field.parse().ok()?)?;
        let (value, after) = after.split_at_checked(value.parse().ok()?)?;
        fields.insert(std::str::from_utf8(field).ok()?.to_owned(), SecretValue::new(value.to_vec()));
        rest = after;
    }
    Some(Staged { expect: (expect != "-").then(|| expect.to_owned()), fields })
}

fn line(bytes: &[u8]) -> Option<(&str, &[u8])> {
    let end = bytes.iter().position(|byte| *byte == b'\n')?;
    Some((std::str::from_utf8(&bytes[..end]).ok()?, &bytes[end + 1..]))
}

pub(crate) fn staged_name(name: &str, version: &str) -> String {
    format!(".{name}{MARK}staged-{version}")
}

fn record_name(name: &str) -> String {
    format!(".{name}{MARK}promoted")
}

/// The file's state, which every change of it changes. Not of its content: a digest of that could be tried against.
fn state_of(stat: &Stat) -> String {
    format!("{:x}.{:x}.{:x}.{:x}", stat.st_mtime, stat.st_mtime_nsec, stat.st_ino, stat.st_size)
}

fn mark_of(operation: &OperationId) -> String {
    let digest = aws_lc_rs::digest::digest(&aws_lc_rs::digest::SHA256, operation.0.as_bytes());
    digest.as_ref().iter().take(8).fold(String::new(), |mut text, byte| {
        let _ = write!(text, "{byte:02x}");
        text
    })
}

fn is_of(version: &str, mark: &str) -> bool {
    version.split_once('-').is_some_and(|(_, operation)| operation == mark)
}

fn number_of(version: &str) -> u64 {
    version.split_once('-').and_then(|(number, _)| number.parse().ok()).unwrap_or(0)
}

const HEAD: &str = "remint-stage 1";
/// As many as credentials are ever promoted into one file between a promote and its repetition.
const REMEMBERED: usize = 64;
