//! What people say of a reset: `withdraw`, `execute`, `review`, `reject`, `clean`, `decide`, `retry`, `rollback`, `task`, `reprove`.

use clap::{Args, Subcommand, ValueEnum};
use remint_contract::{HostRules, ResetId, VersionId};
use serde_json::json;

use crate::app::{App, refs};
use crate::cli::exit::of_reset;
use crate::cli::output::{counted, data, json, next, say, table};
use crate::cli::reset::{Carry, carry_on};
use crate::cli::{Exit, Failure, Session};
use crate::engine::EngineSettings;
use crate::engine::record::{DecisionWord, ResetStatus};
use crate::engine::rollback::Back;

async fn open(session: &Session) -> Result<App, Failure> {
    Ok(session.open(HostRules::default(), EngineSettings::default()).await?)
}

#[derive(Debug, Args)]
pub(super) struct Withdraw {
    pub(super) reset: String,
    /// Why
    #[arg(long)]
    reason: String,
}

impl Withdraw {
    pub(super) async fn run(self, session: &Session) -> Result<Exit, Failure> {
        let app = open(session).await?;
        let id = ResetId(self.reset);
        let party = app.passed.as_ref().and_then(|passed| passed.party());
        let party = party.ok_or_else(|| Failure::usage("this state has one operator, who signs nothing"))?;
        app.engine.withdraw(&id, party, &self.reason).await?;
        say(&format!("Withdrawn: what {party} signed of reset {id}. What has begun already goes on."));
        next(&format!("remint get rotations --reset {id}"));
        Ok(Exit::Done)
    }
}

#[derive(Debug, Args)]
pub(super) struct Review {
    pub(super) reset: String,
    /// What you found
    #[arg(long)]
    reason: String,
}

impl Review {
    pub(super) async fn run(self, session: &Session) -> Result<Exit, Failure> {
        let app = open(session).await?;
        let id = ResetId(self.reset);
        let party = app.passed.as_ref().and_then(|passed| passed.party());
        let party = party.ok_or_else(|| Failure::usage("this state has one operator, who breaks no glass"))?;
        let broken = app.engine.review(&id, party, &self.reason).await?;
        say(&format!("Reviewed: {} broke the glass for reset {id} on {}.", broken.by, broken.at));
        if session.json() {
            json(&broken)?;
        }
        next(&format!("remint evidence export {id} --out FILE"));
        Ok(Exit::Done)
    }
}

#[derive(Debug, Args)]
pub(super) struct Execute {
    pub(super) reset: String,
    #[command(flatten)]
    carry: Carry,
}

impl Execute {
    pub(super) async fn run(self, session: &Session) -> Result<Exit, Failure> {
        let app = open(session).await?;
        let id = ResetId(self.reset);
        if app.gate.governed() && app.engine.reset(&id).await?.status == ResetStatus::Requested {
            app.engine.begin(&id).await?;
        }
        carry_on(session, &app, &id, &self.carry).await
    }
}

#[derive(Debug, Args)]
pub(super) struct Reject {
    pub(super) reset: String,
    /// Why
    #[arg(long)]
    reason: String,
}

impl Reject {
    pub(super) async fn run(self, session: &Session) -> Result<Exit, Failure> {
        let app = open(session).await?;
        let id = ResetId(self.reset);
        app.engine.reject(&id, &app.by(session.environment.user()), &self.reason).await?;
        say(&format!("Rejected: reset {id}. Its credentials have no owner any more."));
        next("remint plan --from REF, to plan again; the rejected plan never runs");
        Ok(Exit::Done)
    }
}

#[derive(Debug, Args)]
pub(super) struct Clean {
    /// The node: Workload/NAME or System/NAME
    pub(super) node: String,
    /// Which reset; needed only when several have this node dirty
    #[arg(long)]
    reset: Option<String>,
    /// What was done: rebuilt, isolated, cut off
    #[arg(long)]
    reason: String,
    #[command(flatten)]
    carry: Carry,
}

impl Clean {
    pub(super) async fn run(self, session: &Session) -> Result<Exit, Failure> {
        let app = open(session).await?;
        let node = refs(&[self.node])?.remove(0);
        let open: Vec<ResetId> = app
            .engine
            .resets()
            .await?
            .into_iter()
            .filter(|reset| self.reset.as_ref().is_none_or(|wanted| *wanted == reset.id.0))
            .filter(|reset| !matches!(reset.status, ResetStatus::Complete | ResetStatus::Rejected))
            .filter(|reset| reset.plan.dirty.contains(&node))
            .map(|reset| reset.id)
            .collect();
        let [id] = open.as_slice() else {
            return Err(Failure::usage(if open.is_empty() {
                format!("no open reset has {node} among its dirty nodes; `remint get resets` lists them")
            } else {
                format!("{} open resets have {node} dirty; name one with --reset", open.len())
            }));
        };
        app.engine.clean(id, &node, &app.by(session.environment.user()), &self.reason).await?;
        say(&format!("{node} is clean, on your word, for reset {id}."));
        carry_on(session, &app, id, &self.carry).await
    }
}

#[derive(Debug, Args)]
pub(super) struct Decide {
    /// The finding, as `remint get findings` names it
    pub(super) finding: String,
    word: Word,
    /// Why
    #[arg(long)]
    reason: String,
    #[command(flatten)]
    carry: Carry,
}

#[derive(Debug, Clone, Copy, ValueEnum)]
enum Word {
    /// It is ours
    Adopt,
    /// Kill it
    Revoke,
    /// It stays, on your word
    Except,
}

impl Decide {
    pub(super) async fn run(self, session: &Session) -> Result<Exit, Failure> {
        let app = open(session).await?;
        let word = match self.word {
            Word::Adopt => DecisionWord::Adopt,
            Word::Revoke => DecisionWord::Revoke,
            Word::Except => DecisionWord::Except,
        };
        let finding = app.engine.decide(&self.finding, word, &app.by(session.environment.user()), &self.reason).await?;
        let what = match self.word {
            Word::Adopt => "is ours",
            Word::Revoke => "is to be revoked",
            Word::Except => "stays",
        };
        say(&format!("Decided: {} at {} {what}, on your word.", finding.version, finding.system));
        app.engine.retry(&finding.reset, finding.credential.as_ref()).await?;
        carry_on(session, &app, &finding.reset, &self.carry).await
    }
}

#[derive(Debug, Args)]
pub(super) struct Destroy {
    /// The reset that stopped it, as `remint get resets` names it
    pub(super) reset: String,
    /// The encryption key: Credential/NAME
    credential: String,
    /// The stopped version, word for word
    #[arg(long)]
    version: String,
    /// Why
    #[arg(long)]
    reason: String,
}

impl Destroy {
    pub(super) async fn run(self, session: &Session) -> Result<Exit, Failure> {
        let app = open(session).await?;
        let (id, credential) = (ResetId(self.reset), refs(&[self.credential])?.remove(0));
        let (version, by) = (VersionId(self.version), app.by(session.environment.user()));
        app.engine.destroy(&id, &credential, &version, &by, &self.reason).await?;
        say(&format!("Destroyed: {version} of {credential}, on your word. Nothing was encrypted under it."));
        Ok(Exit::Done)
    }
}

#[derive(Debug, Args)]
pub(super) struct Retry {
    pub(super) reset: String,
    /// Only this credential
    #[arg(long, value_name = "REF")]
    only: Option<String>,
    #[command(flatten)]
    carry: Carry,
}

impl Retry {
    pub(super) async fn run(self, session: &Session) -> Result<Exit, Failure> {
        let app = open(session).await?;
        let id = ResetId(self.reset);
        let only = refs(&self.only.into_iter().collect::<Vec<_>>())?;
        let mut moved = app.engine.retry(&id, only.first()).await?;
        // What an aborted reset left half done goes forward, whether it was parked or not.
        moved = moved.max(app.engine.forward(&id, only.first()).await?);
        say(&counted(moved, "parked rotation tries again", "parked rotations try again"));
        carry_on(session, &app, &id, &self.carry).await
    }
}

#[derive(Debug, Args)]
pub(super) struct Rollback {
    pub(super) reset: String,
    /// Only this credential
    #[arg(long, value_name = "REF")]
    only: Option<String>,
    /// Why
    #[arg(long)]
    reason: String,
}

impl Rollback {
    pub(super) async fn run(self, session: &Session) -> Result<Exit, Failure> {
        let app = open(session).await?;
        let id = ResetId(self.reset);
        let only = refs(&self.only.into_iter().collect::<Vec<_>>())?;
        let back = app.engine.rollback(&id, only.first(), &app.by(session.environment.user()), &self.reason).await?;
        app.sequencer.flush().await.map_err(|error| Failure::new(Exit::Failed, error))?;
        let unfinished = back.iter().filter(|back| back.unfinished.is_some()).count();
        if session.json() {
            json(&json!({ "reset": id.0, "back": back }))?;
        } else {
            let row = |back: &Back| {
                let how = back.unfinished.clone().unwrap_or_else(|| {
                    let new =
                        if back.killed { "is dead" } else { "was sent to its places, and lives until it goes forward" };
                    format!("on the old version; the new one {new}")
                });
                [back.credential.to_string(), how]
            };
            data(&table(["credential", "went back"], back.iter().map(row)));
            if unfinished == 0 {
                say("What went back is still open: its old value is as compromised as it was.");
                next(&format!("remint retry {id}, to go forward with another value"));
            } else {
                next(&format!("mend what is named, then remint rollback {id} --reason … again"));
            }
        }
        // Nothing is finished by going back.
        Ok(Exit::Failed)
    }
}

#[derive(Debug, Subcommand)]
pub(super) enum Task {
    /// What is open, and what was attested
    List,
    /// Attest that a task was done
    Attest {
        task: String,
        /// What was done, and how that is known
        #[arg(long)]
        words: String,
    },
}

impl Task {
    pub(super) async fn run(self, session: &Session) -> Result<Exit, Failure> {
        let app = open(session).await?;
        match self {
            Self::List => {
                let tasks = app.engine.tasks(None).await?;
                if session.json() {
                    json(&tasks)?;
                } else {
                    let now = app.engine.context.clock.now();
                    let rows = tasks
                        .iter()
                        .map(|task| [task.id.clone(), task.about.to_string(), task.what.clone(), task.standing(now)]);
                    data(&table(["task", "about", "what", "attested"], rows));
                }
            }
            Self::Attest { task, words } => {
                let task = app.engine.attest(&task, &app.by(session.environment.user()), &words).await?;
                say(&format!("Attested: {}", task.what));
                next(&format!("remint retry {}", task.reset));
            }
        }
        Ok(Exit::Done)
    }
}

#[derive(Debug, Args)]
pub(super) struct Reprove {
    pub(super) reset: String,
}

impl Reprove {
    pub(super) async fn run(self, session: &Session) -> Result<Exit, Failure> {
        let app = open(session).await?;
        let id = ResetId(self.reset);
        let (reset, outcome) = app.engine.reprove(&id).await?;
        if session.json() {
            json(&json!({ "reset": id.0, "status": reset.status, "outcome": outcome, "due": reset.reproofs }))?;
        } else {
            let rows = outcome
                .alive
                .iter()
                .map(|credential| {
                    [credential.to_string(), "ALIVE".to_owned(), "it was accepted again: the reset is open".to_owned()]
                })
                .chain(
                    outcome
                        .unclear
                        .iter()
                        .map(|(credential, why)| [credential.to_string(), "unclear".to_owned(), why.clone()]),
                )
                .chain(outcome.joined.iter().map(|credential| {
                    let what = "something else is alive at its issuer: remint get findings, then remint decide";
                    [credential.to_string(), "refused".to_owned(), what.to_owned()]
                }));
            if outcome.alive.is_empty() && outcome.unclear.is_empty() && outcome.joined.is_empty() {
                say(&format!("All {} old values were refused again.", outcome.refused.len()));
            } else {
                data(&table(["credential", "old value", "what that means"], rows));
            }
            match (reset.status, reset.reproofs.first()) {
                (ResetStatus::Complete, _) => next(&format!("remint evidence export {id} --out {id}.remint-evidence")),
                (ResetStatus::Provisional, Some(due)) => next(&format!("remint reprove {id}, at {due}")),
                _ => next(&format!("remint get rotations --reset {id}")),
            }
        }
        Ok(of_reset(reset.status, []))
    }
}
