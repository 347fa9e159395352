//! What people say of a reset, said to a daemon.

use remint_contract::ResetId;
use remint_core::plan::Turn;
use serde_json::{Value, json};

use super::{Daemon, One};
use crate::cli::known::Known as _;
use crate::cli::output::{counted, data, json, next, say};
use crate::cli::{Exit, Failure, acts, approve, escalate, login, pause};
use crate::engine::record::{Finding, ResetStatus};
use crate::engine::rollback::Back;
use crate::govern::About;

impl Daemon<'_> {
    /// Asks for one act on a reset.
    async fn of(&self, id: &ResetId, verb: &str, body: &Value) -> Result<Value, Failure> {
        self.act(&format!("/v1/resets/{id}/{verb}"), body).await
    }

    pub(super) async fn approve(&self, approve: approve::Approve) -> Result<Exit, Failure> {
        let id = ResetId(approve.reset.clone());
        let Some(one) = self.found::<One>(&format!("/v1/records/resets/{id}")).await? else {
            return self.approve_other(&approve).await;
        };
        let (digest, file) = self.planned(one.reset).await?.waits();
        let about = About { what: &format!("reset {id}"), digest, file: &file };
        if approve.print {
            return approve.printed(self.session, &about);
        }
        let mut body = approve.body(self.session, &about)?;
        if approve.sign {
            // What the provider signs for this person names exactly this plan.
            let signed = login::fresh(self.session, self.server, Some(digest.to_string())).await?;
            body["idToken"] = json!(signed.token.expose_str());
        }
        let answer = self.of(&id, "approve", &body).await?;
        let lacks: Vec<&str> = answer["lacks"].as_array().into_iter().flatten().filter_map(Value::as_str).collect();
        let by = answer["by"].as_str().map(|by| format!(" by {by}")).unwrap_or_default();
        if answer.get("lacks").is_none() {
            say(&format!("Approved: reset {id}, plan {}", digest.short(12)));
            return self.carried(&id, &approve.carry).await;
        }
        say(&format!("Signed{by}: reset {id}, plan {}", digest.short(12)));
        if lacks.is_empty() {
            return self.carried(&id, &approve.carry).await;
        }
        for lack in &lacks {
            say(&format!("It does not start yet: {lack}."));
        }
        next(&format!("others: remint approve {id}; then: remint execute {id}"));
        if self.session.json() {
            json(&json!({ "reset": id.0, "status": answer["status"], "lacks": lacks }))?;
        }
        Ok(Exit::Refused)
    }

    pub(super) async fn reject(&self, reject: &acts::Reject) -> Result<Exit, Failure> {
        let id = ResetId(reject.reset.clone());
        self.of(&id, "reject", &json!({ "reason": reject.reason })).await?;
        say(&format!("Rejected: reset {id}. Its credentials have no owner any more."));
        next("remint plan --from REF, to plan again; the rejected plan never runs");
        Ok(Exit::Done)
    }

    pub(super) async fn withdraw(&self, withdraw: &acts::Withdraw) -> Result<Exit, Failure> {
        let id = ResetId(withdraw.reset.clone());
        self.of(&id, "withdraw", &json!({ "reason": withdraw.reason })).await?;
        acts::withdrawn(&id);
        Ok(Exit::Done)
    }

    pub(super) async fn execute(&self, execute: acts::Execute) -> Result<Exit, Failure> {
        let id = ResetId(execute.reset);
        if self.one(&id).await?.reset.status == ResetStatus::Requested {
            self.of(&id, "execute", &json!({})).await?;
        }
        self.carried(&id, &execute.carry).await
    }

    pub(super) async fn clean(&self, clean: acts::Clean) -> Result<Exit, Failure> {
        let (id, node) = acts::dirty(self, &clean).await?;
        let body = json!({ "reset": id, "node": node, "reason": clean.reason });
        let _: Value = self.act("/v1/nodes/clean", &body).await?;
        say(&format!("{node} is clean, on your word, for reset {id}."));
        self.carried(&id, &clean.carry).await
    }

    pub(super) async fn decide(&self, decide: acts::Decide) -> Result<Exit, Failure> {
        let body = json!({ "decision": decide.word.decision(), "reason": decide.reason });
        let finding: Finding = self.act(&format!("/v1/findings/{}/decide", decide.finding), &body).await?;
        decide.word.said(&finding);
        self.carried(&finding.reset, &decide.carry).await
    }

    pub(super) async fn retry(&self, retry: acts::Retry) -> Result<Exit, Failure> {
        let id = ResetId(retry.reset);
        let answer = self.of(&id, "retry", &only(retry.only.as_ref())).await?;
        let moved = usize::try_from(answer["moved"].as_u64().unwrap_or_default()).unwrap_or_default();
        say(&counted(moved, "parked rotation tries again", "parked rotations try again"));
        self.carried(&id, &retry.carry).await
    }

    pub(super) async fn rollback(&self, rollback: &acts::Rollback) -> Result<Exit, Failure> {
        let id = ResetId(rollback.reset.clone());
        let mut body = only(rollback.only.as_ref());
        body["reason"] = json!(rollback.reason);
        let mut answer = self.of(&id, "rollback", &body).await?;
        let back: Vec<Back> = serde_json::from_value(answer["back"].take()).map_err(garbled)?;
        acts::gone_back(self.session, &id, &back)?;
        Ok(Exit::Failed)
    }

    pub(super) async fn escalate(&self, escalate: &escalate::Escalate) -> Result<Exit, Failure> {
        let id = ResetId(escalate.reset.clone());
        let body = json!({ "contain": escalate.contain, "roll": escalate.roll, "reason": escalate.reason });
        let mut answer = self.of(&id, "escalate", &body).await?;
        if self.session.json() {
            json(&answer)?;
            return Ok(Exit::Refused);
        }
        let delta: Vec<Turn> = serde_json::from_value(answer["delta"].take()).map_err(garbled)?;
        escalate::told(&id, &delta);
        Ok(Exit::Refused)
    }

    pub(super) async fn pause(&self, pause: &pause::Pause) -> Result<Exit, Failure> {
        let id = ResetId(pause.reset.clone());
        self.of(&id, "pause", &json!({ "reason": pause.reason, "all": pause.all })).await?;
        let reset = self.one(&id).await?.reset;
        if self.session.json() {
            json(&json!({ "reset": id.0, "status": reset.status, "standstill": reset.standstill }))?;
        } else {
            pause.told(&id);
        }
        Ok(Exit::Done)
    }

    pub(super) async fn resume(&self, resume: pause::Resume) -> Result<Exit, Failure> {
        let id = ResetId(resume.reset);
        self.of(&id, "resume", &json!({ "reason": resume.reason })).await?;
        say(&format!("Resumed: reset {id}."));
        self.carried(&id, &resume.carry).await
    }

    pub(super) async fn abort(&self, abort: &pause::Abort) -> Result<Exit, Failure> {
        let id = ResetId(abort.reset.clone());
        self.of(&id, "abort", &json!({ "reason": abort.reason })).await?;
        // What would leave somebody without a working value is brought to an end first.
        self.settled(&id).await?;
        let one = self.one(&id).await?;
        let reset = self.planned(one.reset).await?;
        pause::aborted(self.session, &reset, &one.rotations)
    }

    /// Waits until nothing that somebody said is left undone.
    async fn settled(&self, id: &ResetId) -> Result<(), Failure> {
        loop {
            let mut events = self.server.events(&format!("/v1/resets/{id}/events")).await?;
            while events.next().await.is_some() {}
            if !self.one(id).await?.busy {
                return Ok(());
            }
        }
    }
}

impl acts::Task {
    pub(super) async fn at(self, session: &crate::cli::Session, daemon: &Daemon<'_>) -> Result<Exit, Failure> {
        match self {
            Self::List => {
                let tasks = daemon.tasks(None).await?;
                if session.json() { json(&tasks)? } else { data(&acts::tasks(&tasks, session.context.clock.now())) }
            }
            Self::Attest { task, words } => {
                let path = format!("/v1/tasks/{task}/attest");
                let task: crate::engine::record::TaskRecord = daemon.act(&path, &json!({ "words": words })).await?;
                say(&format!("Attested: {}", task.what));
                next(&format!("remint retry {}", task.reset));
            }
        }
        Ok(Exit::Done)
    }
}

fn only(only: Option<&String>) -> Value {
    only.map_or_else(|| json!({}), |only| json!({ "only": only }))
}

fn garbled(error: serde_json::Error) -> Failure {
    Failure::new(Exit::Failed, error)
}
