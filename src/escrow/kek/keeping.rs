//! Where the key-encryption key is kept, and what is accepted there.
//!
//! | kept in | how `--kek` names it | accepted |
//! |---|---|---|
//! | a file | its path | mode 0600 or less: whoever may read it opens everything |
//! | a file of a read-only mount | its path, links followed | any mode without a write bit for others: who sees the mount is who the orchestrator gave it to, its default mode is 0644, and nobody can change it |
//! | a folder of such files | its path | the same for each; `fingerprint`, `generation-N`, `recipient-NAME`, `recovery-NAME`, each a key in base64; through `..data` when there is one, so that all are of one update |
//! | an environment variable | `env:NAME` | the text of a whole key file |
//!
//! Only a file of its own is changed by `remint keys`; what is mounted or handed in is changed where it comes from.

use std::fmt;
use std::fs::File;
use std::io::{self, Read as _};
use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};

use rustix::fs::{StatVfsMountFlags, fstatvfs};
use zeroize::Zeroizing;

use super::lines::{Line, Lines};
use super::{KekError, LARGEST};

/// What stands before the name of an environment variable.
pub(super) const ENVIRONMENT: &str = "env:";

/// Where keys are kept.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Keeping {
    File(PathBuf),
    Folder(PathBuf),
    /// The variable's name.
    Environment(String),
}

impl Keeping {
    /// What a `--kek` means.
    pub fn of(path: &Path) -> Self {
        match path.to_str().and_then(|text| text.strip_prefix(ENVIRONMENT)) {
            Some(name) => Self::Environment(name.to_owned()),
            None if path.is_dir() => Self::Folder(path.to_owned()),
            None => Self::File(path.to_owned()),
        }
    }
}

impl fmt::Display for Keeping {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::File(path) => write!(f, "the key file {}", path.display()),
            Self::Folder(path) => write!(f, "the key folder {}", path.display()),
            Self::Environment(name) => write!(f, "the key in the environment variable {name}"),
        }
    }
}

pub(super) fn read(path: &Path, state_folder: &Path, allow_same_folder: bool) -> Result<Lines, KekError> {
    let place = |path: &Path| {
        let failed = |source| KekError::Io { verb: "read", path: path.to_owned(), source };
        if allow_same_folder {
            Ok(())
        } else {
            refuse_inside(path, &path.canonicalize().map_err(failed)?, state_folder)
        }
    };
    if !path.is_dir() {
        let (file, text) = read_file(path, || place(path))?;
        drop(file);
        return Lines::of_text(path, &text);
    }
    let failed = |source| KekError::Io { verb: "read", path: path.to_owned(), source };
    // One update of a mounted secret is one folder behind this link: files of two updates are never mixed.
    let data = path.join("..data");
    let folder = if data.is_dir() { data.canonicalize().map_err(failed)? } else { path.to_owned() };
    let mut names = Vec::new();
    for item in std::fs::read_dir(&folder).map_err(failed)? {
        names.push(item.map_err(failed)?.file_name().to_string_lossy().into_owned());
    }
    names.sort();
    let mut lines = Vec::new();
    for name in names.iter().filter(|name| !name.starts_with('.')) {
        let file = folder.join(name);
        let (_, text) = read_file(&file, || place(&file))?;
        let name = match name.split_once('-') {
            None if name == "fingerprint" => name.clone(),
            Some(("generation", number)) => format!("generation {number}"),
            Some((kind @ ("recipient" | "recovery"), _)) => kind.to_owned(),
            _ => {
                let why = "a file must be called fingerprint, generation-N, recipient-NAME or recovery-NAME";
                return Err(KekError::Format { path: file, line: 1, why });
            }
        };
        let mut line = Zeroizing::new(String::with_capacity(LARGEST));
        line.push_str(&name);
        line.push(' ');
        line.push_str(text.trim());
        lines.push(Line { path: file, number: 1, text: line });
    }
    Ok(Lines { lines, whole: (folder, 1) })
}

/// Opens and reads one file, where its mode is one that keeps a secret.
fn read_file(path: &Path, place: impl FnOnce() -> Result<(), KekError>) -> Result<(File, Zeroizing<String>), KekError> {
    let failed = |source| KekError::Io { verb: "read", path: path.to_owned(), source };
    // The open file is what is looked at and read, so that nobody can put another one in between.
    let file = File::open(path).map_err(|source| match source.kind() {
        io::ErrorKind::NotFound => KekError::Missing(path.to_owned()),
        _ => failed(source),
    })?;
    place()?;
    let mode = file.metadata().map_err(failed)?.permissions().mode() & 0o7777;
    let mount = fstatvfs(&file).map_err(|error| failed(error.into()))?;
    if !keeps(mode, mount.f_flag.contains(StatVfsMountFlags::RDONLY)) {
        return Err(KekError::Mode { path: path.to_owned(), mode });
    }
    // Room for all of it at once: a buffer that grows leaves copies behind.
    let mut text = Zeroizing::new(String::with_capacity(LARGEST));
    (&file).take(LARGEST as u64).read_to_string(&mut text).map_err(failed)?;
    Ok((file, text))
}

/// Whether a file of this mode keeps its secret.
#[expect(clippy::verbose_bit_mask, reason = "a mode is read in bits")]
fn keeps(mode: u32, read_only: bool) -> bool {
    if read_only { mode & 0o022 == 0 } else { mode & 0o077 == 0 }
}

pub(super) fn refuse_inside(path: &Path, place: &Path, state_folder: &Path) -> Result<(), KekError> {
    let failed = |source| KekError::Io { verb: "compare with the state folder", path: path.to_owned(), source };
    if place.starts_with(real(state_folder).map_err(failed)?) {
        return Err(KekError::SameFolder { kek: path.to_owned(), state: state_folder.to_owned() });
    }
    Ok(())
}

/// The real path of a folder, also when its last parts are not there yet.
pub(super) fn real(path: &Path) -> io::Result<PathBuf> {
    let path = std::path::absolute(path)?;
    for there in path.ancestors() {
        match there.canonicalize() {
            Ok(found) => {
                let rest = path.strip_prefix(there).unwrap_or(Path::new(""));
                return Ok(if rest.as_os_str().is_empty() { found } else { found.join(rest) });
            }
            Err(error) if error.kind() == io::ErrorKind::NotFound => {}
            Err(error) => return Err(error),
        }
    }
    Ok(path)
}

#[cfg(test)]
mod tests {
    use super::keeps;

    #[test]
    fn a_file_that_others_read_keeps_its_secret_only_on_a_read_only_mount() {
        for mode in [0o600, 0o400] {
            assert!(keeps(mode, false) && keeps(mode, true), "{mode:o}");
        }
        for mode in [0o440, 0o640, 0o444, 0o644] {
            assert!(!keeps(mode, false) && keeps(mode, true), "{mode:o}");
        }
        for mode in [0o660, 0o602, 0o666, 0o620] {
            assert!(!keeps(mode, false) && !keeps(mode, true), "{mode:o}");
        }
    }
}
