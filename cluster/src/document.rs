//! An object of the cluster as a document of the estate.

use remint_contract::{DEFAULT_NAMESPACE, Name, Ref};
use remint_core::estate::{Problem, SourceFile};
use serde_json::{Map, Value, json};

use crate::crd::Resource;

/// What an object is as a document: without what the server and other tools keep in it. What belongs to the whole cluster
/// stands in the namespace `default`, and what is suspended says so nowhere: it is not among the documents.
#[must_use]
pub fn document(object: &Value) -> SourceFile {
    let kind = object["kind"].as_str().unwrap_or_default();
    let mut meta = Map::new();
    meta.insert("name".to_owned(), object["metadata"]["name"].clone());
    meta.insert("namespace".to_owned(), json!(namespace(object)));
    if let Some(labels) = object["metadata"].get("labels").filter(|labels| labels.is_object()) {
        meta.insert("labels".to_owned(), labels.clone());
    }
    let mut spec = object["spec"].clone();
    if kind == "RotationWindow"
        && let Some(spec) = spec.as_object_mut()
    {
        spec.remove("suspend");
    }
    let written = json!({
        "apiVersion": object["apiVersion"], "kind": object["kind"], "metadata": meta, "spec": spec,
    });
    // Text between quotes is read as text in either language.
    SourceFile { name: name(object), bytes: written.to_string().into_bytes() }
}

/// True for what stands aside until somebody takes the word away.
#[must_use]
pub fn suspended(object: &Value) -> bool {
    object["kind"] == "RotationWindow" && object["spec"]["suspend"] == true
}

/// The namespace that it has as a document.
#[must_use]
pub fn namespace(object: &Value) -> &str {
    let kind = object["kind"].as_str().unwrap_or_default();
    let here = Resource::named(kind).is_some_and(|resource| resource.namespaced);
    object["metadata"]["namespace"].as_str().filter(|_| here).unwrap_or(DEFAULT_NAMESPACE)
}

/// `Kind/name` or `Kind/namespace/name`, whatever the object says.
#[must_use]
pub fn name(object: &Value) -> String {
    let kind = object["kind"].as_str().unwrap_or_default();
    let name = object["metadata"]["name"].as_str().unwrap_or_default();
    match namespace(object) {
        DEFAULT_NAMESPACE => format!("{kind}/{name}"),
        space => format!("{kind}/{space}/{name}"),
    }
}

/// What other documents call it; `None`: it is an act, or no document can have that name.
#[must_use]
pub fn reference(object: &Value) -> Option<Ref> {
    let kind = object["kind"].as_str()?.parse().ok()?;
    let namespace = Name::new(namespace(object)).ok()?;
    Some(Ref { kind, namespace, name: Name::new(object["metadata"]["name"].as_str()?).ok()? })
}

/// A problem in one sentence: an object has no lines that its author wrote.
#[must_use]
pub fn sentence(problem: &Problem) -> String {
    match &problem.subject {
        Some(subject) => format!("{} ({subject}): {}", problem.message, problem.hint),
        None => format!("{}: {}", problem.message, problem.hint),
    }
}
