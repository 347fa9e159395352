//! Reading a file's fields, and asking whether it could be written.

use std::path::Path;

use remint_contract::{Error, ErrorKind, ReadBack, Verb};

use crate::config::Config;
use crate::encode::Format;
use crate::error::{of_format, of_system};
use crate::place::Place;
use crate::stage::Record;

/// What readers see.
pub(crate) fn read(root: &Path, path: &str) -> Result<ReadBack, Error> {
    let place = Place::open(root, path, Verb::Read)?;
    let content = place
        .content()?
        .ok_or_else(|| Error::new(ErrorKind::Missing, Verb::Read, "there is no such file").with("path", path))?;
    let fields = Format::of(path).read(&content.bytes).map_err(|problem| of_format(Verb::Read, path, &problem))?;
    Ok(ReadBack { version: Record::read(&place)?.version_of(&content), fields })
}

/// Is the root there, and with a path: may its file be replaced, with its owner kept, and is it understood?
pub(crate) fn check(config: &Config, path: Option<&str>) -> Result<(), Error> {
    let Some(path) = path else {
        return match std::fs::metadata(&config.root) {
            Ok(found) if found.is_dir() => Ok(()),
            Ok(_) => Err(Error::new(ErrorKind::Invalid, Verb::Check, "the root is not a folder")),
            Err(error) => {
                let errno = rustix::io::Errno::from_io_error(&error).unwrap_or(rustix::io::Errno::IO);
                Err(of_system(Verb::Check, "opening the root", ".", errno))
            }
        };
    };
    let place = Place::open(&config.root, path, Verb::Check)?;
    place.may_write()?;
    let content = place.content()?;
    let (user, owner) = (rustix::process::geteuid(), config.owner.map(|owner| owner.user));
    let owner = content.as_ref().map(|content| content.stat.st_uid).or(owner);
    if !user.is_root() && owner.is_some_and(|owner| owner != user.as_raw()) {
        let message = "the file belongs to another user, and only root may make a new one in that user's name";
        return Err(Error::new(ErrorKind::Denied, Verb::Check, message).with("path", path));
    }
    if let Some(content) = content {
        Format::of(path).read(&content.bytes).map_err(|problem| of_format(Verb::Check, path, &problem))?;
    }
    Ok(())
}
