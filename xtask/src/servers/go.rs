//! Programs of other projects, built from a small Go module of ours, and kept outside the checkout under a hash of it.

use std::fs;
use std::hash::{DefaultHasher, Hash as _, Hasher as _};
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use crate::Outcome;

/// A folder of `xtask/servers` with a module, and how it is built.
#[derive(Clone, Copy)]
pub(super) struct Module {
    pub(super) folder: &'static str,
    /// Build tags, by commas.
    pub(super) tags: &'static str,
    /// What the linker is told.
    pub(super) link: &'static str,
}

impl Module {
    /// The built program: the one that is kept, else made now.
    pub(super) fn program(&self) -> Outcome<PathBuf> {
        let source = Path::new(env!("CARGO_MANIFEST_DIR")).join("servers").join(self.folder);
        let place = kept()?.join(format!("{}-{:016x}", self.folder, self.digest(&source)?));
        if place.exists() {
            return Ok(place);
        }
        let folder = place.parent().ok_or("the kept programs have no folder")?;
        fs::create_dir_all(folder).map_err(|failure| format!("{} could not be made: {failure}", folder.display()))?;
        eprintln!("{} is built, which takes minutes the first time", self.folder);
        let beside = place.with_extension(format!("{}.new", std::process::id()));
        let mut build = Command::new("go");
        build
            .current_dir(&source)
            .args(["build", "-trimpath", "-mod=readonly", "-buildvcs=false", "-tags", self.tags, "-ldflags", self.link])
            .arg("-o")
            .arg(&beside)
            .arg(".")
            .env("CGO_ENABLED", "0")
            // An older Go fetches the one that the module names.
            .env("GOTOOLCHAIN", "auto")
            .stdin(Stdio::null());
        let status = build.status().map_err(|failure| {
            format!("`go` did not run: {failure}; install Go 1.21 or newer, which fetches what the module needs")
        })?;
        if !status.success() {
            return Err(format!("`go build` of {} failed", source.display()));
        }
        fs::rename(&beside, &place).map_err(|failure| format!("{} could not be kept: {failure}", place.display()))?;
        Ok(place)
    }

    /// Of every file of the module and of how it is built: another one is another program.
    fn digest(&self, source: &Path) -> Outcome<u64> {
        let failed = |failure: std::io::Error| format!("{} could not be read: {failure}", source.display());
        let mut paths = fs::read_dir(source)
            .and_then(|entries| entries.map(|entry| entry.map(|entry| entry.path())).collect::<Result<Vec<_>, _>>())
            .map_err(failed)?;
        paths.sort();
        let mut hasher = DefaultHasher::new();
        (self.tags, self.link).hash(&mut hasher);
        for path in paths {
            (path.file_name(), fs::read(&path).map_err(failed)?).hash(&mut hasher);
        }
        Ok(hasher.finish())
    }
}

/// Where built programs are kept: the user's folder for what can be made again.
fn kept() -> Outcome<PathBuf> {
    let cache = std::env::var_os("XDG_CACHE_HOME").map(PathBuf::from).filter(|path| path.is_absolute());
    cache
        .or_else(|| std::env::home_dir().map(|home| home.join(".cache")))
        .map(|cache| cache.join("remint/servers"))
        .ok_or_else(|| "there is no home folder to keep built servers in; set XDG_CACHE_HOME".to_owned())
}
