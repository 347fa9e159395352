//! What developers and CI run: `cargo xtask test`, `cargo xtask lint`, `cargo xtask servers up|down|list`, `cargo xtask bench NAME`,
//! `cargo xtask chaos`, `cargo xtask fuzz`.
#![allow(clippy::print_stdout, clippy::print_stderr, reason = "this program talks to a person at a terminal")]

mod bench;
mod chaos;
mod child;
mod fuzz;
mod lint;
mod postgres;
mod servers;
mod tally;
mod test;

use std::process::ExitCode;

use clap::{Parser, Subcommand};

/// An error is a sentence for the person at the terminal.
type Outcome<T> = Result<T, String>;

#[derive(Parser)]
#[command(name = "cargo xtask", about = "Tests, lints, test servers and benchmarks of Remint")]
struct Arguments {
    #[command(subcommand)]
    task: Task,
}

#[derive(Subcommand)]
enum Task {
    /// Start throw-away servers, run every test of the workspace against them, stop them.
    Test {
        /// Only the daemon's tests that have this in their name, with what they print: `incident`.
        name: Option<String>,
        /// Passed on to `cargo test --workspace`.
        #[arg(last = true)]
        arguments: Vec<String>,
    },
    /// Look at the layout of the code and at what clippy says of it; a warning fails.
    Lint,
    /// Throw-away servers that stay up between test runs.
    Servers {
        #[command(subcommand)]
        action: servers::Action,
    },
    /// Kill a real daemon at random while it resets, and count at the servers and files what came of it.
    Chaos {
        /// `--kills N --seed S -o json`, and what `--help` after `--` says.
        #[arg(trailing_var_arg = true, allow_hyphen_values = true)]
        arguments: Vec<String>,
    },
    /// Feed the readers of the evidence hostile input: `[TARGET…] [--minutes N] [--seed N]`.
    Fuzz {
        #[arg(trailing_var_arg = true, allow_hyphen_values = true)]
        arguments: Vec<String>,
    },
    /// Run one benchmark.
    Bench {
        name: String,
        #[arg(trailing_var_arg = true, allow_hyphen_values = true)]
        arguments: Vec<String>,
    },
}

fn main() -> ExitCode {
    let outcome = match Arguments::parse().task {
        Task::Test { name, arguments } => test::run(name.as_deref(), &arguments),
        Task::Lint => lint::run(),
        Task::Servers { action } => servers::run(&action).map(|()| ExitCode::SUCCESS),
        Task::Chaos { arguments } => chaos::run(&arguments),
        Task::Fuzz { arguments } => fuzz::run(&arguments),
        Task::Bench { name, arguments } => bench::run(&name, &arguments),
    };
    outcome.unwrap_or_else(|sentence| {
        eprintln!("error: {sentence}");
        ExitCode::FAILURE
    })
}
