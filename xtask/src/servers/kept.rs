//! Where what was built or installed for the tests is kept: outside the checkout, under a hash of what it is made from.

use std::fs;
use std::hash::{DefaultHasher, Hash, Hasher as _};
use std::path::{Path, PathBuf};

use crate::Outcome;

/// A folder of `xtask/servers`.
pub(super) fn source(folder: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("servers").join(folder)
}

/// The place of what is made of every file of a folder, in this way: other files or another way have another place. Its
/// parent is there.
pub(super) fn place(source: &Path, way: impl Hash) -> Outcome<PathBuf> {
    let failed = |failure: std::io::Error| format!("{} could not be read: {failure}", source.display());
    let mut paths = fs::read_dir(source)
        .and_then(|entries| entries.map(|entry| entry.map(|entry| entry.path())).collect::<Result<Vec<_>, _>>())
        .map_err(failed)?;
    paths.sort();
    let mut hasher = DefaultHasher::new();
    way.hash(&mut hasher);
    for path in paths {
        (path.file_name(), fs::read(&path).map_err(failed)?).hash(&mut hasher);
    }
    let folder = folder()?;
    fs::create_dir_all(&folder).map_err(|failure| format!("{} could not be made: {failure}", folder.display()))?;
    let name = source.file_name().map(|name| name.to_string_lossy().into_owned()).unwrap_or_default();
    Ok(folder.join(format!("{name}-{:016x}", hasher.finish())))
}

/// The user's folder for what can be made again.
fn folder() -> Outcome<PathBuf> {
    let cache = std::env::var_os("XDG_CACHE_HOME").map(PathBuf::from).filter(|path| path.is_absolute());
    cache
        .or_else(|| std::env::home_dir().map(|home| home.join(".cache")))
        .map(|cache| cache.join("remint/servers"))
        .ok_or_else(|| "there is no home folder to keep built servers in; set XDG_CACHE_HOME".to_owned())
}
