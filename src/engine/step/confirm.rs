//! Reload and confirm: consumers are made to read the new value, and seen to use it.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use remint_contract::{ConfirmGrade, Expected, Location, OperationId, Ref, Seen, Verb, Workload as Host};
use remint_core::estate::{Credential, Workload};
use remint_core::machine::{Done, Version};
use remint_core::step::Step;
use serde_json::json;

use crate::engine::effect::{Effect, Stop, Task};
use crate::engine::host::Ask;
use crate::engine::record::{kind, put};
use crate::engine::remind::due;
use crate::engine::run::Run;
use crate::engine::step::mint::park;
use crate::engine::{EngineError, is_remint};
use crate::store::Rule;

/// Makes every consumer read again, once they can read the new value. Remint itself switches to it here.
pub(super) async fn reload(task: &mut Task) -> Result<Done, Stop> {
    let places = task.run.places(task.member());
    shown(&task.run, places.iter().map(|place| &place.at)).await?;
    let consumers = task.run.consumers(task.member());
    restart(task, consumers).await?;
    Ok(Done::Plain { step: Step::Reload })
}

/// Waits until readers of these places see what was just written there, by the word of their systems: whoever is made to
/// read too early keeps the old value.
pub async fn shown(run: &Run, places: impl Iterator<Item = &Location>) -> Result<(), Stop> {
    let mut longest = Duration::ZERO;
    for place in places {
        longest = longest.max(run.propagation(&place.system)?);
    }
    if !longest.is_zero() {
        run.context.clock.sleep(longest).await;
    }
    Ok(())
}

/// Makes these workloads read again.
pub async fn restart(task: &mut Task, consumers: Vec<Ref>) -> Result<(), Stop> {
    let run = Arc::clone(&task.run);
    for consumer in consumers {
        if is_remint(&consumer) {
            if let Some(new) = &task.facts.new
                && let Some(material) = run.material(new).await?
            {
                run.host.switch(&task.credential(), Arc::new(material));
            }
            continue;
        }
        let Some(workload) = run.estate.workloads.get(&consumer) else { continue };
        let Some(runs_on) = workload.runs_on.as_ref().filter(|_| workload.reload.how != "none") else { continue };
        let effect = Effect {
            system: &runs_on.system,
            verb: Verb::Reload,
            about: consumer.to_string(),
            version: None,
            actor: None,
            seal: None,
        };
        let mut host = as_host(workload, &runs_on.reference);
        host.settings["delivered"] = json!(paths(run.document(&task.credential())?, &runs_on.system));
        task.effect(effect, |connector, call| {
            let host = host.clone();
            async move { connector.reload(&call, &host).await }
        })
        .await?;
    }
    Ok(())
}

/// Where on a system a credential was put: a host that knows what a workload reads there may see that it did already.
fn paths<'a>(document: &'a Credential, system: &Ref) -> Vec<&'a str> {
    let delivered = document.delivered_to.iter().map(|place| &place.at);
    let here = delivered.chain(&document.trusted_by).filter(|at| at.system == *system);
    here.map(|at| at.path.as_str()).collect()
}

/// Polls every consumer until it is seen on the new version, or its time is over.
pub(super) async fn confirm(task: &mut Task) -> Result<Done, Stop> {
    // A consumer may have read the value as soon as it was promoted, so a little before this step began.
    let earlier = task.run.settings.escrow_keeps.min(Duration::from_mins(10));
    let new = task.facts.new.clone().ok_or_else(|| park("there is no new version to be seen"))?;
    seen_on(task, &new, earlier).await
}

/// Polls every consumer until it is seen on this version, or its time is over; uses that the issuer saw count from so
/// much earlier on.
pub(super) async fn seen_on(task: &mut Task, new: &Version, earlier: Duration) -> Result<Done, Stop> {
    let run = Arc::clone(&task.run);
    let member = task.member().clone();
    let document = run.document(&member.credential)?;
    let began = run.context.clock.now();
    let mut confirmed = BTreeMap::new();
    let mut waiting = run.consumers(&member);
    let mut poll = run.settings.poll;
    let within = |workload: &Ref| {
        run.estate.workloads.get(workload).map_or(member.confirm_within, |workload| workload.confirm.within)
    };
    loop {
        let mut still = Vec::new();
        for workload in waiting {
            match look(task, document, &workload, new, began - earlier).await? {
                Some(grade) => {
                    confirmed.insert(workload, grade);
                }
                None => still.push(workload),
            }
        }
        waiting = still;
        let waited = run.context.clock.now().duration_since(began).unsigned_abs();
        // Whoever still has time keeps the others company; when nobody has, the machine parks by name.
        if !waiting.iter().any(|workload| waited < within(workload)) {
            return Ok(Done::Confirmed { consumers: confirmed });
        }
        run.context.clock.sleep(poll).await;
        poll = (poll * 2).min(Duration::from_secs(2));
    }
}

/// One look at one consumer: the grade with which it is on the new version, or `None`.
async fn look(
    task: &mut Task,
    document: &Credential,
    consumer: &Ref,
    new: &Version,
    since: jiff::Timestamp,
) -> Result<Option<ConfirmGrade>, Stop> {
    if is_remint(consumer) {
        return own(task).await;
    }
    let Some(workload) = task.run.estate.workloads.get(consumer).cloned() else { return Ok(None) };
    match workload.confirm.how.0 {
        ConfirmGrade::IssuerSeen => seen_by_issuer(task, document, &workload, new, since).await,
        ConfirmGrade::Attested => attested(task, consumer).await,
        grade @ (ConfirmGrade::SelfReported | ConfirmGrade::Served | ConfirmGrade::RolledOut) => {
            observed(task, document, &workload, new, grade).await
        }
    }
}

/// Remint is on the new value when every system that it is used at accepts it.
pub(super) async fn own(task: &Task) -> Result<Option<ConfirmGrade>, Stop> {
    let run = &task.run;
    let credential = task.credential();
    let operation = OperationId("confirm".into());
    for (system, _) in run.estate.systems.iter().filter(|(_, document)| document.auth.as_ref() == Some(&credential)) {
        let actor = run.host.material(&credential).await?;
        let ask = Ask { system, verb: Verb::Check, operation: &operation, actor: Some(actor) };
        let answer = run.host.call(ask, |connector, call| async move { connector.check(&call, None).await }).await;
        if answer.is_err() {
            return Ok(None);
        }
    }
    Ok(Some(ConfirmGrade::IssuerSeen))
}

async fn seen_by_issuer(
    task: &Task,
    document: &Credential,
    workload: &Workload,
    new: &Version,
    since: jiff::Timestamp,
) -> Result<Option<ConfirmGrade>, Stop> {
    let Some(id) = &new.id else { return Ok(None) };
    let operation = OperationId("confirm".into());
    let actor = task.run.manager(document).await?;
    let ask = Ask { system: &document.issued_by.system, verb: Verb::LastUsed, operation: &operation, actor };
    let uses = task
        .run
        .host
        .call(ask, |connector, call| {
            let (target, id) = (document.issued_by.target.clone(), id.clone());
            async move { connector.last_used(&call, &target, &id, since).await }
        })
        .await;
    let Ok(uses) = uses else { return Ok(None) };
    let by_it = uses
        .iter()
        .any(|seen| workload.confirm.source.as_ref().is_none_or(|source| seen.source.contains(source.as_str())));
    Ok(by_it.then_some(ConfirmGrade::IssuerSeen))
}

async fn observed(
    task: &Task,
    document: &Credential,
    workload: &Workload,
    new: &Version,
    grade: ConfirmGrade,
) -> Result<Option<ConfirmGrade>, Stop> {
    let run = &task.run;
    let Some((system, reference)) = asked(document, workload, grade) else { return Ok(None) };
    let Some(material) = run.material(new).await? else { return Ok(None) };
    let old = match &task.facts.old {
        Some(old) => run.material(old).await?.map(|old| old.fingerprint()),
        None => None,
    };
    let path = document.delivered_to.iter().find(|place| place.at.system == *system).map(|place| place.at.path.clone());
    let expected = Expected { new: material.fingerprint(), old, path };
    let host = as_host(workload, reference);
    let operation = OperationId("confirm".into());
    let ask = Ask { system, verb: Verb::Observe, operation: &operation, actor: None };
    let answer = run
        .host
        .call(ask, |connector, call| {
            let (host, expected) = (host.clone(), expected.clone());
            async move { connector.observe(&call, &host, &expected).await }
        })
        .await;
    Ok(answer.ok().filter(|seen| seen.seen == Seen::New).map(|seen| seen.grade.max(grade)))
}

/// Who is asked, and for what: the host of the workload, or whoever issued what an address of it serves.
fn asked<'a>(document: &'a Credential, workload: &'a Workload, grade: ConfirmGrade) -> Option<(&'a Ref, &'a str)> {
    let address = workload.confirm.settings.get("address").and_then(serde_json::Value::as_str);
    if let Some(address) = address.filter(|_| grade == ConfirmGrade::Served) {
        return Some((&document.issued_by.system, address));
    }
    workload.runs_on.as_ref().map(|runs_on| (&runs_on.system, runs_on.reference.as_str()))
}

/// A person says so: a task, made once.
async fn attested(task: &mut Task, consumer: &Ref) -> Result<Option<ConfirmGrade>, Stop> {
    let run = Arc::clone(&task.run);
    let id = format!("{}-{}-{}", run.id, task.index, consumer.name);
    let key = crate::store::Key { kind: kind::TASK, id: id.clone() };
    let found = run.store.get(&key).await.map_err(EngineError::from)?;
    if let Some(record) = found {
        let known: crate::engine::record::TaskRecord =
            crate::engine::record::read(record).map_err(EngineError::from)?;
        return Ok(known.attested.map(|_| ConfirmGrade::Attested));
    }
    let now = run.context.clock.now();
    let record = crate::engine::record::TaskRecord {
        id: id.clone(),
        reset: run.id.clone(),
        about: consumer.clone(),
        what: format!("make {consumer} use the new value of {}, see that it does, and attest it", task.credential()),
        attested: None,
        due: due(&run.estate, run.deadline(), &task.credential(), now),
        reminded: None,
    };
    let body = json!({ "why": record.what, "task": id });
    task.pending.entries.push(crate::engine::record::entry("task.opened", now, Some(&run.id), Some(consumer), &body));
    task.pending.puts.push(put(kind::TASK, id, &run.id.0, &record, Rule::Upsert).map_err(EngineError::from)?);
    task.flush().await?;
    Ok(None)
}

/// A workload as its host's connector knows it.
pub(super) fn as_host(workload: &Workload, reference: &str) -> Host {
    Host {
        name: workload.meta.name.to_string(),
        reference: reference.to_owned(),
        settings: json!({
            "reload": {"how": workload.reload.how, "settings": workload.reload.settings},
            "confirm": {"how": workload.confirm.how, "settings": workload.confirm.settings, "source": workload.confirm.source},
        }),
    }
}
