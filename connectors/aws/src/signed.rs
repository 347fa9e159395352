//! One request, signed by hand and answered, for the services whose SDK crate costs more than the few calls that are made
//! of it (decision 0030).

use aws_credential_types::Credentials;
use aws_sigv4::http_request::{SignableBody, SignableRequest, SigningSettings, sign};
use aws_sigv4::sign::v4;
use bytes::Bytes;
use remint_contract::{Clock as _, SystemClock};
use reqwest::StatusCode;
use reqwest::header::{HeaderMap, HeaderName, HeaderValue};
use zeroize::Zeroizing;

use crate::error::{Failure, Refusal};

/// The largest answer that is read.
const LARGEST: usize = 4 << 20;
/// Large enough that an answer with a key in it is not moved while it is read.
const FIRST: usize = 16 << 10;

/// A POST to the root of a service.
pub(crate) struct Request<'a> {
    pub(crate) service: &'static str,
    pub(crate) address: &'a str,
    /// That the signature is for.
    pub(crate) region: &'a str,
    /// Signed, as the body is.
    pub(crate) headers: Vec<(&'static str, &'a str)>,
    pub(crate) body: Zeroizing<String>,
}

/// An answer, read to its end.
pub(crate) struct Answer {
    status: StatusCode,
    headers: HeaderMap,
    body: Zeroizing<Vec<u8>>,
}

impl Request<'_> {
    pub(crate) async fn send(self, http: &reqwest::Client, credentials: Credentials) -> Result<Answer, Failure> {
        let headers = self.signed(credentials).ok_or(Failure::Invalid)?;
        // Wiped when it was sent.
        let body = Bytes::from_owner(self.body);
        let sent = http.post(self.address).headers(headers).body(body).send().await;
        let mut answer =
            sent.map_err(|failure| if failure.is_connect() { Failure::Unreachable } else { Failure::Lost })?;
        let (status, headers) = (answer.status(), answer.headers().clone());
        let mut body = Zeroizing::new(Vec::with_capacity(FIRST));
        while let Some(part) = answer.chunk().await.map_err(|_| Failure::Lost)? {
            if body.len() + part.len() > LARGEST {
                return Err(Failure::Lost);
            }
            body.extend_from_slice(&part);
        }
        Ok(Answer { status, headers, body })
    }

    /// The headers of a request that these credentials stand for.
    fn signed(&self, credentials: Credentials) -> Option<HeaderMap> {
        let identity = credentials.into();
        let params = v4::SigningParams::builder()
            .identity(&identity)
            .region(self.region)
            .name(self.service)
            .time(SystemClock.now().into())
            .settings(SigningSettings::default())
            .build()
            .ok()?
            .into();
        let body = SignableBody::Bytes(self.body.as_bytes());
        let address = format!("{}/", self.address);
        let request = SignableRequest::new("POST", address, self.headers.iter().copied(), body).ok()?;
        let (instructions, _) = sign(request, &params).ok()?.into_parts();
        let mut headers = HeaderMap::new();
        for (name, value) in self.headers.iter().copied().chain(instructions.headers()) {
            let mut value = HeaderValue::from_str(value).ok()?;
            value.set_sensitive(true);
            headers.insert(HeaderName::from_bytes(name.as_bytes()).ok()?, value);
        }
        Some(headers)
    }
}

impl Answer {
    pub(crate) fn is_success(&self) -> bool {
        self.status.is_success()
    }

    /// None where it is not text.
    pub(crate) fn text(&self) -> Option<&str> {
        std::str::from_utf8(&self.body).ok()
    }

    /// A refusal, with the code that was found in it.
    pub(crate) fn refusal(&self, code: Option<&str>) -> Failure {
        let header = |name: &str| self.headers.get(name)?.to_str().ok().map(str::to_owned);
        Failure::Refused(Refusal::new(self.status.as_u16(), code, header))
    }
}
