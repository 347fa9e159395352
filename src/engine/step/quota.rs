//! A full quota: nothing is minted, what fills it is named, and only what a person decided is taken away.

use std::collections::BTreeMap;
use std::sync::Arc;

use remint_contract::{Live, OperationId, ResetId, Verb};
use remint_core::machine::Reason;

use crate::engine::EngineError;
use crate::engine::effect::{Stop, Task};
use crate::engine::record::{DecisionWord, Reset, kind, read};
use crate::engine::run::Run;
use crate::engine::step::mint::park;
use crate::engine::step::sweep::{finding_id, findings, found, is_of, revoke};

/// Names every version that takes a slot beside the one in use: left over by an operation of ours, or not ours at all.
/// Each becomes a finding for a person to decide.
pub(super) async fn full(task: &mut Task, what: &str) -> Result<Stop, Stop> {
    let run = Arc::clone(&task.run);
    let document = run.document(&task.credential())?;
    let system = document.issued_by.system.clone();
    if !run.host.connector(&system)?.describe().verbs.contains(&Verb::Enumerate) {
        return Ok(park(&format!(
            "{what}; {system} does not list what fills it: make room there, then `remint retry`"
        )));
    }
    let live = run.enumerate(&system, run.manager(document).await?).await?;
    let target = document.issued_by.target.name.as_str();
    let others: Vec<Live> =
        live.of(target).iter().filter(|live| !is_of(task.facts.old.as_ref(), live)).cloned().collect();
    if others.is_empty() {
        return Ok(park(&format!(
            "{what}; {system} has no room for a second version: take another strategy, or more room"
        )));
    }
    let known = findings(task).await?;
    let (mut versions, mut held_by) = (Vec::new(), Vec::new());
    for other in &others {
        let id = finding_id(&run.id.0, &system.to_string(), &other.version);
        held_by.push(format!("{} ({}, finding {id})", other.version, whose(&run, other).await?));
        versions.push(other.version.clone());
        if !known.iter().any(|finding| finding.id == id) {
            found(task, &id, other).await?;
        }
    }
    Ok(Stop::Park(Reason::Full { versions, held_by }))
}

/// Takes away what a person decided to revoke of this target, and nothing else.
pub(super) async fn clear(task: &mut Task) -> Result<(), Stop> {
    let credential = task.credential();
    for finding in findings(task).await? {
        let revokes = finding.decision.as_ref().is_some_and(|decision| decision.word == DecisionWord::Revoke);
        let in_use = task.facts.old.as_ref().and_then(|old| old.id.as_ref()) == Some(&finding.version);
        if revokes && !in_use && finding.credential.as_ref() == Some(&credential) {
            revoke(task, &finding.version).await?;
        }
    }
    Ok(())
}

/// Whether an operation of ours made it, in words.
pub(super) async fn whose(run: &Run, live: &Live) -> Result<String, Stop> {
    let Some(operation) = &live.operation else { return Ok("not ours".to_owned()) };
    Ok(match ours(run).await?.get(operation) {
        Some(reset) => format!("left over by our own operation {operation} of reset {reset}"),
        None => format!("of an operation {operation} that is not ours"),
    })
}

/// Every mint that any reset of this state ever intended. Read only when something unknown was found.
async fn ours(run: &Run) -> Result<BTreeMap<OperationId, ResetId>, Stop> {
    let resets = run.store.list(kind::RESET, None).await.map_err(EngineError::from)?;
    let mut ours = BTreeMap::new();
    for record in resets {
        let reset: Reset<String> = read(record).map_err(EngineError::from)?;
        for stored in run.store.entries_of(&reset.id).await.map_err(EngineError::from)? {
            let Ok(entry) = remint_evidence_format::entry::parse(&stored.bytes) else { continue };
            let Ok(body) = entry.body() else { continue };
            let intended = entry.kind == "effect.intended";
            if let (true, Some(operation)) = (intended, body.get("operation").and_then(|value| value.as_str())) {
                ours.insert(OperationId(operation.to_owned()), reset.id.clone());
            }
        }
    }
    Ok(ours)
}
