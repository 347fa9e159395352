//! What the server itself logs in with at a database: a store of two fields, `username` and `password`, at `config/NAME`.
//!
//! The server tries a value before it keeps it, and never shows it again. Its other settings of the connection stay. The
//! root credential of a database is so replaced where it is issued (two login roles in turns), and delivered here.

use std::collections::BTreeMap;

use remint_contract::{Call, Error, ErrorKind, SecretValue, Verb, WriteRequest, Written};
use serde::Deserialize;
use serde::de::IgnoredAny;

use crate::client::Client;
use crate::fields::{self, Fields};
use crate::mount;
use crate::request::{Effect, Request};

/// The one version there is.
const CURRENT: &str = "current";
const FIELDS: [&str; 2] = ["username", "password"];

/// May the actor change the connection, and is it there?
pub(super) async fn check(client: &Client, call: &Call, path: &str) -> Result<(), Error> {
    let place = place(client, Verb::Check, path)?;
    find(client, call, Verb::Check, &place).await?;
    mount::allows(client, call, &[(place, &["update"])]).await
}

pub(super) fn fits(path: &str, given: &BTreeMap<String, SecretValue>) -> Result<(), Error> {
    let refused = |message| Err(Error::new(ErrorKind::RefusedValue, Verb::Write, message).with("path", path));
    if !given.contains_key("password") || given.keys().any(|field| !FIELDS.contains(&field.as_str())) {
        return refused("a connection takes the fields `username` and `password`");
    }
    fields::fits(given)
}

pub(super) async fn write(client: &Client, call: &Call, request: &WriteRequest) -> Result<Written, Error> {
    let verb = Verb::Write;
    fits(&request.path, &request.fields)?;
    let place = place(client, verb, &request.path)?;
    // To write where nothing is would make half a connection.
    find(client, call, verb, &place).await?;
    let body = fields::merge(Fields::default(), &request.fields);
    let answer = client.act(call, &Request::post(verb, Effect::Changes, &place, &body)?).await?;
    if answer.status == 400 {
        let message = "the server did not get into its database with this login, and keeps the one that it has";
        return Err(Error::new(ErrorKind::Unreachable, verb, message).with("path", &request.path));
    }
    answer.done("the connection").map_err(|failure| failure.with("path", &request.path))?;
    Ok(Written { version: CURRENT.to_owned() })
}

async fn find(client: &Client, call: &Call, verb: Verb, place: &str) -> Result<(), Error> {
    #[derive(Deserialize)]
    struct Connection {
        #[serde(rename = "plugin_name")]
        _plugin: IgnoredAny,
    }
    let answer = client.act(call, &Request::get(verb, place)?).await?;
    let found: Option<Connection> = answer.found("the connection").map_err(|failure| failure.with("path", place))?;
    found.map(drop).ok_or_else(|| {
        let message = "the server has no such connection; create it, or correct the path";
        Error::new(ErrorKind::Missing, verb, message).with("path", place)
    })
}

fn place(client: &Client, verb: Verb, path: &str) -> Result<String, Error> {
    let name = path.strip_prefix("config/").filter(|name| !name.is_empty() && !name.contains('/'));
    name.map(|name| format!("{}/config/{name}", client.settings.mount)).ok_or_else(|| {
        Error::new(ErrorKind::Invalid, verb, "write the path of a connection: config/NAME").with("path", path)
    })
}
