//! Tokens by their accessors: found by how they were made, ended one by one.
//!
//! The server has no list of the tokens of a login: every accessor is looked at. That needs `list` with `sudo` on
//! `auth/token/accessors`, and `update` on `auth/token/lookup-accessor` and `auth/token/revoke-accessor`.

use std::collections::BTreeMap;

use jiff::Timestamp;
use remint_contract::{Call, Derived, Error, SecretValue, Verb};
use serde::{Deserialize, Serialize};
use vaultrs::api::token::requests::{ListAccessorRequest, LookupTokenAccessorRequest, RevokeTokenAccessorRequest};

use crate::answer::Answer;
use crate::client::Client;
use crate::request::{Effect, Request};

/// The words for an accessor of no living token.
const UNKNOWN: &str = "invalid accessor";

/// One living token.
#[derive(Deserialize)]
pub(crate) struct Token {
    pub(crate) accessor: String,
    #[serde(default)]
    pub(crate) path: String,
    #[serde(default)]
    pub(crate) display_name: String,
    #[serde(default)]
    pub(crate) meta: Option<BTreeMap<String, String>>,
    /// The token role that it was made by.
    #[serde(default)]
    pub(crate) role: Option<String>,
    #[serde(default)]
    pub(crate) bound_cidrs: Option<Vec<String>>,
    #[serde(default)]
    pub(crate) policies: Vec<String>,
    #[serde(default)]
    pub(crate) creation_time: i64,
    #[serde(default)]
    pub(crate) expire_time: Option<Timestamp>,
}

#[derive(Deserialize)]
struct Keys {
    keys: Vec<String>,
}

impl Token {
    pub(crate) fn meta(&self, key: &str) -> Option<&str> {
        self.meta.as_ref()?.get(key).map(String::as_str)
    }

    pub(crate) fn created(&self) -> Option<Timestamp> {
        Timestamp::from_second(self.creation_time).ok()
    }

    pub(crate) fn derived(self) -> Derived {
        Derived { id: self.accessor, what: "token".to_owned(), expires: self.expire_time }
    }
}

/// Every living token that the namespace has.
pub(crate) async fn all(client: &Client, call: &Call, verb: Verb) -> Result<Vec<Token>, Error> {
    let answer = client.act(call, &Request::of(verb, Effect::Reads, &ListAccessorRequest {})?).await?;
    let keys = answer.found::<Keys>("the list of tokens")?.map_or_else(Vec::new, |found| found.keys);
    let mut living = Vec::new();
    for accessor in keys {
        living.extend(find(client, call, verb, &accessor).await?);
    }
    Ok(living)
}

/// The token of an accessor, while it lives.
pub(crate) async fn find(client: &Client, call: &Call, verb: Verb, accessor: &str) -> Result<Option<Token>, Error> {
    let request = LookupTokenAccessorRequest { accessor: accessor.to_owned() };
    let answer = client.act(call, &Request::of(verb, Effect::Reads, &request)?).await?;
    // OpenBao answers so with 400, Vault with 403.
    if answer.says(UNKNOWN) {
        return Ok(None);
    }
    answer.found("the token")
}

/// Ends a token, all its children and all its leases. One that is gone is ended.
pub(crate) async fn end(client: &Client, call: &Call, verb: Verb, accessor: &str) -> Result<(), Error> {
    let request = RevokeTokenAccessorRequest { accessor: accessor.to_owned() };
    let answer = client.act(call, &Request::of(verb, Effect::Changes, &request)?).await?;
    if answer.status == 404 || answer.says(UNKNOWN) {
        return Ok(());
    }
    answer.done("the token")
}

/// Refused at its own look at itself: dead, or without the right to look, or not let in from here.
pub(crate) const fn is_refused(answer: &Answer) -> bool {
    answer.status == 403
}

/// Does the server know the token? Asked as the actor, with the token in the body. The words are the server's own for
/// one that it does not know: a look that is not allowed has the same status.
pub(crate) async fn is_known(
    client: &Client,
    call: &Call,
    verb: Verb,
    address: &str,
    token: &SecretValue,
) -> Result<bool, Error> {
    #[derive(Serialize)]
    struct Shown<'a> {
        token: &'a str,
    }
    let Some(token) = token.expose_str() else { return Ok(false) };
    let request = Request::post(verb, Effect::Reads, "auth/token/lookup", &Shown { token })?;
    let answer = client.act_at(call, address, &request).await?;
    if answer.says("bad token") {
        return Ok(false);
    }
    answer.done("the look at the token").map(|()| true)
}
