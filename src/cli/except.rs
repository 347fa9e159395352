//! `except`: leave a credential as it is for a while, on an owner's answer and others' approval.

use clap::Args;
use jiff::{SignedDuration, Timestamp};
use remint_contract::HostRules;
use serde_json::{Value, json};

use crate::app::refs;
use crate::cli::output::{self, counted, next, say};
use crate::cli::{Exit, Failure, Session};
use crate::engine::EngineSettings;
use crate::engine::exceptions::{Asked, Exception};

#[derive(Debug, Args)]
pub(super) struct Except {
    /// The credential: Credential/NAME
    pub(super) credential: String,
    /// Who answers for it until the end
    #[arg(long, value_name = "NAME", required_unless_present = "end")]
    owner: Option<String>,
    /// When it ends: a time, or how long from now, like 7d. At most 90 days
    #[arg(long, value_name = "TIME", required_unless_present = "end")]
    until: Option<String>,
    /// Why
    #[arg(long)]
    reason: String,
    /// End what holds or waits, before its time
    #[arg(long, conflicts_with_all = ["owner", "until"])]
    end: bool,
}

impl Except {
    pub(super) async fn run(self, session: &Session) -> Result<Exit, Failure> {
        let app = session.open(HostRules::default(), EngineSettings::default()).await?;
        let credential = refs(std::slice::from_ref(&self.credential))?.remove(0);
        let by = app.by(session.environment.user());
        if self.end {
            ended(app.engine.end_exception(&credential, &by, &self.reason).await?);
            return Ok(Exit::Done);
        }
        let until = self.until(session)?;
        let owner = self.owner.unwrap_or_default();
        let party = app.passed.as_ref().and_then(|passed| passed.party().cloned());
        let exception = app.engine.except(&credential, &owner, until, &self.reason, &by, party).await?;
        told(session, &exception)
    }

    /// As a daemon is asked, and where.
    pub(super) fn body(&self, session: &Session) -> Result<(&'static str, Value), Failure> {
        let mut body = json!({ "credential": self.credential, "reason": self.reason });
        if self.end {
            return Ok(("/v1/exceptions/end", body));
        }
        body["owner"] = json!(self.owner);
        body["until"] = json!(self.until(session)?);
        Ok(("/v1/exceptions", body))
    }

    fn until(&self, session: &Session) -> Result<Timestamp, Failure> {
        let until = self.until.as_deref().unwrap_or_default();
        time(until, session.context.clock.now()).ok_or_else(|| {
            Failure::usage(format!(
                "--until takes a time like 2026-03-01T00:00:00Z, or how long from now, like 7d; not `{until}`"
            ))
        })
    }
}

/// That so many ended.
pub(super) fn ended(count: usize) {
    say(&counted(
        count,
        "exception ended; every reset that left it out is open again",
        "exceptions ended; every reset that left it out is open again",
    ));
    next("remint get tasks");
}

/// That one was asked for, and whether it holds.
pub(super) fn told(session: &Session, exception: &Exception) -> Result<Exit, Failure> {
    let Asked { id, credential, owner, until, .. } = &exception.asked;
    if session.json() {
        output::json(exception)?;
    }
    if exception.granted.is_some() {
        say(&format!(
            "{credential} stays as it is until {until}, owned by {owner}: exception {id}, on your word alone."
        ));
        next("remint get exceptions");
        return Ok(Exit::Done);
    }
    say(&format!(
        "Asked for: exception {id}. {credential} is left as it is when the persons that it takes have signed."
    ));
    next(&format!("remint approve {id}"));
    Ok(Exit::Refused)
}

/// A time, or how long from now; days count 24 hours.
pub(super) fn time(text: &str, now: Timestamp) -> Option<Timestamp> {
    if let Ok(at) = text.parse() {
        return Some(at);
    }
    let days = text.strip_suffix('d').and_then(|days| days.parse::<i64>().ok());
    let lasts = match days {
        Some(days) => SignedDuration::from_hours(days.checked_mul(24)?),
        None => text.parse().ok()?,
    };
    now.checked_add(lasts).ok()
}
