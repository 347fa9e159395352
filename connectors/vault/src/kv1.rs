//! KV version 1 as a store: one value at a path, without versions and without check-and-set.
//!
//! A write reads what is there, lays its fields over it and puts it back. Who writes in between loses what he wrote: use
//! version 2 where anybody else writes to the same path.

use std::collections::BTreeMap;

use async_trait::async_trait;
use remint_contract::{
    Call, Capabilities, Connector, Error, ErrorKind, ReadBack, SecretValue, StoreCapabilities, Verb, WriteRequest,
    Written,
};

use crate::client::Client;
use crate::fields::{self, Fields};
use crate::mount;
use crate::request::{Effect, Request};

pub(crate) struct Kv1(pub(crate) Client);

/// The one version there is.
const CURRENT: &str = "current";

pub(crate) fn capabilities() -> Capabilities {
    Capabilities {
        verbs: [Verb::Check, Verb::Write, Verb::Read].into(),
        issuer: None,
        store: Some(StoreCapabilities { compare_and_set: false, staged: false, versioned: false, own_login: false }),
        consumer: None,
    }
}

#[async_trait]
impl Connector for Kv1 {
    fn describe(&self) -> Capabilities {
        capabilities()
    }

    async fn check(&self, call: &Call, path: Option<&str>) -> Result<(), Error> {
        mount::check(&self.0, call).await?;
        let Some(path) = path else { return Ok(()) };
        let place = self.place(path);
        // A path that is not there yet is created, one that is there is updated.
        let there = self.current(call, Verb::Check, path).await?.is_some();
        let writes: &[&str] = if there { &["update"] } else { &["create"] };
        mount::allows(&self.0, call, &[(place.clone(), writes), (place, &["read"])]).await
    }

    fn fits(&self, _path: &str, fields: &BTreeMap<String, SecretValue>) -> Result<(), Error> {
        fields::fits(fields)
    }

    async fn write(&self, call: &Call, request: &WriteRequest) -> Result<Written, Error> {
        let verb = Verb::Write;
        fields::fits(&request.fields)?;
        let there = self.current(call, verb, &request.path).await?.unwrap_or_default();
        if !fields::holds(&there, &request.fields) {
            let put = fields::merge(there, &request.fields);
            let put = Request::post(verb, Effect::Changes, &self.place(&request.path), &put)?;
            let answer = self.0.act(call, &put).await?;
            answer.done("the write").map_err(|failure| failure.with("path", &request.path))?;
        }
        Ok(Written { version: CURRENT.to_owned() })
    }

    async fn read(&self, call: &Call, path: &str) -> Result<ReadBack, Error> {
        let there = self.current(call, Verb::Read, path).await?;
        let there = there.ok_or_else(|| {
            Error::new(ErrorKind::Missing, Verb::Read, "nothing lies at this path").with("path", path)
        })?;
        Ok(ReadBack { version: CURRENT.to_owned(), fields: fields::values(there) })
    }
}

impl Kv1 {
    fn place(&self, path: &str) -> String {
        format!("{}/{}", self.0.settings.mount, path.trim_matches('/'))
    }

    async fn current(&self, call: &Call, verb: Verb, path: &str) -> Result<Option<Fields>, Error> {
        let answer = self.0.act(call, &Request::get(verb, &self.place(path))?).await?;
        answer.found("the path").map_err(|failure| failure.with("path", path))
    }
}
