//! One service on real sockets: counts every call, lets the faults strike, and hands the rest to the role's own desk.

use std::net::SocketAddr;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use async_trait::async_trait;
use http_body_util::{BodyExt as _, Full, Limited};
use hyper::body::{Bytes, Incoming};
use hyper::header::{AUTHORIZATION, RETRY_AFTER};
use hyper::service::service_fn;
use hyper::{Request, Response, StatusCode};
use hyper_util::rt::TokioIo;
use jiff::Timestamp;
use remint_contract::{Clock, Material};
use serde::Serialize;
use serde::de::DeserializeOwned;
use tokio::net::TcpListener;
use tokio::task::JoinSet;

use super::counts::Counts;
use super::fault::{Fault, FaultBook, FaultId, Trouble};
use crate::wire::{self, Refusal};

/// A call as the desk of a role sees it.
pub(crate) struct Asked {
    pub(crate) verb: String,
    /// The index of the endpoint that it came in by.
    pub(crate) endpoint: usize,
    pub(crate) source: String,
    pub(crate) presented: Option<Material>,
    pub(crate) deadline: Option<Timestamp>,
    /// Say "done" and do nothing.
    pub(crate) lie: bool,
    /// Accept again after this long what this call kills.
    pub(crate) resurrect: Option<Duration>,
    pub(crate) now: Timestamp,
    body: Bytes,
}

impl Asked {
    /// The body as the verb's own shape.
    pub(crate) fn read<T: DeserializeOwned>(&self) -> Result<T, Answer> {
        serde_json::from_slice(&self.body).map_err(|_| Answer::refuse(400, "invalid", "the body is not understood"))
    }
}

/// What a desk says.
pub(crate) struct Answer {
    pub(crate) status: u16,
    body: Vec<u8>,
    retry_after: Option<Duration>,
}

impl Answer {
    pub(crate) fn ok<T: Serialize>(body: &T) -> Self {
        match serde_json::to_vec(body) {
            Ok(body) => Self { status: 200, body, retry_after: None },
            Err(_) => Self::refuse(500, "broken", "the answer cannot be written"),
        }
    }

    pub(crate) fn refuse(status: u16, code: &str, message: &str) -> Self {
        let refusal = Refusal { code: code.to_owned(), message: message.to_owned() };
        Self { status, body: serde_json::to_vec(&refusal).unwrap_or_default(), retry_after: None }
    }
}

/// What a role does with a call that got through.
#[async_trait]
pub(crate) trait Desk: Send + Sync + 'static {
    async fn answer(&self, asked: &Asked) -> Answer;
}

/// A running service: its addresses, faults and counters. Ends when the world ends.
pub struct Service {
    name: String,
    addresses: Vec<SocketAddr>,
    clock: Arc<dyn Clock>,
    latency: Duration,
    faults: Mutex<FaultBook>,
    counts: Mutex<Counts>,
}

impl std::fmt::Debug for Service {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Service").field("name", &self.name).field("addresses", &self.addresses).finish_non_exhaustive()
    }
}

impl Service {
    /// Binds `endpoints` listeners on loopback. They answer once [`Service::serve`] is called.
    pub(crate) async fn bind(
        name: &str,
        endpoints: usize,
        latency: Duration,
        clock: Arc<dyn Clock>,
    ) -> std::io::Result<(Arc<Self>, Vec<TcpListener>)> {
        let mut listeners = Vec::new();
        for _ in 0..endpoints.max(1) {
            listeners.push(TcpListener::bind(("127.0.0.1", 0)).await?);
        }
        let addresses = listeners.iter().map(TcpListener::local_addr).collect::<Result<_, _>>()?;
        let service = Self {
            name: name.to_owned(),
            addresses,
            clock,
            latency,
            faults: Mutex::default(),
            counts: Mutex::default(),
        };
        Ok((Arc::new(service), listeners))
    }

    /// Answers on every listener until the task set is dropped.
    pub(crate) fn serve(self: &Arc<Self>, listeners: Vec<TcpListener>, desk: &Arc<impl Desk>, tasks: &mut JoinSet<()>) {
        for (endpoint, listener) in listeners.into_iter().enumerate() {
            tasks.spawn(accept(Arc::clone(self), listener, Arc::clone(desk), endpoint));
        }
    }

    /// The service's name in the world.
    pub fn name(&self) -> &str {
        &self.name
    }

    /// The addresses, in the order of the endpoints.
    pub fn urls(&self) -> Vec<String> {
        self.addresses.iter().map(|address| format!("http://{address}")).collect()
    }

    /// Adds a fault.
    pub fn fault(&self, fault: Fault) -> FaultId {
        lock(&self.faults).add(fault)
    }

    /// Ends a fault.
    pub fn end_fault(&self, id: FaultId) {
        lock(&self.faults).end(id);
    }

    /// How many calls a fault has struck.
    pub fn fault_hits(&self, id: FaultId) -> u32 {
        lock(&self.faults).hits(id)
    }

    /// What the service saw until now.
    pub fn counts(&self) -> Counts {
        lock(&self.counts).clone()
    }

    pub(crate) fn now(&self) -> Timestamp {
        self.clock.now()
    }

    /// `None` closes the connection without an answer.
    async fn handle(&self, desk: &impl Desk, endpoint: usize, request: Request<Incoming>) -> Option<Answer> {
        let verb = request.uri().path().trim_start_matches('/').to_owned();
        let text = |name: &str| request.headers().get(name).and_then(|value| value.to_str().ok());
        let source = text(wire::SOURCE).unwrap_or("unknown").to_owned();
        let presented = text(AUTHORIZATION.as_str()).and_then(wire::presented);
        let deadline = text(wire::DEADLINE).and_then(|text| text.parse().ok());
        let _in_flight = InFlight::begin(self, &verb, &source);
        let body = Limited::new(request.into_body(), LARGEST_BODY).collect().await.ok()?.to_bytes();
        let mut asked = Asked {
            verb,
            endpoint,
            source,
            presented,
            deadline,
            lie: false,
            resurrect: None,
            now: self.clock.now(),
            body,
        };
        let troubles = lock(&self.faults).strike(&asked.verb, &asked.source);
        let mut lost = false;
        let mut wait = self.latency;
        let mut instead = None;
        for trouble in troubles {
            match trouble {
                Trouble::Latency(more) => wait += more,
                Trouble::LostBefore => return None,
                Trouble::LostAfter => lost = true,
                Trouble::Lie => asked.lie = true,
                Trouble::Resurrect(after) => asked.resurrect = Some(after),
                other => instead = Some(answer_of(&other)),
            }
        }
        if !wait.is_zero() {
            self.clock.sleep(wait).await;
        }
        asked.now = self.clock.now();
        let answer = match instead {
            Some(answer) => answer,
            None => desk.answer(&asked).await,
        };
        (!lost).then_some(answer)
    }
}

/// The answer of a trouble that leaves the desk out of it.
fn answer_of(trouble: &Trouble) -> Answer {
    match trouble {
        Trouble::Throttle(wait) => {
            Answer { retry_after: Some(*wait), ..Answer::refuse(429, "throttled", "too many calls; come back later") }
        }
        Trouble::NoSuchVerb => Answer::refuse(405, "no-such-verb", "this service does not have the verb"),
        Trouble::RefuseValue => Answer::refuse(422, "refused-value", "the value breaks the rules for values"),
        Trouble::Forbid => Answer::refuse(403, "forbidden", "the caller has no right to this"),
        _ => Answer { status: 500, body: b"something broke".to_vec(), retry_after: None },
    }
}

async fn accept(service: Arc<Service>, listener: TcpListener, desk: Arc<impl Desk>, endpoint: usize) {
    let mut connections = JoinSet::new();
    loop {
        let Ok((stream, _)) = listener.accept().await else { continue };
        let _ = stream.set_nodelay(true);
        let (service, desk) = (Arc::clone(&service), Arc::clone(&desk));
        connections.spawn(async move {
            let answer = service_fn(|request| {
                let (service, desk) = (&service, &desk);
                async move {
                    let answer = service.handle(desk.as_ref(), endpoint, request).await.ok_or(Lost)?;
                    respond(answer).map_err(|_| Lost)
                }
            });
            // An error here is a caller who went away, or an answer lost on purpose: both end the connection, no more.
            let _ = hyper::server::conn::http1::Builder::new().serve_connection(TokioIo::new(stream), answer).await;
        });
        while connections.try_join_next().is_some() {}
    }
}

fn respond(answer: Answer) -> Result<Response<Full<Bytes>>, hyper::http::Error> {
    let mut response = Response::builder().status(StatusCode::from_u16(answer.status)?);
    if let Some(wait) = answer.retry_after {
        response = response.header(RETRY_AFTER, wait.as_millis().div_ceil(1000).to_string());
    }
    response.header("content-type", "application/json").body(Full::new(Bytes::from(answer.body)))
}

/// The connection closes without an answer.
#[derive(Debug, thiserror::Error)]
#[error("the answer was lost on purpose")]
struct Lost;

/// Counts a call as in flight for as long as it lives, however it ends.
struct InFlight<'a> {
    service: &'a Service,
    source: String,
}

impl<'a> InFlight<'a> {
    fn begin(service: &'a Service, verb: &str, source: &str) -> Self {
        lock(&service.counts).begin(verb, source, service.clock.now());
        Self { service, source: source.to_owned() }
    }
}

impl Drop for InFlight<'_> {
    fn drop(&mut self) {
        lock(&self.service.counts).end(&self.source);
    }
}

/// A panic while the lock was held leaves counters and maps that are still good to read.
pub(crate) fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

const LARGEST_BODY: usize = 1 << 20;
