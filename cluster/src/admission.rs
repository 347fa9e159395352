//! What the API server asks before it takes an object, and what it is answered.
//!
//! Flow: [`Asked::read`] reads the review → the mutating webhook stamps who asks ([`Asked::stamped`]) after it has judged the
//! document, so that its sentences come before those of the schema → the validating one sees what all others made of it
//! and judges again ([`Asked::refused`]).
//!
//! Guarantees: the requester of an act is written by the mutating webhook at its creation and by nobody else ever after; a
//! dry run is judged in the same way, and remembered nowhere; what is refused is refused with every sentence at once.

use aws_lc_rs::hmac;
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use jiff::Timestamp;
use serde_json::{Value, json};

use crate::act::{self, Age, NoAct};
use crate::crd::{GROUP, Resource};

/// Says that a Credential shall be replaced: a time, which is done once.
pub const REQUESTED_AT: &str = "remint.dev/requested-at";
/// Who said so: stamped.
pub const REQUESTED_BY: &str = "remint.dev/requested-by";
/// Who last said whether a Reset stands still: stamped.
pub const SUSPENDED_BY: &str = "remint.dev/suspended-by";
/// Frees an object that is held while its credential lives.
pub const RELEASE: &str = "remint.dev/release";

/// What is done to an object.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Operation {
    Create,
    Update,
    Delete,
}

/// One question.
#[derive(Debug, Clone, PartialEq)]
pub struct Asked {
    pub uid: String,
    pub operation: Operation,
    /// Nothing comes of it.
    pub dry_run: bool,
    /// Who asks: `userInfo`, as the API server verified it.
    pub user: Value,
    /// With its kind, also where the question leaves it out.
    pub object: Value,
    /// What it was before; null when it is new.
    pub old: Value,
    pub resource: Resource,
    /// `status` and the like, which nobody here judges.
    pub sub: bool,
}

/// Why a question cannot be answered.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("this is no admission review of a kind of {GROUP}: {0}")]
pub struct NoQuestion(&'static str);

impl Asked {
    /// Reads an `AdmissionReview`.
    ///
    /// # Errors
    /// It is none, or about something else.
    pub fn read(review: &Value) -> Result<Self, NoQuestion> {
        if review["apiVersion"] != "admission.k8s.io/v1" || review["kind"] != "AdmissionReview" {
            return Err(NoQuestion("admission.k8s.io/v1 AdmissionReview is what is read here"));
        }
        let request = &review["request"];
        let text = |value: &Value| value.as_str().unwrap_or_default().to_owned();
        let kind = text(&request["kind"]["kind"]);
        let resource = Resource::named(&kind).filter(|_| request["kind"]["group"] == GROUP);
        let resource = resource.ok_or(NoQuestion("the kind is another one"))?;
        let operation = match request["operation"].as_str() {
            Some("CREATE") => Operation::Create,
            Some("UPDATE") => Operation::Update,
            Some("DELETE") => Operation::Delete,
            _ => return Err(NoQuestion("the operation is another one")),
        };
        let uid = text(&request["uid"]);
        if uid.is_empty() || request["userInfo"]["username"].as_str().is_none_or(str::is_empty) {
            return Err(NoQuestion("it does not say who asks"));
        }
        let mut object = request["object"].clone();
        // A name that the server is still to make up, and the namespace of the address, stand outside of it.
        if object.is_object() {
            if object["metadata"]["name"].is_null() {
                object["metadata"]["name"] = request["name"].clone();
            }
            if resource.namespaced && object["metadata"]["namespace"].is_null() {
                object["metadata"]["namespace"] = request["namespace"].clone();
            }
        }
        Ok(Self {
            uid,
            operation,
            dry_run: request["dryRun"] == true,
            user: request["userInfo"].clone(),
            object,
            old: request["oldObject"].clone(),
            resource,
            sub: request["subResource"].as_str().is_some_and(|name| !name.is_empty()),
        })
    }

    /// True for a document that is judged beside the others: not for what is deleted, and not for what is said of one.
    #[must_use]
    pub fn is_document(&self) -> bool {
        self.resource.estate && !self.sub && self.operation != Operation::Delete && !self.leaving()
    }

    /// True when it is on its way out: only its finalizers still change.
    #[must_use]
    pub fn leaving(&self) -> bool {
        self.object["metadata"]["deletionTimestamp"].is_string()
    }

    /// What the mutating webhook writes into it: who asks, at its creation, over whatever stands there.
    #[must_use]
    pub fn stamped(&self, key: &hmac::Key, now: Timestamp) -> Vec<Value> {
        if self.sub || self.operation == Operation::Delete {
            return Vec::new();
        }
        if !self.resource.estate {
            if self.operation != Operation::Create {
                return if self.suspends() { self.word(SUSPENDED_BY, key, now) } else { Vec::new() };
            }
            let by = self.requester(now);
            let mut object = self.object.clone();
            object["spec"]["requestedBy"] = by;
            let stamp = act::stamp(&object, key);
            object["spec"]["requestedBy"]["stamp"] = json!(stamp);
            return vec![json!({ "op": "add", "path": "/spec/requestedBy", "value": object["spec"]["requestedBy"] })];
        }
        let (before, after) = (annotation(&self.old, REQUESTED_AT), annotation(&self.object, REQUESTED_AT));
        if self.resource.kind != "Credential" || after.is_none() || before == after {
            return Vec::new();
        }
        self.word(REQUESTED_BY, key, now)
    }

    /// True when `suspend` of an act that is there comes to another value.
    fn suspends(&self) -> bool {
        let suspended = |object: &Value| object["spec"]["suspend"] == true;
        self.resource.kind == "Reset" && suspended(&self.old) != suspended(&self.object)
    }

    /// Whoever asks, stamped, as an annotation.
    fn word(&self, name: &str, key: &hmac::Key, now: Timestamp) -> Vec<Value> {
        let mut by = self.requester(now);
        by["stamp"] = json!(word_stamp(&self.object, name, &by, key));
        let path = format!("/metadata/annotations/{}", name.replace('/', "~1"));
        let mut patch = Vec::new();
        if !self.object["metadata"]["annotations"].is_object() {
            patch.push(json!({ "op": "add", "path": "/metadata/annotations", "value": {} }));
        }
        patch.push(json!({ "op": "add", "path": path, "value": by.to_string() }));
        patch
    }

    fn requester(&self, now: Timestamp) -> Value {
        let text = |key: &str| self.user[key].as_str().unwrap_or_default();
        let groups: Vec<&str> =
            self.user["groups"].as_array().into_iter().flatten().filter_map(Value::as_str).collect();
        json!({ "user": text("username"), "uid": text("uid"), "groups": groups, "at": now.to_string() })
    }

    /// Why an act, or a word on a Credential, is refused; `None`: it is not.
    #[must_use]
    pub fn refused(&self, key: &hmac::Key, now: Timestamp) -> Option<String> {
        if self.sub || self.operation == Operation::Delete {
            return None;
        }
        let sentence = |error: NoAct| Some(error.to_string());
        if self.resource.estate {
            return self.called(key).err().and_then(sentence);
        }
        // One that is expired is let in, so that it can say so: restored from a backup it is no error.
        if self.operation == Operation::Create
            && let Err(error) = act::age(&self.object, now).map(|_: Age| ())
        {
            return sentence(error);
        }
        if self.leaving() {
            return None;
        }
        if self.operation == Operation::Create
            && let Some(kind) = pasted(&self.object["spec"])
        {
            return Some(format!(
                "a secret value stands here ({kind}): take it out and reset that credential, for it was exposed here"
            ));
        }
        let said = [&self.old, &self.object].map(|object| annotation(object, SUSPENDED_BY));
        let another = said[1].is_some() && said[0] != said[1];
        if self.operation == Operation::Update
            && (another || self.suspends())
            && let Err(error) = suspender(&self.object, key)
        {
            return sentence(error);
        }
        match act::requester(&self.object, key) {
            Err(_) if self.operation == Operation::Update && act::requester(&self.old, key).is_err() => None,
            Err(NoAct::Changed) if self.operation == Operation::Update => Some(
                "an act is asked once, and nothing in it changes but `suspend`: apply another object to ask for something else"
                    .to_owned(),
            ),
            Err(error) => sentence(error),
            Ok(by) if self.operation == Operation::Create && self.user["username"] != by.user => {
                sentence(NoAct::Changed)
            }
            Ok(_) => None,
        }
    }

    /// The word on a Credential that it shall be replaced has the stamp of whoever wrote it.
    fn called(&self, key: &hmac::Key) -> Result<(), NoAct> {
        let (before, after) = (annotation(&self.old, REQUESTED_AT), annotation(&self.object, REQUESTED_AT));
        let by = [&self.old, &self.object].map(|object| annotation(object, REQUESTED_BY));
        if self.resource.kind != "Credential" || (before == after && by[0] == by[1]) {
            return Ok(());
        }
        if after.is_none() {
            return Ok(());
        }
        caller(&self.object, key).map(drop)
    }
}

/// A secret in what a person writes freely. Digests, signatures and stamps look like secrets, and are none.
fn pasted(spec: &Value) -> Option<&'static str> {
    let words = ["reason", "owner", "contain", "from", "except", "clean", "credential", "reset"];
    let texts = words.into_iter().flat_map(|key| match &spec[key] {
        Value::Array(all) => all.iter().filter_map(Value::as_str).collect(),
        one => one.as_str().into_iter().collect::<Vec<_>>(),
    });
    texts.into_iter().find_map(remint_core::estate::secret_shape)
}

/// Who wrote that a Credential shall be replaced, and when that was.
///
/// # Errors
/// Nobody did, or the stamp is of something else.
pub fn caller(object: &Value, key: &hmac::Key) -> Result<act::Requester, NoAct> {
    whose(object, REQUESTED_BY, key)
}

/// Who last said whether a Reset that is there stands still, and when that was.
///
/// # Errors
/// Nobody did, or the stamp is of something else.
pub fn suspender(object: &Value, key: &hmac::Key) -> Result<act::Requester, NoAct> {
    whose(object, SUSPENDED_BY, key)
}

fn whose(object: &Value, name: &str, key: &hmac::Key) -> Result<act::Requester, NoAct> {
    let by: Option<Value> = annotation(object, name).and_then(|text| serde_json::from_str(text).ok());
    let by = by.ok_or(NoAct::Unstamped)?;
    let there = by["stamp"].as_str().unwrap_or_default();
    let mut said = by.clone();
    said.as_object_mut().map(|said| said.remove("stamp"));
    let right = word_stamp(object, name, &said, key);
    if aws_lc_rs::constant_time::verify_slices_are_equal(there.as_bytes(), right.as_bytes()).is_err() {
        return Err(NoAct::Changed);
    }
    let text = |name: &str| by[name].as_str().unwrap_or_default().to_owned();
    let groups = by["groups"].as_array().into_iter().flatten().filter_map(Value::as_str).map(str::to_owned).collect();
    let at = text("at").parse().map_err(|_| NoAct::Changed)?;
    Ok(act::Requester { user: text("user"), uid: text("uid"), groups, at })
}

/// Over what shall be done to which object, the word that said so, and who said it.
fn word_stamp(object: &Value, name: &str, by: &Value, key: &hmac::Key) -> String {
    let spec = if name == SUSPENDED_BY {
        json!({ "requestedAt": object["spec"]["requestedAt"], "stands": object["spec"]["suspend"] == true, "by": by })
    } else {
        json!({ "requestedAt": annotation(object, REQUESTED_AT), "by": by })
    };
    let meta = &object["metadata"];
    // No object is of such a kind: what is stamped here is no act.
    let kind = format!("{name} of {}", object["kind"].as_str().unwrap_or_default());
    let said =
        json!({ "kind": kind, "metadata": { "namespace": meta["namespace"], "name": meta["name"] }, "spec": spec });
    act::stamp(&said, key)
}

/// An annotation, where there is one.
#[must_use]
pub fn annotation<'o>(object: &'o Value, name: &str) -> Option<&'o str> {
    object["metadata"]["annotations"].get(name)?.as_str()
}

/// An answer that lets it through, with what is changed and what the author is told.
#[must_use]
pub fn allowed(asked: &Asked, patch: &[Value], warnings: &[String]) -> Value {
    let mut response = json!({ "uid": asked.uid, "allowed": true });
    if !patch.is_empty() {
        response["patchType"] = json!("JSONPatch");
        response["patch"] = json!(STANDARD.encode(json!(patch).to_string()));
    }
    if !warnings.is_empty() {
        // The server cuts what is longer, and drops the rest of many.
        let short = |text: &String| text.chars().take(250).collect::<String>();
        response["warnings"] = warnings.iter().take(10).map(short).collect();
    }
    review(&response)
}

/// An answer that does not.
#[must_use]
pub fn denied(asked: &Asked, message: &str) -> Value {
    let status = json!({ "code": 422, "reason": "Invalid", "message": message });
    review(&json!({ "uid": asked.uid, "allowed": false, "status": status }))
}

fn review(response: &Value) -> Value {
    json!({ "apiVersion": "admission.k8s.io/v1", "kind": "AdmissionReview", "response": response })
}
