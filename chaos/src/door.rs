//! The daemon's door: one connection a request, over its socket.

use std::path::PathBuf;
use std::time::Duration;

use http_body_util::{BodyExt as _, Full};
use hyper::body::Bytes;
use hyper::{Method, Request};
use hyper_util::rt::TokioIo;
use serde_json::Value;
use tokio::net::UnixStream;

use crate::Outcome;

/// Nobody waits longer for an answer.
const PATIENCE: Duration = Duration::from_secs(20);

/// Where requests are made.
#[derive(Debug, Clone)]
pub(crate) struct Door {
    socket: PathBuf,
}

/// What was said.
#[derive(Debug)]
pub(crate) struct Answer {
    pub(crate) status: u16,
    pub(crate) body: Value,
}

impl Answer {
    pub(crate) fn is_good(&self) -> bool {
        (200..300).contains(&self.status)
    }

    /// The refusal in the daemon's words.
    pub(crate) fn why(&self) -> String {
        let detail = self.body["detail"].as_str().unwrap_or("no reason given");
        format!("{}: {detail}", self.status)
    }
}

impl Door {
    pub(crate) const fn new(socket: PathBuf) -> Self {
        Self { socket }
    }

    /// # Errors
    /// Nobody answers.
    pub(crate) async fn get(&self, path: &str) -> Outcome<Answer> {
        self.send(Method::GET, path, Bytes::new()).await
    }

    /// # Errors
    /// Nobody answers: what was asked may have been done.
    pub(crate) async fn post(&self, path: &str, body: &Value) -> Outcome<Answer> {
        self.send(Method::POST, path, body.to_string().into()).await
    }

    async fn send(&self, method: Method, path: &str, body: Bytes) -> Outcome<Answer> {
        tokio::time::timeout(PATIENCE, self.converse(method, path, body)).await?
    }

    async fn converse(&self, method: Method, path: &str, body: Bytes) -> Outcome<Answer> {
        let stream = UnixStream::connect(&self.socket).await?;
        let (mut sender, connection) = hyper::client::conn::http1::handshake(TokioIo::new(stream)).await?;
        let asked = async {
            let request = Request::builder().method(method).uri(path);
            let request = request.header("host", "localhost").header("content-type", "application/json");
            let answer = sender.send_request(request.body(Full::new(body))?).await?;
            let status = answer.status().as_u16();
            let bytes = answer.into_body().collect().await?.to_bytes();
            Ok(Answer { status, body: serde_json::from_slice(&bytes).unwrap_or_default() })
        };
        // The connection ends with the request.
        tokio::select! {
            answer = asked => answer,
            Err(error) = connection => Err(error.into()),
        }
    }
}
