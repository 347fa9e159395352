//! What a person does: tasks with exact words. Remint looks, before and after, and proves. Where the issuer takes back
//! whatever value it is shown, Remint ends the old one itself.

use std::collections::BTreeSet;
use std::sync::Arc;

use remint_contract::{ResetId, Verb};
use remint_core::estate::Credential;
use remint_core::machine::{Reason, Version};
use remint_core::step::Step;
use serde_json::json;

use crate::engine::EngineError;
use crate::engine::effect::{Effect, Stop, Task};
use crate::engine::record::{TaskRecord, entry, kind, put, read};
use crate::engine::remind::due;
use crate::engine::step::kill::own_first;
use crate::engine::step::mint::park;
use crate::store::{Key, Rule};

/// A person's step of a member has one task, for ever; a value is asked for anew when so many earlier ones were given up.
#[must_use]
pub fn task_id(reset: &ResetId, index: usize, step: Step, given_up: usize) -> String {
    match (step, given_up) {
        (Step::Mint, 1..) => format!("{reset}-{index}-{step}-{}", given_up + 1),
        _ => format!("{reset}-{index}-{step}"),
    }
}

/// The version that a person made, read from where he put it.
pub(super) async fn made(task: &mut Task) -> Result<Version, Stop> {
    let run = Arc::clone(&task.run);
    let document = run.document(&task.credential())?;
    let places: Vec<String> = run.eventual(task.member()).iter().map(|place| place.at.to_string()).collect();
    let issued = &document.issued_by;
    let mut words =
        format!("make a new value of {} at {}, target {}", task.credential(), issued.system, issued.target.name);
    if !places.is_empty() {
        words.extend(["; write it to ", &places.join(" and ")]);
    }
    let dead = task.facts.ended.contains(&Step::Disable);
    words.push_str(if dead { "; the old one is dead already" } else { "; leave the old one alive" });
    words.push_str(&instructions(document));
    attested(task, Step::Mint, words).await?;
    let mut version = Version { id: None, username: None, sealed: None, principal: None, accepted_at: BTreeSet::new() };
    let Some(source) = document.source() else { return Ok(version) };
    let material = run.host.read(source).await?;
    for old in task.facts.old.iter().chain(&task.facts.also) {
        if run.material(old).await?.is_some_and(|old| old == material) {
            return Err(park(&format!(
                "the old value is still at {}; write the new one there, then `remint retry`",
                source.at
            )));
        }
    }
    version.id = run.which(document, &material).await?;
    let operation = run.context.operation().map_err(EngineError::from)?;
    version.sealed = Some(task.seal(&operation, &material.secret)?);
    version.username = material.username;
    Ok(version)
}

/// The old version is shown to the issuer that kills it, else a person says that it is dead. Whether it is, the proof shows.
pub(super) async fn killed(task: &mut Task, step: Step) -> Result<(), Stop> {
    let run = Arc::clone(&task.run);
    let document = run.document(&task.credential())?;
    let issued = &document.issued_by;
    if let Some(old) = task.facts.old.clone()
        && handed_in(task, &old).await?
    {
        return Ok(());
    }
    let which = task.facts.old.as_ref().and_then(|old| old.id.as_ref()).map_or_else(String::new, |id| format!(" {id}"));
    let words = format!(
        "kill the old version{which} of {} at {}, target {}, and end its sessions",
        task.credential(),
        issued.system,
        issued.target.name
    ) + &instructions(document);
    attested(task, step, words).await
}

/// Shows a version's value to an issuer that kills whatever it is shown. False where the issuer does not, or nobody has it.
pub(super) async fn handed_in(task: &mut Task, version: &Version) -> Result<bool, Stop> {
    let run = Arc::clone(&task.run);
    let document = run.document(&task.credential())?;
    let system = &document.issued_by.system;
    if !run.host.connector(system)?.describe().verbs.contains(&Verb::RevokeValue) {
        return Ok(false);
    }
    let Some(material) = run.material(version).await? else { return Ok(false) };
    let new = match &task.facts.new {
        Some(new) => run.material(new).await?,
        None => None,
    };
    if new.is_some_and(|new| new.secret == material.secret) {
        return Err(park("the old and the new value are the same; nothing was revoked"));
    }
    own_first(task).await?;
    let id = version.id.as_ref();
    let about = id.map_or_else(|| material.fingerprint(), |id| id.0.clone());
    let effect = Effect { system, verb: Verb::RevokeValue, about, version: id, actor: None, seal: None };
    let target = &document.issued_by.target;
    task.effect(effect, |connector, call| {
        let (target, material) = (target.clone(), material.clone());
        async move { connector.revoke_value(&call, &target, &material).await }
    })
    .await?;
    Ok(true)
}

/// What the document tells the person, word for word.
fn instructions(document: &Credential) -> String {
    document.rotation.instructions.as_ref().map_or_else(String::new, |text| format!(". Instructions: {}", text.trim()))
}

/// Goes on once a person said so; until then it waits, with a task that is made once.
async fn attested(task: &mut Task, step: Step, words: String) -> Result<(), Stop> {
    let run = Arc::clone(&task.run);
    let id = task_id(&run.id, task.index, step, task.facts.also.len());
    let found = run.store.get(&Key { kind: kind::TASK, id: id.clone() }).await.map_err(EngineError::from)?;
    if let Some(record) = found {
        let known: TaskRecord = read(record).map_err(EngineError::from)?;
        return if known.attested.is_some() { Ok(()) } else { Err(waits(&known)) };
    }
    let (now, about) = (run.context.clock.now(), task.credential());
    let due = due(&run.estate, run.deadline(), &about, now);
    let (attested, reminded) = (None, None);
    let record = TaskRecord { id: id.clone(), reset: run.id.clone(), about, what: words, attested, due, reminded };
    let body = json!({ "why": record.what, "task": id });
    task.pending.entries.push(entry("task.opened", now, Some(&run.id), Some(&record.about), &body));
    task.pending.puts.push(put(kind::TASK, id, &run.id.0, &record, Rule::Upsert).map_err(EngineError::from)?);
    Err(waits(&record))
}

fn waits(record: &TaskRecord) -> Stop {
    Stop::Park(Reason::Task { what: format!("{}; then `remint task attest {}`", record.what, record.id) })
}
