//! Leases by prefix: what roles gave out that is still good. Listing them needs `sudo` on `sys/leases/lookup/…`.
//!
//! Where the System says `leases: prefix` all of a role are one version, and are ended in one request; with `leases: force` the
//! server forgets them although it cannot reach the database. The version says which it was, so the decision and the record do.

use std::collections::VecDeque;

use jiff::Timestamp;
use remint_contract::{Call, Error, ErrorKind, Live, Verb, VersionId};
use serde::{Deserialize, Serialize};
use serde_json::json;

use crate::client::Client;
use crate::config::Leases;
use crate::request::{Effect, Request};

/// How a version says that it is a lease, all leases of a role, or these by force.
const LEASE: &str = "lease:";
const ALL: &str = "leases:";
const FORCED: &str = "forced-leases:";

/// The lease or leases that a version is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Named<'v> {
    One(&'v str),
    All(&'v str),
    /// The server forgets them, whatever the database says.
    Forced(&'v str),
}

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
struct Asked<'a> {
    lease_id: &'a str,
}

#[derive(Serialize)]
struct Ended<'a> {
    lease_id: &'a str,
    sync: bool,
}

/// What a version is, when it is of this kind.
pub(crate) fn named(version: &VersionId) -> Option<Named<'_>> {
    let one = version.0.strip_prefix(LEASE).map(Named::One);
    let all = || version.0.strip_prefix(ALL).map(Named::All);
    one.or_else(all).or_else(|| version.0.strip_prefix(FORCED).map(Named::Forced))
}

/// Every lease below a prefix, one by one or a role's together; none of them belongs to a target.
pub(crate) async fn below(client: &Client, call: &Call, verb: Verb, prefix: &str) -> Result<Vec<Live>, Error> {
    let mut folders = VecDeque::from([prefix.to_owned()]);
    let mut living = Vec::new();
    while let Some(folder) = folders.pop_front() {
        let mut leases = Vec::new();
        for key in keys(client, call, verb, &folder).await? {
            let place = format!("{folder}/{}", key.trim_end_matches('/'));
            if key.ends_with('/') {
                folders.push_back(place);
            } else {
                leases.push(place);
            }
        }
        let together = |kind: &str, label: String| Live {
            version: VersionId(format!("{kind}{folder}")),
            target: None,
            label,
            operation: None,
            created: None,
        };
        let count = leases.len();
        match client.settings.leases {
            Leases::Each => {
                for place in leases {
                    if let Some(known) = find(client, call, verb, &place).await? {
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
            Leases::Prefix | Leases::Force if count == 0 => {}
            Leases::Prefix => living.push(together(ALL, format!("{count} leases of {folder}, all together"))),
            Leases::Force => {
                let label = format!("{count} leases of {folder}; by force: forgotten, and the database is not asked");
                living.push(together(FORCED, label));
            }
        }
    }
    Ok(living)
}

async fn keys(client: &Client, call: &Call, verb: Verb, folder: &str) -> Result<Vec<String>, Error> {
    let answer = client.act(call, &Request::list(verb, &format!("sys/leases/lookup/{folder}"))?).await?;
    Ok(answer.found::<Keys>("the leases")?.map_or_else(Vec::new, |found| found.keys))
}

pub(crate) async fn lives(client: &Client, call: &Call, verb: Verb, named: Named<'_>) -> Result<bool, Error> {
    match named {
        Named::One(lease) => Ok(find(client, call, verb, lease).await?.is_some()),
        Named::All(folder) | Named::Forced(folder) => {
            let keys = keys(client, call, verb, folder).await?;
            Ok(keys.iter().any(|key| !key.ends_with('/')))
        }
    }
}

/// Ends a lease, or all of a role, and waits for it. What is gone is ended.
///
/// # Errors
/// By force only where the System says so at this moment: the word of the estate that is active, not of the one in which the
/// leases were found.
pub(crate) async fn revoke(client: &Client, call: &Call, verb: Verb, named: Named<'_>) -> Result<(), Error> {
    let forced = matches!(named, Named::Forced(_));
    if forced && client.settings.leases != Leases::Force {
        let message = "leases are ended by force only where the System says `leases: force`, and it does not any more";
        return Err(Error::new(ErrorKind::Invalid, verb, message));
    }
    if !lives(client, call, verb, named).await? {
        return Ok(());
    }
    let (path, body, what) = match named {
        Named::One(lease) => ("sys/leases/revoke".to_owned(), json!(Ended { lease_id: lease, sync: true }), lease),
        Named::All(folder) => (format!("sys/leases/revoke-prefix/{folder}"), json!({"sync": true}), folder),
        Named::Forced(folder) => (format!("sys/leases/revoke-force/{folder}"), json!({}), folder),
    };
    let request = Request::post(verb, Effect::Changes, &path, &body)?;
    client.act(call, &request).await?.done("the lease").map_err(|failure| failure.with("lease", what))
}

async fn find(client: &Client, call: &Call, verb: Verb, lease: &str) -> Result<Option<Known>, Error> {
    let request = Request::post(verb, Effect::Reads, "sys/leases/lookup", &Asked { lease_id: lease })?;
    let answer = client.act(call, &request).await?;
    // The server calls an unknown lease invalid.
    if answer.status == 400 { Ok(None) } else { answer.found("the lease") }
}
