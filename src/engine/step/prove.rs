//! Prove: the old value is tried and must be refused, at every endpoint, twice, a propagation time apart.

use std::sync::Arc;

use remint_contract::{Intent, Material, OperationId, ProofGrade, Recovered, Strategy, Verb, Verdict, VersionId};
use remint_core::machine::{Done, Reason, Version};
use remint_core::plan::Member;
use remint_core::step::{Course, Step};
use serde_json::json;

use crate::engine::effect::{Stop, Task};
use crate::engine::host::Ask;
use crate::engine::observe;
use crate::engine::record::entry;
use crate::engine::run::Run;
use crate::engine::step::mint::park;
use crate::engine::step::{also, trust};

/// What one round of tries of an old value gave.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Tried {
    /// Denied at every endpoint.
    Refused,
    /// Accepted at these.
    Accepted(Vec<String>),
    /// Neither everywhere: proves nothing.
    Unclear(String),
}

/// Grades the death of the old version.
///
/// `refused` takes: the same probe accepted the old value at every endpoint before, denies it at every endpoint now,
/// twice, a propagation time apart, and accepts the new one. Short of a part of the control it is
/// `refused-uncontrolled`; without a value or a probe it is `absent`, by the issuer's own list.
pub(super) async fn prove(task: &mut Task) -> Result<Done, Stop> {
    let run = Arc::clone(&task.run);
    let member = task.member().clone();
    let document = run.document(&member.credential)?;
    let system = &document.issued_by.system;
    let verbs = run.host.connector(system)?.describe().verbs;
    let old = task.facts.old.clone();
    if let Some(old) = old.as_ref().filter(|_| member.course() == Course::Trust) {
        trust::forgotten(task, old).await?;
    }
    let value = match &old {
        Some(old) => run.material(old).await?,
        None => None,
    };
    let (Some(old), Some(value), true) = (old.clone(), value, verbs.contains(&Verb::Probe)) else {
        return absent(task, old).await;
    };
    let endpoints = member.endpoints.len().max(1);
    let propagation = run.propagation(system)?;
    let deadline = run.context.clock.now() + run.settings.settle(propagation);
    for round in 0..2 {
        if round > 0 {
            run.context.clock.sleep(propagation).await;
        }
        loop {
            match try_old(&run, &member, &value).await {
                Tried::Refused => break,
                Tried::Accepted(endpoints) if run.context.clock.now() >= deadline => {
                    also::came_back(task, &old, &value).await?;
                    return Err(Stop::Park(Reason::Alive { endpoints }));
                }
                Tried::Unclear(why) if run.context.clock.now() >= deadline => {
                    return Err(Stop::Park(Reason::Unclear { what: format!("trying the old value: {why}") }));
                }
                Tried::Accepted(_) | Tried::Unclear(_) => run.context.clock.sleep(run.settings.poll).await,
            }
        }
    }
    observe::refused(task, old.id.as_ref(), &value, deadline).await?;
    let control = match &task.facts.new {
        Some(new) => accepts_new(&run, &member, new, deadline).await?,
        None => Control::None,
    };
    if let Some(new) = task.facts.new.clone().filter(|_| control == Control::Accepted)
        && let Some(value) = run.material(&new).await?
    {
        observe::accepted(task, new.id.as_ref(), &value).await?;
    }
    if control == Control::Denied && task.facts.ended.contains(&Step::Promote) {
        // Never settled: whoever has the new value has nothing. What nobody has yet is looked at before it is delivered.
        return Err(park("the old value is refused, and so is the new one; look at the system, then `remint retry`"));
    }
    let before = (0..endpoints).all(|endpoint| old.accepted_at.contains(&endpoint));
    let connector = run.host.connector(system)?;
    let turned_away = (0..endpoints).any(|at| connector.denial(member.strategy, at) == ProofGrade::Refused);
    let grade = match member.strategy {
        _ if turned_away && control == Control::Accepted && before => ProofGrade::Refused,
        // What was asked is a list, and no server; or a server without the whole control beside a list.
        Strategy::Reissue => ProofGrade::Published,
        _ => ProofGrade::RefusedUncontrolled,
    };
    note(task, grade, &member.endpoints);
    Ok(Done::Proved { grade })
}

/// Tries an old value once at every endpoint.
pub async fn try_old(run: &Run, member: &Member, value: &Material) -> Tried {
    let mut accepted = Vec::new();
    for endpoint in 0..member.endpoints.len().max(1) {
        let name = || member.endpoints.get(endpoint).cloned().unwrap_or_else(|| "the issuer".to_owned());
        match probe(run, member, value, endpoint).await {
            Ok(Verdict::Denied) => {}
            Ok(Verdict::Accepted) => accepted.push(name()),
            Ok(Verdict::Unclear(why)) | Err(why) => return Tried::Unclear(format!("{}: {why}", name())),
        }
    }
    if accepted.is_empty() { Tried::Refused } else { Tried::Accepted(accepted) }
}

pub(super) async fn probe(run: &Run, member: &Member, value: &Material, endpoint: usize) -> Result<Verdict, String> {
    let document = run.document(&member.credential).map_err(|error| error.to_string())?;
    let operation = OperationId("prove".into());
    let ask = Ask { system: &document.issued_by.system, verb: Verb::Probe, operation: &operation, actor: None };
    run.host
        .call(ask, |connector, call| {
            let (target, value) = (document.issued_by.target.clone(), value.clone());
            async move { connector.probe(&call, &target, &value, endpoint).await }
        })
        .await
        .map_err(|error| error.to_string())
}

/// The control after: the new value is accepted by the same probe at every endpoint, so a refusal means the value.
async fn accepts_new(run: &Run, member: &Member, new: &Version, deadline: jiff::Timestamp) -> Result<Control, Stop> {
    let Some(value) = run.material(new).await? else { return Ok(Control::None) };
    for endpoint in 0..member.endpoints.len().max(1) {
        loop {
            let verdict = probe(run, member, &value, endpoint).await;
            if verdict == Ok(Verdict::Accepted) {
                break;
            }
            if run.context.clock.now() >= deadline {
                return Ok(if verdict == Ok(Verdict::Denied) { Control::Denied } else { Control::None });
            }
            run.context.clock.sleep(run.settings.poll).await;
        }
    }
    Ok(Control::Accepted)
}

/// What trying the new value said.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Control {
    /// It was accepted everywhere.
    Accepted,
    /// It was denied as an authentication.
    Denied,
    /// There is no value, or no clear word on it.
    None,
}

/// Without a value to try, the issuer's own list has to do.
async fn absent(task: &mut Task, old: Option<Version>) -> Result<Done, Stop> {
    let run = Arc::clone(&task.run);
    let document = run.document(&task.credential())?;
    let system = &document.issued_by.system;
    if task.member().course() == Course::Rewrap {
        return stopped(task, old).await;
    }
    if !run.host.connector(system)?.describe().verbs.contains(&Verb::Enumerate) {
        return Err(park("the old value is not known and the issuer lists nothing: a person has to attest its death"));
    }
    let live = run.enumerate(system, run.manager(document).await?).await?;
    if let Some(id) = old.as_ref().and_then(|old| old.id.as_ref())
        && live.lists(id)
    {
        return Err(Stop::Park(Reason::Alive { endpoints: vec![system.to_string()] }));
    }
    note(task, ProofGrade::Absent, &[]);
    Ok(Done::Proved { grade: ProofGrade::Absent })
}

/// What is stopped is listed still; the issuer is asked whether it is.
async fn stopped(task: &mut Task, old: Option<Version>) -> Result<Done, Stop> {
    let system = task.run.document(&task.credential())?.issued_by.system.clone();
    if !is_stopped(task, old.and_then(|old| old.id)).await? {
        return Err(Stop::Park(Reason::Alive { endpoints: vec![system.to_string()] }));
    }
    note(task, ProofGrade::Absent, &[]);
    Ok(Done::Proved { grade: ProofGrade::Absent })
}

/// Does the issuer say that this version is stopped?
///
/// # Errors
/// The issuer cannot be asked.
pub async fn is_stopped(task: &Task, version: Option<VersionId>) -> Result<bool, Stop> {
    let run = Arc::clone(&task.run);
    let document = run.document(&task.credential())?;
    let system = &document.issued_by.system;
    let operation = OperationId("prove".into());
    let question = Intent {
        operation: operation.clone(),
        verb: Verb::Disable,
        target: document.issued_by.target.clone(),
        version,
        mint: None,
    };
    let actor = run.manager(document).await?;
    let ask = Ask { system, verb: Verb::Recover, operation: &operation, actor };
    let answer = run
        .host
        .call(ask, |connector, call| {
            let question = question.clone();
            async move { connector.recover(&call, &question).await }
        })
        .await?;
    Ok(matches!(answer, Recovered::Done(_)))
}

fn note(task: &mut Task, grade: ProofGrade, endpoints: &[String]) {
    let body = json!({
        "grade": grade,
        "endpoints": endpoints,
        "version": task.facts.old.as_ref().and_then(|old| old.id.as_ref()).map(|id| id.0.clone()),
    });
    let now = task.run.context.clock.now();
    task.pending.entries.push(entry("old.refused", now, Some(&task.run.id), Some(&task.credential()), &body));
}
