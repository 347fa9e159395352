//! Who this process is among the replicas over one store.
//!
//! Flow: [`Replica::here`] locks a file of the state folder and takes its name from it.
//!
//! Guarantee: of all processes that ever run, at most one at a time has a name. The lock belongs to an open file, so the
//! kernel lets it go when the last process that has the file is gone, and not before; the name is that of this file on
//! this run of this kernel. Whoever gets the lock knows that everybody who had the name before him has ended.
//!
//! Where that cannot be known — the lock is held, the kernel tells no name for its run — the name is a new one, and what
//! a process of another name left is waited for until its leases end.

use std::fs::{File, OpenOptions, TryLockError};
use std::io;
use std::os::unix::fs::{MetadataExt as _, OpenOptionsExt as _};
use std::path::Path;

/// The run of the kernel: another after every start of the machine.
const BOOT: &str = "/proc/sys/kernel/random/boot_id";

/// A name that nobody else has while this lives.
pub(super) struct Replica {
    pub(super) name: String,
    _lock: File,
}

impl Replica {
    /// `None` where nobody can know that this process is the only one of its name.
    ///
    /// # Errors
    /// The file cannot be made or locked.
    pub(super) fn here(folder: &Path) -> io::Result<Option<Self>> {
        let Ok(boot) = std::fs::read_to_string(BOOT) else { return Ok(None) };
        let path = folder.join("replica.lock");
        let lock = OpenOptions::new().read(true).write(true).create(true).truncate(false).mode(0o600).open(path)?;
        match lock.try_lock() {
            Ok(()) => {}
            Err(TryLockError::WouldBlock) => return Ok(None),
            Err(TryLockError::Error(error)) => return Err(error),
        }
        let file = lock.metadata()?;
        let name = format!("{}-{:x}-{:x}", boot.trim(), file.dev(), file.ino());
        Ok(Some(Self { name, _lock: lock }))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_is_had_by_one_at_a_time_and_by_the_next_again() {
        let folder = tempfile::tempdir().unwrap();
        let first = Replica::here(folder.path()).unwrap().unwrap();
        assert!(Replica::here(folder.path()).unwrap().is_none(), "two at a time");
        let name = first.name.clone();
        drop(first);
        assert_eq!(Replica::here(folder.path()).unwrap().unwrap().name, name);
        let other = tempfile::tempdir().unwrap();
        assert_ne!(Replica::here(other.path()).unwrap().unwrap().name, name);
    }
}
