//! Ending a version: `disable`, `enable`, `revoke`, and `probe`, which tells whether it is over.
//!
//! Each change looks at the role's mark under the target's lock, and does nothing when the role carries another version
//! by now: a late revoke cannot hit what was made after it.

use remint_contract::{Call, Error, ErrorKind, Material, Target, Verb, Verdict, VersionId};
use sqlx::Connection as _;

use crate::client::{self, Client};
use crate::error;
use crate::quote::{identifier, literal};
use crate::{role, version as mark};

pub(crate) async fn disable(client: &Client, call: &Call, target: &Target, version: &VersionId) -> Result<(), Error> {
    change(client, call, target, version, Verb::Disable, "NOLOGIN").await.map(drop)
}

pub(crate) async fn revoke(client: &Client, call: &Call, target: &Target, version: &VersionId) -> Result<(), Error> {
    change(client, call, target, version, Verb::Revoke, "NOLOGIN PASSWORD NULL").await.map(drop)
}

pub(crate) async fn enable(client: &Client, call: &Call, target: &Target, version: &VersionId) -> Result<(), Error> {
    if change(client, call, target, version, Verb::Enable, "LOGIN").await? {
        return Ok(());
    }
    let message = "the version is gone: its role was dropped or carries a newer one";
    Err(Error::new(ErrorKind::Missing, Verb::Enable, message).with("version", &version.0))
}

/// Changes the role if it still carries the version; says whether it does.
async fn change(
    client: &Client,
    call: &Call,
    target: &Target,
    version: &VersionId,
    verb: Verb,
    attributes: &str,
) -> Result<bool, Error> {
    let name = role::of_target(verb, target, version)?;
    let mut connection = client.act(call, verb).await?;
    role::begin(&mut connection, verb, target).await?;
    let carried = role::find(&mut connection, verb, name).await?.filter(|role| role.version() == *version);
    if let Some(role) = &carried {
        if role::now(&mut connection, verb).await? >= call.deadline.as_microsecond() {
            let message = "the deadline passed while waiting for the target; nothing was done";
            return Err(Error::new(ErrorKind::Unreachable, verb, message).with("role", name));
        }
        let mut statement = format!("ALTER ROLE {} {attributes}", identifier(name));
        if verb == Verb::Revoke {
            let comment = literal(&mark::revoke(&role.comment));
            statement = format!("{statement}; COMMENT ON ROLE {} IS {comment}", identifier(name));
        }
        role::execute(&mut connection, verb, "the role could not be changed", statement)
            .await
            .map_err(|failure| failure.with("role", name))?;
    }
    role::commit(&mut connection, verb).await?;
    connection.keep();
    Ok(carried.is_some())
}

/// One fresh login at one endpoint, never pooled and never retried.
pub(crate) async fn probe(
    client: &Client,
    target: &Target,
    material: &Material,
    endpoint: usize,
) -> Result<Verdict, Error> {
    let Some(address) = client.settings.endpoints.get(endpoint) else {
        return Err(Error::new(ErrorKind::Invalid, Verb::Probe, "there is no such endpoint")
            .with("endpoint", endpoint.to_string()));
    };
    let username = material.username.as_deref().unwrap_or(&target.name);
    let options = client.settings.at(address);
    Ok(match client::login(options, username, material, Verb::Probe).await? {
        Ok(connection) => {
            // The server has said yes; a farewell that fails changes nothing.
            let _ = connection.close().await;
            Verdict::Accepted
        }
        Err(failure) if error::refused_credential(&failure) => Verdict::Denied,
        Err(failure) => Verdict::Unclear(format!("{address}: {failure}")),
    })
}
