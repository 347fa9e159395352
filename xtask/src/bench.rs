//! Benchmarks by name; each lives in its own file under `bench/`.

use std::process::ExitCode;

use crate::Outcome;

/// Runs the benchmark of that name.
pub(crate) fn run(name: &str, _arguments: &[String]) -> Outcome<ExitCode> {
    Err(format!("there is no benchmark `{name}`"))
}
