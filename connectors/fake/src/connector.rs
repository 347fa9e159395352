//! How Remint talks to the fake: the kind `fake`, one instance per role.
//!
//! Errors: a refused connection is `Unreachable`; a connection that broke after the request began is `Unclear`; 429 is
//! `Throttled` with its `Retry-After`; 401 and 403 are `Denied`, 404 `Missing`, 405 `Unsupported`, 409 `Conflict` (`Full` when every slot is taken), 412
//! `Unreachable` (nothing was done), 422 `RefusedValue`, 400 `Invalid`, anything else `Unclear`.

use std::sync::Arc;

use remint_contract::{Capabilities, Connector, ConnectorKind, Error, HostRules, SettingProblem, Strategy, Target};
use serde_json::Value;

mod client;
mod instance;
mod settings;

pub use settings::{Issues, Role, Settings};

/// The kind `fake`.
#[derive(Debug, Clone, Copy, Default)]
pub struct FakeKind;

impl ConnectorKind for FakeKind {
    fn name(&self) -> &'static str {
        "fake"
    }

    fn describe(&self, settings: &Value) -> Result<Capabilities, Vec<SettingProblem>> {
        Ok(Settings::read(settings)?.describe())
    }

    fn check_target(&self, settings: &Value, target: &Target, strategy: Strategy) -> Vec<SettingProblem> {
        let mut problems = Vec::new();
        if let Some(extra) = target.settings.as_object().into_iter().flat_map(|keys| keys.keys()).next() {
            let message = format!("`{extra}` is not known here; a fake target has no settings of its own");
            problems.push(SettingProblem { path: vec![extra.clone()], message });
        }
        if let Ok(Capabilities { issuer: Some(issuer), .. }) = self.describe(settings)
            && !issuer.strategies.contains(&strategy)
        {
            let message = "this issuer does not have the strategy; use one of its `strategies`".to_owned();
            problems.push(SettingProblem { path: Vec::new(), message });
        }
        problems
    }

    fn open(&self, settings: &Value, rules: &HostRules) -> Result<Arc<dyn Connector>, Error> {
        let settings = Settings::read(settings).map_err(Error::settings)?;
        Ok(Arc::new(instance::Fake::open(settings, rules)?))
    }
}
