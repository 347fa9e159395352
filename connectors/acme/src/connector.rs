//! The connector itself: certificates by their orders, and the account's own key.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use instant_acme::RevocationRequest;
use jiff::Timestamp;
use remint_certificate::{Certificate, Record, Unserved, der, observe, served};
use remint_contract::{
    Call, Capabilities, Clock as _, ConfirmGrade, Connector, ConnectorKind, ConsumerCapabilities, Error, ErrorKind,
    Expected, HostRules, Intent, IssuerCapabilities, Live, MadeBy, Material, MintRequest, Minted, Observation,
    OperationId, ProbeCost, Recovered, RightsChange, Seen, SettingProblem, Slots, Strategy, SystemClock, Target, Verb,
    Verified, VersionId, Workload,
};

use crate::account::{self, Accounts};
use crate::config::{self, Settings, Wanted};
use crate::error::{class, file, is};
use crate::http::Http;
use crate::{calls, order, rollover};

pub(crate) struct AcmeKind;

/// One account at one server.
struct Acme {
    settings: Settings,
    commands: BTreeMap<String, Vec<String>>,
    http: Http,
    accounts: Accounts,
}

fn capabilities(settings: &Settings) -> Capabilities {
    Capabilities {
        verbs: [
            Verb::Check,
            Verb::Mint,
            Verb::Verify,
            Verb::CompareRights,
            Verb::Revoke,
            Verb::Enumerate,
            Verb::Recover,
            Verb::Observe,
        ]
        .into(),
        issuer: Some(IssuerCapabilities {
            slots: Slots::Many,
            made_by: MadeBy::IssuerOnce,
            // Nobody can be asked.
            probe: ProbeCost::Free,
            propagation: Duration::ZERO,
            strategies: [Strategy::Reissue, Strategy::InPlace].into(),
            endpoints: vec![settings.directory.clone()],
            verifies_at: None,
            reversible_disable: false,
            dies_with_issuer: false,
            calls: vec![(Strategy::Reissue, calls::REISSUE), (Strategy::InPlace, calls::IN_PLACE)],
        }),
        store: None,
        consumer: Some(ConsumerCapabilities { grades: [ConfirmGrade::Served].into() }),
    }
}

impl ConnectorKind for AcmeKind {
    fn name(&self) -> &'static str {
        "acme"
    }

    fn describe(&self, settings: &serde_json::Value) -> Result<Capabilities, Vec<SettingProblem>> {
        Settings::read(settings).map(|settings| capabilities(&settings))
    }

    fn check_target(&self, settings: &serde_json::Value, target: &Target, strategy: Strategy) -> Vec<SettingProblem> {
        config::check(settings, target, strategy)
    }

    fn open(&self, settings: &serde_json::Value, rules: &HostRules) -> Result<Arc<dyn Connector>, Error> {
        let settings = Settings::read(settings).map_err(Error::settings)?;
        let http = Http::new(settings.roots.as_deref(), rules.connect_timeout).map_err(|failure| {
            Error::new(ErrorKind::Invalid, Verb::Check, "no HTTP client can be made; look at `roots`").because(failure)
        })?;
        Ok(Arc::new(Acme { settings, commands: rules.commands.clone(), http, accounts: Accounts::default() }))
    }
}

#[async_trait]
impl Connector for Acme {
    fn describe(&self) -> Capabilities {
        capabilities(&self.settings)
    }

    async fn check(&self, call: &Call, _path: Option<&str>) -> Result<(), Error> {
        let actor = call.actor.as_deref().ok_or_else(|| {
            Error::new(ErrorKind::Invalid, Verb::Check, "the system has no `auth`; name the account's key")
        })?;
        account::open(&self.http, &self.settings, actor, self.settings.agreed, Verb::Check).await.map(drop)
    }

    async fn mint(&self, call: &Call, request: &MintRequest) -> Result<Minted, Error> {
        let verb = Verb::Mint;
        let wanted = Wanted::of(verb, &request.target)?;
        let account = self.accounts.of(&self.http, &self.settings, call, verb).await?;
        std::fs::create_dir_all(&self.settings.folder).map_err(|failure| file(verb, "making the folder", failure))?;
        match wanted {
            Wanted::Leaf(names) => {
                let ours = order::Ours { settings: &self.settings, commands: &self.commands };
                let issued = order::issue(ours, &account, call, &request.target.name, &names).await;
                match issued {
                    Err(failure) => Err(self.explained(call, failure).await),
                    issued => issued,
                }
            }
            Wanted::Account => {
                let actor = call.actor.as_deref().ok_or_else(|| Error::new(ErrorKind::Invalid, verb, "no account"))?;
                let made = rollover::replace_key(&self.http, &self.settings, call, actor, account.id()).await;
                self.accounts.forget();
                made
            }
        }
    }

    async fn verify(&self, _call: &Call, target: &Target, material: &Material) -> Result<Verified, Error> {
        let verb = Verb::Verify;
        if Wanted::of(verb, target)? == Wanted::Account {
            let account = account::open(&self.http, &self.settings, material, false, verb).await?;
            let version = VersionId(account::version(material));
            return Ok(Verified { version, principal: account.id().to_owned(), expires: None });
        }
        let denied = |message: &str| Error::new(ErrorKind::Denied, verb, message).with("target", &target.name);
        let read = Certificate::of(material).ok_or_else(|| denied("the key is not that of the certificate"))?;
        let shown = material.username.as_deref().and_then(der);
        let issued = self.find(verb, &read.serial)?.filter(|record| der(&record.chain) == shown);
        let issued = issued.ok_or_else(|| denied("it was not issued by this account"))?;
        if issued.revoked.is_some() {
            return Err(denied("the certificate was revoked"));
        }
        if read.is_over(SystemClock.now()) {
            return Err(denied("the certificate has ended"));
        }
        let names: Vec<&str> = read.rights.iter().filter_map(|right| right.strip_prefix("name ")).collect();
        Ok(Verified { version: VersionId(read.serial), principal: names.join(", "), expires: read.until })
    }

    async fn compare_rights(
        &self,
        _call: &Call,
        target: &Target,
        old: &VersionId,
        new: &VersionId,
    ) -> Result<RightsChange, Error> {
        let verb = Verb::CompareRights;
        // One account, whichever key opens it.
        if Wanted::of(verb, target)? == Wanted::Account {
            return Ok(RightsChange::Equal);
        }
        let read = |version: &VersionId| {
            let read = self.find(verb, &version.0)?.and_then(|record| record.certificate());
            read.ok_or_else(|| {
                Error::new(ErrorKind::Missing, verb, "there is no such certificate").with("version", &version.0)
            })
        };
        Ok(read(new)?.against(&read(old)?))
    }

    async fn revoke(&self, call: &Call, target: &Target, version: &VersionId) -> Result<(), Error> {
        let verb = Verb::Revoke;
        if Wanted::of(verb, target)? == Wanted::Account {
            // It died when it was replaced; from here on the new one need not be kept beside.
            return rollover::forget(&self.settings).map_err(|failure| file(verb, "forgetting the new key", failure));
        }
        let Some(mut record) = self.find(verb, &version.0)?.filter(|record| record.revoked.is_none()) else {
            return Ok(());
        };
        let account = self.accounts.of(&self.http, &self.settings, call, verb).await?;
        let certificate = der(&record.chain).ok_or_else(|| {
            Error::new(ErrorKind::Invalid, verb, "the certificate is not understood").with("version", &version.0)
        })?;
        let request = RevocationRequest { certificate: &certificate, reason: Some(self.settings.reason.code()) };
        match account.revoke(&request).await {
            Err(failure) if !is(&failure, "alreadyRevoked") => {
                let failure = class(verb, "the revocation", failure).with("version", &version.0);
                return Err(self.explained(call, failure).await);
            }
            _ => {}
        }
        record.revoked = Some(SystemClock.now());
        order::ledger(&self.settings).put(&record).map_err(|failure| {
            // Asked again the server says that it is revoked already.
            Error { kind: ErrorKind::Unclear, ..file(verb, "writing down what was revoked", failure) }
        })
    }

    async fn enumerate(&self, call: &Call, targets: &[Target]) -> Result<Vec<Live>, Error> {
        let verb = Verb::Enumerate;
        let now = SystemClock.now();
        let named = |name: &str| targets.iter().any(|target| target.name == name).then(|| name.to_owned());
        let records =
            order::ledger(&self.settings).all().map_err(|failure| file(verb, "reading what was issued", failure))?;
        let mut living: Vec<Live> = records.iter().filter_map(|record| live(record, now, &named)).collect();
        if let (Some(target), Some(actor)) = (named(config::ACCOUNT), call.actor.as_deref()) {
            let account = account::open(&self.http, &self.settings, actor, false, verb).await?;
            living.push(Live {
                version: VersionId(account::version(actor)),
                target: Some(target),
                label: format!("the key of {}", account.id()),
                operation: None,
                created: None,
            });
        }
        Ok(living)
    }

    async fn recover(&self, call: &Call, intent: &Intent) -> Result<Recovered, Error> {
        let verb = Verb::Recover;
        let wanted = Wanted::of(verb, &intent.target)?;
        match (intent.verb, &intent.version, wanted) {
            (Verb::Mint, _, Wanted::Account) => {
                let kept = rollover::kept(&self.http, &self.settings, &intent.operation.0).await?;
                self.accounts.forget();
                Ok(kept.map_or(Recovered::NotDone, |minted| Recovered::Done(Some(minted))))
            }
            (Verb::Mint, _, Wanted::Leaf(_)) => {
                let account = self.accounts.of(&self.http, &self.settings, call, verb).await?;
                let left = order::left(&self.settings, &account, call, &intent.operation.0).await?;
                Ok(left.map_or(Recovered::NotDone, |record| Recovered::Orphan(VersionId(record.serial))))
            }
            (Verb::Revoke, Some(_), Wanted::Account) => Ok(Recovered::Done(None)),
            (Verb::Revoke, Some(version), Wanted::Leaf(_)) => {
                let done = self.find(verb, &version.0)?.is_none_or(|record| record.revoked.is_some());
                Ok(if done { Recovered::Done(None) } else { Recovered::NotDone })
            }
            _ => Ok(Recovered::NotDone),
        }
    }

    async fn observe(&self, _call: &Call, workload: &Workload, expected: &Expected) -> Result<Observation, Error> {
        let verb = Verb::Observe;
        let leaf = match served(&workload.reference).await {
            Ok(leaf) => leaf,
            Err(Unserved::Nothing { .. }) => {
                return Ok(Observation { seen: Seen::Nothing, grade: ConfirmGrade::Served });
            }
            Err(failure) => {
                let away = matches!(failure, Unserved::Unreachable { .. });
                let kind = if away { ErrorKind::Unreachable } else { ErrorKind::Invalid };
                let message = failure.to_string();
                return Err(Error::new(kind, verb, message).with("workload", &workload.name).because(failure));
            }
        };
        let serial = Certificate::from_der(&leaf).map(|read| read.serial).unwrap_or_default();
        Ok(observe(self.find(verb, &serial)?.as_ref(), &leaf, expected))
    }
}

impl Acme {
    /// A request that an account's old key signed is called malformed. Whether the key still opens the account is asked
    /// then, so that it is `Denied` and read again.
    async fn explained(&self, call: &Call, failure: Error) -> Error {
        let Some(actor) = call.actor.as_deref().filter(|_| failure.kind == ErrorKind::Invalid) else { return failure };
        self.accounts.forget();
        match account::open(&self.http, &self.settings, actor, false, failure.verb).await {
            Err(denied) if denied.kind == ErrorKind::Denied => denied,
            _ => failure,
        }
    }

    fn find(&self, verb: Verb, serial: &str) -> Result<Option<Record>, Error> {
        let found = order::ledger(&self.settings).find(serial);
        found.map_err(|failure| file(verb, "reading what was issued", failure))
    }
}

fn live(record: &Record, now: Timestamp, named: &impl Fn(&str) -> Option<String>) -> Option<Live> {
    let read = record.certificate().filter(|read| record.revoked.is_none() && !read.is_over(now))?;
    Some(Live {
        version: VersionId(record.serial.clone()),
        target: record.target.as_deref().and_then(named),
        label: format!("{}, serial {}", read.subject, record.serial),
        operation: record.operation.clone().map(OperationId),
        created: read.since,
    })
}
