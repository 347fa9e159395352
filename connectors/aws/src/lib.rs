//! AWS: one service of one account in one region, as a store or as an issuer.
//!
//! Flow: settings ([`kind`]) say which service → an instance that signs with Remint's own access key, or with a session of
//! the role that this key may assume → one or more calls per step.
//! Guarantees: nothing is taken from the environment; no secret stands in an error or a log; a key counts as denied only
//! when AWS does not know it, or its secret is not the key's, never for want of rights; a change names one version and
//! leaves any other alone. Errors are classed by the service's code.

mod calls;
mod client;
mod config;
mod error;
mod fields;
mod identity;
mod keys;
mod kms;
mod object;
mod parameters;
mod query;
mod role;
mod secrets;
mod sessions;
mod signed;
mod user;
mod xml;

use std::sync::Arc;

use remint_contract::{Capabilities, Connector, ConnectorKind, Error, HostRules, SettingProblem, Strategy, Target};

use crate::client::Client;
use crate::config::{Service, Settings};

pub use kms::{KmsKey, Shown};

/// The word in a System document.
pub const KIND: &str = "aws";

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

    fn check_target(&self, _settings: &serde_json::Value, target: &Target, _: Strategy) -> Vec<SettingProblem> {
        let plain = |byte: u8| byte.is_ascii_alphanumeric() || b"_+=,.@-".contains(&byte);
        if !target.name.is_empty() && target.name.len() <= 64 && target.name.bytes().all(plain) {
            return sessions::problems(target);
        }
        let message = "write the name of an IAM user, without its path";
        vec![SettingProblem { path: vec!["target".to_owned()], message: message.to_owned() }]
    }

    fn open(&self, settings: &serde_json::Value, rules: &HostRules) -> Result<Arc<dyn Connector>, Error> {
        let settings = Settings::read(settings).map_err(Error::settings)?;
        let service = settings.service;
        let client = Client::open(settings, rules)?;
        Ok(match service {
            Service::Iam => Arc::new(keys::Keys(client)),
            Service::SecretsManager => Arc::new(secrets::Secrets(client)),
            Service::Ssm => Arc::new(parameters::Parameters(client)),
        })
    }
}

fn capabilities(settings: &Settings) -> Capabilities {
    match settings.service {
        Service::Iam => keys::capabilities(settings),
        Service::SecretsManager => secrets::capabilities(),
        Service::Ssm => parameters::capabilities(),
    }
}
