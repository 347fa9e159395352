//! `token create|list|revoke`: local tokens, of a state or at a daemon.

use std::collections::BTreeSet;
use std::os::unix::fs::OpenOptionsExt as _;
use std::path::{Path, PathBuf};
use std::time::Duration;

use clap::{Args, Subcommand};
use jiff::Timestamp;
use remint_contract::HostRules;
use remint_core::gate::Action;
use serde::{Deserialize, Serialize};
use serde_json::json;

use crate::cli::output::{data, json, next, say, table};
use crate::cli::{Exit, Failure, Session};
use crate::client::Server;
use crate::engine::EngineSettings;
use crate::identity::{TokenRecord, Tokens, TokensError};

#[derive(Debug, Subcommand)]
pub(super) enum Token {
    /// Make one; its text is shown once
    Create(Create),
    /// Every token, and what it is for
    List,
    /// End one, by its id
    Revoke {
        /// As `remint token list` names it
        id: String,
    },
}

#[derive(Debug, Args)]
pub(super) struct Create {
    /// Whose it is: `token:NAME` is what policies and the table of persons know it by
    #[arg(long)]
    name: String,
    /// What it is for, and nothing else: read, request, approve, …; several are fine
    #[arg(long, required = true, value_delimiter = ',', value_name = "ACTION")]
    scope: Vec<Action>,
    /// How long it lives
    #[arg(long, default_value_t = 30, value_name = "DAYS", value_parser = clap::value_parser!(u64).range(1..=366))]
    days: u64,
    /// Write it to this new file, for its owner only, instead of to stdout
    #[arg(long, value_name = "FILE")]
    out: Option<PathBuf>,
}

/// A token as it is shown.
#[derive(Debug, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
struct Shown {
    id: String,
    name: String,
    scope: BTreeSet<Action>,
    by: String,
    made: Timestamp,
    expires: Timestamp,
    revoked: Option<Timestamp>,
}

#[derive(Deserialize)]
struct Made {
    token: String,
    made: Shown,
}

impl From<TokenRecord> for Shown {
    fn from(record: TokenRecord) -> Self {
        let TokenRecord { id, name, scope, by, made, expires, revoked, .. } = record;
        Self { id, name, scope, by, made, expires, revoked }
    }
}

impl Token {
    pub(super) async fn run(self, session: &Session) -> Result<Exit, Failure> {
        let app = session.open(HostRules::default(), EngineSettings::default()).await?;
        let by = app.by(session.environment.user());
        let tokens = Tokens::new(app.engine.store.clone(), session.context.clone());
        match self {
            Self::Create(create) => {
                let whose = app.gate.party(&format!("token:{}", create.name)).await?;
                let maker = app.passed.as_ref().and_then(|passed| passed.party());
                let (scope, life) = (create.scope.iter().copied().collect(), create.life());
                let made = tokens.make(&create.name, scope, life, &by, whose.as_ref().zip(maker)).await?;
                create.told(session, &made.text.expose(), &made.record.into())
            }
            Self::List => listed(session, &tokens.list().await?.into_iter().map(Shown::from).collect::<Vec<_>>()),
            Self::Revoke { id } => revoked(session, &tokens.revoke(&id, &by).await?.into()),
        }
    }

    /// At a daemon.
    pub(super) async fn at(self, session: &Session, server: &Server) -> Result<Exit, Failure> {
        let key = session.context.hex(16).map_err(|error| Failure::new(Exit::Failed, error))?;
        match self {
            Self::Create(create) => {
                let body = json!({ "name": create.name, "scope": create.scope, "seconds": create.life().as_secs() });
                let made: Made = server.post("/v1/tokens", &body, &key).await?;
                create.told(session, &zeroize::Zeroizing::new(made.token), &made.made)
            }
            Self::List => listed(session, &server.get::<Vec<Shown>>("/v1/tokens").await?),
            Self::Revoke { id } => {
                revoked(session, &server.post(&format!("/v1/tokens/{id}/revoke"), &json!({}), &key).await?)
            }
        }
    }
}

impl Create {
    fn life(&self) -> Duration {
        Duration::from_hours(24 * self.days)
    }

    /// The only time that the text is seen.
    fn told(&self, session: &Session, text: &str, made: &Shown) -> Result<Exit, Failure> {
        match &self.out {
            Some(path) => write(path, text)?,
            None if session.json() => json(&json!({ "token": text, "made": made }))?,
            None => data(text),
        }
        say(&format!("Token {} of token:{}, until {:.0}. It is shown this once.", made.id, made.name, made.expires));
        next(
            "put token:NAME into the table of persons, where policies are to know whose it is: remint policy stage FOLDER",
        );
        Ok(Exit::Done)
    }
}

fn listed(session: &Session, tokens: &[Shown]) -> Result<Exit, Failure> {
    if session.json() {
        json(&tokens)?;
        return Ok(Exit::Done);
    }
    let now = session.context.clock.now();
    let rows = tokens.iter().map(|token| {
        let state = match token.revoked {
            Some(at) => format!("revoked {at:.0}"),
            None if token.expires <= now => format!("expired {:.0}", token.expires),
            None => format!("until {:.0}", token.expires),
        };
        let scope = token.scope.iter().map(|action| action.word()).collect::<Vec<_>>().join(", ");
        [token.id.clone(), format!("token:{}", token.name), scope, token.by.clone(), state]
    });
    data(&table(["token", "principal", "for", "made by", "state"], rows));
    Ok(Exit::Done)
}

fn revoked(session: &Session, token: &Shown) -> Result<Exit, Failure> {
    if session.json() {
        json(token)?;
    }
    say(&format!("Token {} of token:{} opens nothing any more.", token.id, token.name));
    Ok(Exit::Done)
}

/// A new file that nobody else may read.
pub(super) fn write(path: &Path, text: &str) -> Result<(), Failure> {
    use std::io::Write as _;
    let failed = |error: std::io::Error| Failure::usage(format!("cannot write {}: {error}", path.display()));
    let file = std::fs::OpenOptions::new().write(true).create_new(true).mode(0o600).open(path);
    let mut file = file.map_err(failed)?;
    file.write_all(text.as_bytes()).and_then(|()| file.write_all(b"\n")).map_err(failed)
}

impl From<TokensError> for Failure {
    fn from(error: TokensError) -> Self {
        let exit = match &error {
            TokensError::Name(_) | TokensError::Nothing | TokensError::Life | TokensError::None(_) => Exit::Usage,
            TokensError::Another { .. } => Exit::Refused,
            TokensError::Random(_) | TokensError::Store(_) => Exit::Failed,
        };
        Self::new(exit, error)
    }
}
