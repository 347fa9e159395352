//! Rewrap: what is encrypted under the old version moves to the new one, until nothing is left under the old.
//!
//! A version that was activated and given up, because its rotation was taken over or revised, is an old one too: the data
//! of that time lie under it.

use std::sync::Arc;

use remint_contract::{OperationId, Target, Verb, VersionId};
use remint_core::machine::{Done, Reason};
use remint_core::plan::Member;
use serde_json::json;

use crate::engine::effect::{Effect, Stop, Task};
use crate::engine::host::Ask;
use crate::engine::record::entry;
use crate::engine::run::Run;
use crate::engine::step::mint::park;

/// Moves what lies under each version that is retired; what is left under any of them parks the rotation.
pub(super) async fn rewrap(task: &mut Task) -> Result<Done, Stop> {
    let mut all_left = 0;
    for id in retired(task)? {
        all_left += moved(task, &id).await?;
    }
    Ok(Done::Rewrapped { left: all_left })
}

/// Counts, moves a part, and counts again; what is left at the end. As long as the count falls it goes on; when it stands
/// still for as long as anything may take here, that is the end.
pub(super) async fn moved(task: &mut Task, id: &VersionId) -> Result<u64, Stop> {
    let run = Arc::clone(&task.run);
    let member = task.member().clone();
    let document = run.document(&member.credential)?;
    let system = &document.issued_by.system;
    let patience = run.settings.settle(run.propagation(system)?);
    let began = left(&run, &member, id).await?;
    let (mut least, mut deadline) = (began, run.context.clock.now() + patience);
    let mut now_left = began;
    while now_left > 0 && run.context.clock.now() < deadline {
        let effect = Effect {
            system,
            verb: Verb::EndDerived,
            about: id.0.clone(),
            version: Some(id),
            actor: run.manager(document).await?,
            seal: None,
        };
        let target: &Target = &document.issued_by.target;
        task.effect(effect, |connector, call| {
            let (target, id) = (target.clone(), id.clone());
            async move { connector.end_derived(&call, &target, &id).await }
        })
        .await?;
        now_left = left(&run, &member, id).await?;
        if now_left < least {
            (least, deadline) = (now_left, run.context.clock.now() + patience);
        } else if now_left > 0 {
            run.context.clock.sleep(run.settings.poll).await;
        }
    }
    let body = json!({ "version": id.0, "counted": began, "left": now_left });
    let now = run.context.clock.now();
    task.pending.entries.push(entry("data.rewrapped", now, Some(&run.id), Some(&member.credential), &body));
    Ok(now_left)
}

/// Every version that is stopped when nothing is left under it: the old one, and those of ours that were given up.
pub(super) fn retired(task: &Task) -> Result<Vec<VersionId>, Stop> {
    let mut ids = vec![old(task)?];
    let new = task.facts.new.as_ref().and_then(|new| new.id.as_ref());
    for id in task.facts.also.iter().filter_map(|version| version.id.as_ref()) {
        if new != Some(id) && !ids.contains(id) {
            ids.push(id.clone());
        }
    }
    Ok(ids)
}

/// The old version, which has to be known: nothing else may be touched.
pub(super) fn old(task: &Task) -> Result<VersionId, Stop> {
    let id = task.facts.old.as_ref().and_then(|old| old.id.clone());
    id.ok_or_else(|| park("which version the data are encrypted under is not known; nothing was moved or stopped"))
}

/// Parks while anything is encrypted under a version: stopping it would take that from its owner.
pub(super) async fn nothing_left(task: &Task, version: &VersionId) -> Result<(), Stop> {
    match left(&task.run, task.member(), version).await? {
        0 => Ok(()),
        left => Err(Stop::Park(Reason::Encrypted { left })),
    }
}

/// How many things are encrypted under a version.
///
/// # Errors
/// The issuer cannot be asked.
pub async fn left(run: &Run, member: &Member, version: &VersionId) -> Result<u64, Stop> {
    let document = run.document(&member.credential)?;
    let operation = OperationId("list-derived".into());
    let actor = run.manager(document).await?;
    let ask = Ask { system: &document.issued_by.system, verb: Verb::ListDerived, operation: &operation, actor };
    let listed = run
        .host
        .call(ask, |connector, call| {
            let (target, version) = (document.issued_by.target.clone(), version.clone());
            async move { connector.list_derived(&call, &target, &version).await }
        })
        .await?;
    Ok(u64::try_from(listed.len()).unwrap_or(u64::MAX))
}
