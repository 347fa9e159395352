//! The connector itself: hands every verb to the part of the recipe that says how it is asked.

use std::collections::BTreeMap;
use std::sync::Arc;

use async_trait::async_trait;
use jiff::Timestamp;
use remint_contract::{
    Call, Capabilities, Connector, ConnectorKind, Error, ErrorKind, HostRules, Intent, Live, Material, MintRequest,
    Minted, ReadBack, Recovered, RightsChange, SecretValue, SettingProblem, Strategy, Target, Use, Verb, Verdict,
    Verified, VersionId, WriteRequest, Written,
};
use serde_json::Value;

use crate::client::{Client, Reply, Request};
use crate::config::Config;
use crate::error::lost;
use crate::issuer::Office;
use crate::recipe::Line;
use crate::store::Shelf;
use crate::template::Values;
use crate::together::Together;

/// The kind `http`.
#[derive(Debug, Clone, Copy)]
pub(crate) struct HttpKind;

/// One vendor behind one recipe.
#[derive(Debug)]
pub(crate) struct Vendor {
    pub(crate) config: Config,
    pub(crate) client: Client,
    pub(crate) together: Together,
}

impl ConnectorKind for HttpKind {
    fn name(&self) -> &'static str {
        "http"
    }

    fn describe(&self, settings: &Value) -> Result<Capabilities, Vec<SettingProblem>> {
        Config::read(settings).map(|config| config.capabilities())
    }

    fn check_target(&self, settings: &Value, target: &Target, _strategy: Strategy) -> Vec<SettingProblem> {
        Config::read(settings).map(|config| config.check_target(target)).unwrap_or_default()
    }

    fn open(&self, settings: &Value, rules: &HostRules) -> Result<Arc<dyn Connector>, Error> {
        let config = Config::read(settings).map_err(Error::settings)?;
        let client = Client::open(&config, rules)?;
        Ok(Arc::new(Vendor { config, client, together: Together::default() }))
    }
}

impl Vendor {
    pub(crate) fn values<'a>(&'a self, call: &'a Call, target: Option<&'a Target>) -> Values<'a> {
        Values { system: &self.config.settings, target, version: None, path: None, key: None, call }
    }

    /// A line of the recipe without a body, asked by `bearer`.
    pub(crate) async fn ask(
        &self,
        verb: Verb,
        line: &Line,
        values: &Values<'_>,
        bearer: Option<&Material>,
    ) -> Result<Reply, Error> {
        let address = self.client.address(verb, line, values)?;
        self.client.ask(Request { verb, method: line.method, address, bearer, body: None }).await
    }

    fn office(&self, verb: Verb) -> Result<Office<'_>, Error> {
        let issuer = self.config.recipe.issuer.as_ref().ok_or_else(|| Error::unsupported(verb))?;
        Ok(Office { vendor: self, issuer })
    }

    fn shelf(&self, verb: Verb) -> Result<Shelf<'_>, Error> {
        let store = self.config.recipe.store.as_ref().ok_or_else(|| Error::unsupported(verb))?;
        Ok(Shelf { vendor: self, store })
    }
}

#[async_trait]
impl Connector for Vendor {
    fn describe(&self) -> Capabilities {
        self.config.capabilities()
    }

    async fn check(&self, call: &Call, path: Option<&str>) -> Result<(), Error> {
        let line = &self.config.recipe.check.call;
        let reply = self.ask(Verb::Check, line, &self.values(call, None), call.actor.as_deref()).await?;
        if !reply.status.is_success() {
            return Err(reply.refusal().with("needs", self.config.recipe.needs.clone()));
        }
        match path {
            Some(path) => self.shelf(Verb::Check)?.check(call, path).await,
            None => Ok(()),
        }
    }

    async fn mint(&self, call: &Call, request: &MintRequest) -> Result<Minted, Error> {
        self.office(Verb::Mint)?.mint(call, request).await
    }

    async fn verify(&self, call: &Call, target: &Target, material: &Material) -> Result<Verified, Error> {
        self.office(Verb::Verify)?.verify(call, target, material).await
    }

    async fn probe(
        &self,
        call: &Call,
        target: &Target,
        material: &Material,
        endpoint: usize,
    ) -> Result<Verdict, Error> {
        let office = self.office(Verb::Probe)?;
        if endpoint > 0 {
            return Err(Error::new(ErrorKind::Invalid, Verb::Probe, "a recipe has one endpoint"));
        }
        office.probe(call, target, material).await
    }

    async fn compare_rights(
        &self,
        call: &Call,
        target: &Target,
        old: &VersionId,
        new: &VersionId,
    ) -> Result<RightsChange, Error> {
        self.office(Verb::CompareRights)?.compare_rights(call, target, old, new).await
    }

    async fn revoke(&self, call: &Call, target: &Target, version: &VersionId) -> Result<(), Error> {
        self.office(Verb::Revoke)?.revoke(call, target, version).await
    }

    async fn revoke_value(&self, call: &Call, _target: &Target, material: &Material) -> Result<(), Error> {
        let verb = Verb::RevokeValue;
        let line = self.office(verb)?.issuer.revoke_values.as_ref().ok_or_else(|| Error::unsupported(verb))?;
        self.together.revoke(self, call, line, &material.secret).await
    }

    async fn enumerate(&self, call: &Call, targets: &[Target]) -> Result<Vec<Live>, Error> {
        self.office(Verb::Enumerate)?.enumerate(call, targets).await
    }

    async fn last_used(
        &self,
        call: &Call,
        target: &Target,
        version: &VersionId,
        since: Timestamp,
    ) -> Result<Vec<Use>, Error> {
        self.office(Verb::LastUsed)?.last_used(call, target, version, since).await
    }

    async fn recover(&self, call: &Call, intent: &Intent) -> Result<Recovered, Error> {
        self.office(Verb::Recover)?.recover(call, intent).await
    }

    fn fits(&self, path: &str, fields: &BTreeMap<String, SecretValue>) -> Result<(), Error> {
        self.shelf(Verb::Write)?.fits(path, fields).map(drop)
    }

    async fn write(&self, call: &Call, request: &WriteRequest) -> Result<Written, Error> {
        self.shelf(Verb::Write)?.write(call, request).await
    }

    async fn read(&self, call: &Call, path: &str) -> Result<ReadBack, Error> {
        self.shelf(Verb::Read)?.read(call, path).await
    }
}

/// Something that the recipe says is in an answer, and is not.
pub(crate) fn not_there(verb: Verb, what: &str) -> Error {
    let kind = if lost(verb) == ErrorKind::Unclear { ErrorKind::Unclear } else { ErrorKind::Invalid };
    Error::new(kind, verb, format!("the answer does not hold {what} where the recipe says"))
}
