//! `prober init|serve`: the somebody else of the evidence.

use std::net::SocketAddr;
use std::path::PathBuf;
use std::sync::Arc;

use clap::Subcommand;
use remint_evidence_format::note::VerifierKey;
use serde_json::json;

use crate::cli::output::{data, json, next, say};
use crate::cli::serve::{log, signalled};
use crate::cli::{Exit, Failure, Session};
use crate::escrow::SystemRandomness;
use crate::prober::{DoorError, ProberKey, ProberKeyError, serve};

#[derive(Debug, Subcommand)]
pub(super) enum Prober {
    /// Make a prober's key, on the host where it will run
    Init {
        /// Where to write the key; nobody else may read it
        #[arg(long, value_name = "FILE")]
        key: PathBuf,
        /// What it is called in the evidence, like prober.example.org/frankfurt
        #[arg(long, value_name = "NAME")]
        name: String,
    },
    /// Take signed questions, try the values in them, and sign what the targets answer
    Serve {
        /// The key that `remint prober init` made
        #[arg(long, value_name = "FILE")]
        key: PathBuf,
        /// Where to take questions. What is sent is sealed or signed; who asks about what is not hidden
        #[arg(long, value_name = "ADDR")]
        listen: SocketAddr,
        /// The public key of a log whose questions are answered, as `remint init` printed it. Repeat it for more
        #[arg(long, value_name = "VKEY", required = true)]
        trust: Vec<String>,
        /// What is logged: error, warn, info, debug, or a filter like remint=debug,info
        #[arg(long, default_value = "info", env = "REMINT_LOG", value_name = "FILTER")]
        log: String,
    },
}

impl Prober {
    pub(super) async fn run(self, session: &Session) -> Result<Exit, Failure> {
        match self {
            Self::Init { key, name } => {
                let made = ProberKey::create(&key, &name, &SystemRandomness)?;
                let public = made.public()?.to_string();
                if session.json() {
                    json(&json!({ "key": key, "prober": public }))?;
                } else {
                    data(&public);
                    say(
                        "Above is its public word; the daemon's remint.yaml names it, and auditors trust the part before the comma.",
                    );
                    next(&format!("remint prober serve --key {} --listen ADDR --trust VKEY", key.display()));
                }
                Ok(Exit::Done)
            }
            Self::Serve { key, listen, trust, log: filter } => {
                log(&filter)?;
                let key = ProberKey::load(&key)?;
                let trusted = trust.iter().map(|text| VerifierKey::parse(text)).collect::<Result<Vec<_>, _>>();
                let trusted = trusted.map_err(|error| {
                    Failure::usage(format!("--trust is not a public key as `remint init` prints it: {error}"))
                })?;
                let (kinds, clock) = (Arc::clone(&session.kinds), Arc::clone(&session.context.clock));
                let ready = |at: SocketAddr| tracing::info!(%at, "taking questions");
                serve(key, trusted, kinds, clock, listen, ready, signalled()).await?;
                Ok(Exit::Done)
            }
        }
    }
}

impl From<ProberKeyError> for Failure {
    fn from(error: ProberKeyError) -> Self {
        let exit = match &error {
            ProberKeyError::Random(_) | ProberKeyError::Derive => Exit::Failed,
            ProberKeyError::Open(_) => Exit::Refused,
            _ => Exit::Usage,
        };
        Self::new(exit, error)
    }
}

impl From<DoorError> for Failure {
    fn from(error: DoorError) -> Self {
        Self::new(Exit::Failed, error)
    }
}
