//! Tokens that the vendor makes: each verb as one or two requests of the recipe.

use std::collections::BTreeMap;

use jiff::Timestamp;
use remint_contract::{
    Call, Error, ErrorKind, Intent, Live, Material, MintRequest, Minted, OperationId, Recovered, RightsChange,
    SecretValue, Target, Use, Verb, Verdict, Verified, VersionId,
};
use reqwest::StatusCode;
use serde_json::Value;

use crate::client::{Request, written};
use crate::connector::{Vendor, not_there};
use crate::list::{moment, text};
use crate::recipe::{Carried, Carrying, Issuer, One};
use crate::rights;
use crate::template::{MARK, Values};

/// A vendor as an issuer.
pub(crate) struct Office<'a> {
    pub(crate) vendor: &'a Vendor,
    pub(crate) issuer: &'a Issuer,
}

/// What a token's own request gave.
enum Tested {
    Accepted(Value),
    Denied,
    /// Neither: the vendor knows the token and says no, or says nothing of it.
    Unclear(Error),
}

impl Office<'_> {
    pub(crate) async fn mint(&self, call: &Call, request: &MintRequest) -> Result<Minted, Error> {
        let verb = Verb::Mint;
        let create = self.issuer.create.as_ref().ok_or_else(|| Error::unsupported(verb))?;
        if !self.issuer.strategies.contains_key(&request.strategy) {
            return Err(Error::new(ErrorKind::Invalid, verb, "the recipe does not have this strategy"));
        }
        let values = self.vendor.values(call, Some(&request.target));
        let body = create.body.fill(&values).map_err(|error| {
            Error::new(ErrorKind::Invalid, verb, error.to_string()).with("target", request.target.name.clone())
        })?;
        let body = written(verb, &Carrying { body: &body, at: None, secret: Carried::One("") })?;
        if let Some(reach) = &create.reach {
            let reply = self.vendor.ask(Verb::Check, &reach.call, &values, call.actor.as_deref()).await;
            // Nothing was changed yet, so that no answer leaves a question.
            let reply = reply.map_err(|error| Error { verb, ..error })?;
            if !reply.status.is_success() {
                return Err(Error { verb, ..reply.refusal() });
            }
        }
        let address = self.vendor.client.address(verb, &create.call, &values)?;
        let (method, bearer) = (create.call.method, call.actor.as_deref());
        let reply = self.vendor.client.ask(Request { verb, method, address, bearer, body: Some(body) }).await?;
        let mut answer = reply.json()?;
        let version = self.version(verb, &answer, &create.version)?;
        // Moved out, not copied: what remains of the answer holds no secret.
        match answer.pointer_mut(&create.secret).map(Value::take) {
            Some(Value::String(secret)) if !secret.is_empty() => {
                Ok(Minted { version: VersionId(version), material: Material::of(SecretValue::from(secret)) })
            }
            _ => Err(not_there(verb, "the new token's value").with("version", version)),
        }
    }

    pub(crate) async fn verify(&self, call: &Call, target: &Target, material: &Material) -> Result<Verified, Error> {
        let verb = Verb::Verify;
        let denied = || Error::new(ErrorKind::Denied, verb, "the vendor does not know the token");
        let answer = match self.test(verb, call, target, material).await? {
            Tested::Accepted(answer) => answer,
            Tested::Denied => return Err(denied()),
            Tested::Unclear(error) => return Err(known(error)),
        };
        let test = &self.issuer.test;
        let version = match &test.version {
            None => material.fingerprint(),
            Some(pointer) => {
                let id = text(answer.pointer(pointer)).ok_or_else(|| not_there(verb, "the token's id"))?;
                match (&self.issuer.once, &self.issuer.list) {
                    (Some(_), Some(list)) => {
                        let shown = self.shown(verb, call, target, &id).await?;
                        self.version(verb, &shown.1, &list.version)?
                    }
                    _ => id,
                }
            }
        };
        let expires = test.expires.as_ref().and_then(|pointer| moment(answer.pointer(pointer)));
        let values = self.vendor.values(call, Some(target));
        let principal = match (&self.issuer.identity, &test.principal, &test.principal_at) {
            (Some(identity), _, _) => {
                let reply = self.vendor.ask(verb, &identity.call, &values, Some(material)).await?;
                if test.denied.contains(&reply.status.as_u16()) {
                    return Err(denied());
                }
                let answer = reply.json().map_err(known)?;
                text(answer.pointer(&identity.principal))
            }
            (None, Some(principal), _) => principal.text(&values).ok(),
            (None, None, Some(pointer)) => text(answer.pointer(pointer)),
            (None, None, None) => None,
        };
        let principal = principal.ok_or_else(|| not_there(verb, "who the token speaks for"))?;
        Ok(Verified { version: VersionId(version), principal, expires })
    }

    pub(crate) async fn probe(&self, call: &Call, target: &Target, material: &Material) -> Result<Verdict, Error> {
        Ok(match self.test(Verb::Probe, call, target, material).await? {
            Tested::Accepted(_) => Verdict::Accepted,
            Tested::Denied => Verdict::Denied,
            Tested::Unclear(error) => Verdict::Unclear(error.message),
        })
    }

    pub(crate) async fn compare_rights(
        &self,
        call: &Call,
        target: &Target,
        old: &VersionId,
        new: &VersionId,
    ) -> Result<RightsChange, Error> {
        let (one, old) = self.one(Verb::CompareRights, call, target, old).await?;
        if one.rights.is_empty() {
            return Err(Error::unsupported(Verb::CompareRights));
        }
        let (_, new) = self.one(Verb::CompareRights, call, target, new).await?;
        Ok(rights::compare(&rights::of(&old, &one.rights), &rights::of(&new, &one.rights)))
    }

    pub(crate) async fn revoke(&self, call: &Call, target: &Target, version: &VersionId) -> Result<(), Error> {
        if self.issuer.once.is_some() {
            // A token that has the id now and is another one stays.
            match self.one(Verb::Revoke, call, target, version).await {
                Ok(_) => {}
                Err(error) if error.kind == ErrorKind::Missing => return Ok(()),
                Err(error) => return Err(error),
            }
        }
        let values = Values { version: Some(self.id(version)), ..self.vendor.values(call, Some(target)) };
        let line = &self.issuer.delete.as_ref().ok_or_else(|| Error::unsupported(Verb::Revoke))?.call;
        let reply = self.vendor.ask(Verb::Revoke, line, &values, call.actor.as_deref()).await?;
        // Gone already, or never there: the probe tells whether it is dead, not this answer.
        let gone = matches!(reply.status, StatusCode::NOT_FOUND | StatusCode::GONE);
        if reply.status.is_success() || gone { Ok(()) } else { Err(reply.refusal()) }
    }

    pub(crate) async fn enumerate(&self, call: &Call, targets: &[Target]) -> Result<Vec<Live>, Error> {
        let mut live = BTreeMap::new();
        let places = targets.iter().map(|target| self.place(Verb::Enumerate, call, target));
        let places = places.collect::<Result<Vec<_>, _>>()?;
        for (target, place) in targets.iter().zip(&places) {
            // Whatever stands in a list that is this target's alone is this target's, whoever gave it its name.
            let alone = places.iter().filter(|other| *other == place).count() == 1;
            for found in self.list(Verb::Enumerate, call, target).await? {
                let (name, operation) = match found.label.split_once(MARK) {
                    Some((name, operation)) => (name, Some(OperationId(operation.to_owned()))),
                    None => (found.label.as_str(), None),
                };
                let named = targets.iter().find(|target| target.name == name);
                let owner = named.or(alone.then_some(target)).map(|target| target.name.clone());
                let version = VersionId(found.version);
                let (label, created) = (found.label, found.created);
                live.insert(version.clone(), Live { version, target: owner, label, operation, created });
            }
        }
        Ok(live.into_values().collect())
    }

    pub(crate) async fn last_used(
        &self,
        call: &Call,
        target: &Target,
        version: &VersionId,
        since: Timestamp,
    ) -> Result<Vec<Use>, Error> {
        let unsupported = || Error::unsupported(Verb::LastUsed);
        let pointer = self.issuer.one.as_ref().and_then(|one| one.last_used.as_ref()).ok_or_else(unsupported)?;
        let (_, token) = self.one(Verb::LastUsed, call, target, version).await?;
        let at = moment(token.pointer(pointer)).filter(|at| *at >= since);
        Ok(at.map(|at| Use { at, source: "not told by this API".to_owned() }).into_iter().collect())
    }

    pub(crate) async fn recover(&self, call: &Call, intent: &Intent) -> Result<Recovered, Error> {
        let listed = self.list(Verb::Recover, call, &intent.target).await?;
        match (intent.verb, &intent.version) {
            (Verb::Mint, _) => {
                let label = format!("{}{MARK}{}", intent.target.name, intent.operation);
                let made = listed.into_iter().find(|found| found.label == label);
                Ok(made.map_or(Recovered::NotDone, |found| Recovered::Orphan(VersionId(found.version))))
            }
            (Verb::Revoke, Some(version)) => {
                let alive = listed.iter().any(|found| found.version == version.0);
                Ok(if alive { Recovered::NotDone } else { Recovered::Done(None) })
            }
            _ => Err(Error::unsupported(Verb::Recover)),
        }
    }

    /// Asks as the token itself: what the vendor answers, or that it does not know the token.
    async fn test(&self, verb: Verb, call: &Call, target: &Target, material: &Material) -> Result<Tested, Error> {
        let test = &self.issuer.test;
        let reply = self.vendor.ask(verb, &test.call, &self.vendor.values(call, Some(target)), Some(material)).await?;
        if test.denied.contains(&reply.status.as_u16()) {
            return Ok(Tested::Denied);
        }
        if !reply.status.is_success() {
            return Ok(Tested::Unclear(reply.refusal()));
        }
        let answer = reply.json()?;
        let holds = test.holds.iter().all(|(pointer, value)| answer.pointer(pointer) == Some(value));
        Ok(if holds { Tested::Accepted(answer) } else { Tested::Denied })
    }

    async fn one(&self, verb: Verb, call: &Call, target: &Target, version: &VersionId) -> Result<(&One, Value), Error> {
        let (one, shown) = self.shown(verb, call, target, self.id(version)).await?;
        let list = self.issuer.list.as_ref().filter(|_| self.issuer.once.is_some());
        if let Some(list) = list
            && self.version(verb, &shown, &list.version)? != version.0
        {
            let error = Error::new(ErrorKind::Missing, verb, "it is gone, and another token has its id now");
            return Err(error.with("version", version.0.clone()));
        }
        Ok((one, shown))
    }

    async fn shown(&self, verb: Verb, call: &Call, target: &Target, id: &str) -> Result<(&One, Value), Error> {
        let one = self.issuer.one.as_ref().ok_or_else(|| Error::unsupported(verb))?;
        let values = Values { version: Some(id), ..self.vendor.values(call, Some(target)) };
        let reply = self.vendor.ask(verb, &one.call, &values, call.actor.as_deref()).await?;
        Ok((one, reply.json()?))
    }

    /// The version that an answer is of: its id, and what it has beside that once and for ever.
    pub(crate) fn version(&self, verb: Verb, answer: &Value, id: &str) -> Result<String, Error> {
        let id = text(answer.pointer(id)).ok_or_else(|| not_there(verb, "a token's id"))?;
        let Some(once) = &self.issuer.once else { return Ok(id) };
        let once =
            text(answer.pointer(once)).ok_or_else(|| not_there(verb, "what tells a token from one before it"))?;
        Ok(format!("{id}{BESIDE}{once}"))
    }

    /// The id alone, as the vendor takes it.
    fn id<'v>(&self, version: &'v VersionId) -> &'v str {
        let id = version.0.rsplit_once(BESIDE).filter(|_| self.issuer.once.is_some());
        id.map_or(version.0.as_str(), |(id, _)| id)
    }
}

/// Between a token's id and what it has beside that.
const BESIDE: char = '@';

/// The statuses of `denied` alone say that the vendor does not know a token; every other refusal of a token's own request
/// says nothing about that, and must not be taken for it.
fn known(mut error: Error) -> Error {
    if error.kind == ErrorKind::Denied {
        error.kind = ErrorKind::Invalid;
    }
    error
}
