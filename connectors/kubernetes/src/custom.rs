//! Custom resources of others that stand between a value and its readers: ExternalSecrets (External Secrets) and
//! Certificates (cert-manager).
//!
//! Their controllers do the work. A reload asks for it as their own tools do: an ExternalSecret is annotated `force-sync`,
//! a Certificate's status gets the condition `Issuing`. They are seen on a value once they say `Ready` and the Secret that
//! they keep holds it.

use remint_contract::{Call, Error, Expected, Seen, Verb};
use serde_json::{Value, json};

use crate::client::Client;
use crate::fields;
use crate::observe::value;
use crate::place::Place;
use crate::request::Request;
use crate::secret;
use crate::workload::{Named, Sort};

pub(crate) const EXTERNAL_SECRETS: &str = "/apis/external-secrets.io/v1";
pub(crate) const CERT_MANAGER: &str = "/apis/cert-manager.io/v1";

/// Asks the resource's controller to do it now.
pub(crate) async fn renew(client: &Client, call: &Call, named: &Named, found: &Value) -> Result<(), Error> {
    let verb = Verb::Reload;
    let mut changes = vec![json!({"op": "test", "path": "/metadata/uid", "value": found.pointer("/metadata/uid")})];
    let mut path = named.path();
    if named.sort == Sort::Certificate {
        if condition(found, "Issuing") {
            return Ok(());
        }
        path.push_str("/status");
        let mut conditions = found.pointer("/status/conditions").and_then(Value::as_array).cloned().unwrap_or_default();
        conditions.retain(|one| one.get("type").and_then(Value::as_str) != Some("Issuing"));
        conditions.push(json!({
            "type": "Issuing", "status": "True", "reason": "ManuallyTriggered",
            "message": format!("asked for by Remint, operation {}", call.operation),
            "observedGeneration": found.pointer("/metadata/generation"),
        }));
        if found.get("status").is_none() {
            changes.push(json!({"op": "add", "path": "/status", "value": {}}));
        }
        changes.push(json!({"op": "add", "path": "/status/conditions", "value": conditions}));
    } else {
        if found.pointer("/metadata/annotations").is_none() {
            changes.push(json!({"op": "add", "path": "/metadata/annotations", "value": {}}));
        }
        let value = &call.operation.0;
        changes.push(json!({"op": "add", "path": "/metadata/annotations/force-sync", "value": value}));
    }
    let answer = client.act(call, &Request::patch(verb, &path, &changes)).await?;
    answer.done("the request to renew").map_err(|failure| failure.with("workload", named.place.to_string()))
}

/// Which value lies in the Secret that the resource keeps.
pub(crate) async fn seen(
    client: &Client,
    call: &Call,
    named: &Named,
    found: &Value,
    expected: &Expected,
) -> Result<Seen, Error> {
    let text = |place: &str| found.pointer(place).and_then(Value::as_str).map(str::to_owned);
    let name = match named.sort {
        Sort::Certificate => text("/spec/secretName"),
        _ => text("/spec/target/name").or_else(|| Some(named.place.name.clone())),
    };
    let Some(name) = name else { return Ok(Seen::Nothing) };
    let place = Place { namespace: named.place.namespace.clone(), name };
    let Some(secret) = secret::find(client, call, Verb::Observe, &place).await? else { return Ok(Seen::Nothing) };
    let seen = value(&fields::decode(secret.data()), expected);
    let settled = condition(found, "Ready") && !condition(found, "Issuing");
    Ok(if seen == Seen::New && !settled { Seen::Nothing } else { seen })
}

fn condition(found: &Value, sort: &str) -> bool {
    let conditions = found.pointer("/status/conditions").and_then(Value::as_array);
    let is = |one: &Value, name: &str, value: &str| one.get(name).and_then(Value::as_str) == Some(value);
    conditions.is_some_and(|all| all.iter().any(|one| is(one, "type", sort) && is(one, "status", "True")))
}
