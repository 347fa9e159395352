//! Rewrap: what is encrypted under the old version moves to the new one, until nothing is left under the old.

use std::sync::Arc;

use remint_contract::{OperationId, Target, Verb, VersionId};
use remint_core::machine::Done;
use remint_core::plan::Member;
use serde_json::json;

use crate::engine::effect::{Effect, Stop, Task};
use crate::engine::host::Ask;
use crate::engine::record::entry;
use crate::engine::run::Run;
use crate::engine::step::mint::park;

/// Counts, moves a part, and counts again. As long as the count falls it goes on; when it stands still for as long as
/// anything may take here, the machine parks with what is left.
pub(super) async fn rewrap(task: &mut Task) -> Result<Done, Stop> {
    let run = Arc::clone(&task.run);
    let member = task.member().clone();
    let document = run.document(&member.credential)?;
    let system = &document.issued_by.system;
    let id = old(task)?;
    let patience = run.settings.settle(run.propagation(system)?);
    let began = left(&run, &member, &id).await?;
    let (mut least, mut deadline) = (began, run.context.clock.now() + patience);
    let mut now_left = began;
    while now_left > 0 && run.context.clock.now() < deadline {
        let effect = Effect {
            system,
            verb: Verb::EndDerived,
            about: id.0.clone(),
            version: Some(&id),
            actor: run.manager(document).await?,
            seal: None,
        };
        let target: &Target = &document.issued_by.target;
        task.effect(effect, |connector, call| {
            let (target, id) = (target.clone(), id.clone());
            async move { connector.end_derived(&call, &target, &id).await }
        })
        .await?;
        now_left = left(&run, &member, &id).await?;
        if now_left < least {
            (least, deadline) = (now_left, run.context.clock.now() + patience);
        } else if now_left > 0 {
            run.context.clock.sleep(run.settings.poll).await;
        }
    }
    let body = json!({ "version": id.0, "counted": began, "left": now_left });
    let now = run.context.clock.now();
    task.pending.entries.push(entry("data.rewrapped", now, Some(&run.id), Some(&member.credential), &body));
    Ok(Done::Rewrapped { left: now_left })
}

/// The old version, which has to be known: nothing else may be touched.
pub(super) fn old(task: &Task) -> Result<VersionId, Stop> {
    let id = task.facts.old.as_ref().and_then(|old| old.id.clone());
    id.ok_or_else(|| park("which version the data are encrypted under is not known; nothing was moved or stopped"))
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
