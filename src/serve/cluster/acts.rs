//! Acts that lie in the cluster: each is begun once, as the user who made it, and its status says what came of it.

use std::collections::BTreeMap;
use std::sync::atomic::Ordering;

use remint_cluster::act::{self, Age};
use remint_cluster::progress::{Parked, Progress};
use remint_contract::{Kind, Name, Ref, ResetId};
use remint_core::gate::{Action, Resource};
use serde_json::Value;

use crate::engine::EngineError;
use crate::engine::record::{Reset, ResetStatus};
use crate::govern::{About, GateError, Passed};
use crate::serve::cluster::{Cluster, redact, same, suspend};
use crate::serve::plan::{NoPlan, Scope};
use crate::serve::request::{Asking, NotAsked, Way, request};
use crate::serve::supervisor::Desk;

/// Phases that nothing changes any more.
const LAST: [&str; 6] = ["Complete", "Rejected", "Refused", "Expired", "Recorded", "Granted"];

pub(super) async fn look(cluster: &Cluster, desk: &Desk, by: &str) -> Result<(), EngineError> {
    for object in cluster.mirror.of("Reset") {
        // That it is over is believed of the state, not of the object.
        if told(&object) && (object["status"]["phase"] != "Complete" || cluster.knows_ended(&object)) {
            continue;
        }
        // Its status may not be written yet again, and of a large one it takes long to know how it stands.
        if cluster.said_lately(&object) {
            continue;
        }
        let mut progress = reset(cluster, desk, by, &object).await?;
        redact::redact(cluster, &object, &mut progress).await;
        let status = progress.status(&object, cluster.clock().now());
        // Once it is written, and not before.
        if progress.phase == "Complete" && same(&object["status"], &status) {
            cluster.ended(&object);
        }
        cluster.say(&object, &status).await;
    }
    for kind in ["Approval", "Exception"] {
        for object in cluster.mirror.of(kind) {
            if !told(&object) {
                let progress = match kind {
                    "Approval" => approval(cluster, desk, by, &object).await?,
                    _ => exception(cluster, by, &object).await?,
                };
                cluster.say(&object, &told_of(&progress, &object, cluster)).await;
            }
        }
    }
    Ok(())
}

/// True when the last word on it was said.
fn told(object: &Value) -> bool {
    let status = &object["status"];
    status["phase"].as_str().is_some_and(|phase| LAST.contains(&phase))
        && status["observedGeneration"] == object["metadata"]["generation"]
}

/// What an Approval or an Exception shows of it.
fn told_of(progress: &Progress, object: &Value, cluster: &Cluster) -> Value {
    let mut status = progress.status(object, cluster.clock().now());
    let id = status["reset"].take();
    if let Some(status) = status.as_object_mut() {
        status.retain(|key, _| ["observedGeneration", "conditions", "phase", "nextAction"].contains(&key.as_str()));
        if id.is_string() {
            status.insert("id".to_owned(), id);
        }
    }
    status
}

async fn reset(cluster: &Cluster, desk: &Desk, by: &str, object: &Value) -> Result<Progress, EngineError> {
    let id = match act::id(object) {
        Ok(id) => ResetId(id),
        Err(error) => return Ok(refused(&error)),
    };
    match cluster.app.engine.reset(&id).await {
        Ok(reset) => {
            let (reset, note) = suspend::look(cluster, desk, by, object, reset).await?;
            let mut progress = standing(cluster, &reset).await?;
            if let Some(note) = note {
                progress.message = format!("{}; {note}", progress.message);
            }
            return Ok(progress);
        }
        Err(EngineError::NoReset(_)) => {}
        Err(error) => return Err(error),
    }
    let asked = match new(cluster, object) {
        Ok(asked) => asked,
        Err(progress) => return Ok(progress),
    };
    if object["spec"]["suspend"] == true {
        return Ok(Progress::not_begun("Requested", "it is suspended", "take `suspend` out of it"));
    }
    let passed = match pass(cluster, by, &asked.user, &id, Action::Plan, Resource::Estate).await {
        Ok(passed) => passed,
        Err(GateError::Store(error)) => return Err(error.into()),
        Err(error) => return Ok(refused(&error)),
    };
    let asking = match asking(id.clone(), object, cluster, &asked) {
        Ok(asking) => asking,
        Err(error) => return Ok(refused(&error)),
    };
    match Box::pin(request(&cluster.app, by, &passed, asking)).await {
        Ok(reset) => {
            tracing::info!(reset = %id, user = asked.user, plan = %reset.plan.digest, "a reset was asked for by a custom resource");
            standing(cluster, &reset).await
        }
        // Another daemon was quicker; the next look sees it.
        Err(NotAsked::Engine(EngineError::Twice(_))) => standing(cluster, &cluster.app.engine.reset(&id).await?).await,
        Err(NotAsked::Engine(error @ EngineError::Store(_)) | NotAsked::NoPlan(NoPlan::Engine(error))) => Err(error),
        Err(NotAsked::Gate(GateError::Store(error))) => Err(error.into()),
        Err(NotAsked::NoEstate) => {
            let next = "remint estate activate, or wait for whoever may";
            Ok(Progress::not_begun("Requested", "no estate is active yet", next))
        }
        Err(error) => Ok(refused(&error)),
    }
}

/// Who asked for something that this state does not know yet, and still may.
#[allow(clippy::result_large_err, reason = "it is what is told of the object")]
fn new(cluster: &Cluster, object: &Value) -> Result<act::Requester, Progress> {
    if let Some(progress) = held(cluster, object) {
        return Err(progress);
    }
    match act::age(object, cluster.clock().now()) {
        Ok(Age::Fresh) => {}
        Ok(Age::Expired(age)) => {
            let message = format!("it was asked for {age} ago, which is more than its `notAfter`: nothing was done");
            return Err(Progress::not_begun(
                "Expired",
                message,
                "apply another object with the time of now, if it is still wanted",
            ));
        }
        Err(error) => return Err(refused(&error)),
    }
    act::requester(object, &cluster.key).map_err(|error| refused(&error))
}

/// What keeps every new act from being begun.
fn held(cluster: &Cluster, object: &Value) -> Option<Progress> {
    let why = if cluster.foreign.load(Ordering::SeqCst) {
        "the acts of this cluster belong to another state: nothing is begun by this one"
    } else if object["status"]["reset"].is_string() || object["status"]["id"].is_string() {
        "it was begun before, and this state does not know it: a store was lost, or this is another one"
    } else {
        return None;
    };
    let next = "bring the store back with remint store recover; to begin anew, take remint.dev/state from the Lease";
    let mut progress = Progress::not_begun("Held", why, next);
    // It stays told that it was begun.
    progress.reset = object["status"]["reset"].as_str().unwrap_or_default().to_owned();
    Some(progress)
}

pub(super) async fn pass(
    cluster: &Cluster,
    by: &str,
    user: &str,
    id: &ResetId,
    action: Action,
    resource: Resource,
) -> Result<Passed, GateError> {
    let gate = &cluster.app.gate;
    if !gate.governed() && cluster.at.carries(user) {
        let why = format!("{user} carries what others wrote, and has no authority; the operator asks himself");
        return Err(GateError::Refused(why));
    }
    // Where nobody governs, what is asked about does not matter, but who asks does.
    let action = if gate.governed() { action } else { Action::Execute };
    gate.pass(&cluster.caller(user, &id.0), by, action, &resource).await
}

fn asking(id: ResetId, object: &Value, cluster: &Cluster, asked: &act::Requester) -> Result<Asking, jiff::Error> {
    let spec = &object["spec"];
    let texts = |key: &str| -> Vec<String> {
        spec[key].as_array().into_iter().flatten().filter_map(serde_json::Value::as_str).map(str::to_owned).collect()
    };
    let time = |key: &str| spec[key].as_str().map(str::parse).transpose();
    let space = object["metadata"]["namespace"].as_str().unwrap_or_default();
    let here = |all: Vec<String>| all.into_iter().map(|one| within(space, one)).collect();
    let scope = Scope {
        from: here(texts("from")),
        contain: spec["contain"].as_str().map(str::to_owned),
        except: here(texts("except")),
        clean: here(texts("clean")),
        deadline: time("deadline")?,
        failure_budget: spec["failureBudget"].as_u64().and_then(|count| count.try_into().ok()).unwrap_or_default(),
        ..Scope::default()
    };
    Ok(Asking {
        id,
        scope,
        reason: spec["reason"].as_str().unwrap_or_default().to_owned(),
        drill: spec["drill"] == true,
        exposed_at: time("exposedAt")?,
        privileged: spec["privileged"] == true,
        at: cluster.clock().now(),
        way: if cluster.at.carries(&asked.user) { Way::Carried } else { Way::Asked },
    })
}

/// A reference as it is written in an object of a namespace: one that names none is of that.
fn within(space: &str, text: String) -> String {
    let Ok(space) = Name::new(space) else { return text };
    match Ref::parse_in(&space, &text) {
        Ok(reference) => reference.to_string(),
        Err(_) => match remint_contract::Location::parse_in(&space, &text) {
            Ok(place) => place.to_string(),
            Err(_) => text,
        },
    }
}

async fn approval(cluster: &Cluster, desk: &Desk, by: &str, object: &Value) -> Result<Progress, EngineError> {
    let asked = match new(cluster, object) {
        Ok(asked) => asked,
        Err(progress) => return Ok(progress),
    };
    let (engine, spec) = (&cluster.app.engine, &object["spec"]);
    let text = |key: &str| spec[key].as_str().unwrap_or_default();
    let space = object["metadata"]["namespace"].as_str().unwrap_or_default();
    let waits = |why: &str| Progress::not_begun("Requested", why, "it is looked at again by itself");
    let Some(about) = cluster.mirror.one("Reset", space, text("reset")) else {
        return Ok(waits("there is no such Reset in this namespace"));
    };
    let Some(id) = act::id(&about).ok().map(ResetId) else { return Ok(waits("the Reset cannot be read")) };
    let known = match engine.reset(&id).await {
        Ok(known) => known,
        Err(EngineError::NoReset(_)) => return Ok(waits("the Reset has no plan yet")),
        Err(error) => return Err(error),
    };
    let resource = crate::govern::reset(engine, &id).await?;
    let (plan, file) = known.waits();
    let brought = match spec["signature"].as_str() {
        Some(note) if spec["reject"] != true => {
            let about = About { what: &format!("reset {id}"), digest: plan, file: &file };
            let caller = cluster.caller(&asked.user, &id.0);
            let brought = cluster.app.gate.brought(&caller, note, &about, Action::Approve, &resource).await;
            brought.map(|(passed, signature)| (passed, Some(signature)))
        }
        _ => pass(cluster, by, &asked.user, &id, Action::Approve, resource).await.map(|passed| {
            let signature = passed.signature(cluster.clock().now());
            (passed, signature)
        }),
    };
    let (passed, signature) = match brought {
        Ok(passed) => passed,
        Err(GateError::Store(error)) => return Err(error.into()),
        Err(error) => return Ok(refused(&error)),
    };
    let digest = plan.to_string();
    if text("plan").trim_start_matches("sha256:") != digest.trim_start_matches("sha256:") {
        let why = format!("what was looked at is another plan; {plan} waits");
        return Ok(Progress::not_begun("Refused", why, "look at that plan, and approve it by another object"));
    }
    let done = if spec["reject"] == true {
        desk.act(&id, || engine.reject(&id, &passed.by, text("reason"))).await.map(|_| Vec::new())
    } else if let Some(signature) = signature {
        desk.act(&id, || engine.sign(&id, plan, signature.clone())).await.map(|signed| signed.lacks)
    } else {
        desk.act(&id, || engine.approve(&id, &passed.by)).await.map(|_| Vec::new())
    };
    match done {
        Ok(lacks) => {
            tracing::info!(reset = %id, user = asked.user, %plan, "a plan was approved by a custom resource");
            let mut progress = Progress::not_begun("Recorded", "it counts", &lacks.join("; "));
            progress.reset = id.0;
            Ok(progress)
        }
        Err(error @ EngineError::Store(_)) => Err(error),
        // Recorded before this daemon said so.
        Err(_) if known.approval.as_ref().is_some_and(|approval| approval.by == passed.by) => {
            let mut progress = Progress::not_begun("Recorded", "it counts", "");
            progress.reset = id.0;
            Ok(progress)
        }
        Err(error) => Ok(refused(&error)),
    }
}

async fn exception(cluster: &Cluster, by: &str, object: &Value) -> Result<Progress, EngineError> {
    let asked = match new(cluster, object) {
        Ok(asked) => asked,
        Err(progress) => return Ok(progress),
    };
    let (engine, spec) = (&cluster.app.engine, &object["spec"]);
    let text = |key: &str| spec[key].as_str().unwrap_or_default();
    let space = object["metadata"]["namespace"].as_str().unwrap_or_default();
    let credential = Name::new(space).and_then(|space| Ref::within(Kind::Credential, &space, text("credential")));
    let credential = match credential {
        Ok(credential) if credential.namespace.as_str() == space => credential,
        Ok(_) => {
            return Ok(Progress::not_begun("Refused", "the credential is in another namespace", "ask for it there"));
        }
        Err(error) => return Ok(refused(&error)),
    };
    let Ok(until) = text("until").parse() else {
        return Ok(Progress::not_begun("Refused", "`until` is no time", "write it as 2026-12-01T00:00:00Z"));
    };
    let id = match act::id(object) {
        Ok(id) => ResetId(id),
        Err(error) => return Ok(refused(&error)),
    };
    // Asked for by this very object before its status could say so.
    let reason = format!("{} ({id})", text("reason"));
    let known = engine.exceptions().await?.into_iter().find(|known| known.asked.reason == reason);
    let exception = match known {
        Some(known) => known,
        None => {
            let resource = crate::govern::credential(engine, &credential.to_string()).await?;
            let passed = match pass(cluster, by, &asked.user, &id, Action::Skip, resource).await {
                Ok(passed) => passed,
                Err(GateError::Store(error)) => return Err(error.into()),
                Err(error) => return Ok(refused(&error)),
            };
            let party = passed.party().cloned();
            match engine.except(&credential, text("owner"), until, &reason, &passed.by, party).await {
                Ok(exception) => exception,
                Err(error @ EngineError::Store(_)) => return Err(error),
                Err(error) => return Ok(refused(&error)),
            }
        }
    };
    let (phase, next) = match exception.granted {
        Some(_) => ("Granted", ""),
        None => ("Recorded", "whoever may approves it: remint approve"),
    };
    let mut progress = Progress::not_begun(phase, format!("until {}", exception.asked.until), next);
    progress.reset = exception.asked.id;
    Ok(progress)
}

/// How a reset stands, in the few words that fit.
async fn standing(cluster: &Cluster, reset: &Reset) -> Result<Progress, EngineError> {
    let engine = &cluster.app.engine;
    let (mut states, mut proofs): (BTreeMap<String, usize>, BTreeMap<String, usize>) = Default::default();
    let rotations = engine.rotations(&reset.id).await?;
    for record in &rotations {
        *states.entry(record.rotation.state.name().to_owned()).or_default() += 1;
        if let Some(grade) = record.rotation.facts.proof.and_then(|grade| serde_json::to_value(grade).ok()) {
            *proofs.entry(grade.as_str().unwrap_or_default().to_owned()).or_default() += 1;
        }
    }
    let parked = engine.parked(Some(&reset.id)).await?.into_iter().map(|one| Parked {
        credential: one.credential.to_string(),
        why: one.reason,
        next: one.commands.into_iter().next().unwrap_or_default(),
    });
    let parked: Vec<Parked> = parked.collect();
    let next = match reset.status {
        ResetStatus::Requested => format!("look at plan {} and apply an Approval of it", reset.waits().0),
        ResetStatus::Resting => parked.first().map(|one| one.next.clone()).unwrap_or_default(),
        ResetStatus::Paused if suspend::stands(reset) => "take `suspend` out of it".to_owned(),
        ResetStatus::Paused => format!("remint resume {}", reset.id),
        ResetStatus::Aborted => format!("remint retry {}", reset.id),
        _ => String::new(),
    };
    let link = if cluster.at.link.is_empty() {
        String::new()
    } else {
        format!("{}/v1/resets/{}", cluster.at.link.trim_end_matches('/'), reset.id)
    };
    Ok(Progress {
        phase: format!("{:?}", reset.status),
        reset: reset.id.0.clone(),
        plan: Some(reset.waits().0.to_string()),
        credentials: rotations.len(),
        states,
        proofs,
        parked,
        elsewhere: 0,
        message: format!("asked for by {}", reset.requested_by),
        next,
        link,
    })
}

fn refused(error: &(dyn std::error::Error + 'static)) -> Progress {
    Progress::not_begun("Refused", crate::causes::causes(error), "correct it, and apply another object")
}
