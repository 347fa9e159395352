//! One OpenID provider: found by its name, its keys fetched and followed.
//!
//! Flow: the first token asks the provider's discovery document where its keys are, and fetches them; they are fetched again
//! when they are older than [`FRESH`], and when a token names one that is not among them, but not more often than each
//! [`SELDOM`].
//!
//! Guarantees: the document has to be of exactly this issuer; keys belong to it and to no other; no redirect is followed,
//! and nothing but HTTPS is spoken with another machine. A key that the provider took back stops within [`FRESH`] where the
//! provider answers, and within [`STALE`] where it does not.

use std::collections::{BTreeMap, BTreeSet};
use std::path::PathBuf;
use std::time::Duration;

use jiff::Timestamp;
use remint_contract::Clock;
use reqwest::redirect::Policy;
use serde::Deserialize;
use tokio::sync::Mutex;

use crate::answer::{self, Unread};
use crate::causes::causes;
use crate::identity::{Claims, Expected, Keys, KeysError, Unknown, Untrusted, verify};

/// An issuer as `remint.yaml` names it. It holds no secret.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "camelCase")]
pub struct IssuerAt {
    /// As its tokens say it, letter by letter.
    pub issuer: String,
    /// What its tokens have to be for: the client's id, where they are ID tokens.
    pub audience: String,
    /// The claim that lists the groups of the person.
    #[serde(default = "groups_claim")]
    pub groups_claim: String,
    /// Its group → ours. A group that is not named here is none.
    #[serde(default)]
    pub groups: BTreeMap<String, String>,
    /// The certificates that it is trusted by, in PEM, where those of the machine are not.
    #[serde(default)]
    pub ca_file: Option<PathBuf>,
}

fn groups_claim() -> String {
    "groups".to_owned()
}

/// A provider.
#[derive(Debug)]
pub struct Issuer {
    at: IssuerAt,
    http: reqwest::Client,
    known: Mutex<Known>,
}

/// What was fetched, and when.
#[derive(Debug, Default)]
struct Known {
    keys: Option<(Keys, Timestamp)>,
    tried: Option<Timestamp>,
}

/// What a provider says of itself.
#[derive(Debug, Clone, Deserialize)]
pub struct Discovery {
    pub issuer: String,
    pub jwks_uri: String,
    #[serde(default)]
    pub authorization_endpoint: Option<String>,
    #[serde(default)]
    pub token_endpoint: Option<String>,
    /// Where a login without a browser begins.
    #[serde(default)]
    pub device_authorization_endpoint: Option<String>,
}

/// Why a provider is of no use.
#[derive(Debug, thiserror::Error)]
pub enum IssuerError {
    #[error("{0} is no address of a provider: write https://…, or a loopback address")]
    Address(String),
    #[error("cannot read {path}")]
    Read {
        path: PathBuf,
        #[source]
        source: std::io::Error,
    },
    #[error("no client for HTTP could be made")]
    Client(#[source] reqwest::Error),
    #[error("{0} cannot be reached")]
    Unreachable(String, #[source] reqwest::Error),
    #[error("{url} answered {status}")]
    Answered { url: String, status: u16 },
    #[error("the answer of {0} is too large or not as OpenID Connect has it")]
    Garbled(String),
    #[error("the document of {0} says that it is of another issuer, {1}")]
    Other(String, String),
    #[error(transparent)]
    Keys(#[from] KeysError),
    #[error("its keys could not be fetched a moment ago, and are too old")]
    Stale,
}

impl Issuer {
    /// A provider that was named. Makes no call.
    ///
    /// # Errors
    /// The name is no address that may be asked, or its certificates cannot be read.
    pub fn new(at: IssuerAt) -> Result<Self, IssuerError> {
        safe(&at.issuer)?;
        let mut http = reqwest::Client::builder().redirect(Policy::none()).timeout(LONGEST).user_agent("remint");
        if let Some(path) = &at.ca_file {
            let text = std::fs::read(path).map_err(|source| IssuerError::Read { path: path.clone(), source })?;
            let roots = reqwest::Certificate::from_pem_bundle(&text).map_err(IssuerError::Client)?;
            http = http.tls_certs_only(roots);
        }
        let http = http.no_proxy().build().map_err(IssuerError::Client)?;
        Ok(Self { at, http, known: Mutex::default() })
    }

    /// As its tokens say it.
    #[must_use]
    pub fn name(&self) -> &str {
        &self.at.issuer
    }

    /// What its tokens are for.
    #[must_use]
    pub fn audience(&self) -> &str {
        &self.at.audience
    }

    /// Our groups, for those that a token lists.
    #[must_use]
    pub fn groups(&self, claims: &Claims) -> BTreeSet<String> {
        let listed = claims.words(&self.at.groups_claim);
        listed.into_iter().filter_map(|group| self.at.groups.get(group).cloned()).collect()
    }

    /// What a token of this issuer says, once it is known to be good.
    ///
    /// # Errors
    /// It is not, or the keys cannot be had.
    pub(super) async fn check(
        &self,
        token: &str,
        nonce: Option<&str>,
        now: Timestamp,
        clock: &dyn Clock,
    ) -> Result<Claims, Unknown> {
        let untrusted = |why| Unknown::Untrusted { issuer: self.at.issuer.clone(), why };
        let expected = Expected { issuer: &self.at.issuer, audience: &self.at.audience, nonce };
        let keys = self.keys(clock, false).await?;
        match verify(token, &keys, expected, now) {
            // It may be newer than the keys that are known.
            Err(Untrusted::Key) => {
                let keys = self.keys(clock, true).await?;
                verify(token, &keys, expected, now).map_err(untrusted)
            }
            verified => verified.map_err(untrusted),
        }
    }

    async fn keys(&self, clock: &dyn Clock, missing: bool) -> Result<Keys, Unknown> {
        let now = clock.now();
        // Whoever waits here wants the same answer.
        let mut known = self.known.lock().await;
        let age = |since: Timestamp| now.duration_since(since).unsigned_abs();
        let fresh = known.keys.as_ref().is_some_and(|(_, since)| age(*since) < FRESH);
        let lately = known.tried.is_some_and(|tried| age(tried) < SELDOM);
        if !lately && (missing || !fresh) {
            known.tried = Some(now);
            match self.fetch().await {
                Ok(keys) => known.keys = Some((keys, now)),
                Err(error) => {
                    tracing::warn!(issuer = self.at.issuer, error = causes(&error), "no keys fetched");
                    if known.keys.as_ref().is_none_or(|(_, since)| age(*since) >= STALE) {
                        return Err(Unknown::Issuer { issuer: self.at.issuer.clone(), why: error });
                    }
                }
            }
        }
        let usable = known.keys.as_ref().filter(|(_, since)| age(*since) < STALE);
        let stale = || Unknown::Issuer { issuer: self.at.issuer.clone(), why: IssuerError::Stale };
        usable.map(|(keys, _)| keys.clone()).ok_or_else(stale)
    }

    async fn fetch(&self) -> Result<Keys, IssuerError> {
        let found = discover(&self.http, &self.at.issuer).await?;
        safe(&found.jwks_uri)?;
        Ok(Keys::parse(get(&self.http, &found.jwks_uri).await?.as_bytes())?)
    }
}

/// What a provider says of itself at its own address.
///
/// # Errors
/// It cannot be asked, or speaks of another one.
pub async fn discover(http: &reqwest::Client, issuer: &str) -> Result<Discovery, IssuerError> {
    let url = format!("{}/.well-known/openid-configuration", issuer.trim_end_matches('/'));
    let text = get(http, &url).await?;
    let found: Discovery = serde_json::from_str(&text).map_err(|_| IssuerError::Garbled(url))?;
    if found.issuer != issuer {
        return Err(IssuerError::Other(issuer.to_owned(), found.issuer));
    }
    Ok(found)
}

async fn get(http: &reqwest::Client, url: &str) -> Result<String, IssuerError> {
    let unreachable = |error: reqwest::Error| IssuerError::Unreachable(url.to_owned(), error.without_url());
    let answer = http.get(url).send().await.map_err(unreachable)?;
    let status = answer.status();
    if !status.is_success() {
        return Err(IssuerError::Answered { url: url.to_owned(), status: status.as_u16() });
    }
    answer::text(answer, LARGEST).await.map_err(|error| match error {
        Unread::Lost(error) => unreachable(error),
        Unread::Large | Unread::NoText => IssuerError::Garbled(url.to_owned()),
    })
}

/// Nothing but HTTPS, except with this machine itself.
pub(crate) fn safe(url: &str) -> Result<(), IssuerError> {
    let refused = || IssuerError::Address(url.to_owned());
    let parsed = reqwest::Url::parse(url).map_err(|_| refused())?;
    let host = parsed.host_str().unwrap_or_default().trim_matches(['[', ']']);
    let here = host == "localhost" || host.parse::<std::net::IpAddr>().is_ok_and(|address| address.is_loopback());
    let plain = parsed.username().is_empty() && parsed.password().is_none() && parsed.fragment().is_none();
    let spoken = parsed.scheme() == "https" || parsed.scheme() == "http" && here;
    if plain && spoken && !host.is_empty() { Ok(()) } else { Err(refused()) }
}

/// Keys that are younger are not asked for again.
const FRESH: Duration = Duration::from_mins(5);
/// Keys that are older are not used, whatever the provider's state is.
const STALE: Duration = Duration::from_hours(1);
/// Between two questions.
const SELDOM: Duration = Duration::from_secs(10);
/// The longest that a provider may take.
const LONGEST: Duration = Duration::from_secs(10);
/// The largest document.
const LARGEST: usize = 256 << 10;
