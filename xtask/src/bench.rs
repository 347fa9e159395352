//! Benchmarks by name. They live in the crate `remint-bench`, which is built optimised; here they are only started.

use std::process::{Command, ExitCode};

use crate::Outcome;

/// Benchmarks, and the feature of `remint-bench` that each needs.
const KNOWN: [(&str, Option<&str>); 1] = [("graph", None)];

/// Runs the benchmark of that name with the rest of the arguments.
pub(crate) fn run(name: &str, arguments: &[String]) -> Outcome<ExitCode> {
    let Some((_, feature)) = KNOWN.iter().find(|(known, _)| *known == name) else {
        let known: Vec<_> = KNOWN.iter().map(|(known, _)| *known).collect();
        return Err(format!("there is no benchmark `{name}`; there is: {}", known.join(", ")));
    };
    let mut cargo = Command::new(std::env::var_os("CARGO").unwrap_or_else(|| "cargo".into()));
    cargo.args(["run", "--release", "--quiet", "--package", "remint-bench"]);
    if let Some(feature) = feature {
        cargo.args(["--features", feature]);
    }
    let status = cargo
        .arg("--")
        .arg(name)
        .args(arguments)
        .status()
        .map_err(|failure| format!("cargo could not be started: {failure}"))?;
    Ok(if status.success() { ExitCode::SUCCESS } else { ExitCode::FAILURE })
}
