//! Secrets as a store: one Secret whose fields are replaced by server-side apply.
//!
//! Flow: the Secret is read, the fields that Remint owns already are laid beside the new ones (an apply gives up what it
//! leaves out), and both are applied to the very version that was read. Guarantees: fields of others stay; a field that
//! another manager owns is taken only where the settings name that manager, else it is a Conflict that names it; who wrote
//! in between wins. Errors: an immutable Secret is Invalid.

use std::collections::{BTreeMap, BTreeSet};

use remint_contract::{Call, Error, ErrorKind, ReadBack, Verb, WriteRequest, Written};

use crate::client::Client;
use crate::fields::{self, Fields};
use crate::place::{CORE, Place};
use crate::request::{MANAGER, Request};
use crate::secret::{self, Data, OPERATION, REPLACES, Secret, Wanted};

pub(crate) async fn write(client: &Client, call: &Call, request: &WriteRequest) -> Result<Written, Error> {
    let verb = Verb::Write;
    fields::fits(&request.fields)?;
    let place = Place::parse(verb, &request.path, &client.settings.namespace)?;
    let found = secret::find(client, call, verb, &place).await?;
    let there = found.as_ref().map(Secret::data).unwrap_or_default();
    let version = found.as_ref().map_or("", |secret| secret.metadata.resource_version.as_str());
    if holds(&there, &request.fields) {
        return Ok(Written { version: version.to_owned() });
    }
    if request.expect.as_ref().is_some_and(|expected| expected != version) {
        return Err(Error::new(ErrorKind::Conflict, verb, "another version is in place by now")
            .with("secret", place.to_string()));
    }
    let keys = fields::encode(&there, &request.fields, verb)?;
    let force = takes(client, &place, found.as_ref(), &there, &keys)?;
    let mut wanted = Wanted::at(&place);
    let sort = fields::sort(&keys);
    wanted.metadata.annotations.insert(OPERATION, call.operation.0.clone());
    match &found {
        None => wanted.sort = Some(sort),
        Some(secret) if secret.immutable == Some(true) => {
            let message = "the Secret is immutable; write `secrets: versioned` in the system's settings";
            return Err(Error::new(ErrorKind::Invalid, verb, message).with("secret", place.to_string()));
        }
        Some(_) => {
            wanted.metadata.resource_version = Some(version);
            wanted.metadata.annotations.insert(REPLACES, version.to_owned());
        }
    }
    wanted.data = owned(found.as_ref())
        .into_iter()
        .filter_map(|key| Some((key.clone(), there.get(&key)?.clone())))
        .chain(keys)
        .map(|(key, value)| (key, Data(value)))
        .collect();
    let answer = client.act(call, &Request::apply(verb, &place.path(CORE, "secrets"), force, &wanted)).await?;
    let written: Secret = answer.data("the Secret").map_err(|failure| failure.with("secret", place.to_string()))?;
    Ok(Written { version: written.metadata.resource_version })
}

pub(crate) async fn read(client: &Client, call: &Call, path: &str) -> Result<ReadBack, Error> {
    let place = Place::parse(Verb::Read, path, &client.settings.namespace)?;
    let secret = secret::find(client, call, Verb::Read, &place).await?.ok_or_else(|| missing(Verb::Read, &place))?;
    let fields = fields::decode(secret.data());
    Ok(ReadBack { version: secret.metadata.resource_version, fields })
}

pub(crate) fn missing(verb: Verb, place: &Place) -> Error {
    Error::new(ErrorKind::Missing, verb, "there is no such Secret").with("secret", place.to_string())
}

/// True when everything is there already.
pub(crate) fn holds(there: &Fields, wanted: &Fields) -> bool {
    let there = fields::decode(there.clone());
    wanted.iter().all(|(field, value)| there.get(field) == Some(value))
}

/// What Remint owns by earlier writes.
fn owned(found: Option<&Secret>) -> BTreeSet<String> {
    let managed = found.iter().flat_map(|secret| &secret.metadata.managed_fields);
    managed.filter(|managed| is_remint(managed)).flat_map(|managed| managed.data().map(str::to_owned)).collect()
}

/// May the fields of others be taken? True when some are and all of their managers are named, false when none is.
fn takes(client: &Client, place: &Place, found: Option<&Secret>, there: &Fields, keys: &Fields) -> Result<bool, Error> {
    let changes: BTreeSet<&str> =
        keys.iter().filter(|(key, value)| there.get(*key) != Some(*value)).map(|(key, _)| key.as_str()).collect();
    let mut others: BTreeMap<&str, Vec<&str>> = BTreeMap::new();
    for managed in found.iter().flat_map(|secret| &secret.metadata.managed_fields).filter(|one| !is_remint(one)) {
        for key in managed.data().filter(|key| changes.contains(key)) {
            others.entry(managed.manager.as_str()).or_default().push(key);
        }
    }
    let refused: Vec<_> =
        others.iter().filter(|(manager, _)| !client.settings.take_over.iter().any(|name| name == *manager)).collect();
    if refused.is_empty() {
        return Ok(!others.is_empty());
    }
    let owners: Vec<_> = refused.iter().map(|(manager, keys)| format!("{manager} owns {}", keys.join(", "))).collect();
    let message = "another manager owns the field; name it in `takeOver` when it is to be Remint's";
    Err(Error::new(ErrorKind::Conflict, Verb::Write, message)
        .with("secret", place.to_string())
        .with("owners", owners.join("; ")))
}

fn is_remint(managed: &secret::Managed) -> bool {
    managed.manager == MANAGER && managed.operation == "Apply"
}
