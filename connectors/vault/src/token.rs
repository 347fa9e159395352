//! Tokens of a token role as versions: made by the server and shown once, listed by accessor, tried by looking at itself.
//!
//! The target is the token role, which says what its tokens may do and for how long. A version is `accessor@operation`,
//! or the accessor alone where Remint did not make it.
//! Revoking a token ends its children and its leases with it; the server has no list of them, so none is given here.

use std::collections::BTreeSet;
use std::time::Duration;

use async_trait::async_trait;
use remint_contract::{
    Call, Capabilities, Connector, Error, ErrorKind, Intent, IssuerCapabilities, Live, MadeBy, Material, MintRequest,
    Minted, OperationId, ProbeCost, Recovered, RightsChange, SecretValue, Slots, Strategy, Target, Verb, Verdict,
    Verified, VersionId,
};
use serde::Deserialize;

use crate::answer::unproven;
use crate::client::Client;
use crate::config::Settings;
use crate::discover;
use crate::mark::{MARK, accessor, named};
use crate::mount;
use crate::request::{Effect, Request};
use crate::session::secret;
use crate::tokens::{self, Token};

pub(crate) struct Tokens(pub(crate) Client);

pub(crate) fn capabilities(settings: &Settings) -> Capabilities {
    Capabilities {
        verbs: [
            Verb::Check,
            Verb::Mint,
            Verb::Verify,
            Verb::CompareRights,
            Verb::Revoke,
            Verb::Probe,
            Verb::Enumerate,
            Verb::Recover,
            Verb::Discover,
        ]
        .into(),
        issuer: Some(IssuerCapabilities {
            slots: Slots::Many,
            made_by: MadeBy::IssuerOnce,
            probe: ProbeCost::Free,
            propagation: Duration::ZERO,
            strategies: [Strategy::Overlap].into(),
            endpoints: settings.endpoints.clone(),
            verifies_at: settings.primary_endpoint(),
            reversible_disable: false,
            dies_with_issuer: false,
            calls: vec![(Strategy::Overlap, crate::calls::TOKEN_OVERLAP)],
        }),
        store: None,
        consumer: None,
    }
}

#[derive(Deserialize)]
struct Role {
    #[serde(default)]
    orphan: bool,
    #[serde(default)]
    token_type: String,
    #[serde(default)]
    token_num_uses: u64,
    #[serde(default)]
    allowed_policies: Option<Vec<String>>,
    #[serde(default)]
    allowed_policies_glob: Option<Vec<String>>,
    #[serde(default)]
    token_no_default_policy: bool,
}

#[derive(Deserialize)]
struct Keys {
    keys: Vec<String>,
}

#[derive(Deserialize)]
struct Granted {
    #[serde(deserialize_with = "secret")]
    client_token: SecretValue,
    accessor: String,
}

/// What looking at itself gave.
enum Tried {
    Accepted(Token),
    Refused,
    Unclear(Error),
}

#[async_trait]
impl Connector for Tokens {
    fn describe(&self) -> Capabilities {
        capabilities(&self.0.settings)
    }

    async fn check(&self, call: &Call, _path: Option<&str>) -> Result<(), Error> {
        // Every login may see this mount: the list of tokens is what only some may.
        mount::check(&self.0, call).await?;
        let needs: [(&str, &[&str]); 3] = [
            ("auth/token/accessors", &["list", "sudo"]),
            ("auth/token/lookup-accessor", &["update"]),
            ("auth/token/revoke-accessor", &["update"]),
        ];
        mount::allows(&self.0, call, &needs.map(|(path, rights)| (path.to_owned(), rights))).await
    }

    async fn mint(&self, call: &Call, request: &MintRequest) -> Result<Minted, Error> {
        let verb = Verb::Mint;
        let role = &request.target.name;
        self.fit(call, role).await?;
        // A lost answer leaves a token that nobody has; a repeat makes another, and `recover` finds the first.
        let asked = serde_json::json!({ "meta": { MARK: call.operation.0 }, "display_name": role });
        let path = format!("auth/token/create/{role}");
        let answer = self.0.act(call, &Request::post(verb, Effect::Changes, &path, &asked)?).await?;
        let granted: Granted = answer.auth("the token").map_err(|failure| failure.with("role", role))?;
        let version = named(&granted.accessor, Some(&call.operation));
        Ok(Minted { version, material: Material::of(granted.client_token) })
    }

    async fn verify(&self, call: &Call, target: &Target, material: &Material) -> Result<Verified, Error> {
        let verb = Verb::Verify;
        match self.try_at(call, verb, &self.0.settings.address, material).await? {
            Tried::Accepted(token) => {
                let version = version(&token);
                let principal = token.role.unwrap_or(token.display_name);
                Ok(Verified { version, principal, expires: token.expire_time })
            }
            Tried::Refused => {
                Err(Error::new(ErrorKind::Denied, verb, "the server does not take the token")
                    .with("role", &target.name))
            }
            Tried::Unclear(failure) => Err(unproven(failure).with("role", &target.name)),
        }
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
            let token = tokens::find(&self.0, call, verb, accessor(version)).await?;
            both.push(token.ok_or_else(|| {
                Error::new(ErrorKind::Missing, verb, "there is no such token").with("version", &version.0)
            })?);
        }
        let [old, new] = [&both[0], &both[1]];
        if new.role.as_deref() != Some(&target.name) {
            return Ok(RightsChange::OtherIdentity(new.role.clone().unwrap_or_else(|| new.display_name.clone())));
        }
        let (before, after) = (rights(old), rights(new));
        let missing = |from: &BTreeSet<String>, of: &BTreeSet<String>| from.difference(of).cloned().collect::<Vec<_>>();
        let (added, lost) = (missing(&after, &before), missing(&before, &after));
        Ok(match (added.is_empty(), lost.is_empty()) {
            (true, true) => RightsChange::Equal,
            (true, false) => RightsChange::Narrower(lost),
            (false, _) => RightsChange::Broader(added),
        })
    }

    async fn revoke(&self, call: &Call, _target: &Target, version: &VersionId) -> Result<(), Error> {
        let verb = Verb::Revoke;
        if tokens::find(&self.0, call, verb, accessor(version)).await?.is_none() {
            return Ok(());
        }
        tokens::end(&self.0, call, verb, accessor(version)).await.map_err(|failure| failure.with("version", &version.0))
    }

    async fn probe(
        &self,
        call: &Call,
        _target: &Target,
        material: &Material,
        endpoint: usize,
    ) -> Result<Verdict, Error> {
        let verb = Verb::Probe;
        let address = self.0.settings.endpoints.get(endpoint).ok_or_else(|| {
            Error::new(ErrorKind::Invalid, verb, "there is no such endpoint").with("endpoint", endpoint.to_string())
        })?;
        Ok(match self.try_at(call, verb, address, material).await? {
            Tried::Accepted(_) => Verdict::Accepted,
            Tried::Refused => Verdict::Denied,
            Tried::Unclear(failure) => Verdict::Unclear(format!("{address}: {failure}")),
        })
    }

    async fn enumerate(&self, call: &Call, targets: &[Target]) -> Result<Vec<Live>, Error> {
        let living = tokens::all(&self.0, call, Verb::Enumerate).await?;
        Ok(living
            .into_iter()
            .map(|token| Live {
                version: version(&token),
                target: targets
                    .iter()
                    .map(|target| &target.name)
                    .find(|name| token.role.as_ref() == Some(name))
                    .cloned(),
                label: format!("{} from {}", token.display_name, token.path),
                operation: operation(&token),
                created: token.created(),
            })
            .collect())
    }

    async fn recover(&self, call: &Call, intent: &Intent) -> Result<Recovered, Error> {
        let verb = Verb::Recover;
        match intent.verb {
            Verb::Mint => {
                let living = tokens::all(&self.0, call, verb).await?;
                let made = living.iter().find(|token| operation(token).as_ref() == Some(&intent.operation));
                Ok(made.map_or(Recovered::NotDone, |token| Recovered::Orphan(version(token))))
            }
            Verb::Revoke => {
                let version = intent
                    .version
                    .as_ref()
                    .ok_or_else(|| Error::new(ErrorKind::Invalid, verb, "the intent names no version"))?;
                let lives = tokens::find(&self.0, call, verb, accessor(version)).await?.is_some();
                Ok(if lives { Recovered::NotDone } else { Recovered::Done(None) })
            }
            _ => Ok(Recovered::NotDone),
        }
    }

    async fn discover(&self, call: &Call) -> Result<Vec<serde_json::Value>, Error> {
        let verb = Verb::Discover;
        let every = self.names(call, "sys/policies/acl").await?;
        let mut roles = Vec::new();
        for name in self.names(call, "auth/token/roles").await? {
            let answer = self.0.act(call, &Request::get(verb, &format!("auth/token/roles/{name}"))?).await?;
            let Some(role) = answer.found::<Role>("the role").map_err(|failure| failure.with("role", &name))? else {
                continue;
            };
            roles.push(discover::Role { policies: role.policies(&every), name });
        }
        discover::documents(&self.0, call, "vault-token", &roles).await
    }
}

impl Role {
    /// Of its tokens. Where it names none they have those of whoever asks for them, which may be any.
    fn policies(&self, every: &[String]) -> BTreeSet<String> {
        let named: Vec<_> = self.allowed_policies.iter().flatten().cloned().collect();
        let globs: Vec<_> = self.allowed_policies_glob.iter().flatten().collect();
        if named.is_empty() && globs.is_empty() {
            return [discover::ROOT.to_owned()].into();
        }
        // Never narrower: what follows the first star may be anything.
        let start = |glob: &String| glob.split('*').next().unwrap_or_default().to_owned();
        let globbed = every.iter().filter(|policy| globs.iter().any(|glob| policy.starts_with(&start(glob))));
        let usual = (!self.token_no_default_policy).then(|| "default".to_owned());
        named.into_iter().chain(globbed.cloned()).chain(usual).collect()
    }
}

impl Tokens {
    async fn names(&self, call: &Call, path: &str) -> Result<Vec<String>, Error> {
        let answer = self.0.act(call, &Request::list(Verb::Discover, path)?).await?;
        Ok(answer.found::<Keys>("the names")?.map_or_else(Vec::new, |found| found.keys))
    }

    /// Can tokens of this role be versions?
    async fn fit(&self, call: &Call, role: &str) -> Result<(), Error> {
        let verb = Verb::Mint;
        let wrong = |kind, message| Err(Error::new(kind, verb, message).with("role", role));
        let request = Request::get(verb, &format!("auth/token/roles/{role}"))?;
        let answer = self.0.act(call, &request).await?;
        let Some(role) = answer.found::<Role>("the role").map_err(|failure| failure.with("role", role))? else {
            return wrong(ErrorKind::Missing, "there is no such token role; create it, or correct `issuedBy.target`");
        };
        if !role.orphan {
            let message = "its tokens would end with the login that made them; set `orphan` on the token role";
            return wrong(ErrorKind::Invalid, message);
        }
        if role.token_type.contains("batch") {
            return wrong(
                ErrorKind::Invalid,
                "batch tokens cannot be revoked; set `token_type` of the role to service",
            );
        }
        if role.token_num_uses > 0 {
            let message =
                "tokens of this role end after some uses, and every try would be one; set token_num_uses to 0";
            return wrong(ErrorKind::Invalid, message);
        }
        Ok(())
    }

    async fn try_at(&self, call: &Call, verb: Verb, address: &str, material: &Material) -> Result<Tried, Error> {
        let request = Request::get(verb, "auth/token/lookup-self")?;
        let answer = match self.0.send(address, Some(&material.secret), &request).await {
            Ok(answer) => answer,
            // What no header can carry was never a token.
            Err(failure) if failure.kind == ErrorKind::Denied => return Ok(Tried::Refused),
            Err(failure) => return Ok(Tried::Unclear(failure)),
        };
        if tokens::is_refused(&answer) {
            // The status alone is also that of a token without this right, or from an address that is not let in.
            match tokens::is_known(&self.0, call, verb, address, &material.secret).await {
                Ok(false) => return Ok(Tried::Refused),
                Ok(true) => {}
                Err(failure) => return Ok(Tried::Unclear(failure)),
            }
        }
        Ok(answer.data("the token").map_or_else(Tried::Unclear, Tried::Accepted))
    }
}

fn operation(token: &Token) -> Option<OperationId> {
    token.meta(MARK).map(|operation| OperationId(operation.to_owned()))
}

fn version(token: &Token) -> VersionId {
    named(&token.accessor, operation(token).as_ref())
}

/// What a token may do, as words.
fn rights(token: &Token) -> BTreeSet<String> {
    let policies = token.policies.iter().map(|policy| format!("policy {policy}"));
    let end = if token.expire_time.is_some() { "" } else { "a life without end" };
    let places = token.bound_cidrs.iter().flatten().map(|place| format!("use from {place}"));
    policies.chain(places).chain((!end.is_empty()).then(|| end.to_owned())).collect()
}
