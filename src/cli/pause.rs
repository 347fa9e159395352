//! `pause`, `resume`, `abort`: a reset stands still, goes on, or is stopped for good.

use clap::Args;
use remint_contract::{HostRules, ResetId};
use serde_json::json;

use crate::cli::exit::of_reset;
use crate::cli::output::{data, json, next, say, table};
use crate::cli::reset::{Carry, carry_on};
use crate::cli::{Exit, Failure, Session};
use crate::engine::EngineSettings;
use crate::engine::pause::half_done_of;
use crate::engine::record::{Reset, RotationRecord};

#[derive(Debug, Args)]
pub(super) struct Pause {
    pub(super) reset: String,
    /// Why
    #[arg(long)]
    pub(super) reason: String,
    /// What is contained stands still, too; without it, containment goes on
    #[arg(long)]
    pub(super) all: bool,
}

impl Pause {
    pub(super) async fn run(self, session: &Session) -> Result<Exit, Failure> {
        let app = session.open(HostRules::default(), EngineSettings::default()).await?;
        let id = ResetId(self.reset.clone());
        let reset = app.engine.pause(&id, self.all, &app.by(session.environment.user()), &self.reason).await?;
        if session.json() {
            json(&json!({ "reset": id.0, "status": reset.status, "standstill": reset.standstill }))?;
        } else {
            self.told(&id);
        }
        Ok(Exit::Done)
    }

    pub(super) fn told(&self, id: &ResetId) {
        let rest = if self.all { "" } else { "; what is contained goes on" };
        say(&format!("Paused: reset {id}. Steps under way end, and no other begins{rest}."));
        next(&format!("remint resume {id} --reason …, or remint abort {id} --reason …"));
    }
}

#[derive(Debug, Args)]
pub(super) struct Resume {
    pub(super) reset: String,
    /// Why
    #[arg(long)]
    pub(super) reason: String,
    #[command(flatten)]
    pub(super) carry: Carry,
}

impl Resume {
    pub(super) async fn run(self, session: &Session) -> Result<Exit, Failure> {
        let app = session.open(HostRules::default(), EngineSettings::default()).await?;
        let id = ResetId(self.reset);
        app.engine.resume(&id, &app.by(session.environment.user()), &self.reason).await?;
        say(&format!("Resumed: reset {id}."));
        carry_on(session, &app, &id, &self.carry).await
    }
}

#[derive(Debug, Args)]
pub(super) struct Abort {
    pub(super) reset: String,
    /// Why
    #[arg(long)]
    pub(super) reason: String,
}

impl Abort {
    pub(super) async fn run(self, session: &Session) -> Result<Exit, Failure> {
        let app = session.open(HostRules::default(), EngineSettings::default()).await?;
        let id = ResetId(self.reset);
        app.engine.abort(&id, &app.by(session.environment.user()), &self.reason).await?;
        // What would leave somebody without a working value is brought to an end first; what nobody needs is let go.
        let reset = app.engine.run(&id).await?;
        app.sequencer.flush().await.map_err(|error| Failure::new(Exit::Failed, error))?;
        let records = app.engine.rotations(&id).await?;
        aborted(session, &reset, &records)
    }
}

/// What became of it, and what is half done.
pub(super) fn aborted(session: &Session, reset: &Reset, records: &[RotationRecord]) -> Result<Exit, Failure> {
    let half = half_done_of(reset, records);
    if session.json() {
        let half: Vec<_> = half
            .iter()
            .map(|(record, what)| {
                json!({ "credential": record.credential, "state": record.rotation.state.to_string(), "next_action": what })
            })
            .collect();
        json(&json!({ "reset": reset.id.0, "status": reset.status, "half_done": half }))?;
    } else {
        say(&format!("Aborted: reset {}. What was not begun has no owner any more.", reset.id));
        if half.is_empty() {
            next("nothing: nothing is half done; remint plan --from REF, to plan again");
        } else {
            let first = half[0].1.clone();
            let rows = half
                .into_iter()
                .map(|(record, what)| [record.credential.to_string(), record.rotation.state.to_string(), what]);
            data(&table(["half done", "state", "what to do"], rows));
            next(&first);
        }
    }
    Ok(of_reset(reset.status, records.iter().map(|record| &record.rotation)))
}
