//! `cargo xtask servers`: the same servers, left up, for running single tests by hand.

use std::fs;
use std::path::PathBuf;

use clap::Subcommand;

use crate::{Outcome, postgres};

#[derive(Subcommand)]
pub(crate) enum Action {
    /// Start them and print the lines to export.
    Up,
    /// Stop those that `up` started.
    Down,
    /// Print the lines again.
    List,
}

/// The folder of the server in the first line, the lines to export after it.
fn state() -> PathBuf {
    std::env::temp_dir().join("remint-servers.state")
}

pub(crate) fn run(action: &Action) -> Outcome<()> {
    let known = fs::read_to_string(state()).ok();
    match (action, known) {
        (Action::Up, None) => up(),
        (Action::Up | Action::List, Some(known)) => {
            println!("{}", known.lines().skip(1).collect::<Vec<_>>().join("\n"));
            Ok(())
        }
        (Action::List, None) => Err("no servers are up; start them with `cargo xtask servers up`".to_owned()),
        (Action::Down, Some(known)) => {
            postgres::stop(known.lines().next().unwrap_or_default().as_ref())?;
            fs::remove_file(state()).map_err(|failure| format!("{} could not be removed: {failure}", state().display()))
        }
        (Action::Down, None) => Ok(()),
    }
}

fn up() -> Outcome<()> {
    use std::os::unix::fs::OpenOptionsExt as _;
    let server = postgres::start(postgres::Durability::None)?;
    let lines: Vec<String> =
        server.environment().iter().map(|(name, value)| format!("export {name}='{value}'")).collect();
    let lines = lines.join("\n");
    let mut file = fs::OpenOptions::new()
        .write(true)
        .create_new(true)
        .mode(0o600)
        .open(state())
        .map_err(|failure| format!("{} could not be written: {failure}", state().display()))?;
    let Some(folder) = server.stay() else { return Err("the server's folder is gone".to_owned()) };
    std::io::Write::write_all(&mut file, format!("{}\n{lines}\n", folder.display()).as_bytes())
        .map_err(|failure| format!("{} could not be written: {failure}", state().display()))?;
    println!("{lines}");
    Ok(())
}
