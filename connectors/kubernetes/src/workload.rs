//! Workloads: what they are called, and how they are made to read again.
//!
//! Flow of `reload`: the workload is read; what its pods will read is noted, as `name=version` of every Secret that it
//! names; the note and the operation are stamped on the template of its pods, which the controllers roll out. The stamp is
//! the operation's id, so that two within one second are two. Where Secrets are kept as versions, the template's names move
//! to the newest ones in the same change.
//!
//! Guarantees: several Secrets that were delivered before one roll-out are one roll-out: a reload whose Secrets the stamp
//! notes in their present version changes nothing. A repeat of an operation changes nothing. A reload for a value that does
//! not lie in this cluster always rolls.

use std::collections::{BTreeMap, BTreeSet};

use remint_contract::{Call, Error, ErrorKind, Verb, Workload};
use serde::Deserialize;
use serde_json::{Value, json};

use crate::client::Client;
use crate::config::Secrets;
use crate::custom;
use crate::place::{APPS, CORE, Place};
use crate::pod::{Reference, references};
use crate::request::Request;
use crate::secret::{Metadata, VERSION_OF};
use crate::versioned;

/// Which operation rolled the template out.
const RESTARTED: &str = "remint.dev/restarted";
/// `name=version` of the Secrets that pods of the template were made to read.
pub(crate) const READ: &str = "remint.dev/read";

/// What runs, or stands for something that runs.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Sort {
    Deployment,
    StatefulSet,
    DaemonSet,
    ExternalSecret,
    Certificate,
}

impl Sort {
    fn named(kind: &str) -> Option<Self> {
        Some(match kind {
            "Deployment" | "deploy" => Self::Deployment,
            "StatefulSet" | "sts" => Self::StatefulSet,
            "DaemonSet" | "ds" => Self::DaemonSet,
            "ExternalSecret" => Self::ExternalSecret,
            "Certificate" => Self::Certificate,
            _ => return None,
        })
    }
}

/// A workload by `Kind/name`, `Kind/namespace/name` or `namespace/kind/name`.
pub(crate) struct Named {
    pub(crate) sort: Sort,
    pub(crate) place: Place,
}

impl Named {
    pub(crate) fn parse(verb: Verb, workload: &Workload, namespace: &str) -> Result<Self, Error> {
        let read = || {
            let (kind, rest) = workload.reference.split_once('/')?;
            if let Some(sort) = Sort::named(kind) {
                return Some(Self { sort, place: Place::read(rest, namespace)? });
            }
            let (kind, name) = rest.split_once('/')?;
            let namespace = workload.reference.split('/').next()?;
            Some(Self { sort: Sort::named(kind)?, place: Place::read(&format!("{namespace}/{name}"), "")? })
        };
        read().ok_or_else(|| {
            let message = "write runsOn.ref as Kind/name, Kind/namespace/name or namespace/Kind/name, where Kind is Deployment, StatefulSet, \
                           DaemonSet, ExternalSecret or Certificate";
            Error::new(ErrorKind::Invalid, verb, message).with("workload", &workload.name)
        })
    }

    /// Where the API has it.
    pub(crate) fn path(&self) -> String {
        match self.sort {
            Sort::Deployment => self.place.path(APPS, "deployments"),
            Sort::StatefulSet => self.place.path(APPS, "statefulsets"),
            Sort::DaemonSet => self.place.path(APPS, "daemonsets"),
            Sort::ExternalSecret => self.place.path(custom::EXTERNAL_SECRETS, "externalsecrets"),
            Sort::Certificate => self.place.path(custom::CERT_MANAGER, "certificates"),
        }
    }
}

pub(crate) async fn find(client: &Client, call: &Call, verb: Verb, named: &Named) -> Result<Value, Error> {
    let answer = client.act(call, &Request::get(verb, named.path())).await?;
    answer.data("the workload").map_err(|failure| failure.with("workload", named.place.to_string()))
}

pub(crate) async fn reload(client: &Client, call: &Call, workload: &Workload) -> Result<(), Error> {
    let verb = Verb::Reload;
    let named = Named::parse(verb, workload, &client.settings.namespace)?;
    let found = find(client, call, verb, &named).await?;
    if matches!(named.sort, Sort::ExternalSecret | Sort::Certificate) {
        return custom::renew(client, call, &named, &found).await;
    }
    let none = Value::Null;
    let spec = found.pointer("/spec/template/spec").unwrap_or(&none);
    let references = references(spec);
    let delivered = delivered(workload, client)?;
    let moves = moves(client, call, &named, &references, &delivered).await?;
    let reads: BTreeSet<&str> =
        references.iter().map(|one| moves.get(&one.name).map_or(one.name.as_str(), String::as_str)).collect();
    let mut versions = BTreeMap::new();
    for name in reads {
        let place = Place { namespace: named.place.namespace.clone(), name: name.to_owned() };
        if let Some(metadata) = metadata(client, call, verb, &place).await? {
            versions.insert(name.to_owned(), metadata.resource_version);
        }
    }
    let stamp = |name: &str| stamped(&found, name);
    if stamp(RESTARTED) == Some(call.operation.0.as_str()) {
        return Ok(());
    }
    let noted = noted(stamp(READ).unwrap_or_default());
    let named_here = |place: &&Place| place.namespace == named.place.namespace && versions.contains_key(&place.name);
    let mut told = delivered.iter().filter(named_here).peekable();
    let is_noted =
        |place: &Place| noted.get(place.name.as_str()).copied() == versions.get(&place.name).map(String::as_str);
    if moves.is_empty() && told.peek().is_some() && told.all(is_noted) {
        return Ok(());
    }
    let read: Vec<_> = versions.iter().map(|(name, version)| format!("{name}={version}")).collect();
    let changes = changes(&found, &references, &moves, &[(RESTARTED, &call.operation.0), (READ, &read.join(","))]);
    let answer = client.act(call, &Request::patch(verb, &named.path(), &changes)).await?;
    answer.done("the roll-out").map_err(|failure| failure.with("workload", named.place.to_string()))
}

/// The places in this cluster that the reload is for, as the host says; none when it is for a value that lies elsewhere.
fn delivered(workload: &Workload, client: &Client) -> Result<Vec<Place>, Error> {
    #[derive(Deserialize)]
    struct Told {
        #[serde(default)]
        delivered: Vec<String>,
    }
    let told = Told::deserialize(&workload.settings).map_or_else(|_| Vec::new(), |told| told.delivered);
    told.iter().map(|path| Place::parse(Verb::Reload, path, &client.settings.namespace)).collect()
}

/// From the name that the template has to the newest version's.
async fn moves(
    client: &Client,
    call: &Call,
    named: &Named,
    references: &[Reference],
    delivered: &[Place],
) -> Result<BTreeMap<String, String>, Error> {
    let mut moves = BTreeMap::new();
    if client.settings.secrets != Secrets::Versioned {
        return Ok(moves);
    }
    let verb = Verb::Reload;
    let mut newest = BTreeMap::new();
    for name in references.iter().map(|one| one.name.as_str()).collect::<BTreeSet<_>>() {
        let place = |name: &str| Place { namespace: named.place.namespace.clone(), name: name.to_owned() };
        // One that is gone says nothing of itself: its name then does, for what was delivered.
        let label = metadata(client, call, verb, &place(name)).await?.and_then(|mut one| one.labels.remove(VERSION_OF));
        let told = || delivered.iter().map(|one| one.name.clone()).find(|base| versioned::is_version(base, name));
        let Some(base) = label.or_else(told) else { continue };
        if !newest.contains_key(&base) {
            let found = versioned::newest(client, call, verb, &place(&base)).await?;
            newest.insert(base.clone(), found.map(|(number, _)| versioned::named(&place(&base), number).name));
        }
        if let Some(Some(newer)) = newest.get(&base).filter(|newer| newer.as_deref() != Some(name)) {
            moves.insert(name.to_owned(), newer.clone());
        }
    }
    Ok(moves)
}

async fn metadata(client: &Client, call: &Call, verb: Verb, place: &Place) -> Result<Option<Metadata>, Error> {
    #[derive(Deserialize)]
    struct Partial {
        metadata: Metadata,
    }
    let answer = client.act(call, &Request::head(verb, place.path(CORE, "secrets"))).await?;
    let found: Option<Partial> =
        answer.found("the Secret").map_err(|failure| failure.with("secret", place.to_string()))?;
    Ok(found.map(|found| found.metadata))
}

/// One change of the template, of this very workload: names moved, stamps set.
fn changes(
    found: &Value,
    references: &[Reference],
    moves: &BTreeMap<String, String>,
    stamps: &[(&str, &str)],
) -> Vec<Value> {
    let mut changes = vec![json!({"op": "test", "path": "/metadata/uid", "value": found.pointer("/metadata/uid")})];
    for one in references {
        if let Some(newer) = moves.get(&one.name) {
            let path = format!("/spec/template/spec{}", one.at);
            changes.push(json!({"op": "test", "path": path, "value": one.name}));
            changes.push(json!({"op": "replace", "path": path, "value": newer}));
        }
    }
    if found.pointer(ANNOTATIONS).is_none() {
        changes.push(json!({"op": "add", "path": ANNOTATIONS, "value": {}}));
    }
    for (name, value) in stamps {
        let path = format!("{ANNOTATIONS}/{}", name.replace('/', "~1"));
        changes.push(json!({"op": "add", "path": path, "value": value}));
    }
    changes
}

fn stamped<'a>(found: &'a Value, name: &str) -> Option<&'a str> {
    found.pointer(ANNOTATIONS)?.get(name)?.as_str()
}

/// `name=version,…`, read again.
pub(crate) fn noted(text: &str) -> BTreeMap<&str, &str> {
    text.split(',').filter_map(|one| one.split_once('=')).collect()
}

const ANNOTATIONS: &str = "/spec/template/metadata/annotations";

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_workload_is_named_in_either_order() {
        let read = |reference: &str| {
            let workload = Workload { name: "w".into(), reference: reference.into(), settings: Value::Null };
            Named::parse(Verb::Reload, &workload, "team").map(|named| named.path())
        };
        assert_eq!(read("Deployment/web").unwrap(), "/apis/apps/v1/namespaces/team/deployments/web");
        for text in ["StatefulSet/other/db", "other/sts/db", "other/StatefulSet/db"] {
            assert_eq!(read(text).unwrap(), "/apis/apps/v1/namespaces/other/statefulsets/db", "{text}");
        }
        for wrong in ["web", "Pod/web", "Deployment/../web", "a/b/c/d", "other/pod/db"] {
            assert_eq!(read(wrong).unwrap_err().kind, ErrorKind::Invalid, "{wrong}");
        }
    }
}
