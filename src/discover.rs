//! What a system says of itself, held against the estate: new documents, and what known credentials open beyond their
//! documents.
//!
//! A connector calls its own system `this` and describes others beside it; here they get the names that the estate has for
//! them. Nothing becomes active by it: it is what a person puts into documents.

use std::collections::BTreeMap;
use std::sync::Arc;

use remint_contract::{Kind, OperationId, Ref, Verb};
use remint_core::estate::{Credential, Estate, UnlockVerb, UnlockWhat};
use serde::Serialize;
use serde_json::Value;

use crate::engine::host::Ask;
use crate::engine::{Engine, EngineError};

/// What the estate does not say yet.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize)]
pub struct Found {
    pub documents: Vec<Value>,
    pub edges: Vec<Edge>,
}

/// Something that a known credential opens.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Edge {
    pub credential: Ref,
    pub what: String,
    pub verb: String,
}

/// Asks a system.
///
/// # Errors
/// It does not say such things, or cannot be asked.
pub async fn discover(engine: &Engine, estate: Arc<Estate>, system: &Ref) -> Result<Found, EngineError> {
    let host = engine.host(Arc::clone(&estate));
    let operation = OperationId("discover".into());
    let ask = Ask { system, verb: Verb::Discover, operation: &operation, actor: None };
    let said = host.call(ask, |connector, call| async move { connector.discover(&call).await }).await?;
    Ok(beyond(said, &estate, system))
}

/// What of it the estate does not say.
fn beyond(said: Vec<Value>, estate: &Estate, system: &Ref) -> Found {
    let mut names = BTreeMap::from([("this".to_owned(), system.name.to_string())]);
    let mut found = Found::default();
    let mut known = Vec::new();
    for document in &said {
        let own = name(document);
        if let Some(system) = same_system(document, estate, system) {
            names.insert(own.to_owned(), system.name.to_string());
        } else if let Some((reference, credential)) = same_credential(document, estate, system) {
            known.push((own.to_owned(), reference.clone(), credential));
        } else if !has(document, estate, system) {
            found.documents.push(document.clone());
        }
    }
    let called: BTreeMap<String, String> =
        known.iter().map(|(own, reference, _)| (own.clone(), reference.name.to_string())).collect();
    for document in &mut found.documents {
        rename(document, &names, &called);
        if system.namespace != remint_contract::Name::default_namespace() {
            document["metadata"]["namespace"] = Value::String(system.namespace.to_string());
        }
    }
    for (own, reference, credential) in known {
        let document = said.iter().find(|one| one["kind"] == "Credential" && name(one) == own);
        for edge in document.and_then(|one| one["spec"]["unlocks"].as_array()).into_iter().flatten() {
            let mut edge = edge.clone();
            rename(&mut edge, &names, &called);
            let text = |key: &str| edge[key].as_str().unwrap_or_default().to_owned();
            let (what, verb) = (text("what"), text("verb"));
            if !opens(credential, &what, &verb) {
                found.edges.push(Edge { credential: reference.clone(), what, verb });
            }
        }
    }
    found
}

fn name(document: &Value) -> &str {
    document["metadata"]["name"].as_str().unwrap_or_default()
}

/// A System of the estate with this connector and at least these settings.
fn same_system<'e>(document: &Value, estate: &'e Estate, beside: &Ref) -> Option<&'e Ref> {
    let spec = document["spec"].as_object().filter(|_| document["kind"] == "System")?;
    let holds = |all: &Value, some: &Value| {
        some.as_object().is_some_and(|some| some.iter().all(|(key, value)| all.get(key) == Some(value)))
    };
    let systems = estate.systems.iter().filter(|(reference, _)| reference.namespace == beside.namespace);
    let mut same =
        systems.filter(|(_, system)| spec.get(&system.connector).is_some_and(|it| holds(&system.settings, it)));
    same.next().map(|(reference, _)| reference)
}

/// The credential of the estate that is issued to the same target.
fn same_credential<'e>(document: &Value, estate: &'e Estate, system: &Ref) -> Option<(&'e Ref, &'e Credential)> {
    let target = document["spec"]["issuedBy"]["target"].as_str().filter(|_| document["kind"] == "Credential")?;
    let is =
        |credential: &Credential| credential.issued_by.system == *system && credential.issued_by.target.name == target;
    estate.credentials.iter().find(|(_, credential)| is(credential))
}

/// Does the estate have a workload that runs there?
fn has(document: &Value, estate: &Estate, system: &Ref) -> bool {
    let runs = document["spec"]["runsOn"]["ref"].as_str().filter(|_| document["kind"] == "Workload");
    runs.is_some_and(|reference| {
        let runs_on = estate.workloads.values().filter_map(|workload| workload.runs_on.as_ref());
        runs_on.into_iter().any(|it| it.system == *system && it.reference == reference)
    })
}

/// Puts the estate's names where the connector's own stand.
fn rename(value: &mut Value, systems: &BTreeMap<String, String>, credentials: &BTreeMap<String, String>) {
    match value {
        Value::Array(all) => all.iter_mut().for_each(|one| rename(one, systems, credentials)),
        Value::Object(all) => {
            for (key, one) in all {
                match one {
                    Value::String(text) if key == "system" => {
                        if let Some(name) = systems.get(text) {
                            text.clone_from(name);
                        }
                    }
                    one => rename(one, systems, credentials),
                }
            }
        }
        Value::String(text) => {
            let renamed = match (text.split_once(':'), text.split_once('/')) {
                (_, Some(("System", name))) => systems.get(name).map(|name| format!("System/{name}")),
                (_, Some(("Credential", name))) => credentials.get(name).map(|name| format!("Credential/{name}")),
                (Some((system, path)), _) => systems.get(system).map(|name| format!("{name}:{path}")),
                _ => None,
            };
            if let Some(renamed) = renamed {
                *text = renamed;
            }
        }
        _ => {}
    }
}

/// Does its document say this already, or something wider?
fn opens(credential: &Credential, what: &str, verb: &str) -> bool {
    credential.unlocks.iter().any(|unlock| {
        let said = serde_json::to_value(unlock.verb).ok();
        if unlock.verb != UnlockVerb::Admin && said.as_ref().and_then(Value::as_str) != Some(verb) {
            return false;
        }
        match &unlock.what {
            UnlockWhat::Places(pattern) => {
                let start = format!("{}:{}", pattern.system.name, pattern.path);
                if pattern.wildcard { what.starts_with(&start) } else { what == start }
            }
            UnlockWhat::Node(node) if node.kind == Kind::System => {
                what == format!("System/{}", node.name) || what.starts_with(&format!("{}:", node.name))
            }
            UnlockWhat::Node(node) => what == format!("{}/{}", node.kind, node.name),
        }
    })
}

#[cfg(test)]
mod tests {
    use remint_core::estate::{SourceFile, load};
    use serde_json::json;

    use super::*;
    use crate::registry::Registry;

    const ESTATE: &str = "\
apiVersion: remint.dev/v1alpha1
kind: System
metadata: {name: bao}
spec: {vault: {address: \"https://bao:8200\", engine: approle}}
---
apiVersion: remint.dev/v1alpha1
kind: System
metadata: {name: secrets}
spec: {vault: {address: \"https://bao:8200\", engine: kv2, mount: kv, login: token}}
---
apiVersion: remint.dev/v1alpha1
kind: Identity
metadata: {name: ci}
spec: {class: workload, tier: standard, owners: {business: b, policy: p, execution: e}}
---
apiVersion: remint.dev/v1alpha1
kind: Credential
metadata: {name: runner}
spec:
  type: vault-approle
  identity: ci
  issuedBy: {system: bao, target: ci}
  unlocks: [{what: \"secrets:team/*\", verb: read}]
  rotation: {strategy: overlap}
";

    fn said() -> Vec<Value> {
        let credential = |name: &str, unlocks: Value| {
            json!({"kind": "Credential", "metadata": {"name": name},
                "spec": {"issuedBy": {"system": "this", "target": name}, "unlocks": unlocks}})
        };
        let system = |name: &str| {
            json!({"kind": "System", "metadata": {"name": name},
                "spec": {"vault": {"address": "https://bao:8200", "engine": "kv2", "mount": name}}})
        };
        let edge = |what: &str, verb: &str| json!({"what": what, "verb": verb});
        vec![
            system("kv"),
            system("other"),
            credential("ci", json!([edge("kv:team/app", "read"), edge("kv:team/app", "write")])),
            credential(
                "boss",
                json!([edge("this:ci", "mint"), edge("Credential/ci", "mint"), edge("System/other", "admin")]),
            ),
        ]
    }

    #[test]
    fn only_what_the_estate_does_not_say_is_left_and_by_its_names() {
        let files = [SourceFile { name: "estate.yaml".to_owned(), bytes: ESTATE.as_bytes().to_vec() }];
        let estate = load(&files, &Registry::new()).map_err(|problems| panic!("{problems}")).unwrap().estate;
        let found = beyond(said(), &estate, &"System/bao".parse().unwrap());
        let names: Vec<_> = found.documents.iter().map(name).collect();
        assert_eq!(names, ["other", "boss"]);
        let boss = &found.documents[1]["spec"];
        assert_eq!(boss["issuedBy"]["system"], "bao");
        let opened: Vec<_> =
            boss["unlocks"].as_array().unwrap().iter().map(|one| one["what"].as_str().unwrap()).collect();
        assert_eq!(opened, ["bao:ci", "Credential/runner", "System/other"]);
        let edge = Edge {
            credential: "Credential/runner".parse().unwrap(),
            what: "secrets:team/app".into(),
            verb: "write".into(),
        };
        assert_eq!(found.edges, [edge]);
    }
}
