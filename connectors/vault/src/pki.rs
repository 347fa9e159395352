//! PKI: a role's certificates, issued anew from the same authority, dead when they are on its revocation list.
//!
//! The target is the role; `issuedBy.commonName`, `altNames` and `ttl` say what is asked of it. A version is the serial
//! number. The user name of a credential is the certificate with its chain, its secret the private key, both as PEM.
//! The server shows a key once. So that a certificate whose answer was lost is found again, each carries the operation
//! that asked for it as a URI name, `urn:remint:…`, which the role has to allow.
//! Moments are compared with the server's own clock.

use std::time::Duration;

use async_trait::async_trait;
use jiff::Timestamp;
use remint_certificate::{Certificate, NAME, listed, uri};
use remint_contract::{
    Call, Capabilities, Connector, Error, ErrorKind, Intent, IssuerCapabilities, Live, MadeBy, Material, MintRequest,
    Minted, OperationId, ProbeCost, Recovered, RightsChange, SecretValue, SettingProblem, Slots, Strategy, Target,
    Verb, Verdict, Verified, VersionId,
};
use serde::{Deserialize, Serialize};
use vaultrs::api::pki::requests::{ListCertificatesRequest, ReadCertificateRequest, RevokeCertificateRequest};

use crate::answer::Answer;
use crate::client::Client;
use crate::config::Settings;
use crate::mount;
use crate::request::{Effect, Request};
use crate::session::secret;

pub(crate) struct Pki(pub(crate) Client);

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
        ]
        .into(),
        issuer: Some(IssuerCapabilities {
            slots: Slots::Many,
            made_by: MadeBy::IssuerOnce,
            probe: ProbeCost::Free,
            propagation: Duration::ZERO,
            strategies: [Strategy::Reissue].into(),
            endpoints: settings.endpoints.clone(),
            // One asks the authority, the other reads its list.
            verifies_at: None,
            reversible_disable: false,
            dies_with_issuer: false,
            calls: vec![(Strategy::Reissue, crate::calls::PKI_REISSUE)],
        }),
        store: None,
        consumer: None,
    }
}

/// `issuedBy`, beside the role.
#[derive(Deserialize)]
#[serde(deny_unknown_fields, rename_all = "camelCase")]
struct Wanted {
    common_name: String,
    #[serde(default)]
    alt_names: Vec<String>,
    ttl: Option<String>,
}

/// Every problem of `issuedBy`.
pub(crate) fn check_target(target: &Target) -> Vec<SettingProblem> {
    let problem = Wanted::deserialize(&target.settings).err();
    problem.map_or_else(Vec::new, |problem| {
        let message = format!("{problem}; write commonName, and where needed altNames and ttl");
        vec![SettingProblem { path: Vec::new(), message }]
    })
}

#[derive(Deserialize)]
struct Role {
    #[serde(default)]
    allowed_uri_sans: Vec<String>,
    #[serde(default)]
    no_store: bool,
}

#[derive(Serialize)]
struct Asked<'a> {
    common_name: &'a str,
    alt_names: String,
    uri_sans: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    ttl: Option<&'a str>,
}

#[derive(Deserialize)]
struct Issued {
    certificate: String,
    #[serde(default)]
    ca_chain: Vec<String>,
    #[serde(deserialize_with = "secret")]
    private_key: SecretValue,
    serial_number: String,
}

#[derive(Deserialize)]
struct Known {
    certificate: String,
    #[serde(default)]
    revocation_time: i64,
}

#[derive(Deserialize)]
struct Keys {
    keys: Vec<String>,
}

#[async_trait]
impl Connector for Pki {
    fn describe(&self) -> Capabilities {
        capabilities(&self.0.settings)
    }

    async fn check(&self, call: &Call, _path: Option<&str>) -> Result<(), Error> {
        mount::check(&self.0, call).await
    }

    async fn mint(&self, call: &Call, request: &MintRequest) -> Result<Minted, Error> {
        let verb = Verb::Mint;
        let target = &request.target;
        self.fit(call, &target.name).await?;
        let wanted = wanted(verb, target)?;
        let asked = Asked {
            common_name: &wanted.common_name,
            alt_names: wanted.alt_names.join(","),
            uri_sans: uri(&call.operation),
            ttl: wanted.ttl.as_deref(),
        };
        let path = format!("{}/issue/{}", self.0.settings.mount, target.name);
        let answer = self.0.act(call, &Request::post(verb, Effect::Changes, &path, &asked)?).await?;
        let issued: Issued = answer.data("the certificate").map_err(|failure| failure.with("role", &target.name))?;
        let chain = [vec![issued.certificate], issued.ca_chain].concat().join("\n");
        let material = Material::login(chain, issued.private_key);
        Ok(Minted { version: VersionId(issued.serial_number), material })
    }

    async fn verify(&self, call: &Call, target: &Target, material: &Material) -> Result<Verified, Error> {
        let verb = Verb::Verify;
        let denied = |message| Error::new(ErrorKind::Denied, verb, message).with("role", &target.name);
        let shown = Certificate::of(material).ok_or_else(|| denied("the key is not that of the certificate"))?;
        let (known, now) = self.known(call, verb, &shown.serial).await?;
        let known = known.ok_or_else(|| denied("the authority did not issue the certificate"))?;
        if known.revocation_time > 0 {
            return Err(denied("the certificate was revoked"));
        }
        if now.is_some_and(|now| shown.is_over(now)) {
            return Err(denied("the certificate has ended"));
        }
        Ok(Verified { version: VersionId(shown.serial), principal: shown.subject, expires: shown.until })
    }

    async fn compare_rights(
        &self,
        call: &Call,
        _target: &Target,
        old: &VersionId,
        new: &VersionId,
    ) -> Result<RightsChange, Error> {
        let verb = Verb::CompareRights;
        let mut both = Vec::with_capacity(2);
        for version in [old, new] {
            let (known, _) = self.known(call, verb, &version.0).await?;
            let read = known.and_then(|known| Certificate::read(&known.certificate));
            both.push(read.ok_or_else(|| {
                Error::new(ErrorKind::Missing, verb, "there is no such certificate").with("version", &version.0)
            })?);
        }
        Ok(both[1].against(&both[0]))
    }

    async fn revoke(&self, call: &Call, _target: &Target, version: &VersionId) -> Result<(), Error> {
        let verb = Verb::Revoke;
        let (known, _) = self.known(call, verb, &version.0).await?;
        if known.is_none_or(|known| known.revocation_time > 0) {
            return Ok(());
        }
        let revoke =
            RevokeCertificateRequest { mount: self.0.settings.mount.clone(), serial_number: version.0.clone() };
        let answer = self.0.act(call, &Request::of(verb, Effect::Changes, &revoke)?).await?;
        answer.done("the revocation").map_err(|failure| failure.with("version", &version.0))
    }

    async fn probe(
        &self,
        _call: &Call,
        _target: &Target,
        material: &Material,
        endpoint: usize,
    ) -> Result<Verdict, Error> {
        let verb = Verb::Probe;
        let address = self.0.settings.endpoints.get(endpoint).ok_or_else(|| {
            Error::new(ErrorKind::Invalid, verb, "there is no such endpoint").with("endpoint", endpoint.to_string())
        })?;
        // What is no pair was never issued.
        let Some(shown) = Certificate::of(material) else { return Ok(Verdict::Denied) };
        let unclear = |why: String| Ok(Verdict::Unclear(format!("{address}: {why}")));
        let request = Request::get(verb, &format!("{}/crl", self.0.settings.mount))?;
        let answer = match self.0.send(address, None, &request).await {
            Ok(answer) => answer,
            Err(failure) => return unclear(failure.to_string()),
        };
        if let Err(failure) = answer.done("the revocation list") {
            return unclear(failure.to_string());
        }
        match listed(&answer.body, &shown.serial, answer.date) {
            Ok(true) => Ok(Verdict::Denied),
            Ok(false) => Ok(Verdict::Accepted),
            Err(why) => unclear(why.to_string()),
        }
    }

    async fn enumerate(&self, call: &Call, targets: &[Target]) -> Result<Vec<Live>, Error> {
        let living = self.living(call, Verb::Enumerate).await?;
        Ok(living
            .into_iter()
            .map(|found| Live {
                target: targets
                    .iter()
                    .find(|target| {
                        wanted(Verb::Enumerate, target)
                            .is_ok_and(|wanted| found.common_name.as_deref() == Some(&wanted.common_name))
                    })
                    .map(|target| target.name.clone()),
                label: format!("{}, serial {}", found.subject, found.serial),
                operation: found.operation.map(OperationId),
                created: found.since,
                version: VersionId(found.serial),
            })
            .collect())
    }

    async fn recover(&self, call: &Call, intent: &Intent) -> Result<Recovered, Error> {
        let verb = Verb::Recover;
        match intent.verb {
            Verb::Mint => {
                let living = self.living(call, verb).await?;
                let made = living.into_iter().find(|found| found.operation.as_ref() == Some(&intent.operation.0));
                Ok(made.map_or(Recovered::NotDone, |found| Recovered::Orphan(VersionId(found.serial))))
            }
            Verb::Revoke => {
                let version = intent
                    .version
                    .as_ref()
                    .ok_or_else(|| Error::new(ErrorKind::Invalid, verb, "the intent names no version"))?;
                let (known, _) = self.known(call, verb, &version.0).await?;
                let lives = known.is_some_and(|known| known.revocation_time == 0);
                Ok(if lives { Recovered::NotDone } else { Recovered::Done(None) })
            }
            _ => Ok(Recovered::NotDone),
        }
    }
}

impl Pki {
    /// Can certificates of this role be versions?
    async fn fit(&self, call: &Call, role: &str) -> Result<(), Error> {
        let verb = Verb::Mint;
        let wrong = |kind, message: String| Err(Error::new(kind, verb, message).with("role", role));
        let answer = self.0.act(call, &Request::get(verb, &format!("{}/roles/{role}", self.0.settings.mount))?).await?;
        let Some(found) = answer.found::<Role>("the role").map_err(|failure| failure.with("role", role))? else {
            let message = "there is no such role; create it, or correct `issuedBy.target`";
            return wrong(ErrorKind::Missing, message.to_owned());
        };
        if found.no_store {
            let message = "its certificates are not kept, so none can be listed or revoked; set `no_store` to false";
            return wrong(ErrorKind::Invalid, message.to_owned());
        }
        if !found.allowed_uri_sans.iter().any(|allowed| allowed == "*" || allowed.starts_with(NAME)) {
            let message = format!(
                "allow the names `{NAME}*` in its `allowed_uri_sans`: by them a certificate whose answer was lost is found"
            );
            return wrong(ErrorKind::Invalid, message);
        }
        Ok(())
    }

    /// What the authority knows of a serial number, and what time it is there.
    async fn known(&self, call: &Call, verb: Verb, serial: &str) -> Result<(Option<Known>, Option<Timestamp>), Error> {
        let request = ReadCertificateRequest { mount: self.0.settings.mount.clone(), serial: serial.to_owned() };
        let answer = self.0.act(call, &Request::of(verb, Effect::Reads, &request)?).await?;
        let known = found(&answer).map_err(|failure| failure.with("version", serial))?;
        Ok((known, answer.date))
    }

    /// Every certificate that is neither revoked nor over.
    async fn living(&self, call: &Call, verb: Verb) -> Result<Vec<Certificate>, Error> {
        let request = ListCertificatesRequest { mount: self.0.settings.mount.clone() };
        let answer = self.0.act(call, &Request::of(verb, Effect::Reads, &request)?).await?;
        let mut living = Vec::new();
        for serial in answer.found::<Keys>("the certificates")?.map_or_else(Vec::new, |found| found.keys) {
            let (known, now) = self.known(call, verb, &serial).await?;
            let live = known.filter(|known| known.revocation_time == 0);
            // An authority's own certificate is none of its roles'.
            let read = live.and_then(|known| Certificate::read(&known.certificate));
            living.extend(read.filter(|read| !read.is_authority && now.is_none_or(|now| !read.is_over(now))));
        }
        Ok(living)
    }
}

/// The server answers an unknown serial number with an empty certificate, or not at all.
fn found(answer: &Answer) -> Result<Option<Known>, Error> {
    if answer.status == 204 {
        return Ok(None);
    }
    Ok(answer.found::<Known>("the certificate")?.filter(|known| !known.certificate.is_empty()))
}

fn wanted(verb: Verb, target: &Target) -> Result<Wanted, Error> {
    Wanted::deserialize(&target.settings).map_err(|problem| {
        Error::new(ErrorKind::Invalid, verb, format!("`issuedBy`: {problem}")).with("role", &target.name)
    })
}
