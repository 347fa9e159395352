//! `cargo xtask servers`: the servers that tests talk to, left up for running single tests by hand.
//!
//! A further server is one file: what implements [`Server`], and its line in [`all`].

mod daemon;
mod go;
mod jupyterhub;
mod kept;
mod kubernetes;
mod moto;
mod node;
mod openbao;
mod openid;
mod pebble;
mod postgresql;
mod program;
mod python;
mod schemathesis;
mod state;
mod tlog;
mod vault;

use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use clap::Subcommand;

pub(crate) use self::kubernetes::Kubernetes;
use self::state::{Entry, State};
use crate::Outcome;

#[derive(Subcommand)]
pub(crate) enum Action {
    /// Start them and print the lines to export. What has to be built or installed first is, and is kept.
    Up {
        /// Only these; all when none is named.
        names: Vec<String>,
        /// One more, which nobody starts unless it is named: `vault-1.14`, in the place of OpenBao.
        #[arg(long, value_name = "NAME")]
        with: Vec<String>,
    },
    /// Stop those that `up` started.
    Down,
    /// Print the lines again.
    List,
}

/// One kind of server.
pub(crate) trait Server {
    /// What tests and people call it.
    fn name(&self) -> &'static str;

    /// Makes its programs available: found, installed, or built once and kept outside the checkout.
    fn obtain(&self) -> Outcome<()>;

    /// Starts it on a free port of 127.0.0.1 with data that nobody wants.
    fn start(&self) -> Outcome<Box<dyn Running>>;

    /// Stops the one of a folder that [`Running::stay`] gave, by its process id, and removes the folder.
    fn stop(&self, folder: &Path) -> Outcome<()>;
}

/// A started server. Dropping it stops it and removes its folder, unless it was told to stay.
pub(crate) trait Running {
    /// As the server itself says.
    fn version(&self) -> &str;

    /// What tests read.
    fn environment(&self) -> Vec<(&'static str, String)>;

    /// Lets it run on after this program; gives its folder, by which it is stopped.
    fn stay(self: Box<Self>) -> Option<PathBuf>;
}

/// Every server.
pub(crate) fn all() -> Vec<Box<dyn Server>> {
    vec![
        Box::new(postgresql::PostgreSql),
        Box::new(openbao::OpenBao),
        Box::new(jupyterhub::JupyterHub),
        Box::new(pebble::Pebble),
        Box::new(moto::Moto),
        Box::new(Kubernetes),
        Box::new(program::HELM),
        Box::new(program::RULES),
        Box::new(tlog::Tlog),
        Box::new(openid::OpenId),
        Box::new(schemathesis::Schemathesis),
    ]
}

/// Those that are started only where they are asked for by name, and never in CI.
fn on_demand() -> Vec<Box<dyn Server>> {
    vec![Box::new(vault::Vault)]
}

/// Obtains and starts one, and says how long either took.
pub(crate) fn start(server: &dyn Server) -> Outcome<Box<dyn Running>> {
    let began = Instant::now();
    server.obtain()?;
    let obtained = began.elapsed();
    let running = server.start()?;
    let started = began.elapsed().checked_sub(obtained).unwrap_or_default();
    eprintln!(
        "{} {}: obtained in {}, started in {}",
        server.name(),
        running.version(),
        minutes(obtained),
        minutes(started)
    );
    Ok(running)
}

pub(crate) fn run(action: &Action) -> Outcome<()> {
    let mut state = State::read()?;
    match action {
        Action::Up { names, with } => up(&mut state, names, with),
        Action::List if state.0.is_empty() => {
            Err("no servers are up; start them with `cargo xtask servers up`".to_owned())
        }
        Action::List => {
            println!("{}", state.exports());
            Ok(())
        }
        Action::Down => down(state),
    }
}

fn up(state: &mut State, names: &[String], with: &[String]) -> Outcome<()> {
    let (usual, more) = (all(), on_demand());
    for (wanted, servers) in [(names, &usual), (with, &more)] {
        let known: Vec<&str> = servers.iter().map(|server| server.name()).collect();
        if let Some(name) = wanted.iter().find(|name| !known.iter().any(|known| known.eq_ignore_ascii_case(name))) {
            return Err(format!("there is no server `{name}` here; there are: {}", known.join(", ")));
        }
    }
    let is = |names: &[String], name: &str| names.iter().any(|wanted| wanted.eq_ignore_ascii_case(name));
    let usual =
        usual.into_iter().filter(|server| if names.is_empty() { with.is_empty() } else { is(names, server.name()) });
    // Last: what they say takes the place of what the others said.
    let servers: Vec<_> = usual.chain(more.into_iter().filter(|server| is(with, server.name()))).collect();
    let mut missing = Vec::new();
    for server in &servers {
        if state.has(server.name()) {
            continue;
        }
        match start(server.as_ref()) {
            Ok(running) => {
                let exports = running.environment();
                let folder = running.stay().ok_or_else(|| format!("the folder of {} is gone", server.name()))?;
                state.0.push(Entry::new(server.name(), folder, &exports));
                state.write()?;
            }
            Err(sentence) => missing.push(format!("{} is not there: {sentence}", server.name())),
        }
    }
    println!("{}", state.exports());
    if missing.is_empty() { Ok(()) } else { Err(missing.join("; ")) }
}

fn down(mut state: State) -> Outcome<()> {
    let servers: Vec<_> = all().into_iter().chain(on_demand()).collect();
    let mut failed = Vec::new();
    for entry in std::mem::take(&mut state.0) {
        let stopped = match servers.iter().find(|server| server.name() == entry.name) {
            Some(server) => server.stop(&entry.folder),
            None => Err(format!("{} was started by another version of this program", entry.name)),
        };
        if let Err(sentence) = stopped {
            failed.push(sentence);
            state.0.push(entry);
        }
    }
    state.write()?;
    if failed.is_empty() { Ok(()) } else { Err(failed.join("; ")) }
}

fn minutes(time: Duration) -> String {
    format!("{:.1} min", time.as_secs_f64() / 60.0)
}
