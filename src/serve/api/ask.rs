//! What a request wants, in the gate's words: one table over methods and addresses, looked at before any handler.

use axum::http::Method;
use remint_contract::ResetId;
use remint_core::gate::{Action, Caller, Resource};

use crate::engine::EngineError;
use crate::engine::record::kind;
use crate::govern::{Passed, exception, reset, standing};
use crate::serve::api::Api;
use crate::serve::api::problem::Problem;

impl Api {
    /// Lets a request through, or not; `None`: it needs no leave, or leads nowhere.
    pub(super) async fn may(&self, caller: &Caller, method: &Method, path: &str) -> Result<Option<Passed>, Problem> {
        let Some((action, resource)) = self.ask(method, path).await? else { return Ok(None) };
        Ok(Some(self.app.gate.pass(caller, &self.by, action, &resource).await?))
    }

    async fn ask(&self, method: &Method, path: &str) -> Result<Option<(Action, Resource)>, Problem> {
        let parts: Vec<&str> = path.trim_start_matches('/').split('/').collect();
        if *method == Method::GET || *method == Method::HEAD {
            return Ok(match parts.as_slice() {
                // Whoever asks is nobody yet.
                ["v1", "login"] => None,
                ["v1", "tokens" | "policy", ..] => Some((Action::Read, Resource::Policy)),
                ["v1", "resets", _, "bundle"] => Some((Action::Export, Resource::Log)),
                ["v1", "log", ..] | ["v1", "resets", _, "entries"] | ["metrics"] => Some((Action::Read, Resource::Log)),
                ["v1", ..] => Some((Action::Read, Resource::Estate)),
                _ => None,
            });
        }
        // Where nobody governs, what is asked about does not matter, and is not looked up.
        if !self.app.gate.governed() {
            return Ok(Some((Action::Execute, Resource::Estate)));
        }
        Ok(Some(match parts.as_slice() {
            // Decided when its plan is known.
            ["v1", "resets" | "plans"] => (Action::Plan, Resource::Estate),
            // Which credential or window it is about is in the body: decided by who answers.
            ["v1", "exceptions"] | ["v1", "exceptions", "end"] | ["v1", "windows", ..] => {
                (Action::Plan, Resource::Estate)
            }
            ["v1", "exceptions", id, _] => (Action::Approve, exception(&self.app.engine, id).await?),
            ["v1", "standing", id, "approve"] => (Action::Approve, standing(&self.app.engine, id).await?),
            ["v1", "standing", id, _] => (Action::Request, standing(&self.app.engine, id).await?),
            ["v1", "policy", ..] => (Action::ChangePolicy, Resource::Policy),
            ["v1", "resets", id, verb] => {
                let action = match *verb {
                    "approve" | "reject" | "withdraw" | "review" => Action::Approve,
                    "rollback" => Action::Rollback,
                    "escalate" => Action::Escalate,
                    _ => Action::Execute,
                };
                (action, self.reset(id).await?)
            }
            ["v1", "nodes", "clean"] => (Action::Clean, Resource::Node("any".to_owned())),
            ["v1", "findings", id, _] => {
                let found = self.app.engine.findings(None).await?.into_iter().find(|finding| finding.id == *id);
                let found = found.ok_or_else(|| EngineError::NoRecord { kind: kind::FINDING, id: (*id).to_owned() })?;
                (Action::SweepDecide, self.reset(&found.reset.0).await?)
            }
            ["v1", "tasks", id, _] => {
                let found = self.app.engine.tasks(None).await?.into_iter().find(|task| task.id == *id);
                let found = found.ok_or_else(|| EngineError::NoRecord { kind: kind::TASK, id: (*id).to_owned() })?;
                (Action::Attest, self.reset(&found.reset.0).await?)
            }
            // Whoever makes a token lets somebody act; what it may do the policies say.
            ["v1", "tokens", ..] => (Action::GrantAccess, Resource::Policy),
            ["v1", "estate", ..] => (Action::ChangeEstate, Resource::Estate),
            // An address that nobody put into this table is as much as anybody can ask for.
            _ => (Action::Restore, Resource::Store),
        }))
    }

    async fn reset(&self, id: &str) -> Result<Resource, Problem> {
        Ok(reset(&self.app.engine, &ResetId(id.to_owned())).await?)
    }
}
