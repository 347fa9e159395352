//! Programs of the Python index, installed into a folder of their own that is kept outside the checkout.

use std::fs;
use std::path::PathBuf;
use std::process::{Command, Stdio};

use super::kept;
use crate::Outcome;

/// A folder of `xtask/servers` with a `requirements.txt` that pins every package.
#[derive(Clone, Copy)]
pub(super) struct Packages {
    pub(super) folder: &'static str,
}

/// The interpreter, and where it finds its modules.
const PYTHON: &str = "python3";

impl Packages {
    /// The folder with the packages: the one that is kept, else filled now.
    pub(super) fn path(&self) -> Outcome<PathBuf> {
        let source = kept::source(self.folder);
        // What is compiled fits one version of the interpreter.
        let place = kept::place(&source, version()?)?;
        if place.exists() {
            return Ok(place);
        }
        eprintln!("{} is installed, which takes a minute the first time", self.folder);
        let beside = place.with_extension(format!("{}.new", std::process::id()));
        let status = Command::new(PYTHON)
            .args(["-m", "pip", "install", "--quiet", "--disable-pip-version-check", "--no-deps", "--target"])
            .arg(&beside)
            .arg("--requirement")
            .arg(source.join("requirements.txt"))
            .stdin(Stdio::null())
            .status()
            .map_err(|failure| format!("`{PYTHON}` did not run: {failure}; install Python 3.9 or newer with pip"))?;
        if !status.success() {
            return Err(format!("`pip install` of {} failed", source.display()));
        }
        fs::rename(&beside, &place).map_err(|failure| format!("{} could not be kept: {failure}", place.display()))?;
        Ok(place)
    }

    /// The version that is pinned of one of them.
    pub(super) fn pinned(&self, name: &str) -> Option<String> {
        let text = fs::read_to_string(kept::source(self.folder).join("requirements.txt")).ok()?;
        text.lines().find_map(|line| line.strip_prefix(name)?.strip_prefix("==")).map(str::to_owned)
    }

    /// A module of the packages as a program, with nothing of the user's own environment.
    pub(super) fn run(&self, module: &str) -> Outcome<Command> {
        let mut command = Command::new(PYTHON);
        let search = std::env::var_os("PATH").unwrap_or_default();
        command.args(["-m", module]).env_clear().env("PATH", search).env("PYTHONPATH", self.path()?);
        Ok(command)
    }
}

fn version() -> Outcome<String> {
    let said = Command::new(PYTHON).arg("--version").stdin(Stdio::null()).output();
    let said = said.map_err(|failure| format!("`{PYTHON}` did not run: {failure}; install Python 3.9 or newer"))?;
    Ok(String::from_utf8_lossy(&said.stdout).trim().to_owned())
}
