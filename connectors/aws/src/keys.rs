//! Access keys of IAM users, as an issuer.
//!
//! The target is the user, a version is the key's id, a value is the id (user name) and the secret. A user has at most
//! two keys; the secret is shown once. Keys hold no label: before one is minted, a tag of the user says which operation
//! does and what was there before, and after it which key it made. So a key whose answer was lost is found again.

use std::time::Duration;

use async_trait::async_trait;
use jiff::Timestamp;
use remint_contract::{
    Call, Capabilities, Connector, Derived, Ended, Error, ErrorKind, Intent, IssuerCapabilities, Live, MadeBy,
    Material, MintRequest, Minted, ProbeCost, Recovered, RightsChange, SecretValue, Slots, Strategy, Target, Use, Verb,
    Verdict, Verified, VersionId,
};

use crate::client::Client;
use crate::config::{Settings, Stop};
use crate::error::{Failure, unproven};
use crate::identity::{Tried, try_in};
use crate::query::ask;
use crate::sessions;
use crate::user::{self, Key, Mark};
use crate::xml::Answer;

pub(crate) struct Keys(pub(crate) Client);

/// Keys of one user, by AWS's own limit.
const MOST: usize = 2;
/// AWS names no bound; a change is mostly seen everywhere within some seconds.
const PROPAGATION: Duration = Duration::from_secs(15);

const VERBS: [Verb; 9] = [
    Verb::Check,
    Verb::Mint,
    Verb::Verify,
    Verb::CompareRights,
    Verb::Revoke,
    Verb::Probe,
    Verb::Enumerate,
    Verb::LastUsed,
    Verb::Recover,
];
const STOPS: [Verb; 2] = [Verb::Disable, Verb::Enable];
const SESSIONS: [Verb; 2] = [Verb::ListDerived, Verb::EndDerived];

pub(crate) fn capabilities(settings: &Settings) -> Capabilities {
    let reversible = settings.stop == Stop::Inactive;
    let sessions = if settings.ends_sessions { SESSIONS.as_slice() } else { &[] };
    let stops = if reversible { STOPS.as_slice() } else { &[] };
    Capabilities {
        verbs: VERBS.iter().chain(stops).chain(sessions).copied().collect(),
        issuer: Some(IssuerCapabilities {
            slots: Slots::Two,
            made_by: MadeBy::IssuerOnce,
            probe: ProbeCost::Free,
            propagation: PROPAGATION,
            strategies: [Strategy::Overlap].into(),
            endpoints: settings.tried_at(),
            verifies_at: Some(0),
            reversible_disable: reversible,
            dies_with_issuer: false,
            calls: vec![(Strategy::Overlap, crate::calls::IAM_OVERLAP)],
        }),
        store: None,
        consumer: None,
    }
}

#[async_trait]
impl Connector for Keys {
    fn describe(&self) -> Capabilities {
        capabilities(&self.0.settings)
    }

    async fn check(&self, call: &Call, _path: Option<&str>) -> Result<(), Error> {
        let answer = ask(&self.0, call, Verb::Check, "ListUsers", &[("MaxItems", "1")]).await?;
        answer.map(drop).map_err(|failure| failure.error(Verb::Check, "the users"))
    }

    async fn mint(&self, call: &Call, request: &MintRequest) -> Result<Minted, Error> {
        let verb = Verb::Mint;
        let user = request.target.name.as_str();
        if request.strategy != Strategy::Overlap {
            return Err(Error::new(ErrorKind::Invalid, verb, "access keys are replaced by `overlap` only"));
        }
        let before: Vec<String> = user::keys(&self.0, call, verb, user).await?.into_iter().map(|key| key.id).collect();
        if before.len() >= MOST {
            let message = "the user has two access keys, which is all that AWS allows; one of them has to go first";
            return Err(Error::new(ErrorKind::Full, verb, message).with("user", user).with("keys", before.join(", ")));
        }
        let operation = call.operation.clone();
        let intended = Mark::Intended { operation: operation.clone(), before };
        user::put_mark(&self.0, call, verb, user, &intended).await?;
        let answer = ask(&self.0, call, verb, "CreateAccessKey", &[("UserName", user)]).await?;
        let text = answer.map_err(|failure| failure.error(verb, "the access key").with("user", user))?;
        let lost = || Failure::Lost.error(verb, "the access key").with("user", user);
        let answer = Answer::read(&text).ok_or_else(lost)?;
        let root = answer.root();
        let (Some(id), Some(secret)) = (root.text("AccessKeyId"), root.text("SecretAccessKey")) else {
            return Err(lost());
        };
        let made = Mark::Made { operation, id: id.to_owned() };
        // The key is at hand: without this mark the sweep is less sure whose it is, and nothing else.
        drop(user::put_mark(&self.0, call, verb, user, &made).await);
        Ok(Minted { version: VersionId(id.to_owned()), material: Material::login(id, SecretValue::from(secret)) })
    }

    async fn verify(&self, _call: &Call, target: &Target, material: &Material) -> Result<Verified, Error> {
        let verb = Verb::Verify;
        let region = &self.0.settings.regions[0];
        match try_in(&self.0, material, region).await {
            Tried::Accepted(principal) => {
                let version = VersionId(material.username.clone().unwrap_or_default());
                Ok(Verified { version, principal, expires: None })
            }
            Tried::Refused => {
                Err(Error::new(ErrorKind::Denied, verb, "AWS does not take the access key").with("user", &target.name))
            }
            Tried::Unclear(failure) => Err(unproven(failure.error(verb, "the access key")).with("region", region)),
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
        let keys = user::keys(&self.0, call, verb, &target.name).await?;
        for version in [old, new] {
            if !keys.iter().any(|key| key.id == version.0) {
                let message = "the user has no such access key";
                return Err(Error::new(ErrorKind::Missing, verb, message).with("version", &version.0));
            }
        }
        // Rights are the user's; a key has none of its own.
        Ok(RightsChange::Equal)
    }

    async fn disable(&self, call: &Call, target: &Target, version: &VersionId) -> Result<(), Error> {
        self.set(call, Verb::Disable, target, version, "Inactive").await
    }

    async fn enable(&self, call: &Call, target: &Target, version: &VersionId) -> Result<(), Error> {
        self.set(call, Verb::Enable, target, version, "Active").await
    }

    async fn revoke(&self, call: &Call, target: &Target, version: &VersionId) -> Result<(), Error> {
        let fields = [("UserName", target.name.as_str()), ("AccessKeyId", version.0.as_str())];
        match ask(&self.0, call, Verb::Revoke, "DeleteAccessKey", &fields).await? {
            Ok(_) => Ok(()),
            Err(failure) if failure.is("NoSuchEntity") => Ok(()),
            Err(failure) => Err(about(failure.error(Verb::Revoke, "the access key"), target, version)),
        }
    }

    async fn list_derived(&self, call: &Call, target: &Target, version: &VersionId) -> Result<Vec<Derived>, Error> {
        let verb = Verb::ListDerived;
        if !self.0.settings.ends_sessions {
            return Err(Error::unsupported(verb));
        }
        sessions::list(&self.0, call, verb, target, version).await
    }

    async fn end_derived(&self, call: &Call, target: &Target, version: &VersionId) -> Result<Vec<Ended>, Error> {
        if !self.0.settings.ends_sessions {
            return Err(Error::unsupported(Verb::EndDerived));
        }
        sessions::end(&self.0, call, target, version).await
    }

    async fn probe(
        &self,
        _call: &Call,
        _target: &Target,
        material: &Material,
        endpoint: usize,
    ) -> Result<Verdict, Error> {
        let verb = Verb::Probe;
        let region = self.0.settings.regions.get(endpoint).ok_or_else(|| {
            Error::new(ErrorKind::Invalid, verb, "there is no such endpoint").with("endpoint", endpoint.to_string())
        })?;
        Ok(match try_in(&self.0, material, region).await {
            Tried::Accepted(_) => Verdict::Accepted,
            Tried::Refused => Verdict::Denied,
            Tried::Unclear(failure) => Verdict::Unclear(format!("{region}: {}", failure.error(verb, "the access key"))),
        })
    }

    async fn enumerate(&self, call: &Call, targets: &[Target]) -> Result<Vec<Live>, Error> {
        let verb = Verb::Enumerate;
        let mut living = Vec::new();
        for user in user::all(&self.0, call, verb).await? {
            let target = targets.iter().find(|target| target.name == user).map(|target| target.name.clone());
            let keys = gone_is_empty(user::keys(&self.0, call, verb, &user).await)?;
            let mark = match target {
                Some(_) if !keys.is_empty() => user::mark(&self.0, call, verb, &user).await?,
                _ => None,
            };
            living.extend(keys.into_iter().map(|key| Live {
                version: key.version(),
                target: target.clone(),
                label: label(&key),
                operation: mark.as_ref().and_then(|mark| mark.operation_of(&key.id)),
                created: key.created,
            }));
        }
        Ok(living)
    }

    async fn last_used(
        &self,
        call: &Call,
        target: &Target,
        version: &VersionId,
        since: Timestamp,
    ) -> Result<Vec<Use>, Error> {
        let verb = Verb::LastUsed;
        let failed = |failure: Failure| about(failure.error(verb, "the last use"), target, version);
        let text = ask(&self.0, call, verb, "GetAccessKeyLastUsed", &[("AccessKeyId", &version.0)]).await?;
        let text = text.map_err(failed)?;
        let answer = Answer::read(&text).ok_or_else(|| failed(Failure::Lost))?;
        let root = answer.root();
        let at: Option<Timestamp> = root.text("LastUsedDate").and_then(|date| date.parse().ok());
        let place = [root.text("ServiceName"), root.text("Region")].map(|word| word.unwrap_or("unknown"));
        let at = at.filter(|at| *at >= since);
        Ok(at.map(|at| Use { at, source: format!("{} in {}", place[0], place[1]) }).into_iter().collect())
    }

    async fn recover(&self, call: &Call, intent: &Intent) -> Result<Recovered, Error> {
        let verb = Verb::Recover;
        let user = intent.target.name.as_str();
        let keys = gone_is_empty(user::keys(&self.0, call, verb, user).await)?;
        let named = || intent.version.as_ref().and_then(|version| keys.iter().find(|key| key.id == version.0));
        let done = |done: bool| Ok(if done { Recovered::Done(None) } else { Recovered::NotDone });
        match intent.verb {
            Verb::Mint if keys.is_empty() => Ok(Recovered::NotDone),
            Verb::Mint => {
                let mark = user::mark(&self.0, call, verb, user).await?;
                let is_made = |key: &&Key| {
                    mark.as_ref().and_then(|mark| mark.operation_of(&key.id)).as_ref() == Some(&intent.operation)
                };
                let mut made = keys.iter().filter(is_made);
                match (made.next(), made.next()) {
                    (None, _) => Ok(Recovered::NotDone),
                    (Some(key), None) => Ok(Recovered::Orphan(key.version())),
                    (Some(_), Some(_)) => {
                        let message = "two keys came since the mint was begun, and one of them is somebody else's; \
                                       delete that one, then `remint retry`";
                        Err(Error::new(ErrorKind::Unclear, verb, message).with("user", user))
                    }
                }
            }
            Verb::Revoke => done(named().is_none()),
            Verb::Disable => done(named().is_none_or(|key| !key.active)),
            Verb::Enable => done(named().is_some_and(|key| key.active)),
            _ => Ok(Recovered::NotDone),
        }
    }
}

impl Keys {
    async fn set(
        &self,
        call: &Call,
        verb: Verb,
        target: &Target,
        version: &VersionId,
        status: &str,
    ) -> Result<(), Error> {
        if self.0.settings.stop == Stop::Delete {
            return Err(Error::unsupported(verb));
        }
        let fields = [("UserName", target.name.as_str()), ("AccessKeyId", version.0.as_str()), ("Status", status)];
        let answer = ask(&self.0, call, verb, "UpdateAccessKey", &fields).await?;
        answer.map(drop).map_err(|failure| about(failure.error(verb, "the access key"), target, version))
    }
}

fn about(error: Error, target: &Target, version: &VersionId) -> Error {
    error.with("user", &target.name).with("version", &version.0)
}

/// A user that went while the list was read has no keys.
fn gone_is_empty(keys: Result<Vec<Key>, Error>) -> Result<Vec<Key>, Error> {
    match keys {
        Err(error) if error.kind == ErrorKind::Missing => Ok(Vec::new()),
        other => other,
    }
}

fn label(key: &Key) -> String {
    let state = if key.active { "" } else { ", inactive" };
    format!("{}: access key {}{state}", key.user, key.id)
}
