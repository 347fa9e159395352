//! What lives at the server, and whether Remint may do its work there: `enumerate`, `check`.

use std::collections::BTreeMap;

use remint_contract::{Call, Error, ErrorKind, Live, Target, Verb};

use crate::client::Client;
use crate::{error, role, version};

pub(crate) async fn enumerate(client: &Client, call: &Call, targets: &[Target]) -> Result<Vec<Live>, Error> {
    let mut connection = client.act(call, Verb::Enumerate).await?;
    let roles = role::all_logins(&mut connection, Verb::Enumerate).await?;
    connection.keep();
    // A target's own name wins over another target's slot, should both have the same name.
    let mut owners: BTreeMap<String, &str> = BTreeMap::new();
    for target in targets {
        for slot in role::slots(target) {
            owners.entry(slot).or_insert(&target.name);
        }
    }
    for target in targets {
        owners.insert(target.name.clone(), &target.name);
    }
    Ok(roles
        .into_iter()
        .map(|role| {
            let mark = version::mark(&role.comment);
            Live {
                version: role.version(),
                target: owners.get(&role.name).map(|&target| target.to_owned()),
                operation: mark.as_ref().map(|mark| mark.operation.clone()),
                created: mark.and_then(|mark| mark.minted),
                label: role.name,
            }
        })
        .collect())
}

pub(crate) async fn check(client: &Client, call: &Call) -> Result<(), Error> {
    let verb = Verb::Check;
    let mut connection = client.act(call, verb).await?;
    let (makes_roles, ends_sessions, sees_sessions, version): (bool, bool, bool, i32) = sqlx::query_as(
        "SELECT rolsuper OR rolcreaterole, rolsuper OR pg_has_role('pg_signal_backend', 'MEMBER'),
                rolsuper OR pg_has_role('pg_read_all_stats', 'MEMBER'),
                current_setting('server_version_num')::int
         FROM pg_roles WHERE rolname = current_user",
    )
    .fetch_one(&mut *connection)
    .await
    .map_err(|failure| error::statement(verb, "the rights could not be read", failure))?;
    connection.keep();
    let missing = |message| Err(Error::new(ErrorKind::Denied, verb, message));
    if !makes_roles {
        return missing("Remint's login may not change roles; grant it CREATEROLE");
    }
    if !ends_sessions {
        return missing("Remint's login may not end other sessions; GRANT pg_signal_backend to it");
    }
    if !sees_sessions {
        return missing("Remint's login may not see whose sessions there are; GRANT pg_read_all_stats to it");
    }
    if version < 140_000 {
        return Err(Error::new(ErrorKind::Invalid, verb, "PostgreSQL 14 or newer is needed"));
    }
    Ok(())
}
