//! `cargo xtask test`: every test of the workspace, against real servers, which are stopped however it ends.

use std::process::ExitCode;

use tokio::process::Command;
use tokio::signal::unix::{SignalKind, signal};

use crate::{Outcome, postgres};

/// Runs the tests; the exit code is that of `cargo test`.
pub(crate) fn run(arguments: &[String]) -> Outcome<ExitCode> {
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .map_err(|failure| format!("no runtime: {failure}"))?;
    runtime.block_on(async {
        // From here on signals end `cargo test` and not this program, so that the server is stopped.
        let listen = |kind| signal(kind).map_err(|failure| format!("signals cannot be caught: {failure}"));
        let (mut interrupt, mut terminate) = (listen(SignalKind::interrupt())?, listen(SignalKind::terminate())?);
        let server = match postgres::start() {
            Ok(server) => Some(server),
            Err(sentence) => {
                eprintln!("warning: tests that need PostgreSQL are skipped (and fail when CI=true): {sentence}");
                None
            }
        };
        let mut tests = Command::new(env!("CARGO"));
        tests.args(["test", "--workspace"]).args(arguments).kill_on_drop(true);
        if let Some(server) = &server {
            tests.envs(server.environment());
        }
        let mut tests = tests.spawn().map_err(|failure| format!("`cargo test` did not start: {failure}"))?;
        let passed = tokio::select! {
            status = tests.wait() => status.map_err(|failure| format!("`cargo test` was lost: {failure}"))?.success(),
            _ = interrupt.recv() => return Err("interrupted".to_owned()),
            _ = terminate.recv() => return Err("terminated".to_owned()),
        };
        let outcome = if passed { "passed" } else { "FAILED" };
        println!("\n{:<12} {:<34} {:<18} outcome", "server", "version", "address");
        match &server {
            Some(server) => {
                let address = format!("127.0.0.1:{}", server.port);
                println!("{:<12} {:<34} {address:<18} {outcome}", "PostgreSQL", server.version);
            }
            None => println!("{:<12} {:<34} {:<18} SKIPPED, the rest {outcome}", "PostgreSQL", "-", "-"),
        }
        Ok(if passed { ExitCode::SUCCESS } else { ExitCode::FAILURE })
    })
}
