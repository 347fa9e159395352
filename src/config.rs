//! Where things lie on this machine. The environment is read here and nowhere else.

use std::io;
use std::path::{Path, PathBuf};
use std::time::Duration;

use remint_evidence_format::cosignature::{Quorum, WitnessKey};
use serde::Deserialize;

use crate::app::AppError;
use crate::evidence::witnessing::Policy;

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
    /// Who sees the log, beside whoever has its key.
    pub witness: Option<Witnesses>,
}

/// Who sees the log, and how many of them have to.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Witnesses {
    quorum: usize,
    /// How old the oldest entry may be that no quorum saw, before that is an alarm.
    #[serde(default = "ten")]
    alarm_after_minutes: u64,
    witnesses: Vec<OneWitness>,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct OneWitness {
    key: String,
    url: String,
}

fn ten() -> u64 {
    10
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
                why:
                    "write `store: postgres://USER@HOST/DATABASE?password_file=PATH`, and `witness` with `quorum` and \
                      `witnesses`, each a `key` and a `url`; leave out what is not wanted"
                        .to_owned(),
            }),
            Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(Self::default()),
            Err(source) => Err(AppError::Read { path, source }),
        }
    }

    /// The witnesses that it names.
    ///
    /// # Errors
    /// A key is none, or the quorum cannot be met.
    pub fn witnesses(self, state: &Path) -> Result<Option<Policy>, AppError> {
        let Some(named) = self.witness else { return Ok(None) };
        let wrong = |why: String| AppError::Config { path: state.join("remint.yaml"), why };
        let mut keys = Vec::new();
        let mut urls = Vec::new();
        for OneWitness { key, url } in named.witnesses {
            let parsed = WitnessKey::parse(&key);
            keys.push(parsed.map_err(|error| wrong(format!("the key of the witness at {url}: {error}")))?);
            urls.push(url);
        }
        let quorum = Quorum::new(named.quorum, keys).map_err(|error| wrong(format!("`witness`: {error}")))?;
        let alarm_after = Duration::from_mins(named.alarm_after_minutes);
        Ok(Some(Policy { quorum, urls, alarm_after }))
    }
}
