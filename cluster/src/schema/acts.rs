//! The specs of acts: asked once, by somebody, at a time, and never changed.

use serde_json::{Value, json};

use super::{count, duration, form, map, name, reference, rule, set, text, time, truth};

/// What every act carries.
const SAME: [(&str, &str); 2] = [
    ("requestedAt", "`requestedAt` says when this was asked, once: apply another object to ask again"),
    ("requestedBy", "`requestedBy` is stamped once, by Remint: take it out of what you apply"),
];

fn requested_at() -> Value {
    time(
        "When the author asked: its age counts from here, never from when the object was made. Written by hand, never changed.",
    )
}

fn not_after() -> Value {
    duration("It is expired, and never started, when it is older than this; 1h when nothing is said, 24h at most.")
}

/// Stamped by the webhook; no other writer is let through.
fn requested_by() -> Value {
    map(
        "Who asked, as the API server knows him. Stamped by Remint.",
        &["user", "at", "stamp"],
        [
            ("user", text("The user's name.", 1024)),
            ("uid", json!({ "type": "string", "description": "The user's uid.", "maxLength": 1024 })),
            ("groups", set("The user's groups.", 500, &text("", 1024))),
            ("at", time("When the request came.")),
            ("stamp", form("What only Remint can write, over all that the object asks for.", 128, "^[0-9a-f]{64}$")),
        ],
    )
}

/// Nothing of it changes but what stands in `free`.
fn frozen(mut spec: Value, free: &[&str]) -> Value {
    let keys: Vec<String> = spec["properties"].as_object().map(|all| all.keys().cloned().collect()).unwrap_or_default();
    let mut rules = Vec::new();
    for key in keys.iter().filter(|key| !free.contains(&key.as_str())) {
        let sentence = SAME.iter().find(|(one, _)| one == key).map(|(_, sentence)| (*sentence).to_owned());
        let sentence = sentence.unwrap_or_else(|| {
            format!("`{key}` cannot be changed: an act is asked once; apply another object to ask for something else")
        });
        rules.push(rule(
            &format!("has(self.{key}) == has(oldSelf.{key}) && (!has(self.{key}) || self.{key} == oldSelf.{key})"),
            &sentence,
        ));
    }
    spec["x-kubernetes-validations"] = json!(rules);
    spec
}

#[must_use]
pub fn reset() -> Value {
    let names = |says: &str| set(says, 100, &reference("Kind/name, Kind/namespace/name, or a place as system:path."));
    let mut from = names("Where the attacker is: at least one node.");
    from["minItems"] = json!(1);
    let spec = map(
        "Replaces what can be reached from the compromised nodes. It runs once.",
        &["requestedAt", "from", "reason"],
        [
            ("requestedAt", requested_at()),
            ("notAfter", not_after()),
            ("requestedBy", requested_by()),
            ("from", from),
            ("contain", text("Credentials that are stopped first and replaced after, as a selector.", 1024)),
            ("except", names("Credentials that are left as they are.")),
            ("clean", names("Nodes that were rebuilt already.")),
            ("deadline", time("When it must be over.")),
            ("failureBudget", count("How many may park before no further wave starts.", 0, 100_000)),
            ("exposedAt", time("Since when the attacker may have what he has.")),
            ("drill", truth("Nothing is stolen: it queues behind every incident.")),
            ("reason", text("Why: the number of the incident.", 1024)),
            ("privileged", truth("Privileged credentials are replaced too, where nobody governs.")),
            ("suspend", truth("It is not begun while this is true; one that runs begins no further step.")),
        ],
    );
    frozen(spec, &["suspend"])
}

#[must_use]
pub fn approval() -> Value {
    let spec = map(
        "One person's yes, or no, to exactly one plan.",
        &["requestedAt", "reset", "plan"],
        [
            ("requestedAt", requested_at()),
            ("notAfter", not_after()),
            ("requestedBy", requested_by()),
            ("reset", name("The Reset of this namespace.")),
            (
                "plan",
                form(
                    "The digest of the plan that was looked at: status.plan of the Reset.",
                    80,
                    "^(sha256:)?[0-9a-f]{64}$",
                ),
            ),
            ("reject", truth("A no.")),
            ("reason", text("Why.", 1024)),
            (
                "signature",
                text(
                    "What a person signed with a key of his own (remint approve --key FILE --print): it is his yes, whoever brings it.",
                    8192,
                ),
            ),
        ],
    );
    frozen(spec, &[])
}

#[must_use]
pub fn exception() -> Value {
    let spec = map(
        "A credential that stays as it is, on the word of those it takes, until a time.",
        &["requestedAt", "credential", "owner", "until", "reason"],
        [
            ("requestedAt", requested_at()),
            ("notAfter", not_after()),
            ("requestedBy", requested_by()),
            ("credential", reference("A Credential of this namespace.")),
            ("owner", text("Who answers for it until the end.", 253)),
            ("until", time("When it ends: 90 days from now at most.")),
            ("reason", text("Why.", 1024)),
        ],
    );
    frozen(spec, &[])
}
