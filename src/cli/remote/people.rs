//! What persons say beside resets, said to a daemon: exceptions, windows, policies, reviews.

use std::collections::BTreeSet;

use remint_core::approval::Party;
use remint_core::digest::Digest;
use remint_core::estate::Estate;
use remint_core::gate::Decision;
use remint_core::plan::Plan;
use serde::Deserialize;
use serde_json::json;

use super::Daemon;
use crate::app::AppError;
use crate::cli::windows::Windows;
use crate::cli::{Exit, Failure, acts, approve, except, policy, windows};
use crate::engine::emergency::Broken;
use crate::engine::exceptions::Exception;
use crate::engine::standing::Standing;
use crate::engine::upcoming::Upcoming;
use crate::govern::{About, Charter};

#[derive(Deserialize)]
struct OfException {
    exception: Exception,
    lacks: Vec<String>,
    by: String,
}

#[derive(Deserialize)]
struct OfStanding {
    standing: Standing,
    lacks: Vec<String>,
    by: String,
}

#[derive(Deserialize)]
struct Stands {
    standing: Standing,
    plan: Plan,
}

#[derive(Deserialize)]
struct Staged {
    charter: Digest,
    active: bool,
    by: String,
}

#[derive(Deserialize)]
struct Explained {
    party: Party,
    groups: BTreeSet<String>,
    resource: String,
    decision: Decision,
}

#[derive(Deserialize)]
struct Ended {
    ended: usize,
}

impl Daemon<'_> {
    /// A yes to what is no reset: an exception, or what is approved in advance.
    pub(super) async fn approve_other(&self, approve: &approve::Approve) -> Result<Exit, Failure> {
        let id = &approve.reset;
        if approve.sign {
            return Err(Failure::usage("a provider signs plans of resets; sign this with --key"));
        }
        if let Some(known) = self.found::<Exception>(&format!("/v1/exceptions/{id}")).await? {
            let (what, digest, file) = (format!("exception {id}"), known.asked.digest(), known.asked.file());
            let body = approve.body(self.session, &About { what: &what, digest, file: &file })?;
            let signed: OfException = self.act(&format!("/v1/exceptions/{id}/approve"), &body).await?;
            return approve::exception_signed(self.session, &signed.exception, &signed.by, &signed.lacks);
        }
        let known: Standing = self
            .found(&format!("/v1/standing/{id}"))
            .await?
            .ok_or_else(|| Failure::usage(format!("there is no reset, exception or standing approval `{id}`")))?;
        let (what, digest, file) = (format!("standing {id}"), known.asked.digest(), known.asked.file());
        let body = approve.body(self.session, &About { what: &what, digest, file: &file })?;
        let signed: OfStanding = self.act(&format!("/v1/standing/{id}/approve"), &body).await?;
        approve::standing_signed(self.session, &signed.standing, &signed.by, &signed.lacks)
    }

    pub(super) async fn except(&self, except: &except::Except) -> Result<Exit, Failure> {
        match except.body(self.session)? {
            (path @ "/v1/exceptions", body) => {
                let exception: Exception = self.act(path, &body).await?;
                except::told(self.session, &exception)
            }
            (path, body) => {
                let done: Ended = self.act(path, &body).await?;
                except::ended(done.ended);
                Ok(Exit::Done)
            }
        }
    }

    pub(super) async fn windows(&self, wanted: Windows) -> Result<Exit, Failure> {
        match wanted {
            Windows::Next => {
                let all: Vec<Upcoming> = self.get("/v1/windows").await?;
                windows::shown(self.session, &all)
            }
            Windows::Approve { window, until } => {
                let (window, until) = windows::wanted(self.session, window, &until)?;
                let body = json!({ "window": window, "until": until });
                let Stands { standing, plan } = self.act("/v1/windows/approve", &body).await?;
                let estate: Estate = self.get(&format!("/v1/records/estates/{}", plan.estate)).await?;
                windows::asked_for(self.session, &standing, &plan, &estate)
            }
            Windows::End { standing, reason } => {
                let path = format!("/v1/standing/{standing}/end");
                windows::ended(&self.act(&path, &json!({ "reason": reason })).await?);
                Ok(Exit::Done)
            }
        }
    }

    pub(super) async fn policy(&self, policy: policy::Policy) -> Result<Exit, Failure> {
        match policy {
            policy::Policy::Stage { folder } => {
                let Charter { policies, persons } = Charter::read(&folder).map_err(AppError::from)?;
                let body = json!({ "policies": policies, "persons": persons });
                let staged: Staged = self.act("/v1/policy/stage", &body).await?;
                policy::staged(self.session, staged.charter, staged.active, &staged.by)
            }
            policy::Policy::Explain(explain) => {
                let query = explain.query().unwrap_or_default();
                let found: Explained = self.get(&format!("/v1/policy/explain?{query}")).await?;
                let Explained { party, groups, resource, decision } = found;
                policy::show(self.session, explain.action, &party, &groups, &resource, &decision)
            }
            other => other.run(self.session).await,
        }
    }

    pub(super) async fn review(&self, review: &acts::Review) -> Result<Exit, Failure> {
        let path = format!("/v1/resets/{}/review", review.reset);
        let broken: Broken = self.act(&path, &json!({ "reason": review.reason })).await?;
        acts::reviewed(self.session, &broken)
    }
}
