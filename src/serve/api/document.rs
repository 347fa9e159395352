//! The API described as OpenAPI 3.1, from one table of operations. `manifests/openapi.json` is this, written down; a test
//! holds it, the table and the router together.

use axum::Json;
use serde_json::{Map, Value, json};

/// One operation.
struct Operation {
    method: &'static str,
    path: &'static str,
    id: &'static str,
    says: &'static str,
    /// What is sent; `None`: nothing.
    body: Option<fn() -> Value>,
    /// What a good answer is.
    answer: Answer,
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Answer {
    /// 200 and an object.
    Object,
    /// 200 and a page of a list.
    Page,
    /// 200 and a list.
    List,
    /// 201.
    Created,
    /// 202: a reset is under way, and `Location` names it.
    Accepted,
    Text,
    Bytes,
    Events,
}

const fn get(path: &'static str, id: &'static str, says: &'static str, answer: Answer) -> Operation {
    Operation { method: "get", path, id, says, body: None, answer }
}

const fn post(
    path: &'static str,
    id: &'static str,
    says: &'static str,
    body: fn() -> Value,
    answer: Answer,
) -> Operation {
    Operation { method: "post", path, id, says, body: Some(body), answer }
}

/// Everything that there is.
const OPERATIONS: [Operation; 56] = [
    get("/v1/resets", "listResets", "How resets stand", Answer::Page),
    post("/v1/resets", "askReset", "Ask for a reset", ask, Answer::Accepted),
    get("/v1/resets/{id}", "showReset", "How one reset stands", Answer::Object),
    get("/v1/resets/{id}/rotations", "listRotations", "Its rotations", Answer::Page),
    get("/v1/resets/{id}/parked", "listParkedOfReset", "What rests in it, and what moves it on", Answer::List),
    get("/v1/resets/{id}/events", "followReset", "What happens in it; resumes with Last-Event-ID", Answer::Events),
    post("/v1/resets/{id}/approve", "approveReset", "Say yes to exactly its plan", approve, Answer::Object),
    post("/v1/resets/{id}/reject", "rejectReset", "Say no to it", reason, Answer::Object),
    post("/v1/resets/{id}/withdraw", "withdrawSignature", "Take back what one signed", reason, Answer::Object),
    post("/v1/resets/{id}/execute", "executeReset", "Start what has all it takes", empty, Answer::Object),
    post("/v1/resets/{id}/retry", "retryReset", "Let parked rotations try again", retry, Answer::Object),
    post("/v1/resets/{id}/rollback", "rollbackReset", "Go back to the old value", rollback, Answer::Object),
    post("/v1/resets/{id}/escalate", "escalateReset", "Ask for a revision of its plan", escalate, Answer::Object),
    post("/v1/resets/{id}/pause", "pauseReset", "Begin no further step of it", pause, Answer::Object),
    post("/v1/resets/{id}/resume", "resumeReset", "Let it go on", reason, Answer::Object),
    post("/v1/resets/{id}/abort", "abortReset", "Stop it for good", reason, Answer::Object),
    post("/v1/resets/{id}/review", "reviewReset", "Review a broken glass", reason, Answer::Object),
    get("/v1/resets/{id}/entries", "entriesOfReset", "The entries of its evidence", Answer::List),
    get("/v1/resets/{id}/bundle", "bundleOfReset", "Its evidence, for an auditor", Answer::Bytes),
    post("/v1/plans", "makePlan", "What a reset would do; nothing is asked for", plan, Answer::Object),
    get("/v1/exceptions", "listExceptions", "What is left as it is, and on whose word", Answer::Object),
    post("/v1/exceptions", "askException", "Leave a credential as it is for a while", except, Answer::Created),
    post("/v1/exceptions/end", "endException", "End one before its time", end_exception, Answer::Object),
    get("/v1/exceptions/{id}", "showException", "One of them", Answer::Object),
    post("/v1/exceptions/{id}/approve", "approveException", "Say yes to exactly it", approve, Answer::Object),
    get("/v1/windows", "listWindows", "When rotation windows open, and what is due", Answer::List),
    post("/v1/windows/approve", "askStanding", "Ask that a window may act", stand, Answer::Created),
    get("/v1/standing/{id}", "showStanding", "What was asked for in advance", Answer::Object),
    post("/v1/standing/{id}/approve", "approveStanding", "Say yes to exactly it", approve, Answer::Object),
    post("/v1/standing/{id}/end", "endStanding", "End it", reason, Answer::Object),
    get("/v1/policy/explain", "explainPolicy", "What would be decided, and by which policies", Answer::Object),
    post("/v1/policy/stage", "stagePolicy", "Propose a charter, or consent to it", charter, Answer::Object),
    post("/v1/nodes/clean", "cleanNode", "Say that a dirty node is clean", clean, Answer::Object),
    get("/v1/parked", "listParked", "Everything that rests, and what moves it on", Answer::List),
    get("/v1/findings", "listFindings", "What nobody here knows at an issuer", Answer::Page),
    post("/v1/findings/{id}/decide", "decideFinding", "Decide what becomes of it", decide, Answer::Object),
    get("/v1/tasks", "listTasks", "What only people can do", Answer::Page),
    post("/v1/tasks/{id}/attest", "attestTask", "Say that it was done", attest, Answer::Object),
    get("/v1/tokens", "listTokens", "Local tokens, without their texts", Answer::Page),
    post("/v1/tokens", "makeToken", "Make one; its text is in this answer only", token, Answer::Created),
    post("/v1/tokens/{id}/revoke", "revokeToken", "End one", empty, Answer::Object),
    get("/v1/estate", "showEstate", "The estate: active, staged, and what is wrong with the folder", Answer::Object),
    post("/v1/estate/activate", "activateEstate", "Make the staged estate active", activate, Answer::Object),
    get("/v1/records/resets", "recordsOfResets", "Resets as they are kept", Answer::Object),
    get("/v1/records/resets/{id}", "recordOfReset", "One reset and its rotations as they are kept", Answer::Object),
    get("/v1/records/plans/{hash}", "recordOfPlan", "A plan, by its hash", Answer::Object),
    get("/v1/records/estates/{digest}", "recordOfEstate", "An estate, by its digest", Answer::Object),
    get("/v1/records/credentials", "recordsOfCredentials", "The credentials of the active estate", Answer::Object),
    get("/v1/log/checkpoint", "logCheckpoint", "The newest signed checkpoint", Answer::Text),
    get("/v1/log/tile/{*path}", "logTile", "A tile of hashes or entries", Answer::Bytes),
    get("/v1/reads", "listReads", "Who read what, how often, by day", Answer::List),
    get("/v1/login", "showLogin", "Where one logs in", Answer::Object),
    get("/v1/openapi.json", "showDocument", "This document", Answer::Object),
    get("/metrics", "showMetrics", "Numbers, as Prometheus reads them", Answer::Text),
    get("/livez", "live", "The process answers", Answer::Object),
    get("/readyz", "ready", "The state can be read, and an estate is active", Answer::Object),
];

/// As it is served.
pub(super) async fn show() -> Json<Value> {
    Json(document())
}

/// The whole document.
pub(super) fn document() -> Value {
    let mut paths: Map<String, Value> = Map::new();
    for operation in &OPERATIONS {
        let path = operation.path.replace("{*", "{");
        let described = paths.entry(path).or_insert_with(|| json!({}));
        described[operation.method] = operation.described();
    }
    json!({
        "openapi": "3.1.0",
        "info": {
            "title": "Remint", "version": "v1", "license": { "name": "Apache-2.0", "identifier": "Apache-2.0" },
            "description": "Asks a Remint daemon for what the command line does alone. Refusals are RFC 9457 problems. \
                An act takes an Idempotency-Key, and an If-Match with the ETag of what it acts on.",
        },
        "security": [{ "bearer": [] }, { "certificate": [] }],
        "paths": paths,
        "components": {
            "securitySchemes": {
                "bearer": { "type": "http", "scheme": "bearer", "description": "A local token, or an ID token of a trusted provider" },
                "certificate": { "type": "mutualTLS" },
            },
            "schemas": { "Problem": problem() },
            "responses": {
                "Problem": {
                    "description": "What happened, to which thing, and what to do next",
                    "content": { "application/problem+json": { "schema": { "$ref": "#/components/schemas/Problem" } } },
                },
            },
        },
    })
}

impl Operation {
    fn described(&self) -> Value {
        let mut described = json!({
            "operationId": self.id, "summary": self.says, "parameters": self.parameters(),
            "responses": self.responses(),
        });
        if let Some(body) = self.body {
            let schema = body();
            let required = schema.get("required").is_some();
            described["requestBody"] =
                json!({ "required": required, "content": { "application/json": { "schema": schema } } });
        }
        if matches!(self.path, "/livez" | "/readyz" | "/v1/login") {
            described["security"] = json!([]);
        }
        described
    }

    fn parameters(&self) -> Vec<Value> {
        let names = self.path.split('/').filter_map(|part| part.strip_prefix('{')?.strip_suffix('}'));
        let mut all: Vec<Value> = names
            .map(|name| {
                let name = name.trim_start_matches('*');
                json!({ "name": name, "in": "path", "required": true, "schema": { "type": "string", "minLength": 1 } })
            })
            .collect();
        if self.answer == Answer::Page {
            let limit = json!({ "type": "integer", "minimum": 1, "maximum": 1000 });
            all.push(json!({ "name": "limit", "in": "query", "schema": limit }));
            let after = json!({ "type": "string", "description": "The cursor of the `Link` of the page before" });
            all.push(json!({ "name": "after", "in": "query", "schema": after }));
        }
        if self.path == "/v1/policy/explain" {
            for (name, required) in [("action", true), ("principal", false), ("on", false), ("entrance", false)] {
                let schema = json!({ "type": "string" });
                all.push(json!({ "name": name, "in": "query", "required": required, "schema": schema }));
            }
        }
        if self.answer == Answer::Events {
            all.push(json!({ "name": "Last-Event-ID", "in": "header", "schema": { "type": "string" } }));
        }
        if self.body.is_some() {
            let key = json!({ "type": "string", "minLength": 1, "maxLength": 255, "pattern": "^[!-~]+$" });
            all.push(json!({ "name": "Idempotency-Key", "in": "header", "schema": key }));
            all.push(json!({ "name": "If-Match", "in": "header", "schema": { "type": "string" } }));
        }
        all
    }

    fn responses(&self) -> Value {
        let of = |status: &str, kind: &str, schema: Value| json!({ status: { "description": self.says, "content": { kind: { "schema": schema } } } });
        let object = || json!({ "type": "object" });
        let mut responses = match self.answer {
            Answer::Object => of("200", "application/json", object()),
            Answer::Page | Answer::List => of("200", "application/json", json!({ "type": "array", "items": {} })),
            Answer::Created => of("201", "application/json", object()),
            Answer::Accepted => of("202", "application/json", object()),
            Answer::Text => of("200", "text/plain", json!({ "type": "string" })),
            Answer::Bytes => of("200", "application/octet-stream", json!({})),
            Answer::Events => of("200", "text/event-stream", json!({ "type": "string" })),
        };
        let open = matches!(self.path, "/livez" | "/v1/login");
        let mut refusals =
            if open { vec!["400"] } else { vec!["400", "401", "403", "404", "421", "429", "503", "504"] };
        if self.answer == Answer::Page || self.path == "/v1/policy/explain" {
            refusals.push("422");
        }
        if self.body.is_none() && self.path.starts_with("/v1/") && !open {
            refusals.push("409");
        }
        if self.body.is_some() {
            refusals.extend(["409", "412", "413", "415", "422", "502"]);
        }
        for status in refusals {
            responses[status] = json!({ "$ref": "#/components/responses/Problem" });
        }
        responses
    }
}

fn problem() -> Value {
    json!({
        "type": "object", "required": ["type", "title", "status", "detail"],
        "properties": {
            "type": { "type": "string", "description": "urn:remint:problem:KIND, or about:blank" },
            "title": { "type": "string" }, "status": { "type": "integer" }, "detail": { "type": "string" },
        },
    })
}

/// An object with these properties, of which some have to be there, and no other.
fn object(required: &[&str], properties: Value) -> Value {
    let mut schema = json!({ "type": "object", "properties": properties, "additionalProperties": false });
    if !required.is_empty() {
        schema["required"] = json!(required);
    }
    schema
}

fn why() -> Value {
    json!({ "type": "string", "minLength": 1, "maxLength": 1000, "pattern": "\\S", "description": "Why: it goes into entries" })
}

fn reference() -> Value {
    json!({ "type": "string", "description": "Kind/name, or Kind/namespace/name" })
}

fn optional(kind: &str, says: &str) -> Value {
    json!({ "type": [kind, "null"], "description": says })
}

fn digest() -> Value {
    json!({ "type": "string", "pattern": "^sha256:[0-9a-f]{64}$" })
}

fn empty() -> Value {
    object(&[], json!({}))
}

fn reason() -> Value {
    object(&["reason"], json!({ "reason": why() }))
}

fn plan() -> Value {
    let names = || json!({ "type": "array", "items": { "type": "string" } });
    object(
        &["from"],
        json!({
            "from": { "type": "array", "minItems": 1, "items": { "type": "string" }, "description": "Compromised nodes or places" },
            "contain": optional("string", "A selector: these are stopped first"),
            "except": names(), "clean": names(),
            "deadline": { "type": ["string", "null"], "format": "date-time" },
            "failureBudget": { "type": "integer", "minimum": 0 },
        }),
    )
}

fn time() -> Value {
    json!({ "type": "string", "format": "date-time" })
}

fn except() -> Value {
    let owner = json!({ "type": "string", "minLength": 1, "description": "Who answers for it until the end" });
    object(
        &["credential", "owner", "until", "reason"],
        json!({ "credential": reference(), "owner": owner, "until": time(), "reason": why() }),
    )
}

fn end_exception() -> Value {
    object(&["credential", "reason"], json!({ "credential": reference(), "reason": why() }))
}

fn stand() -> Value {
    object(&["window", "until"], json!({ "window": reference(), "until": time() }))
}

fn charter() -> Value {
    let policies = json!({ "type": "object", "additionalProperties": { "type": "string" } });
    object(&["policies", "persons"], json!({ "policies": policies, "persons": { "type": "string" } }))
}

fn ask() -> Value {
    let names = || json!({ "type": "array", "items": { "type": "string" } });
    object(
        &["requestId", "from", "reason"],
        json!({
            "requestId": { "type": "string", "pattern": "^[A-Za-z0-9_][A-Za-z0-9_.-]{0,63}$", "description": "Runs once, for ever" },
            "from": { "type": "array", "minItems": 1, "items": { "type": "string" }, "description": "Compromised nodes or places" },
            "contain": optional("string", "A selector: these are stopped first"),
            "except": names(), "clean": names(),
            "deadline": { "type": ["string", "null"], "format": "date-time" },
            "failureBudget": { "type": "integer", "minimum": 0 },
            "exposedAt": { "type": ["string", "null"], "format": "date-time" },
            "drill": { "type": "boolean" }, "reason": why(), "approve": { "type": "boolean" },
            "privileged": { "type": "boolean" },
            "breakGlass": { "type": "boolean", "description": "Start now on this word alone; another person reviews it" },
        }),
    )
}

fn approve() -> Value {
    let plan = json!({ "type": ["string", "null"], "pattern": "^sha256:[0-9a-f]{64}$" });
    object(
        &[],
        json!({
            "plan": plan,
            "idToken": optional("string", "An ID token whose nonce is that digest"),
            "note": optional("string", "What the person signed with a key of his own"),
            "additions": optional("string", "What may be added without asking again: 3:standard"),
        }),
    )
}

fn retry() -> Value {
    object(&[], json!({ "only": optional("string", "Only this credential") }))
}

fn rollback() -> Value {
    object(&["reason"], json!({ "only": optional("string", "Only this credential"), "reason": why() }))
}

fn escalate() -> Value {
    let selector = || optional("string", "A selector; one of the two is needed");
    object(&["reason"], json!({ "contain": selector(), "roll": selector(), "reason": why() }))
}

fn pause() -> Value {
    object(&["reason"], json!({ "reason": why(), "all": { "type": "boolean" } }))
}

fn clean() -> Value {
    object(&["reset", "node", "reason"], json!({ "reset": { "type": "string" }, "node": reference(), "reason": why() }))
}

fn decide() -> Value {
    let words = json!({ "enum": ["adopt", "revoke", "except"] });
    object(&["decision", "reason"], json!({ "decision": words, "reason": why() }))
}

fn attest() -> Value {
    object(&["words"], json!({ "words": why() }))
}

fn token() -> Value {
    let actions = remint_core::gate::Action::ALL.map(remint_core::gate::Action::word);
    object(
        &["name", "scope", "seconds"],
        json!({
            "name": { "type": "string", "pattern": "^[A-Za-z0-9_.-]{1,64}$" },
            "scope": { "type": "array", "minItems": 1, "items": { "enum": actions } },
            "seconds": { "type": "integer", "minimum": 60, "maximum": 31_622_400 },
        }),
    )
}

fn activate() -> Value {
    object(&["digest"], json!({ "digest": digest() }))
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;
    use std::path::Path;

    use super::*;

    /// With `UPDATE_GOLDEN` set the document is written instead of compared: read the difference before committing it.
    #[test]
    fn the_document_is_what_was_committed() {
        let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("manifests/openapi.json");
        let text = format!("{}\n", serde_json::to_string_pretty(&document()).unwrap());
        #[expect(clippy::disallowed_methods, reason = "whoever runs the tests says so")]
        if std::env::var("UPDATE_GOLDEN").is_ok() {
            std::fs::write(&path, &text).unwrap();
        }
        assert_eq!(std::fs::read_to_string(&path).unwrap_or_default(), text);
    }

    /// Every address and method of the router is an operation, and the other way round.
    #[test]
    fn the_router_and_the_document_know_the_same_operations() {
        let source = include_str!("../api.rs");
        let mut routed = BTreeSet::new();
        for line in source.lines().filter_map(|line| line.trim().strip_prefix(".route(\"")) {
            let (path, handlers) = line.split_once('"').unwrap();
            for method in ["get", "post"] {
                if handlers.contains(&format!(" {method}(")) || handlers.contains(&format!(".{method}(")) {
                    routed.insert((path.to_owned(), method.to_owned()));
                }
            }
        }
        let described: BTreeSet<_> =
            OPERATIONS.iter().map(|one| (one.path.to_owned(), one.method.to_owned())).collect();
        assert_eq!(routed, described);
        let ids: BTreeSet<_> = OPERATIONS.iter().map(|one| one.id).collect();
        assert_eq!(ids.len(), OPERATIONS.len());
    }
}
