//! `windows`: when rotation windows open next, and what is due then.

use std::collections::BTreeMap;
use std::time::Duration;

use clap::Subcommand;
use jiff::Timestamp;
use remint_contract::{HostRules, Ref};
use remint_core::calendar::{Known, Left, Opening, Window, WindowError, turns};
use remint_core::estate::Estate;
use remint_core::plan::render_plan;
use serde::Serialize;

use crate::app::refs;
use crate::cli::except::time;
use crate::cli::output::{data, json, next, say, table};
use crate::cli::{Exit, Failure, Session};
use crate::engine::EngineSettings;
use crate::engine::opening::WindowRecord;

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

/// One window as it is shown.
#[derive(Debug, Clone, Serialize)]
#[serde(rename_all = "camelCase")]
struct Shown {
    window: Ref,
    /// `None`: it never opens again.
    opening: Option<Opening>,
    /// What the clock shows there.
    opens_there: Option<String>,
    /// It is open now.
    open: bool,
    manual_only: bool,
    seconds: u64,
    due: usize,
    /// Due, and without a turn: each with why.
    left: BTreeMap<String, Left>,
    carried: BTreeMap<String, Timestamp>,
    /// Of what is due and has an age.
    oldest_seconds: Option<u64>,
    /// Due, and nobody knows how old.
    unknown: usize,
    missed: u64,
    last_missed: Option<Timestamp>,
}

impl Windows {
    pub(super) async fn run(self, session: &Session) -> Result<Exit, Failure> {
        match self {
            Self::Next => Self::show(session).await,
            Self::Approve { window, until } => approve(session, window, &until).await,
            Self::End { standing, reason } => {
                let app = session.open(HostRules::default(), EngineSettings::default()).await?;
                let by = app.by(session.environment.user());
                let ended = app.engine.end_standing(&standing, &by, &reason).await?;
                say(&format!("Ended: {} opens without {standing} from now on.", ended.asked.window));
                next(&format!("remint windows approve {} --until TIME", ended.asked.window));
                Ok(Exit::Done)
            }
        }
    }

    async fn show(session: &Session) -> Result<Exit, Failure> {
        let app = session.open(HostRules::default(), EngineSettings::default()).await?;
        let engine = &app.engine;
        let estate = engine.active_estate().await?.unwrap_or_default();
        let (known, now) = (engine.known().await?, engine.context.clock.now());
        let mut all = Vec::new();
        for name in estate.windows.keys() {
            let kept = engine.window(name).await?.map(|(kept, _)| kept);
            all.extend(
                shown(name, &estate, &known, kept.as_ref(), now).map_err(|error| Failure::new(Exit::Usage, error))?,
            );
        }
        all.sort_by_key(|one| one.opening.map_or(Timestamp::MAX, |opening| opening.opens));
        if session.json() {
            json(&all)?;
            return Ok(Exit::Done);
        }
        let header = ["WINDOW", "OPENS", "UTC", "FOR", "DUE", "OLDEST", "MISSED"];
        data(&table(header, all.iter().map(row)));
        next(&advice(&all));
        Ok(Exit::Done)
    }
}

async fn approve(session: &Session, window: String, until: &str) -> Result<Exit, Failure> {
    let app = session.open(HostRules::default(), EngineSettings::default()).await?;
    let window = refs(&[window])?.remove(0);
    let until = time(until, session.context.clock.now()).ok_or_else(|| {
        Failure::usage(format!("--until takes a time, or how long from now, like 90d; not `{until}`"))
    })?;
    let party = app.passed.as_ref().and_then(|passed| passed.party().cloned());
    let party = party.ok_or_else(|| Failure::usage("this state has one operator: its windows open on his word"))?;
    let by = app.by(session.environment.user());
    let (standing, plan) = app.engine.stand(&window, until, &by, party).await?;
    let id = &standing.asked.id;
    if session.json() {
        json(&standing)?;
    } else {
        let estate = app.engine.active_estate().await?.unwrap_or_default();
        data(&render_plan(&plan, &estate));
    }
    say(&format!(
        "Asked for: standing approval {id} of {window} until {until}, for {} credentials as shown above.",
        standing.asked.covers.len()
    ));
    next(&format!("others: remint approve {id}"));
    Ok(Exit::Refused)
}

fn shown(
    name: &Ref,
    estate: &Estate,
    known: &BTreeMap<Ref, Known>,
    kept: Option<&WindowRecord>,
    now: Timestamp,
) -> Result<Option<Shown>, WindowError> {
    let Some(document) = estate.windows.get(name) else { return Ok(None) };
    let window = Window::new(name.clone(), document.clone())?;
    // One that is open is the next one as long as it is.
    let (mut at, mut current) = (now - document.duration - document.jitter.unwrap_or_default(), None);
    while let Some(opening) = window.next(at).filter(|opening| opening.opens <= now) {
        current = (now < opening.closes).then_some(opening);
        at = opening.scheduled;
    }
    let opening = current.or_else(|| window.next(now));
    let turns = opening.map(|opening| turns(&window, &opening, estate, known)).unwrap_or_default();
    let dues = || turns.turns.iter().map(|turn| &turn.due).chain(turns.left.iter().map(|(due, _)| due));
    Ok(Some(Shown {
        window: name.clone(),
        opens_there: opening.map(|opening| window.zone().at(opening.opens).to_string()),
        opening,
        open: current.is_some(),
        manual_only: document.manual_only,
        seconds: document.duration.as_secs(),
        due: dues().count(),
        left: turns.left.iter().map(|(due, left)| (due.credential.to_string(), *left)).collect(),
        carried: dues().filter_map(|due| Some((due.credential.to_string(), due.carried?))).collect(),
        oldest_seconds: dues().filter_map(|due| due.age).max().map(|age| age.as_secs()),
        unknown: dues().filter(|due| due.age.is_none()).count(),
        missed: kept.map_or(0, |kept| kept.missed),
        last_missed: kept.and_then(|kept| kept.last_missed),
    }))
}

fn row(one: &Shown) -> [String; 7] {
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

fn advice(all: &[Shown]) -> String {
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
