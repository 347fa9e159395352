//! Making a version and looking at it: `mint`, `verify`, `compare_rights`, `recover`.
//!
//! A mint is one transaction: the role, its password, its right to log in and the mark that names the operation appear
//! together or not at all. So the mark alone tells after a lost answer what became of it.

use aws_lc_rs::rand::{SecureRandom as _, SystemRandom};
use remint_contract::{
    Call, Error, ErrorKind, Intent, Material, MintRequest, Minted, Recovered, RightsChange, Strategy, Target, Verb,
    Verified, VersionId,
};
use sqlx::Connection as _;
use sqlx::postgres::PgConnection;

use crate::client::{self, Client};
use crate::quote::{identifier, literal};
use crate::role::{self, Role};
use crate::{error, scram, version};

const MINT: Verb = Verb::Mint;

pub(crate) async fn mint(client: &Client, call: &Call, request: &MintRequest) -> Result<Minted, Error> {
    let target = &request.target;
    let secret = request
        .proposed
        .as_ref()
        .ok_or_else(|| Error::new(ErrorKind::Invalid, MINT, "no value was proposed; this issuer makes none"))?;
    let mut salt = [0; 16];
    SystemRandom::new()
        .fill(&mut salt)
        .map_err(|failure| Error::new(ErrorKind::Unreachable, MINT, "no random bytes for the salt").because(failure))?;
    let verifier = scram::verifier(secret, salt).ok_or_else(|| {
        Error::new(ErrorKind::RefusedValue, MINT, "a password must be printable ASCII and not empty")
            .with("target", &target.name)
    })?;
    let mut connection = client.act(call, MINT).await?;
    role::begin(&mut connection, MINT, target).await?;
    let group = role::find(&mut connection, MINT, &target.name).await?.ok_or_else(|| {
        Error::new(ErrorKind::Missing, MINT, "there is no such role; create it, or correct `issuedBy.target`")
            .with("role", &target.name)
    })?;
    let login = match request.strategy {
        Strategy::Alternate => free_slot(&mut connection, call, request, &group).await?,
        Strategy::InPlace => group,
        _ => {
            let message = "PostgreSQL roles rotate by `alternate` or `in-place`";
            return Err(Error::new(ErrorKind::Invalid, MINT, message));
        }
    };
    let micros = role::now(&mut connection, MINT).await?;
    let name = identifier(&login.name);
    let comment = version::comment(&login.comment, &call.operation, micros);
    let statements = format!(
        "ALTER ROLE {name} LOGIN PASSWORD {}; COMMENT ON ROLE {name} IS {}",
        literal(&verifier),
        literal(&comment)
    );
    role::execute(&mut connection, MINT, "the password could not be set", statements)
        .await
        .map_err(|failure| failure.with("role", &login.name))?;
    role::commit(&mut connection, MINT).await?;
    connection.keep();
    let version = version::minted(&login.name, &call.operation);
    Ok(Minted { version, material: Material::login(login.name, secret.clone()) })
}

/// The login role whose turn it is: made a member of the group and set to act as it, still without a login.
///
/// A role that may log in is in use by somebody, and is never overwritten, unless this very operation made it.
async fn free_slot(
    connection: &mut PgConnection,
    call: &Call,
    request: &MintRequest,
    group: &Role,
) -> Result<Role, Error> {
    let in_use = request.old.as_ref().map(version::role).or(request.old_username.as_deref());
    let [first, second, _] = role::slots(&request.target);
    let mut slots = Vec::with_capacity(2);
    for name in [first, second] {
        let found = role::find(connection, MINT, &name).await?;
        if found
            .as_ref()
            .is_some_and(|role| role.can_login && role.version() == version::minted(&name, &call.operation))
        {
            return found.ok_or_else(|| Error::new(ErrorKind::Conflict, MINT, "the role vanished"));
        }
        if in_use != Some(name.as_str()) {
            slots.push((name, found));
        }
    }
    let Some((name, found)) = slots.into_iter().find(|(_, found)| found.as_ref().is_none_or(|role| !role.can_login))
    else {
        let message = "every other login role of the target may log in already, so one of them may be in use; \
                       revoke the one that is not, then try again";
        return Err(Error::new(ErrorKind::Conflict, MINT, message).with("target", &request.target.name));
    };
    let (login, member) = (identifier(&name), identifier(&group.name));
    let join = if found.is_some() {
        format!("GRANT {member} TO {login}")
    } else {
        format!("CREATE ROLE {login} NOLOGIN INHERIT IN ROLE {member}")
    };
    let limits = match in_use {
        Some(old) => role::find(connection, MINT, old).await?,
        None => None,
    };
    let limits = limits.as_ref().unwrap_or(group);
    let until = limits.expires.map_or_else(|| "infinity".to_owned(), |expires| expires.to_string());
    let statements = format!(
        "{join}; ALTER ROLE {login} SET role = {}; ALTER ROLE {login} CONNECTION LIMIT {} VALID UNTIL {}",
        literal(&group.name),
        limits.connections,
        literal(&until)
    );
    role::execute(connection, MINT, "the login role could not be prepared", statements)
        .await
        .map_err(|failure| failure.with("role", &name))?;
    role::find(connection, MINT, &name)
        .await?
        .ok_or_else(|| Error::new(ErrorKind::Conflict, MINT, "the role vanished").with("role", &name))
}

pub(crate) async fn verify(client: &Client, target: &Target, material: &Material) -> Result<Verified, Error> {
    let username = material.username.as_deref().unwrap_or(&target.name);
    let mut connection = client::login(client.settings.primary(), username, material, Verb::Verify)
        .await?
        .map_err(|failure| error::login(Verb::Verify, failure).with("role", username))?;
    let principal: String = sqlx::query_scalar("SELECT current_user::text")
        .fetch_one(&mut connection)
        .await
        .map_err(|failure| error::statement(Verb::Verify, "the value was accepted, but no query ran", failure))?;
    let login = role::find(&mut connection, Verb::Verify, username)
        .await?
        .ok_or_else(|| Error::new(ErrorKind::Missing, Verb::Verify, "the role vanished").with("role", username))?;
    // The login has proven what it had to; a farewell that fails changes nothing.
    let _ = connection.close().await;
    Ok(Verified { version: login.version(), principal, expires: login.expires })
}

pub(crate) async fn compare_rights(
    client: &Client,
    call: &Call,
    target: &Target,
    old: &VersionId,
    new: &VersionId,
) -> Result<RightsChange, Error> {
    let verb = Verb::CompareRights;
    let (old, new) = (role::of_target(verb, target, old)?, role::of_target(verb, target, new)?);
    if old == new {
        return Ok(RightsChange::Equal);
    }
    let mut connection = client.act(call, verb).await?;
    let before = rights(&mut connection, target, old).await?;
    let after = rights(&mut connection, target, new).await?;
    connection.keep();
    if !after.contains(&format!("acts as {}", target.name)) {
        return Ok(RightsChange::OtherIdentity(new.to_owned()));
    }
    let missing = |from: &[String], of: &[String]| -> Vec<String> {
        from.iter().filter(|right| !of.contains(right)).cloned().collect()
    };
    let (added, lost) = (missing(&after, &before), missing(&before, &after));
    Ok(match (added.is_empty(), lost.is_empty()) {
        (true, true) => RightsChange::Equal,
        (true, false) => RightsChange::Narrower(lost),
        (false, _) => RightsChange::Broader(added),
    })
}

/// What a login role may do, as words: who it acts as, every role it is in, the attributes that come with them.
async fn rights(connection: &mut PgConnection, target: &Target, login: &str) -> Result<Vec<String>, Error> {
    sqlx::query_scalar(
        "WITH RECURSIVE reach(oid) AS (
             SELECT oid FROM pg_roles WHERE rolname = $1
             UNION SELECT m.roleid FROM pg_auth_members m JOIN reach r ON m.member = r.oid
         ), one AS (SELECT * FROM pg_roles WHERE rolname = $1)
         SELECT 'member of ' || rolname FROM pg_roles NATURAL JOIN reach WHERE rolname <> $1 AND rolname <> $2
         UNION SELECT word FROM pg_roles NATURAL JOIN reach, LATERAL (VALUES
             ('superuser', rolsuper), ('createdb', rolcreatedb), ('createrole', rolcreaterole),
             ('replication', rolreplication), ('bypass row security', rolbypassrls)) AS attribute(word, held) WHERE held
         UNION SELECT 'connections ' || rolconnlimit FROM one
         UNION SELECT 'valid until ' || coalesce(nullif(rolvaliduntil, 'infinity')::text, 'ever') FROM one
         UNION SELECT 'acts as ' || coalesce((SELECT substr(s, 6) FROM unnest(rolconfig) s WHERE s LIKE 'role=%'), rolname)
             FROM one
         ORDER BY 1",
    )
    .bind(login)
    .bind(&target.name)
    .fetch_all(connection)
    .await
    .map_err(|failure| {
        error::statement(Verb::CompareRights, "the rights could not be read", failure).with("role", login)
    })
}

pub(crate) async fn recover(client: &Client, call: &Call, intent: &Intent) -> Result<Recovered, Error> {
    let verb = Verb::Recover;
    let mut connection = client.act(call, verb).await?;
    let recovered = match intent.verb {
        Verb::Mint => recover_mint(&mut connection, intent).await?,
        Verb::Revoke | Verb::Disable | Verb::Enable => {
            let version = intent
                .version
                .as_ref()
                .ok_or_else(|| Error::new(ErrorKind::Invalid, verb, "the intent names no version"))?;
            let name = role::of_target(verb, &intent.target, version)?;
            let role = role::find(&mut connection, verb, name).await?.filter(|role| role.version() == *version);
            let done = match (intent.verb, &role) {
                (Verb::Enable, role) => role.as_ref().is_some_and(|role| role.can_login),
                // What the role does not carry any more cannot come back.
                (_, None) => true,
                (Verb::Disable, Some(role)) => !role.can_login,
                (_, Some(role)) => version::revoked(&role.comment),
            };
            if done { Recovered::Done(None) } else { Recovered::NotDone }
        }
        _ => Recovered::NotDone,
    };
    connection.keep();
    Ok(recovered)
}

async fn recover_mint(connection: &mut PgConnection, intent: &Intent) -> Result<Recovered, Error> {
    for name in role::slots(&intent.target) {
        let made = version::minted(&name, &intent.operation);
        if role::find(connection, Verb::Recover, &name).await?.is_some_and(|role| role.version() == made) {
            let secret = intent.mint.as_ref().and_then(|request| request.proposed.clone());
            return Ok(match secret {
                Some(secret) => {
                    Recovered::Done(Some(Minted { version: made, material: Material::login(name, secret) }))
                }
                None => Recovered::Orphan(made),
            });
        }
    }
    Ok(Recovered::NotDone)
}
