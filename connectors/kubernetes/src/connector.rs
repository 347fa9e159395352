//! The verbs, each as one call of the file that does it.

use std::collections::{BTreeMap, BTreeSet};

use async_trait::async_trait;
use remint_contract::{
    Call, Capabilities, ConfirmGrade, Connector, ConsumerCapabilities, Error, Expected, Intent, Live, Material,
    MintRequest, Minted, Observation, ReadBack, Recovered, SecretValue, StoreCapabilities, Target, Verb, Verdict,
    Verified, VersionId, Workload, WriteRequest, Written,
};
use serde_json::Value;

use crate::client::Client;
use crate::config::{Secrets, Settings};
use crate::{discover, fields, observe, rights, store, token, versioned, workload};

pub(crate) struct Kubernetes(pub(crate) Client);

pub(crate) fn capabilities(settings: &Settings) -> Capabilities {
    let mut verbs = BTreeSet::from([Verb::Check, Verb::Discover]);
    let store = match settings.secrets {
        Secrets::None => None,
        Secrets::Replaced => {
            Some(StoreCapabilities { compare_and_set: true, staged: false, versioned: false, own_login: false })
        }
        Secrets::Versioned => {
            Some(StoreCapabilities { compare_and_set: true, staged: false, versioned: true, own_login: false })
        }
    };
    if store.is_some() {
        verbs.extend([Verb::Write, Verb::Read]);
    }
    if settings.secrets == Secrets::Versioned {
        verbs.extend([Verb::Versions, Verb::DestroyVersion]);
    }
    let issuer = token::capabilities(settings);
    if issuer.is_some() {
        verbs.extend([Verb::Mint, Verb::Verify, Verb::Revoke, Verb::Probe, Verb::Enumerate, Verb::Recover]);
    }
    let consumer = settings.workloads.then(|| ConsumerCapabilities { grades: [ConfirmGrade::RolledOut].into() });
    if consumer.is_some() {
        verbs.extend([Verb::Reload, Verb::Observe]);
    }
    Capabilities { verbs, issuer, store, consumer }
}

impl Kubernetes {
    fn has(&self, verb: Verb) -> Result<(), Error> {
        if capabilities(&self.0.settings).verbs.contains(&verb) { Ok(()) } else { Err(Error::unsupported(verb)) }
    }
}

#[async_trait]
impl Connector for Kubernetes {
    fn describe(&self) -> Capabilities {
        capabilities(&self.0.settings)
    }

    async fn check(&self, call: &Call, path: Option<&str>) -> Result<(), Error> {
        rights::check(&self.0, call, path).await
    }

    async fn mint(&self, call: &Call, request: &MintRequest) -> Result<Minted, Error> {
        self.has(Verb::Mint)?;
        token::mint(&self.0, call, request).await
    }

    async fn verify(&self, call: &Call, target: &Target, material: &Material) -> Result<Verified, Error> {
        self.has(Verb::Verify)?;
        token::verify(&self.0, call, target, material).await
    }

    async fn revoke(&self, call: &Call, _target: &Target, version: &VersionId) -> Result<(), Error> {
        self.has(Verb::Revoke)?;
        token::revoke(&self.0, call, version).await
    }

    async fn probe(
        &self,
        _call: &Call,
        _target: &Target,
        material: &Material,
        endpoint: usize,
    ) -> Result<Verdict, Error> {
        self.has(Verb::Probe)?;
        token::probe(&self.0, material, endpoint).await
    }

    async fn enumerate(&self, call: &Call, targets: &[Target]) -> Result<Vec<Live>, Error> {
        self.has(Verb::Enumerate)?;
        token::enumerate(&self.0, call, targets).await
    }

    async fn recover(&self, call: &Call, intent: &Intent) -> Result<Recovered, Error> {
        self.has(Verb::Recover)?;
        token::recover(&self.0, call, intent).await
    }

    async fn discover(&self, call: &Call) -> Result<Vec<Value>, Error> {
        discover::discover(&self.0, call).await
    }

    fn fits(&self, _path: &str, wanted: &BTreeMap<String, SecretValue>) -> Result<(), Error> {
        fields::fits(wanted)
    }

    async fn write(&self, call: &Call, request: &WriteRequest) -> Result<Written, Error> {
        match self.0.settings.secrets {
            Secrets::None => Err(Error::unsupported(Verb::Write)),
            Secrets::Replaced => store::write(&self.0, call, request).await,
            Secrets::Versioned => versioned::write(&self.0, call, request).await,
        }
    }

    async fn read(&self, call: &Call, path: &str) -> Result<ReadBack, Error> {
        match self.0.settings.secrets {
            Secrets::None => Err(Error::unsupported(Verb::Read)),
            Secrets::Replaced => store::read(&self.0, call, path).await,
            Secrets::Versioned => versioned::read(&self.0, call, path).await,
        }
    }

    async fn versions(&self, call: &Call, path: &str) -> Result<Vec<String>, Error> {
        self.has(Verb::Versions)?;
        versioned::versions(&self.0, call, path).await
    }

    async fn destroy_version(&self, call: &Call, path: &str, version: &str) -> Result<(), Error> {
        self.has(Verb::DestroyVersion)?;
        versioned::destroy(&self.0, call, path, version).await
    }

    async fn reload(&self, call: &Call, workload: &Workload) -> Result<(), Error> {
        self.has(Verb::Reload)?;
        workload::reload(&self.0, call, workload).await
    }

    async fn observe(&self, call: &Call, workload: &Workload, expected: &Expected) -> Result<Observation, Error> {
        self.has(Verb::Observe)?;
        observe::observe(&self.0, call, workload, expected).await
    }
}
