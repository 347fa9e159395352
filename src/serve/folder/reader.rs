//! Who reads the folder: this process, or another that ends when it has read.
//!
//! Ten thousand documents take hundreds of megabytes to read and nothing to remember, and memory that is locked is never
//! given back to the system. Documents are also the only thing a daemon reads that strangers may have written, and a
//! process that holds no key is a better place for that. So the daemon has them read elsewhere, is told a digest, and
//! reads them itself only when the digest is a new one.
//!
//! Flow: [`Reader::read`] starts `remint read-folder PATH` with an empty environment and no input, and takes one JSON
//! line. Errors: whatever goes wrong with the other process is a sentence; the caller then reads the folder here.

use std::io;
use std::path::{Path, PathBuf};
use std::process::Stdio;

use remint_contract::Kinds;
use remint_core::digest::Digest;
use remint_core::estate::{Problem, Severity};
use serde::{Deserialize, Serialize};
use tokio::process::Command;

use crate::app::{AppError, load_paths};
use crate::serve::causes;

/// The command by which a program reads a folder for another.
pub const COMMAND: &str = "read-folder";

/// Where a folder is read.
#[derive(Debug, Clone)]
pub enum Reader {
    /// In this process.
    Here,
    /// By this program, in a process of its own.
    Program(PathBuf),
}

/// What a folder says, without the documents.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub enum Reading {
    /// The digest of the estate as the documents write it, and what somebody should look at.
    Good { documents: Digest, notes: Vec<Problem> },
    /// Why the folder is not taken.
    Bad(Vec<Problem>),
}

/// Why another process read nothing.
#[derive(Debug, thiserror::Error)]
pub(super) enum ReaderError {
    #[error("{0} cannot be started")]
    Start(PathBuf, #[source] io::Error),
    #[error("{program} ended with {status}")]
    Ended { program: PathBuf, status: std::process::ExitStatus },
    #[error("{0} says something else than what a folder holds")]
    Answer(PathBuf, #[source] serde_json::Error),
}

impl Reading {
    /// Reads a folder here, and forgets the documents.
    #[must_use]
    pub fn of(path: &Path, kinds: &dyn Kinds) -> Self {
        match load_paths(&[path.to_owned()], kinds) {
            Ok(loaded) => Self::Good { documents: loaded.estate.digest(), notes: loaded.notes },
            Err(AppError::Problems(problems)) => Self::Bad(problems.0),
            Err(error) => Self::Bad(vec![unreadable(path, &error)]),
        }
    }
}

impl Reader {
    /// What the folder says, when another process read it; none where it is to be read here.
    pub(super) async fn read(&self, path: &Path) -> Result<Option<Reading>, ReaderError> {
        let Self::Program(program) = self else { return Ok(None) };
        let mut command = Command::new(program);
        command.arg(COMMAND).arg(path).env_clear().stdin(Stdio::null()).stderr(Stdio::null()).kill_on_drop(true);
        let output = command.output().await.map_err(|error| ReaderError::Start(program.clone(), error))?;
        if !output.status.success() {
            return Err(ReaderError::Ended { program: program.clone(), status: output.status });
        }
        let reading = serde_json::from_slice(&output.stdout);
        Ok(Some(reading.map_err(|error| ReaderError::Answer(program.clone(), error))?))
    }
}

/// A folder or file that cannot be read at all.
pub(super) fn unreadable(path: &Path, error: &AppError) -> Problem {
    Problem {
        file: path.display().to_string(),
        line: 0,
        column: 0,
        severity: Severity::Error,
        subject: None,
        message: causes(error),
        hint: "mend the folder; it is looked at again by itself".to_owned(),
        to: None,
    }
}
