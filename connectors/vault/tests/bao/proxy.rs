//! A way to the server that counts requests, and at word loses an answer, throttles, or says yes without asking.

use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex};

use remint_conformance::gate::Gate;
use remint_conformance::proxy::{Asked, Way, answer, throttled};
use tokio::io::AsyncWriteExt as _;
use tokio::net::TcpStream;

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
    /// In front of all.
    pub(crate) gate: Gate,
    state: Arc<State>,
    _way: Way,
}

impl Proxy {
    /// A way to `http://host:port`.
    pub(crate) async fn to(upstream: &str) -> Self {
        let upstream = upstream.trim_start_matches("http://").to_owned();
        let state = Arc::new(State::default());
        let shared = Arc::clone(&state);
        let way = Way::open(move |client| serve(client, upstream.clone(), Arc::clone(&shared))).await;
        let gate = Gate::to(&way.address).await;
        Self { address: format!("http://{}", gate.address), gate, state, _way: way }
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

async fn serve(mut client: TcpStream, upstream: String, state: Arc<State>) -> std::io::Result<()> {
    let Some(asked) = Asked::read(&mut client).await? else { return Ok(()) };
    state.requests.fetch_add(1, Ordering::SeqCst);
    let path = asked.path();
    state.paths.lock().unwrap().push(path.to_owned());
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
        Some(Trouble::Throttled) => return client.write_all(&throttled()).await,
        Some(Trouble::Lie(_) | Trouble::LieBelow(_)) => {
            return client.write_all(&answer("204 No Content", "", "")).await;
        }
        Some(Trouble::Lost(_) | Trouble::LostBelow(_)) | None => {}
    }
    let said = asked.forward(TcpStream::connect(upstream).await?).await?;
    if trouble.is_none() { client.write_all(&said).await } else { Ok(()) }
}
