//! One request: a method, a path below `/v1/`, and a body that is wiped.
//!
//! `vaultrs` knows the server's paths and bodies, and its requests are taken as they are. They are not sent by it: its
//! errors carry whole answers, it follows redirects with the token, takes settings from the environment, and reads answers
//! of any size. What carries a secret is written here without it, so that no copy stays behind.

use std::time::Duration;

use percent_encoding::{AsciiSet, NON_ALPHANUMERIC, utf8_percent_encode};
use remint_contract::{Error, ErrorKind, Verb};
use reqwest::Method;
use rustify::endpoint::Endpoint;
use serde::Serialize;
use zeroize::Zeroizing;

/// What stands in a segment as it is.
const SEGMENT: &AsciiSet = &NON_ALPHANUMERIC.remove(b'-').remove(b'.').remove(b'_').remove(b'~').remove(b'@');

/// May the server have changed something when the answer is lost?
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Effect {
    Reads,
    Changes,
}

impl Effect {
    /// The class of the failure where it is not known what became of it.
    pub(crate) const fn when_lost(self) -> ErrorKind {
        match self {
            Self::Reads => ErrorKind::Unreachable,
            Self::Changes => ErrorKind::Unclear,
        }
    }
}

pub(crate) struct Request {
    pub(crate) verb: Verb,
    pub(crate) effect: Effect,
    pub(crate) method: Method,
    /// Encoded, without the version of the API.
    pub(crate) path: String,
    /// Never anything secret.
    pub(crate) query: Option<&'static str>,
    /// The answer is to be wrapped for so long.
    pub(crate) wrap: Option<Duration>,
    pub(crate) body: Option<Zeroizing<Vec<u8>>>,
}

impl Request {
    /// As `vaultrs` has it.
    pub(crate) fn of<E: Endpoint>(verb: Verb, effect: Effect, endpoint: &E) -> Result<Self, Error> {
        // The cause may name what was to be sent.
        let body = endpoint
            .body()
            .map_err(|_| Error::new(ErrorKind::Invalid, verb, "the request could not be written"))?
            .map(Zeroizing::new);
        let method: Method = endpoint.method().into();
        Self::new(verb, effect, method, &endpoint.path(), body)
    }

    /// What is read at a path.
    pub(crate) fn get(verb: Verb, path: &str) -> Result<Self, Error> {
        Self::new(verb, Effect::Reads, Method::GET, path, None)
    }

    /// What lies below a path.
    pub(crate) fn list(verb: Verb, path: &str) -> Result<Self, Error> {
        // The server takes this for its own method, which not every proxy lets through.
        Self::new(verb, Effect::Reads, Method::GET, path, None)
            .map(|request| Self { query: Some("list=true"), ..request })
    }

    /// A body that may hold secrets.
    pub(crate) fn post(verb: Verb, effect: Effect, path: &str, body: &impl Serialize) -> Result<Self, Error> {
        let body = serde_json::to_vec(body).map_err(|failure| {
            Error::new(ErrorKind::Invalid, verb, "the request could not be written").because(failure)
        })?;
        Self::new(verb, effect, Method::POST, path, Some(Zeroizing::new(body)))
    }

    /// The class of the failure where the answer is lost.
    pub(crate) const fn when_lost(&self) -> ErrorKind {
        self.effect.when_lost()
    }

    fn new(
        verb: Verb,
        effect: Effect,
        method: Method,
        path: &str,
        body: Option<Zeroizing<Vec<u8>>>,
    ) -> Result<Self, Error> {
        let path = crate::config::read_path(path)
            .map_err(|message| Error::new(ErrorKind::Invalid, verb, message).with("path", path))?;
        let path = path.split('/').map(|segment| utf8_percent_encode(segment, SEGMENT).to_string());
        Ok(Self { verb, effect, method, path: path.collect::<Vec<_>>().join("/"), query: None, wrap: None, body })
    }
}
