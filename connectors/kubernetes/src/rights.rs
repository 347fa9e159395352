//! What the actor may do, asked of the API server itself, which changes nothing.

use remint_contract::{Call, Error, ErrorKind, Verb};
use serde_json::{Value, json};

use crate::client::Client;
use crate::config::{Secrets, Tokens};
use crate::place::Place;
use crate::request::Request;

/// One thing to do with one resource.
struct Right<'a> {
    verb: &'a str,
    group: &'a str,
    resource: &'a str,
    part: &'a str,
    /// Of one name, or of all.
    name: &'a str,
}

const fn right<'a>(verb: &'a str, group: &'a str, resource: &'a str) -> Right<'a> {
    Right { verb, group, resource, part: "", name: "" }
}

/// Is the server there, and may the actor do what the settings ask for?
pub(crate) async fn check(client: &Client, call: &Call, path: Option<&str>) -> Result<(), Error> {
    let settings = &client.settings;
    if let Some(path) = path {
        let place = Place::parse(Verb::Check, path, &settings.namespace)?;
        let versioned = settings.secrets == Secrets::Versioned;
        let verbs: &[&str] = if versioned { &["list", "create", "delete"] } else { &["get", "patch"] };
        for verb in verbs {
            // Versions have names of their own.
            let name = if versioned { "" } else { place.name.as_str() };
            allowed(client, call, &place.namespace, Right { name, ..right(verb, "", "secrets") }).await?;
        }
        return Ok(());
    }
    let mut rights = Vec::new();
    if settings.tokens != Tokens::None {
        rights.extend([right("create", "", "secrets"), right("list", "", "secrets"), right("delete", "", "secrets")]);
        rights.push(right("get", "", "serviceaccounts"));
    }
    if settings.tokens == Tokens::Bound {
        rights.push(Right { part: "token", ..right("create", "", "serviceaccounts") });
    }
    if settings.workloads {
        rights.extend([right("list", "", "pods"), right("patch", "apps", "deployments")]);
    }
    if rights.is_empty() {
        rights.push(right("get", "", "secrets"));
    }
    for right in rights {
        allowed(client, call, &settings.namespace, right).await?;
    }
    Ok(())
}

async fn allowed(client: &Client, call: &Call, namespace: &str, right: Right<'_>) -> Result<(), Error> {
    let asked = json!({
        "apiVersion": "authorization.k8s.io/v1",
        "kind": "SelfSubjectAccessReview",
        "spec": {"resourceAttributes": {
            "namespace": namespace, "verb": right.verb, "group": right.group, "resource": right.resource,
            "subresource": right.part, "name": right.name,
        }},
    });
    let answer = client.act(call, &Request::ask(Verb::Check, REVIEW, &asked)).await?;
    let review: Value = answer.data("the actor's rights")?;
    if review.pointer("/status/allowed") == Some(&Value::Bool(true)) {
        return Ok(());
    }
    let resource = format!("{}{}{}", right.resource, if right.part.is_empty() { "" } else { "/" }, right.part);
    let message = format!("no role lets the actor {} {resource}", right.verb);
    Err(Error::new(ErrorKind::Denied, Verb::Check, message).with("namespace", namespace))
}

const REVIEW: &str = "/apis/authorization.k8s.io/v1/selfsubjectaccessreviews";
