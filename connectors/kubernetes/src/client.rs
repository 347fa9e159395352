//! The way to the API server: one request, one answer, as the actor of a call or as the bearer of a token that is tried.
//!
//! Guarantees: no redirect is followed and nothing is tried again; no proxy and no kubeconfig is taken from the
//! environment; a token stands in no URL and in no log; an answer larger than [`LARGEST`] is not read.

use std::time::Duration;

use http::Uri;
use http::header::{ACCEPT, AUTHORIZATION, CONTENT_TYPE, HeaderValue, RETRY_AFTER};
use http_body_util::BodyExt as _;
use kube::client::Body;
use remint_contract::{Call, Error, ErrorKind, HostRules, SecretValue, Verb};
use tokio::sync::OnceCell;
use zeroize::Zeroizing;

use crate::answer::Answer;
use crate::config::Settings;
use crate::request::Request;

/// The largest answer that is read: a list of many thousand Secrets.
const LARGEST: usize = 64 << 20;

pub(crate) struct Client {
    pub(crate) settings: Settings,
    /// To each endpoint.
    ways: Vec<Way>,
    /// To the server's own address.
    server: Way,
}

/// One address, and the connections to it: made at the first request, by a runtime.
struct Way {
    address: String,
    config: kube::Config,
    client: OnceCell<kube::Client>,
}

impl Client {
    pub(crate) fn open(settings: Settings, rules: &HostRules) -> Result<Self, Error> {
        let ca = settings.ca.as_deref().map(authorities).transpose()?;
        let way = |address: &String| Way::to(address, ca.as_deref(), rules);
        let ways = settings.endpoints.iter().map(way).collect::<Result<_, _>>()?;
        let server = way(&settings.server)?;
        Ok(Self { settings, ways, server })
    }

    /// As the actor of the call.
    pub(crate) async fn act(&self, call: &Call, request: &Request) -> Result<Answer, Error> {
        let actor = call.actor.as_deref().ok_or_else(|| {
            Error::new(ErrorKind::Invalid, request.verb, "the system has no `auth`; name a credential")
        })?;
        self.server.send(&actor.secret, request).await
    }

    /// As the bearer of a token, at one of the endpoints.
    pub(crate) async fn bear(&self, token: &SecretValue, endpoint: usize, request: &Request) -> Result<Answer, Error> {
        let way = self.ways.get(endpoint);
        let way = way.ok_or_else(|| Error::new(ErrorKind::Invalid, request.verb, "there is no such endpoint"))?;
        way.send(token, request).await
    }

    /// As the bearer of a token, at the server's own address.
    pub(crate) async fn bear_here(&self, token: &SecretValue, request: &Request) -> Result<Answer, Error> {
        self.server.send(token, request).await
    }
}

impl Way {
    fn to(address: &str, ca: Option<&[Vec<u8>]>, rules: &HostRules) -> Result<Self, Error> {
        let mut config = kube::Config::new(address.parse::<Uri>().map_err(unusable)?);
        config.root_cert = ca.map(<[_]>::to_vec);
        config.connect_timeout = rules.connect_timeout;
        // The host waits and tries again.
        config.default_retry = false;
        config.write_timeout = None;
        Ok(Self { address: address.to_owned(), config, client: OnceCell::new() })
    }

    async fn client(&self) -> Result<&kube::Client, Error> {
        let make = || async { kube::Client::try_from(self.config.clone()).map_err(unusable) };
        self.client.get_or_try_init(make).await
    }

    async fn send(&self, token: &SecretValue, request: &Request) -> Result<Answer, Error> {
        let verb = request.verb;
        // What no header can carry is no token.
        let bearer = Zeroizing::new([b"Bearer ".as_slice(), token.expose()].concat());
        let mut bearer = HeaderValue::from_bytes(&bearer)
            .map_err(|_| Error::new(ErrorKind::Denied, verb, "the value cannot be a token"))?;
        bearer.set_sensitive(true);
        let made = http::Request::builder()
            .method(request.method.clone())
            .uri(&request.path)
            .header(ACCEPT, request.accept)
            .header(CONTENT_TYPE, request.content)
            .header(AUTHORIZATION, bearer)
            .body(Body::from(request.body.to_vec()))
            .map_err(|failure| Error::new(ErrorKind::Invalid, verb, "it cannot be written").because(failure))?;
        let answer = self.client().await?.send(made).await.map_err(|failure| self.lost(request, failure))?;
        let status = answer.status().as_u16();
        let retry_after = answer.headers().get(RETRY_AFTER).and_then(|wait| wait.to_str().ok()?.parse().ok());
        let mut stream = answer.into_body();
        let mut body = Zeroizing::new(Vec::new());
        while let Some(frame) = stream.frame().await {
            let frame = frame.map_err(|failure| self.lost(request, failure))?;
            let Some(chunk) = frame.data_ref() else { continue };
            if body.len() + chunk.len() > LARGEST {
                let message = format!("the answer is larger than {} MiB", LARGEST >> 20);
                return Err(Error::new(request.effect.when_lost(), verb, message).with("address", &self.address));
            }
            body.extend_from_slice(chunk);
            if request.enough.is_some_and(|enough| enough(&body)) {
                break;
            }
        }
        Ok(Answer { verb, effect: request.effect, status, retry_after: retry_after.map(Duration::from_secs), body })
    }

    /// A connection that was never there did nothing; one that broke may have.
    fn lost(&self, request: &Request, failure: kube::Error) -> Error {
        let never = match &failure {
            kube::Error::Service(cause) => cause
                .downcast_ref::<hyper_util::client::legacy::Error>()
                .is_some_and(hyper_util::client::legacy::Error::is_connect),
            _ => false,
        };
        let (kind, message) = if never {
            (ErrorKind::Unreachable, "nothing answers there")
        } else {
            (request.effect.when_lost(), "the answer was lost")
        };
        Error::new(kind, request.verb, message).with("address", &self.address).because(failure)
    }
}

fn unusable(failure: impl Into<Box<dyn std::error::Error + Send + Sync>>) -> Error {
    Error::new(ErrorKind::Invalid, Verb::Check, "no connection can be set up with these settings").because(failure)
}

fn authorities(file: &std::path::Path) -> Result<Vec<Vec<u8>>, Error> {
    use rustls::pki_types::CertificateDer;
    use rustls::pki_types::pem::PemObject as _;
    let unread =
        |message| Error::new(ErrorKind::Invalid, Verb::Check, message).with("file", file.display().to_string());
    let pem = std::fs::read(file).map_err(|failure| unread("the authorities could not be read").because(failure))?;
    let found: Result<Vec<_>, _> =
        CertificateDer::pem_slice_iter(&pem).map(|one| one.map(|one| one.as_ref().to_vec())).collect();
    found.ok().filter(|found| !found.is_empty()).ok_or_else(|| unread("the file holds no certificates as PEM"))
}
