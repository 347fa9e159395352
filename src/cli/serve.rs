//! `serve`: the daemon.

use std::net::SocketAddr;
use std::path::PathBuf;
use std::time::Duration;

use clap::Args;
use remint_contract::HostRules;

use crate::cli::output::say;
use crate::cli::{Exit, Failure, Session};
use crate::engine::EngineSettings;
use crate::serve::{Listen, Options, serve};

#[derive(Debug, Args)]
pub(super) struct Serve {
    /// The folder of documents to watch
    #[arg(long, value_name = "FOLDER")]
    estate: PathBuf,
    /// Take requests on this Unix socket
    #[arg(long, value_name = "PATH", conflicts_with = "listen")]
    socket: Option<PathBuf>,
    /// Take requests on this loopback address, with the token
    #[arg(long, value_name = "ADDR", requires = "token_file")]
    listen: Option<SocketAddr>,
    /// The file that holds the token for --listen
    #[arg(long, value_name = "FILE")]
    token_file: Option<PathBuf>,
    /// How often the folder and the due re-proofs are looked at, in seconds
    #[arg(long, default_value_t = 2, value_name = "SECONDS")]
    every: u64,
}

impl Serve {
    pub(super) async fn run(self, session: &Session) -> Result<Exit, Failure> {
        let app = session.open(HostRules::default(), EngineSettings::default()).await?;
        let listen = match (self.socket, self.listen, self.token_file) {
            (_, Some(address), Some(file)) if address.ip().is_loopback() => Listen::loopback(address, &file)?,
            (_, Some(address), _) => {
                return Err(Failure::usage(format!("{address} is not a loopback address; other machines wait for the daemon's real identities")));
            }
            (Some(path), _, _) => Listen::Socket(path),
            (None, None, _) => Listen::Socket(app.folder.join("remint.sock")),
        };
        let options = Options {
            estate: self.estate,
            listen,
            every: Duration::from_secs(self.every.max(1)),
            by: session.environment.user(),
        };
        serve(app, options, async {
            // Either signal is a request to stop; failing to listen for one leaves the other.
            let mut terminate = tokio::signal::unix::signal(tokio::signal::unix::SignalKind::terminate()).ok();
            tokio::select! {
                _ = tokio::signal::ctrl_c() => {}
                Some(()) = async { terminate.as_mut()?.recv().await } => {}
            }
            say("Stopping: what is under way ends its step, the rest goes on at the next start.");
        })
        .await?;
        Ok(Exit::Done)
    }
}
