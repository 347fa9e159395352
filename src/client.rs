//! A daemon, asked over its socket, a loopback address, or TLS.
//!
//! Flow: [`Server::parse`] reads where it is; every question is one request with a bearer token where there is one; a refusal
//! comes back as the problem that the daemon told, with the exit code that the same refusal has on a state alone.
//!
//! Guarantees: no redirect is followed, so that a token goes to the named daemon and to nobody else; a token is sent in
//! the clear to this machine only.

use std::path::{Path, PathBuf};
use std::time::Duration;

use remint_contract::SecretValue;
use reqwest::redirect::Policy;
use serde::Deserialize;
use serde::de::DeserializeOwned;
use serde_json::Value;

use crate::answer::{self, Unread};
use crate::identity::safe;

/// Where a daemon is, and how it is asked.
#[derive(Debug, Clone)]
pub struct Server {
    http: reqwest::Client,
    base: String,
    /// As it was named.
    name: String,
    bearer: Option<SecretValue>,
}

/// What goes with every request.
#[derive(Debug, Default)]
pub struct Ways {
    pub bearer: Option<SecretValue>,
    /// The certificates that the daemon is trusted by, in PEM, where those of the machine are not.
    pub ca: Option<PathBuf>,
    /// The client's certificate and its key, in one file, in PEM.
    pub identity: Option<PathBuf>,
}

/// Why there is no answer.
#[derive(Debug, thiserror::Error)]
pub enum ServerError {
    #[error(
        "`{0}` is no address of a daemon: write unix:/PATH, https://HOST[:PORT], or http:// and a loopback address"
    )]
    Address(String),
    #[error("cannot read {path}")]
    Read {
        path: PathBuf,
        #[source]
        source: std::io::Error,
    },
    #[error("others than its owner may read or change {0}; run: chmod 600 {0}")]
    Open(PathBuf),
    #[error("{path} cannot be used for TLS")]
    Unusable {
        path: PathBuf,
        #[source]
        source: reqwest::Error,
    },
    #[error("no client for HTTP could be made")]
    Client(#[source] reqwest::Error),
    #[error("the daemon at {at} cannot be reached")]
    Unreachable {
        at: String,
        #[source]
        source: reqwest::Error,
    },
    #[error("what the daemon at {0} answered cannot be understood; is it of the same version?")]
    Garbled(String),
    #[error("{}", .0.detail)]
    Problem(Box<Told>),
}

/// A refusal, as the daemon tells it.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
pub struct Told {
    #[serde(rename = "type")]
    pub kind: String,
    pub status: u16,
    pub detail: String,
}

impl Told {
    /// The last word of its type.
    #[must_use]
    pub fn word(&self) -> &str {
        self.kind.rsplit(':').next().unwrap_or_default()
    }
}

impl Server {
    /// Reads where a daemon is. Makes no call.
    ///
    /// # Errors
    /// It is no address, or a file cannot be used.
    pub fn parse(address: &str, ways: Ways) -> Result<Self, ServerError> {
        let mut http = reqwest::Client::builder().redirect(Policy::none()).no_proxy().connect_timeout(CONNECT);
        let base = if let Some(path) = address.strip_prefix("unix:") {
            if !Path::new(path).is_absolute() {
                return Err(ServerError::Address(address.to_owned()));
            }
            http = http.unix_socket(path);
            "http://localhost".to_owned()
        } else {
            safe(address).map_err(|_| ServerError::Address(address.to_owned()))?;
            address.trim_end_matches('/').to_owned()
        };
        if let Some(path) = &ways.ca {
            let found = reqwest::Certificate::from_pem_bundle(&read(path)?);
            let roots = found.map_err(|source| ServerError::Unusable { path: path.clone(), source })?;
            http = http.tls_certs_only(roots);
        }
        if let Some(path) = &ways.identity {
            let found = reqwest::Identity::from_pem(&read(path)?);
            http = http.identity(found.map_err(|source| ServerError::Unusable { path: path.clone(), source })?);
        }
        let http = http.build().map_err(ServerError::Client)?;
        Ok(Self { http, base, name: address.to_owned(), bearer: ways.bearer })
    }

    /// As it was named.
    #[must_use]
    pub fn name(&self) -> &str {
        &self.name
    }

    /// What is there.
    ///
    /// # Errors
    /// The daemon refused, or did not answer.
    pub async fn get<T: DeserializeOwned>(&self, path: &str) -> Result<T, ServerError> {
        self.answered(self.http.get(format!("{}{path}", self.base)).timeout(LONGEST)).await
    }

    /// What is there, byte for byte.
    ///
    /// # Errors
    /// The daemon refused, or did not answer.
    pub async fn bytes(&self, path: &str) -> Result<Vec<u8>, ServerError> {
        let answer = self.send(self.http.get(format!("{}{path}", self.base)).timeout(LONGEST)).await?;
        answer::bytes(answer, LARGEST).await.map_err(|error| self.unread(error))
    }

    /// Asks for something. The key makes that one act of it, however often it is sent.
    ///
    /// # Errors
    /// The daemon refused, or did not answer.
    pub async fn post<T: DeserializeOwned>(&self, path: &str, body: &Value, key: &str) -> Result<T, ServerError> {
        let request = self.http.post(format!("{}{path}", self.base)).timeout(LONGEST).json(body);
        self.answered(request.header("idempotency-key", key)).await
    }

    /// What the daemon tells from now on, as long as it does.
    ///
    /// # Errors
    /// The daemon refused, or did not answer.
    pub async fn events(&self, path: &str) -> Result<Events, ServerError> {
        let answer = self.send(self.http.get(format!("{}{path}", self.base))).await?;
        Ok(Events { answer, rest: String::new() })
    }

    async fn answered<T: DeserializeOwned>(&self, request: reqwest::RequestBuilder) -> Result<T, ServerError> {
        let answer = self.send(request).await?;
        let text = self.text(answer).await?;
        serde_json::from_str(&text).map_err(|_| ServerError::Garbled(self.name.clone()))
    }

    async fn send(&self, mut request: reqwest::RequestBuilder) -> Result<reqwest::Response, ServerError> {
        if let Some(bearer) = self.bearer.as_ref().and_then(SecretValue::expose_str) {
            request = request.bearer_auth(bearer);
        }
        let unreachable = |source| ServerError::Unreachable { at: self.name.clone(), source };
        let answer = request.send().await.map_err(|error| unreachable(error.without_url()))?;
        if answer.status().is_success() {
            return Ok(answer);
        }
        let text = self.text(answer).await?;
        let told = serde_json::from_str(&text).map_err(|_| ServerError::Garbled(self.name.clone()))?;
        Err(ServerError::Problem(Box::new(told)))
    }

    async fn text(&self, answer: reqwest::Response) -> Result<String, ServerError> {
        answer::text(answer, LARGEST).await.map_err(|error| self.unread(error))
    }

    fn unread(&self, error: Unread) -> ServerError {
        match error {
            Unread::Lost(error) => ServerError::Unreachable { at: self.name.clone(), source: error.without_url() },
            Unread::Large | Unread::NoText => ServerError::Garbled(self.name.clone()),
        }
    }
}

/// Server-sent events, as they come.
#[derive(Debug)]
pub struct Events {
    answer: reqwest::Response,
    rest: String,
}

impl Events {
    /// The next one's name and data; `None` when the daemon tells no more.
    pub async fn next(&mut self) -> Option<(String, String)> {
        loop {
            if let Some((event, rest)) = self.rest.split_once("\n\n") {
                let mut told = (String::new(), String::new());
                for line in event.lines() {
                    if let Some(name) = line.strip_prefix("event:") {
                        name.trim().clone_into(&mut told.0);
                    } else if let Some(data) = line.strip_prefix("data:") {
                        told.1.push_str(data.trim());
                    }
                }
                self.rest = rest.to_owned();
                if told.1.is_empty() {
                    continue;
                }
                return Some(told);
            }
            let chunk = self.answer.chunk().await.ok()??;
            self.rest.push_str(std::str::from_utf8(&chunk).ok()?);
            if self.rest.len() > LARGEST {
                return None;
            }
        }
    }
}

fn read(path: &Path) -> Result<Vec<u8>, ServerError> {
    std::fs::read(path).map_err(|source| ServerError::Read { path: path.to_owned(), source })
}

/// How long a connection may take.
const CONNECT: Duration = Duration::from_secs(10);
/// A daemon answers in 30 s, or says that it did not.
const LONGEST: Duration = Duration::from_secs(40);
/// The largest answer: the records of a large reset.
const LARGEST: usize = 256 << 20;
