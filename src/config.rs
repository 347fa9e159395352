//! Where things lie on this machine. The environment is read here and nowhere else.

use std::io;
use std::path::{Path, PathBuf};

use serde::Deserialize;

use crate::app::AppError;

/// What the environment says.
#[derive(Debug, Clone, Default)]
pub struct Environment {
    home: Option<PathBuf>,
    state_home: Option<PathBuf>,
    config_home: Option<PathBuf>,
    user: Option<String>,
}

impl Environment {
    /// Reads the process's environment.
    #[must_use]
    #[expect(clippy::disallowed_methods, reason = "this is the one place where the environment is read")]
    pub fn read() -> Self {
        let path = |name| std::env::var(name).ok().filter(|value| !value.is_empty()).map(PathBuf::from);
        Self {
            home: path("HOME"),
            state_home: path("XDG_STATE_HOME"),
            config_home: path("XDG_CONFIG_HOME"),
            user: std::env::var("USER").or_else(|_| std::env::var("LOGNAME")).ok(),
        }
    }

    /// What a variable holds that was named on the command line. The copy is wiped when it is dropped; the variable
    /// itself stays where the system put it, unreadable to other processes of the user (see `harden`), and no program that
    /// Remint starts inherits it.
    #[must_use]
    #[expect(clippy::disallowed_methods, reason = "this is the one place where the environment is read")]
    pub fn secret(name: &str) -> Option<zeroize::Zeroizing<String>> {
        std::env::var(name).ok().filter(|value| !value.is_empty()).map(zeroize::Zeroizing::new)
    }

    /// The state folder of a user who names none: the store, and nothing that opens it.
    #[must_use]
    pub fn state(&self) -> PathBuf {
        let under = |home: &PathBuf| home.join(".local/state");
        self.state_home.clone().or_else(|| self.home.as_ref().map(under)).unwrap_or_default().join("remint")
    }

    /// The key-encryption key of a user who names none: under the configuration, never beside the state.
    #[must_use]
    pub fn kek(&self) -> PathBuf {
        let under = |home: &PathBuf| home.join(".config");
        self.config_home.clone().or_else(|| self.home.as_ref().map(under)).unwrap_or_default().join("remint/kek")
    }

    /// Who says so, on the command line: the operating system's word, verified by nobody else.
    #[must_use]
    pub fn user(&self) -> String {
        self.user.clone().unwrap_or_else(|| "unknown".to_owned())
    }
}

/// What `remint.yaml` in a state folder says. It holds no secret.
#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Configuration {
    /// Where the store is when it is not in the state folder.
    pub store: Option<String>,
    /// Who else tries the old values.
    #[serde(default)]
    pub probers: Vec<ProberAt>,
    /// Who else is told what happens.
    #[serde(default)]
    pub streams: Vec<StreamTo>,
    /// Entries commit to names instead of telling them; the names stand beside the tree, and can be erased.
    #[serde(default, rename = "commitToPersons")]
    pub commit_to_persons: bool,
}

/// A stream of events: to an address, or into a file.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct StreamTo {
    pub name: String,
    #[serde(default)]
    pub webhook: Option<String>,
    #[serde(default)]
    pub file: Option<PathBuf>,
    /// A file with `whsec_` and the base64 of what both sides know.
    pub secret_file: PathBuf,
    /// Only entries whose kind begins with one of these: `reset.`, `rotation.parked`, …; all when none is named.
    #[serde(default)]
    pub only: Vec<String>,
}

/// A prober, and where it takes questions.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ProberAt {
    pub url: String,
    /// The word that `remint prober init` printed.
    pub prober: String,
    /// Nothing counts as proven that it did not see.
    #[serde(default)]
    pub demand: bool,
}

impl Configuration {
    /// Reads the file; without one everything is as it comes.
    ///
    /// # Errors
    /// It cannot be read or understood.
    pub fn read(state: &Path) -> Result<Self, AppError> {
        let path = state.join("remint.yaml");
        match std::fs::read_to_string(&path) {
            Ok(text) => serde_yaml::from_str(&text).map_err(|_| AppError::Config {
                path,
                why: "write one line, `store: postgres://USER@HOST/DATABASE?password_file=PATH`".to_owned(),
            }),
            Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(Self::default()),
            Err(source) => Err(AppError::Read { path, source }),
        }
    }
}
