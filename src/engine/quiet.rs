//! Quiet: after every known consumer was seen on the new value nobody uses the old one. Who does is an unknown consumer or
//! an intruder: alarmed at once with the issuer's word for the source.
//!
//! Flow: between confirm and revoke the issuer is asked for uses of the old version, until the hold and the quiet time are
//! over. Then an incident revokes, and a scheduled rotation parks where the old value was used, for its owner to decide.
//!
//! Guarantees: it always ends at its deadline; an issuer that does not answer keeps nothing alive.

use std::collections::BTreeSet;
use std::sync::Arc;
use std::time::Duration;

use jiff::Timestamp;
use remint_contract::{OperationId, Use, Verb, VersionId};
use remint_core::machine::{Done, Reason};
use remint_core::plan::AtDeadline;
use remint_core::step::Step;
use serde_json::json;

use crate::engine::Progress;
use crate::engine::effect::{Stop, Task};
use crate::engine::host::Ask;
use crate::engine::record::entry;

/// The longest between two looks.
const LONGEST: Duration = Duration::from_secs(30);

/// The hold, and the quiet time in it.
pub(super) async fn hold(task: &mut Task) -> Result<Done, Stop> {
    let run = Arc::clone(&task.run);
    let member = task.member().clone();
    let began = run.context.clock.now();
    let until = began + member.hold.max(member.quiet.map_or(Duration::ZERO, |quiet| quiet.lasts));
    let old = task.facts.old.as_ref().and_then(|old| old.id.clone());
    let system = &run.document(&member.credential)?.issued_by.system;
    let told = run.host.connector(system)?.describe().verbs.contains(&Verb::LastUsed);
    let (Some(quiet), Some(old), true) = (member.quiet, old, told) else {
        run.context.clock.sleep(until.duration_since(run.context.clock.now()).unsigned_abs()).await;
        return Ok(Done::Plain { step: Step::Hold });
    };
    let mut sources = BTreeSet::new();
    let mut poll = run.settings.poll;
    loop {
        let now = run.context.clock.now();
        for used in uses(task, &old, began).await {
            // The same second as the last confirmation may still be a consumer on its way.
            if used.at > began && sources.insert(used.source.clone()) {
                alarm(task, &old, &used, until).await?;
            }
        }
        if now >= until {
            break;
        }
        run.context.clock.sleep(poll.min(until.duration_since(now).unsigned_abs())).await;
        poll = (poll * 2).min(LONGEST);
    }
    if sources.is_empty() || quiet.at_deadline == AtDeadline::Revoke {
        return Ok(Done::Plain { step: Step::Hold });
    }
    Err(Stop::Park(Reason::InUse { sources, decider: decider(task) }))
}

/// What the issuer saw. What it does not say now it says at the next look, or never.
async fn uses(task: &Task, old: &VersionId, since: Timestamp) -> Vec<Use> {
    let run = &task.run;
    let Ok(document) = run.document(&task.credential()) else { return Vec::new() };
    let operation = OperationId("quiet".into());
    let Ok(actor) = run.manager(document).await else { return Vec::new() };
    let ask = Ask { system: &document.issued_by.system, verb: Verb::LastUsed, operation: &operation, actor };
    let target = &document.issued_by.target;
    let answer = run
        .host
        .call(ask, |connector, call| {
            let (target, old) = (target.clone(), old.clone());
            async move { connector.last_used(&call, &target, &old, since).await }
        })
        .await;
    answer.unwrap_or_else(|error| {
        tracing::warn!(credential = %task.credential(), error = %error, "the issuer does not say who uses the old value");
        Vec::new()
    })
}

/// An entry, durable at once, and a word to whoever watches.
async fn alarm(task: &mut Task, old: &VersionId, used: &Use, until: Timestamp) -> Result<(), Stop> {
    let run = Arc::clone(&task.run);
    let (credential, at) = (task.credential(), run.context.clock.now());
    tracing::error!(%credential, source = used.source, version = %old, "the old value is used after every known consumer moved");
    let body = json!({
        "source": used.source, "used-at": used.at.to_string(), "version": old.0, "deadline": until.to_string(),
        "decider": decider(task),
    });
    task.pending.entries.push(entry("old.used", at, Some(&run.id), Some(&credential), &body));
    task.flush().await?;
    run.tell(Progress::OldUsed { reset: run.id.clone(), credential, source: used.source.clone(), at });
    Ok(())
}

/// Who decides: the incident, or whom the credential's identity names.
fn decider(task: &Task) -> String {
    if task.member().quiet.is_some_and(|quiet| quiet.at_deadline == AtDeadline::Revoke) {
        return "the incident".to_owned();
    }
    let run = &task.run;
    let identity =
        run.document(&task.credential()).ok().and_then(|document| run.estate.identities.get(&document.identity));
    identity.and_then(|identity| identity.owners.business.clone()).unwrap_or_else(|| "its owner".to_owned())
}
