//! Sweep: what lives at the issuer is compared with what should; what nobody knows waits for a decision.

use std::sync::Arc;

use remint_contract::{Live, Verb, VersionId};
use remint_core::machine::{Done, Reason, Version};
use remint_core::plan::Member;
use remint_core::step::{Course, Path, Step};
use serde_json::json;

use crate::engine::EngineError;
use crate::engine::effect::{Effect, Stop, Task};
use crate::engine::record::{DecisionWord, Finding, entry, kind, put, read};
use crate::engine::step::deliver::residue;
use crate::engine::step::prove::is_stopped;
use crate::engine::step::{quota, replaced, rewrap};
use crate::store::Rule;

/// Lists the issuer; a version of this target that is neither the new one nor decided upon is a finding.
///
/// A foreign version is never deleted by itself. What a person decided to revoke is revoked here, and must be gone from
/// the next list.
pub(super) async fn sweep(task: &mut Task, step: Step) -> Result<Done, Stop> {
    let run = Arc::clone(&task.run);
    let member = task.member().clone();
    let document = run.document(&member.credential)?;
    let system = document.issued_by.system.clone();
    let connector = run.host.connector(&system)?;
    let (verbs, replaces) = (connector.describe().verbs, connector.replaces());
    let rewrapped = member.course() == Course::Rewrap;
    let (mut undecided, mut stopped) = (Vec::new(), Vec::new());
    if verbs.contains(&Verb::Enumerate) {
        for _ in 0..3 {
            undecided.clear();
            let live = run.enumerate(&system, run.manager(document).await?).await?;
            let old = task.facts.old.as_ref().and_then(|old| old.id.as_ref());
            if !disabled(&member, step) && old.is_some_and(|old| live.lists(old)) {
                return Err(Stop::Park(Reason::Alive { endpoints: vec![format!("{system}, by its own list")] }));
            }
            let mine = live.of(&document.issued_by.target.name);
            let mut strangers: Vec<Live> = mine.iter().filter(|live| stranger(task, live)).cloned().collect();
            if rewrapped {
                // What an earlier reset stopped stays listed, and nothing can be done with it.
                (stopped, strangers) = apart(task, strangers).await?;
            }
            let findings = if strangers.is_empty() { Vec::new() } else { findings(task).await? };
            let mut killed = false;
            for stranger in &strangers {
                let id = finding_id(&run.id.0, &system.to_string(), &stranger.version);
                match findings.iter().find(|finding| finding.id == id) {
                    Some(Finding { decision: Some(decision), .. }) if replaces && replaced::is_left(decision) => {
                        replaced::in_place_of_new(task)?;
                    }
                    Some(Finding { decision: Some(decision), .. }) if decision.word == DecisionWord::Revoke => {
                        revoke(task, &stranger.version).await?;
                        killed = true;
                    }
                    Some(Finding { decision: Some(_), .. }) => {}
                    Some(_) => undecided.push(stranger.version.clone()),
                    None => {
                        found(task, &id, stranger).await?;
                        undecided.push(stranger.version.clone());
                    }
                }
            }
            if !killed {
                break;
            }
        }
    }
    let whole = rewrapped || !matches!((step, member.path), (Step::Sweep, Path::Cut));
    if undecided.is_empty() && task.facts.new.is_some() && whole {
        let left = if rewrapped {
            let old = task.facts.old.as_ref().and_then(|old| old.id.clone());
            old.iter().chain(&stopped).map(|version| kept(task, version)).collect()
        } else {
            residue(task).await?
        };
        if !left.is_empty() {
            let now = run.context.clock.now();
            let body = json!({ "residue": left });
            task.pending.entries.push(entry("residue.left", now, Some(&run.id), Some(&member.credential), &body));
        }
    }
    Ok(if member.dark && step == Step::Sweep && member.path == Path::Contain && !run.clean(&member) {
        Done::Contained { undecided, now: run.context.clock.now() }
    } else {
        Done::Swept { undecided }
    })
}

/// An encryption key that nothing needs any more is still there: whether it goes is another decision.
fn kept(task: &Task, version: &VersionId) -> String {
    let (reset, credential) = (&task.run.id, task.credential());
    format!(
        "old version {version} disabled, destruction waits for an approval: remint destroy {reset} {credential} --version {version}"
    )
}

/// The stopped ones, and the others.
async fn apart(task: &Task, strangers: Vec<Live>) -> Result<(Vec<VersionId>, Vec<Live>), Stop> {
    let (mut stopped, mut others) = (Vec::new(), Vec::new());
    for stranger in strangers {
        if is_stopped(task, Some(stranger.version.clone())).await? {
            stopped.push(stranger.version);
        } else {
            others.push(stranger);
        }
    }
    Ok((stopped, others))
}

/// True while the old version is only stopped, and still listed.
fn disabled(member: &Member, step: Step) -> bool {
    step == Step::Sweep && (member.path != Path::Rolling || member.course() == Course::Rewrap)
}

/// Neither what this reset made nor what it replaces.
fn stranger(task: &Task, live: &Live) -> bool {
    !is_of(task.facts.new.as_ref(), live) && !is_of(task.facts.old.as_ref(), live)
}

pub(super) fn is_of(version: Option<&Version>, live: &Live) -> bool {
    version.and_then(|version| version.id.as_ref()) == Some(&live.version)
}

pub(super) async fn findings(task: &Task) -> Result<Vec<Finding>, Stop> {
    let records = task.run.store.list(kind::FINDING, Some(&task.run.id.0)).await.map_err(EngineError::from)?;
    records.into_iter().map(|record| read(record).map_err(|error| Stop::Broken(error.into()))).collect()
}

pub(super) async fn found(task: &mut Task, id: &str, live: &Live) -> Result<(), Stop> {
    let run = Arc::clone(&task.run);
    let system = run.document(&task.credential())?.issued_by.system.clone();
    let whose = quota::whose(&run, live).await?;
    let label = format!("{} ({whose})", live.label);
    let finding = Finding {
        id: id.to_owned(),
        reset: run.id.clone(),
        system,
        credential: Some(task.credential()),
        version: live.version.clone(),
        label,
        found_at: run.context.clock.now(),
        decision: None,
    };
    let why = format!("alive at the issuer of {}, and no part of this reset: {whose}", task.credential());
    let body =
        json!({ "why": why, "finding": id, "label": finding.label, "credential": task.credential().to_string() });
    let now = run.context.clock.now();
    task.pending.entries.push(entry("foreign.found", now, Some(&run.id), Some(&finding.subject()), &body));
    task.pending.puts.push(put(kind::FINDING, id, &run.id.0, &finding, Rule::Upsert).map_err(EngineError::from)?);
    Ok(())
}

/// Lists the issuer once more, long after the sweep; what is new there is a finding.
///
/// A mint that was given up, because nobody found a trace of it, may land after the sweep where a target knows no
/// deadlines. It carries an operation of ours, and the finding says so.
pub(crate) async fn arrivals(task: &mut Task) -> Result<usize, Stop> {
    let run = Arc::clone(&task.run);
    let member = task.member().clone();
    let document = run.document(&member.credential)?;
    let system = document.issued_by.system.clone();
    // What a rewrap stopped stays listed, and leases come and go with the workloads that fetch them.
    let lists = run.host.connector(&system)?.describe().verbs.contains(&Verb::Enumerate);
    if !lists || matches!(member.course(), Course::Rewrap | Course::Lease) {
        return Ok(0);
    }
    let live = run.enumerate(&system, run.manager(document).await?).await?;
    let strangers: Vec<Live> =
        live.of(&document.issued_by.target.name).iter().filter(|live| stranger(task, live)).cloned().collect();
    let known = if strangers.is_empty() { Vec::new() } else { findings(task).await? };
    let mut count = 0;
    for stranger in strangers {
        let id = finding_id(&run.id.0, &system.to_string(), &stranger.version);
        if !known.iter().any(|finding| finding.id == id) {
            found(task, &id, &stranger).await?;
            count += 1;
        }
    }
    Ok(count)
}

/// Kills a foreign version, and ends what came from it: whoever is logged in with it would stay otherwise. A foreign
/// encryption key is stopped only, when what lies under it was moved to the version in use: somebody needs it.
pub(super) async fn revoke(task: &mut Task, version: &VersionId) -> Result<(), Stop> {
    let run = Arc::clone(&task.run);
    let document = run.document(&task.credential())?;
    let system = &document.issued_by.system;
    let target = &document.issued_by.target;
    let actor = run.manager(document).await?;
    let effect = |verb| Effect {
        system,
        verb,
        about: version.0.clone(),
        version: Some(version),
        actor: actor.clone(),
        seal: None,
    };
    if task.member().course() == Course::Rewrap {
        rewrap::moved(task, version).await?;
        rewrap::nothing_left(task, version).await?;
        return task
            .effect(effect(Verb::Disable), |connector, call| {
                let (target, version) = (target.clone(), version.clone());
                async move { connector.disable(&call, &target, &version).await }
            })
            .await;
    }
    let alive = replaced::lives(task, version).await?;
    task.effect(effect(Verb::Revoke), |connector, call| {
        let (target, version) = (target.clone(), version.clone());
        async move { connector.revoke(&call, &target, &version).await }
    })
    .await?;
    if alive {
        replaced::note(task, version).await?;
    }
    if run.host.connector(system)?.describe().verbs.contains(&Verb::EndDerived) {
        task.effect(effect(Verb::EndDerived), |connector, call| {
            let (target, version) = (target.clone(), version.clone());
            async move { connector.end_derived(&call, &target, &version).await }
        })
        .await?;
    }
    Ok(())
}

/// The same stranger has the same id in the same reset, however often it is seen.
#[must_use]
pub fn finding_id(reset: &str, system: &str, version: &VersionId) -> String {
    let digest = remint_core::digest::Digest::of(format!("{reset}\n{system}\n{version}").as_bytes());
    format!("f-{}", digest.short(8))
}
