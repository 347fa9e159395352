//! The settings of an `acme` system and of its targets. Reading makes no call.

use std::net::SocketAddr;
use std::path::PathBuf;

use instant_acme::{Identifier, RevocationReason};
use remint_contract::{Error, ErrorKind, SettingProblem, Strategy, Target, Verb};
use serde::Deserialize;

/// The settings, read.
#[derive(Debug, Clone)]
pub(crate) struct Settings {
    pub(crate) directory: String,
    /// What was issued.
    pub(crate) folder: PathBuf,
    pub(crate) challenge: Challenge,
    /// Whom to trust for the server's own certificate; the machine's roots when it is not said.
    pub(crate) roots: Option<PathBuf>,
    /// An account that is not there yet is made.
    pub(crate) agreed: bool,
    /// What an account that is made is bound to.
    pub(crate) external: Option<External>,
    pub(crate) reason: Reason,
}

/// An account at the authority itself, elsewhere.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub(crate) struct External {
    pub(crate) key_id: String,
    /// The MAC key, base64url, as the authority gave it.
    pub(crate) key_file: PathBuf,
}

/// Where the answers to challenges are put.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub(crate) enum Challenge {
    /// The root folder of a web server that answers for the names.
    Webroot(PathBuf),
    /// An address to listen at while a challenge is open: port 80 of the names leads to it.
    Listen(SocketAddr),
    /// dns-01: a command of the daemon's configuration sets TXT records.
    Dns { command: String },
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub(crate) enum Reason {
    Unspecified,
    KeyCompromise,
    Superseded,
    CessationOfOperation,
}

impl Reason {
    pub(crate) const fn code(self) -> RevocationReason {
        match self {
            Self::Unspecified => RevocationReason::Unspecified,
            Self::KeyCompromise => RevocationReason::KeyCompromise,
            Self::Superseded => RevocationReason::Superseded,
            Self::CessationOfOperation => RevocationReason::CessationOfOperation,
        }
    }
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields, rename_all = "camelCase")]
struct Written {
    directory: String,
    folder: PathBuf,
    challenge: Challenge,
    roots: Option<PathBuf>,
    #[serde(default)]
    terms_of_service_agreed: bool,
    external_account: Option<External>,
    #[serde(default = "superseded")]
    reason: Reason,
}

const fn superseded() -> Reason {
    Reason::Superseded
}

impl Settings {
    /// # Errors
    /// Every problem of the settings.
    pub(crate) fn read(settings: &serde_json::Value) -> Result<Self, Vec<SettingProblem>> {
        let written = Written::deserialize(settings).map_err(|problem| vec![wrong(&[], problem.to_string())])?;
        let mut problems = Vec::new();
        let https = reqwest::Url::parse(&written.directory)
            .is_ok_and(|url| url.scheme() == "https" && url.username().is_empty() && url.password().is_none());
        if !https {
            problems.push(wrong(&["directory"], "write the address of the server's directory, https://host/path"));
        }
        if !written.folder.is_absolute() {
            problems.push(wrong(&["folder"], "write the folder as an absolute path, like /var/lib/remint/acme"));
        }
        if matches!(&written.challenge, Challenge::Webroot(root) if !root.is_absolute()) {
            problems.push(wrong(&["challenge", "webroot"], "write the folder as an absolute path, like /srv/www"));
        }
        if written.external_account.as_ref().is_some_and(|external| !external.key_file.is_absolute()) {
            let message = "write the file as an absolute path, like /etc/remint/acme-mac-key";
            problems.push(wrong(&["externalAccount", "keyFile"], message));
        }
        if written.external_account.is_some() && !written.terms_of_service_agreed {
            let message = "it is used when an account is made: write `termsOfServiceAgreed: true`, or leave it away";
            problems.push(wrong(&["externalAccount"], message));
        }
        if !problems.is_empty() {
            return Err(problems);
        }
        Ok(Self {
            directory: written.directory,
            folder: written.folder,
            challenge: written.challenge,
            roots: written.roots,
            agreed: written.terms_of_service_agreed,
            external: written.external_account,
            reason: written.reason,
        })
    }
}

/// What a target is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Wanted {
    /// A certificate for these names.
    Leaf(Vec<String>),
    /// The key of the account itself.
    Account,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Leaf {
    names: Vec<String>,
}

impl Wanted {
    /// # Errors
    /// Every problem of the target.
    pub(crate) fn read(target: &Target) -> Result<Self, Vec<SettingProblem>> {
        if target.settings.is_null() || target.settings == serde_json::json!({}) {
            let known = target.name == ACCOUNT;
            let message = "a certificate has `names`; without, the target is `account`";
            return if known { Ok(Self::Account) } else { Err(vec![wrong(&["target"], message)]) };
        }
        let leaf = Leaf::deserialize(&target.settings)
            .map_err(|problem| vec![wrong(&[], format!("{problem}; write names: [www.example.org]"))])?;
        let mut problems = Vec::new();
        for (index, name) in leaf.names.iter().enumerate() {
            if !plain(name.strip_prefix("*.").unwrap_or(name)) {
                problems
                    .push(wrong(&["names", &index.to_string()], "write a name in lower case, like www.example.org"));
            }
        }
        if leaf.names.is_empty() {
            problems.push(wrong(&["names"], "write at least one name"));
        }
        if problems.is_empty() { Ok(Self::Leaf(leaf.names)) } else { Err(problems) }
    }

    /// As [`Wanted::read`], for a verb.
    pub(crate) fn of(verb: Verb, target: &Target) -> Result<Self, Error> {
        Self::read(target).map_err(|problems| {
            let text: Vec<_> = problems.into_iter().map(|one| one.message).collect();
            // What nobody described does not exist.
            let kind = if target.settings.is_null() { ErrorKind::Missing } else { ErrorKind::Invalid };
            Error::new(kind, verb, format!("`issuedBy`: {}", text.join("; "))).with("target", &target.name)
        })
    }
}

/// Every problem of a target with this strategy, at these settings.
pub(crate) fn check(settings: &serde_json::Value, target: &Target, strategy: Strategy) -> Vec<SettingProblem> {
    let by_dns = Settings::read(settings).is_ok_and(|settings| matches!(settings.challenge, Challenge::Dns { .. }));
    match (Wanted::read(target), strategy) {
        (Ok(Wanted::Leaf(names)), Strategy::Reissue) if !by_dns => {
            let wildcards = names.iter().enumerate().filter(|(_, name)| name.starts_with("*."));
            let message = "a wildcard takes a challenge by DNS: write `challenge: {dns: {command: …}}` on the System";
            wildcards.map(|(index, _)| wrong(&["names", &index.to_string()], message)).collect()
        }
        (Err(problems), _) => problems,
        (Ok(Wanted::Account), Strategy::Reissue) => vec![wrong(&[], "a certificate has `names`")],
        (Ok(Wanted::Leaf(_)), Strategy::InPlace) => {
            vec![wrong(
                &["names"],
                "a certificate is replaced with `strategy: reissue`; only the account's key is in place",
            )]
        }
        _ => Vec::new(),
    }
}

pub(crate) fn identifiers(names: &[String]) -> Vec<Identifier> {
    names.iter().map(|name| Identifier::Dns(name.clone())).collect()
}

fn plain(name: &str) -> bool {
    let label = |label: &str| {
        !label.is_empty()
            && label.bytes().all(|byte| byte.is_ascii_lowercase() || byte.is_ascii_digit() || byte == b'-')
    };
    name.len() <= 253 && name.split('.').all(label)
}

pub(crate) fn wrong(path: &[&str], message: impl Into<String>) -> SettingProblem {
    SettingProblem { path: path.iter().map(|key| (*key).to_owned()).collect(), message: message.into() }
}

/// The target that is the account's own key.
pub(crate) const ACCOUNT: &str = "account";

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn every_problem_is_named_at_once() {
        let settings = json!({"directory": "http://ca", "folder": "acme", "challenge": {"webroot": "www"}});
        let problems = Settings::read(&settings).err().unwrap();
        let places: Vec<String> = problems.iter().map(|one| one.path.join(".")).collect();
        assert_eq!(places, ["directory", "folder", "challenge.webroot"]);
    }

    #[test]
    fn a_wildcard_and_a_name_that_is_none_are_refused() {
        let target = |names| Target { name: "web".to_owned(), settings: json!({ "names": names }) };
        assert!(Wanted::read(&target(json!(["www.example.org"]))).is_ok());
        assert_eq!(Wanted::read(&target(json!(["*.*.org", "a/b", "A.org"]))).unwrap_err().len(), 3);
        let settings = |challenge| json!({"directory": "https://ca/dir", "folder": "/acme", "challenge": challenge});
        let wildcard = |challenge| check(&settings(challenge), &target(json!(["*.example.org"])), Strategy::Reissue);
        assert_eq!(wildcard(json!({"webroot": "/srv"})).len(), 1);
        assert!(wildcard(json!({"dns": {"command": "txt"}})).is_empty());
        assert_eq!(Wanted::read(&target(json!([]))).unwrap_err().len(), 1);
    }
}
