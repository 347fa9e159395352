//! A client of the daemon: one connection a request, nothing kept.

use std::net::SocketAddr;
use std::path::PathBuf;
use std::sync::Arc;

use http_body_util::{BodyExt as _, Full};
use hyper::body::Bytes;
use hyper::{Method, Request};
use hyper_util::rt::TokioIo;
use rustls::ClientConfig;
use serde_json::Value;
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::{TcpStream, UnixStream};

#[derive(Debug, Clone)]
pub(super) struct Client {
    door: Door,
    headers: Vec<(&'static str, String)>,
}

#[derive(Debug, Clone)]
enum Door {
    Socket(PathBuf),
    Tcp(SocketAddr),
    Tls(SocketAddr, Arc<ClientConfig>),
}

#[derive(Debug)]
pub(super) struct Answer {
    pub(super) status: u16,
    pub(super) kind: String,
    pub(super) headers: hyper::HeaderMap,
    pub(super) text: String,
    pub(super) bytes: Bytes,
    pub(super) body: Value,
}

impl Answer {
    /// The body of an answer that is none of the refusals.
    pub(super) fn ok(self) -> Value {
        assert_eq!(self.status, 200, "{self:?}");
        self.body
    }

    pub(super) fn is_problem(&self, status: u16, kind: &str) {
        let found = (self.status, self.kind.as_str(), self.body["type"].as_str().unwrap_or_default());
        assert_eq!(
            found,
            (status, "application/problem+json", format!("urn:remint:problem:{kind}").as_str()),
            "{self:?}"
        );
        assert!(!self.body["detail"].as_str().unwrap().is_empty());
    }
}

impl Client {
    pub(super) fn socket(path: PathBuf) -> Self {
        Self { door: Door::Socket(path), headers: Vec::new() }
    }

    pub(super) fn tcp(address: SocketAddr) -> Self {
        Self { door: Door::Tcp(address), headers: Vec::new() }
    }

    pub(super) fn tls(address: SocketAddr, config: ClientConfig) -> Self {
        Self { door: Door::Tls(address, Arc::new(config)), headers: Vec::new() }
    }

    pub(super) fn with(mut self, name: &'static str, value: &str) -> Self {
        self.headers.push((name, value.to_owned()));
        self
    }

    pub(super) async fn get(&self, path: &str) -> Answer {
        self.send(Method::GET, path, Bytes::new()).await.unwrap()
    }

    /// `None` when nobody answers.
    pub(super) async fn try_get(&self, path: &str) -> Option<Answer> {
        self.send(Method::GET, path, Bytes::new()).await.ok()
    }

    pub(super) async fn put(&self, path: &str) -> Answer {
        self.send(Method::PUT, path, Bytes::new()).await.unwrap()
    }

    pub(super) async fn post(&self, path: &str, body: &Value) -> Answer {
        self.send(Method::POST, path, body.to_string().into()).await.unwrap()
    }

    async fn send(&self, method: Method, path: &str, body: Bytes) -> Result<Answer, Box<dyn std::error::Error>> {
        match &self.door {
            Door::Socket(socket) => self.over(UnixStream::connect(socket).await?, method, path, body).await,
            Door::Tls(address, config) => {
                let stream = TcpStream::connect(address).await?;
                let name = rustls::pki_types::ServerName::try_from("localhost").unwrap();
                let stream = tokio_rustls::TlsConnector::from(Arc::clone(config)).connect(name, stream).await?;
                self.over(stream, method, path, body).await
            }
            Door::Tcp(address) => self.over(TcpStream::connect(address).await?, method, path, body).await,
        }
    }

    async fn over<S>(
        &self,
        stream: S,
        method: Method,
        path: &str,
        body: Bytes,
    ) -> Result<Answer, Box<dyn std::error::Error>>
    where
        S: AsyncRead + AsyncWrite + Unpin + Send + 'static,
    {
        let (mut sender, connection) = hyper::client::conn::http1::handshake(TokioIo::new(stream)).await?;
        let driving = tokio::spawn(connection);
        let mut request = Request::builder().method(method).uri(path).header("content-type", "application/json");
        if !self.headers.iter().any(|(name, _)| *name == "host") {
            request = request.header("host", "localhost");
        }
        for (name, value) in &self.headers {
            request = request.header(*name, value);
        }
        let answer = sender.send_request(request.body(Full::new(body))?).await?;
        let status = answer.status().as_u16();
        let headers = answer.headers().clone();
        let kind = answer.headers().get("content-type").map_or("", |kind| kind.to_str().unwrap()).to_owned();
        let bytes = answer.into_body().collect().await?.to_bytes();
        driving.abort();
        let text = String::from_utf8_lossy(&bytes).into_owned();
        let body = serde_json::from_str(&text).unwrap_or_default();
        Ok(Answer { status, kind, headers, text, bytes, body })
    }
}
