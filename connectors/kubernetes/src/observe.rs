//! Which value a workload's pods read: the roll-out has ended, *and* each pod names the Secret, *and* it was made to read
//! that Secret in the version that holds the value.
//!
//! The version that a pod reads is what its node reports in `remint.dev/mounted` (`name=version,…`), where something on the
//! node does, else what the stamp of its template noted when it was rolled out. A pod that names another Secret, or reads an
//! older version, keeps its workload unconfirmed, whatever the roll-out says. That a process in the pod uses what it
//! mounts is not seen here: the grade is `rolled-out`.

use std::collections::BTreeMap;

use remint_contract::{Call, ConfirmGrade, Error, Expected, Material, Observation, Seen, Verb, Workload};
use serde::Deserialize;
use serde_json::Value;

use crate::client::Client;
use crate::config::Secrets;
use crate::custom;
use crate::fields::{self, Fields};
use crate::place::{CORE, Place, collection};
use crate::pod::references;
use crate::request::Request;
use crate::secret::{self, List, REPLACES};
use crate::versioned::is_version;
use crate::workload::{self, Named, READ, Sort, noted};

/// What a node says that it mounted into a pod.
const MOUNTED: &str = "remint.dev/mounted";

#[derive(Deserialize)]
struct Pod {
    metadata: PodMetadata,
    spec: Value,
    #[serde(default)]
    status: Status,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct PodMetadata {
    #[serde(default)]
    annotations: BTreeMap<String, String>,
    #[serde(default)]
    deletion_timestamp: Option<String>,
}

#[derive(Deserialize, Default)]
struct Status {
    #[serde(default)]
    phase: String,
}

pub(crate) async fn observe(
    client: &Client,
    call: &Call,
    workload: &Workload,
    expected: &Expected,
) -> Result<Observation, Error> {
    let verb = Verb::Observe;
    let named = Named::parse(verb, workload, &client.settings.namespace)?;
    let found = workload::find(client, call, verb, &named).await?;
    let seen = match named.sort {
        Sort::ExternalSecret | Sort::Certificate => custom::seen(client, call, &named, &found, expected).await?,
        Sort::Deployment | Sort::StatefulSet | Sort::DaemonSet => {
            pods_see(client, call, &named, &found, expected).await?
        }
    };
    Ok(Observation { seen, grade: ConfirmGrade::RolledOut })
}

async fn pods_see(
    client: &Client,
    call: &Call,
    named: &Named,
    found: &Value,
    expected: &Expected,
) -> Result<Seen, Error> {
    let Some(path) = &expected.path else { return Ok(Seen::Nothing) };
    let place = Place::parse(Verb::Observe, path, &client.settings.namespace)?;
    let pods = pods(client, call, named, found).await?;
    if pods.is_empty() || place.namespace != named.place.namespace {
        return Ok(Seen::Nothing);
    }
    let mut known = Known { client, call, place: &place, expected, read: BTreeMap::new() };
    let mut all = Vec::new();
    for pod in &pods {
        all.push(known.seen_by(pod).await?);
    }
    let some = |seen: Seen| all.contains(&seen);
    Ok(if some(Seen::Old) {
        Seen::Old
    } else if some(Seen::Other) {
        Seen::Other
    } else if some(Seen::Nothing) || !is_rolled_out(named.sort, found) {
        Seen::Nothing
    } else {
        Seen::New
    })
}

/// What the Secrets at one path hold, each asked for once.
struct Known<'a> {
    client: &'a Client,
    call: &'a Call,
    place: &'a Place,
    expected: &'a Expected,
    read: BTreeMap<String, Option<Held>>,
}

/// A Secret's values, in the contract's words.
struct Held {
    version: String,
    replaces: Option<String>,
    value: Seen,
}

impl Known<'_> {
    async fn seen_by(&mut self, pod: &Pod) -> Result<Seen, Error> {
        let versioned = self.client.settings.secrets == Secrets::Versioned;
        let base = self.place.name.clone();
        let is_it = |name: &str| name == base || (versioned && is_version(&base, name));
        let mut names: Vec<_> =
            references(&pod.spec).into_iter().map(|one| one.name).filter(|name| is_it(name)).collect();
        names.sort_unstable();
        names.dedup();
        // One that reads two versions reads the older one.
        let [name] = names.as_slice() else { return Ok(Seen::Other) };
        let old_is_known = self.expected.old.is_some();
        let Some(held) = self.held(name).await? else { return Ok(Seen::Other) };
        let annotation = |name: &str| pod.metadata.annotations.get(name).map(|text| noted(text));
        let mounted = annotation(MOUNTED);
        let Some(noted) = mounted.or_else(|| annotation(READ)) else { return Ok(Seen::Nothing) };
        // What the new value replaced is the old one.
        let is_before = old_is_known && held.value == Seen::New;
        Ok(match noted.get(name.as_str()) {
            Some(version) if *version == held.version => held.value,
            Some(version) if is_before && held.replaces.as_deref() == Some(*version) => Seen::Old,
            _ => Seen::Other,
        })
    }

    async fn held(&mut self, name: &str) -> Result<Option<&Held>, Error> {
        if !self.read.contains_key(name) {
            let place = Place { namespace: self.place.namespace.clone(), name: name.to_owned() };
            let found = secret::find(self.client, self.call, Verb::Observe, &place).await?;
            let held = found.map(|secret| Held {
                value: value(&fields::decode(secret.data()), self.expected),
                replaces: secret.annotation(REPLACES).map(str::to_owned),
                version: secret.metadata.resource_version,
            });
            self.read.insert(name.to_owned(), held);
        }
        Ok(self.read.get(name).and_then(Option::as_ref))
    }
}

/// Which of the two values lies there. A Secret with both is not all new.
pub(crate) fn value(fields: &Fields, expected: &Expected) -> Seen {
    let prints: Vec<_> = fields.values().map(|value| Material::of(value.clone()).fingerprint()).collect();
    if expected.old.as_ref().is_some_and(|old| prints.contains(old)) {
        Seen::Old
    } else if prints.contains(&expected.new) {
        Seen::New
    } else {
        Seen::Other
    }
}

/// Pods that live, or are about to.
async fn pods(client: &Client, call: &Call, named: &Named, found: &Value) -> Result<Vec<Pod>, Error> {
    let selector = selector(found.pointer("/spec/selector").unwrap_or(&Value::Null));
    let selector: String = url::form_urlencoded::byte_serialize(selector.as_bytes()).collect();
    let path = format!("{}?labelSelector={selector}", collection(CORE, &named.place.namespace, "pods"));
    let answer = client.act(call, &Request::get(Verb::Observe, path)).await?;
    let list: List<Pod> = answer.data("the pods")?;
    let lives = |pod: &Pod| {
        pod.metadata.deletion_timestamp.is_none() && !matches!(pod.status.phase.as_str(), "Succeeded" | "Failed")
    };
    Ok(list.items.into_iter().filter(lives).collect())
}

/// A selector as a query has it.
fn selector(selector: &Value) -> String {
    let labels = selector.get("matchLabels").and_then(Value::as_object).into_iter().flatten();
    let labels = labels.map(|(name, value)| format!("{name}={}", value.as_str().unwrap_or_default()));
    let expressions = selector.get("matchExpressions").and_then(Value::as_array).into_iter().flatten();
    let expressions = expressions.map(|one| {
        let text = |name: &str| one.get(name).and_then(Value::as_str).unwrap_or_default();
        let values = one.get("values").and_then(Value::as_array).into_iter().flatten();
        let values: Vec<_> = values.filter_map(Value::as_str).collect();
        match text("operator") {
            "Exists" => text("key").to_owned(),
            "DoesNotExist" => format!("!{}", text("key")),
            operator => format!("{} {} ({})", text("key"), operator.to_lowercase(), values.join(",")),
        }
    });
    labels.chain(expressions).collect::<Vec<_>>().join(",")
}

/// Every pod is of the present template, and ready.
fn is_rolled_out(sort: Sort, found: &Value) -> bool {
    let number = |place: &str| found.pointer(place).and_then(Value::as_u64);
    let status = |name: &str| number(&format!("/status/{name}")).unwrap_or(0);
    let observed = number("/metadata/generation").is_some_and(|wanted| status("observedGeneration") >= wanted);
    let wanted = number("/spec/replicas").unwrap_or(1);
    let full = |names: &[&str], wanted: u64| names.iter().all(|name| status(name) == wanted);
    observed
        && match sort {
            Sort::Deployment => full(&["replicas", "updatedReplicas", "availableReplicas"], wanted),
            Sort::StatefulSet => {
                let revision = |name: &str| found.pointer(&format!("/status/{name}")).and_then(Value::as_str);
                full(&["replicas", "readyReplicas"], wanted)
                    && revision("currentRevision") == revision("updateRevision")
            }
            Sort::DaemonSet => full(&["updatedNumberScheduled", "numberAvailable"], status("desiredNumberScheduled")),
            Sort::ExternalSecret | Sort::Certificate => false,
        }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn a_selector_reads_as_the_api_has_it() {
        let written = json!({
            "matchLabels": {"app": "web"},
            "matchExpressions": [
                {"key": "tier", "operator": "NotIn", "values": ["a", "b"]},
                {"key": "canary", "operator": "DoesNotExist"},
            ],
        });
        assert_eq!(selector(&written), "app=web,tier notin (a,b),!canary");
    }

    #[test]
    fn a_roll_out_has_ended_when_every_pod_is_new_and_ready() {
        let deployment = |generation: u64, replicas: u64, updated: u64, available: u64| {
            json!({"metadata": {"generation": 2}, "spec": {"replicas": 2}, "status": {
                "observedGeneration": generation, "replicas": replicas, "updatedReplicas": updated,
                "availableReplicas": available,
            }})
        };
        assert!(is_rolled_out(Sort::Deployment, &deployment(2, 2, 2, 2)));
        for short in [deployment(1, 2, 2, 2), deployment(2, 3, 2, 2), deployment(2, 2, 1, 2), deployment(2, 2, 2, 1)] {
            assert!(!is_rolled_out(Sort::Deployment, &short), "{short}");
        }
    }
}
