//! What ways to a server have in common, that tests of connectors put between Remint and it: one HTTP request per
//! connection is read whole, and answered by the server or by the way itself. What goes wrong on it is each test's own.

use std::future::Future;
use std::io;

use tokio::io::{AsyncRead, AsyncReadExt as _, AsyncWrite, AsyncWriteExt as _};
use tokio::net::{TcpListener, TcpStream};
use tokio::task::JoinHandle;

/// A place of this machine that serves until it is dropped.
pub struct Way {
    /// `host:port`.
    pub address: String,
    serving: JoinHandle<()>,
}

impl Way {
    /// Serves every connection with what `serve` makes of it. One that breaks is no fault: some are there for that.
    ///
    /// # Panics
    /// This machine has no port left.
    #[expect(clippy::unwrap_used, reason = "without a port there is no test")]
    pub async fn open<F>(serve: impl Fn(TcpStream) -> F + Send + 'static) -> Self
    where
        F: Future<Output = io::Result<()>> + Send + 'static,
    {
        let listener = TcpListener::bind(("127.0.0.1", 0)).await.unwrap();
        let address = listener.local_addr().unwrap().to_string();
        let serving = tokio::spawn(async move {
            while let Ok((client, _)) = listener.accept().await {
                let served = serve(client);
                tokio::spawn(async move { drop(served.await) });
            }
        });
        Self { address, serving }
    }
}

impl Drop for Way {
    fn drop(&mut self) {
        self.serving.abort();
    }
}

/// A request, read whole.
#[derive(Debug)]
pub struct Asked {
    head: String,
    pub body: Vec<u8>,
}

impl Asked {
    /// `None` where the connection ended before the request did.
    ///
    /// # Errors
    /// The connection broke.
    pub async fn read(client: &mut (impl AsyncRead + Unpin)) -> io::Result<Option<Self>> {
        let mut read = Vec::new();
        let end = loop {
            if let Some(end) = read.windows(4).position(|window| window == b"\r\n\r\n") {
                break end + 4;
            }
            if client.read_buf(&mut read).await? == 0 {
                return Ok(None);
            }
        };
        let body = read.split_off(end);
        let mut asked = Self { head: String::from_utf8_lossy(&read).into_owned(), body };
        let length = asked.header("content-length").and_then(|length| length.parse().ok()).unwrap_or(0);
        while asked.body.len() < length {
            if client.read_buf(&mut asked.body).await? == 0 {
                return Ok(None);
            }
        }
        Ok(Some(asked))
    }

    pub fn method(&self) -> &str {
        self.head.split(' ').next().unwrap_or_default()
    }

    /// With the query.
    pub fn path(&self) -> &str {
        self.head.split(' ').nth(1).unwrap_or_default()
    }

    pub fn headers(&self) -> impl Iterator<Item = (&str, &str)> {
        self.head.lines().skip(1).filter_map(|line| line.split_once(':')).map(|(name, value)| (name, value.trim()))
    }

    pub fn header(&self, name: &str) -> Option<&str> {
        self.headers().find(|(known, _)| known.eq_ignore_ascii_case(name)).map(|(_, value)| value)
    }

    /// Sends it on a connection that the server closes after its answer.
    ///
    /// # Errors
    /// It could not be sent.
    pub async fn send(&self, server: &mut (impl AsyncWrite + Unpin)) -> io::Result<()> {
        let head = self.head.replacen("\r\n", "\r\nConnection: close\r\n", 1);
        server.write_all(&[head.as_bytes(), &self.body].concat()).await
    }

    /// What the server says to it, as bytes, on a connection that it closes after it.
    ///
    /// # Errors
    /// The request could not be sent.
    pub async fn forward(&self, mut server: impl AsyncRead + AsyncWrite + Unpin) -> io::Result<Vec<u8>> {
        self.send(&mut server).await?;
        let mut said = Vec::new();
        // A server may end a connection without a last word of TLS.
        drop(server.read_to_end(&mut said).await);
        Ok(said)
    }
}

/// An answer of the way's own, with further headers (`Name: value\r\n`, none: empty).
pub fn answer(status: &str, headers: &str, body: &str) -> Vec<u8> {
    let length = body.len();
    format!("HTTP/1.1 {status}\r\n{headers}Connection: close\r\nContent-Length: {length}\r\n\r\n{body}").into_bytes()
}

/// One that says that this was a request too many.
pub fn throttled() -> Vec<u8> {
    answer("429 Too Many Requests", RETRY, "")
}

/// When to come back, which is never so soon that a test would wait for it.
pub const RETRY: &str = "Retry-After: 7\r\n";
