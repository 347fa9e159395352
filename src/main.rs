//! The `remint` program: hardens the process, then hands over to the command line.

use std::process::ExitCode;

fn main() -> ExitCode {
    if let Err(error) = remint::harden::process() {
        remint::cli::complain(&error);
        return ExitCode::from(1);
    }
    remint::cli::main()
}
