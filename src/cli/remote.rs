//! The commands that talk to a daemon: the same words and tables as alone, made by the same code.
//!
//! A command that only works on a state folder says so, and what to do instead.

use std::collections::BTreeMap;
use std::sync::Mutex;

use async_trait::async_trait;
use remint_contract::{Ref, ResetId};
use remint_core::estate::Credential;
use remint_core::plan::Plan;
use serde::Deserialize;
use serde::de::DeserializeOwned;
use serde_json::Value;

use crate::cli::ask::Ask;
use crate::cli::known::Known;
use crate::cli::{Command, Exit, Failure, Session};
use crate::client::{Server, ServerError};
use crate::engine::eta::Eta;
use crate::engine::exceptions::Exception;
use crate::engine::parked::Parked;
use crate::engine::planned::Planned;
use crate::engine::record::{Finding, Reset, RotationRecord, TaskRecord};
use crate::privacy::reads::Day;

mod acts;
mod ask;
mod carry;
mod look;
mod people;

/// A daemon, and what of its answers does not change.
pub(super) struct Daemon<'s> {
    server: &'s Server,
    session: &'s Session,
    plans: Mutex<BTreeMap<String, Planned>>,
}

#[derive(Deserialize)]
struct Resets {
    resets: Vec<Reset<String>>,
    etas: BTreeMap<ResetId, Eta>,
}

#[derive(Deserialize)]
struct LeftOut {
    exceptions: Vec<Exception>,
    alone: Vec<(ResetId, Ref)>,
}

/// One reset as the daemon has it.
#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct One {
    reset: Reset<String>,
    rotations: Vec<RotationRecord>,
    not_contained: Vec<Ref>,
    busy: bool,
}

/// Carries a command out at a daemon.
pub(super) async fn run(command: Command, session: &Session, server: &Server) -> Result<Exit, Failure> {
    let daemon = Daemon { server, session, plans: Mutex::default() };
    match command {
        Command::Get(get) => get.show(session, &daemon).await,
        Command::Reset(reset) => daemon.ask(reset).await,
        Command::Approve(approve) => daemon.approve(approve).await,
        Command::Reject(reject) => daemon.reject(&reject).await,
        Command::Withdraw(withdraw) => daemon.withdraw(&withdraw).await,
        Command::Execute(execute) => daemon.execute(execute).await,
        Command::Clean(clean) => daemon.clean(clean).await,
        Command::Decide(decide) => daemon.decide(decide).await,
        Command::Retry(retry) => daemon.retry(retry).await,
        Command::Rollback(rollback) => daemon.rollback(&rollback).await,
        Command::Escalate(escalate) => daemon.escalate(&escalate).await,
        Command::Pause(pause) => daemon.pause(&pause).await,
        Command::Resume(resume) => daemon.resume(resume).await,
        Command::Abort(abort) => daemon.abort(&abort).await,
        Command::Task(task) => task.at(session, &daemon).await,
        Command::Token(token) => token.at(session, server).await,
        Command::Graph(graph) if graph.of_files() => graph.run(session).await,
        Command::Graph(graph) => graph.show(session, &daemon.estate().await?),
        Command::Reach(reach) if reach.of_files() => reach.run(session).await,
        Command::Reach(reach) => daemon.reach(&reach).await,
        Command::Plan(plan) => daemon.plan(&plan).await,
        Command::Estate(estate) => daemon.change_estate(&estate).await,
        Command::Except(except) => daemon.except(&except).await,
        Command::Windows(windows) => daemon.windows(windows).await,
        Command::Policy(policy) => daemon.policy(policy).await,
        Command::Review(review) => daemon.review(&review).await,
        Command::Evidence(evidence) => daemon.evidence(&evidence).await,
        other => {
            let what = match other.asks() {
                Ask::Nothing => "this command needs no daemon; leave --server away",
                _ => "this command works on a state folder only; run it where the state is, without --server",
            };
            Err(Failure::usage(what))
        }
    }
}

impl Daemon<'_> {
    async fn get<T: DeserializeOwned>(&self, path: &str) -> Result<T, Failure> {
        Ok(self.server.get(path).await?)
    }

    /// The same; `None` where there is nothing of that name.
    async fn found<T: DeserializeOwned>(&self, path: &str) -> Result<Option<T>, Failure> {
        match self.server.get(path).await {
            Err(ServerError::Problem(told)) if told.status == 404 => Ok(None),
            answered => Ok(answered?),
        }
    }

    /// One act: sent again after a lost connection, it is still one.
    async fn act<T: DeserializeOwned>(&self, path: &str, body: &Value) -> Result<T, Failure> {
        let key = self.session.context.hex(16).map_err(|error| Failure::new(Exit::Failed, error))?;
        match self.server.post(path, body, &key).await {
            Err(ServerError::Unreachable { .. }) => Ok(self.server.post(path, body, &key).await?),
            answered => Ok(answered?),
        }
    }

    async fn one(&self, id: &ResetId) -> Result<One, Failure> {
        self.get(&format!("/v1/records/resets/{id}")).await
    }

    async fn planned(&self, reset: Reset<String>) -> Result<Reset, Failure> {
        let hash = reset.plan.clone();
        let known = self.plans.lock().ok().and_then(|plans| plans.get(&hash).cloned());
        let plan = match known {
            Some(plan) => plan,
            None => {
                let plan: Plan = self.get(&format!("/v1/records/plans/{hash}")).await?;
                let plan = Planned::of(plan);
                if let Ok(mut plans) = self.plans.lock() {
                    plans.insert(hash, plan.clone());
                }
                plan
            }
        };
        Ok(reset.with(plan))
    }
}

#[async_trait]
impl Known for Daemon<'_> {
    fn goes_on(&self) -> bool {
        true
    }

    async fn resets(&self) -> Result<Vec<Reset>, Failure> {
        let found: Resets = self.get("/v1/records/resets").await?;
        let mut resets = Vec::new();
        for reset in found.resets {
            resets.push(self.planned(reset).await?);
        }
        Ok(resets)
    }

    async fn etas(&self, _resets: &[Reset]) -> Result<BTreeMap<ResetId, Eta>, Failure> {
        let found: Resets = self.get("/v1/records/resets").await?;
        Ok(found.etas)
    }

    async fn rotations(&self, id: &ResetId) -> Result<Vec<RotationRecord>, Failure> {
        Ok(self.one(id).await?.rotations)
    }

    async fn not_contained(&self, reset: &Reset) -> Result<Vec<Ref>, Failure> {
        Ok(self.one(&reset.id).await?.not_contained)
    }

    async fn parked(&self, id: Option<&ResetId>) -> Result<Vec<Parked>, Failure> {
        match id {
            Some(id) => self.get(&format!("/v1/resets/{id}/parked")).await,
            None => self.get("/v1/parked").await,
        }
    }

    async fn findings(&self, id: Option<&ResetId>) -> Result<Vec<Finding>, Failure> {
        let found: Vec<Finding> = self.get("/v1/findings").await?;
        Ok(found.into_iter().filter(|finding| id.is_none_or(|id| finding.reset == *id)).collect())
    }

    async fn tasks(&self, id: Option<&ResetId>) -> Result<Vec<TaskRecord>, Failure> {
        let found: Vec<TaskRecord> = self.get("/v1/tasks").await?;
        Ok(found.into_iter().filter(|task| id.is_none_or(|id| task.reset == *id)).collect())
    }

    async fn exceptions(&self) -> Result<(Vec<Exception>, Vec<(ResetId, Ref)>), Failure> {
        let found: LeftOut = self.get("/v1/exceptions").await?;
        Ok((found.exceptions, found.alone))
    }

    async fn days(&self) -> Result<Vec<Day>, Failure> {
        self.get("/v1/reads").await
    }

    async fn credentials(&self) -> Result<BTreeMap<Ref, Credential>, Failure> {
        self.get("/v1/records/credentials").await
    }
}

impl From<ServerError> for Failure {
    fn from(error: ServerError) -> Self {
        let exit = match &error {
            ServerError::Address(_)
            | ServerError::Read { .. }
            | ServerError::Open(_)
            | ServerError::Unusable { .. } => Exit::Usage,
            ServerError::Unreachable { .. } => Exit::Unreachable,
            ServerError::Client(_) | ServerError::Garbled(_) => Exit::Failed,
            ServerError::Problem(told) => match (told.status, told.word()) {
                (_, "no-plan" | "nothing-to-do" | "no-decision") | (401 | 403 | 409 | 421 | 429, _) => Exit::Refused,
                (400 | 404 | 405 | 413 | 415 | 422, _) => Exit::Usage,
                (502, _) => Exit::Unreachable,
                (504, _) => Exit::Unknown,
                _ => Exit::Failed,
            },
        };
        Self::new(exit, error)
    }
}
