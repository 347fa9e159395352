//! Vault and OpenBao: one engine of one mount, as a store or as an issuer.
//!
//! Flow: settings ([`kind`]) say which engine → an instance that logs in when it is first asked → one request per step.
//! Guarantees: no secret stands in a URL, an error or a log; a value counts as denied only when the server refuses the
//! credential itself, never for want of rights; a change names one version and leaves any other alone; a token never
//! follows a redirect. Errors are classed by status.

mod answer;
mod approle;
mod calls;
mod client;
mod config;
mod database;
mod fields;
mod key;
mod kv1;
mod kv2;
mod leases;
mod mark;
mod mount;
mod pki;
mod request;
mod session;
mod token;
mod tokens;
mod transit;

use std::sync::Arc;

use remint_contract::{Capabilities, Connector, ConnectorKind, Error, HostRules, SettingProblem, Strategy, Target};

use crate::client::Client;
use crate::config::{Engine, Settings};

pub use key::{TransitKey, Version};

/// The word in a System document.
pub const KIND: &str = "vault";

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

    fn check_target(&self, settings: &serde_json::Value, target: &Target, _: Strategy) -> Vec<SettingProblem> {
        let message = if target.name.is_empty() {
            "name the role"
        } else if target.name.contains('/') || config::read_path(&target.name).is_err() {
            "write a name without slashes"
        } else {
            return match Settings::read(settings).map(|settings| settings.engine) {
                Ok(Engine::Transit) => transit::check_target(target),
                Ok(Engine::Pki) => pki::check_target(target),
                _ => Vec::new(),
            };
        };
        vec![SettingProblem { path: vec!["target".to_owned()], message: message.to_owned() }]
    }

    fn open(&self, settings: &serde_json::Value, rules: &HostRules) -> Result<Arc<dyn Connector>, Error> {
        let settings = Settings::read(settings).map_err(Error::settings)?;
        let engine = settings.engine;
        let client = Client::open(settings, rules)?;
        Ok(match engine {
            Engine::Kv2 => Arc::new(kv2::Kv2(client)),
            Engine::AppRole => Arc::new(approle::AppRole(client)),
            Engine::Token => Arc::new(token::Tokens(client)),
            Engine::Database => Arc::new(database::Database(client)),
            Engine::Transit => Arc::new(transit::Transit(client)),
            Engine::Pki => Arc::new(pki::Pki(client)),
            Engine::Kv1 => Arc::new(kv1::Kv1(client)),
        })
    }
}

fn capabilities(settings: &Settings) -> Capabilities {
    match settings.engine {
        Engine::Kv1 => kv1::capabilities(),
        Engine::Kv2 => kv2::capabilities(),
        Engine::AppRole => approle::capabilities(settings),
        Engine::Token => token::capabilities(settings),
        Engine::Database => database::capabilities(settings),
        Engine::Transit => transit::capabilities(settings),
        Engine::Pki => pki::capabilities(settings),
    }
}
