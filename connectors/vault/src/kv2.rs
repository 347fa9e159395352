//! KV version 2 as a store: numbered versions, each write bound to the version that it was made from.
//!
//! A write reads what is there, lays its fields over it and puts it back with check-and-set: whoever wrote in between
//! wins, and the write is a Conflict. What is there already is not written again, so a repeat makes no version.
//! A version that was deleted softly can be brought back by anybody who may, so it is listed until it is destroyed.

pub(crate) mod wrapped;

use std::collections::BTreeMap;

use async_trait::async_trait;
use remint_contract::{
    Call, Capabilities, Connector, Error, ErrorKind, ReadBack, SecretValue, StoreCapabilities, Verb, WriteRequest,
    Written,
};
use serde::{Deserialize, Serialize};
use vaultrs::api::kv2::requests::{DestroySecretVersionsRequest, ReadSecretMetadataRequest};

use crate::client::Client;
use crate::fields::{self, Fields};
use crate::mount;
use crate::request::{Effect, Request};

pub(crate) struct Kv2(pub(crate) Client);

pub(crate) fn capabilities() -> Capabilities {
    Capabilities {
        verbs: [Verb::Check, Verb::Write, Verb::Read, Verb::Versions, Verb::DestroyVersion].into(),
        issuer: None,
        store: Some(StoreCapabilities { compare_and_set: true, staged: false, versioned: true, own_login: false }),
        consumer: None,
    }
}

/// The current version, 0 where nothing was ever written; without fields when it was deleted.
pub(crate) struct Current {
    pub(crate) version: u64,
    pub(crate) fields: Option<Fields>,
}

#[derive(Deserialize)]
struct Secret {
    data: Option<Fields>,
    metadata: SecretMetadata,
}

#[derive(Deserialize)]
struct SecretMetadata {
    version: u64,
}

#[derive(Deserialize)]
struct Metadata {
    current_version: u64,
    #[serde(default)]
    versions: BTreeMap<u64, VersionMetadata>,
}

#[derive(Deserialize)]
struct VersionMetadata {
    #[serde(default)]
    deletion_time: String,
    #[serde(default)]
    destroyed: bool,
}

#[derive(Serialize)]
struct Put<'a> {
    options: Options,
    data: &'a Fields,
}

#[derive(Serialize)]
struct Options {
    cas: u64,
}

#[async_trait]
impl Connector for Kv2 {
    fn describe(&self) -> Capabilities {
        capabilities()
    }

    async fn check(&self, call: &Call, path: Option<&str>) -> Result<(), Error> {
        mount::check(&self.0, call).await?;
        let Some(path) = path else { return Ok(()) };
        let place = |what: &str| format!("{}/{what}/{}", self.0.settings.mount, path.trim_matches('/'));
        let data = place("data");
        // A path that is not there yet is created, one that is there is updated.
        let writes: &[&str] =
            if self.current(call, Verb::Check, path).await?.version == 0 { &["create"] } else { &["update"] };
        mount::allows(
            &self.0,
            call,
            &[
                (data.clone(), writes),
                (data, &["read"]),
                (place("metadata"), &["read"]),
                (place("destroy"), &["update"]),
            ],
        )
        .await
    }

    fn fits(&self, _path: &str, fields: &BTreeMap<String, SecretValue>) -> Result<(), Error> {
        fields::fits(fields)
    }

    async fn write(&self, call: &Call, request: &WriteRequest) -> Result<Written, Error> {
        let verb = Verb::Write;
        fields::fits(&request.fields)?;
        let path = &request.path;
        let current = self.current(call, verb, path).await?;
        let written = |version: u64| Written { version: version.to_string() };
        if current.fields.as_ref().is_some_and(|there| fields::holds(there, &request.fields)) {
            return Ok(written(current.version));
        }
        if request.expect.as_ref().is_some_and(|expected| *expected != current.version.to_string()) {
            return Err(conflict(verb, path));
        }
        let data = fields::merge(current.fields.unwrap_or_default(), &request.fields);
        let made = put(&self.0, call, verb, &self.0.settings.mount, path, current.version, &data).await?;
        Ok(written(made))
    }

    async fn read(&self, call: &Call, path: &str) -> Result<ReadBack, Error> {
        let current = self.current(call, Verb::Read, path).await?;
        let fields = current.fields.ok_or_else(|| {
            Error::new(ErrorKind::Missing, Verb::Read, "nothing lies at this path").with("path", path)
        })?;
        Ok(ReadBack { version: current.version.to_string(), fields: fields::values(fields) })
    }

    async fn versions(&self, call: &Call, path: &str) -> Result<Vec<String>, Error> {
        let metadata = self.metadata(call, Verb::Versions, path).await?.ok_or_else(|| {
            Error::new(ErrorKind::Missing, Verb::Versions, "nothing lies at this path").with("path", path)
        })?;
        let there = metadata.versions.iter().rev().filter(|(_, version)| !version.destroyed);
        Ok(there.map(|(number, _)| number.to_string()).collect())
    }

    async fn destroy_version(&self, call: &Call, path: &str, version: &str) -> Result<(), Error> {
        let verb = Verb::DestroyVersion;
        let number: u64 = version.parse().map_err(|_| {
            Error::new(ErrorKind::Invalid, verb, "versions of this store are numbers").with("version", version)
        })?;
        let Some(metadata) = self.metadata(call, verb, path).await? else { return Ok(()) };
        let Some(found) = metadata.versions.get(&number).filter(|found| !found.destroyed) else { return Ok(()) };
        if number == metadata.current_version && found.deletion_time.is_empty() {
            let message = "this is the version that readers see; write another one first";
            return Err(Error::new(ErrorKind::Conflict, verb, message).with("path", path).with("version", version));
        }
        let destroy = DestroySecretVersionsRequest {
            mount: self.0.settings.mount.clone(),
            path: path.to_owned(),
            versions: vec![number],
        };
        let answer = self.0.act(call, &Request::of(verb, Effect::Changes, &destroy)?).await?;
        answer.done("the version").map_err(|failure| failure.with("path", path).with("version", version))
    }
}

impl Kv2 {
    async fn current(&self, call: &Call, verb: Verb, path: &str) -> Result<Current, Error> {
        current(&self.0, call, verb, &self.0.settings.mount, path).await
    }

    async fn metadata(&self, call: &Call, verb: Verb, path: &str) -> Result<Option<Metadata>, Error> {
        let request = ReadSecretMetadataRequest { mount: self.0.settings.mount.clone(), path: path.to_owned() };
        let answer = self.0.act(call, &Request::of(verb, Effect::Reads, &request)?).await?;
        answer.found("the versions").map_err(|failure| failure.with("path", path))
    }
}

/// What lies at a path of any KV version 2 mount.
pub(crate) async fn current(
    client: &Client,
    call: &Call,
    verb: Verb,
    mount: &str,
    path: &str,
) -> Result<Current, Error> {
    #[derive(Deserialize)]
    struct Deleted {
        data: Secret,
    }
    let answer = client.act(call, &Request::get(verb, &format!("{mount}/data/{path}"))?).await?;
    if answer.status == 404 {
        // One that was deleted says so in a body of the usual form.
        let version = answer.read::<Deleted>("the path").map_or(0, |deleted| deleted.data.metadata.version);
        return Ok(Current { version, fields: None });
    }
    let secret: Secret = answer.data("the path").map_err(|failure| failure.with("path", path))?;
    Ok(Current { version: secret.metadata.version, fields: secret.data })
}

/// Puts fields where this version is current; gives the new one.
pub(crate) async fn put(
    client: &Client,
    call: &Call,
    verb: Verb,
    mount: &str,
    path: &str,
    version: u64,
    data: &Fields,
) -> Result<u64, Error> {
    let body = Put { options: Options { cas: version }, data };
    let answer =
        client.act(call, &Request::post(verb, Effect::Changes, &format!("{mount}/data/{path}"), &body)?).await?;
    if answer.status == 400 && current(client, call, verb, mount, path).await?.version != version {
        return Err(conflict(verb, path));
    }
    let made: SecretMetadata = answer.data("the write").map_err(|failure| failure.with("path", path))?;
    Ok(made.version)
}

fn conflict(verb: Verb, path: &str) -> Error {
    Error::new(ErrorKind::Conflict, verb, "another version is current by now").with("path", path)
}
