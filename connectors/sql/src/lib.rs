//! PostgreSQL login roles as an issuer: rotated in turns (`alternate`) or in place, proven dead by a fresh login.
//!
//! Flow: settings ([`kind`]) → an instance with a few kept connections per actor → one transaction per change.
//! Guarantees: no password reaches the server in clear; a change names one version and leaves any other alone; a probe
//! says `Denied` only when the server refused the credential itself. Errors are classed by SQLSTATE.

mod client;
mod config;
mod error;
mod quote;
mod revoke;
mod role;
mod rotate;
mod scram;
mod session;
mod sweep;
mod version;

use std::collections::BTreeSet;
use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use jiff::Timestamp;
use remint_contract::{
    Call, Capabilities, Connector, ConnectorKind, Derived, Ended, Error, HostRules, Intent, IssuerCapabilities, Live,
    MadeBy, Material, MintRequest, Minted, ProbeCost, Recovered, RightsChange, SettingProblem, Slots, Strategy, Target,
    Use, Verb, Verdict, Verified, VersionId,
};

use crate::client::Client;
use crate::config::Settings;

/// The word in a System document.
pub const KIND: &str = "sql";

/// The kind for the registry.
pub fn kind() -> impl ConnectorKind {
    Kind
}

struct Kind;

impl ConnectorKind for Kind {
    fn name(&self) -> &'static str {
        KIND
    }

    fn describe(&self, settings: &serde_json::Value) -> Result<Capabilities, Vec<SettingProblem>> {
        Settings::read(settings).map(|settings| capabilities(&settings))
    }

    fn check_target(&self, _: &serde_json::Value, target: &Target, strategy: Strategy) -> Vec<SettingProblem> {
        // PostgreSQL cuts longer names off, and `<target>_a` and `<target>_b` would become one.
        let longest = if strategy == Strategy::Alternate { 61 } else { 63 };
        let message = match target.name.len() {
            0 => "name the role".to_owned(),
            length if length > longest => format!("the role's name may have at most {longest} bytes here"),
            _ => return Vec::new(),
        };
        vec![SettingProblem { path: vec!["target".to_owned()], message }]
    }

    fn open(&self, settings: &serde_json::Value, _rules: &HostRules) -> Result<Arc<dyn Connector>, Error> {
        let settings = Settings::read(settings).map_err(Error::settings)?;
        Ok(Arc::new(Sql { client: Client::new(settings) }))
    }
}

fn capabilities(settings: &Settings) -> Capabilities {
    use Verb::{
        Check, CompareRights, Disable, Enable, EndDerived, Enumerate, LastUsed, ListDerived, Mint, Probe, Recover,
        Revoke, Verify,
    };
    Capabilities {
        verbs: BTreeSet::from([
            Check,
            Mint,
            Verify,
            CompareRights,
            Disable,
            Enable,
            Revoke,
            ListDerived,
            EndDerived,
            Probe,
            Enumerate,
            LastUsed,
            Recover,
        ]),
        issuer: Some(IssuerCapabilities {
            slots: Slots::Two,
            made_by: MadeBy::Remint,
            probe: ProbeCost::Free,
            propagation: Duration::ZERO,
            strategies: BTreeSet::from([Strategy::Alternate, Strategy::InPlace]),
            endpoints: settings.endpoints.iter().map(ToString::to_string).collect(),
            verifies_at: settings.primary_endpoint(),
            reversible_disable: true,
            dies_with_issuer: false,
            // mint, verify, compare, revoke, end, enumerate; before, after twice and the control at one endpoint.
            calls: vec![(Strategy::Alternate, 10), (Strategy::InPlace, 9)],
        }),
        store: None,
        consumer: None,
    }
}

struct Sql {
    client: Client,
}

#[async_trait]
impl Connector for Sql {
    fn describe(&self) -> Capabilities {
        capabilities(&self.client.settings)
    }

    async fn check(&self, call: &Call, _path: Option<&str>) -> Result<(), Error> {
        sweep::check(&self.client, call).await
    }

    async fn mint(&self, call: &Call, request: &MintRequest) -> Result<Minted, Error> {
        rotate::mint(&self.client, call, request).await
    }

    async fn verify(&self, _call: &Call, target: &Target, material: &Material) -> Result<Verified, Error> {
        rotate::verify(&self.client, target, material).await
    }

    async fn compare_rights(
        &self,
        call: &Call,
        target: &Target,
        old: &VersionId,
        new: &VersionId,
    ) -> Result<RightsChange, Error> {
        rotate::compare_rights(&self.client, call, target, old, new).await
    }

    async fn disable(&self, call: &Call, target: &Target, version: &VersionId) -> Result<(), Error> {
        revoke::disable(&self.client, call, target, version).await
    }

    async fn enable(&self, call: &Call, target: &Target, version: &VersionId) -> Result<(), Error> {
        revoke::enable(&self.client, call, target, version).await
    }

    async fn revoke(&self, call: &Call, target: &Target, version: &VersionId) -> Result<(), Error> {
        revoke::revoke(&self.client, call, target, version).await
    }

    async fn list_derived(&self, call: &Call, target: &Target, version: &VersionId) -> Result<Vec<Derived>, Error> {
        session::list(&self.client, call, target, version).await
    }

    async fn end_derived(&self, call: &Call, target: &Target, version: &VersionId) -> Result<Vec<Ended>, Error> {
        session::end(&self.client, call, target, version).await
    }

    async fn probe(
        &self,
        _call: &Call,
        target: &Target,
        material: &Material,
        endpoint: usize,
    ) -> Result<Verdict, Error> {
        revoke::probe(&self.client, target, material, endpoint).await
    }

    async fn enumerate(&self, call: &Call, targets: &[Target]) -> Result<Vec<Live>, Error> {
        sweep::enumerate(&self.client, call, targets).await
    }

    async fn last_used(
        &self,
        call: &Call,
        target: &Target,
        version: &VersionId,
        since: Timestamp,
    ) -> Result<Vec<Use>, Error> {
        session::last_used(&self.client, call, target, version, since).await
    }

    async fn recover(&self, call: &Call, intent: &Intent) -> Result<Recovered, Error> {
        rotate::recover(&self.client, call, intent).await
    }
}
