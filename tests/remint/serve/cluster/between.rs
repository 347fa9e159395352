//! A way between daemons and the API server: counts what goes over it, can be cut, and lets somebody else be quicker.

use std::pin::pin;
use std::sync::{Arc, Mutex};

use axum::body::{Body, Bytes};
use axum::extract::{Request, State};
use axum::http::StatusCode;
use axum::response::{IntoResponse as _, Response};
use futures::FutureExt as _;
use futures::future::BoxFuture;
use jiff::Timestamp;
use serde_json::Value;
use tokio::net::TcpListener;
use tokio::sync::watch;
use tokio::task::JoinHandle;

use super::rig::Server;

/// One request and what it came to.
#[derive(Debug, Clone)]
pub(super) struct Went {
    pub(super) at: Timestamp,
    pub(super) method: String,
    pub(super) path: String,
    pub(super) status: u16,
    pub(super) body: Value,
}

impl Went {
    /// A write to an object of this kind and name, beside its status.
    pub(super) fn wrote(&self, plural: &str, name: &str) -> bool {
        let path = self.path.strip_suffix("/status").unwrap_or(&self.path);
        self.method != "GET" && path.ends_with(&format!("/{plural}/{name}")) && (200..300).contains(&self.status)
    }
}

/// What happens just before a request goes on, once.
type Trick = (&'static str, String, BoxFuture<'static, ()>);

struct Inner {
    upstream: String,
    http: reqwest::Client,
    went: Mutex<Vec<Went>>,
    /// Watches under way end, and others wait, while this is true.
    cut: watch::Sender<bool>,
    trick: Mutex<Option<Trick>>,
    /// The next request of this sort is lost.
    lost: Mutex<Option<(&'static str, String)>>,
    /// Watches that the API server could not go on with.
    gone: Mutex<usize>,
}

pub(super) struct Between {
    pub(super) address: String,
    inner: Arc<Inner>,
    serving: JoinHandle<()>,
}

impl Drop for Between {
    fn drop(&mut self) {
        self.serving.abort();
    }
}

impl Between {
    pub(super) async fn open(server: &Server) -> Self {
        let ca = std::fs::read(server.file("ca.crt")).unwrap();
        let authorities = reqwest::Certificate::from_pem_bundle(&ca).unwrap();
        let inner = Arc::new(Inner {
            upstream: server.address.clone(),
            http: reqwest::Client::builder().no_proxy().tls_certs_only(authorities).build().unwrap(),
            went: Mutex::default(),
            cut: watch::Sender::new(false),
            trick: Mutex::default(),
            lost: Mutex::default(),
            gone: Mutex::default(),
        });
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = format!("http://{}", listener.local_addr().unwrap());
        let router = axum::Router::new().fallback(pass).with_state(Arc::clone(&inner));
        let serving = tokio::spawn(async move { axum::serve(listener, router).await.unwrap() });
        Self { address, inner, serving }
    }

    pub(super) fn went(&self) -> Vec<Went> {
        self.inner.went.lock().unwrap().clone()
    }

    /// Ends watches, and lets none begin.
    pub(super) fn cut(&self) {
        self.inner.cut.send_replace(true);
    }

    pub(super) fn mend(&self) {
        self.inner.cut.send_replace(false);
    }

    /// How many watches were told that what they want is forgotten.
    pub(super) fn gone(&self) -> usize {
        *self.inner.gone.lock().unwrap()
    }

    /// Before the next request of this sort goes on, this is done.
    pub(super) fn before(
        &self,
        method: &'static str,
        path_ends: &str,
        work: impl Future<Output = ()> + Send + 'static,
    ) {
        *self.inner.trick.lock().unwrap() = Some((method, path_ends.to_owned(), work.boxed()));
    }

    /// The next request of this sort does not arrive.
    pub(super) fn lose(&self, method: &'static str, path_ends: &str) {
        *self.inner.lost.lock().unwrap() = Some((method, path_ends.to_owned()));
    }

    pub(super) fn lost(&self) -> bool {
        self.inner.lost.lock().unwrap().is_none()
    }

    /// True once what should come before something was done.
    pub(super) fn tricked(&self) -> bool {
        self.inner.trick.lock().unwrap().is_none()
    }
}

async fn pass(State(inner): State<Arc<Inner>>, request: Request) -> Response {
    let (parts, body) = request.into_parts();
    let body = axum::body::to_bytes(body, 16 << 20).await.unwrap();
    let (path, query) = (parts.uri.path().to_owned(), parts.uri.query().unwrap_or_default().to_owned());
    let watches = query.contains("watch=true");
    let mut cut = inner.cut.subscribe();
    if watches {
        cut.wait_for(|cut| !cut).await.unwrap();
    }
    let mut trick = None;
    {
        let mut there = inner.trick.lock().unwrap();
        if there.as_ref().is_some_and(|(method, ends, _)| parts.method == *method && path.ends_with(ends.as_str())) {
            trick = there.take();
        }
    }
    if let Some((_, _, work)) = trick {
        work.await;
    }
    {
        let mut there = inner.lost.lock().unwrap();
        if there.as_ref().is_some_and(|(method, ends)| parts.method == *method && path.ends_with(ends.as_str())) {
            *there = None;
            return StatusCode::BAD_GATEWAY.into_response();
        }
    }
    let target = parts.uri.path_and_query().map_or("/", |all| all.as_str());
    let mut sent = inner.http.request(parts.method.clone(), format!("{}{target}", inner.upstream));
    for name in ["authorization", "content-type", "accept"] {
        if let Some(value) = parts.headers.get(name) {
            sent = sent.header(name, value);
        }
    }
    let answer = match sent.body(body.clone()).send().await {
        Ok(answer) => answer,
        Err(_) => return StatusCode::BAD_GATEWAY.into_response(),
    };
    let status = answer.status();
    let body = serde_json::from_slice(&body).unwrap_or(Value::Null);
    let method = parts.method.to_string();
    let went = Went { at: Timestamp::now(), method, path, status: status.as_u16(), body };
    inner.went.lock().unwrap().push(went);
    if watches && status == StatusCode::GONE {
        *inner.gone.lock().unwrap() += 1;
    }
    let kind = answer.headers().get("content-type").cloned();
    let body = if watches {
        let parts = futures::stream::unfold((answer, cut, inner), |(mut answer, mut cut, inner)| async move {
            let next = {
                let ended = pin!(cut.wait_for(|cut| *cut));
                tokio::select! {
                    _ = ended => None,
                    chunk = answer.chunk() => chunk.ok().flatten(),
                }
            };
            let chunk: Bytes = next?;
            if chunk.windows(10).any(|part| part == b"\"code\":410") {
                *inner.gone.lock().unwrap() += 1;
            }
            Some((Ok::<_, std::io::Error>(chunk), (answer, cut, inner)))
        });
        Body::from_stream(parts)
    } else {
        Body::from(answer.bytes().await.unwrap_or_default())
    };
    let mut response = Response::new(body);
    *response.status_mut() = status;
    if let Some(kind) = kind {
        response.headers_mut().insert("content-type", kind);
    }
    response
}
