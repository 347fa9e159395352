//! A bundle on disk: one archive, or a folder of its files.

use std::collections::BTreeMap;
use std::io;
use std::path::{Path, PathBuf};

use remint_evidence_format::FormatError;
use remint_evidence_format::bundle::Bundle;

/// Why a bundle could not be read or written.
#[derive(Debug, thiserror::Error)]
pub enum FolderError {
    #[error("cannot {verb} {path}")]
    Io {
        verb: &'static str,
        path: PathBuf,
        #[source]
        source: io::Error,
    },
    #[error("{0} is there already; name a folder that is not, so that nothing else lies in the bundle")]
    Exists(PathBuf),
    /// It can be read, and is none.
    #[error(transparent)]
    Format(FormatError),
}

/// Reads a bundle from an archive or a folder; nothing of it is checked yet.
///
/// What lies in a folder and is no plain file counts as a file that no bundle has: the verifier names it.
///
/// # Errors
/// It cannot be read, or the archive is none.
pub fn read(path: &Path) -> Result<Bundle, FolderError> {
    let failed = |path: &Path, source| FolderError::Io { verb: "read", path: path.to_owned(), source };
    if !path.is_dir() {
        let bytes = std::fs::read(path).map_err(|source| failed(path, source))?;
        return Bundle::from_archive(&bytes).map_err(FolderError::Format);
    }
    let mut files = BTreeMap::new();
    for item in std::fs::read_dir(path).map_err(|source| failed(path, source))? {
        let item = item.map_err(|source| failed(path, source))?;
        let at = item.path();
        let name = item.file_name().to_string_lossy().into_owned();
        let plain = item.file_type().map_err(|source| failed(&at, source))?.is_file();
        if plain {
            files.insert(name, std::fs::read(&at).map_err(|source| failed(&at, source))?);
        } else {
            files.insert(format!("{name}/"), Vec::new());
        }
    }
    Ok(Bundle::from_files(files))
}

/// Writes a bundle as a new folder.
///
/// # Errors
/// The folder is there, or cannot be made or filled.
pub fn write(bundle: &Bundle, folder: &Path) -> Result<(), FolderError> {
    let failed = |path: &Path, source| FolderError::Io { verb: "write", path: path.to_owned(), source };
    match std::fs::create_dir(folder) {
        Err(error) if error.kind() == io::ErrorKind::AlreadyExists => {
            return Err(FolderError::Exists(folder.to_owned()));
        }
        done => done.map_err(|source| failed(folder, source))?,
    }
    for (name, bytes) in bundle.files() {
        let path = folder.join(name);
        std::fs::write(&path, bytes).map_err(|source| failed(&path, source))?;
    }
    Ok(())
}
