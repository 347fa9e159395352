//! One request to a fake service, and how its outcome is classed.

use std::time::Duration;

use remint_contract::{Call, Error, ErrorKind, HostRules, Material, Verb};
use reqwest::{Response, StatusCode};
use serde::Serialize;
use serde::de::DeserializeOwned;

use crate::wire::{self, Refusal};

/// The pooled client of one system.
pub(super) struct Client {
    http: reqwest::Client,
    endpoints: Vec<String>,
}

/// An answer that is not a success.
pub(super) struct Refused {
    pub(super) status: StatusCode,
    pub(super) code: String,
    message: String,
    wait: Option<Duration>,
}

impl Client {
    pub(super) fn open(endpoints: Vec<String>, rules: &HostRules) -> Result<Self, Error> {
        let mut builder = reqwest::Client::builder().no_proxy().redirect(reqwest::redirect::Policy::none());
        if let Some(limit) = rules.connect_timeout {
            builder = builder.connect_timeout(limit);
        }
        let http = builder
            .build()
            .map_err(|error| Error::new(ErrorKind::Invalid, Verb::Check, "no HTTP client").because(error))?;
        Ok(Self { http, endpoints })
    }

    /// Asks the first endpoint as the call's actor.
    pub(super) async fn ask<T: DeserializeOwned>(
        &self,
        call: &Call,
        verb: Verb,
        path: &'static str,
        body: &impl Serialize,
    ) -> Result<T, Error> {
        let answer = self.send(call, verb, path, call.actor.as_deref(), 0, body).await?;
        answer.map_err(|refused| refused.classed(verb, path))
    }

    /// Asks one endpoint, showing `shown`. `Ok(Err)` is an answer that is not a success.
    pub(super) async fn send<T: DeserializeOwned>(
        &self,
        call: &Call,
        verb: Verb,
        path: &'static str,
        shown: Option<&Material>,
        endpoint: usize,
        body: &impl Serialize,
    ) -> Result<Result<T, Refused>, Error> {
        let base = self.endpoints.get(endpoint).ok_or_else(|| {
            Error::new(ErrorKind::Invalid, verb, "no such endpoint").with("endpoint", endpoint.to_string())
        })?;
        let mut request = self
            .http
            .post(format!("{base}/{path}"))
            .header(wire::SOURCE, wire::REMINT)
            .header(wire::DEADLINE, call.deadline.to_string())
            .json(body);
        if let Some(header) = shown.map(wire::authorization) {
            request = request.header("authorization", header.expose());
        }
        let response = request.send().await.map_err(|error| broken(verb, base, error))?;
        if response.status().is_success() {
            let answer = response.json().await.map_err(|error| {
                Error::new(ErrorKind::Unclear, verb, "the answer cannot be read").with("endpoint", base).because(error)
            })?;
            return Ok(Ok(answer));
        }
        Ok(Err(refused(response).await))
    }
}

/// No answer: it is known to be undone only when no connection was made.
fn broken(verb: Verb, base: &str, error: reqwest::Error) -> Error {
    let (kind, message) = if error.is_connect() {
        (ErrorKind::Unreachable, "no connection; see that the service runs at this address")
    } else if error.is_builder() {
        (ErrorKind::Invalid, "the request cannot be made; look at the address and the values")
    } else {
        (ErrorKind::Unclear, "the connection broke before the answer")
    };
    Error::new(kind, verb, message).with("endpoint", base).because(error.without_url())
}

async fn refused(response: Response) -> Refused {
    let status = response.status();
    let wait = response.headers().get("retry-after").and_then(|value| value.to_str().ok());
    let wait = wait.and_then(|text| text.parse().ok()).map(Duration::from_secs);
    let refusal: Option<Refusal> = response.json().await.ok();
    let (code, message) = refusal.map_or_else(
        || ("not-understood".to_owned(), "the answer is not understood".to_owned()),
        |refusal| (refusal.code, refusal.message),
    );
    Refused { status, code, message, wait }
}

impl Refused {
    pub(super) fn classed(self, verb: Verb, path: &str) -> Error {
        let kind = match self.status.as_u16() {
            400 => ErrorKind::Invalid,
            401 | 403 => ErrorKind::Denied,
            404 => ErrorKind::Missing,
            405 => ErrorKind::Unsupported,
            409 if self.code == "full" => ErrorKind::Full,
            409 => ErrorKind::Conflict,
            // Past its deadline: the service says that it did nothing.
            412 => ErrorKind::Unreachable,
            422 => ErrorKind::RefusedValue,
            429 => ErrorKind::Throttled,
            _ => ErrorKind::Unclear,
        };
        let status = self.status.as_u16().to_string();
        let error = Error::new(kind, verb, self.message).with("status", status).with("call", path);
        match self.wait {
            Some(wait) => error.retry_after(wait),
            None => error,
        }
    }

    /// For a verdict: what the service said, in short.
    pub(super) fn in_words(&self) -> String {
        format!("{} {}", self.status.as_u16(), self.code)
    }
}
