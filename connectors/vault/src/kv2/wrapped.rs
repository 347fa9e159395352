//! KV version 2 as a place where values lie wrapped: who reads the place finds a token that gives the value once.
//!
//! Flow: the fields are wrapped at the server, its token is put at the path with check-and-set, and the token that lay
//! there before is ended: what nobody fetched of it is gone.
//! Guarantees: the value itself is nowhere in the key-value engine, its old versions and its backups; whoever fetched it
//! before its reader is noticed, for the reader's own try fails. What is wrapped cannot be read back.
//! The operation stands beside the token, and what it replaces: the same write made twice is one, and the second time ends
//! what a crash left of the one before.

use std::collections::BTreeMap;

use async_trait::async_trait;
use remint_contract::{
    Call, Capabilities, Connector, Error, ErrorKind, SecretValue, StoreCapabilities, Verb, WriteRequest, Written,
};
use serde::Deserialize;

use super::{Current, Kv2, put};
use crate::fields::{self, Field, Fields};
use crate::mount;
use crate::request::{Effect, Request};
use crate::session::secret;
use crate::tokens;

pub(crate) struct Wrapped(pub(crate) Kv2);

/// What lies at a path.
const TOKEN: &str = "wrapping_token";
const ACCESSOR: &str = "wrapping_accessor";
const OPERATION: &str = "operation";
const REPLACED: &str = "replaced_accessor";

pub(crate) fn capabilities() -> Capabilities {
    Capabilities {
        verbs: [Verb::Check, Verb::Write, Verb::Versions, Verb::DestroyVersion].into(),
        issuer: None,
        store: Some(StoreCapabilities { compare_and_set: false, staged: false, versioned: true, own_login: false }),
        consumer: None,
    }
}

#[derive(Deserialize)]
struct Made {
    #[serde(deserialize_with = "secret")]
    token: SecretValue,
    accessor: String,
}

#[async_trait]
impl Connector for Wrapped {
    fn describe(&self) -> Capabilities {
        capabilities()
    }

    async fn check(&self, call: &Call, path: Option<&str>) -> Result<(), Error> {
        self.0.check(call, path).await?;
        let needs: [(&str, &[&str]); 2] =
            [("sys/wrapping/wrap", &["update"]), ("auth/token/revoke-accessor", &["update"])];
        mount::allows(&self.0.0, call, &needs.map(|(path, rights)| (path.to_owned(), rights))).await
    }

    fn fits(&self, _path: &str, fields: &BTreeMap<String, SecretValue>) -> Result<(), Error> {
        fields::fits(fields)
    }

    async fn write(&self, call: &Call, request: &WriteRequest) -> Result<Written, Error> {
        let (verb, client) = (Verb::Write, &self.0.0);
        fields::fits(&request.fields)?;
        let before = self.0.current(call, verb, &request.path).await?;
        let text = |field: &str| text(&before, field);
        if text(OPERATION) == Some(call.operation.0.as_str()) {
            self.end(call, text(REPLACED)).await?;
            return Ok(Written { version: before.version.to_string() });
        }
        let made = self.wrap(call, request).await?;
        let fields: Fields = [
            (TOKEN.to_owned(), made.token),
            (ACCESSOR.to_owned(), SecretValue::from(made.accessor)),
            (OPERATION.to_owned(), SecretValue::from(call.operation.0.as_str())),
            (REPLACED.to_owned(), SecretValue::from(text(ACCESSOR).unwrap_or_default())),
        ]
        .map(|(name, value)| (name, Field::Text(value)))
        .into();
        let (mount, path) = (&client.settings.mount, &request.path);
        let version = put(client, call, verb, mount, path, before.version, &fields).await?;
        self.end(call, text(ACCESSOR)).await?;
        Ok(Written { version: version.to_string() })
    }

    async fn versions(&self, call: &Call, path: &str) -> Result<Vec<String>, Error> {
        self.0.versions(call, path).await
    }

    async fn destroy_version(&self, call: &Call, path: &str, version: &str) -> Result<(), Error> {
        self.0.destroy_version(call, path, version).await
    }
}

impl Wrapped {
    /// Ends what lay there before. The new one lies there already, so a failure leaves open what was done.
    async fn end(&self, call: &Call, accessor: Option<&str>) -> Result<(), Error> {
        let Some(accessor) = accessor.filter(|accessor| !accessor.is_empty()) else { return Ok(()) };
        // One that was used, or whose time is over, is gone already.
        let ended = tokens::end(&self.0.0, call, Verb::Write, accessor).await;
        ended.map_err(|failure| Error { kind: ErrorKind::Unclear, ..failure })
    }

    async fn wrap(&self, call: &Call, request: &WriteRequest) -> Result<Made, Error> {
        let verb = Verb::Write;
        let client = &self.0.0;
        let body = fields::merge(Fields::default(), &request.fields);
        // A token whose answer is lost ends by itself, with nobody who has it.
        let asked = Request::post(verb, Effect::Reads, "sys/wrapping/wrap", &body)?;
        let asked = Request { wrap: client.settings.wrap, ..asked };
        client.act(call, &asked).await?.wrapped("the wrapped value")
    }
}

fn text<'a>(current: &'a Current, field: &str) -> Option<&'a str> {
    match current.fields.as_ref()?.get(field)? {
        Field::Text(text) => text.expose_str(),
        Field::Other(_) => None,
    }
}
