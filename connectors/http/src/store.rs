//! Values that the vendor keeps: one at each path, overwritten where they lie.
//!
//! What the vendor wants encrypted is sealed before it leaves; what it never shows again has no `read`.

use std::collections::BTreeMap;

use remint_contract::{Call, Error, ErrorKind, ReadBack, SecretValue, Verb, WHOLE, WriteRequest, Written};
use reqwest::StatusCode;
use serde_json::Value;
use zeroize::Zeroizing;

use crate::client::{Reply, Request, written};
use crate::connector::{Vendor, not_there};
use crate::recipe::{Carried, Carrying, Store, WriteValue};
use crate::seal::seal;
use crate::template::Values;

/// A vendor as a store.
pub(crate) struct Shelf<'a> {
    pub(crate) vendor: &'a Vendor,
    pub(crate) store: &'a Store,
}

/// The one version there is.
const CURRENT: &str = "current";

impl Shelf<'_> {
    /// Shows that the place is there and seen. Changes nothing, and so cannot show the right to write.
    pub(crate) async fn check(&self, call: &Call, path: &str) -> Result<(), Error> {
        let verb = Verb::Check;
        let values = self.values(verb, call, path)?;
        let reply = self.vendor.ask(verb, &self.store.reach.call, &values, call.actor.as_deref()).await?;
        if !reply.status.is_success() {
            return Err(reply.refusal().with("path", path));
        }
        let reply = self.vendor.ask(verb, &self.store.there.call, &values, call.actor.as_deref()).await?;
        if reply.status.is_success() || reply.status == StatusCode::NOT_FOUND {
            Ok(())
        } else {
            Err(reply.refusal().with("path", path))
        }
    }

    /// The one value, as text.
    pub(crate) fn fits<'v>(&self, path: &str, fields: &'v BTreeMap<String, SecretValue>) -> Result<&'v str, Error> {
        let refused = |message: &str| Error::new(ErrorKind::RefusedValue, Verb::Write, message).with("path", path);
        self.whole(Verb::Write, path)?;
        let value = fields.get(WHOLE).filter(|_| fields.len() == 1);
        let value = value.ok_or_else(|| refused("one value lies at each path here: write `at:` without a field"))?;
        value.expose_str().ok_or_else(|| refused("the value is no text, and this store keeps text"))
    }

    pub(crate) async fn write(&self, call: &Call, request: &WriteRequest) -> Result<Written, Error> {
        let verb = Verb::Write;
        let value = self.fits(&request.path, &request.fields)?;
        let values = self.values(verb, call, &request.path)?;
        let (sealed, key);
        let (value, values) = match &self.store.seal {
            None => (value, values),
            Some(at) => {
                let reply = self.vendor.ask(Verb::Read, &at.call, &values, call.actor.as_deref()).await;
                // Nothing was changed yet.
                let answer = reply.and_then(Reply::json).map_err(|error| Error { verb, ..error })?;
                let text = |pointer: &str| answer.pointer(pointer).and_then(Value::as_str);
                let missing = |what| Error { kind: ErrorKind::Invalid, ..not_there(verb, what) };
                key = text(&at.id).ok_or_else(|| missing("the key's id"))?.to_owned();
                sealed = seal(verb, text(&at.key).ok_or_else(|| missing("the key"))?, value.as_bytes())?;
                (sealed.as_str(), Values { key: Some(&key), ..values })
            }
        };
        let reply = self.put(call, &self.store.write, &values, value).await?;
        let reply = match &self.store.create {
            Some(create) if reply.status == StatusCode::NOT_FOUND => self.put(call, create, &values, value).await?,
            _ => reply,
        };
        if reply.status.is_success() {
            Ok(Written { version: CURRENT.to_owned() })
        } else {
            Err(reply.refusal().with("path", request.path.clone()))
        }
    }

    pub(crate) async fn read(&self, call: &Call, path: &str) -> Result<ReadBack, Error> {
        let verb = Verb::Read;
        let read = self.store.read.as_ref().ok_or_else(|| Error::unsupported(verb))?;
        let values = self.values(verb, call, path)?;
        let reply = self.vendor.ask(verb, &read.call, &values, call.actor.as_deref()).await?;
        let mut answer = reply.json().map_err(|error| error.with("path", path))?;
        match answer.pointer_mut(&read.value).map(Value::take) {
            Some(Value::String(value)) => {
                let fields = BTreeMap::from([(WHOLE.to_owned(), SecretValue::from(value))]);
                Ok(ReadBack { version: CURRENT.to_owned(), fields })
            }
            Some(Value::Null) => {
                Err(Error::new(ErrorKind::Denied, verb, "the vendor does not show this value").with("path", path))
            }
            _ => Err(not_there(verb, "the value").with("path", path)),
        }
    }

    async fn put(&self, call: &Call, put: &WriteValue, values: &Values<'_>, value: &str) -> Result<Reply, Error> {
        let verb = Verb::Write;
        let body = put.body.fill(values).map_err(|error| Error::new(ErrorKind::Invalid, verb, error.to_string()))?;
        if body.pointer(&put.value).is_none() {
            return Err(Error::new(ErrorKind::Invalid, verb, "the recipe's body has no place for the value"));
        }
        let body: Zeroizing<Vec<u8>> =
            written(verb, &Carrying { body: &body, at: Some(&put.value), secret: Carried::One(value) })?;
        let address = self.vendor.client.address(verb, &put.call, values)?;
        let (method, bearer) = (put.call.method, call.actor.as_deref());
        self.vendor.client.ask(Request { verb, method, address, bearer, body: Some(body) }).await
    }

    fn values<'v>(&'v self, verb: Verb, call: &'v Call, path: &'v str) -> Result<Values<'v>, Error> {
        self.whole(verb, path)?;
        Ok(Values { path: Some(path), ..self.vendor.values(call, None) })
    }

    /// A path with as many parts as the recipe says.
    fn whole(&self, verb: Verb, path: &str) -> Result<(), Error> {
        let (count, wanted) = (path.split('/').count(), self.store.segments);
        let enough = if self.store.more { count >= wanted } else { count == wanted };
        if enough && path.split('/').all(|part| !part.is_empty()) {
            return Ok(());
        }
        let message = format!("the path is not {}", self.store.path);
        Err(Error::new(ErrorKind::Invalid, verb, message).with("path", path))
    }
}
