//! The command line. Data goes to stdout, words to stderr; `-o json` everywhere; every run ends with what to do now.
//!
//! Exit codes: 0 done; 1 failed or incomplete (a provisional settlement too, where no daemon owns the re-proof); 2 bad
//! usage or invalid documents; 3 refused, or waiting for approval; 4 a system cannot be reached; 5 an outcome is unknown.

use std::path::PathBuf;
use std::process::ExitCode;
use std::sync::Arc;
use std::time::Duration;

use clap::{Args, Parser, Subcommand, ValueEnum};
use remint_contract::{HostRules, Kinds, SecretValue};
use remint_core::approval::Executor;

use crate::app::{App, AppError, Places};
use crate::client::{Server, ServerError, Ways};
use crate::config::{Configuration, Environment};
use crate::context::Context;
use crate::engine::EngineSettings;
use crate::registry::Registry;

mod acts;
mod approve;
mod ask;
mod chart;
mod cluster;
mod demo;
mod discover;
mod escalate;
mod estate;
mod evidence;
mod except;
mod exit;
mod keys;
mod known;
mod log;
mod login;
mod look;
mod output;
mod parked;
mod pause;
mod policy;
mod prober;
mod records;
mod remote;
mod reset;
mod serve;
mod store;
mod stream;
mod token;
mod windows;
mod witness;
mod witnesses;

pub use ask::Ask;
pub(crate) use ask::caller;
pub use exit::{Exit, Failure};
pub use output::complain;

/// Rotates the credentials of non-human identities across every system they touch, and proves the old ones dead.
#[derive(Debug, Parser)]
#[command(name = "remint", version, max_term_width = 110)]
struct Cli {
    #[command(subcommand)]
    command: Command,
    #[command(flatten)]
    global: Global,
}

/// What every command takes.
#[derive(Debug, Clone, Args)]
pub struct Global {
    /// The state folder. Default: `remint` under the user's state directory
    #[arg(long, global = true, env = "REMINT_STATE", value_name = "FOLDER")]
    state: Option<PathBuf>,
    /// The key-encryption key, outside the state folder: a file, a mounted folder, or env:NAME. Default: `remint/kek` under the user's configuration
    #[arg(long, global = true, env = "REMINT_KEK", value_name = "FILE")]
    kek: Option<PathBuf>,
    /// The file that holds the newest checkpoint a second time, where a restore of the state does not reach
    #[arg(long, global = true, env = "REMINT_ANCHOR", value_name = "FILE")]
    anchor: Option<PathBuf>,
    /// Where the store is, for several replicas: postgres://USER@HOST/DATABASE?password_file=PATH. Default: `store` in the
    /// state folder's remint.yaml, else the state folder itself
    #[arg(long, global = true, env = "REMINT_STORE", value_name = "URL")]
    store: Option<String>,
    /// Talk to a daemon instead of opening the state: unix:/PATH, https://HOST[:PORT], or http:// and a loopback address
    #[arg(long, global = true, env = "REMINT_SERVER", value_name = "URL")]
    server: Option<String>,
    /// The file with the token for --server; without it the one of `remint login`
    #[arg(long, global = true, env = "REMINT_TOKEN_FILE", value_name = "FILE")]
    server_token_file: Option<PathBuf>,
    /// The certificates that --server is trusted by, in PEM, where those of the machine are not
    #[arg(long, global = true, env = "REMINT_SERVER_CA", value_name = "FILE")]
    server_ca: Option<PathBuf>,
    /// Your client certificate for --server and its key, in one PEM file
    #[arg(long, global = true, env = "REMINT_CLIENT_IDENTITY", value_name = "FILE")]
    client_identity: Option<PathBuf>,
    /// How data is written to stdout
    #[arg(short, long, global = true, value_enum, default_value_t = Output::Table)]
    output: Output,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum Output {
    Table,
    Json,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// Play a whole incident on an embedded estate of real HTTP services; nothing else is needed
    Demo(demo::Demo),
    /// Check documents: every problem at once, with its position and what to do
    Validate(estate::Validate),
    /// Draw the graph of what reaches what
    Graph(look::Graph),
    /// What an attacker has who has these nodes, and by which path
    Reach(look::Reach),
    /// Plan a reset: what is replaced, in which order, and what that costs
    Plan(look::Plan),
    /// Make a state folder and its keys
    Init(estate::Init),
    /// The estate that is active: what a folder would change, and making it so
    #[command(subcommand)]
    Estate(estate::Estate),
    /// Replace everything that these nodes reach
    Reset(reset::Reset),
    /// Say yes to a reset's plan, and carry it out
    Approve(approve::Approve),
    /// Say no to a reset
    Reject(acts::Reject),
    /// Leave a credential as it is until a time, on somebody's answer for it
    Except(except::Except),
    /// Say that a dirty node was rebuilt, isolated or cut off
    Clean(acts::Clean),
    /// Decide what happens to something foreign at an issuer
    Decide(acts::Decide),
    /// Have a running reset stop some credentials first, or not; a revision of its plan that waits for approval
    Escalate(escalate::Escalate),
    /// Let parked rotations try again
    Retry(acts::Retry),
    /// Go back to the old value with what is parked before that was stopped; it stays open
    Rollback(acts::Rollback),
    /// Begin no further step of a reset until it is resumed
    Pause(pause::Pause),
    /// Let a paused reset go on
    Resume(pause::Resume),
    /// Stop a reset for good, where that is safe, and say what is half done
    Abort(pause::Abort),
    /// What people have to do
    #[command(subcommand)]
    Task(acts::Task),
    /// Try the old values of a settled reset again
    Reprove(acts::Reprove),
    /// Destroy a stopped version of an encryption key, for ever; no reset does that
    Destroy(acts::Destroy),
    /// Show records
    Get(records::Get),
    /// Rotation windows: when they open, and what is due
    #[command(subcommand)]
    Windows(windows::Windows),
    /// Evidence: list entries, export a bundle, verify one, and write a page about it
    #[command(subcommand)]
    Evidence(evidence::Evidence),
    /// The evidence log as a whole: publish it, verify a published one, take a new signing key
    #[command(subcommand)]
    Log(log::Log),
    /// Who else is told what happens: how their streams stand, and what nobody took
    #[command(subcommand)]
    Stream(stream::Stream),
    /// The key-encryption key: its generations and recovery keys
    #[command(subcommand)]
    Keys(keys::Keys),
    /// Where the state is kept: backup, restore, check, recover, copy
    #[command(subcommand)]
    Store(store::Store),
    /// Take back what you signed of a reset; what has begun nothing begins nothing
    Withdraw(acts::Withdraw),
    /// Say what you found in a reset for which somebody else broke the glass
    Review(acts::Review),
    /// Carry out a reset that others approved
    Execute(acts::Execute),
    /// Who may do what: check a folder of policies, stage one, ask what would be decided
    #[command(subcommand)]
    Policy(policy::Policy),
    /// Log in at the identity provider of a daemon, in a browser
    Login(login::Login),
    /// Tokens of this state: for programs, and for people where there is no identity provider
    #[command(subcommand)]
    Token(token::Token),
    /// Run as a daemon
    Serve(serve::Serve),
    /// Run as the daemon of a cluster: its custom resources are the estate
    Operator(serve::Operator),
    /// What other tools are given: custom resource definitions
    #[command(subcommand)]
    Generate(cluster::Generate),
    /// What lies in a cluster
    #[command(name = "k8s", subcommand)]
    K8s(cluster::K8s),
    /// What a folder of documents holds, for the daemon that asks
    #[command(name = crate::serve::READ_FOLDER, hide = true)]
    ReadFolder(serve::ReadFolder),
    /// Try old values from another host, with a key of its own; needs no state
    #[command(subcommand)]
    Prober(prober::Prober),
    /// See the logs of others: cosign what continues what was seen before. Needs no state
    Witness(witness::Witness),
}

/// What a command works with.
pub struct Session {
    pub global: Global,
    pub environment: Environment,
    pub context: Context,
    pub kinds: Arc<dyn Kinds>,
    /// What the command wants of the state, for the gate.
    pub asks: Ask,
}

impl Session {
    /// Where this session's state lies.
    pub fn places(&self) -> Result<Places, AppError> {
        let state = self.global.state.clone().unwrap_or_else(|| self.environment.state());
        let store = match &self.global.store {
            Some(url) => Some(url.parse()?),
            None => Configuration::read(&state)?.store.as_deref().map(str::parse).transpose()?,
        };
        let kek = self.global.kek.clone().unwrap_or_else(|| self.environment.kek());
        Ok(Places { state, kek, same_folder: false, store })
    }

    /// Opens this session's state. `rules` is what the command allows beside the state's own configuration.
    pub async fn open(&self, rules: HostRules, settings: EngineSettings) -> Result<App, AppError> {
        let (places, anchor) = (self.places()?, self.global.anchor.clone());
        let mut app =
            App::open_anchored(&places, anchor, &self.context, Arc::clone(&self.kinds), rules, settings).await?;
        if let Some((action, resource)) = self.asks.of(&app).await? {
            let passed = app.gate.pass(&caller(), &self.environment.user(), action, &resource).await?;
            if let Some(party) = passed.party() {
                app.engine.settings.executor = Some(Executor::By(party.clone()));
            }
            app.passed = Some(passed);
        }
        if !app.standing.is_sound() {
            output::say(&format!("READ ONLY: {}\n", app.standing.sentence()));
        }
        Ok(app)
    }

    /// The daemon that was named, with what this user shows it.
    pub fn server(&self) -> Result<Option<Server>, ServerError> {
        let Some(address) = &self.global.server else { return Ok(None) };
        let bearer = match &self.global.server_token_file {
            Some(path) => Some(login::bearer(path)?),
            // The socket is guarded by the file system, and asks for nothing.
            None if address.starts_with("unix:") => None,
            None => login::kept(&self.environment, address)?,
        };
        Server::parse(address, self.ways(bearer)).map(Some)
    }

    /// The daemon that was named, to whoever is not logged in.
    pub fn stranger(&self) -> Result<Server, ServerError> {
        Server::parse(self.global.server.as_deref().unwrap_or_default(), self.ways(None))
    }

    fn ways(&self, bearer: Option<SecretValue>) -> Ways {
        Ways { bearer, ca: self.global.server_ca.clone(), identity: self.global.client_identity.clone() }
    }

    /// True when data is asked for as JSON.
    #[must_use]
    pub fn json(&self) -> bool {
        self.global.output == Output::Json
    }
}

/// Reads the command line and carries it out.
#[must_use]
pub fn main() -> ExitCode {
    let cli = match Cli::try_parse() {
        Ok(cli) => cli,
        Err(error) => {
            // clap writes help to stdout and errors to stderr; a closed pipe is nobody's failure.
            let _ = error.print();
            return ExitCode::from(if error.use_stderr() { Exit::Usage as u8 } else { Exit::Done as u8 });
        }
    };
    // Both a TLS client and a server may be the first to need it; a second install is refused, which is fine.
    let _ = rustls::crypto::aws_lc_rs::default_provider().install_default();
    let runtime = match tokio::runtime::Builder::new_multi_thread().enable_all().build() {
        Ok(runtime) => runtime,
        Err(error) => {
            complain(&error);
            return ExitCode::from(Exit::Failed as u8);
        }
    };
    let session = Session {
        asks: cli.command.asks(),
        global: cli.global,
        environment: Environment::read(),
        context: Context::system(),
        kinds: Arc::new(Registry::new()),
    };
    let outcome = runtime.block_on(run(cli.command, &session));
    runtime.shutdown_timeout(Duration::from_secs(2));
    match outcome {
        Ok(exit) => ExitCode::from(exit as u8),
        Err(failure) => {
            complain(&*failure.error);
            ExitCode::from(failure.exit as u8)
        }
    }
}

async fn run(command: Command, session: &Session) -> Result<Exit, Failure> {
    let needs_state = !matches!(session.asks, Ask::Nothing);
    if let Some(server) = session.server()?.filter(|_| needs_state) {
        return remote::run(command, session, &server).await;
    }
    match command {
        Command::Demo(demo) => demo.run(session).await,
        Command::Validate(validate) => validate.run(session),
        Command::Graph(graph) => graph.run(session).await,
        Command::Reach(reach) => reach.run(session).await,
        Command::Plan(plan) => plan.run(session).await,
        Command::Init(init) => init.run(session).await,
        Command::Estate(estate) => estate.run(session).await,
        Command::Reset(reset) => reset.run(session).await,
        Command::Approve(approve) => approve.run(session).await,
        Command::Reject(reject) => reject.run(session).await,
        Command::Except(except) => except.run(session).await,
        Command::Clean(clean) => clean.run(session).await,
        Command::Decide(decide) => decide.run(session).await,
        Command::Escalate(escalate) => escalate.run(session).await,
        Command::Retry(retry) => retry.run(session).await,
        Command::Rollback(rollback) => rollback.run(session).await,
        Command::Pause(pause) => pause.run(session).await,
        Command::Resume(resume) => resume.run(session).await,
        Command::Abort(abort) => abort.run(session).await,
        Command::Task(task) => task.run(session).await,
        Command::Reprove(reprove) => reprove.run(session).await,
        Command::Destroy(destroy) => destroy.run(session).await,
        Command::Get(get) => get.run(session).await,
        Command::Windows(windows) => windows.run(session).await,
        Command::Evidence(evidence) => evidence.run(session).await,
        Command::Log(log) => log.run(session).await,
        Command::Stream(stream) => stream.run(session).await,
        Command::Keys(keys) => keys.run(session).await,
        Command::Store(store) => store.run(session).await,
        Command::Withdraw(withdraw) => withdraw.run(session).await,
        Command::Review(review) => review.run(session).await,
        Command::Execute(execute) => execute.run(session).await,
        Command::Policy(policy) => policy.run(session).await,
        Command::Login(login) => login.run(session).await,
        Command::Token(token) => token.run(session).await,
        Command::Serve(serve) => serve.run(session).await,
        Command::Operator(operator) => operator.run(session).await,
        Command::Generate(generate) => generate.run(),
        Command::K8s(k8s) => k8s.run(session).await,
        Command::ReadFolder(read) => read.run(session),
        Command::Prober(prober) => prober.run(session).await,
        Command::Witness(witness) => witness.run(session).await,
    }
}
