//! `cargo xtask chaos` runs this against a server of its own; the last line on stdout is one JSON object.
#![allow(clippy::print_stdout, clippy::print_stderr, reason = "this program talks to a person at a terminal")]

use std::path::PathBuf;
use std::process::ExitCode;
use std::time::Duration;

use clap::{Parser, ValueEnum};
use remint_chaos::{Options, Outcome, Server, Store, Tally, run};
use serde_json::{Value, json};

#[derive(Parser)]
#[command(name = "remint-chaos", about = "Kill a real daemon at random while it resets, and count what came of it")]
struct Arguments {
    /// The program under test
    #[arg(long, value_name = "FILE")]
    program: PathBuf,
    /// How many kills, shared by the stores
    #[arg(long, default_value_t = 200)]
    kills: u32,
    #[arg(long, default_value_t = 1)]
    seed: u64,
    /// Only over this store
    #[arg(long, value_enum)]
    store: Option<Only>,
    /// Roles of the database
    #[arg(long, default_value_t = 8)]
    roles: usize,
    /// The longest that a daemon lives, in milliseconds
    #[arg(long, default_value_t = 4000)]
    life: u64,
    /// How long the last reset of each store may take, in seconds
    #[arg(long, default_value_t = 300)]
    patience: u64,
    /// Keep the folders of the run
    #[arg(long)]
    keep: bool,
    /// How the result is written
    #[arg(short, long, value_enum, default_value_t = Output::Table)]
    output: Output,
    #[arg(long, env = "REMINT_TEST_POSTGRES", hide = true)]
    server: String,
    #[arg(long, env = "REMINT_TEST_POSTGRES_PASSWORD", hide = true, hide_env_values = true)]
    password: String,
}

#[derive(Clone, Copy, ValueEnum)]
enum Only {
    Sqlite,
    Postgresql,
}

#[derive(Clone, Copy, PartialEq, Eq, ValueEnum)]
enum Output {
    Table,
    Json,
}

#[tokio::main]
async fn main() -> ExitCode {
    let arguments = Arguments::parse();
    match chaos(&arguments).await {
        Ok(good) => ExitCode::from(u8::from(!good)),
        Err(error) => {
            eprintln!("error: {error}");
            ExitCode::FAILURE
        }
    }
}

async fn chaos(arguments: &Arguments) -> Outcome<bool> {
    let stores = match arguments.store {
        Some(Only::Sqlite) => vec![Store::Sqlite],
        Some(Only::Postgresql) => vec![Store::Postgresql],
        None => vec![Store::Sqlite, Store::Postgresql],
    };
    let mut left = arguments.kills;
    let mut runs = Vec::new();
    for (index, store) in stores.iter().enumerate() {
        let share = left / u32::try_from(stores.len() - index)?;
        left -= share;
        let options = Options {
            program: arguments.program.clone(),
            server: Some(Server::parse(&arguments.server, arguments.password.clone())?),
            store: *store,
            kills: share,
            seed: arguments.seed,
            roles: arguments.roles,
            life: Duration::from_millis(arguments.life),
            patience: Duration::from_secs(arguments.patience),
            keep: arguments.keep,
        };
        runs.push(run(&options, &|text| eprintln!("{text}")).await?);
    }
    let total = total(arguments.seed, &runs);
    match arguments.output {
        Output::Json => println!("{total}"),
        Output::Table => println!("{total:#}"),
    }
    Ok(runs.iter().all(Tally::is_good))
}

fn total(seed: u64, runs: &[Tally]) -> Value {
    let sum = |of: fn(&Tally) -> usize| runs.iter().map(of).sum::<usize>();
    json!({
        "kills": sum(|run| run.kills as usize),
        "settled": sum(|run| run.settled),
        "lost": sum(|run| run.lost),
        "orphans": sum(|run| run.orphans),
        "double_live": sum(|run| run.double_live),
        "evidence_ok": runs.iter().all(|run| run.evidence_ok),
        "kills_in_flight": sum(|run| run.kills_in_flight as usize),
        "kills_in_call": sum(|run| run.kills_in_call as usize),
        "resets": sum(|run| run.resets),
        "retries": sum(|run| run.retries as usize),
        "seed": seed,
        "runs": runs,
    })
}
