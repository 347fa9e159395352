//! AppRole: a role's secret ids as versions, made by Remint, listed by accessor, tried by a login.
//!
//! The target is the role. A version is `accessor@operation`, or the accessor alone where Remint did not make it: the
//! operation stands in the secret id's metadata, which the server copies into every token that a login with it gives.
//! So what a version gave is known after the version is gone.
//! The user name of a credential is the role id, its secret the secret id. Several live beside one another.

mod lookup;
mod tokens;

use async_trait::async_trait;
use remint_contract::{
    Call, Capabilities, Connector, Derived, DerivedOutcome, Ended, Error, ErrorKind, Intent, IssuerCapabilities, Live,
    MadeBy, Material, MintRequest, Minted, ProbeCost, Recovered, RightsChange, SecretValue, Slots, Strategy, Target,
    Verb, Verdict, Verified, VersionId,
};
use serde::{Deserialize, Serialize};
use std::time::Duration;
use vaultrs::api::auth::approle::requests::DeleteSecretIDAccessorRequest;

use crate::answer::unproven;
use crate::client::Client;
use crate::config::Settings;
use crate::discover::{self, Role};
use crate::mark::{self, MARK, accessor, named};
use crate::mount;
use crate::request::{Effect, Request};
use crate::session::secret;

pub(crate) struct AppRole(pub(crate) Client);

/// The only words with which a server refuses a role id or a secret id, and nothing else: OpenBao's, then those of Vault, which
/// tells the two apart.
const REFUSED: [&str; 3] = ["invalid role or secret ID", "invalid secret id", "invalid role ID"];

pub(crate) fn capabilities(settings: &Settings) -> Capabilities {
    Capabilities {
        verbs: [
            Verb::Check,
            Verb::Mint,
            Verb::Verify,
            Verb::CompareRights,
            Verb::Revoke,
            Verb::ListDerived,
            Verb::EndDerived,
            Verb::Probe,
            Verb::Enumerate,
            Verb::Recover,
            Verb::Discover,
        ]
        .into(),
        issuer: Some(IssuerCapabilities {
            slots: Slots::Many,
            made_by: MadeBy::Remint,
            // Refused logins of one role are counted, and too many lock it for a while.
            probe: ProbeCost::Counted,
            propagation: Duration::ZERO,
            strategies: [Strategy::Overlap].into(),
            endpoints: settings.endpoints.clone(),
            verifies_at: settings.primary_endpoint(),
            reversible_disable: false,
            dies_with_issuer: false,
            calls: vec![(Strategy::Overlap, crate::calls::APPROLE_OVERLAP)],
        }),
        store: None,
        consumer: None,
    }
}

#[derive(Serialize)]
struct Custom<'a> {
    secret_id: &'a str,
    /// JSON in a text, as the server has it.
    metadata: String,
    cidr_list: &'a [String],
    token_bound_cidrs: &'a [String],
    #[serde(skip_serializing_if = "Option::is_none")]
    ttl: Option<u64>,
}

#[derive(Deserialize)]
struct Made {
    secret_id_accessor: String,
}

#[derive(Serialize)]
struct Shown<'a> {
    role_id: &'a str,
    secret_id: &'a str,
}

#[derive(Deserialize)]
struct Granted {
    #[serde(deserialize_with = "secret")]
    client_token: SecretValue,
    #[serde(default)]
    metadata: std::collections::BTreeMap<String, String>,
}

/// What a login gave.
enum Tried {
    Accepted(Granted),
    Refused,
    Unclear(Error),
}

#[async_trait]
impl Connector for AppRole {
    fn describe(&self) -> Capabilities {
        capabilities(&self.0.settings)
    }

    async fn check(&self, call: &Call, _path: Option<&str>) -> Result<(), Error> {
        mount::check(&self.0, call).await
    }

    async fn mint(&self, call: &Call, request: &MintRequest) -> Result<Minted, Error> {
        let verb = Verb::Mint;
        let role = &request.target.name;
        let invalid = |kind, message| Error::new(kind, verb, message).with("role", role);
        let secret = request
            .proposed
            .as_ref()
            .ok_or_else(|| invalid(ErrorKind::Invalid, "no value was proposed; this issuer makes none"))?;
        let text = secret
            .expose_str()
            .filter(|text| !text.is_empty() && text.trim() == *text)
            .ok_or_else(|| invalid(ErrorKind::RefusedValue, "a secret id is text without spaces around it"))?;
        let found = self.role(call, verb, role).await?;
        if found.secret_id_num_uses > 0 {
            let message =
                "secret ids of this role end after some uses, and every try would be one; set secret_id_num_uses to 0";
            return Err(invalid(ErrorKind::Invalid, message));
        }
        let username = self.role_id(call, verb, role).await?;
        let material = || Material::login(username.clone(), secret.clone());
        if let Some(known) = self.by_secret(call, verb, role, text).await? {
            return match known.operation() {
                Some(operation) if operation == call.operation => {
                    Ok(Minted { version: known.version(), material: material() })
                }
                _ => Err(invalid(ErrorKind::Conflict, "the role has this secret id already")),
            };
        }
        let limits = match &request.old {
            Some(old) => self.by_accessor(call, verb, role, accessor(old)).await?,
            None => None,
        };
        let limits = limits.unwrap_or_default();
        let custom = Custom {
            secret_id: text,
            metadata: serde_json::json!({ MARK: call.operation.0 }).to_string(),
            cidr_list: &limits.cidr_list.unwrap_or_default(),
            token_bound_cidrs: &limits.token_bound_cidrs.unwrap_or_default(),
            ttl: (limits.secret_id_ttl > 0).then_some(limits.secret_id_ttl),
        };
        let path = format!("{}/role/{role}/custom-secret-id", self.0.settings.mount);
        let answer = self.0.act(call, &Request::post(verb, Effect::Changes, &path, &custom)?).await?;
        let made: Made = answer.data("the secret id").map_err(|failure| failure.with("role", role))?;
        Ok(Minted { version: named(&made.secret_id_accessor, Some(&call.operation)), material: material() })
    }

    async fn verify(&self, call: &Call, target: &Target, material: &Material) -> Result<Verified, Error> {
        let verb = Verb::Verify;
        let (address, role) = (&self.0.settings.address, &target.name);
        let granted = match self.try_at(call, verb, address, target, material).await? {
            Tried::Accepted(granted) => granted,
            Tried::Refused => {
                let message = "the server does not take the role id and secret id";
                return Err(Error::new(ErrorKind::Denied, verb, message).with("role", role));
            }
            Tried::Unclear(failure) => return Err(unproven(failure).with("role", role)),
        };
        let principal = granted.metadata.get("role_name").cloned().unwrap_or_default();
        let text = material.secret.expose_str().unwrap_or_default();
        let known = self.by_secret(call, verb, &principal, text).await?.ok_or_else(|| {
            Error::new(ErrorKind::Missing, verb, "the secret id was accepted and is gone now").with("role", role)
        })?;
        Ok(Verified { version: known.version(), principal, expires: known.expires() })
    }

    async fn compare_rights(
        &self,
        call: &Call,
        target: &Target,
        old: &VersionId,
        new: &VersionId,
    ) -> Result<RightsChange, Error> {
        let verb = Verb::CompareRights;
        let mut both = Vec::with_capacity(2);
        for version in [old, new] {
            let known = self.by_accessor(call, verb, &target.name, accessor(version)).await?;
            both.push(known.ok_or_else(|| {
                Error::new(ErrorKind::Missing, verb, "the role has no such secret id").with("version", &version.0)
            })?);
        }
        Ok(lookup::difference(&both[0], &both[1]))
    }

    async fn revoke(&self, call: &Call, target: &Target, version: &VersionId) -> Result<(), Error> {
        let verb = Verb::Revoke;
        // The server answers an unknown accessor as it answers other failures.
        if self.by_accessor(call, verb, &target.name, accessor(version)).await?.is_none() {
            return Ok(());
        }
        let destroy = DeleteSecretIDAccessorRequest {
            mount: self.bare_mount(),
            role_name: target.name.clone(),
            secret_id_accessor: accessor(version).to_owned(),
        };
        let answer = self.0.act(call, &Request::of(verb, Effect::Changes, &destroy)?).await?;
        answer.done("the secret id").map_err(|failure| failure.with("role", &target.name).with("version", &version.0))
    }

    async fn list_derived(&self, call: &Call, target: &Target, version: &VersionId) -> Result<Vec<Derived>, Error> {
        tokens::of(&self.0, call, Verb::ListDerived, target, version).await
    }

    async fn end_derived(&self, call: &Call, target: &Target, version: &VersionId) -> Result<Vec<Ended>, Error> {
        let verb = Verb::EndDerived;
        // One that Remint did not make shares its tokens' looks with every other of that sort.
        let shared = mark::operation(version).is_none() && self.others(call, verb, &target.name, version).await?;
        let mut ended = Vec::new();
        for derived in tokens::of(&self.0, call, verb, target, version).await? {
            let outcome = if shared {
                DerivedOutcome::Unknown
            } else {
                crate::tokens::end(&self.0, call, verb, &derived.id).await?;
                DerivedOutcome::Ended
            };
            ended.push(Ended { derived, outcome });
        }
        Ok(ended)
    }

    async fn probe(
        &self,
        call: &Call,
        target: &Target,
        material: &Material,
        endpoint: usize,
    ) -> Result<Verdict, Error> {
        let verb = Verb::Probe;
        let address = self.0.settings.endpoints.get(endpoint).ok_or_else(|| {
            Error::new(ErrorKind::Invalid, verb, "there is no such endpoint").with("endpoint", endpoint.to_string())
        })?;
        Ok(match self.try_at(call, verb, address, target, material).await? {
            Tried::Accepted(_) => Verdict::Accepted,
            Tried::Refused => Verdict::Denied,
            Tried::Unclear(failure) => Verdict::Unclear(format!("{address}: {failure}")),
        })
    }

    async fn enumerate(&self, call: &Call, targets: &[Target]) -> Result<Vec<Live>, Error> {
        let verb = Verb::Enumerate;
        let mut living = Vec::new();
        for role in self.roles(call, verb).await? {
            let target = targets.iter().find(|target| target.name == role).map(|target| target.name.clone());
            for known in self.all(call, verb, &role).await? {
                living.push(Live {
                    version: known.version(),
                    target: target.clone(),
                    label: format!("{role}: secret id {}", known.secret_id_accessor),
                    operation: known.operation(),
                    created: known.creation_time,
                });
            }
        }
        Ok(living)
    }

    async fn recover(&self, call: &Call, intent: &Intent) -> Result<Recovered, Error> {
        let verb = Verb::Recover;
        let role = &intent.target.name;
        match intent.verb {
            Verb::Mint => {
                let proposed = intent.mint.as_ref().and_then(|request| request.proposed.as_ref());
                let all = self.all(call, verb, role).await?;
                let made = all.into_iter().find(|known| known.operation().as_ref() == Some(&intent.operation));
                Ok(match (made, proposed) {
                    (None, _) => Recovered::NotDone,
                    (Some(known), None) => Recovered::Orphan(known.version()),
                    (Some(known), Some(secret)) => {
                        let material = Material::login(self.role_id(call, verb, role).await?, secret.clone());
                        Recovered::Done(Some(Minted { version: known.version(), material }))
                    }
                })
            }
            Verb::Revoke => {
                let version = intent
                    .version
                    .as_ref()
                    .ok_or_else(|| Error::new(ErrorKind::Invalid, verb, "the intent names no version"))?;
                let lives = self.by_accessor(call, verb, role, accessor(version)).await?.is_some();
                Ok(if lives { Recovered::NotDone } else { Recovered::Done(None) })
            }
            // Ending again what came from it does no harm.
            _ => Ok(Recovered::NotDone),
        }
    }

    async fn discover(&self, call: &Call) -> Result<Vec<serde_json::Value>, Error> {
        let verb = Verb::Discover;
        let mut roles = Vec::new();
        for name in self.roles(call, verb).await? {
            let policies = self.role(call, verb, &name).await?.policies();
            roles.push(Role { name, policies });
        }
        discover::documents(&self.0, call, "vault-approle", &roles).await
    }
}

impl AppRole {
    /// One login. The token that it gives is ended at once: a try leaves nothing behind.
    async fn try_at(
        &self,
        call: &Call,
        verb: Verb,
        address: &str,
        target: &Target,
        material: &Material,
    ) -> Result<Tried, Error> {
        // What is no text was never a secret id.
        let Some(secret_id) = material.secret.expose_str() else { return Ok(Tried::Refused) };
        let role_id = if let Some(role_id) = &material.username {
            role_id
        } else {
            &self.role_id(call, verb, &target.name).await?
        };
        let path = format!("{}/login", self.0.settings.mount);
        let request = Request::post(verb, Effect::Reads, &path, &Shown { role_id, secret_id })?;
        let answer = match self.0.send(address, None, &request).await {
            Ok(answer) => answer,
            Err(failure) => return Ok(Tried::Unclear(failure)),
        };
        if REFUSED.iter().any(|reason| answer.says(reason)) {
            return Ok(Tried::Refused);
        }
        Ok(match answer.auth::<Granted>("the login") {
            Ok(granted) => {
                let farewell = Request::post(verb, Effect::Changes, "auth/token/revoke-self", &serde_json::json!({}))?;
                // The server has said yes; a farewell that fails changes nothing.
                let _ = self.0.send(address, Some(&granted.client_token), &farewell).await;
                Tried::Accepted(granted)
            }
            Err(failure) => Tried::Unclear(failure),
        })
    }

    /// Does the role have another secret id that Remint did not make?
    async fn others(&self, call: &Call, verb: Verb, role: &str, version: &VersionId) -> Result<bool, Error> {
        let all = self.all(call, verb, role).await?;
        Ok(all.iter().any(|known| known.operation().is_none() && known.secret_id_accessor != accessor(version)))
    }

    /// The mount without `auth/`, as `vaultrs` wants it.
    fn bare_mount(&self) -> String {
        let mount = &self.0.settings.mount;
        mount.strip_prefix("auth/").unwrap_or(mount).to_owned()
    }
}
