//! What a step came to, as the store keeps it and as the evidence tells it: names and grades, never a value.

use remint_core::machine::{Done, Event, Rotation, State};
use remint_core::step::Step;
use serde_json::json;

use crate::engine::EngineError;
use crate::engine::record::{RotationRecord, kind, put};
use crate::engine::run::Run;
use crate::store::Rule;

/// The entry of a step's outcome.
pub(crate) fn told(run: &Run, step: Step, event: &Event, next: &Rotation) -> (&'static str, serde_json::Value) {
    let mut body = json!({ "step": step.to_string(), "event": event.name(), "state": next.state.to_string() });
    if let Event::Done { facts } = event {
        body["established"] = established(facts);
    }
    match &next.state {
        State::Parked { reason, .. } => {
            body["why"] = json!(reason.to_string());
            ("rotation.parked", body)
        }
        State::Dark { .. } => {
            body["why"] = json!("it is dead, and only dirty nodes would read a new value");
            ("rotation.dark", body)
        }
        State::Settled { .. } => {
            graded(&mut body, next);
            let now = run.context.clock.now();
            let last = run.settings.reproofs.last().copied().unwrap_or_default();
            body["until"] = json!((now + last).to_string());
            ("rotation.provisional", body)
        }
        _ => ("rotation.moved", body),
    }
}

/// The grades that a settlement rests on.
pub(crate) fn graded(body: &mut serde_json::Value, rotation: &Rotation) {
    if let Some(proof) = rotation.facts.proof {
        body["proof"] = json!(proof);
    }
    if let Some(confirm) = rotation.facts.confirmed.values().max() {
        body["confirm"] = json!(confirm);
    }
}

/// What a step established, for the evidence: names and grades, never a value.
fn established(facts: &Done) -> serde_json::Value {
    match facts {
        Done::Captured { old } => {
            json!({ "old": old.as_ref().and_then(|old| old.id.as_ref()).map_or("unknown", |id| id.0.as_str()) })
        }
        Done::Minted { new } => json!({ "new": new.id.as_ref().map_or("unknown", |id| id.0.as_str()) }),
        Done::Confirmed { consumers } => {
            let seen: serde_json::Map<String, serde_json::Value> =
                consumers.iter().map(|(workload, grade)| (workload.to_string(), json!(grade))).collect();
            json!({ "confirmed": seen })
        }
        Done::Proved { grade } => json!({ "proof": grade }),
        Done::Swept { undecided } | Done::Contained { undecided, .. } => {
            json!({ "undecided": undecided.iter().map(|version| version.0.clone()).collect::<Vec<_>>() })
        }
        Done::Promoted { places } => json!({ "places": places.iter().map(ToString::to_string).collect::<Vec<_>>() }),
        Done::Propagated { verifiers, endpoints } => {
            json!({ "trusted": verifiers.iter().map(ToString::to_string).chain(endpoints.iter().cloned()).collect::<Vec<_>>() })
        }
        Done::Rewrapped { left } => json!({ "left": left }),
        Done::Plain { .. } => json!({}),
    }
}

pub(crate) fn record(run: &Run, index: usize, rotation: &Rotation) -> Result<crate::store::Put, EngineError> {
    let body = RotationRecord {
        reset: run.id.clone(),
        index,
        credential: run.members[index].credential.clone(),
        rotation: rotation.clone(),
        since: run.context.clock.now(),
    };
    Ok(put(kind::ROTATION, body.key().id, &run.id.0, &body, Rule::Upsert)?)
}
