//! Replacing a file in one step: readers see the whole old one or the whole new one, also after a crash.

use std::fs::File;
use std::io::Write as _;

use remint_contract::Error;
use rustix::fs::{AtFlags, Gid, Mode, OFlags, Stat, Uid};
use rustix::io::Errno;

use crate::config::Owner;
use crate::place::{MARK, Place};

/// Who shall own a file, and its permissions.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Rights {
    pub(crate) owner: Option<Owner>,
    pub(crate) mode: u32,
}

impl Rights {
    /// Those of a file that is there.
    pub(crate) fn of(stat: &Stat) -> Self {
        let owner = Owner { user: stat.st_uid, group: Some(stat.st_gid) };
        Self { owner: Some(owner), mode: stat.st_mode & 0o7777 }
    }

    /// Those of the daemon's own files.
    pub(crate) const OWN: Self = Self { owner: None, mode: 0o600 };
}

/// Puts `bytes` at `name` in the folder of a locked place. Returns what the file system says of the new file.
///
/// Flow: a temporary file beside it, owner and permissions, content, sync, rename, sync of the folder.
/// Guarantee: on an error before the rename nothing that a reader sees has changed, and the temporary file is gone.
pub(crate) fn replace(place: &Place, name: &str, bytes: &[u8], rights: Rights) -> Result<Stat, Error> {
    let temporary = temporary(&place.name);
    // The lock is held: what lies there is left from a crash.
    remove(place, &temporary)?;
    let result = fill(place, &temporary, bytes, rights).and_then(|stat| {
        rustix::fs::renameat(&place.folder, temporary.as_str(), &place.folder, name)
            .map_err(|errno| place.fail("renaming the new file into place", errno))?;
        Ok(stat)
    });
    if result.is_err() {
        // Best effort: the next write removes it, and `versions` lists it.
        let _ = remove(place, &temporary);
    }
    let stat = result?;
    sync_folder(place)?;
    Ok(stat)
}

/// Removes a file of the folder; none there is fine.
pub(crate) fn remove(place: &Place, name: &str) -> Result<(), Error> {
    match rustix::fs::unlinkat(&place.folder, name, AtFlags::empty()) {
        Ok(()) | Err(Errno::NOENT) => Ok(()),
        Err(errno) => Err(place.fail("removing a file beside it", errno)),
    }
}

/// Makes renames and removals in the folder last.
pub(crate) fn sync_folder(place: &Place) -> Result<(), Error> {
    rustix::fs::fsync(&place.folder).map_err(|errno| place.fail("syncing the folder", errno))
}

/// Where the new content of `name` is written before it takes its place.
pub(crate) fn temporary(name: &str) -> String {
    format!(".{name}{MARK}new")
}

fn fill(place: &Place, name: &str, bytes: &[u8], rights: Rights) -> Result<Stat, Error> {
    let flags = OFlags::WRONLY | OFlags::CREATE | OFlags::EXCL | OFlags::NOFOLLOW | OFlags::CLOEXEC;
    let fd = rustix::fs::openat(&place.folder, name, flags, Mode::RUSR | Mode::WUSR)
        .map_err(|errno| place.fail("making the new file", errno))?;
    let mut file = File::from(fd);
    file.write_all(bytes).map_err(|error| {
        let errno = Errno::from_io_error(&error).unwrap_or(Errno::IO);
        place.fail("writing the new file", errno)
    })?;
    // The owner first: changing it would clear special permission bits. Nobody else may open it until both are right.
    if let Some(owner) = rights.owner {
        let now = rustix::fs::fstat(&file).map_err(|errno| place.fail("looking at the new file", errno))?;
        let group = owner.group.unwrap_or(now.st_gid);
        if (now.st_uid, now.st_gid) != (owner.user, group) {
            rustix::fs::fchown(&file, Some(Uid::from_raw(owner.user)), Some(Gid::from_raw(group)))
                .map_err(|errno| place.fail("giving the new file its owner", errno))?;
        }
    }
    rustix::fs::fchmod(&file, Mode::from_raw_mode(rights.mode))
        .map_err(|errno| place.fail("setting the new file's permissions", errno))?;
    rustix::fs::fsync(&file).map_err(|errno| place.fail("syncing the new file", errno))?;
    rustix::fs::fstat(&file).map_err(|errno| place.fail("looking at the new file", errno))
}
