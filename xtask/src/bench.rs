//! `cargo xtask bench NAME`: benchmarks of the crate `bench`, built for release; one that needs a server gets its own.

use std::process::{Command, ExitCode};

use crate::Outcome;
use crate::child::Signals;
use crate::postgres::{self, Durability};

/// Runs the benchmark of that name. Its output is the last of this program's, and its exit code this program's.
pub(crate) fn run(name: &str, arguments: &[String]) -> Outcome<ExitCode> {
    let mut signals = Signals::catch()?;
    let mut bench = Command::new(env!("CARGO"));
    bench.args(["run", "--quiet", "--release", "--package", "remint-bench", "--", name]).args(arguments);
    // Dropped, and so stopped, after the benchmark.
    let _server = match name {
        "postgres" => {
            let server = postgres::start(Durability::Full)?;
            bench.envs(server.environment()).env("REMINT_BENCH_POSTGRES_LOG", server.log());
            Some(server)
        }
        _ => None,
    };
    let status = signals.run(bench)?;
    Ok(if status.success() { ExitCode::SUCCESS } else { ExitCode::FAILURE })
}
