//! `stream status|retry`: how the streams of `remint.yaml` stand, and what nobody took.

use clap::Subcommand;
use remint_contract::HostRules;

use crate::app::App;
use crate::cli::output::{counted, data, json, next, say, table};
use crate::cli::{Exit, Failure, Session};
use crate::engine::EngineSettings;

#[derive(Debug, Subcommand)]
pub(super) enum Stream {
    /// How every stream stands: what was sent, what waits, and what nobody took. Exit 1 when there is a dead letter
    Status,
    /// Try the dead letters of a stream once more
    Retry {
        /// The stream, as remint.yaml calls it
        name: String,
    },
}

impl Stream {
    pub(super) async fn run(self, session: &Session) -> Result<Exit, Failure> {
        let app = session.open(HostRules::default(), EngineSettings::default()).await?;
        match self {
            Self::Status => status(&app, session).await,
            Self::Retry { name } => retry(&app, session, &name).await,
        }
    }
}

async fn status(app: &App, session: &Session) -> Result<Exit, Failure> {
    let mut all = Vec::new();
    for sender in app.streams()? {
        all.push(sender.status().await.map_err(|error| Failure::new(Exit::Failed, error))?);
    }
    let dead = all.iter().find(|one| one.dead > 0).map(|one| one.stream.clone());
    if session.json() {
        json(&all)?;
    } else if all.is_empty() {
        say("remint.yaml names no stream.");
    } else {
        let rows = all.into_iter().map(|one| {
            let error = one.last_error.unwrap_or_default();
            [one.stream, one.sent.to_string(), one.waiting.to_string(), one.dead.to_string(), error]
        });
        data(&table(["stream", "sent", "waiting", "dead", "last error"], rows));
        if let Some(stream) = &dead {
            next(&format!("when its receiver is well again: remint stream retry {stream}"));
        }
    }
    Ok(if dead.is_some() { Exit::Failed } else { Exit::Done })
}

async fn retry(app: &App, session: &Session, name: &str) -> Result<Exit, Failure> {
    app.writable()?;
    let senders = app.streams()?;
    let Some(sender) = senders.iter().find(|sender| sender.name() == name) else {
        return Err(Failure::usage(format!("remint.yaml names no stream `{name}`; remint stream status lists them")));
    };
    let retried = sender.retry().await.map_err(|error| Failure::new(Exit::Failed, error))?;
    app.sequencer.flush().await.map_err(|error| Failure::new(Exit::Failed, error))?;
    if session.json() {
        json(&retried)?;
    } else {
        say(&counted(retried.delivered, "dead letter was delivered", "dead letters were delivered"));
        if retried.dead > 0 {
            say(&counted(retried.dead, "is left", "are left"));
            let why = retried.why.as_deref().unwrap_or("somebody else tries them");
            next(&format!("look at the receiver ({why}), then try again"));
        }
    }
    Ok(if retried.dead > 0 { Exit::Failed } else { Exit::Done })
}
