//! One fake system: every verb of the contract as one call, or two.

use std::collections::BTreeMap;

use async_trait::async_trait;
use jiff::Timestamp;
use remint_contract::{
    Call, Capabilities, ConfirmGrade, Connector, Derived, DerivedOutcome, Ended, Error, ErrorKind, Expected, HostRules,
    Intent, Live, Material, MintRequest, Minted, Observation, OperationId, ReadBack, Recovered, RightsChange,
    SecretValue, Seen, Strategy, Target, Use, Verb, Verdict, Verified, VersionId, Workload, WriteRequest, Written,
};
use reqwest::StatusCode;

use super::client::Client;
use super::settings::{Issues, Role, Settings};
use crate::wire::{
    self, AtPath, Check, Done, Fields, Find, Found, Leased, Listed, Mint, MintedVersion, Nothing, OfSerial, OfTarget,
    OfVersion, OfWorkload, OnList, Rights, Secret, Sessions, State, Status, Used, Uses, UsesSince, VersionAt,
    VersionState, Versions, Write, WrittenVersion,
};

pub(super) struct Fake {
    settings: Settings,
    client: Client,
}

impl Fake {
    pub(super) fn open(settings: Settings, rules: &HostRules) -> Result<Self, Error> {
        let client = Client::open(settings.endpoints.clone(), rules)?;
        Ok(Self { settings, client })
    }

    fn need(&self, verb: Verb) -> Result<(), Error> {
        if self.settings.describe().verbs.contains(&verb) { Ok(()) } else { Err(Error::unsupported(verb)) }
    }

    /// A call about one version that answers nothing but "done".
    async fn change(&self, call: &Call, verb: Verb, path: &'static str, version: &VersionId) -> Result<(), Error> {
        self.need(verb)?;
        let Nothing {} = self.client.ask(call, verb, path, &OfVersion { version: version.0.clone() }).await?;
        Ok(())
    }

    async fn sessions(
        &self,
        call: &Call,
        verb: Verb,
        path: &'static str,
        version: &VersionId,
    ) -> Result<Vec<Derived>, Error> {
        self.need(verb)?;
        let found: Sessions = self.client.ask(call, verb, path, &OfVersion { version: version.0.clone() }).await?;
        let what = if self.encrypts() { "ciphertext" } else { "session" };
        let derived = |id| Derived { id, what: what.to_owned(), expires: None };
        Ok(found.sessions.into_iter().map(derived).collect())
    }

    fn encrypts(&self) -> bool {
        self.settings.issues == Issues::EncryptionKeys
    }

    /// A certificate is looked up in the list that an endpoint publishes.
    async fn on_list(&self, call: &Call, serial: &str, endpoint: usize) -> Result<Verdict, Error> {
        let body = OfSerial { serial: serial.to_owned() };
        let answer = self.client.send::<OnList>(call, Verb::Probe, "revoked", None, endpoint, &body).await;
        Ok(match answer {
            Ok(Ok(OnList { listed: Some(true) })) => Verdict::Denied,
            Ok(Ok(OnList { listed: Some(false) })) => Verdict::Accepted,
            Ok(Ok(OnList { listed: None })) => Verdict::Unclear("no such serial".to_owned()),
            Ok(Err(refused)) => Verdict::Unclear(refused.in_words()),
            Err(error) if error.kind == ErrorKind::Invalid => return Err(error),
            Err(error) => Verdict::Unclear(error.message),
        })
    }

    async fn rights(&self, call: &Call, version: &VersionId) -> Result<Rights, Error> {
        self.client.ask(call, Verb::CompareRights, "rights", &OfVersion { version: version.0.clone() }).await
    }

    async fn recover_mint(&self, call: &Call, intent: &Intent) -> Result<Recovered, Error> {
        let find = Find { operation: intent.operation.0.clone() };
        let found: Found = self.client.ask(call, Verb::Recover, "find", &find).await?;
        let Some(made) = found.found else { return Ok(Recovered::NotDone) };
        let version = VersionId(made.version);
        // A value that Remint proposed is known here whatever the issuer shows.
        let proposed = intent.mint.as_ref().and_then(|mint| mint.proposed.clone());
        let secret = made.secret.map(|Secret(value)| value).or(proposed);
        Ok(match secret {
            Some(secret) => {
                Recovered::Done(Some(Minted { version, material: Material { username: made.username, secret } }))
            }
            None => Recovered::Orphan(version),
        })
    }

    async fn recover_change(&self, call: &Call, intent: &Intent) -> Result<Recovered, Error> {
        let Some(version) = &intent.version else {
            return Err(Error::new(ErrorKind::Invalid, Verb::Recover, "the intent names no version"));
        };
        let body = OfVersion { version: version.0.clone() };
        if intent.verb == Verb::EndDerived {
            let path = if self.encrypts() { "wrapped" } else { "sessions" };
            let left: Sessions = self.client.ask(call, Verb::Recover, path, &body).await?;
            return Ok(if left.sessions.is_empty() { Recovered::Done(None) } else { Recovered::NotDone });
        }
        let State { state } = self.client.ask(call, Verb::Recover, "state", &body).await?;
        let done = match intent.verb {
            Verb::Disable => state != VersionState::Live,
            Verb::Enable => state == VersionState::Live,
            _ => state == VersionState::Revoked,
        };
        Ok(if done { Recovered::Done(None) } else { Recovered::NotDone })
    }
}

#[async_trait]
impl Connector for Fake {
    fn describe(&self) -> Capabilities {
        self.settings.describe()
    }

    async fn check(&self, call: &Call, path: Option<&str>) -> Result<(), Error> {
        let body = Check { path: path.map(str::to_owned) };
        let Nothing {} = self.client.ask(call, Verb::Check, "check", &body).await?;
        Ok(())
    }

    async fn mint(&self, call: &Call, request: &MintRequest) -> Result<Minted, Error> {
        self.need(Verb::Mint)?;
        if request.strategy == Strategy::Ephemeral && request.old.is_none() {
            let target = OfTarget { target: request.target.name.clone() };
            let Leased { version, token: Secret(secret) } = self.client.ask(call, Verb::Mint, "lease", &target).await?;
            return Ok(Minted { version: VersionId(version), material: Material::of(secret) });
        }
        let body = Mint {
            target: request.target.name.clone(),
            in_place: request.strategy == Strategy::InPlace,
            proposed: request.proposed.clone().map(Secret),
            operation: Some(call.operation.0.clone()),
        };
        let made: MintedVersion = self.client.ask(call, Verb::Mint, "mint", &body).await?;
        let Some(Secret(secret)) = made.secret else {
            return Err(Error::new(ErrorKind::Unclear, Verb::Mint, "the issuer answered without the value"));
        };
        Ok(Minted { version: VersionId(made.version), material: Material { username: made.username, secret } })
    }

    async fn verify(&self, call: &Call, _target: &Target, material: &Material) -> Result<Verified, Error> {
        self.need(Verb::Verify)?;
        let answer = self.client.send(call, Verb::Verify, "use", Some(material), 0, &Nothing {}).await?;
        let used: Used = answer.map_err(|refused| refused.classed(Verb::Verify, "use"))?;
        Ok(Verified { version: VersionId(used.version), principal: used.principal, expires: None })
    }

    async fn compare_rights(
        &self,
        call: &Call,
        _target: &Target,
        old: &VersionId,
        new: &VersionId,
    ) -> Result<RightsChange, Error> {
        self.need(Verb::CompareRights)?;
        let (old, new) = (self.rights(call, old).await?, self.rights(call, new).await?);
        let without = |these: &[String], those: &[String]| -> Vec<String> {
            these.iter().filter(|scope| !those.contains(scope)).cloned().collect()
        };
        let added = without(&new.scopes, &old.scopes);
        let missing = without(&old.scopes, &new.scopes);
        Ok(if new.principal != old.principal {
            RightsChange::OtherIdentity(new.principal)
        } else if !added.is_empty() {
            RightsChange::Broader(added)
        } else if !missing.is_empty() {
            RightsChange::Narrower(missing)
        } else {
            RightsChange::Equal
        })
    }

    async fn disable(&self, call: &Call, _target: &Target, version: &VersionId) -> Result<(), Error> {
        self.change(call, Verb::Disable, "disable", version).await
    }

    async fn enable(&self, call: &Call, _target: &Target, version: &VersionId) -> Result<(), Error> {
        self.change(call, Verb::Enable, "enable", version).await
    }

    async fn revoke(&self, call: &Call, _target: &Target, version: &VersionId) -> Result<(), Error> {
        self.change(call, Verb::Revoke, "revoke", version).await
    }

    async fn revoke_value(&self, call: &Call, _target: &Target, material: &Material) -> Result<(), Error> {
        self.need(Verb::RevokeValue)?;
        let answer = self.client.send(call, Verb::RevokeValue, "revoke-value", Some(material), 0, &Nothing {}).await?;
        match answer {
            Ok(Nothing {}) => Ok(()),
            // Dead already, or never alive.
            Err(refused) if refused.status == StatusCode::UNAUTHORIZED => Ok(()),
            Err(refused) => Err(refused.classed(Verb::RevokeValue, "revoke-value")),
        }
    }

    async fn list_derived(&self, call: &Call, _target: &Target, version: &VersionId) -> Result<Vec<Derived>, Error> {
        let path = if self.encrypts() { "wrapped" } else { "sessions" };
        self.sessions(call, Verb::ListDerived, path, version).await
    }

    async fn end_derived(&self, call: &Call, _target: &Target, version: &VersionId) -> Result<Vec<Ended>, Error> {
        let path = if self.encrypts() { "rewrap" } else { "end-sessions" };
        let ended = self.sessions(call, Verb::EndDerived, path, version).await?;
        Ok(ended.into_iter().map(|derived| Ended { derived, outcome: DerivedOutcome::Ended }).collect())
    }

    async fn probe(
        &self,
        call: &Call,
        _target: &Target,
        material: &Material,
        endpoint: usize,
    ) -> Result<Verdict, Error> {
        self.need(Verb::Probe)?;
        if let (Issues::Certificates, Some(serial)) = (self.settings.issues, &material.username) {
            return self.on_list(call, serial, endpoint).await;
        }
        let tried = self.client.send::<Used>(call, Verb::Probe, "use", Some(material), endpoint, &Nothing {}).await;
        Ok(match tried {
            Ok(Ok(_)) => Verdict::Accepted,
            // Nothing was said about the value, and the service says when to ask again: the host waits for it.
            Ok(Err(refused)) if refused.status == StatusCode::TOO_MANY_REQUESTS => {
                return Err(refused.classed(Verb::Probe, "use"));
            }
            Ok(Err(refused)) => {
                let denied = refused.status == StatusCode::UNAUTHORIZED && refused.code == wire::AUTHENTICATION_DENIED;
                if denied { Verdict::Denied } else { Verdict::Unclear(refused.in_words()) }
            }
            Err(error) if error.kind == ErrorKind::Invalid => return Err(error),
            Err(error) => Verdict::Unclear(error.message),
        })
    }

    async fn enumerate(&self, call: &Call, targets: &[Target]) -> Result<Vec<Live>, Error> {
        self.need(Verb::Enumerate)?;
        let listed: Listed = self.client.ask(call, Verb::Enumerate, "list", &Nothing {}).await?;
        let asked: std::collections::HashSet<&str> = targets.iter().map(|target| target.name.as_str()).collect();
        let live = listed.versions.into_iter().map(|listed| Live {
            version: VersionId(listed.version),
            target: asked.contains(listed.target.as_str()).then_some(listed.target),
            label: listed.label,
            operation: listed.operation.map(OperationId),
            created: Some(listed.created),
        });
        Ok(live.collect())
    }

    async fn last_used(
        &self,
        call: &Call,
        _target: &Target,
        version: &VersionId,
        since: Timestamp,
    ) -> Result<Vec<Use>, Error> {
        self.need(Verb::LastUsed)?;
        let body = UsesSince { version: version.0.clone(), since };
        let seen: Uses = self.client.ask(call, Verb::LastUsed, "uses", &body).await?;
        // Remint's own tries are not a consumer's.
        let others = seen.uses.into_iter().filter(|seen| seen.source != wire::REMINT);
        Ok(others.map(|seen| Use { at: seen.at, source: seen.source }).collect())
    }

    async fn recover(&self, call: &Call, intent: &Intent) -> Result<Recovered, Error> {
        self.need(Verb::Recover)?;
        match (self.settings.role, intent.verb) {
            (Role::Issuer, Verb::Mint) => self.recover_mint(call, intent).await,
            (Role::Issuer, Verb::Revoke | Verb::Disable | Verb::Enable | Verb::EndDerived) => {
                self.recover_change(call, intent).await
            }
            (Role::Store, Verb::Write | Verb::Promote) => {
                let find = Find { operation: intent.operation.0.clone() };
                let Done { done } = self.client.ask(call, Verb::Recover, "find", &find).await?;
                Ok(if done { Recovered::Done(None) } else { Recovered::NotDone })
            }
            // What changes nothing, or may simply be done again.
            _ => Ok(Recovered::NotDone),
        }
    }

    fn fits(&self, _path: &str, fields: &BTreeMap<String, SecretValue>) -> Result<(), Error> {
        match fields.iter().find(|(_, value)| value.expose_str().is_none()) {
            None => Ok(()),
            Some((field, _)) => Err(Error::new(ErrorKind::RefusedValue, Verb::Write, "this store keeps only text")
                .with("field", field.clone())),
        }
    }

    async fn write(&self, call: &Call, request: &WriteRequest) -> Result<Written, Error> {
        self.need(Verb::Write)?;
        self.fits(&request.path, &request.fields)?;
        let body = Write {
            path: request.path.clone(),
            fields: request.fields.iter().map(|(field, value)| (field.clone(), Secret(value.clone()))).collect(),
            expect: request.expect.clone(),
            operation: Some(call.operation.0.clone()),
        };
        let written: WrittenVersion = self.client.ask(call, Verb::Write, "write", &body).await?;
        Ok(Written { version: written.version })
    }

    async fn read(&self, call: &Call, path: &str) -> Result<ReadBack, Error> {
        self.need(Verb::Read)?;
        let body = AtPath { path: path.to_owned(), version: None };
        let found: Fields = self.client.ask(call, Verb::Read, "read", &body).await?;
        let fields = found.fields.into_iter().map(|(field, Secret(value))| (field, value)).collect();
        Ok(ReadBack { version: found.version, fields })
    }

    async fn promote(&self, call: &Call, path: &str, version: &str) -> Result<(), Error> {
        self.need(Verb::Promote)?;
        let operation = Some(call.operation.0.clone());
        let body = VersionAt { path: path.to_owned(), version: version.to_owned(), operation };
        let Nothing {} = self.client.ask(call, Verb::Promote, "promote", &body).await?;
        Ok(())
    }

    async fn versions(&self, call: &Call, path: &str) -> Result<Vec<String>, Error> {
        self.need(Verb::Versions)?;
        let body = AtPath { path: path.to_owned(), version: None };
        let found: Versions = self.client.ask(call, Verb::Versions, "versions", &body).await?;
        Ok(found.versions)
    }

    async fn destroy_version(&self, call: &Call, path: &str, version: &str) -> Result<(), Error> {
        self.need(Verb::DestroyVersion)?;
        let body = VersionAt { path: path.to_owned(), version: version.to_owned(), operation: None };
        let Nothing {} = self.client.ask(call, Verb::DestroyVersion, "destroy-version", &body).await?;
        Ok(())
    }

    async fn reload(&self, call: &Call, workload: &Workload) -> Result<(), Error> {
        self.need(Verb::Reload)?;
        let body = OfWorkload { workload: workload.reference.clone() };
        let Nothing {} = self.client.ask(call, Verb::Reload, "reload", &body).await?;
        Ok(())
    }

    async fn observe(&self, call: &Call, workload: &Workload, expected: &Expected) -> Result<Observation, Error> {
        self.need(Verb::Observe)?;
        let body = OfWorkload { workload: workload.reference.clone() };
        let served = workload.settings["confirm"]["how"] == "served";
        let (path, grade) =
            if served { ("served", ConfirmGrade::Served) } else { ("status", ConfirmGrade::SelfReported) };
        let status: Status = self.client.ask(call, Verb::Observe, path, &body).await?;
        let at = |place: &str| {
            expected.path.as_ref().is_none_or(|path| place.split_once(':').is_some_and(|(_, at)| at == path))
        };
        let held: Vec<&str> =
            status.holds.iter().filter(|held| at(&held.path)).map(|held| held.fingerprint.as_str()).collect();
        let old = expected.old.as_deref().is_some_and(|old| held.contains(&old));
        let seen = match (held.is_empty(), old, held.contains(&expected.new.as_str())) {
            (true, ..) => Seen::Nothing,
            // A workload that still holds the old one beside the new has not moved.
            (_, true, _) => Seen::Old,
            (_, _, true) => Seen::New,
            _ => Seen::Other,
        };
        Ok(Observation { seen, grade })
    }
}
