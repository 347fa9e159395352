//! Numbers, as Prometheus reads them. Every label is a word of a list that is fixed: no name of an estate, a person or a
//! reset is among them.

use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::sync::Arc;

use axum::extract::State;
use axum::http::header;
use axum::response::{IntoResponse as _, Response};
use jiff::Timestamp;
use remint_core::machine::State as Rotating;
use remint_core::step::Step;

use crate::engine::EngineError;
use crate::engine::host::Meter;
use crate::engine::record::{ResetStatus, RotationRecord};
use crate::evidence::tiles::TileError;
use crate::serve::api::Api;
use crate::serve::api::problem::Problem;

/// One family of numbers.
struct Page(String);

impl Page {
    fn family(&mut self, name: &str, kind: &str, help: &str) {
        // Writing to a string cannot fail, here and below.
        let _ = writeln!(self.0, "# HELP {name} {help}\n# TYPE {name} {kind}");
    }

    fn value(&mut self, name: &str, labels: &[(&str, &str)], value: impl std::fmt::Display) {
        let labels: Vec<String> = labels.iter().map(|(label, word)| format!("{label}=\"{word}\"")).collect();
        let labels = if labels.is_empty() { String::new() } else { format!("{{{}}}", labels.join(",")) };
        let _ = writeln!(self.0, "{name}{labels} {value}");
    }

    fn gauge(&mut self, name: &str, help: &str, value: impl std::fmt::Display) {
        self.family(name, "gauge", help);
        self.value(name, &[], value);
    }
}

pub(super) async fn metrics(State(api): State<Arc<Api>>) -> Result<Response, Problem> {
    let mut page = Page(String::new());
    log(&api, &mut page).await?;
    resets(&api, &mut page).await?;
    calls(&api, &mut page);
    let chairs = u8::from(api.app.engine.chairs().await?);
    page.family("remint_lease_holder", "gauge", "1 where this process has the lease");
    page.value("remint_lease_holder", &[("lease", "scheduler")], chairs);
    page.value("remint_lease_holder", &[("lease", "sequencer")], u8::from(api.app.sequencer.sequences()));
    Ok(([(header::CONTENT_TYPE, "text/plain; version=0.0.4")], page.0).into_response())
}

async fn log(api: &Api, page: &mut Page) -> Result<(), Problem> {
    let now = api.app.engine.context.clock.now();
    page.gauge("remint_log_entries", "Entries that have their place in the tree", api.tiles.size().await?);
    let waiting = api.app.engine.store.unsequenced(1).await.map_err(EngineError::Store)?;
    let oldest = waiting.first().and_then(|stored| remint_evidence_format::entry::parse(&stored.bytes).ok());
    let oldest: Option<Timestamp> = oldest.and_then(|entry| entry.at.parse().ok());
    let delay = oldest.map_or(0.0, |at| now.duration_since(at).as_secs_f64().max(0.0));
    page.gauge("remint_log_sequencer_delay_seconds", "Age of the oldest entry without a place", delay);
    if let Some(witnessing) = &api.witnessing {
        let unwitnessed = witnessing.unwitnessed().await.map_err(TileError::from)?;
        page.gauge("remint_log_witnessed_entries", "Entries that a quorum of witnesses saw", unwitnessed.witnessed);
        let age = unwitnessed.age(now).as_secs_f64();
        page.gauge("remint_log_unwitnessed_age_seconds", "Age of the oldest entry that no quorum saw", age);
        let alarm = u8::from(witnessing.alarmed());
        page.gauge("remint_log_unwitnessed_alarm", "1 while that is older than it may be", alarm);
    }
    Ok(())
}

/// What is not over.
async fn resets(api: &Api, page: &mut Page) -> Result<(), Problem> {
    let engine = &api.app.engine;
    let now = engine.context.clock.now();
    let mut statuses: BTreeMap<&'static str, u64> = STATUSES.iter().map(|(_, word)| (*word, 0)).collect();
    let (mut pending, mut unproved) = (0_u64, 0_u64);
    let mut deadline: Option<f64> = None;
    let mut states: BTreeMap<(String, &'static str), u64> = BTreeMap::new();
    let mut oldest: BTreeMap<String, f64> = BTreeMap::new();
    for reset in engine.resets().await? {
        if let Some((_, word)) = STATUSES.iter().find(|(status, _)| *status == reset.status) {
            *statuses.entry(word).or_default() += 1;
        }
        if matches!(reset.status, ResetStatus::Complete | ResetStatus::Rejected) {
            continue;
        }
        pending += u64::from(reset.status == ResetStatus::Requested || reset.revision.is_some());
        if let Some(limit) = reset.plan.limits.deadline.filter(|_| reset.status != ResetStatus::Provisional) {
            let left = limit.duration_since(now).as_secs_f64();
            deadline = Some(deadline.map_or(left, |known| known.min(left)));
        }
        for record in engine.rotations(&reset.id).await? {
            let state = &record.rotation.state;
            let step = state.step().map_or_else(|| "none".to_owned(), |step| step.to_string());
            *states.entry((step.clone(), state.name())).or_default() += 1;
            if !state.rests() || matches!(state, Rotating::Parked { .. }) {
                let age = now.duration_since(record.since).as_secs_f64().max(0.0);
                let known = oldest.entry(step).or_default();
                *known = known.max(age);
            }
            unproved += u64::from(is_unproved(&record));
        }
    }
    page.family("remint_resets", "gauge", "Resets by status");
    for (word, count) in statuses {
        page.value("remint_resets", &[("status", word)], count);
    }
    page.family("remint_rotations", "gauge", "Rotations of resets that are not over, by step and state");
    for ((step, state), count) in &states {
        page.value("remint_rotations", &[("step", step), ("state", state)], count);
    }
    page.family("remint_rotation_oldest_seconds", "gauge", "How long the oldest rotation has been at a step");
    for (step, age) in &oldest {
        page.value("remint_rotation_oldest_seconds", &[("step", step)], age);
    }
    let count =
        |wanted: &str| states.iter().filter(|((_, state), _)| *state == wanted).map(|(_, count)| count).sum::<u64>();
    page.gauge("remint_rotations_parked", "Rotations that wait for a person", count("parked"));
    page.gauge("remint_rotations_dark", "Credentials that are dead and have no new value yet", count("dark"));
    page.gauge("remint_rotations_revoked_unproved", "Old values that were revoked and not proven dead yet", unproved);
    pending += engine.exceptions().await?.iter().filter(|one| one.waits(now)).count() as u64;
    page.gauge("remint_approvals_pending", "Plans, revisions and exceptions that wait for approval", pending);
    let overdue = engine.tasks(None).await?.iter().filter(|task| task.is_overdue(now)).count();
    page.gauge("remint_tasks_overdue", "Tasks that nobody did in time", overdue);
    let unreviewed = engine.unreviewed().await?.len();
    page.gauge("remint_reviews_pending", "Uses of the broken glass that nobody reviewed", unreviewed);
    if let Some(left) = deadline {
        page.gauge("remint_deadline_seconds", "Until the nearest deadline of a reset; below 0 when it is missed", left);
    }
    Ok(())
}

fn is_unproved(record: &RotationRecord) -> bool {
    let ended = &record.rotation.facts.ended;
    let killed = ended.contains(&Step::Revoke) || ended.contains(&Step::Disable);
    killed && record.rotation.facts.proof.is_none()
}

/// What connectors did since this process began.
fn calls(api: &Api, page: &mut Page) {
    let calls = api.app.engine.meter().calls();
    let (name, results, throttled) =
        ("remint_connector_call_seconds", "remint_connector_calls_total", "remint_connector_throttled_total");
    page.family(name, "histogram", "How long calls of connectors took");
    for ((kind, verb), one) in &calls {
        let labels = [("connector", kind.as_str()), ("verb", verb.as_str())];
        let bounds = Meter::BOUNDS.map(|bound| bound.to_string()).into_iter().chain(["+Inf".to_owned()]);
        for (count, bound) in one.within.iter().zip(bounds) {
            page.value(&format!("{name}_bucket"), &[labels[0], labels[1], ("le", bound.as_str())], count);
        }
        page.value(&format!("{name}_sum"), &labels, one.seconds);
        page.value(&format!("{name}_count"), &labels, one.within[7]);
    }
    page.family(results, "counter", "Calls of connectors by what came of them");
    let mut held: BTreeMap<&str, u64> = BTreeMap::new();
    for ((kind, verb), one) in &calls {
        for (result, count) in &one.results {
            let labels = [("connector", kind.as_str()), ("verb", verb.as_str()), ("result", result)];
            page.value(results, &labels, count);
        }
        *held.entry(kind).or_default() += one.results.get("throttled").copied().unwrap_or_default();
    }
    page.family(throttled, "counter", "Calls that a system answered with too many");
    for (kind, count) in held {
        page.value(throttled, &[("connector", kind)], count);
    }
}

const STATUSES: [(ResetStatus, &str); 8] = [
    (ResetStatus::Requested, "requested"),
    (ResetStatus::Rejected, "rejected"),
    (ResetStatus::Running, "running"),
    (ResetStatus::Paused, "paused"),
    (ResetStatus::Aborted, "aborted"),
    (ResetStatus::Resting, "resting"),
    (ResetStatus::Provisional, "provisional"),
    (ResetStatus::Complete, "complete"),
];
