//! Benchmarks by name: `cargo xtask bench NAME [-o json]`. Each runs beside a plain baseline, in the same process.
#![allow(clippy::print_stdout, clippy::print_stderr, reason = "this program talks to a person at a terminal")]

mod baseline;
#[cfg(feature = "engine")]
mod cluster;
#[cfg(feature = "engine")]
mod evidence;
#[cfg(feature = "engine")]
mod fanout;
mod graph;
#[cfg(feature = "engine")]
mod idle;
#[cfg(feature = "engine")]
mod postgres;
mod process;
mod schedule;
#[cfg(feature = "engine")]
mod server;

use std::error::Error;
use std::process::ExitCode;

/// An error is a sentence for the person at the terminal.
type Outcome<T> = Result<T, Box<dyn Error + Send + Sync>>;

/// As in the program.
#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

fn main() -> ExitCode {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    match run(&arguments) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("error: {error}");
            ExitCode::FAILURE
        }
    }
}

fn run(arguments: &[String]) -> Outcome<()> {
    match arguments.split_first() {
        Some((name, rest)) if name == "schedule" => schedule::run(rest),
        Some((name, rest)) if name == "graph" => graph::run(rest).map_err(|error| error.to_string().into()),
        #[cfg(feature = "engine")]
        Some((name, rest)) if name == "evidence" => evidence::run(rest),
        #[cfg(feature = "engine")]
        Some((name, rest)) if name == "fanout" => fanout::run(rest),
        #[cfg(feature = "engine")]
        Some((name, rest)) if name == "cluster" => cluster::run(rest),
        #[cfg(feature = "engine")]
        Some((name, rest)) if name == "contain" => fanout::contain::run(rest),
        #[cfg(feature = "engine")]
        Some((name, rest)) if name == "idle" => idle::run(rest),
        #[cfg(feature = "engine")]
        Some((name, _)) if name == "nothing" => idle::nothing(),
        #[cfg(feature = "engine")]
        Some((name, rest)) if name == "postgres" => postgres::run(rest),
        Some((name, _)) => Err(format!(
            "there is no benchmark `{name}`; there are: cluster, contain, evidence, fanout, graph, postgres, schedule"
        )
        .into()),
        None => Err("name a benchmark: cluster, contain, evidence, fanout, graph, postgres, schedule".into()),
    }
}
