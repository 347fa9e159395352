//! What Remint says of an object. Small: counters and the first of many, never a list that grows with the estate.

use serde_json::{Value, json};

use super::{count, list, map, text, time};

/// The most parked rotations that a Reset shows.
pub const PARKED: usize = 20;

fn conditions() -> Value {
    let condition = map(
        "One thing that is true, false or unknown.",
        &["type", "status", "lastTransitionTime", "reason", "message"],
        [
            ("type", text("Ready, Valid, Planned, Approved, Running, Settled or Parked.", 316)),
            ("status", json!({ "type": "string", "enum": ["True", "False", "Unknown"] })),
            ("reason", text("One word.", 1024)),
            ("message", json!({ "type": "string", "maxLength": 32_768 })),
            ("lastTransitionTime", time("Since when.")),
            ("observedGeneration", json!({ "type": "integer", "format": "int64", "minimum": 0 })),
        ],
    );
    let mut list = list("What is true of it.", 16, &condition);
    list["x-kubernetes-list-type"] = json!("map");
    list["x-kubernetes-list-map-keys"] = json!(["type"]);
    list
}

fn generation() -> Value {
    json!({ "type": "integer", "format": "int64", "description": "The generation that this is about.", "minimum": 0 })
}

fn counters(says: &str) -> Value {
    let one = json!({ "type": "integer", "format": "int64", "minimum": 0 });
    json!({ "type": "object", "description": says, "maxProperties": 64, "additionalProperties": one })
}

/// Of a document that is looked at and no more.
#[must_use]
pub fn document() -> Value {
    map("What Remint makes of it.", &[], [("observedGeneration", generation()), ("conditions", conditions())])
}

#[must_use]
pub fn credential() -> Value {
    map(
        "How it stands.",
        &[],
        [
            ("observedGeneration", generation()),
            ("conditions", conditions()),
            ("state", text("The state of its rotation.", 63)),
            ("reset", text("The reset that has it, or had it last.", 253)),
            ("lastRotated", time("When its last rotation settled.")),
            ("oldDiesAt", time("When the old value is revoked at the earliest; gone once it is.")),
            ("proof", text("How it was proven that the old value is dead.", 63)),
            ("nextAction", text("What moves it on.", 1024)),
            ("handledRequest", text("The annotation remint.dev/requested-at that was done last.", 64)),
        ],
    )
}

#[must_use]
pub fn reset() -> Value {
    let parked = map(
        "One that waits for somebody.",
        &["credential"],
        [
            ("credential", text("Which.", 160)),
            ("why", text("Why.", 400)),
            ("nextAction", text("What moves it on.", 400)),
        ],
    );
    map(
        "How it stands.",
        &[],
        [
            ("observedGeneration", generation()),
            ("conditions", conditions()),
            ("phase", text("Requested, Running, Resting, Provisional, Complete, Rejected, Refused, Expired.", 63)),
            ("reset", text("Its id: it runs once under it, for ever.", 253)),
            ("plan", text("The digest of the plan: what an Approval names.", 80)),
            ("credentials", count("How many it replaces.", 0, 10_000_000)),
            ("states", counters("Rotations by state.")),
            ("proofs", counters("Proofs by grade.")),
            ("parked", list("The first of those that wait for somebody.", PARKED, &parked)),
            ("parkedTotal", count("All of them.", 0, 10_000_000)),
            (
                "parkedElsewhere",
                count("Those of them that lie where whoever asked may not read: they are not shown.", 0, 10_000_000),
            ),
            ("nextAction", text("What moves it on.", 1024)),
            ("link", text("Where all of it can be read.", 1024)),
        ],
    )
}

#[must_use]
pub fn act() -> Value {
    map(
        "What came of it.",
        &[],
        [
            ("observedGeneration", generation()),
            ("conditions", conditions()),
            ("phase", text("Requested, Recorded, Refused, Expired, Granted, Ended.", 63)),
            ("id", text("What it is called in the state.", 253)),
            ("nextAction", text("What moves it on.", 1024)),
        ],
    )
}
