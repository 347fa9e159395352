//! One request and its answer.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use remint_contract::{Error, ErrorKind, HostRules, Material, Verb};
use reqwest::header::{HeaderMap, HeaderName, HeaderValue};
use reqwest::{StatusCode, redirect};
use serde_json::Value;
use url::Url;
use zeroize::Zeroizing;

use crate::address::Checked;
use crate::config::Config;
use crate::error::{failed, lost, refused};
use crate::recipe::{Authorization, Carrying, Line, Method};
use crate::template::Values;

/// The vendor as one system sees it.
#[derive(Debug)]
pub(crate) struct Client {
    http: reqwest::Client,
    base: Url,
    authorization: Authorization,
    headers: HeaderMap,
    classes: BTreeMap<u16, ErrorKind>,
}

/// What is asked.
pub(crate) struct Request<'a> {
    pub(crate) verb: Verb,
    pub(crate) method: Method,
    pub(crate) address: Url,
    pub(crate) bearer: Option<&'a Material>,
    pub(crate) body: Option<Zeroizing<Vec<u8>>>,
}

/// An answer, read to its end.
pub(crate) struct Reply {
    pub(crate) status: StatusCode,
    pub(crate) headers: HeaderMap,
    body: Zeroizing<Vec<u8>>,
    verb: Verb,
    class: Option<ErrorKind>,
}

impl Client {
    pub(crate) fn open(config: &Config, rules: &HostRules) -> Result<Self, Error> {
        let allowed = config.allowed(rules)?;
        let http = reqwest::Client::builder()
            .user_agent("remint")
            .no_proxy()
            .redirect(redirect::Policy::none())
            .retry(reqwest::retry::never())
            .referer(false)
            .dns_resolver(Arc::new(Checked { allowed }))
            .connect_timeout(rules.connect_timeout.unwrap_or(CONNECT))
            .build()
            .map_err(|error| failed(Verb::Check, error))?;
        let recipe = &config.recipe;
        let invalid = || Error::new(ErrorKind::Invalid, Verb::Check, "the recipe's header is no header");
        let mut headers =
            HeaderMap::from_iter([(reqwest::header::ACCEPT, HeaderValue::from_static("application/json"))]);
        for (name, value) in &recipe.headers {
            let name = HeaderName::from_bytes(name.as_bytes()).map_err(|_| invalid())?;
            headers.insert(name, HeaderValue::from_str(value).map_err(|_| invalid())?);
        }
        let (base, authorization, classes) =
            (config.base.clone(), recipe.authorization.clone(), recipe.classes.clone());
        Ok(Self { http, base, authorization, headers, classes })
    }

    /// The address of a line of the recipe.
    pub(crate) fn address(&self, verb: Verb, line: &Line, values: &Values<'_>) -> Result<Url, Error> {
        let path = line.path.path(values).map_err(|error| Error::new(ErrorKind::Invalid, verb, error.to_string()))?;
        let text = format!("{}{path}", self.base.as_str().trim_end_matches('/'));
        let address = Url::parse(&text).ok().filter(|address| self.is_own(address));
        address.ok_or_else(|| Error::new(ErrorKind::Invalid, verb, "the recipe's address cannot be read"))
    }

    /// Does it lie below the base, on the same host and port?
    pub(crate) fn is_own(&self, address: &Url) -> bool {
        let below = self.base.path().trim_end_matches('/');
        let inside = address.path().strip_prefix(below).is_some_and(|rest| rest.starts_with('/'));
        address.origin() == self.base.origin()
            && inside
            && address.username().is_empty()
            && address.password().is_none()
    }

    /// Asks, and reads the answer whatever its status is.
    pub(crate) async fn ask(&self, asked: Request<'_>) -> Result<Reply, Error> {
        let verb = asked.verb;
        let method = match asked.method {
            Method::Get => reqwest::Method::GET,
            Method::Post => reqwest::Method::POST,
            Method::Put => reqwest::Method::PUT,
            Method::Patch => reqwest::Method::PATCH,
            Method::Delete => reqwest::Method::DELETE,
        };
        let mut request = self.http.request(method, asked.address).headers(self.headers.clone());
        if let Some(bearer) = asked.bearer {
            let (name, value) = self.authorization(verb, bearer)?;
            request = request.header(name, value);
        }
        if let Some(body) = asked.body {
            // Wiped when it was sent.
            request = request.header("content-type", "application/json").body(Bytes::from_owner(body));
        }
        let mut answer = request.send().await.map_err(|error| failed(verb, error))?;
        let (status, headers) = (answer.status(), answer.headers().clone());
        let mut body = Zeroizing::new(Vec::with_capacity(FIRST));
        while let Some(part) = answer.chunk().await.map_err(|error| failed(verb, error))? {
            if body.len() + part.len() > LONGEST {
                let message = format!("the answer is longer than {} KiB", LONGEST / 1024);
                return Err(Error::new(lost(verb), verb, message));
            }
            body.extend_from_slice(&part);
        }
        let class = self.classes.get(&status.as_u16()).copied();
        Ok(Reply { status, headers, body, verb, class })
    }

    fn authorization(&self, verb: Verb, bearer: &Material) -> Result<(HeaderName, HeaderValue), Error> {
        let invalid = |message: &'static str| Error::new(ErrorKind::Invalid, verb, message);
        let name = HeaderName::from_bytes(self.authorization.header.as_bytes());
        let name = name.map_err(|_| invalid("the recipe's header is no header"))?;
        let text = Zeroizing::new([self.authorization.prefix.as_bytes(), bearer.secret.expose()].concat());
        let value = HeaderValue::from_bytes(&text);
        let mut value = value.map_err(|_| invalid("the credential holds bytes that no header can carry"))?;
        value.set_sensitive(true);
        Ok((name, value))
    }
}

/// A body as it is sent. Sized so that one with ordinary secrets never moves: what is left behind is not wiped.
pub(crate) fn written(verb: Verb, body: &Carrying<'_>) -> Result<Zeroizing<Vec<u8>>, Error> {
    let mut text = Zeroizing::new(Vec::with_capacity(FIRST + body.secret.longest()));
    // The cause would repeat a part of it.
    serde_json::to_writer(&mut *text, body)
        .map_err(|_| Error::new(ErrorKind::Invalid, verb, "the request cannot be written"))?;
    Ok(text)
}

impl Reply {
    /// The answer's JSON when its status says yes.
    pub(crate) fn json(self) -> Result<Value, Error> {
        if !self.status.is_success() {
            return Err(self.refusal());
        }
        serde_json::from_slice(&self.body)
            .map_err(|_| Error::new(lost(self.verb), self.verb, "the answer cannot be read as JSON"))
    }

    /// The class of a status that says no.
    pub(crate) fn refusal(&self) -> Error {
        let error = refused(self.verb, self.status, &self.headers);
        match self.class {
            Some(kind) => Error { kind, message: "the vendor refuses it".to_owned(), ..error },
            None => error,
        }
    }
}

const CONNECT: Duration = Duration::from_secs(10);
/// Large enough that an answer with a secret in it is not moved while it is read.
const FIRST: usize = 64 * 1024;
const LONGEST: usize = 4 * 1024 * 1024;
