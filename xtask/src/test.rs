//! `cargo xtask test`: every test of the workspace, against real servers, which are stopped however it ends.

use std::process::{Command, ExitCode};
use std::sync::{Arc, Mutex, PoisonError};

use crate::Outcome;
use crate::child::Signals;
use crate::postgres::{self, Durability, NAME};
use crate::tally::Tally;

/// Runs the tests. The last line says how many passed and failed; the exit code is that of `cargo test`.
pub(crate) fn run(arguments: &[String]) -> Outcome<ExitCode> {
    let mut signals = Signals::catch()?;
    let server = match postgres::start(Durability::None) {
        Ok(server) => Some(server),
        Err(sentence) => {
            eprintln!("warning: tests that need {NAME} are skipped (and fail when CI=true): {sentence}");
            None
        }
    };
    let mut tests = Command::new(env!("CARGO"));
    tests.args(["test", "--workspace", "--no-fail-fast"]).args(arguments);
    if let Some(server) = &server {
        tests.envs(server.environment());
    }
    let tally = Arc::new(Mutex::new(Tally::default()));
    let sees = Arc::clone(&tally);
    let status = signals.run_reading(tests, move |line| {
        println!("{line}");
        sees.lock().unwrap_or_else(PoisonError::into_inner).see(line);
    });
    let passed = status?.success();
    let tally = tally.lock().unwrap_or_else(PoisonError::into_inner);
    let version = |name: &str| server.as_ref().filter(|_| name == NAME).map(|server| server.version.clone());
    println!("\n{}", tally.render(version));
    if server.is_none() {
        println!("{NAME}: not there; what needs it was skipped");
    }
    let (good, bad) = tally.sums(passed);
    println!("{good} passed, {bad} failed");
    Ok(if passed { ExitCode::SUCCESS } else { ExitCode::FAILURE })
}
