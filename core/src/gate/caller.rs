//! Who asks, as the entrance has verified it.

use std::collections::BTreeSet;
use std::fmt;
use std::str::FromStr;

use jiff::Timestamp;
use serde::{Deserialize, Serialize};

use crate::digest::is_default;
use crate::gate::Action;

/// Where somebody comes in.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Entrance {
    /// The command line alone, on the state itself.
    Cli,
    /// The Unix socket of a daemon.
    Socket,
    /// A loopback address, with a token.
    Loopback,
    /// The API, over the network.
    Api,
    /// A custom resource of a cluster, as its API server knew who wrote it.
    Cluster,
    /// A rotation window: nobody is there.
    Window,
}

impl Entrance {
    pub const ALL: [Self; 6] = [Self::Cli, Self::Socket, Self::Loopback, Self::Api, Self::Cluster, Self::Window];

    #[must_use]
    pub const fn word(self) -> &'static str {
        match self {
            Self::Cli => "cli",
            Self::Socket => "socket",
            Self::Loopback => "loopback",
            Self::Api => "api",
            Self::Cluster => "cluster",
            Self::Window => "window",
        }
    }
}

impl fmt::Display for Entrance {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.word())
    }
}

impl FromStr for Entrance {
    type Err = String;

    fn from_str(word: &str) -> Result<Self, String> {
        let words = || Self::ALL.map(Self::word).join(", ");
        Self::ALL
            .into_iter()
            .find(|one| one.word() == word)
            .ok_or_else(|| format!("`{word}` is no entrance: {}", words()))
    }
}

/// A verified principal, and how it was verified.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Caller {
    /// `unix:1000`, `token:NAME`, `oidc:ISSUER|SUBJECT`, `mtls:FINGERPRINT`, `kubernetes:USER`: never a word that somebody says of himself.
    pub principal: String,
    pub entrance: Entrance,
    /// The class of the authentication, as the identity provider names it.
    pub acr: String,
    /// Its methods.
    pub amr: BTreeSet<String>,
    /// When the person last proved who he is.
    pub auth_time: Option<Timestamp>,
    /// Where the connection comes from.
    pub source: String,
    /// Groups of ours that the configuration gives for what the identity provider says of the person; they count for
    /// parties that the table of persons knows, and for no other.
    #[serde(default, skip_serializing_if = "is_default")]
    pub groups: BTreeSet<String>,
    /// All that the token is for; `None`: it is bounded by policies alone.
    #[serde(default, skip_serializing_if = "is_default")]
    pub scope: Option<BTreeSet<Action>>,
    /// Which request it is, in log lines and entries; empty where there is none.
    #[serde(default, skip_serializing_if = "is_default")]
    pub request: String,
}

impl Caller {
    /// A caller of whom nothing is known but the principal.
    #[must_use]
    pub fn plain(principal: impl Into<String>, entrance: Entrance) -> Self {
        let (acr, amr, source) = (String::new(), BTreeSet::new(), entrance.word().to_owned());
        let (groups, scope, request) = (BTreeSet::new(), None, String::new());
        Self { principal: principal.into(), entrance, acr, amr, auth_time: None, source, groups, scope, request }
    }

    /// True when its name comes from elsewhere: an identity provider, a certificate, a cluster.
    #[must_use]
    pub fn federated(&self) -> bool {
        ["oidc:", "mtls:", "kubernetes:"].iter().any(|prefix| self.principal.starts_with(prefix))
    }

    /// True unless its token is for other things only.
    #[must_use]
    pub fn covers(&self, action: Action) -> bool {
        self.scope.as_ref().is_none_or(|scope| scope.contains(&action))
    }

    /// Seconds since the person proved who he is; `None` when nobody can say, or it lies ahead.
    #[must_use]
    pub fn auth_age(&self, now: Timestamp) -> Option<i64> {
        let age = now.as_second() - self.auth_time?.as_second();
        (age >= 0).then_some(age)
    }
}
