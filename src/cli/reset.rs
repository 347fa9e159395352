//! `reset`: ask, show the plan, get a yes, carry it out, and say how it ended.

use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use clap::Args;
use remint_contract::{HostRules, Ref, ResetId};
use remint_core::estate::{Estate, Tier};
use remint_core::gate::{Action, Resource, Scope as Subject};
use remint_core::plan::{Plan, render_plan};
use serde_json::json;

use crate::app::{App, load_paths};
use crate::cli::estate::asked;
use crate::cli::exit::of_reset;
use crate::cli::known::Known;
use crate::cli::look::Scope;
use crate::cli::output::{data, json, next, say, watched};
use crate::cli::records::rotations;
use crate::cli::{Exit, Failure, Session, caller};
use crate::engine::EngineSettings;
use crate::engine::record::{Reset as Record, ResetStatus, Urgency};
use crate::engine::reset::Request;
use crate::evidence::acts::{self, Act};
use crate::watch::Watch;

/// How many findings are named before the rest is a number.
const SHOWN: usize = 10;

#[derive(Debug, Args)]
pub(super) struct Reset {
    /// Files and folders of documents; the active estate when none is named
    pub(super) paths: Vec<PathBuf>,
    #[command(flatten)]
    pub(super) scope: Scope,
    /// Run exactly the plan in this file, as `remint plan --out` wrote it
    #[arg(long, value_name = "FILE", conflicts_with = "from")]
    pub(super) plan: Option<PathBuf>,
    /// Why: an incident's number
    #[arg(long)]
    pub(super) reason: String,
    /// The request's own id: the same id runs once, for ever
    #[arg(long, value_name = "ID")]
    pub(super) request_id: Option<String>,
    /// Since when the attacker may have what he has: what another reset minted after it counts for this one, too. Default: now
    #[arg(long, value_name = "TIME")]
    pub(super) exposed_at: Option<jiff::Timestamp>,
    /// Nothing is stolen: it queues behind every incident, and an incident takes over what it began
    #[arg(long, conflicts_with = "exposed_at")]
    pub(super) drill: bool,
    /// Approve the plan without asking
    #[arg(long)]
    pub(super) yes: bool,
    /// Privileged credentials are replaced too, on nobody's word but yours
    #[arg(long)]
    pub(super) privileged: bool,
    /// Start at once, without the approval of others: for whom the policies name, told to everybody, reviewed by another
    /// person within 72 hours
    #[arg(long, conflicts_with = "drill")]
    pub(super) break_glass: bool,
    #[command(flatten)]
    pub(super) carry: Carry,
}

/// How a run is carried on.
#[derive(Debug, Clone, Args)]
pub(super) struct Carry {
    /// Show what is going on
    #[arg(long)]
    pub(super) watch: bool,
    /// Stay until the re-proofs are done and the settlement is final
    #[arg(long)]
    pub(super) wait: bool,
}

impl Reset {
    pub(super) async fn run(self, session: &Session) -> Result<Exit, Failure> {
        let app = session.open(HostRules::default(), EngineSettings::default()).await?;
        let by = app.by(session.environment.user());
        let estate = self.estate(session, &app, &by).await?;
        let plan = match &self.plan {
            Some(file) => read_plan(file)?,
            None => match self.scope.plan(session, &estate, &app).await {
                Ok(plan) => plan,
                Err(failure) => {
                    refused(&app, &by, &failure.error.to_string()).await?;
                    return Err(failure);
                }
            },
        };
        if plan.estate != estate.digest() {
            say("The estate was changed since this plan was made; what drifted is parked, the rest runs.");
        }
        if plan.members.is_empty() && plan.tasks.is_empty() {
            say("Nothing reached holds a credential; there is nothing to do.");
            return Ok(Exit::Done);
        }
        if !session.json() {
            data(&render_plan(&plan, &estate));
        }
        let governed = app.gate.governed();
        let privileged = privileged(&plan, &estate);
        // Where persons sign, nobody's word alone is needed or enough.
        if !governed && !privileged.is_empty() && !self.privileged {
            let names = privileged.iter().map(ToString::to_string).collect::<Vec<_>>().join(", ");
            refused(&app, &by, &format!("privileged credentials, and not said so: {names}")).await?;
            return Err(Failure::new(
                Exit::Refused,
                format!(
                    "the plan replaces privileged credentials ({names}) and no governance watches over this state; nothing was asked for. To mean it, say --privileged"
                ),
            ));
        }
        let id = match self.request_id {
            Some(id) => ResetId(id),
            None => session.context.reset().map_err(|error| Failure::new(Exit::Failed, error))?,
        };
        let passed = if governed {
            let scope = Subject::of_plan(&id.0, &plan, &estate, None);
            let resource = Resource::Reset(scope);
            if !plan.exceptions.is_empty() {
                app.gate.pass(&caller(), &by, Action::Skip, &resource).await?;
            }
            let action = if self.break_glass { Action::BreakGlass } else { Action::Request };
            Some(app.gate.pass(&caller(), &by, action, &resource).await?)
        } else {
            None
        };
        let at = session.context.clock.now();
        let request = Request { id: id.clone(), plan, estate, reason: self.reason.clone(), by: by.clone(), at };
        let urgency = if self.drill { Urgency::Scheduled } else { Urgency::of(&request.plan) };
        let party = passed.and_then(|passed| passed.party().cloned());
        if self.break_glass {
            let party =
                party.ok_or_else(|| Failure::usage("this state has one operator: there is no glass to break"))?;
            app.engine.break_glass(request, self.exposed_at, party).await?;
            broken(&id);
            return carry_on(session, &app, &id, &self.carry).await;
        }
        app.engine.request_of(request, urgency, self.exposed_at, party).await?;
        if governed {
            say(&format!("Asked for: reset {id}. It starts when the persons that it takes have signed its plan."));
            next(&format!("remint approve {id}"));
            if session.json() {
                json(&json!({ "reset": id.0, "status": ResetStatus::Requested }))?;
            }
            return Ok(Exit::Refused);
        }
        if !self.yes && !asked("Carry this plan out?")? {
            next(&format!("remint approve {id}, or remint reject {id} --reason …"));
            if session.json() {
                json(&json!({ "reset": id.0, "status": ResetStatus::Requested }))?;
            }
            return Ok(Exit::Refused);
        }
        app.engine.approve(&id, &by).await?;
        carry_on(session, &app, &id, &self.carry).await
    }

    /// The estate to plan from: the active one, or a folder that equals it.
    async fn estate(&self, session: &Session, app: &App, by: &str) -> Result<Estate, Failure> {
        let active = app.engine.active_estate().await?.map(Arc::unwrap_or_clone);
        if self.paths.is_empty() {
            return active
                .ok_or_else(|| Failure::usage("no estate is active; name a folder, or: remint estate activate PATH"));
        }
        let loaded = load_paths(&self.paths, &*session.kinds)?;
        let staged = app.staged(loaded.estate.clone()).await?;
        match active {
            None => {
                if app.gate.governed() {
                    return Err(Failure::usage(
                        "no estate is active; somebody who may says: remint estate activate PATH",
                    ));
                }
                say("No estate was active; this one is now.");
                Ok(app.activate(loaded.estate, by).await?)
            }
            Some(active) if active.digest() == staged.digest() => Ok(active),
            Some(active) => {
                data(&active.diff(&staged).to_string());
                Err(Failure::new(
                    Exit::Refused,
                    "these documents are not the active estate (the difference is above); look at it, then: remint estate activate PATH",
                ))
            }
        }
    }
}

/// That a reset starts on one person's word.
pub(super) fn broken(id: &ResetId) {
    say(&format!("The glass is broken: reset {id} starts now, and everybody is told. It is to be reviewed."));
}

/// Records that a reset was asked for and not begun.
async fn refused(app: &App, by: &str, why: &str) -> Result<(), Failure> {
    let act = Act::Refused { what: "reset", by, why };
    Ok(acts::record(&*app.engine.store, &app.engine.context, act).await?)
}

/// Privileged credentials of a plan.
fn privileged(plan: &Plan, estate: &Estate) -> Vec<Ref> {
    let tier = |credential: &Ref| {
        let identity = &estate.credentials.get(credential)?.identity;
        Some(estate.identities.get(identity)?.tier)
    };
    plan.members
        .iter()
        .map(|member| &member.credential)
        .filter(|credential| tier(credential) == Some(Tier::Privileged))
        .cloned()
        .collect()
}

fn read_plan(file: &Path) -> Result<Plan, Failure> {
    let text =
        std::fs::read(file).map_err(|error| Failure::usage(format!("cannot read {}: {error}", file.display())))?;
    let plan: Plan = serde_json::from_slice(&text).map_err(|error| {
        Failure::usage(format!("{} is not a plan as `remint plan --out` writes it: {error}", file.display()))
    })?;
    if plan.recompute() == plan.digest {
        Ok(plan)
    } else {
        Err(Failure::new(
            Exit::Refused,
            format!("{} does not have the digest that it says: it was edited; plan again", file.display()),
        ))
    }
}

/// Carries a reset on, and says how it ended.
pub(super) async fn carry_on(session: &Session, app: &App, id: &ResetId, carry: &Carry) -> Result<Exit, Failure> {
    if app.gate.governed() {
        let resource = crate::govern::reset(&app.engine, id).await?;
        app.gate.pass(&caller(), "", Action::Execute, &resource).await?;
    }
    let watch = (carry.watch || watched()).then(|| Watch::start(&app.engine, id));
    let outcome = app.engine.run(id).await;
    if let Some(watch) = watch {
        watch.end().await;
    }
    let mut reset = outcome?;
    app.engine.carry_out(id).await?;
    if reset.status == ResetStatus::Resting && app.engine.findings(Some(id)).await?.iter().all(settled_finding) {
        reset = app.engine.run(id).await?;
    }
    app.engine.purge().await?;
    app.sequencer.flush().await.map_err(|error| Failure::new(Exit::Failed, error))?;
    if carry.wait {
        reset = wait(session, app, reset).await?;
    }
    let records = app.engine.rotations(id).await?;
    if session.json() {
        json(
            &json!({ "reset": id.0, "status": reset.status, "due": reset.reproofs, "rotations": rotations(app, Some(id)).await? }),
        )?;
    } else {
        summary(app, &reset).await?;
    }
    Ok(of_reset(reset.status, records.iter().map(|record| &record.rotation)))
}

fn settled_finding(finding: &crate::engine::record::Finding) -> bool {
    finding.decision.as_ref().is_some_and(|decision| decision.done)
}

/// Stays until every due re-proof was made.
async fn wait(session: &Session, app: &App, mut reset: Record) -> Result<Record, Failure> {
    while reset.status == ResetStatus::Provisional {
        let Some(due) = reset.reproofs.first().copied() else { break };
        let left = due.duration_since(session.context.clock.now());
        if left.is_positive() {
            say(&format!("Re-proof of the old values at {due}."));
            session.context.clock.sleep(left.unsigned_abs()).await;
        }
        let (next, outcome) = app.engine.reprove(&reset.id).await?;
        if !outcome.unclear.is_empty() {
            session.context.clock.sleep(Duration::from_secs(1)).await;
        }
        reset = next;
    }
    app.sequencer.flush().await.map_err(|error| Failure::new(Exit::Failed, error))?;
    Ok(reset)
}

/// What a person wants to know at the end.
pub(super) async fn summary(known: &dyn Known, reset: &Record) -> Result<(), Failure> {
    let id = &reset.id;
    let shown = rotations(known, Some(id)).await?;
    data(&crate::cli::records::rotation_table(&shown));
    let missing = known.not_contained(reset).await?;
    if !missing.is_empty() {
        let names = missing.iter().map(ToString::to_string).collect::<Vec<_>>().join(", ");
        say(&format!("NOT CONTAINED, the old value may still be in use: {names}"));
    }
    let findings = known.findings(Some(id)).await?;
    let undecided: Vec<_> = findings.iter().filter(|finding| finding.decision.is_none()).collect();
    for finding in undecided.iter().take(SHOWN) {
        say(&format!("Foreign at {}: {} ({}), finding {}", finding.system, finding.version, finding.label, finding.id));
    }
    if undecided.len() > SHOWN {
        say(&format!("… and {} more: remint get findings --reset {id}", undecided.len() - SHOWN));
    }
    match reset.status {
        ResetStatus::Complete => {
            say(&format!("Reset {id} is complete: every old value was refused, and refused again."));
            next(&format!("remint evidence export {id} --out {id}.remint-evidence"));
        }
        ResetStatus::Provisional => {
            say(&format!("Reset {id} is settled provisionally: every old value was refused."));
            let due = reset.reproofs.first().map_or_else(String::new, |due| format!(" at {due}"));
            if known.goes_on() {
                next(&format!("nothing: the daemon tries the old values again{due}"));
            } else {
                next(&format!("remint reprove {id}{due} (a daemon does it by itself)"));
            }
        }
        ResetStatus::Paused | ResetStatus::Aborted => {
            let word = if reset.status == ResetStatus::Paused { "paused" } else { "aborted" };
            let reason = reset.standstill.as_ref().map_or("", |standstill| standstill.reason.as_str());
            say(&format!("Reset {id} is {word}: {reason}"));
            next(&format!("remint get parked --reset {id}"));
        }
        _ => {
            let open = shown.iter().filter(|one| one.is_open()).count();
            say(&format!(
                "Reset {id} is not complete. Open rotations: {open}; undecided findings: {}.",
                undecided.len()
            ));
            if let Some(finding) = undecided.first() {
                next(&format!("remint decide {} revoke --reason …", finding.id));
            } else if let Some(first) = shown.iter().filter(|one| one.is_open()).find_map(|one| one.next_action.clone())
            {
                next(&first);
            } else {
                next(&format!("remint get rotations --reset {id}"));
            }
        }
    }
    Ok(())
}
