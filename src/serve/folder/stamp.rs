//! What a folder looks like from outside, without reading a document.

use std::fs;
use std::io;
use std::os::unix::fs::MetadataExt as _;
use std::path::{Path, PathBuf};

use remint_core::digest::Digest;

/// A digest over every file's path, size, times and inode, where the loader would look for documents. What cannot be
/// looked at is part of it, too: a folder that comes back, or goes away, has another stamp.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Stamp(Digest);

impl Stamp {
    pub(super) fn of(path: &Path) -> Self {
        let mut lines = Vec::new();
        let mut folders = Vec::new();
        if path.is_dir() {
            folders.push(path.to_owned());
        } else {
            lines.push(line(path));
        }
        while let Some(folder) = folders.pop() {
            if let Err(error) = look(&folder, &mut folders, &mut lines) {
                lines.push(format!("{}\n{error}", folder.display()));
            }
        }
        lines.sort_unstable();
        Self(Digest::of(lines.join("\n").as_bytes()))
    }
}

/// One folder: its files as lines, its own folders for later. Links to folders are not followed, so that none leads back.
fn look(folder: &Path, folders: &mut Vec<PathBuf>, lines: &mut Vec<String>) -> io::Result<()> {
    for item in fs::read_dir(folder)? {
        let item = item?;
        if item.file_name().to_string_lossy().starts_with('.') {
            continue;
        }
        if item.file_type()?.is_dir() {
            folders.push(item.path());
        } else {
            lines.push(line(&item.path()));
        }
    }
    Ok(())
}

/// Links to files are followed: a mounted config map is made of them, and changes by their pointing elsewhere.
fn line(file: &Path) -> String {
    match fs::metadata(file) {
        Ok(found) => {
            let times = (found.mtime(), found.mtime_nsec(), found.ctime(), found.ctime_nsec());
            format!("{}\n{} {} {times:?}", file.display(), found.len(), found.ino())
        }
        Err(error) => format!("{}\n{error}", file.display()),
    }
}
