//! Leases by prefix: what roles gave out that is still good. Listing them needs `sudo` on `sys/leases/lookup/…`.

use std::collections::VecDeque;

use jiff::Timestamp;
use remint_contract::{Call, Error, Live, Verb, VersionId};
use serde::{Deserialize, Serialize};

use crate::client::Client;
use crate::request::{Effect, Request};

/// How a version says that it is a lease.
const LEASE: &str = "lease:";

#[derive(Deserialize)]
struct Keys {
    keys: Vec<String>,
}

#[derive(Deserialize)]
struct Known {
    #[serde(default)]
    issue_time: Option<Timestamp>,
}

#[derive(Serialize)]
struct Named<'a> {
    lease_id: &'a str,
}

#[derive(Serialize)]
struct Ended<'a> {
    lease_id: &'a str,
    sync: bool,
}

/// The lease that a version is.
pub(crate) fn named(version: &VersionId) -> Option<&str> {
    version.0.strip_prefix(LEASE)
}

/// Every lease below a prefix; none of them belongs to a target.
pub(crate) async fn below(client: &Client, call: &Call, verb: Verb, prefix: &str) -> Result<Vec<Live>, Error> {
    let mut folders = VecDeque::from([prefix.to_owned()]);
    let mut living = Vec::new();
    while let Some(folder) = folders.pop_front() {
        let path = format!("sys/leases/lookup/{folder}");
        let answer = client.act(call, &Request::list(verb, &path)?).await?;
        for key in answer.found::<Keys>("the leases")?.map_or_else(Vec::new, |found| found.keys) {
            let place = format!("{folder}/{}", key.trim_end_matches('/'));
            if key.ends_with('/') {
                folders.push_back(place);
            } else if let Some(known) = find(client, call, verb, &place).await? {
                living.push(Live {
                    version: VersionId(format!("{LEASE}{place}")),
                    target: None,
                    label: format!("lease of {folder}"),
                    operation: None,
                    created: known.issue_time,
                });
            }
        }
    }
    Ok(living)
}

pub(crate) async fn lives(client: &Client, call: &Call, verb: Verb, lease: &str) -> Result<bool, Error> {
    find(client, call, verb, lease).await.map(|found| found.is_some())
}

/// Ends one lease, and waits for it. One that is gone is ended.
pub(crate) async fn revoke(client: &Client, call: &Call, verb: Verb, lease: &str) -> Result<(), Error> {
    if find(client, call, verb, lease).await?.is_none() {
        return Ok(());
    }
    let body = Ended { lease_id: lease, sync: true };
    let request = Request::post(verb, Effect::Changes, "sys/leases/revoke", &body)?;
    client.act(call, &request).await?.done("the lease").map_err(|failure| failure.with("lease", lease))
}

async fn find(client: &Client, call: &Call, verb: Verb, lease: &str) -> Result<Option<Known>, Error> {
    let request = Request::post(verb, Effect::Reads, "sys/leases/lookup", &Named { lease_id: lease })?;
    let answer = client.act(call, &request).await?;
    // The server calls an unknown lease invalid.
    if answer.status == 400 { Ok(None) } else { answer.found("the lease") }
}
