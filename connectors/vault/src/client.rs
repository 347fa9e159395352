//! The way to the server: one request, one answer, as the actor of a call or as the bearer of a value that is tried.
//!
//! Guarantees: no redirect is followed, for the token would go along; no proxy is taken from the environment; an answer
//! larger than [`LARGEST`] is not read; nothing is tried again, but for a session of ours that somebody ended.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use remint_contract::{Call, Error, ErrorKind, HostRules, Material, SecretValue, Verb};
use reqwest::header::{DATE, HeaderMap, HeaderValue, RETRY_AFTER};
use reqwest::redirect::Policy;
use reqwest::{Certificate, Identity};
use zeroize::Zeroizing;

use crate::answer::Answer;
use crate::config::{Login, Settings};
use crate::request::Request;
use crate::session::Session;

/// The largest answer that is read: a list of many thousand accessors.
const LARGEST: usize = 16 << 20;

pub(crate) struct Client {
    pub(crate) settings: Settings,
    connect_timeout: Option<Duration>,
    http: reqwest::Client,
    sessions: Mutex<HashMap<Actor, Place>>,
}

/// An actor by its user name and its value's fingerprint: a new value never rides on an old login.
type Actor = (Option<String>, String);

/// One login at a time; the others wait for it.
type Place = Arc<tokio::sync::Mutex<Option<Session>>>;

impl Client {
    pub(crate) fn open(settings: Settings, rules: &HostRules) -> Result<Self, Error> {
        let http = builder(&settings, rules.connect_timeout)?.build().map_err(unusable)?;
        Ok(Self { settings, connect_timeout: rules.connect_timeout, http, sessions: Mutex::default() })
    }

    /// As the actor of the call, at the server's own address.
    pub(crate) async fn act(&self, call: &Call, request: &Request) -> Result<Answer, Error> {
        self.act_at(call, &self.settings.address, request).await
    }

    /// As the actor of the call, at one of the server's nodes.
    pub(crate) async fn act_at(&self, call: &Call, address: &str, request: &Request) -> Result<Answer, Error> {
        let actor = call.actor.as_deref().ok_or_else(|| {
            Error::new(ErrorKind::Invalid, request.verb, "the system has no `auth`; name a credential")
        })?;
        let place = self.place(actor);
        let (token, old) = {
            let mut session = place.lock().await;
            let old = session.is_some();
            (Session::token(&mut session, self, actor, request.verb).await?, old)
        };
        let answer = self.send(address, Some(&token), request).await?;
        // A session that was opened earlier may have been ended since; nothing was done then.
        if answer.status == 403 && old && self.settings.login != Login::Token && !self.lives(&token, request.verb).await
        {
            let mut session = place.lock().await;
            if session.as_ref().is_some_and(|session| session.is(&token)) {
                *session = None;
            }
            let token = Session::token(&mut session, self, actor, request.verb).await?;
            drop(session);
            return self.send(address, Some(&token), request).await;
        }
        Ok(answer)
    }

    /// At one address, as the bearer of a token or as nobody.
    pub(crate) async fn send(
        &self,
        address: &str,
        token: Option<&SecretValue>,
        request: &Request,
    ) -> Result<Answer, Error> {
        self.send_through(&self.http, address, token, request).await
    }

    /// As [`Client::send`], showing a certificate while the connection is made.
    pub(crate) async fn send_showing(&self, certificate: &Material, request: &Request) -> Result<Answer, Error> {
        let identity = Identity::from_pem(certificate.secret.expose()).map_err(|_| {
            let message = "the credential in `auth` is no key and certificate as PEM";
            Error::new(ErrorKind::Invalid, request.verb, message)
        })?;
        let http = builder(&self.settings, self.connect_timeout)?.identity(identity).build().map_err(unusable)?;
        self.send_through(&http, &self.settings.address, None, request).await
    }

    async fn send_through(
        &self,
        http: &reqwest::Client,
        address: &str,
        token: Option<&SecretValue>,
        request: &Request,
    ) -> Result<Answer, Error> {
        let mut url = format!("{address}/v1/{}", request.path);
        if let Some(query) = request.query {
            url = format!("{url}?{query}");
        }
        let mut sent = http.request(request.method.clone(), url).headers(self.headers(token, request.verb)?);
        if let Some(life) = request.wrap {
            sent = sent.header("x-vault-wrap-ttl", life.as_secs());
        }
        if let Some(body) = &request.body {
            sent = sent.header("content-type", "application/json").body(body.to_vec());
        }
        let lost = |failure: reqwest::Error| lost(request, address, failure);
        let mut answer = sent.send().await.map_err(lost)?;
        let status = answer.status().as_u16();
        let retry_after = answer.headers().get(RETRY_AFTER).and_then(|wait| wait.to_str().ok()?.parse().ok());
        let date = answer.headers().get(DATE).and_then(|date| jiff::fmt::rfc2822::parse(date.to_str().ok()?).ok());
        let date = date.map(|date| date.timestamp());
        let mut body = Zeroizing::new(Vec::new());
        while let Some(chunk) = answer.chunk().await.map_err(lost)? {
            if body.len() + chunk.len() > LARGEST {
                let message = format!("the answer is larger than {} MiB", LARGEST >> 20);
                return Err(Error::new(request.when_lost(), request.verb, message).with("address", address));
            }
            body.extend_from_slice(&chunk);
        }
        let retry_after = retry_after.map(Duration::from_secs);
        Ok(Answer { verb: request.verb, effect: request.effect, status, retry_after, date, body })
    }

    fn headers(&self, token: Option<&SecretValue>, verb: Verb) -> Result<HeaderMap, Error> {
        let mut headers = HeaderMap::new();
        // The server refuses requests without it where it was told to.
        headers.insert("x-vault-request", HeaderValue::from_static("true"));
        if let Some(namespace) = &self.settings.namespace {
            let value = HeaderValue::from_str(namespace)
                .map_err(|_| Error::new(ErrorKind::Invalid, verb, "the namespace cannot stand in a header"))?;
            headers.insert("x-vault-namespace", value);
        }
        if let Some(token) = token {
            // What no header can carry is no token.
            let mut value = HeaderValue::from_bytes(token.expose())
                .map_err(|_| Error::new(ErrorKind::Denied, verb, "the value cannot be a token"))?;
            value.set_sensitive(true);
            headers.insert("x-vault-token", value);
        }
        Ok(headers)
    }

    /// Is the token itself good?
    async fn lives(&self, token: &SecretValue, verb: Verb) -> bool {
        let Ok(request) = Request::get(verb, "auth/token/lookup-self") else { return true };
        let answer = self.send(&self.settings.address, Some(token), &request).await;
        !answer.is_ok_and(|answer| answer.status == 403)
    }

    fn place(&self, actor: &Material) -> Place {
        let key = (actor.username.clone(), actor.fingerprint());
        Arc::clone(self.sessions.lock().unwrap_or_else(PoisonError::into_inner).entry(key).or_default())
    }
}

fn builder(settings: &Settings, connect_timeout: Option<Duration>) -> Result<reqwest::ClientBuilder, Error> {
    let mut builder = reqwest::Client::builder().redirect(Policy::none()).no_proxy().user_agent("remint");
    if let Some(timeout) = connect_timeout {
        builder = builder.connect_timeout(timeout);
    }
    if let Some(file) = &settings.ca {
        let unread =
            |message| Error::new(ErrorKind::Invalid, Verb::Check, message).with("file", file.display().to_string());
        let pem =
            std::fs::read(file).map_err(|failure| unread("the authorities could not be read").because(failure))?;
        let authorities =
            Certificate::from_pem_bundle(&pem).map_err(|_| unread("the file holds no certificates as PEM"))?;
        builder = builder.tls_certs_only(authorities);
    }
    Ok(builder)
}

fn unusable(failure: reqwest::Error) -> Error {
    Error::new(ErrorKind::Invalid, Verb::Check, "no connection can be set up with these settings").because(failure)
}

/// A connection that was never there did nothing; one that broke may have.
fn lost(request: &Request, address: &str, failure: reqwest::Error) -> Error {
    let (kind, message) = if failure.is_connect() {
        (ErrorKind::Unreachable, "nothing answers there")
    } else {
        (request.when_lost(), "the answer was lost")
    };
    // The address in the cause is the whole one of the request.
    Error::new(kind, request.verb, message).with("address", address).because(failure.without_url())
}
