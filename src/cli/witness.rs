//! `witness`: sees the logs of others, on another host, with a key of its own.

use std::net::{SocketAddr, TcpListener};
use std::path::PathBuf;

use clap::Args;
use remint_evidence_format::note::VerifierKey;

use crate::cli::output::{data, next, say};
use crate::cli::{Exit, Failure, Session};
use crate::escrow::SystemRandomness;
use crate::serve::{Witness as Service, WitnessError};

#[derive(Debug, Args)]
pub(super) struct Witness {
    /// Where its key and its memory lie: one file for each log
    #[arg(long, value_name = "FOLDER")]
    folder: PathBuf,
    /// What it is called, a host name with a path for instance; only the first run decides
    #[arg(long)]
    name: String,
    /// The public key of a log to see
    #[arg(long = "log", value_name = "VKEY", required = true)]
    logs: Vec<String>,
    /// Take requests here, in plain HTTP: what is sent is signed and not secret; put a proxy before it where TLS is wanted
    #[arg(long, value_name = "ADDR", default_value = "127.0.0.1:8642")]
    listen: SocketAddr,
    /// What is logged: error, warn, info, debug, or a filter like remint=debug,info
    #[arg(long = "log-level", default_value = "info", value_name = "FILTER")]
    level: String,
}

impl Witness {
    pub(super) async fn run(self, session: &Session) -> Result<Exit, Failure> {
        super::serve::log(&self.level)?;
        let logs = self.logs.iter().map(|key| VerifierKey::parse(key)).collect::<Result<Vec<_>, _>>();
        let logs = logs.map_err(|error| Failure::usage(format!("--log is not the public key of a log: {error}")))?;
        let clock = session.context.clock.clone();
        let service = Service::open(&self.folder, &self.name, logs, clock, &SystemRandomness)?;
        let at = self.listen;
        let listener = TcpListener::bind(at).map_err(|source| WitnessError::Listen { at, source })?;
        let bound = listener.local_addr().unwrap_or(at);
        data(&service.key().to_string());
        say(&format!("This witness takes requests on http://{bound}"));
        next("give that key and its address to the operators of the logs, and the key to whoever relies on them");
        service.serve(listener, super::serve::signalled()).await?;
        Ok(Exit::Done)
    }
}

impl From<WitnessError> for Failure {
    fn from(error: WitnessError) -> Self {
        let exit = match &error {
            WitnessError::Name { .. } | WitnessError::Key { .. } => Exit::Usage,
            WitnessError::Held(_) => Exit::Refused,
            WitnessError::Io { .. } | WitnessError::Randomness(_) | WitnessError::Listen { .. } => Exit::Failed,
        };
        Self::new(exit, error)
    }
}
