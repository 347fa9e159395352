//! The log as a folder: what is served over HTTP, as files that any web server or archive can keep.
//!
//! Flow: [`publish`] writes the tiles that the folder lacks and the checkpoint last, so that whoever reads the folder
//! meanwhile finds everything that its checkpoint speaks of. [`audit_folder`] reads all of it again, offline.
//!
//! Guarantees: a file is there in full or not at all. A full tile that is there is left as it is.

use std::fs::File;
use std::io::{self, Write as _};
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU64, Ordering};

use remint_evidence_format::checkpoint::Checkpoint;
use remint_evidence_format::tile::{self, CHECKPOINT, Fault, Tile};

use super::tiles::{TileError, Tiles};

/// Why a folder could not be written.
#[derive(Debug, thiserror::Error)]
pub enum PublishError {
    #[error(transparent)]
    Tile(#[from] TileError),
    #[error("could not write {path}")]
    Write {
        path: PathBuf,
        #[source]
        source: io::Error,
    },
    #[error("the store has no tile {0}, although a checkpoint covers it")]
    Missing(Tile),
}

/// Brings a folder up to a checkpoint; gives how many files were written.
///
/// # Errors
/// The store or the folder fails; what was written stays and is right.
pub async fn publish(tiles: &Tiles, size: u64, note: &str, folder: &Path) -> Result<u64, PublishError> {
    let mut written = 0;
    for tile in tile::of_tree(size) {
        let path = folder.join(tile.path());
        if path.exists() {
            continue;
        }
        let bytes = tiles.bytes(tile).await?.ok_or(PublishError::Missing(tile))?;
        write(&path, &bytes)?;
        written += 1;
    }
    write(&folder.join(CHECKPOINT), note.as_bytes())?;
    Ok(written + 1)
}

/// Writes one more file of a published folder, whole or not at all.
///
/// # Errors
/// The folder fails.
pub fn write(path: &Path, bytes: &[u8]) -> Result<(), PublishError> {
    replace(path, bytes).map_err(|source| PublishError::Write { path: path.to_owned(), source })
}

fn replace(path: &Path, bytes: &[u8]) -> io::Result<()> {
    static DRAFTS: AtomicU64 = AtomicU64::new(0);
    let folder = path.parent().unwrap_or(Path::new("."));
    std::fs::create_dir_all(folder)?;
    let number = DRAFTS.fetch_add(1, Ordering::Relaxed);
    let draft = folder.join(format!(".draft-{}-{number}", std::process::id()));
    let mut file = File::create(&draft)?;
    file.write_all(bytes)?;
    file.sync_all()?;
    std::fs::rename(&draft, path)
}

/// Reads everything that a folder published and holds it against a checkpoint and those that were seen before; their
/// signatures are the caller's to check.
#[must_use]
pub fn audit_folder(folder: &Path, checkpoint: &Checkpoint, seen: &[Checkpoint]) -> Vec<Fault> {
    tile::audit(checkpoint, seen, |tile| {
        std::fs::read(folder.join(tile.path())).map_err(|error| format!("it cannot be read: {error}"))
    })
}
