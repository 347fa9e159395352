//! `cargo xtask test`: every test of the workspace, or those of the daemon with a word in their name, against real servers,
//! which are stopped however it ends.

use std::process::{Command, ExitCode};
use std::sync::{Arc, Mutex, PoisonError};

use crate::Outcome;
use crate::child::Signals;
use crate::servers;
use crate::tally::Tally;

/// Runs the tests. The last line says how many passed and failed; the exit code is that of `cargo test`.
pub(crate) fn run(name: Option<&str>, arguments: &[String]) -> Outcome<ExitCode> {
    let mut signals = Signals::catch()?;
    let mut running = Vec::new();
    let mut missing = Vec::new();
    for server in servers::all() {
        match servers::start(server.as_ref()) {
            Ok(started) => running.push((server.name(), started)),
            Err(sentence) => {
                eprintln!("warning: {} is not there: {sentence}", server.name());
                missing.push(server.name());
            }
        }
    }
    let mut tests = Command::new(env!("CARGO"));
    tests.args(["test", "--workspace", "--no-fail-fast"]);
    if name.is_some() {
        tests.args(["--test", "remint"]);
    }
    tests.args(arguments);
    if let Some(name) = name {
        tests.args(["--", name, "--nocapture"]);
    }
    for (_, server) in &running {
        tests.envs(server.environment());
    }
    let tally = Arc::new(Mutex::new(Tally::default()));
    // First the program that decides: it lies beside `remint` then, where the tests of the daemon look for it.
    let mut passed = true;
    for tests in [policy(name.is_none()), tests] {
        let sees = Arc::clone(&tally);
        let status = signals.run_reading(tests, move |line| {
            println!("{line}");
            sees.lock().unwrap_or_else(PoisonError::into_inner).see(line);
        });
        passed &= status?.success();
    }
    let tally = tally.lock().unwrap_or_else(PoisonError::into_inner);
    let version = |name: &str| {
        let server = running.iter().find(|(known, _)| *known == name);
        server.map(|(_, server)| server.version().to_owned())
    };
    println!("\n{}", tally.render(version));
    for name in missing {
        println!("{name}: not there; what needs it was skipped, or failed for want of it");
    }
    let (good, bad) = tally.sums(passed);
    println!("{good} passed, {bad} failed");
    Ok(if passed { ExitCode::SUCCESS } else { ExitCode::FAILURE })
}

/// `policy`, which is a workspace of its own and is built into the folder of this one: all its tests, or only the program,
/// which tests of the daemon start.
fn policy(all: bool) -> Command {
    let mut tests = Command::new(env!("CARGO"));
    let what = if all { "test" } else { "build" };
    tests.args([what, "--locked", "--manifest-path", "policy/Cargo.toml"]);
    if std::env::var_os("CARGO_TARGET_DIR").is_none() {
        tests.args(["--target-dir", "target"]);
    }
    tests
}
