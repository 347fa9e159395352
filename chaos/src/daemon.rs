//! The program under test, as a child process: started, killed without a word, stopped with one, and run for a command.

use std::path::{Path, PathBuf};
use std::process::{ExitStatus, Stdio};
use std::time::Duration;

use serde_json::Value;
use tokio::process::{Child, Command};

use crate::Outcome;
use crate::door::Door;

/// How long a stop may take: the daemon gives what is under way ten seconds.
const FAREWELL: Duration = Duration::from_secs(40);

/// Where one state and its keys lie, and how the program is told.
#[derive(Debug, Clone)]
pub(crate) struct Program {
    path: PathBuf,
    folder: PathBuf,
    /// Where the store is when it is not in the state folder.
    store: Option<String>,
}

impl Program {
    pub(crate) const fn new(path: PathBuf, folder: PathBuf, store: Option<String>) -> Self {
        Self { path, folder, store }
    }

    pub(crate) fn estate(&self) -> PathBuf {
        self.folder.join("estate")
    }

    pub(crate) fn log(&self) -> PathBuf {
        self.folder.join("daemon.log")
    }

    pub(crate) fn door(&self) -> Door {
        Door::new(self.socket())
    }

    fn socket(&self) -> PathBuf {
        self.folder.join("remint.sock")
    }

    fn command(&self) -> Command {
        let mut command = Command::new(&self.path);
        command.arg("--state").arg(self.folder.join("state")).arg("--kek").arg(self.folder.join("keys/kek"));
        command.args(self.store.iter().flat_map(|store| ["--store", store.as_str()]));
        command.stdin(Stdio::null()).kill_on_drop(true);
        command
    }

    /// Starts the daemon; it does not answer yet.
    pub(crate) fn serve(&self) -> Outcome<Child> {
        let log = std::fs::File::options().create(true).append(true).open(self.log())?;
        let mut command = self.command();
        command.arg("serve").arg("--estate").arg(self.estate()).arg("--socket").arg(self.socket());
        command.args(["--every", "1"]).stdout(Stdio::null()).stderr(log);
        Ok(command.spawn()?)
    }

    /// Begins a command that may be killed; what it says goes to the daemon's log.
    pub(crate) fn begin(&self, words: &[&str]) -> Outcome<Child> {
        let log = std::fs::File::options().create(true).append(true).open(self.log())?;
        Ok(self.command().args(words).stdout(Stdio::null()).stderr(log).spawn()?)
    }

    /// Runs a command that answers in JSON, with its exit.
    pub(crate) async fn ask<const N: usize>(&self, words: [&str; N]) -> Outcome<(ExitStatus, Value)> {
        let done = self.command().args(words).args(["--output", "json"]).output().await?;
        let answer = serde_json::from_slice(&done.stdout).map_err(|_| {
            format!("`remint {}` gave no JSON: {}", words.join(" "), String::from_utf8_lossy(&done.stderr))
        })?;
        Ok((done.status, answer))
    }
}

/// SIGKILL, and the child is gone when this returns.
pub(crate) async fn kill(child: &mut Child) -> Outcome<()> {
    Ok(child.kill().await?)
}

/// SIGTERM; true when it ended as it should.
pub(crate) async fn stop(child: &mut Child) -> Outcome<bool> {
    let id = child.id().ok_or("the daemon is gone already")?;
    let sent = Command::new("kill").args(["-TERM", &id.to_string()]).status().await?;
    if !sent.success() {
        return Err("the daemon could not be told to stop".into());
    }
    Ok(tokio::time::timeout(FAREWELL, child.wait()).await??.success())
}

/// The last lines of the daemon's log.
pub(crate) fn tail(log: &Path, lines: usize) -> String {
    let text = std::fs::read_to_string(log).unwrap_or_default();
    let all: Vec<&str> = text.lines().collect();
    all[all.len().saturating_sub(lines)..].join("\n")
}
