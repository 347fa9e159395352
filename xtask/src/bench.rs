//! `cargo xtask bench NAME`: benchmarks of the crate `bench`, built optimised; one that needs a server gets its own.

use std::path::{Path, PathBuf};
use std::process::{Command, ExitCode};

use crate::Outcome;
use crate::child::Signals;
use crate::postgres::{self, Durability};
use crate::servers;

/// Benchmarks, and the feature of `remint-bench` that each needs: what only one of them wants is not built for the others.
const KNOWN: [(&str, Option<&str>); 8] = [
    ("cluster", Some("engine")),
    ("contain", Some("engine")),
    ("evidence", Some("engine")),
    ("fanout", Some("engine")),
    ("graph", None),
    ("idle", Some("engine")),
    ("postgres", Some("engine")),
    ("schedule", None),
];

/// Runs the benchmark of that name. Its output is the last of this program's, and its exit code this program's.
pub(crate) fn run(name: &str, arguments: &[String]) -> Outcome<ExitCode> {
    if name == "policy" {
        return policy();
    }
    let Some((_, feature)) = KNOWN.iter().find(|(known, _)| *known == name) else {
        let known: Vec<_> = KNOWN.iter().map(|(known, _)| *known).chain(["policy"]).collect();
        return Err(format!("there is no benchmark `{name}`; there are: {}", known.join(", ")));
    };
    let mut signals = Signals::catch()?;
    let mut bench = Command::new(env!("CARGO"));
    bench.args(["run", "--quiet", "--release", "--package", "remint-bench"]);
    if let Some(feature) = feature {
        bench.args(["--features", feature]);
    }
    bench.args(["--", name]).args(arguments);
    if name == "idle" {
        bench.env("REMINT_BENCH_PROGRAM", program(&mut signals)?);
    }
    // Dropped, and so stopped, after the benchmark.
    let _cluster = match name {
        "cluster" => {
            let server = servers::start(&servers::Kubernetes)?;
            bench.envs(server.environment());
            Some(server)
        }
        _ => None,
    };
    let _server = match name {
        "postgres" => {
            let server = postgres::start(Durability::Counted)?;
            bench.envs(server.environment()).env("REMINT_BENCH_POSTGRES_LOG", server.log());
            Some(server)
        }
        "fanout" => {
            let server = postgres::start(Durability::Full)?;
            bench.envs(server.environment());
            Some(server)
        }
        _ => None,
    };
    let status = signals.run(bench)?;
    Ok(if status.success() { ExitCode::SUCCESS } else { ExitCode::FAILURE })
}

/// Decisions: their crate is a workspace of its own, and its benchmark a program of it.
fn policy() -> Outcome<ExitCode> {
    let mut bench = Command::new(env!("CARGO"));
    bench.args(["run", "--quiet", "--release", "--bin", "remint-policy-bench", "--manifest-path", "policy/Cargo.toml"]);
    let status = Signals::catch()?.run(bench)?;
    Ok(if status.success() { ExitCode::SUCCESS } else { ExitCode::FAILURE })
}

/// Builds the program as it is delivered; where it is.
fn program(signals: &mut Signals) -> Outcome<PathBuf> {
    let mut build = Command::new(env!("CARGO"));
    build.args(["build", "--quiet", "--release", "--package", "remint", "--bin", "remint"]);
    if !signals.run(build)?.success() {
        return Err("remint was not built".to_owned());
    }
    // As cargo decides: a folder that is named, else the one that this program was built into, too.
    if let Some(folder) = std::env::var_os("CARGO_TARGET_DIR") {
        return Ok(PathBuf::from(folder).join("release/remint"));
    }
    let own = std::env::current_exe().map_err(|failure| format!("this program cannot be found: {failure}"))?;
    let profiles = own.parent().and_then(Path::parent).ok_or("this program lies in no folder")?;
    Ok(profiles.join("release/remint"))
}
