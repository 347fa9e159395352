//! `cargo xtask fuzz`: hostile input for the readers of the evidence, built as for tests: arithmetic that overflows is a
//! finding, too.

use std::process::{Command, ExitCode};

use crate::Outcome;
use crate::child::Signals;

/// Runs it. Its output is the last of this program's, and its exit code this program's.
pub(crate) fn run(arguments: &[String]) -> Outcome<ExitCode> {
    let mut fuzz = Command::new(env!("CARGO"));
    fuzz.args(["run", "--quiet", "--package", "remint-fuzz", "--"]).args(arguments);
    let status = Signals::catch()?.run(fuzz)?;
    Ok(if status.success() { ExitCode::SUCCESS } else { ExitCode::FAILURE })
}
