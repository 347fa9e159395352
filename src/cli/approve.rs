//! `approve`: a yes to a reset's plan, to an exception, or to what a window may do again and again.

use std::path::PathBuf;
use std::time::Duration;

use clap::Args;
use jiff::SignedDuration;
use remint_contract::{HostRules, ResetId};
use remint_core::approval::{Additions, Signature};
use remint_core::digest::Digest;
use serde_json::{Value, json};

use crate::app::App;
use crate::cli::output::{data, json, next, say};
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
    /// Print what you sign, and say nothing here: an Approval object in a cluster has it as `signature`, whoever applies it
    #[arg(long, requires = "key")]
    pub(super) print: bool,
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
    /// As a daemon is told: which digest was looked at, and what was signed of it.
    pub(super) fn body(&self, session: &Session, about: &About<'_>) -> Result<Value, Failure> {
        let mut body = json!({ "plan": about.digest });
        match self.note(session, about)? {
            Some(note) => body["note"] = json!(note),
            None => body["additions"] = json!(self.additions.as_ref().map(ToString::to_string)),
        }
        Ok(body)
    }

    /// What this person signs with his own key, where he named one.
    fn note(&self, session: &Session, about: &About<'_>) -> Result<Option<String>, Failure> {
        let Some(path) = &self.key else { return Ok(None) };
        let at = session.context.clock.now();
        let lasts = self.lasts.and_then(|lasts| Duration::try_from(lasts).ok()).unwrap_or(LASTS);
        let until = at.checked_add(lasts).map_err(|_| Failure::usage("--lasts is longer than time"))?;
        let bound = Bound { at, until, additions: self.additions.clone() };
        Ok(Some(about.sign(&PersonKey::load(path)?, &bound)?))
    }

    /// Shows what would be said.
    pub(super) fn printed(&self, session: &Session, about: &About<'_>) -> Result<Exit, Failure> {
        let note =
            self.note(session, about)?.ok_or_else(|| Failure::usage("--print shows what a key signs: --key FILE"))?;
        data(&note);
        next("apply an Approval of this plan with these lines as its `signature`, within the hour");
        Ok(Exit::Done)
    }

    pub(super) async fn run(self, session: &Session) -> Result<Exit, Failure> {
        if self.sign {
            return Err(Failure::usage("--sign shows a provider's word to a daemon; name the daemon with --server"));
        }
        let app = session.open(HostRules::default(), EngineSettings::default()).await?;
        let id = ResetId(self.reset.clone());
        if self.print {
            let known = app.engine.reset(&id).await?;
            let (digest, file) = known.waits();
            return self.printed(session, &About { what: &format!("reset {id}"), digest, file: &file });
        }
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
        exception_signed(session, &exception, &by, &lacks)
    }

    /// Signs what is approved in advance.
    async fn sign_standing(self, session: &Session, app: &App, known: &Standing) -> Result<Exit, Failure> {
        let (id, digest) = (&known.asked.id, known.asked.digest());
        let signature = self.yes(session, app, &format!("standing {id}"), digest, &known.asked.file()).await?;
        let by = signature.by.to_string();
        let (standing, lacks) = app.engine.sign_standing(id, digest, &signature).await?;
        standing_signed(session, &standing, &by, &lacks)
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
        let about = About { what, digest, file };
        let Some(note) = self.note(session, &about)? else {
            let signature = passed.signature(now).ok_or_else(|| Failure::usage("nobody is known to sign"))?;
            return Ok(Signature { additions: self.additions.clone(), ..signature });
        };
        Ok(app.gate.vouch(passed, &note, &about).await?)
    }
}

/// That an exception was signed, and what it still takes.
pub(super) fn exception_signed(
    session: &Session,
    exception: &Exception,
    by: &str,
    lacks: &[String],
) -> Result<Exit, Failure> {
    let Asked { id, credential, owner, until, .. } = &exception.asked;
    say(&format!("Signed by {by}: exception {id} of {credential}, owned by {owner}, until {until}"));
    signed(session, &json!({ "exception": exception, "lacks": lacks }), lacks, "remint get exceptions")
}

/// The same, of what is approved in advance.
pub(super) fn standing_signed(
    session: &Session,
    standing: &Standing,
    by: &str,
    lacks: &[String],
) -> Result<Exit, Failure> {
    let (id, window, until) = (&standing.asked.id, &standing.asked.window, standing.asked.until);
    say(&format!("Signed by {by}: standing approval {id} of {window}, until {until}"));
    signed(session, &json!({ "standing": standing, "lacks": lacks }), lacks, "remint windows next")
}

fn signed(session: &Session, record: &Value, lacks: &[String], then: &str) -> Result<Exit, Failure> {
    for lack in lacks {
        say(&format!("It does not hold yet: {lack}."));
    }
    if session.json() {
        json(record)?;
    }
    next(if lacks.is_empty() { then } else { "others sign it with the same command" });
    Ok(if lacks.is_empty() { Exit::Done } else { Exit::Refused })
}
