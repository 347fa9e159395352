//! Kubernetes: Secrets as a store, tokens of ServiceAccounts as an issuer, and workloads as consumers.
//!
//! Flow: settings ([`kind`]) say what Remint does in a cluster → one request per step, as the bearer of the token in `auth`.
//! Guarantees: no secret stands in a URL, an error or a log; a token counts as denied only when the API server itself
//! refuses its authentication, never for want of rights; a change names one thing by its uid or version and leaves any
//! other alone; fields of other managers are not taken unless the settings say so; a workload is confirmed only by pods
//! that read the new value, never by its roll-out alone. Errors are classed by status.

mod answer;
mod calls;
mod client;
mod config;
mod connector;
mod custom;
mod discover;
mod fields;
mod observe;
mod place;
mod pod;
mod request;
mod rights;
mod roles;
mod secret;
mod store;
mod token;
mod versioned;
mod workload;

use std::sync::Arc;

use remint_contract::{Capabilities, Connector, ConnectorKind, Error, HostRules, SettingProblem, Strategy, Target};

use crate::client::Client;
use crate::config::Settings;
use crate::connector::Kubernetes;

/// The word in a System document.
pub const KIND: &str = "kubernetes";

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
        Settings::read(settings).map(|settings| connector::capabilities(&settings))
    }

    fn check_target(&self, settings: &serde_json::Value, target: &Target, _: Strategy) -> Vec<SettingProblem> {
        Settings::read(settings).map_or_else(|_| Vec::new(), |settings| token::check_target(&settings, target))
    }

    fn open(&self, settings: &serde_json::Value, rules: &HostRules) -> Result<Arc<dyn Connector>, Error> {
        let settings = Settings::read(settings).map_err(Error::settings)?;
        Ok(Arc::new(Kubernetes(Client::open(settings, rules)?)))
    }
}
