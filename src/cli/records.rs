//! `get`: what is recorded, as tables and as JSON.

use clap::{Args, ValueEnum};
use remint_contract::{HostRules, ResetId};
use remint_core::machine::State;
use serde::Serialize;

use crate::cli::known::Known;
use crate::cli::output::{data, json, next, say, table};
use crate::cli::{Exit, Failure, Session};
use crate::engine::EngineSettings;
use crate::engine::eta::Eta;
use crate::engine::exceptions::{Asked, Exception};
use crate::engine::record::{ResetStatus, RotationRecord};
use crate::engine::withheld::waits;

#[derive(Debug, Args)]
pub(super) struct Get {
    what: What,
    /// Of one reset only
    #[arg(long)]
    reset: Option<String>,
}

#[derive(Debug, Clone, Copy, ValueEnum)]
enum What {
    Resets,
    Rotations,
    /// What rests without being settled, and what moves it on
    Parked,
    Credentials,
    Tasks,
    Exceptions,
    Findings,
    /// Who read what of the daemon, how often, by day
    Reads,
}

/// One rotation as it is shown.
#[derive(Debug, Clone, Serialize)]
pub(super) struct Shown {
    pub reset: String,
    pub credential: String,
    pub state: String,
    pub reason: Option<String>,
    pub proof: Option<String>,
    pub confirm: Option<String>,
    pub versions: Versions,
    pub next_action: Option<String>,
}

impl Shown {
    /// Is anything left to do? What is settled may have places that wait for somebody.
    pub(super) fn is_open(&self) -> bool {
        self.state != "settled" || self.reason.is_some()
    }
}

/// Which versions it is about.
#[derive(Debug, Clone, Serialize)]
pub(super) struct Versions {
    pub old: Option<String>,
    pub new: Option<String>,
}

impl Get {
    pub(super) async fn run(self, session: &Session) -> Result<Exit, Failure> {
        let app = session.open(HostRules::default(), EngineSettings::default()).await?;
        self.show(session, &app).await
    }

    /// From whoever knows.
    pub(super) async fn show(self, session: &Session, known: &dyn Known) -> Result<Exit, Failure> {
        let id = self.reset.map(ResetId);
        match self.what {
            What::Resets => resets(session, known).await?,
            What::Rotations => {
                let shown = rotations(known, id.as_ref()).await?;
                if session.json() {
                    json(&shown)?;
                } else {
                    data(&rotation_table(&shown));
                    let mut open: Vec<_> = shown.iter().filter(|one| one.next_action.is_some()).collect();
                    open.sort_by_key(|one| !one.is_open());
                    let open = open.first().and_then(|one| one.next_action.as_deref());
                    next(open.unwrap_or("nothing: no rotation is open"));
                }
            }
            What::Parked => {
                let parked = known.parked(id.as_ref()).await?;
                if session.json() {
                    json(&parked)?;
                } else {
                    data(&crate::cli::parked::text(&parked));
                    let first = parked.first().and_then(|one| one.commands.first());
                    next(first.map_or("nothing: nothing is parked", String::as_str));
                }
            }
            What::Credentials => credentials(session, known).await?,
            What::Reads => {
                let days = known.days().await?;
                let rows = days.iter().flat_map(|one| {
                    let row = |(what, count): (&String, &u64)| {
                        [one.day.clone(), one.by.clone(), what.clone(), count.to_string()]
                    };
                    one.counts.iter().map(row)
                });
                if session.json() { json(&days)? } else { data(&table(["day", "by", "what", "times"], rows)) }
            }
            What::Tasks => {
                let (tasks, now) = (known.tasks(id.as_ref()).await?, session.context.clock.now());
                let rows = tasks.iter().map(|task| {
                    let state = if task.attested.is_some() { "attested".to_owned() } else { task.standing(now) };
                    [task.id.clone(), task.about.to_string(), task.what.clone(), state]
                });
                if session.json() { json(&tasks)? } else { data(&table(["task", "about", "what", "state"], rows)) }
            }
            What::Exceptions => {
                exceptions(session, known).await?;
            }
            What::Findings => {
                let findings = known.findings(id.as_ref()).await?;
                let rows = findings.iter().map(|finding| {
                    let decision = finding.decision.as_ref().map_or_else(
                        || "undecided".to_owned(),
                        |decision| format!("{:?} by {}", decision.word, decision.by).to_lowercase(),
                    );
                    [
                        finding.id.clone(),
                        finding.system.to_string(),
                        finding.version.0.clone(),
                        finding.label.clone(),
                        decision,
                    ]
                });
                if session.json() {
                    json(&findings)?;
                } else {
                    data(&table(["finding", "system", "version", "label", "decision"], rows));
                }
            }
        }
        Ok(Exit::Done)
    }
}

async fn resets(session: &Session, known: &dyn Known) -> Result<(), Failure> {
    let resets = known.resets().await?;
    if session.json() {
        return json(&resets);
    }
    if resets.is_empty() {
        say("No reset was ever asked for here.");
        next("remint plan --from REF, and then remint reset --from REF --reason …");
        return Ok(());
    }
    let etas = known.etas(&resets).await?;
    let rows = resets.iter().map(|reset| {
        let from = reset.plan.from.iter().map(ToString::to_string).collect::<Vec<_>>().join(", ");
        let due = reset.reproofs.first().map_or_else(String::new, ToString::to_string);
        let done = etas.get(&reset.id).map_or_else(String::new, forecast);
        [
            reset.id.to_string(),
            format!("{:?}", reset.status).to_lowercase(),
            from,
            reset.plan.members.len().to_string(),
            reset.reason.clone(),
            due,
            done,
        ]
    });
    data(&table(["reset", "status", "from", "credentials", "reason", "re-proof due", "done about"], rows));
    Ok(())
}

fn forecast(eta: &Eta) -> String {
    format!("{:.0}{}", eta.done, if eta.late() { ", after its deadline" } else { "" })
}

/// Every exception, and what resets left out on one word alone.
async fn exceptions(session: &Session, known: &dyn Known) -> Result<(), Failure> {
    let (now, (all, left)) = (session.context.clock.now(), known.exceptions().await?);
    if session.json() {
        return json(&all);
    }
    let row = |one: &Exception| {
        let state = match &one.granted {
            _ if one.ended.is_some() || now >= one.asked.until => "ended".to_owned(),
            Some(granted) => format!("by {}", granted.by),
            None => "waits for approval".to_owned(),
        };
        let Asked { id, credential, owner, reason, until } = &one.asked;
        [id.clone(), credential.to_string(), owner.clone(), state, until.to_string(), reason.clone()]
    };
    data(&table(["exception", "credential", "owner", "approved", "until", "why"], all.iter().map(row)));
    for (reset, credential) in left {
        say(&format!("Reset {reset} left {credential} out."));
    }
    Ok(())
}

async fn credentials(session: &Session, known: &dyn Known) -> Result<(), Failure> {
    let credentials = known.credentials().await?;
    if session.json() {
        return json(&credentials.values().collect::<Vec<_>>());
    }
    let rows = credentials.iter().map(|(reference, credential)| {
        [
            reference.to_string(),
            credential.identity.name.to_string(),
            format!("{} {}", credential.issued_by.system.name, credential.issued_by.target.name),
            credential.delivered_to.iter().map(|place| place.at.to_string()).collect::<Vec<_>>().join(", "),
            credential.consumed_by.iter().map(|workload| workload.name.to_string()).collect::<Vec<_>>().join(", "),
        ]
    });
    data(&table(["credential", "identity", "issued by", "lies at", "consumed by"], rows));
    Ok(())
}

/// The rotations of one reset, or of all.
pub(super) async fn rotations(known: &dyn Known, id: Option<&ResetId>) -> Result<Vec<Shown>, Failure> {
    let mut shown = Vec::new();
    for reset in known.resets().await? {
        if id.is_none_or(|id| *id == reset.id) {
            let records = known.rotations(&reset.id).await?;
            let waits = waits(&reset, &records);
            let mut these: Vec<Shown> = records.iter().map(show).collect();
            for (one, record) in these.iter_mut().zip(&records) {
                if let Some(waits) = waits.get(&record.index) {
                    one.reason = Some(waits.reason());
                    one.next_action = waits.commands(&reset).into_iter().next();
                }
            }
            let missing = known.not_contained(&reset).await?;
            for one in &mut these {
                if let Some(why) = &mut one.reason
                    && missing.iter().any(|credential| credential.to_string() == one.credential)
                {
                    *why = format!("not contained: {why}");
                }
            }
            match reset.status {
                ResetStatus::Requested => {
                    let answer = format!("remint approve {id}, or remint reject {id} --reason …", id = reset.id);
                    for one in &mut these {
                        one.next_action = Some(answer.clone());
                    }
                }
                ResetStatus::Paused => {
                    let answer = format!("paused: remint resume {id} --reason …", id = reset.id);
                    let waits = |one: &&mut Shown| one.state != "settled" && one.reason.is_none();
                    these.iter_mut().filter(waits).for_each(|one| one.next_action = Some(answer.clone()));
                }
                // It never runs, so nothing moves these on.
                ResetStatus::Rejected => these.iter_mut().for_each(|one| one.next_action = None),
                _ => {}
            }
            shown.extend(these);
        }
    }
    Ok(shown)
}

fn show(record: &RotationRecord) -> Shown {
    let facts = &record.rotation.facts;
    let version = |version: &Option<remint_core::machine::Version>| {
        version.as_ref().and_then(|version| version.id.as_ref()).map(|id| id.0.clone())
    };
    let word = |value: Option<serde_json::Value>| value.and_then(|value| value.as_str().map(str::to_owned));
    let (state, reason) = match &record.rotation.state {
        State::Settled { .. } => ("settled".to_owned(), None),
        State::Parked { reason, .. } => (record.rotation.state.to_string(), Some(reason.to_string())),
        state => (state.to_string(), None),
    };
    Shown {
        reset: record.reset.to_string(),
        credential: record.credential.to_string(),
        state,
        reason,
        proof: word(facts.proof.and_then(|proof| serde_json::to_value(proof).ok())),
        confirm: word(facts.confirmed.values().max().and_then(|grade| serde_json::to_value(grade).ok())),
        versions: Versions { old: version(&facts.old), new: version(&facts.new) },
        next_action: next_action(record),
    }
}

/// The command that moves it on.
fn next_action(record: &RotationRecord) -> Option<String> {
    let (reset, credential) = (&record.reset, &record.credential);
    match &record.rotation.state {
        State::Planned | State::Waiting { .. } | State::Doing { .. } | State::Unknown { .. } => {
            Some(format!("remint retry {reset} (goes on with what was under way)"))
        }
        State::Parked { reason: remint_core::machine::Reason::Foreign { .. }, .. } => Some(format!(
            "remint get findings --reset {reset}, then remint decide FINDING revoke|adopt|except --reason …"
        )),
        State::Parked { .. } | State::RolledBack => {
            Some(format!("mend what the reason names, then remint retry {reset} --only {credential}"))
        }
        State::Dark { .. } => Some("rebuild or cut off what reads it, then remint clean NODE --reason …".to_owned()),
        State::Settled { last: false } => Some(format!("remint reprove {reset}")),
        State::Queued { behind } => {
            Some(format!("remint get rotations --reset {behind}: it goes on when that one is done with it"))
        }
        State::Joined { with } => Some(format!("remint get rotations --reset {with}: its evidence counts here")),
        State::Settled { last: true } | State::Superseded { .. } => None,
    }
}

/// Rotations as a table; the open ones last, where a person looks first.
pub(super) fn rotation_table(shown: &[Shown]) -> String {
    let mut sorted: Vec<&Shown> = shown.iter().collect();
    sorted.sort_by_key(|one| (one.is_open(), &one.credential));
    let rows = sorted.into_iter().map(|one| {
        [
            one.credential.clone(),
            one.state.clone(),
            one.confirm.clone().unwrap_or_default(),
            one.proof.clone().unwrap_or_default(),
            one.reason.clone().unwrap_or_default(),
        ]
    });
    table(["credential", "state", "confirmed", "old value", "why"], rows)
}
