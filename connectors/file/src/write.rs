//! Writing: stage the fields of one write, then make readers see them.

use std::path::Path;

use remint_contract::{Error, ErrorKind, OperationId, Verb, WriteRequest, Written};

use crate::config::Config;
use crate::encode::Format;
use crate::error::of_format;
use crate::place::{Content, Place};
use crate::replace::{Rights, remove, replace, sync_folder, temporary};
use crate::stage::{Record, promoted_by, read_staged, staged_name, supersede, version_for, write_staged};

/// Stages the fields. Nothing that a reader opens changes.
///
/// Guarantee: written twice by one operation it is one version, also after it was promoted.
pub(crate) fn write(root: &Path, operation: &OperationId, request: &WriteRequest) -> Result<Written, Error> {
    let place = Place::open(root, &request.path, Verb::Write)?.lock()?;
    let record = Record::read(&place)?;
    let content = place.content()?;
    let new = Format::of(&request.path)
        .set(content.as_ref().map(|content| content.bytes.as_slice()), &request.fields)
        .map_err(|problem| of_format(Verb::Write, &request.path, &problem))?;
    if let Some(version) = promoted_by(&record, operation)
        && content.as_ref().is_some_and(|content| content.bytes.as_slice() == new.expose())
    {
        return Ok(Written { version });
    }
    expected(&record, content.as_ref(), request.expect.as_deref(), Verb::Write, &request.path)?;
    let version = version_for(&place, &record, operation)?;
    write_staged(&place, &version, request)?;
    Ok(Written { version })
}

/// Makes a staged version what readers see: its fields are set in the file as it is now.
///
/// Guarantees: readers see the whole old or the whole new file; owner and permissions stay; repeated it is done once;
/// an older version of the same field can no longer be promoted afterwards.
pub(crate) fn promote(config: &Config, path: &str, version: &str) -> Result<(), Error> {
    let place = Place::open(&config.root, path, Verb::Promote)?.lock()?;
    let mut record = Record::read(&place)?;
    let Some(staged) = read_staged(&place, version)? else {
        if record.has(version) {
            return Ok(());
        }
        let message = "there is no such staged version: it was destroyed, or a newer one was promoted";
        return Err(Error::new(ErrorKind::Missing, Verb::Promote, message).with("path", path).with("version", version));
    };
    let content = place.content()?;
    let new = Format::of(path)
        .set(content.as_ref().map(|content| content.bytes.as_slice()), &staged.fields)
        .map_err(|problem| of_format(Verb::Promote, path, &problem))?;
    let stat = match &content {
        // A crash came between the rename and the record, or somebody set the same values.
        Some(content) if content.bytes.as_slice() == new.expose() => content.stat,
        _ => {
            expected(&record, content.as_ref(), staged.expect.as_deref(), Verb::Promote, path)?;
            let fresh = Rights { owner: config.owner, mode: config.mode };
            let rights = content.as_ref().map_or(fresh, |content| Rights::of(&content.stat));
            replace(&place, &place.name, new.expose(), rights)?
        }
    };
    record.add(&place, version, &stat)?;
    supersede(&place, version, &staged.fields)?;
    remove(&place, &staged_name(&place.name, version))?;
    sync_folder(&place)
}

/// The versions of a path: what readers see first, then what is staged.
pub(crate) fn versions(root: &Path, path: &str) -> Result<Vec<String>, Error> {
    let place = Place::open(root, path, Verb::Versions)?.lock()?;
    let record = Record::read(&place)?;
    let mut versions: Vec<String> = place.content()?.iter().map(|content| record.version_of(content)).collect();
    versions.extend(crate::stage::staged_versions(&place)?);
    if place.content_of(&temporary(&place.name))?.is_some() {
        versions.push(UNFINISHED.to_owned());
    }
    if versions.is_empty() {
        return Err(Error::new(ErrorKind::Missing, Verb::Versions, "there is no such file").with("path", path));
    }
    Ok(versions)
}

/// Removes a staged version, or what a crash left. What readers see is never removed; what is gone is fine.
pub(crate) fn destroy_version(root: &Path, path: &str, version: &str) -> Result<(), Error> {
    let place = Place::open(root, path, Verb::DestroyVersion)?.lock()?;
    let current = place.content()?.map(|content| Record::read(&place).map(|record| record.version_of(&content)));
    if current.transpose()?.as_deref() == Some(version) {
        let message = "it is the version that readers see; write and promote another first";
        return Err(Error::new(ErrorKind::Conflict, Verb::DestroyVersion, message).with("path", path));
    }
    if version == UNFINISHED {
        remove(&place, &temporary(&place.name))?;
    } else if version.bytes().all(|byte| byte.is_ascii_alphanumeric() || byte == b'-') {
        remove(&place, &staged_name(&place.name, version))?;
    }
    sync_folder(&place)
}

fn expected(
    record: &Record,
    content: Option<&Content>,
    expect: Option<&str>,
    verb: Verb,
    path: &str,
) -> Result<(), Error> {
    let Some(expect) = expect else { return Ok(()) };
    let found = content.map(|content| record.version_of(content));
    if found.as_deref() == Some(expect) {
        return Ok(());
    }
    let found = found.unwrap_or_else(|| "none".to_owned());
    Err(Error::new(ErrorKind::Conflict, verb, "the file was changed meanwhile; read it again")
        .with("path", path)
        .with("expected", expect)
        .with("found", found))
}

/// What a crash left of a new content.
const UNFINISHED: &str = "unfinished";
