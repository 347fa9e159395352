//! The database engine: static roles, whose password the server changes in place, and the leases of its other roles.
//!
//! The target is the static role. A version is `role@moment`, the moment being that of the server's last rotation: the
//! server keeps no other name for it, and its own schedule makes versions, too.
//! A value is tried where it is used, by a login at the database (PostgreSQL), never by asking the server what it thinks.
//! What the other roles gave out is listed as foreign, lease by lease or a role's together, and can be revoked by that name.
//! What the server itself logs in with is delivered to it: see [`connection`].

mod connection;
mod login;

use std::collections::BTreeMap;
use std::time::Duration;

use async_trait::async_trait;
use jiff::Timestamp;
use remint_contract::{
    Call, Capabilities, Connector, Error, ErrorKind, Intent, IssuerCapabilities, Live, MadeBy, Material, MintRequest,
    Minted, ProbeCost, Recovered, SecretValue, Slots, StoreCapabilities, Strategy, Target, Verb, Verdict, Verified,
    VersionId, WriteRequest, Written,
};
use serde::Deserialize;
use vaultrs::api::database::requests::{
    GetStaticCredentialsRequest, ListStaticRolesRequest, ReadStaticRoleRequest, RotateStaticRoleRequest,
};

use crate::client::Client;
use crate::config::Settings;
use crate::leases;
use crate::mount;
use crate::request::{Effect, Request};
use crate::session::secret;
use login::Tried;

pub(crate) struct Database(pub(crate) Client);

pub(crate) fn capabilities(settings: &Settings) -> Capabilities {
    Capabilities {
        verbs: [
            Verb::Check,
            Verb::Mint,
            Verb::Verify,
            Verb::Write,
            Verb::Revoke,
            Verb::Probe,
            Verb::Enumerate,
            Verb::Recover,
        ]
        .into(),
        issuer: Some(IssuerCapabilities {
            slots: Slots::One,
            made_by: MadeBy::Issuer,
            probe: ProbeCost::Free,
            propagation: Duration::ZERO,
            strategies: [Strategy::InPlace].into(),
            endpoints: settings.databases.iter().map(ToString::to_string).collect(),
            verifies_at: Some(0),
            reversible_disable: false,
            dies_with_issuer: false,
            calls: vec![(Strategy::InPlace, crate::calls::DATABASE_IN_PLACE)],
        }),
        store: Some(StoreCapabilities { compare_and_set: false, staged: false, versioned: false, own_login: true }),
        consumer: None,
    }
}

#[derive(Deserialize)]
struct Role {
    username: String,
    #[serde(default)]
    last_vault_rotation: Option<Timestamp>,
}

#[derive(Deserialize)]
struct Credentials {
    username: String,
    #[serde(deserialize_with = "secret")]
    password: SecretValue,
    #[serde(default)]
    last_vault_rotation: Option<Timestamp>,
}

#[derive(Deserialize)]
struct Keys {
    keys: Vec<String>,
}

#[async_trait]
impl Connector for Database {
    fn describe(&self) -> Capabilities {
        capabilities(&self.0.settings)
    }

    /// A static role always has a password.
    fn replaces(&self) -> bool {
        true
    }

    async fn check(&self, call: &Call, path: Option<&str>) -> Result<(), Error> {
        mount::check(&self.0, call).await?;
        match path {
            Some(path) => connection::check(&self.0, call, path).await,
            None => Ok(()),
        }
    }

    fn fits(&self, path: &str, fields: &BTreeMap<String, SecretValue>) -> Result<(), Error> {
        connection::fits(path, fields)
    }

    async fn write(&self, call: &Call, request: &WriteRequest) -> Result<Written, Error> {
        connection::write(&self.0, call, request).await
    }

    async fn mint(&self, call: &Call, request: &MintRequest) -> Result<Minted, Error> {
        let verb = Verb::Mint;
        let role = &request.target.name;
        self.role(call, verb, role).await?;
        self.rotate(call, verb, role).await?;
        // The password is another one already: only `recover` may say what it is now.
        self.credentials(call, verb, role).await.map_err(|failure| {
            let message = "the password was changed, and could not be read";
            Error::new(ErrorKind::Unclear, verb, message).with("role", role).because(failure)
        })
    }

    async fn verify(&self, call: &Call, target: &Target, material: &Material) -> Result<Verified, Error> {
        let verb = Verb::Verify;
        let role = &target.name;
        let principal = match self.try_at(call, verb, target, material, 0).await? {
            Tried::Accepted { principal } => principal,
            Tried::Refused => {
                return Err(Error::new(ErrorKind::Denied, verb, "the database refuses the login").with("role", role));
            }
            Tried::Unclear(why) => {
                return Err(
                    Error::new(ErrorKind::Unreachable, verb, "the database could not be asked").with("why", why)
                );
            }
        };
        let current = self.credentials(call, verb, role).await?;
        if current.material.secret != material.secret {
            let message = "the database takes the password, and it is not the one that the server set last";
            return Err(Error::new(ErrorKind::Conflict, verb, message).with("role", role));
        }
        Ok(Verified { version: current.version, principal, expires: None })
    }

    async fn revoke(&self, call: &Call, target: &Target, version: &VersionId) -> Result<(), Error> {
        let verb = Verb::Revoke;
        if let Some(lease) = leases::named(version) {
            return leases::revoke(&self.0, call, verb, lease).await;
        }
        let role = self.role(call, verb, &target.name).await?;
        if self::version(&target.name, role.last_vault_rotation) != *version {
            return Ok(());
        }
        // The server cannot stop a static role: another password, which nobody has asked for, does the same.
        self.rotate(call, verb, &target.name).await
    }

    async fn probe(
        &self,
        call: &Call,
        target: &Target,
        material: &Material,
        endpoint: usize,
    ) -> Result<Verdict, Error> {
        Ok(match self.try_at(call, Verb::Probe, target, material, endpoint).await? {
            Tried::Accepted { .. } => Verdict::Accepted,
            Tried::Refused => Verdict::Denied,
            Tried::Unclear(why) => Verdict::Unclear(why),
        })
    }

    async fn enumerate(&self, call: &Call, targets: &[Target]) -> Result<Vec<Live>, Error> {
        let verb = Verb::Enumerate;
        let request = ListStaticRolesRequest { mount: self.0.settings.mount.clone() };
        let answer = self.0.act(call, &Request::of(verb, Effect::Reads, &request)?).await?;
        let mut living = Vec::new();
        for name in answer.found::<Keys>("the static roles")?.map_or_else(Vec::new, |found| found.keys) {
            let role = self.role(call, verb, &name).await?;
            living.push(Live {
                version: version(&name, role.last_vault_rotation),
                target: targets.iter().find(|target| target.name == name).map(|target| target.name.clone()),
                label: format!("static role {name}, login {}", role.username),
                operation: None,
                created: role.last_vault_rotation,
            });
        }
        living.extend(leases::below(&self.0, call, verb, &format!("{}/creds", self.0.settings.mount)).await?);
        Ok(living)
    }

    async fn recover(&self, call: &Call, intent: &Intent) -> Result<Recovered, Error> {
        let verb = Verb::Recover;
        let role = &intent.target.name;
        match intent.verb {
            Verb::Mint => {
                let current = self.credentials(call, verb, role).await?;
                // Without the old version it cannot be said: another rotation is always right.
                let old = intent.mint.as_ref().and_then(|request| request.old.as_ref());
                let done = old.is_some_and(|old| *old != current.version);
                Ok(if done { Recovered::Done(Some(current)) } else { Recovered::NotDone })
            }
            Verb::Revoke => {
                let version = intent
                    .version
                    .as_ref()
                    .ok_or_else(|| Error::new(ErrorKind::Invalid, verb, "the intent names no version"))?;
                let lives = if let Some(lease) = leases::named(version) {
                    leases::lives(&self.0, call, verb, lease).await?
                } else {
                    let found = self.role(call, verb, role).await?;
                    self::version(role, found.last_vault_rotation) == *version
                };
                Ok(if lives { Recovered::NotDone } else { Recovered::Done(None) })
            }
            _ => Ok(Recovered::NotDone),
        }
    }
}

impl Database {
    async fn role(&self, call: &Call, verb: Verb, role: &str) -> Result<Role, Error> {
        let request = ReadStaticRoleRequest { mount: self.0.settings.mount.clone(), name: role.to_owned() };
        let answer = self.0.act(call, &Request::of(verb, Effect::Reads, &request)?).await?;
        let found = answer.found("the static role").map_err(|failure| failure.with("role", role))?;
        found.ok_or_else(|| {
            let message = "there is no such static role; create it, or correct `issuedBy.target`";
            Error::new(ErrorKind::Missing, verb, message).with("role", role)
        })
    }

    async fn rotate(&self, call: &Call, verb: Verb, role: &str) -> Result<(), Error> {
        let request = RotateStaticRoleRequest { mount: self.0.settings.mount.clone(), name: role.to_owned() };
        let answer = self.0.act(call, &Request::of(verb, Effect::Changes, &request)?).await?;
        answer.done("the rotation").map_err(|failure| failure.with("role", role))
    }

    /// The password as it is now.
    async fn credentials(&self, call: &Call, verb: Verb, role: &str) -> Result<Minted, Error> {
        let request = GetStaticCredentialsRequest { mount: self.0.settings.mount.clone(), name: role.to_owned() };
        let answer = self.0.act(call, &Request::of(verb, Effect::Reads, &request)?).await?;
        let found: Credentials = answer.data("the password").map_err(|failure| failure.with("role", role))?;
        let version = version(role, found.last_vault_rotation);
        Ok(Minted { version, material: Material::login(found.username, found.password) })
    }

    async fn try_at(
        &self,
        call: &Call,
        verb: Verb,
        target: &Target,
        material: &Material,
        endpoint: usize,
    ) -> Result<Tried, Error> {
        let database = self.0.settings.databases.get(endpoint).ok_or_else(|| {
            Error::new(ErrorKind::Invalid, verb, "there is no such endpoint").with("endpoint", endpoint.to_string())
        })?;
        let username = if let Some(username) = &material.username {
            username
        } else {
            &self.role(call, verb, &target.name).await?.username
        };
        Ok(login::at(database, self.0.settings.database_ca.as_deref(), username, &material.secret).await)
    }
}

fn version(role: &str, rotated: Option<Timestamp>) -> VersionId {
    let moment = rotated.map_or_else(|| "never".to_owned(), |moment| moment.to_string());
    VersionId(format!("{role}@{moment}"))
}
