//! Looking ahead, at a daemon: what it has is fetched, and shown as alone.

use remint_core::digest::Digest;
use remint_core::estate::Estate;
use remint_core::plan::Plan;
use serde::Deserialize;
use serde_json::{Value, json};

use super::Daemon;
use crate::cli::estate::asked;
use crate::cli::evidence::{Evidence, list};
use crate::cli::output::{data, json, next, say};
use crate::cli::{Exit, Failure, estate, look};

/// How a daemon's estate stands.
#[derive(Deserialize)]
struct Standing {
    active: Option<Digest>,
    staged: Option<Digest>,
    diff: Option<String>,
    changes: Value,
    problems: Vec<Told>,
}

#[derive(Deserialize)]
struct Told {
    text: String,
}

impl Daemon<'_> {
    /// The active estate.
    pub(super) async fn estate(&self) -> Result<Estate, Failure> {
        let standing: Standing = self.get("/v1/estate").await?;
        match standing.active {
            Some(active) => self.get(&format!("/v1/records/estates/{active}")).await,
            None => Err(Failure::new(Exit::Refused, "no estate is active at this daemon")),
        }
    }

    pub(super) async fn reach(&self, reach: &look::Reach) -> Result<Exit, Failure> {
        reach.at_a_daemon()?;
        reach.show(self.session, &self.estate().await?)
    }

    pub(super) async fn plan(&self, wanted: &look::Plan) -> Result<Exit, Failure> {
        let plan: Plan = self.act("/v1/plans", &wanted.body()?).await?;
        let estate = self.get(&format!("/v1/records/estates/{}", plan.estate)).await?;
        wanted.show(self.session, &plan, &estate)
    }

    /// What waits in the daemon's folder, and making it active.
    pub(super) async fn change_estate(&self, wanted: &estate::Estate) -> Result<Exit, Failure> {
        let (activate, yes) = wanted.at_a_daemon()?;
        let standing: Standing = self.get("/v1/estate").await?;
        if self.session.json() {
            json(&json!({ "active": standing.active, "staged": standing.staged, "diff": standing.changes }))?;
        }
        if !standing.problems.is_empty() {
            let problems: Vec<&str> = standing.problems.iter().map(|problem| problem.text.as_str()).collect();
            data(&problems.join("\n"));
            // Of a cluster a namespace with something wrong stays as it is, and the others go on.
            if standing.staged.is_none() {
                let what = "the daemon does not take its folder: correct the documents at the lines above";
                return Err(Failure::new(Exit::Refused, what));
            }
            say("Where those documents are, everything stays as it is active; what follows is about the others.");
        }
        let Some(staged) = standing.staged else {
            say("Nothing is staged: the daemon's folder is what is active.");
            return Ok(Exit::Done);
        };
        if !self.session.json() {
            data(standing.diff.as_deref().unwrap_or_default());
        }
        if !activate {
            say(&format!("Staged {}.", staged.short(12)));
            next("remint estate activate");
            return Ok(Exit::Done);
        }
        if !yes && !asked("Make this the active estate?")? {
            return Ok(Exit::Refused);
        }
        let _: Value = self.act("/v1/estate/activate", &json!({ "digest": staged })).await?;
        say(&format!("Active: {staged}"));
        next("remint reach --from Workload/NAME, or remint plan --from Workload/NAME");
        Ok(Exit::Done)
    }

    pub(super) async fn evidence(&self, evidence: &Evidence) -> Result<Exit, Failure> {
        match evidence {
            Evidence::List(wanted) => {
                let told: Vec<Value> = self.get(&format!("/v1/resets/{}/entries", wanted.reset())).await?;
                list::show(self.session, &told)
            }
            Evidence::Export(export) => {
                let archive = self.server.bytes(&export.at_a_daemon()?).await?;
                export.fetched(self.session, &archive)
            }
            _ => Err(Failure::usage(
                "this works with the values and keys of a state folder; run it where the state is, without --server",
            )),
        }
    }
}
