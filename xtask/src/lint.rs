//! `cargo xtask lint`: the layout of the code and what clippy says of it, for every crate, target and feature.

use std::process::{Command, ExitCode};

use crate::Outcome;
use crate::child::Signals;

const CHECKS: [&[&str]; 2] = [
    &["fmt", "--all", "--check"],
    &["clippy", "--workspace", "--all-targets", "--all-features", "--quiet", "--", "--deny", "warnings"],
];

/// Runs every check, also after one has failed; the exit code says whether all passed.
pub(crate) fn run() -> Outcome<ExitCode> {
    let mut signals = Signals::catch()?;
    let mut passed = true;
    for arguments in CHECKS {
        let mut check = Command::new(env!("CARGO"));
        check.args(arguments);
        passed &= signals.run(check)?.success();
    }
    Ok(if passed { ExitCode::SUCCESS } else { ExitCode::FAILURE })
}
