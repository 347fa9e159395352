//! The state folder: made for its owner only, and held by one process.

use std::fs::{DirBuilder, File, OpenOptions, TryLockError};
use std::io;
use std::os::unix::fs::{DirBuilderExt as _, OpenOptionsExt as _};
use std::path::{Path, PathBuf};

use crate::store::StoreError;

/// A state folder that this process holds until the value is dropped.
pub(super) struct Folder {
    path: PathBuf,
    // The lock belongs to the open file.
    _lock: File,
}

impl Folder {
    /// Makes the folder (0700) when it is not there, and takes its lock.
    pub(super) fn hold(path: &Path) -> Result<Self, StoreError> {
        DirBuilder::new().recursive(true).mode(0o700).create(path).map_err(failed("make the folder", path))?;
        let file = path.join("remint.lock");
        let lock = private(&file)?;
        match lock.try_lock() {
            Ok(()) => Ok(Self { path: path.to_owned(), _lock: lock }),
            Err(TryLockError::WouldBlock) => Err(StoreError::Locked(path.display().to_string())),
            Err(TryLockError::Error(source)) => Err(failed("lock", &file)(source)),
        }
    }

    /// The database file, made for its owner only; SQLite gives its companions the same mode.
    pub(super) fn database(&self) -> Result<PathBuf, StoreError> {
        let file = self.path.join("remint.db");
        private(&file)?;
        Ok(file)
    }
}

/// Opens a file, made 0600 when it is not there.
fn private(path: &Path) -> Result<File, StoreError> {
    let opened = OpenOptions::new().read(true).write(true).create(true).truncate(false).mode(0o600).open(path);
    opened.map_err(failed("open", path))
}

fn failed(verb: &str, path: &Path) -> impl FnOnce(io::Error) -> StoreError {
    let what = format!("could not {verb} {}", path.display());
    move |source| StoreError::Broken { what, source: Some(Box::new(source)) }
}
