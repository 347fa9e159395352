//! A way to the server that counts requests, and at word loses an answer, throttles, or says yes without asking.

use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex};

use remint_conformance::gate::Gate;
use remint_conformance::proxy::{Asked, Way, answer, throttled};
use tokio::io::AsyncWriteExt as _;
use tokio::net::TcpStream;

use super::Cluster;

/// What happens to the next request of a method whose path ends so.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Trouble {
    /// It arrives, and its answer does not.
    Lost(&'static str, &'static str),
    /// Any request is one too many.
    Throttled,
    /// It is told to be done, and is not.
    Lie(&'static str),
    /// It fails by the server's fault, with this status.
    Fails(u16),
}

#[derive(Default)]
struct State {
    requests: AtomicU64,
    seen: Mutex<Vec<String>>,
    tokens: Mutex<Vec<String>>,
    trouble: Mutex<Option<Trouble>>,
}

pub(crate) struct Proxy {
    pub(crate) address: String,
    /// In front of all.
    pub(crate) gate: Gate,
    state: Arc<State>,
    _way: Way,
}

impl Proxy {
    pub(crate) async fn to(cluster: &Cluster) -> Self {
        let (http, upstream) = (cluster.http.clone(), cluster.address.clone());
        let state = Arc::new(State::default());
        let shared = Arc::clone(&state);
        let way = Way::open(move |client| serve(client, http.clone(), upstream.clone(), Arc::clone(&shared))).await;
        let gate = Gate::to(&way.address).await;
        Self { address: format!("http://{}", gate.address), gate, state, _way: way }
    }

    pub(crate) fn requests(&self) -> u64 {
        self.state.requests.load(Ordering::SeqCst)
    }

    /// `METHOD path` of every request.
    pub(crate) fn seen(&self) -> Vec<String> {
        self.state.seen.lock().unwrap().clone()
    }

    /// Tokens that were tried.
    pub(crate) fn tokens(&self) -> Vec<String> {
        self.state.tokens.lock().unwrap().clone()
    }

    pub(crate) fn arm(&self, trouble: Option<Trouble>) {
        *self.state.trouble.lock().unwrap() = trouble;
    }
}

async fn serve(
    mut client: TcpStream,
    http: reqwest::Client,
    upstream: String,
    state: Arc<State>,
) -> std::io::Result<()> {
    let Some(asked) = Asked::read(&mut client).await? else { return Ok(()) };
    state.requests.fetch_add(1, Ordering::SeqCst);
    let plain = asked.path().split('?').next().unwrap_or_default();
    state.seen.lock().unwrap().push(format!("{} {plain}", asked.method()));
    if plain.ends_with("selfsubjectreviews") {
        let token = asked.header("authorization").and_then(|value| value.strip_prefix("Bearer "));
        state.tokens.lock().unwrap().extend(token.map(str::to_owned));
    }
    let trouble = {
        let mut armed = state.trouble.lock().unwrap();
        let meant = armed.as_ref().is_some_and(|trouble| match trouble {
            Trouble::Lost(method, end) => asked.method() == *method && plain.ends_with(end),
            Trouble::Lie(method) => asked.method() == *method,
            Trouble::Throttled | Trouble::Fails(_) => true,
        });
        if meant { armed.take() } else { None }
    };
    match trouble {
        Some(Trouble::Throttled) => return client.write_all(&throttled()).await,
        Some(Trouble::Fails(status)) => return client.write_all(&answer(&format!("{status} No"), "", "")).await,
        Some(Trouble::Lie(_)) => return client.write_all(&answer("200 OK", "", "")).await,
        Some(Trouble::Lost(..)) | None => {}
    }
    // The server speaks TLS and is asked as any other client asks it.
    let mut sent = http.request(asked.method().parse().unwrap(), format!("{upstream}{}", asked.path()));
    for (name, value) in asked.headers() {
        if !["host", "content-length"].iter().any(|own| name.eq_ignore_ascii_case(own)) {
            sent = sent.header(name, value);
        }
    }
    let mut said = sent.body(asked.body).send().await.map_err(std::io::Error::other)?;
    if trouble.is_some() {
        return Ok(());
    }
    let head = format!(
        "HTTP/1.1 {} Said\r\nConnection: close\r\nContent-Type: application/json\r\n\r\n",
        said.status().as_u16()
    );
    client.write_all(head.as_bytes()).await?;
    while let Some(chunk) = said.chunk().await.map_err(std::io::Error::other)? {
        client.write_all(&chunk).await?;
    }
    Ok(())
}
