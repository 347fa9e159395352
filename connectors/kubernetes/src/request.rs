//! One request to the API server, and what losing its answer means.

use http::Method;
use remint_contract::{ErrorKind, Verb};
use serde::Serialize;
use serde_json::Value;
use zeroize::Zeroizing;

/// Does the request change something?
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Effect {
    Reads,
    Changes,
}

impl Effect {
    /// The class of a failure that leaves it open whether the request was done.
    pub(crate) const fn when_lost(self) -> ErrorKind {
        match self {
            Self::Reads => ErrorKind::Unreachable,
            Self::Changes => ErrorKind::Unclear,
        }
    }
}

pub(crate) struct Request {
    pub(crate) verb: Verb,
    pub(crate) effect: Effect,
    pub(crate) method: Method,
    /// With its query, where it has one.
    pub(crate) path: String,
    pub(crate) content: &'static str,
    pub(crate) accept: &'static str,
    /// May hold a secret.
    pub(crate) body: Zeroizing<Vec<u8>>,
    /// True once enough of an answer that would go on was read.
    pub(crate) enough: Option<fn(&[u8]) -> bool>,
}

impl Request {
    pub(crate) fn get(verb: Verb, path: String) -> Self {
        Self::new(verb, Effect::Reads, Method::GET, path)
    }

    /// Only what stands beside the data.
    pub(crate) fn head(verb: Verb, path: String) -> Self {
        let mut request = Self::get(verb, path);
        request.accept = "application/json;as=PartialObjectMetadata;g=meta.k8s.io;v=v1";
        request
    }

    /// A question that is put as a document: a review.
    pub(crate) fn ask(verb: Verb, path: &str, body: &Value) -> Self {
        Self::new(verb, Effect::Reads, Method::POST, path.to_owned()).with(JSON, body)
    }

    pub(crate) fn create(verb: Verb, path: &str, body: &impl Serialize) -> Self {
        let path = format!("{path}?fieldManager={MANAGER}");
        Self::new(verb, Effect::Changes, Method::POST, path).with(JSON, body)
    }

    /// Server-side apply; `force` takes fields from other managers.
    pub(crate) fn apply(verb: Verb, path: &str, force: bool, body: &impl Serialize) -> Self {
        let path = format!("{path}?fieldManager={MANAGER}&force={force}");
        // JSON is YAML.
        Self::new(verb, Effect::Changes, Method::PATCH, path).with("application/apply-patch+yaml", body)
    }

    /// Single changes at their places, all or none.
    pub(crate) fn patch(verb: Verb, path: &str, changes: &[Value]) -> Self {
        let path = format!("{path}?fieldManager={MANAGER}");
        Self::new(verb, Effect::Changes, Method::PATCH, path).with("application/json-patch+json", &changes)
    }

    /// Only the one thing that has this uid.
    pub(crate) fn delete(verb: Verb, path: String, uid: &str) -> Self {
        let options = serde_json::json!({"apiVersion": "v1", "kind": "DeleteOptions", "preconditions": {"uid": uid}});
        Self::new(verb, Effect::Changes, Method::DELETE, path).with(JSON, &options)
    }

    fn new(verb: Verb, effect: Effect, method: Method, path: String) -> Self {
        Self { verb, effect, method, path, content: JSON, accept: JSON, body: Zeroizing::new(Vec::new()), enough: None }
    }

    fn with(mut self, content: &'static str, body: &impl Serialize) -> Self {
        self.content = content;
        // What is written here has string keys throughout: it can be written.
        self.body = Zeroizing::new(serde_json::to_vec(body).unwrap_or_default());
        self
    }
}

/// Who owns the fields that Remint writes, by server-side apply.
pub(crate) const MANAGER: &str = "remint";
const JSON: &str = "application/json";
