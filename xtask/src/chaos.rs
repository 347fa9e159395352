//! `cargo xtask chaos`: builds the daemon and what kills it, gives them a PostgreSQL of their own, and lets them be.

use std::path::PathBuf;
use std::process::{Command, ExitCode};

use crate::Outcome;
use crate::child::Signals;
use crate::postgres::{self, Durability};

/// Its output is the last of this program's, and its exit code this program's.
pub(crate) fn run(arguments: &[String]) -> Outcome<ExitCode> {
    let mut signals = Signals::catch()?;
    let mut build = Command::new(env!("CARGO"));
    build.args(["build", "--quiet", "--package", "remint", "--bin", "remint", "--package", "remint-chaos", "--bins"]);
    if !signals.run(build)?.success() {
        return Ok(ExitCode::FAILURE);
    }
    let programs = programs()?;
    // Dropped, and so stopped, after the run.
    let server = postgres::start(Durability::None)?;
    let mut chaos = Command::new(programs.join("remint-chaos"));
    chaos.arg("--program").arg(programs.join("remint")).args(arguments).envs(server.environment());
    let status = signals.run(chaos)?;
    Ok(if status.success() { ExitCode::SUCCESS } else { ExitCode::FAILURE })
}

/// Where cargo puts programs: this one lies there, too.
fn programs() -> Outcome<PathBuf> {
    let own = std::env::current_exe().map_err(|failure| format!("this program cannot be found: {failure}"))?;
    own.parent().map(PathBuf::from).ok_or_else(|| "this program lies nowhere".to_owned())
}
