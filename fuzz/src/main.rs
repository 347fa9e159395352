//! `cargo xtask fuzz`: feeds the targets, and writes down what fails.
#![allow(clippy::print_stdout, clippy::print_stderr, reason = "this program talks to a person at a terminal")]

use std::process::ExitCode;
use std::time::Duration;

use clap::Parser;
use remint_fuzz::run::{Ran, Until, folder, run, seeds};
use remint_fuzz::sample;
use remint_fuzz::target::{TARGETS, Target};

#[derive(Parser)]
#[command(name = "cargo xtask fuzz")]
struct Arguments {
    /// Only these; all when none is named.
    targets: Vec<String>,
    /// How long each is fed.
    #[arg(long, default_value_t = 10.0)]
    minutes: f64,
    /// Which of the infinitely many runs.
    #[arg(long, default_value_t = 1)]
    seed: u64,
    /// Write the good inputs into `seeds/` and do nothing else.
    #[arg(long)]
    write_seeds: bool,
}

fn main() -> ExitCode {
    match fuzz(&Arguments::parse()) {
        Ok(true) => ExitCode::SUCCESS,
        Ok(false) => ExitCode::FAILURE,
        Err(error) => {
            eprintln!("error: {error}");
            ExitCode::FAILURE
        }
    }
}

fn fuzz(arguments: &Arguments) -> sample::Made<bool> {
    let wanted =
        |target: &&Target| arguments.targets.is_empty() || arguments.targets.iter().any(|name| name == target.name);
    let unknown = arguments.targets.iter().find(|name| TARGETS.iter().all(|target| target.name != name.as_str()));
    if let Some(unknown) = unknown {
        let known: Vec<_> = TARGETS.iter().map(|target| target.name).collect();
        return Err(format!("there is no target `{unknown}`; there are: {}", known.join(", ")).into());
    }
    // What is caught is told below, once.
    std::panic::set_hook(Box::new(|_| {}));
    let mut clean = true;
    for target in TARGETS.iter().filter(wanted) {
        let folder = folder(target);
        std::fs::create_dir_all(&folder)?;
        if arguments.write_seeds {
            std::fs::write(folder.join("good"), sample::of(target.name)?)?;
            continue;
        }
        let time = Duration::try_from_secs_f64(arguments.minutes * 60.0)?;
        let Ran { inputs, outcomes, took, found } = run(target, &seeds(target)?, arguments.seed, Until::Passed(time));
        println!("{}: {inputs} inputs, {outcomes} outcomes, {:.0} s", target.name, took.as_secs_f64());
        if let Some((input, words)) = found {
            let path = folder.join(format!("found-{}-{inputs}", arguments.seed));
            std::fs::write(&path, &input)?;
            eprintln!("FOUND in {}: {words}; the input is {}", target.name, path.display());
            clean = false;
        }
    }
    Ok(clean)
}
