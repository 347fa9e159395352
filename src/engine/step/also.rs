//! Versions of ours that die with the old one: half-minted ones of a rotation that was taken over, or that turned to
//! contain. Each is killed, what came from it is ended, and its value is tried, as for the old one.

use std::sync::Arc;

use remint_contract::{Material, OperationId, Verb};
use remint_core::machine::{Reason, Version};
use remint_core::step::Course;

use crate::engine::effect::{Effect, Stop, Task};
use crate::engine::host::Ask;
use crate::engine::step::prove::{Tried, try_old};
use crate::engine::step::{manual, rewrap};

/// Kills them for good: nobody goes back to a value that was never in use. An encryption key may have been in use, so it
/// is only stopped, when nothing is left under it.
pub(super) async fn kill(task: &mut Task, verb: Verb) -> Result<(), Stop> {
    let run = Arc::clone(&task.run);
    let document = run.document(&task.credential())?;
    let system = &document.issued_by.system;
    let verbs = run.host.connector(system)?.describe().verbs;
    if !verbs.contains(&verb) {
        if verb == Verb::Revoke {
            for version in task.facts.also.clone() {
                manual::handed_in(task, &version).await?;
            }
        }
        return Ok(());
    }
    let rewraps = task.member().course() == Course::Rewrap;
    let verb = if rewraps { Verb::Disable } else { verb };
    let target = &document.issued_by.target;
    let new = task.facts.new.as_ref().and_then(|new| new.id.clone());
    let ids: Vec<_> = task.facts.also.iter().filter_map(|version| version.id.clone()).collect();
    for id in ids.iter().filter(|id| new.as_ref() != Some(*id)) {
        if rewraps {
            rewrap::nothing_left(task, id).await?;
        }
        let actor = run.manager(document).await?;
        let effect = Effect { system, verb, about: id.0.clone(), version: Some(id), actor, seal: None };
        task.effect(effect, |connector, call| {
            let (target, id) = (target.clone(), id.clone());
            async move {
                match verb {
                    Verb::EndDerived => connector.end_derived(&call, &target, &id).await.map(drop),
                    Verb::Disable => connector.disable(&call, &target, &id).await,
                    _ => connector.revoke(&call, &target, &id).await,
                }
            }
        })
        .await?;
    }
    Ok(())
}

/// A value that is accepted after its version was killed may be another version by now: a call that set it was made twice,
/// and the second one landed after the kill. That version dies the next time.
pub(super) async fn came_back(task: &mut Task, version: &Version, value: &Material) -> Result<(), Stop> {
    let run = Arc::clone(&task.run);
    let document = run.document(&task.credential())?;
    let operation = OperationId("prove".into());
    let ask = Ask { system: &document.issued_by.system, verb: Verb::Verify, operation: &operation, actor: None };
    let told = run
        .host
        .call(ask, |connector, call| {
            let (target, value) = (document.issued_by.target.clone(), value.clone());
            async move { connector.verify(&call, &target, &value).await }
        })
        .await;
    // Where nobody says which version it is, a person has to look.
    let Ok(verified) = told else { return Ok(()) };
    let facts = &mut task.facts;
    let known = facts.old.iter().chain(&facts.new).chain(&facts.also);
    if !known.into_iter().any(|known| known.id.as_ref() == Some(&verified.version)) {
        facts.also.push(Version { id: Some(verified.version), ..version.clone() });
    }
    Ok(())
}

/// None of them is accepted any more.
pub(super) async fn prove(task: &mut Task) -> Result<(), Stop> {
    let run = Arc::clone(&task.run);
    let document = run.document(&task.credential())?;
    let system = &document.issued_by.system;
    if !run.host.connector(system)?.describe().verbs.contains(&Verb::Probe) {
        return Ok(());
    }
    let deadline = run.context.clock.now() + run.settings.settle(run.propagation(system)?);
    for version in task.facts.also.clone() {
        let Some(value) = run.material(&version).await? else { continue };
        loop {
            let reason = match try_old(&run, task.member(), &value).await {
                Tried::Refused => break,
                Tried::Accepted(endpoints) => Reason::Alive { endpoints },
                Tried::Unclear(why) => Reason::Unclear { what: format!("trying a half-minted value: {why}") },
            };
            if run.context.clock.now() >= deadline {
                came_back(task, &version, &value).await?;
                return Err(Stop::Park(reason));
            }
            run.context.clock.sleep(run.settings.poll).await;
        }
    }
    Ok(())
}
