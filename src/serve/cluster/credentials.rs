//! What is said of Credentials: how their rotation stands, when the old value dies, and two Events for people who watch.
//!
//! Guarantees: of one rotation at most three words in the status of its Credential (the old one waits to die; somebody has
//! to look; it is settled) and two Events (rotated, revoked; parked in the place of one of them).

use std::collections::BTreeMap;
use std::sync::PoisonError;
use std::sync::atomic::Ordering;

use axum::http::Method;
use futures::{StreamExt as _, TryStreamExt as _};
use remint_cluster::act::{self, Age};
use remint_cluster::admission::{self, REQUESTED_AT};
use remint_cluster::condition::{Condition, whole, written};
use remint_cluster::document;
use remint_contract::{Ref, ResetId};
use remint_core::digest::Digest;
use remint_core::estate::Estate;
use remint_core::gate::{Action, Resource};
use remint_core::machine::State;
use remint_core::step::Step;
use serde_json::{Value, json};

use crate::engine::EngineError;
use crate::engine::record::{Reset, ResetStatus, RotationRecord};
use crate::govern::GateError;
use crate::serve::cluster::acts::pass;
use crate::serve::cluster::tell::Says;
use crate::serve::cluster::{AT_ONCE, Cluster, causes, same};
use crate::serve::plan::Scope;
use crate::serve::request::{Asking, NotAsked, Way, request};
use crate::serve::supervisor::Desk;

/// How far the word on a rotation is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
enum Word {
    Nothing,
    Retiring,
    Parked,
    Settled,
}

impl Word {
    const ALL: [Self; 4] = [Self::Nothing, Self::Retiring, Self::Parked, Self::Settled];

    const fn text(self) -> &'static str {
        match self {
            Self::Nothing => "",
            Self::Retiring => "Retiring",
            Self::Parked => "Parked",
            Self::Settled => "Settled",
        }
    }

    fn of(record: &RotationRecord) -> Self {
        match &record.rotation.state {
            State::Settled { .. } => Self::Settled,
            State::Parked { .. } | State::Dark { .. } => Self::Parked,
            _ if record.rotation.facts.ended.contains(&Step::Confirm) => Self::Retiring,
            _ => Self::Nothing,
        }
    }

    fn said(status: &Value, reset: &ResetId) -> Self {
        let same = status["reset"].as_str() == Some(&reset.0);
        let text = status["state"].as_str().filter(|_| same).unwrap_or_default();
        Self::ALL.into_iter().find(|word| word.text() == text).unwrap_or(Self::Nothing)
    }
}

/// Everything that something could be said from: while it is the same, ten thousand objects need no look.
#[derive(Debug, PartialEq)]
pub(super) struct Rest {
    changes: u64,
    foreign: bool,
    estate: Option<Digest>,
    resets: Vec<(ResetId, ResetStatus)>,
    says: Says,
}

pub(super) async fn look(cluster: &Cluster, desk: &Desk, by: &str, says: Says) -> Result<(), EngineError> {
    let engine = &cluster.app.engine;
    // Taken before anything is read: what changes meanwhile shows at the next look.
    let (changes, foreign) = (cluster.mirror.changes(), cluster.foreign.load(Ordering::SeqCst));
    let (estate, resets) = (engine.active_digest().await?, engine.resets().await?);
    let names = resets.iter().map(|reset| (reset.id.clone(), reset.status)).collect();
    let rest = Rest { changes, foreign, estate, resets: names, says };
    if cluster.rest.lock().unwrap_or_else(PoisonError::into_inner).as_ref() == Some(&rest) {
        return Ok(());
    }
    let moves = resets.iter().any(|reset| reset.status == ResetStatus::Running);
    let objects: BTreeMap<Ref, Value> = cluster
        .mirror
        .of("Credential")
        .into_iter()
        .filter_map(|object| Some((document::reference(&object)?, object)))
        .collect();
    if objects.is_empty() {
        return Ok(());
    }
    let estate = engine.active_estate().await?.unwrap_or_default();
    let mut newest: BTreeMap<Ref, (Reset, RotationRecord)> = BTreeMap::new();
    let mut ended = Vec::new();
    for reset in resets {
        let over = matches!(reset.status, ResetStatus::Complete | ResetStatus::Rejected);
        if cluster.over.lock().unwrap_or_else(PoisonError::into_inner).contains(&reset.id.0) {
            continue;
        }
        if over {
            ended.push(reset.id.0.clone());
        }
        for record in engine.rotations(&reset.id).await? {
            let known = newest.get(&record.credential);
            if objects.contains_key(&record.credential)
                && known.is_none_or(|(known, _)| known.requested_at < reset.requested_at)
            {
                newest.insert(record.credential.clone(), (reset.clone(), record));
            }
        }
    }
    // One after another they would wait for the API server most of the time.
    let each = futures::stream::iter(objects).map(|(name, object)| {
        let (estate, newest, wrong) = (&estate, newest.get(&name), rest.says.wrong(&object));
        async move {
            let held = hold(cluster, &object, estate.credentials.contains_key(&name)).await;
            let called = called(cluster, desk, by, &name, &object).await?;
            Ok::<_, EngineError>(one(cluster, estate, &name, &object, newest, called, wrong).await && held)
        }
    });
    let all = each.buffer_unordered(AT_ONCE).try_fold(true, async |all, told| Ok(all && told)).await?;
    // Of what is over everything is told: it is not read again.
    if all {
        cluster.over.lock().unwrap_or_else(PoisonError::into_inner).extend(ended);
    }
    *cluster.rest.lock().unwrap_or_else(PoisonError::into_inner) = (all && !moves).then_some(rest);
    Ok(())
}

/// One Credential; false when something is still to be said of it.
async fn one(
    cluster: &Cluster,
    estate: &Estate,
    name: &Ref,
    object: &Value,
    newest: Option<&(Reset, RotationRecord)>,
    called: Option<String>,
    wrong: Option<String>,
) -> bool {
    // What was said a moment ago may not have been seen yet.
    let before = &cluster.said_last(object);
    let mut status = json!({});
    for key in ["state", "reset", "lastRotated", "oldDiesAt", "proof", "nextAction", "handledRequest"] {
        if !before[key].is_null() {
            status[key] = before[key].clone();
        }
    }
    let mut whole_word = true;
    if let Some((reset, record)) = newest {
        let (word, said) = (Word::of(record), Word::said(before, &reset.id));
        if word > said {
            if !tell(cluster, object, reset, (said, word)).await {
                return false;
            }
            say(&mut status, estate, name, reset, record, word);
            whole_word = false;
        }
    }
    if let Some(called) = called {
        status["handledRequest"] = json!(called);
    }
    let generation = &object["metadata"]["generation"];
    let leaving = object["metadata"]["deletionTimestamp"].is_string();
    let ready = match status["state"].as_str() {
        _ if leaving && holds(object) => Condition::new(
            "Ready",
            false,
            "Held",
            format!(
                "it is being deleted, and a value of it lives at its issuer: let it go with remint k8s release {name}"
            ),
        ),
        Some("Parked") => Condition::new("Ready", false, "Parked", status["nextAction"].as_str().unwrap_or_default()),
        Some("Retiring") => {
            Condition::new("Ready", true, "Rotated", "the new value is in use; the old one still lives")
        }
        _ => Condition::new("Ready", true, "Settled", ""),
    };
    let known = estate.credentials.contains_key(name);
    let valid = match wrong {
        Some(why) => Condition::new("Valid", false, "Invalid", why),
        None if known => Condition::new("Valid", true, "Valid", ""),
        None => Condition::new("Valid", false, "NotActive", "the active estate does not have it yet"),
    };
    let now = cluster.clock().now();
    status["observedGeneration"] = generation.clone();
    status["conditions"] = written(&[ready, valid], &before["conditions"], generation, now);
    cluster.say(object, &status).await;
    whole_word && same(before, &status)
}

fn say(status: &mut Value, estate: &Estate, name: &Ref, reset: &Reset, record: &RotationRecord, word: Word) {
    let facts = &record.rotation.facts;
    status["state"] = json!(word.text());
    status["reset"] = json!(reset.id.0);
    if let Some(status) = status.as_object_mut() {
        status.remove("nextAction");
        status.remove("oldDiesAt");
    }
    match word {
        Word::Nothing => {}
        Word::Retiring => {
            let hold = estate.credentials.get(name).and_then(|credential| credential.rotation.hold).unwrap_or_default();
            status["oldDiesAt"] = json!(whole(record.since + hold));
        }
        Word::Parked => status["nextAction"] = json!(format!("remint get rotations {}", reset.id)),
        Word::Settled => {
            status["lastRotated"] = json!(whole(record.since));
            if let Some(proof) = facts.proof {
                status["proof"] = json!(proof);
            }
        }
    }
}

/// The Events of a word; one that was there before is not made again. False when one is still to be made: the word is said
/// after it, for once it stands in the status nobody asks for its Events any more.
async fn tell(cluster: &Cluster, object: &Value, reset: &Reset, (said, word): (Word, Word)) -> bool {
    let meta = &object["metadata"];
    let text = |key: &str| meta[key].as_str().unwrap_or_default();
    let hash = Digest::of(format!("{} {}", reset.id, text("uid")).as_bytes()).to_string();
    let hash: String = hash.trim_start_matches("sha256:").chars().take(12).collect();
    let named = |place: u8| format!("{}.{hash}.{place}", text("name"));
    // Its Event may be made while its word, too soon after the last one, is not said yet.
    let rotated = cluster.posted.lock().unwrap_or_else(PoisonError::into_inner).get(&named(1)) == Some(&ROTATED);
    let events: &[(u8, &str, &'static str, &str)] = match (said, word) {
        (Word::Nothing, Word::Retiring) => &[(1, "Normal", ROTATED, "a new value is in use everywhere")],
        (Word::Nothing, Word::Settled) => &[
            (1, "Normal", ROTATED, "a new value is in use everywhere"),
            (2, "Normal", "Revoked", "the old value was revoked and is refused"),
        ],
        (Word::Nothing, Word::Parked) if !rotated => &[(1, "Warning", "Parked", "its rotation waits for somebody")],
        (_, Word::Parked) => &[(2, "Warning", "Parked", "its rotation waits for somebody")],
        (_, Word::Settled) => &[(2, "Normal", "Revoked", "the old value was revoked and is refused")],
        _ => &[],
    };
    let mut all = true;
    for (place, kind, reason, message) in events {
        let event_name = named(*place);
        {
            let mut posted = cluster.posted.lock().unwrap_or_else(PoisonError::into_inner);
            if posted.contains_key(&event_name) {
                continue;
            }
            posted.insert(event_name.clone(), reason);
        }
        let at = whole(cluster.clock().now());
        let event = json!({
            "apiVersion": "v1", "kind": "Event",
            // One place in two: whatever was told there before stays.
            "metadata": { "name": event_name, "namespace": text("namespace") },
            "involvedObject": {
                "apiVersion": object["apiVersion"], "kind": "Credential", "name": text("name"),
                "namespace": text("namespace"), "uid": text("uid"), "resourceVersion": text("resourceVersion"),
            },
            "type": kind, "reason": reason, "message": format!("{message} (reset {})", reset.id),
            "firstTimestamp": at, "lastTimestamp": at, "count": 1,
            "source": { "component": "remint" }, "reportingComponent": "remint", "reportingInstance": cluster.holder,
        });
        let path = format!("/api/v1/namespaces/{}/events", text("namespace"));
        match cluster.way.ask(Method::POST, &path, "application/json", &event).await {
            Ok(_) => {}
            Err(error) if error.status() == Some(409) => {}
            // The namespace is on its way out, or nobody lets us: its word is not kept back for that.
            Err(error) if matches!(error.status(), Some(403 | 404 | 422)) => {
                tracing::warn!(error = causes(&error), "an Event was refused");
            }
            Err(error) => {
                tracing::warn!(error = causes(&error), "an Event was not written; it is tried again");
                cluster.posted.lock().unwrap_or_else(PoisonError::into_inner).remove(&event_name);
                all = false;
            }
        }
    }
    all
}

/// Holds an object while its credential lives, and lets it go at somebody's word. True when there was nothing to do.
async fn hold(cluster: &Cluster, object: &Value, lives: bool) -> bool {
    let held = holds(object);
    let leaving = object["metadata"]["deletionTimestamp"].is_string();
    let freed = admission::annotation(object, admission::RELEASE) == Some("true");
    let wanted = lives && !freed && (held || !leaving);
    if wanted == held {
        return true;
    }
    let mut next = without(object);
    if wanted {
        next.push(FINALIZER.to_owned());
    }
    match cluster.way.finalizers(object, &next).await {
        Ok(()) => {}
        // It was changed meanwhile: the next look sees how.
        Err(error) if matches!(error.status(), Some(404 | 409 | 422)) => {}
        Err(error) => tracing::warn!(error = causes(&error), "an object could not be held or let go"),
    }
    false
}

/// A word on the Credential that it shall be replaced: asked for once. What was done of it, when that is new.
async fn called(
    cluster: &Cluster,
    desk: &Desk,
    by: &str,
    name: &Ref,
    object: &Value,
) -> Result<Option<String>, EngineError> {
    let engine = &cluster.app.engine;
    let Some(at) = admission::annotation(object, REQUESTED_AT) else { return Ok(None) };
    let done = || Ok(Some(at.to_owned()));
    if object["status"]["handledRequest"] == at || cluster.foreign.load(Ordering::SeqCst) {
        return Ok(None);
    }
    let call = json!({ "kind": "Credential", "metadata": object["metadata"], "spec": { "requestedAt": at } });
    let fresh = act::age(&call, cluster.clock().now()) == Ok(Age::Fresh);
    let (true, Ok(id), Ok(asked)) = (fresh, act::id(&call), admission::caller(object, &cluster.key)) else {
        tracing::warn!(credential = %name, at, "a word on a credential is too old, no time, or nobody's: nothing is begun");
        return done();
    };
    let id = ResetId(id);
    if engine.reset(&id).await.is_ok() {
        return done();
    }
    let passed = match pass(cluster, by, &asked.user, &id, Action::Plan, Resource::Estate).await {
        Ok(passed) => passed,
        Err(GateError::Store(error)) => return Err(error.into()),
        Err(error) => {
            tracing::warn!(credential = %name, error = causes(&error), "whoever asked may not");
            return done();
        }
    };
    let asking = Asking {
        id: id.clone(),
        scope: Scope { from: vec![name.to_string()], overlaps: true, ..Scope::default() },
        reason: format!("asked for at {at} by {} on the Credential", asked.user),
        drill: true,
        exposed_at: None,
        privileged: false,
        at: cluster.clock().now(),
        way: if cluster.at.carries(&asked.user) { Way::Carried } else { Way::Asked },
    };
    match Box::pin(request(&cluster.app, by, &passed, asking)).await {
        Ok(_) if cluster.app.gate.governed() => {}
        // Where nobody governs, the operator's word is enough.
        Ok(_) => drop(desk.act(&id, || engine.approve(&id, &passed.by)).await?),
        Err(NotAsked::Engine(error @ EngineError::Store(_))) => return Err(error),
        Err(error) => tracing::warn!(credential = %name, error = causes(&error), "it is not replaced"),
    }
    done()
}

/// True for an object that is held because its credential lives.
pub(super) fn holds(object: &Value) -> bool {
    finalizers(object).any(|one| one == FINALIZER)
}

/// What else keeps it from going.
pub(super) fn without(object: &Value) -> Vec<String> {
    finalizers(object).filter(|one| *one != FINALIZER).map(str::to_owned).collect()
}

fn finalizers(object: &Value) -> impl Iterator<Item = &str> {
    object["metadata"]["finalizers"].as_array().into_iter().flatten().filter_map(Value::as_str)
}

/// Why the first Event of a rotation is made, where nothing keeps it up.
const ROTATED: &str = "Rotated";

/// Holds a Credential while its value lives.
const FINALIZER: &str = "remint.dev/live";
