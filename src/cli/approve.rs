//! `approve`: a yes to a reset's plan, to an exception, or to what a window may do again and again.

use std::path::PathBuf;
use std::time::Duration;

use clap::Args;
use jiff::SignedDuration;
use remint_contract::{HostRules, ResetId};
use remint_core::approval::{Additions, Signature};
use remint_core::digest::Digest;
use serde_json::json;

use crate::app::App;
use crate::cli::output::{json, next, say};
use crate::cli::reset::{Carry, carry_on};
use crate::cli::{Exit, Failure, Session};
use crate::engine::EngineSettings;
use crate::engine::exceptions::{Asked, Exception};
use crate::engine::standing::Standing;
use crate::govern::yes::{Bound, LASTS};
use crate::govern::{About, PersonKey};

#[derive(Debug, Args)]
pub(super) struct Approve {
    /// The reset, as `remint get resets` names it, or the exception, as `remint get exceptions` does
    pub(super) reset: String,
    /// Have your identity provider sign exactly this plan: you log in again for it; only with --server
    #[arg(long, conflicts_with = "key")]
    pub(super) sign: bool,
    /// Sign it with your own key, so that anybody can check your word without Remint: the file that `remint policy key` made
    #[arg(long, value_name = "FILE")]
    key: Option<PathBuf>,
    /// How long your word counts at most, like 2h; policies make it shorter. Default: 8h
    #[arg(long, value_name = "TIME", requires = "key")]
    lasts: Option<SignedDuration>,
    /// What may be added to the plan without asking you again: a number and tiers, like 3:standard
    #[arg(long, value_name = "NUMBER:TIERS")]
    additions: Option<Additions>,
    #[command(flatten)]
    pub(super) carry: Carry,
}

impl Approve {
    /// Refuses what a daemon is not told of.
    pub(super) fn at_a_daemon(&self) -> Result<(), Failure> {
        if self.key.is_some() || self.lasts.is_some() || self.additions.is_some() {
            let what =
                "--key, --lasts and --additions are for where the state is; leave --server away, or --sign instead";
            return Err(Failure::usage(what));
        }
        Ok(())
    }

    pub(super) async fn run(self, session: &Session) -> Result<Exit, Failure> {
        if self.sign {
            return Err(Failure::usage("--sign shows a provider's word to a daemon; name the daemon with --server"));
        }
        let app = session.open(HostRules::default(), EngineSettings::default()).await?;
        let id = ResetId(self.reset.clone());
        if app.gate.governed() {
            if let Ok((exception, _)) = app.engine.exception(&id.0).await {
                return self.sign_exception(session, &app, &exception).await;
            }
            return match app.engine.standing(&id.0).await {
                Ok((standing, _)) => self.sign_standing(session, &app, &standing).await,
                Err(_) => self.sign(session, &app, &id).await,
            };
        }
        let reset = app.engine.approve(&id, &app.by(session.environment.user())).await?;
        say(&format!("Approved: reset {id}, plan {}", reset.plan.digest.short(12)));
        carry_on(session, &app, &id, &self.carry).await
    }
}

impl Approve {
    /// Signs what waits of a reset, and carries it out when that was all it took and this person may.
    async fn sign(self, session: &Session, app: &App, id: &ResetId) -> Result<Exit, Failure> {
        let known = app.engine.reset(id).await?;
        let (digest, file) = known.waits();
        let signature = self.yes(session, app, &format!("reset {id}"), digest, &file).await?;
        let (by, grade) = (signature.by.to_string(), signature.strength.grade.clone());
        let signed = app.engine.sign(id, digest, signature).await?;
        say(&format!("Signed by {by} ({grade}): reset {id}, plan {}", digest.short(12)));
        if signed.lacks.is_empty() {
            return carry_on(session, app, id, &self.carry).await;
        }
        for lack in &signed.lacks {
            say(&format!("It does not start yet: {lack}."));
        }
        next(&format!("others: remint approve {id}; then: remint execute {id}"));
        if session.json() {
            json(&json!({ "reset": id.0, "status": signed.reset.status, "lacks": signed.lacks }))?;
        }
        Ok(Exit::Refused)
    }

    /// Signs an exception.
    async fn sign_exception(self, session: &Session, app: &App, known: &Exception) -> Result<Exit, Failure> {
        let (id, digest) = (&known.asked.id, known.asked.digest());
        let signature = self.yes(session, app, &format!("exception {id}"), digest, &known.asked.file()).await?;
        let by = signature.by.to_string();
        let (exception, lacks) = app.engine.sign_exception(id, digest, &signature).await?;
        let Asked { credential, owner, until, .. } = &exception.asked;
        say(&format!("Signed by {by}: exception {id} of {credential}, owned by {owner}, until {until}"));
        for lack in &lacks {
            say(&format!("It does not hold yet: {lack}."));
        }
        if session.json() {
            json(&json!({ "exception": exception, "lacks": lacks }))?;
        }
        next(if lacks.is_empty() { "remint get exceptions" } else { "others sign it with the same command" });
        Ok(if lacks.is_empty() { Exit::Done } else { Exit::Refused })
    }

    /// Signs what is approved in advance.
    async fn sign_standing(self, session: &Session, app: &App, known: &Standing) -> Result<Exit, Failure> {
        let (id, digest) = (&known.asked.id, known.asked.digest());
        let signature = self.yes(session, app, &format!("standing {id}"), digest, &known.asked.file()).await?;
        let by = signature.by.to_string();
        let (standing, lacks) = app.engine.sign_standing(id, digest, &signature).await?;
        say(&format!(
            "Signed by {by}: standing approval {id} of {}, until {}",
            standing.asked.window, standing.asked.until
        ));
        for lack in &lacks {
            say(&format!("It does not hold yet: {lack}."));
        }
        if session.json() {
            json(&json!({ "standing": standing, "lacks": lacks }))?;
        }
        next(if lacks.is_empty() { "remint windows next" } else { "others sign it with the same command" });
        Ok(if lacks.is_empty() { Exit::Done } else { Exit::Refused })
    }

    /// This caller's yes, with his own key where he brought it.
    async fn yes(
        &self,
        session: &Session,
        app: &App,
        what: &str,
        digest: Digest,
        file: &str,
    ) -> Result<Signature, Failure> {
        let passed = app.passed.as_ref().ok_or_else(|| Failure::usage("nobody is known to sign"))?;
        let now = session.context.clock.now();
        let Some(path) = &self.key else {
            let signature = passed.signature(now).ok_or_else(|| Failure::usage("nobody is known to sign"))?;
            return Ok(Signature { additions: self.additions.clone(), ..signature });
        };
        let lasts = self.lasts.and_then(|lasts| Duration::try_from(lasts).ok()).unwrap_or(LASTS);
        let until = now.checked_add(lasts).map_err(|_| Failure::usage("--lasts is longer than time"))?;
        let about = About { what, digest, file };
        let note = about.sign(&PersonKey::load(path)?, &Bound { at: now, until, additions: self.additions.clone() })?;
        Ok(app.gate.vouch(passed, &note, &about).await?)
    }
}
