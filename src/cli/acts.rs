//! What people say of a reset: `withdraw`, `execute`, `review`, `reject`, `clean`, `decide`, `retry`, `rollback`, `task`, `reprove`.

use clap::{Args, Subcommand, ValueEnum};
use jiff::Timestamp;
use remint_contract::{HostRules, Ref, ResetId, VersionId};
use serde_json::json;

use crate::app::{App, refs};
use crate::cli::exit::of_reset;
use crate::cli::known::Known;
use crate::cli::output::{counted, data, json, next, say, table};
use crate::cli::reset::{Carry, carry_on};
use crate::cli::{Exit, Failure, Session};
use crate::engine::EngineSettings;
use crate::engine::emergency::Broken;
use crate::engine::record::{DecisionWord, Finding, ResetStatus, TaskRecord};
use crate::engine::rollback::Back;

async fn open(session: &Session) -> Result<App, Failure> {
    Ok(session.open(HostRules::default(), EngineSettings::default()).await?)
}

#[derive(Debug, Args)]
pub(super) struct Withdraw {
    pub(super) reset: String,
    /// Why
    #[arg(long)]
    pub(super) reason: String,
}

impl Withdraw {
    pub(super) async fn run(self, session: &Session) -> Result<Exit, Failure> {
        let app = open(session).await?;
        let id = ResetId(self.reset);
        let party = app.passed.as_ref().and_then(|passed| passed.party());
        let party = party.ok_or_else(|| Failure::usage("this state has one operator, who signs nothing"))?;
        app.engine.withdraw(&id, party, &self.reason).await?;
        withdrawn(&id);
        Ok(Exit::Done)
    }
}

/// Says what that means.
pub(super) fn withdrawn(id: &ResetId) {
    say(&format!("Withdrawn: what you signed of reset {id}. What has begun already goes on."));
    next(&format!("remint get rotations --reset {id}"));
}

#[derive(Debug, Args)]
pub(super) struct Review {
    pub(super) reset: String,
    /// What you found
    #[arg(long)]
    pub(super) reason: String,
}

impl Review {
    pub(super) async fn run(self, session: &Session) -> Result<Exit, Failure> {
        let app = open(session).await?;
        let id = ResetId(self.reset);
        let party = app.passed.as_ref().and_then(|passed| passed.party());
        let party = party.ok_or_else(|| Failure::usage("this state has one operator, who breaks no glass"))?;
        let broken = app.engine.review(&id, party, &self.reason).await?;
        reviewed(session, &broken)
    }
}

/// That somebody looked at it.
pub(super) fn reviewed(session: &Session, broken: &Broken) -> Result<Exit, Failure> {
    let id = &broken.reset;
    say(&format!("Reviewed: {} broke the glass for reset {id} on {}.", broken.by, broken.at));
    if session.json() {
        json(broken)?;
    }
    next(&format!("remint evidence export {id} --out FILE"));
    Ok(Exit::Done)
}

#[derive(Debug, Args)]
pub(super) struct Execute {
    pub(super) reset: String,
    #[command(flatten)]
    pub(super) carry: Carry,
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
    pub(super) reason: String,
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
    pub(super) reset: Option<String>,
    /// What was done: rebuilt, isolated, cut off
    #[arg(long)]
    pub(super) reason: String,
    #[command(flatten)]
    pub(super) carry: Carry,
}

impl Clean {
    pub(super) async fn run(self, session: &Session) -> Result<Exit, Failure> {
        let app = open(session).await?;
        let (id, node) = dirty(&app, &self).await?;
        app.engine.clean(&id, &node, &app.by(session.environment.user()), &self.reason).await?;
        say(&format!("{node} is clean, on your word, for reset {id}."));
        carry_on(session, &app, &id, &self.carry).await
    }
}

/// The node that is meant, and the one reset that has it dirty.
pub(super) async fn dirty(known: &dyn Known, clean: &Clean) -> Result<(ResetId, Ref), Failure> {
    let node = refs(std::slice::from_ref(&clean.node))?.remove(0);
    let open: Vec<ResetId> = known
        .resets()
        .await?
        .into_iter()
        .filter(|reset| clean.reset.as_ref().is_none_or(|wanted| *wanted == reset.id.0))
        .filter(|reset| !matches!(reset.status, ResetStatus::Complete | ResetStatus::Rejected))
        .filter(|reset| reset.plan.dirty.contains(&node))
        .map(|reset| reset.id)
        .collect();
    match open.as_slice() {
        [id] => Ok((id.clone(), node)),
        [] => Err(Failure::usage(format!(
            "no open reset has {node} among its dirty nodes; `remint get resets` lists them"
        ))),
        _ => Err(Failure::usage(format!("{} open resets have {node} dirty; name one with --reset", open.len()))),
    }
}

#[derive(Debug, Args)]
pub(super) struct Decide {
    /// The finding, as `remint get findings` names it
    pub(super) finding: String,
    pub(super) word: Word,
    /// Why
    #[arg(long)]
    pub(super) reason: String,
    #[command(flatten)]
    pub(super) carry: Carry,
}

#[derive(Debug, Clone, Copy, ValueEnum)]
pub(super) enum Word {
    /// It is ours
    Adopt,
    /// Kill it
    Revoke,
    /// It stays, on your word
    Except,
}

impl Word {
    pub(super) const fn decision(self) -> DecisionWord {
        match self {
            Self::Adopt => DecisionWord::Adopt,
            Self::Revoke => DecisionWord::Revoke,
            Self::Except => DecisionWord::Except,
        }
    }

    /// Says what was decided.
    pub(super) fn said(self, finding: &Finding) {
        let what = match self {
            Self::Adopt => "is ours",
            Self::Revoke => "is to be revoked",
            Self::Except => "stays",
        };
        say(&format!("Decided: {} at {} {what}, on your word.", finding.version, finding.system));
    }
}

impl Decide {
    pub(super) async fn run(self, session: &Session) -> Result<Exit, Failure> {
        let app = open(session).await?;
        let (word, by) = (self.word.decision(), app.by(session.environment.user()));
        let finding = app.engine.decide(&self.finding, word, &by, &self.reason).await?;
        self.word.said(&finding);
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
    pub(super) reason: String,
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
    pub(super) only: Option<String>,
    #[command(flatten)]
    pub(super) carry: Carry,
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
    pub(super) only: Option<String>,
    /// Why
    #[arg(long)]
    pub(super) reason: String,
}

impl Rollback {
    pub(super) async fn run(self, session: &Session) -> Result<Exit, Failure> {
        let app = open(session).await?;
        let id = ResetId(self.reset);
        let only = refs(&self.only.into_iter().collect::<Vec<_>>())?;
        let back = app.engine.rollback(&id, only.first(), &app.by(session.environment.user()), &self.reason).await?;
        app.sequencer.flush().await.map_err(|error| Failure::new(Exit::Failed, error))?;
        gone_back(session, &id, &back)?;
        // Nothing is finished by going back.
        Ok(Exit::Failed)
    }
}

/// What went back, and what is to be done about the rest.
pub(super) fn gone_back(session: &Session, id: &ResetId, back: &[Back]) -> Result<(), Failure> {
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
    Ok(())
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
                let (found, now) = (app.engine.tasks(None).await?, session.context.clock.now());
                if session.json() { json(&found)? } else { data(&tasks(&found, now)) }
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

/// Tasks as a table.
pub(super) fn tasks(tasks: &[TaskRecord], now: Timestamp) -> String {
    let rows =
        tasks.iter().map(|task| [task.id.clone(), task.about.to_string(), task.what.clone(), task.standing(now)]);
    table(["task", "about", "what", "attested"], rows)
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
