//! The connector itself: each verb as one piece of work on the folder, or one question to others.

use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use remint_certificate::{Record, Unserved, observe, served};
use remint_contract::{
    Call, Capabilities, Clock as _, ConfirmGrade, Connector, ConnectorKind, ConsumerCapabilities, Error, ErrorKind,
    Expected, HostRules, Intent, IssuerCapabilities, Live, MadeBy, Material, MintRequest, Minted, Observation,
    OperationId, ProbeCost, ProofGrade, Recovered, RightsChange, Seen, SettingProblem, Slots, Strategy, SystemClock,
    Target, Verb, Verdict, Verified, VersionId, Workload,
};

use crate::authority::{Authority, is_proof};
use crate::config::Settings;
use crate::error::file;
use crate::target::{self, Wanted};
use crate::{calls, issue, list, probe, revoke};

pub(crate) struct PkiKind;

/// One folder of authorities.
struct Pki {
    settings: Arc<Settings>,
    http: reqwest::Client,
}

fn capabilities(settings: &Settings) -> Capabilities {
    let mut strategies = vec![(Strategy::Reissue, calls::REISSUE)];
    // That an authority is trusted no more can be said only by somebody who trusted it.
    if !settings.relying.is_empty() {
        strategies.push((Strategy::DualTrust, calls::DUAL_TRUST));
    }
    Capabilities {
        verbs: [
            Verb::Check,
            Verb::Mint,
            Verb::Verify,
            Verb::CompareRights,
            Verb::Promote,
            Verb::Revoke,
            Verb::Probe,
            Verb::Enumerate,
            Verb::Recover,
            Verb::Observe,
        ]
        .into(),
        issuer: Some(IssuerCapabilities {
            slots: Slots::Many,
            made_by: MadeBy::IssuerOnce,
            probe: ProbeCost::Free,
            propagation: Duration::ZERO,
            strategies: strategies.iter().map(|(strategy, _)| *strategy).collect(),
            endpoints: settings.endpoints().to_vec(),
            verifies_at: None,
            reversible_disable: false,
            dies_with_issuer: true,
            calls: strategies,
        }),
        store: None,
        consumer: Some(ConsumerCapabilities { grades: [ConfirmGrade::Served].into() }),
    }
}

impl ConnectorKind for PkiKind {
    fn name(&self) -> &'static str {
        "pki"
    }

    fn describe(&self, settings: &serde_json::Value) -> Result<Capabilities, Vec<SettingProblem>> {
        Settings::read(settings).map(|settings| capabilities(&settings))
    }

    fn check_target(&self, settings: &serde_json::Value, target: &Target, strategy: Strategy) -> Vec<SettingProblem> {
        Settings::read(settings).map_or_else(|_| Vec::new(), |settings| target::check(&settings, target, strategy))
    }

    fn open(&self, settings: &serde_json::Value, rules: &HostRules) -> Result<Arc<dyn Connector>, Error> {
        let invalid = |message: String| Error::new(ErrorKind::Invalid, Verb::Check, message);
        let settings = Settings::read(settings).map_err(Error::settings)?;
        let mut http = reqwest::Client::builder().no_proxy().redirect(reqwest::redirect::Policy::none());
        if let Some(wait) = rules.connect_timeout {
            http = http.connect_timeout(wait);
        }
        let http = http.build().map_err(|failure| invalid("no HTTP client can be made".to_owned()).because(failure))?;
        Ok(Arc::new(Pki { settings: Arc::new(settings), http }))
    }
}

#[async_trait]
impl Connector for Pki {
    fn describe(&self) -> Capabilities {
        capabilities(&self.settings)
    }

    fn denial(&self, _strategy: Strategy, endpoint: usize) -> ProofGrade {
        if endpoint < self.settings.lists.len() { ProofGrade::Published } else { ProofGrade::Refused }
    }

    async fn check(&self, _call: &Call, _path: Option<&str>) -> Result<(), Error> {
        self.work(Verb::Check, |settings| {
            let writable = |folder: &Path| {
                let rights = rustix::fs::Access::WRITE_OK | rustix::fs::Access::EXEC_OK;
                rustix::fs::access(folder, rights)
                    .map_err(|errno| file(Verb::Check, "looking at the folder", errno.into()))
            };
            for authority in Authority::all(&settings.folder, Verb::Check)? {
                writable(&settings.folder.join(&authority.name))?;
            }
            Ok(())
        })
        .await
    }

    async fn mint(&self, call: &Call, request: &MintRequest) -> Result<Minted, Error> {
        let (operation, target) = (call.operation.clone(), request.target.clone());
        self.work(Verb::Mint, move |settings| {
            let (wanted, now) = (Wanted::of(Verb::Mint, &target)?, SystemClock.now());
            match &wanted.leaf {
                Some(leaf) => issue::leaf(settings, &wanted, leaf, &target.name, &operation, now),
                None => issue::generation(settings, &wanted, &operation, now),
            }
        })
        .await
    }

    async fn verify(&self, _call: &Call, target: &Target, material: &Material) -> Result<Verified, Error> {
        let (target, material) = (target.clone(), material.clone());
        self.work(Verb::Verify, move |settings| verify(settings, &target, &material)).await
    }

    async fn compare_rights(
        &self,
        _call: &Call,
        target: &Target,
        old: &VersionId,
        new: &VersionId,
    ) -> Result<RightsChange, Error> {
        let (target, old, new) = (target.clone(), old.clone(), new.clone());
        self.work(Verb::CompareRights, move |settings| {
            let read = |version: &VersionId| {
                let (record, wanted) = find(settings, Verb::CompareRights, &target, version)?;
                let read = record.and_then(|record| record.certificate()).ok_or_else(|| {
                    let failure = Error::new(ErrorKind::Missing, Verb::CompareRights, "there is no such certificate");
                    failure.with("version", &version.0)
                })?;
                Ok((read, wanted))
            };
            let ((old, _), (mut new, wanted)) = (read(&old)?, read(&new)?);
            // A generation has a part in its name that is its own.
            if wanted.leaf.is_none() && new.common_name == old.common_name {
                new.subject.clone_from(&old.subject);
            }
            Ok(new.against(&old))
        })
        .await
    }

    async fn promote(&self, _call: &Call, path: &str, version: &str) -> Result<(), Error> {
        let (name, serial) = (path.to_owned(), version.to_owned());
        self.work(Verb::Promote, move |settings| {
            let authority = Authority::open(&settings.folder, &name, Verb::Promote)?;
            let _lock = authority.lock()?;
            let generation = authority.generations()?.into_iter().find(|one| one.serial == serial);
            match generation {
                Some(one) if one.revoked.is_none() => authority.activate(&serial),
                Some(_) => Err(Error::new(ErrorKind::Conflict, Verb::Promote, "this generation was revoked")),
                None => Err(Error::new(ErrorKind::Missing, Verb::Promote, "there is no such generation")),
            }
        })
        .await
    }

    async fn revoke(&self, _call: &Call, target: &Target, version: &VersionId) -> Result<(), Error> {
        let (target, version) = (target.clone(), version.clone());
        self.work(Verb::Revoke, move |settings| {
            let wanted = Wanted::of(Verb::Revoke, &target)?;
            let authority = Authority::open(&settings.folder, &wanted.authority, Verb::Revoke)?;
            let _lock = authority.lock()?;
            match wanted.leaf {
                Some(_) => revoke::leaf(settings, &authority, &version, SystemClock.now()),
                None => revoke::generation(settings, &authority, &version, SystemClock.now()),
            }
        })
        .await
    }

    async fn probe(
        &self,
        _call: &Call,
        target: &Target,
        material: &Material,
        endpoint: usize,
    ) -> Result<Verdict, Error> {
        probe::probe(&self.http, &self.settings, target, material, endpoint, SystemClock.now()).await
    }

    async fn enumerate(&self, _call: &Call, targets: &[Target]) -> Result<Vec<Live>, Error> {
        let targets: Vec<(String, Wanted)> =
            targets.iter().filter_map(|target| Some((target.name.clone(), Wanted::read(target).ok()?))).collect();
        self.work(Verb::Enumerate, move |settings| {
            let now = SystemClock.now();
            let mut living = Vec::new();
            for authority in Authority::all(&settings.folder, Verb::Enumerate)? {
                let _lock = authority.lock()?;
                list::refresh(settings, &authority, now)?;
                let of = |record: &Record, leaf: bool| {
                    let named = targets.iter().find(|(name, wanted)| {
                        wanted.authority == authority.name
                            && wanted.leaf.is_some() == leaf
                            && (!leaf || record.target.as_ref() == Some(name))
                    });
                    named.map(|(name, _)| name.clone())
                };
                living.extend(authority.generations()?.iter().filter_map(|one| live(one, of(one, false))));
                let issued = authority.issued()?;
                let issued = issued.iter().filter(|record| !is_proof(record));
                living.extend(
                    issued
                        .filter(|record| record.certificate().is_some_and(|read| !read.is_over(now)))
                        .filter_map(|record| live(record, of(record, true))),
                );
            }
            Ok(living)
        })
        .await
    }

    async fn recover(&self, _call: &Call, intent: &Intent) -> Result<Recovered, Error> {
        let intent = intent.clone();
        self.work(Verb::Recover, move |settings| recover(settings, &intent)).await
    }

    async fn observe(&self, _call: &Call, workload: &Workload, expected: &Expected) -> Result<Observation, Error> {
        let leaf = match served(&workload.reference).await {
            Ok(leaf) => leaf,
            Err(Unserved::Nothing { .. }) => {
                return Ok(Observation { seen: Seen::Nothing, grade: ConfirmGrade::Served });
            }
            Err(failure) => {
                let kind = if matches!(failure, Unserved::Unreachable { .. }) {
                    ErrorKind::Unreachable
                } else {
                    ErrorKind::Invalid
                };
                let message = failure.to_string();
                return Err(Error::new(kind, Verb::Observe, message).with("workload", &workload.name).because(failure));
            }
        };
        let expected = expected.clone();
        self.work(Verb::Observe, move |settings| {
            let serial = remint_certificate::Certificate::from_der(&leaf).map(|read| read.serial).unwrap_or_default();
            let mut record = None;
            for authority in Authority::all(&settings.folder, Verb::Observe)? {
                record = record.or(authority.find(&serial)?);
            }
            Ok(observe(record.as_ref(), &leaf, &expected))
        })
        .await
    }
}

impl Pki {
    async fn work<T: Send + 'static>(
        &self,
        verb: Verb,
        job: impl FnOnce(&Settings) -> Result<T, Error> + Send + 'static,
    ) -> Result<T, Error> {
        let settings = Arc::clone(&self.settings);
        blocking(verb, move || job(&settings)).await
    }
}

fn live(record: &Record, target: Option<String>) -> Option<Live> {
    let read = record.certificate().filter(|_| record.revoked.is_none())?;
    Some(Live {
        version: VersionId(record.serial.clone()),
        target,
        label: format!("{}, serial {}", read.subject, record.serial),
        operation: record.operation.clone().map(OperationId),
        created: read.since,
    })
}

fn verify(settings: &Settings, target: &Target, material: &Material) -> Result<Verified, Error> {
    let denied = |message: &str| Error::new(ErrorKind::Denied, Verb::Verify, message).with("target", &target.name);
    let wanted = Wanted::of(Verb::Verify, target)?;
    let authority = Authority::open(&settings.folder, &wanted.authority, Verb::Verify)?;
    let (chain, read) =
        probe::pair(&wanted, material).ok_or_else(|| denied("the key is not that of the certificate"))?;
    let issued = authority.find(&read.serial)?.filter(|record| {
        remint_certificate::der(&record.chain).is_some_and(|issued| Some(issued) == remint_certificate::der(&chain))
    });
    let issued = issued.ok_or_else(|| denied("the authority did not issue the certificate"))?;
    let signer = authority.signer(&chain)?.ok_or_else(|| denied("no generation of the authority signed it"))?;
    if issued.revoked.is_some() || signer.revoked.is_some() {
        return Err(denied("the certificate was revoked"));
    }
    if read.is_over(SystemClock.now()) {
        return Err(denied("the certificate has ended"));
    }
    if wanted.leaf.is_some() {
        return Ok(Verified { version: VersionId(read.serial), principal: read.subject, expires: read.until });
    }
    let own = signer.certificate();
    let expires = own.as_ref().and_then(|own| own.until);
    let principal = own.and_then(|own| own.common_name).unwrap_or_default();
    Ok(Verified { version: VersionId(signer.serial), principal, expires })
}

fn recover(settings: &Settings, intent: &Intent) -> Result<Recovered, Error> {
    let wanted = Wanted::of(Verb::Recover, &intent.target)?;
    let authority = Authority::open(&settings.folder, &wanted.authority, Verb::Recover)?;
    match (intent.verb, &intent.version) {
        (Verb::Mint, _) => {
            let all = if wanted.leaf.is_some() { authority.issued()? } else { authority.generations()? };
            let made =
                all.into_iter().find(|one| one.operation.as_ref() == Some(&intent.operation.0) && !is_proof(one));
            Ok(made.map_or(Recovered::NotDone, |one| Recovered::Orphan(VersionId(one.serial))))
        }
        (Verb::Promote, Some(version)) => {
            let done = authority.active()?.is_some_and(|active| active.serial == version.0);
            Ok(if done { Recovered::Done(None) } else { Recovered::NotDone })
        }
        (Verb::Revoke, Some(version)) => {
            let (record, _) = find(settings, Verb::Recover, &intent.target, version)?;
            // Written down before it is published: only the list says that it was done. Doing it again is harmless.
            let done = record
                .is_none_or(|record| record.revoked.is_some() && revoke::published(settings, &authority, &record));
            Ok(if done { Recovered::Done(None) } else { Recovered::NotDone })
        }
        _ => Ok(Recovered::NotDone),
    }
}

/// The record of a version of a target.
fn find(
    settings: &Settings,
    verb: Verb,
    target: &Target,
    version: &VersionId,
) -> Result<(Option<Record>, Wanted), Error> {
    let wanted = Wanted::of(verb, target)?;
    let authority = Authority::open(&settings.folder, &wanted.authority, verb)?;
    let record = if wanted.leaf.is_some() {
        authority.find(&version.0)?
    } else {
        authority.generations()?.into_iter().find(|one| one.serial == version.0)
    };
    Ok((record, wanted))
}

/// Files are read and written off the threads that wait for others.
pub(crate) async fn blocking<T: Send + 'static>(
    verb: Verb,
    job: impl FnOnce() -> Result<T, Error> + Send + 'static,
) -> Result<T, Error> {
    tokio::task::spawn_blocking(job)
        .await
        .unwrap_or_else(|failure| Err(Error::new(ErrorKind::Unclear, verb, "the work ended early").because(failure)))
}
