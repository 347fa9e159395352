//! The real JupyterHub of `cargo xtask test`, and a way to it that can lose, hold back and invent things.

use std::io::Write as _;
use std::sync::{Arc, Mutex, MutexGuard};

use axum::Router;
use axum::body::{Body, to_bytes};
use axum::extract::{Request, State};
use axum::http::Response;
use serde_json::{Value, json};

/// The hub, as its administrator sees it.
pub(crate) struct Hub {
    pub(crate) address: String,
    pub(crate) token: String,
    http: reqwest::Client,
}

impl Hub {
    /// # Panics
    /// Nobody started a hub for the tests: what is not tested is not claimed.
    #[expect(clippy::disallowed_methods, reason = "where the test server is comes from the environment")]
    pub(crate) fn find() -> Self {
        let (Ok(address), Ok(token)) =
            (std::env::var("REMINT_TEST_JUPYTERHUB"), std::env::var("REMINT_TEST_JUPYTERHUB_TOKEN"))
        else {
            panic!(
                "no JupyterHub: REMINT_TEST_JUPYTERHUB and REMINT_TEST_JUPYTERHUB_TOKEN are not set; run `cargo xtask \
                 test`, or export what `cargo xtask servers up jupyterhub` prints"
            );
        };
        // Past the harness, which hides what a passing test prints.
        writeln!(std::io::stderr(), "SERVER JupyterHub").unwrap();
        Self { address, token, http: reqwest::Client::builder().no_proxy().build().unwrap() }
    }

    pub(crate) async fn post(&self, path: &str, body: Value) -> Value {
        let url = format!("http://{}/hub/api{path}", self.address);
        let request = self.http.post(url).header("authorization", format!("token {}", self.token)).json(&body);
        let answer = request.send().await.unwrap();
        assert!(answer.status().is_success(), "POST {path}: {}", answer.status());
        answer.json().await.unwrap()
    }

    /// A user of this test's own.
    pub(crate) async fn user(&self) -> String {
        let mut random = [0; 8];
        aws_lc_rs::rand::fill(&mut random).unwrap();
        let name = format!("u{:016x}", u64::from_ne_bytes(random));
        self.post(&format!("/users/{name}"), json!({})).await;
        name
    }
}

/// What goes wrong with the next request that it fits.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Trouble {
    /// A deletion is said to be done, and never is.
    Lie,
    /// A deletion is said to be done, and is done when the trouble ends.
    Hold,
    /// What was made is made, and the answer lost.
    Lose,
    Throttle,
}

/// Between Remint and the hub.
#[derive(Clone)]
pub(crate) struct Way {
    pub(crate) address: String,
    hub: String,
    http: reqwest::Client,
    seen: Arc<Mutex<Seen>>,
}

#[derive(Default)]
pub(crate) struct Seen {
    pub(crate) trouble: Option<Trouble>,
    pub(crate) requests: u64,
    /// The address and the body of every request.
    pub(crate) asked: Vec<String>,
    held: Vec<reqwest::Request>,
}

impl Way {
    pub(crate) async fn to(hub: &str) -> Self {
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap().to_string();
        let http = reqwest::Client::builder().no_proxy().redirect(reqwest::redirect::Policy::none()).build().unwrap();
        let way = Self { address, hub: hub.to_owned(), http, seen: Arc::default() };
        let router = Router::new().fallback(forward).with_state(way.clone());
        tokio::spawn(async move { axum::serve(listener, router).await.unwrap() });
        way
    }

    pub(crate) fn seen(&self) -> MutexGuard<'_, Seen> {
        self.seen.lock().unwrap()
    }

    /// Ends what was armed, and lets go of what was held back.
    pub(crate) async fn settle(&self) {
        let held = {
            let mut seen = self.seen();
            seen.trouble = None;
            std::mem::take(&mut seen.held)
        };
        for request in held {
            self.http.execute(request).await.unwrap();
        }
    }
}

async fn forward(State(way): State<Way>, request: Request) -> Response<Body> {
    let (parts, body) = request.into_parts();
    let body = to_bytes(body, 1 << 20).await.unwrap();
    let mut onward = way.http.request(parts.method.clone(), format!("http://{}{}", way.hub, parts.uri));
    for name in ["authorization", "content-type", "accept"] {
        if let Some(value) = parts.headers.get(name) {
            onward = onward.header(name, value);
        }
    }
    let onward = onward.body(body.to_vec()).build().unwrap();
    let (deletes, makes) = (parts.method == "DELETE", parts.method == "POST");
    let trouble = {
        let mut seen = way.seen();
        seen.requests += 1;
        seen.asked.push(format!("{} {} {}", parts.method, parts.uri, String::from_utf8_lossy(&body)));
        let fits = |trouble: &Trouble| match trouble {
            Trouble::Lie | Trouble::Hold => deletes,
            Trouble::Lose => makes,
            Trouble::Throttle => true,
        };
        seen.trouble.take_if(|trouble| fits(trouble))
    };
    let plain = |status: u16| Response::builder().status(status);
    match trouble {
        Some(Trouble::Lie) => return plain(204).body(Body::empty()).unwrap(),
        Some(Trouble::Hold) => {
            way.seen().held.push(onward);
            return plain(204).body(Body::empty()).unwrap();
        }
        Some(Trouble::Throttle) => return plain(429).header("retry-after", "7").body(Body::empty()).unwrap(),
        Some(Trouble::Lose) | None => {}
    }
    let answer = way.http.execute(onward).await.unwrap();
    if trouble == Some(Trouble::Lose) {
        return plain(502).body(Body::empty()).unwrap();
    }
    let status = answer.status().as_u16();
    plain(status).body(Body::from(answer.bytes().await.unwrap())).unwrap()
}
