//! The way to the server: what is asked, with its answer, or why there is none.

use std::future::Future;
use std::path::Path;
use std::pin::Pin;
use std::time::Duration;

use bytes::Bytes;
use http_body_util::BodyExt as _;
use instant_acme::{BodyWrapper, BytesResponse, Error, HttpClient};
use reqwest::header::RETRY_AFTER;
use reqwest::redirect::Policy;
use reqwest::{Certificate, StatusCode};

/// What the protocol's own errors do not tell.
#[derive(Debug, thiserror::Error)]
pub(crate) enum Lost {
    #[error("no connection to the server")]
    Unreachable(#[source] reqwest::Error),
    #[error("the answer is lost")]
    Answer(#[source] reqwest::Error),
    #[error("the server takes no more requests for now")]
    Throttled(Option<Duration>),
    #[error("the server answered {0} without a problem document")]
    Status(u16),
}

/// A client that follows no redirect and takes no proxy from the environment.
#[derive(Debug, Clone)]
pub(crate) struct Http(reqwest::Client);

/// An answer that is larger is not read.
const LARGEST: usize = 1 << 20;

impl Http {
    pub(crate) fn new(roots: Option<&Path>, connect_timeout: Option<Duration>) -> std::io::Result<Self> {
        let other = std::io::Error::other;
        let mut builder = reqwest::Client::builder().no_proxy().redirect(Policy::none());
        if let Some(path) = roots {
            let roots = Certificate::from_pem_bundle(&std::fs::read(path)?).map_err(other)?;
            builder = builder.tls_certs_only(roots);
        }
        if let Some(wait) = connect_timeout {
            builder = builder.connect_timeout(wait);
        }
        Ok(Self(builder.build().map_err(other)?))
    }

    pub(crate) async fn send(&self, request: http::Request<Vec<u8>>) -> Result<http::Response<Bytes>, Lost> {
        let (parts, body) = request.into_parts();
        let sent = self
            .0
            .request(parts.method, parts.uri.to_string())
            .headers(parts.headers)
            .body(body)
            .send()
            .await
            .map_err(|failure| {
            let failure = failure.without_url();
            if failure.is_connect() { Lost::Unreachable(failure) } else { Lost::Answer(failure) }
        })?;
        let (status, headers) = (sent.status(), sent.headers().clone());
        if matches!(status, StatusCode::TOO_MANY_REQUESTS | StatusCode::SERVICE_UNAVAILABLE) {
            let wait = headers.get(RETRY_AFTER).and_then(|wait| wait.to_str().ok()?.trim().parse().ok());
            return Err(Lost::Throttled(wait.map(Duration::from_secs)));
        }
        let mut answer = sent;
        let mut read = Vec::new();
        while let Some(part) = answer.chunk().await.map_err(|failure| Lost::Answer(failure.without_url()))? {
            if read.len() + part.len() > LARGEST {
                return Err(Lost::Status(status.as_u16()));
            }
            read.extend_from_slice(&part);
        }
        let is_json = serde_json::from_slice::<serde_json::Value>(&read).is_ok_and(|value| value.is_object());
        if (status.is_client_error() || status.is_server_error()) && !is_json {
            return Err(Lost::Status(status.as_u16()));
        }
        let mut response = http::Response::new(Bytes::from(read));
        *response.status_mut() = status;
        *response.headers_mut() = headers;
        Ok(response)
    }
}

impl HttpClient for Http {
    fn request(
        &self,
        request: http::Request<BodyWrapper<Bytes>>,
    ) -> Pin<Box<dyn Future<Output = Result<BytesResponse, Error>> + Send>> {
        let this = self.clone();
        Box::pin(async move {
            let (parts, body) = request.into_parts();
            let body = body.collect().await.map_or_else(|never| match never {}, |body| body.to_bytes().to_vec());
            let answer = this.send(http::Request::from_parts(parts, body)).await;
            let (parts, body) = answer.map_err(|lost| Error::Other(Box::new(lost)))?.into_parts();
            Ok(BytesResponse { parts, body: Box::new(body) })
        })
    }
}
