//! A way to the server that counts requests, and at word loses an answer, throttles, or says yes without asking.

use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex};

use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::{TcpListener, TcpStream};

/// What happens to the next request whose path ends so.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Trouble {
    /// It arrives, and its answer does not.
    Lost(String),
    /// As [`Trouble::Lost`], by a part of the path.
    LostBelow(String),
    /// It does not arrive: the connection ends before it was answered.
    Cut(String),
    /// Any request is one too many.
    Throttled,
    /// It is told to be done, and is not.
    Lie(String),
    /// As [`Trouble::Lie`], by a part of the path.
    LieBelow(String),
}

#[derive(Default)]
struct State {
    requests: AtomicU64,
    paths: Mutex<Vec<String>>,
    trouble: Mutex<Option<Trouble>>,
}

pub(crate) struct Proxy {
    pub(crate) address: String,
    state: Arc<State>,
    serving: tokio::task::JoinHandle<()>,
}

impl Proxy {
    /// A way to `http://host:port`.
    pub(crate) async fn to(upstream: &str) -> Self {
        let listener = TcpListener::bind(("127.0.0.1", 0)).await.unwrap();
        let address = format!("http://{}", listener.local_addr().unwrap());
        let upstream = upstream.trim_start_matches("http://").to_owned();
        let state = Arc::new(State::default());
        let shared = Arc::clone(&state);
        let serving = tokio::spawn(async move {
            while let Ok((client, _)) = listener.accept().await {
                let (state, upstream) = (Arc::clone(&shared), upstream.clone());
                // A broken connection is what some of these are for.
                tokio::spawn(async move { drop(serve(client, &upstream, &state).await) });
            }
        });
        Self { address, state, serving }
    }

    pub(crate) fn requests(&self) -> u64 {
        self.state.requests.load(Ordering::SeqCst)
    }

    /// Requests so far whose path ends so.
    pub(crate) fn asked(&self, end: &str) -> usize {
        self.state.paths.lock().unwrap().iter().filter(|path| path.ends_with(end)).count()
    }

    pub(crate) fn arm(&self, trouble: Option<Trouble>) {
        *self.state.trouble.lock().unwrap() = trouble;
    }
}

impl Drop for Proxy {
    fn drop(&mut self) {
        self.serving.abort();
    }
}

/// One request per connection.
async fn serve(mut client: TcpStream, upstream: &str, state: &State) -> std::io::Result<()> {
    let Some((head, body)) = read(&mut client).await? else { return Ok(()) };
    state.requests.fetch_add(1, Ordering::SeqCst);
    let path = head.split(' ').nth(1).unwrap_or_default().to_owned();
    state.paths.lock().unwrap().push(path.clone());
    let trouble = {
        let mut armed = state.trouble.lock().unwrap();
        let meant = armed.as_ref().is_some_and(|trouble| match trouble {
            Trouble::Lost(end) | Trouble::Cut(end) | Trouble::Lie(end) => path.ends_with(end.as_str()),
            Trouble::LostBelow(part) | Trouble::LieBelow(part) => path.contains(part.as_str()),
            Trouble::Throttled => true,
        });
        if meant { armed.take() } else { None }
    };
    match &trouble {
        Some(Trouble::Cut(_)) => return Ok(()),
        Some(Trouble::Throttled) => {
            return client
                .write_all(b"HTTP/1.1 429 Too Many Requests\r\nRetry-After: 7\r\nConnection: close\r\nContent-Length: 0\r\n\r\n")
                .await;
        }
        Some(Trouble::Lie(_) | Trouble::LieBelow(_)) => {
            return client.write_all(b"HTTP/1.1 204 No Content\r\nConnection: close\r\n\r\n").await;
        }
        Some(Trouble::Lost(_) | Trouble::LostBelow(_)) | None => {}
    }
    let mut server = TcpStream::connect(upstream).await?;
    let head = head.replacen("\r\n", "\r\nConnection: close\r\n", 1);
    server.write_all(head.as_bytes()).await?;
    server.write_all(&body).await?;
    let mut answer = Vec::new();
    server.read_to_end(&mut answer).await?;
    if trouble.is_none() { client.write_all(&answer).await } else { Ok(()) }
}

async fn read(client: &mut TcpStream) -> std::io::Result<Option<(String, Vec<u8>)>> {
    let mut read = Vec::new();
    let end = loop {
        if let Some(end) = read.windows(4).position(|window| window == b"\r\n\r\n") {
            break end + 4;
        }
        if client.read_buf(&mut read).await? == 0 {
            return Ok(None);
        }
    };
    let mut body = read.split_off(end);
    let head = String::from_utf8_lossy(&read).into_owned();
    let length = head
        .lines()
        .find_map(|line| line.to_ascii_lowercase().strip_prefix("content-length:")?.trim().parse().ok())
        .unwrap_or(0);
    while body.len() < length {
        if client.read_buf(&mut body).await? == 0 {
            return Ok(None);
        }
    }
    Ok(Some((head, body)))
}
