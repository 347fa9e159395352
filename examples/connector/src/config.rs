//! The settings of a `notes` system.

use std::path::PathBuf;

use remint_contract::{Capabilities, SettingProblem, StoreCapabilities, Verb};
use serde::Deserialize;

/// The settings, read.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Config {
    pub(crate) root: PathBuf,
}

impl Config {
    /// # Errors
    /// Every problem of the settings, each with the path of its key.
    pub(crate) fn read(settings: &serde_json::Value) -> Result<Self, Vec<SettingProblem>> {
        let config = Self::deserialize(settings)
            .map_err(|error| vec![SettingProblem { path: Vec::new(), message: error.to_string() }])?;
        if !config.root.is_absolute() {
            let message = "write a path that begins with /".to_owned();
            return Err(vec![SettingProblem { path: vec!["root".to_owned()], message }]);
        }
        Ok(config)
    }
}

/// What it can do; the suite tests what stands here, and that nothing else works.
pub(crate) fn capabilities() -> Capabilities {
    Capabilities {
        verbs: [Verb::Check, Verb::Write, Verb::Read].into(),
        issuer: None,
        store: Some(StoreCapabilities { compare_and_set: false, staged: false, versioned: false, own_login: false }),
        consumer: None,
    }
}
