//! Where things lie on this machine. The environment is read here and nowhere else.

use std::path::PathBuf;

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
