//! `reset`, at a daemon: it plans from its own active estate.

use remint_contract::ResetId;
use remint_core::plan::{Plan, render_plan};
use serde_json::{Value, json};

use super::Daemon;
use crate::cli::estate::asked;
use crate::cli::output::{data, json, next, say};
use crate::cli::{Exit, Failure, reset};

impl Daemon<'_> {
    pub(super) async fn ask(&self, wanted: reset::Reset) -> Result<Exit, Failure> {
        if !wanted.paths.is_empty() || wanted.plan.is_some() {
            return Err(Failure::usage(
                "a daemon plans from its own active estate; name no documents and no --plan with --server",
            ));
        }
        let id = match &wanted.request_id {
            Some(id) => ResetId(id.clone()),
            None => self.session.context.reset().map_err(|error| Failure::new(Exit::Failed, error))?,
        };
        let mut body = wanted.scope.body();
        body["requestId"] = json!(id);
        body["reason"] = json!(wanted.reason);
        body["drill"] = json!(wanted.drill);
        body["privileged"] = json!(wanted.privileged);
        if wanted.break_glass {
            body["breakGlass"] = json!(true);
        }
        if let Some(exposed) = wanted.exposed_at {
            body["exposedAt"] = json!(exposed);
        }
        let made: Value = self.act("/v1/resets", &body).await?;
        let one = self.one(&id).await?;
        if !self.session.json() {
            let plan: Plan = self.get(&format!("/v1/records/plans/{}", one.reset.plan)).await?;
            let estate = self.get(&format!("/v1/records/estates/{}", plan.estate)).await?;
            data(&render_plan(&plan, &estate));
        }
        let requested = |next_words: &str| -> Result<Exit, Failure> {
            next(next_words);
            if self.session.json() {
                json(&json!({ "reset": id.0, "status": "requested" }))?;
            }
            Ok(Exit::Refused)
        };
        if made["broken"] == json!(true) {
            reset::broken(&id);
            return self.carried(&id, &wanted.carry).await;
        }
        if made["governed"] == json!(true) {
            say(&format!("Asked for: reset {id}. It starts when the persons that it takes have signed its plan."));
            return requested(&format!("remint approve {id}"));
        }
        if !wanted.yes && !asked("Carry this plan out?")? {
            return requested(&format!("remint approve {id}, or remint reject {id} --reason …"));
        }
        let approve = json!({ "plan": made["plan"] });
        let _: Value = self.act(&format!("/v1/resets/{id}/approve"), &approve).await?;
        self.carried(&id, &wanted.carry).await
    }
}
