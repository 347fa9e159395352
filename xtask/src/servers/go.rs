//! Programs of other projects, built from a small Go module of ours, and kept outside the checkout under a hash of it.

use std::fs;
use std::path::PathBuf;
use std::process::{Command, Stdio};

use super::kept;
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
        let source = kept::source(self.folder);
        let place = kept::place(&source, (self.tags, self.link))?;
        if place.exists() {
            return Ok(place);
        }
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
}
