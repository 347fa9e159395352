//! `windows`: when rotation windows open next, and what is due then.

use std::time::Duration;

use clap::Subcommand;
use jiff::Timestamp;
use remint_contract::{HostRules, Ref};
use remint_core::calendar::Left;
use remint_core::estate::Estate;
use remint_core::plan::{Plan, render_plan};

use crate::app::refs;
use crate::cli::except::time;
use crate::cli::output::{data, json, next, say, table};
use crate::cli::{Exit, Failure, Session};
use crate::engine::EngineSettings;
use crate::engine::standing::{Asked, Standing};
use crate::engine::upcoming::Upcoming;

#[derive(Debug, Subcommand)]
pub(super) enum Windows {
    /// When each window opens next, there and in UTC, and what is due then
    Next,
    /// Ask that a window of a governed state may replace what it selects, as its plan shows it now; others sign it with
    /// remint approve
    Approve {
        /// The window: RotationWindow/NAME
        window: String,
        /// How long it counts, like 90d. At most a year
        #[arg(long, value_name = "TIME")]
        until: String,
    },
    /// End what was approved in advance
    End {
        /// As remint windows approve named it
        standing: String,
        /// Why
        #[arg(long)]
        reason: String,
    },
}

impl Windows {
    pub(super) async fn run(self, session: &Session) -> Result<Exit, Failure> {
        match self {
            Self::Next => Self::show(session).await,
            Self::Approve { window, until } => approve(session, window, &until).await,
            Self::End { standing, reason } => {
                let app = session.open(HostRules::default(), EngineSettings::default()).await?;
                let by = app.by(session.environment.user());
                ended(&app.engine.end_standing(&standing, &by, &reason).await?);
                Ok(Exit::Done)
            }
        }
    }

    async fn show(session: &Session) -> Result<Exit, Failure> {
        let app = session.open(HostRules::default(), EngineSettings::default()).await?;
        shown(session, &app.engine.upcoming().await?)
    }
}

/// The table of what opens next.
pub(super) fn shown(session: &Session, all: &[Upcoming]) -> Result<Exit, Failure> {
    if session.json() {
        json(&all)?;
        return Ok(Exit::Done);
    }
    let header = ["WINDOW", "OPENS", "UTC", "FOR", "DUE", "OLDEST", "MISSED"];
    data(&table(header, all.iter().map(row)));
    next(&advice(all));
    Ok(Exit::Done)
}

async fn approve(session: &Session, window: String, until: &str) -> Result<Exit, Failure> {
    let app = session.open(HostRules::default(), EngineSettings::default()).await?;
    let (window, until) = wanted(session, window, until)?;
    let party = app.passed.as_ref().and_then(|passed| passed.party().cloned());
    let party = party.ok_or_else(|| Failure::usage("this state has one operator: its windows open on his word"))?;
    let by = app.by(session.environment.user());
    let (standing, plan) = app.engine.stand(&window, until, &by, party).await?;
    let estate = app.engine.active_estate().await?.unwrap_or_default();
    asked_for(session, &standing, &plan, &estate)
}

/// What is asked for, as it was typed.
pub(super) fn wanted(session: &Session, window: String, until: &str) -> Result<(Ref, Timestamp), Failure> {
    let window = refs(&[window])?.remove(0);
    let until = time(until, session.context.clock.now()).ok_or_else(|| {
        Failure::usage(format!("--until takes a time, or how long from now, like 90d; not `{until}`"))
    })?;
    Ok((window, until))
}

/// That it was asked for, with the plan that others look at.
pub(super) fn asked_for(session: &Session, standing: &Standing, plan: &Plan, estate: &Estate) -> Result<Exit, Failure> {
    let Asked { id, window, until, covers, .. } = &standing.asked;
    if session.json() {
        json(standing)?;
    } else {
        data(&render_plan(plan, estate));
    }
    say(&format!(
        "Asked for: standing approval {id} of {window} until {until}, for {} credentials as shown above.",
        covers.len()
    ));
    next(&format!("others: remint approve {id}"));
    Ok(Exit::Refused)
}

/// That one ended.
pub(super) fn ended(standing: &Standing) {
    let Asked { id, window, .. } = &standing.asked;
    say(&format!("Ended: {window} opens without {id} from now on."));
    next(&format!("remint windows approve {window} --until TIME"));
}

fn row(one: &Upcoming) -> [String; 7] {
    let utc = one.opening.map(|opening| opening.opens.to_string());
    let mut utc = utc.unwrap_or_else(|| "never".to_owned());
    if one.open {
        utc.push_str(" (open)");
    } else if one.manual_only {
        utc.push_str(" (by hand)");
    }
    let due = match (one.due, one.left.len()) {
        (due, 0) => due.to_string(),
        (due, left) => format!("{due}, {left} without a turn"),
    };
    let oldest = match (one.oldest_seconds.map(Duration::from_secs).map(rough), one.unknown) {
        (None, 0) => "-".to_owned(),
        (None, _) => "unknown".to_owned(),
        (Some(age), 0) => age,
        (Some(age), unknown) => format!("{age}, {unknown} unknown"),
    };
    let missed = match (one.missed, one.last_missed) {
        (missed, Some(last)) if missed > 0 => format!("{missed}, last {last}"),
        (missed, _) => missed.to_string(),
    };
    let there = one.opens_there.clone().unwrap_or_default();
    [one.window.to_string(), there, utc, rough(Duration::from_secs(one.seconds)), due, oldest, missed]
}

/// In its largest unit that says enough.
fn rough(time: Duration) -> String {
    let minutes = time.as_secs() / 60;
    match minutes {
        0..120 if minutes == 60 => "1h".to_owned(),
        0..120 => format!("{minutes}m"),
        120..2880 if minutes % 60 == 0 || minutes > 600 => format!("{}h", minutes / 60),
        120..2880 => format!("{}h{:02}m", minutes / 60, minutes % 60),
        _ => format!("{}d", minutes / 1440),
    }
}

fn advice(all: &[Upcoming]) -> String {
    if all.is_empty() {
        return "nothing: the active estate has no rotation window".to_owned();
    }
    if let Some(one) = all.iter().find(|one| one.left.values().any(|left| *left == Left::Privileged)) {
        return format!(
            "{} leaves privileged credentials to a person: remint reset --from CREDENTIAL --reason …",
            one.window
        );
    }
    if let Some(one) = all.iter().find(|one| one.manual_only && one.due > 0) {
        return format!("{} opens for nobody; what is due in it waits for a person", one.window);
    }
    "nothing: a daemon opens them (remint serve)".to_owned()
}
