//! Programs of the npm registry, installed into a folder of their own that is kept outside the checkout.

use std::fs;
use std::path::PathBuf;
use std::process::{Command, Stdio};

use super::kept;
use crate::Outcome;

/// A folder of `xtask/servers` with a `package.json` and the lock file that pins every package.
#[derive(Clone, Copy)]
pub(super) struct Packages {
    pub(super) folder: &'static str,
}

const NODE: &str = "node";

impl Packages {
    /// The folder with the packages and the program: the one that is kept, else filled now.
    pub(super) fn path(&self) -> Outcome<PathBuf> {
        let source = kept::source(self.folder);
        let place = kept::place(&source, NODE)?;
        if place.exists() {
            return Ok(place);
        }
        eprintln!("{} is installed, which takes half a minute the first time", self.folder);
        let beside = place.with_extension(format!("{}.new", std::process::id()));
        let failed = |failure: std::io::Error| format!("{} could not be filled: {failure}", beside.display());
        fs::create_dir_all(&beside).map_err(failed)?;
        for entry in fs::read_dir(&source).map_err(failed)? {
            let entry = entry.map_err(failed)?;
            fs::copy(entry.path(), beside.join(entry.file_name())).map_err(failed)?;
        }
        // Nothing of what is installed runs while it is installed.
        let status = Command::new("npm")
            .args(["ci", "--ignore-scripts", "--no-audit", "--no-fund", "--silent"])
            .current_dir(&beside)
            .stdin(Stdio::null())
            .status()
            .map_err(|failure| format!("`npm` did not run: {failure}; install Node 20 or newer with npm"))?;
        if !status.success() {
            return Err(format!("`npm ci` of {} failed", source.display()));
        }
        fs::rename(&beside, &place).map_err(|failure| format!("{} could not be kept: {failure}", place.display()))?;
        Ok(place)
    }

    /// The version that is installed of one of them.
    pub(super) fn version(&self, name: &str) -> Option<String> {
        let manifest = self.path().ok()?.join("node_modules").join(name).join("package.json");
        let text = fs::read_to_string(manifest).ok()?;
        let (_, rest) = text.split_once("\"version\": \"")?;
        rest.split_once('"').map(|(version, _)| version.to_owned())
    }

    /// One of the folder's own programs, with nothing of the user's own environment.
    pub(super) fn run(&self, program: &str) -> Outcome<Command> {
        let mut command = Command::new(NODE);
        let search = std::env::var_os("PATH").unwrap_or_default();
        command.arg(self.path()?.join(program)).env_clear().env("PATH", search).env("NODE_ENV", "production");
        Ok(command)
    }
}
