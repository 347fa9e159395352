//! `serve`: the daemon. Its log is JSON on stderr, one line an event.

use std::net::SocketAddr;
use std::path::PathBuf;
use std::time::Duration;

use clap::Args;
use remint_contract::HostRules;
use remint_core::gate::{Action, Resource, Scope};
use tracing_subscriber::filter::{LevelFilter, Targets};
use tracing_subscriber::layer::SubscriberExt as _;
use tracing_subscriber::util::SubscriberInitExt as _;

use crate::cli::output::data;
use crate::cli::{Exit, Failure, Session, caller};
use crate::engine::EngineSettings;
use crate::serve::{Certificates, Listen, ListenError, Options, Reader, Reading, ServeError, serve};

#[derive(Debug, Args)]
pub(super) struct Serve {
    /// The folder of documents to watch
    #[arg(long, value_name = "FOLDER", required_unless_present = "kubernetes")]
    estate: Option<PathBuf>,
    /// Watch the custom resources of a cluster in the place of a folder: `kubernetes:` in the state's remint.yaml
    #[arg(long, conflicts_with = "estate")]
    kubernetes: bool,
    #[command(flatten)]
    webhooks: Webhooks,
    /// Take requests on this Unix socket
    #[arg(long, value_name = "PATH")]
    socket: Option<PathBuf>,
    /// Take requests on this address: on a loopback one with the token, on any with TLS
    #[arg(long, value_name = "ADDR")]
    listen: Option<SocketAddr>,
    /// The file that holds the token for --listen on a loopback address
    #[arg(long, value_name = "FILE", conflicts_with = "tls_cert")]
    token_file: Option<PathBuf>,
    /// The certificate that --listen shows, and those between it and its root, in PEM; read again when it changes
    #[arg(long, value_name = "FILE", requires_all = ["tls_key", "listen"])]
    tls_cert: Option<PathBuf>,
    /// The private key of that certificate, in PEM
    #[arg(long, value_name = "FILE", requires = "tls_cert")]
    tls_key: Option<PathBuf>,
    /// Who signs client certificates, in PEM: whoever shows one is `mtls:` and its SHA-256
    #[arg(long, value_name = "FILE", requires = "tls_cert")]
    client_ca: Option<PathBuf>,
    /// How often the folder and the due re-proofs are looked at, in seconds
    #[arg(long, default_value_t = 2, value_name = "SECONDS")]
    every: u64,
    /// What is logged: error, warn, info, debug, or a filter like remint=debug,info
    #[arg(long, default_value = "info", env = "REMINT_LOG", value_name = "FILTER")]
    log: String,
}

/// The same, over a cluster.
#[derive(Debug, Args)]
pub(super) struct Operator {
    #[command(flatten)]
    webhooks: Webhooks,
    /// Take requests on this Unix socket
    #[arg(long, value_name = "PATH")]
    socket: Option<PathBuf>,
    /// Take requests on this address, with TLS
    #[arg(long, value_name = "ADDR", requires_all = ["tls_cert", "tls_key"])]
    listen: Option<SocketAddr>,
    /// The certificate that --listen shows, in PEM; read again when it changes
    #[arg(long, value_name = "FILE", requires_all = ["tls_key", "listen"])]
    tls_cert: Option<PathBuf>,
    /// The private key of that certificate, in PEM
    #[arg(long, value_name = "FILE", requires = "tls_cert")]
    tls_key: Option<PathBuf>,
    /// How often what is due is looked at, in seconds
    #[arg(long, default_value_t = 2, value_name = "SECONDS")]
    every: u64,
    /// What is logged: error, warn, info, debug, or a filter like remint=debug,info
    #[arg(long, default_value = "info", env = "REMINT_LOG", value_name = "FILTER")]
    log: String,
}

impl Operator {
    pub(super) async fn run(self, session: &Session) -> Result<Exit, Failure> {
        let serve = Serve {
            estate: None,
            kubernetes: true,
            webhooks: self.webhooks,
            socket: self.socket,
            listen: self.listen,
            token_file: None,
            tls_cert: self.tls_cert,
            tls_key: self.tls_key,
            client_ca: None,
            every: self.every,
            log: self.log,
        };
        serve.run(session).await
    }
}

/// Where the API server of a cluster asks.
#[derive(Debug, Args)]
pub(super) struct Webhooks {
    /// Answer the API server's admission webhooks on this address, with TLS
    #[arg(long, value_name = "ADDR")]
    webhooks: Option<SocketAddr>,
    /// The certificate that --webhooks shows, in PEM; read again when it changes
    #[arg(long, value_name = "FILE", requires = "webhooks")]
    webhook_cert: Option<PathBuf>,
    /// The private key of that certificate, in PEM
    #[arg(long, value_name = "FILE", requires = "webhooks")]
    webhook_key: Option<PathBuf>,
    /// Make that certificate here, for this Service, renew it, and tell the webhook configurations of the same name
    #[arg(long, value_name = "NAME", requires = "webhooks", conflicts_with_all = ["webhook_cert", "webhook_key"])]
    webhook_service: Option<String>,
}

impl Webhooks {
    fn listen(self) -> Result<Option<Listen>, Failure> {
        let Some(address) = self.webhooks else { return Ok(None) };
        let listen = match (self.webhook_service, self.webhook_cert, self.webhook_key) {
            (Some(service), ..) => Listen::made(address, service),
            (None, Some(certificate), Some(key)) => {
                Listen::tls(address, Certificates { certificate, key, clients: None })
            }
            _ => return Err(Failure::usage("--webhooks needs --webhook-service, or --webhook-cert and --webhook-key")),
        };
        Ok(Some(listen.map_err(ServeError::from)?))
    }
}

impl Serve {
    pub(super) async fn run(self, session: &Session) -> Result<Exit, Failure> {
        log(&self.log)?;
        // The door is looked at before the state: a wrong address or token is the operator's to mend first.
        let network = match (self.listen, self.token_file, self.tls_cert, self.tls_key) {
            (None, ..) => None,
            (Some(address), _, Some(certificate), Some(key)) => {
                let certificates = Certificates { certificate, key, clients: self.client_ca };
                Some(Listen::tls(address, certificates).map_err(ServeError::from)?)
            }
            (Some(address), Some(file), ..) => Some(Listen::loopback(address, &file).map_err(ServeError::from)?),
            (Some(_), ..) => return Err(Failure::usage("--listen needs --token-file, or --tls-cert and --tls-key")),
        };
        let webhooks = self.webhooks.listen()?;
        let mut listen: Vec<Listen> = self.socket.map(Listen::Socket).into_iter().chain(network).collect();
        let app = session.open(HostRules::default(), EngineSettings::default()).await?;
        app.writable()?;
        // Whoever starts it is nobody's hand in what it carries out, so his passing is not kept; it is asked as of a reset with
        // nothing in it.
        let daemon = Resource::Reset(Scope { id: "daemon".to_owned(), ..Scope::default() });
        app.gate.pass(&caller(), &session.environment.user(), Action::Execute, &daemon).await?;
        if listen.is_empty() {
            listen.push(Listen::Socket(app.folder.join("remint.sock")));
        }
        let cluster = self.kubernetes.then(|| app.configuration.kubernetes.clone().unwrap_or_default());
        let options = Options {
            estate: self.estate.unwrap_or_default(),
            reader: std::env::current_exe().map_or(Reader::Here, Reader::Program),
            listen,
            every: Duration::from_secs(self.every.max(1)),
            by: session.environment.user(),
            cluster,
            webhooks,
        };
        serve(app, options, signalled()).await?;
        Ok(Exit::Done)
    }
}

/// What `serve` has another process do.
#[derive(Debug, Args)]
pub(super) struct ReadFolder {
    path: PathBuf,
}

impl ReadFolder {
    pub(super) fn run(&self, session: &Session) -> Result<Exit, Failure> {
        let reading = Reading::of(&self.path, &*session.kinds);
        data(&serde_json::to_string(&reading).map_err(|error| Failure::new(Exit::Failed, error))?);
        Ok(Exit::Done)
    }
}

/// Either signal is a request to stop; failing to listen for one leaves the other.
pub(super) async fn signalled() {
    let mut terminate = tokio::signal::unix::signal(tokio::signal::unix::SignalKind::terminate()).ok();
    let terminated = async {
        match &mut terminate {
            Some(signal) => signal.recv().await,
            None => std::future::pending().await,
        }
    };
    tokio::select! {
        Ok(()) = tokio::signal::ctrl_c() => {}
        Some(()) = terminated => {}
        else => std::future::pending().await,
    }
}

pub(super) fn log(filter: &str) -> Result<(), Failure> {
    let mut targets: Targets = filter.parse().map_err(|error| {
        Failure::usage(format!("--log {filter}: {error}; write a level, or a filter like remint=debug,info"))
    })?;
    if targets.default_level().is_none() {
        targets = targets.with_default(LevelFilter::INFO);
    }
    let lines = tracing_subscriber::fmt::layer().json().with_writer(std::io::stderr);
    // Somebody who set up a log before keeps it.
    let _ = tracing_subscriber::registry().with(lines).with(targets).try_init();
    Ok(())
}

impl From<ServeError> for Failure {
    fn from(error: ServeError) -> Self {
        match error {
            ServeError::App(error) => error.into(),
            ServeError::Engine(error) => error.into(),
            ServeError::Listen(error) => {
                let exit = match &error {
                    ListenError::Public(_)
                    | ListenError::Token(_)
                    | ListenError::NotASocket(_)
                    | ListenError::Twice
                    | ListenError::Made
                    | ListenError::Tls(_) => Exit::Usage,
                    ListenError::Live(_) => Exit::Refused,
                    ListenError::Open { .. } => Exit::Failed,
                };
                Self::new(exit, error)
            }
            ServeError::Witnessing(error) => Self::new(Exit::Failed, error),
            ServeError::Cluster(error) => Self::new(Exit::Unreachable, error),
        }
    }
}
