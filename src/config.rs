//! Where things lie on this machine. The environment is read here and nowhere else.

use std::collections::{BTreeMap, BTreeSet};
use std::io;
use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};
use std::time::Duration;

use remint_contract::HostRules;
use remint_evidence_format::cosignature::{Quorum, WitnessKey};
use serde::Deserialize;

use crate::app::AppError;
use crate::evidence::witnessing::Policy;
use crate::identity::{Issuer, IssuerAt};
use crate::keeper::KeptAt;
use crate::serve::ClusterAt;

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

    /// The tokens of this user's logins, a file for each daemon.
    #[must_use]
    pub fn logins(&self) -> PathBuf {
        self.kek().with_file_name("logins")
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
    /// The programs that a document may choose by name: each with its fixed arguments.
    #[serde(default)]
    commands: BTreeMap<String, Vec<String>>,
    /// The hosts, as `host:port`, that a document may name though no recipe does, or though their address is private.
    #[serde(default)]
    hosts: BTreeSet<String>,
    /// Who sees the log, beside whoever has its key.
    witness: Option<Witnesses>,
    /// What signs the log, where that is not a key that lies sealed in the state.
    pub log: Option<KeptAt>,
    /// What wraps the keys of the key file, where they do not lie there in the clear.
    pub keys: Option<KeptAt>,
    /// The OpenID providers whose tokens say who somebody is.
    #[serde(default)]
    issuers: Vec<IssuerAt>,
    /// The cluster whose custom resources are documents and acts.
    pub kubernetes: Option<ClusterAt>,
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
    /// Only entries whose kind begins with one of these: `reset.`, `rotation.parked`, …, and those that call somebody:
    /// `alarm`, `task`; all when none is named.
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
    /// It is shown new values, too, as a control: its host sees them alive.
    #[serde(default)]
    pub control: bool,
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
    /// It cannot be read or understood, or somebody else could write programs and hosts into it.
    pub fn read(state: &Path) -> Result<Self, AppError> {
        let path = state.join("remint.yaml");
        let text = match std::fs::read_to_string(&path) {
            Ok(text) => text,
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(Self::default()),
            Err(source) => return Err(AppError::Read { path, source }),
        };
        let found: Self = match serde_yaml::from_str(&text) {
            Ok(found) => found,
            Err(_) => return Err(AppError::Config { path, why: FORM.to_owned() }),
        };
        if let Some(why) = found.wrong() {
            return Err(AppError::Config { path, why });
        }
        let named = found.kubernetes.is_some() || !found.issuers.is_empty();
        if !found.commands.is_empty() || !found.hosts.is_empty() || named {
            let mode = match std::fs::metadata(&path) {
                Ok(there) => there.permissions().mode(),
                Err(source) => return Err(AppError::Read { path, source }),
            };
            if mode & 0o022 != 0 {
                let why =
                    "it allows programs, hosts, issuers and a cluster, and others than its owner may write it; `chmod go-w` it"
                        .into();
                return Err(AppError::Config { path, why });
            }
        }
        Ok(found)
    }

    /// The providers that it names.
    ///
    /// # Errors
    /// One of them has no address that may be asked, or stands there twice.
    pub fn issuers(&self, state: &Path) -> Result<Vec<Issuer>, AppError> {
        let wrong = |why: String| AppError::Config { path: state.join("remint.yaml"), why };
        let mut names = BTreeSet::new();
        if let Some(twice) = self.issuers.iter().find(|at| !names.insert(&at.issuer)) {
            return Err(wrong(format!("the issuer {} stands there twice", twice.issuer)));
        }
        let issuer = |at: &IssuerAt| Issuer::new(at.clone()).map_err(|error| wrong(error.to_string()));
        self.issuers.iter().map(issuer).collect()
    }

    /// The witnesses that it names.
    ///
    /// # Errors
    /// A key is none, or the quorum cannot be met.
    pub fn witnesses(&self, state: &Path) -> Result<Option<Policy>, AppError> {
        let Some(named) = &self.witness else { return Ok(None) };
        let wrong = |why: String| AppError::Config { path: state.join("remint.yaml"), why };
        let mut keys = Vec::new();
        let mut urls = Vec::new();
        for OneWitness { key, url } in &named.witnesses {
            let parsed = WitnessKey::parse(key);
            keys.push(parsed.map_err(|error| wrong(format!("the key of the witness at {url}: {error}")))?);
            urls.push(url.clone());
        }
        let quorum = Quorum::new(named.quorum, keys).map_err(|error| wrong(format!("`witness`: {error}")))?;
        let alarm_after = Duration::from_mins(named.alarm_after_minutes);
        Ok(Some(Policy { quorum, urls, alarm_after }))
    }

    /// What this allows beyond any document, beside what a command allows; that is the newer word.
    #[must_use]
    pub fn rules(&self, mut rules: HostRules) -> HostRules {
        for (name, command) in &self.commands {
            rules.commands.entry(name.clone()).or_insert_with(|| command.clone());
        }
        rules.hosts.extend(self.hosts.iter().cloned());
        rules
    }

    fn wrong(&self) -> Option<String> {
        for (name, command) in &self.commands {
            // The folder that a program is looked for in is nobody's word.
            if !command.first().is_some_and(|program| Path::new(program).is_absolute()) {
                return Some(format!("the command `{name}` is no list that begins with the full path of a program"));
            }
        }
        let port = |host: &str| host.rsplit_once(':').is_some_and(|(name, port)| !name.is_empty() && is_port(port));
        let host = self.hosts.iter().find(|host| !port(host))?;
        Some(format!("the host `{host}` is not as `host:port`, like gitlab.example.com:443"))
    }
}

fn is_port(text: &str) -> bool {
    text.parse::<u16>().is_ok_and(|port| port > 0)
}

const FORM: &str = "write `store: postgres://USER@HOST/DATABASE?password_file=PATH`, `commands: {NAME: [/PROGRAM, ARGUMENT]}` \
                    `hosts: [HOST:PORT]`, `probers`, `streams`, `commitToPersons`, `witness`, `log`, `keys`, `issuers` or `kubernetes`, and nothing else";

#[cfg(test)]
mod tests {
    use super::*;

    fn read(text: &str, mode: u32) -> Result<HostRules, String> {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("remint.yaml");
        std::fs::write(&path, text).unwrap();
        std::fs::set_permissions(&path, std::fs::Permissions::from_mode(mode)).unwrap();
        Configuration::read(folder.path())
            .map(|found| found.rules(HostRules::default()))
            .map_err(|error| error.to_string())
    }

    #[test]
    fn programs_and_hosts_are_allowed_by_the_configuration() {
        let rules = read("commands: {office: [/usr/bin/python3, -I]}\nhosts: ['10.0.0.7:8443']\n", 0o600).unwrap();
        assert_eq!(rules.commands["office"], ["/usr/bin/python3", "-I"]);
        assert!(rules.hosts.contains("10.0.0.7:8443"));
    }

    #[test]
    fn what_cannot_be_a_program_or_a_host_is_named() {
        for (text, word) in [
            ("commands: {office: [python3]}", "`office`"),
            ("commands: {office: []}", "`office`"),
            ("hosts: [gitlab.example.com]", "`gitlab.example.com`"),
            ("hosts: ['gitlab.example.com:x']", "`gitlab.example.com:x`"),
            ("shell: /bin/sh", "nothing else"),
        ] {
            let error = read(text, 0o600).unwrap_err();
            assert!(error.contains(word), "{text}: {error}");
        }
    }

    #[test]
    fn a_configuration_that_others_may_write_allows_no_program() {
        let error = read("commands: {office: [/usr/bin/python3]}", 0o620).unwrap_err();
        assert!(error.contains("chmod go-w"), "{error}");
        assert!(read("{}", 0o620).is_ok());
    }
}
