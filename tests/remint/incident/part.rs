//! One system of the incident: what of it the attacker holds, and how anybody finds out what a value is good for.

use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use async_trait::async_trait;
use remint::registry::Registry;
use remint_conformance::proxy::{Asked, Way};
use remint_contract::{
    Call, Clock as _, Connector, HostRules, Kinds as _, Material, MintRequest, OperationId, Strategy, SystemClock,
    Target,
};
use serde_json::Value;
use tokio::io::AsyncWriteExt as _;
use tokio::net::TcpStream;

/// A credential of the incident, with the value that the attacker read.
pub(crate) struct Seat {
    /// Of its document, its file and its workload.
    pub(crate) name: String,
    pub(crate) first: Material,
    /// What the attacker minted for himself at the same issuer.
    pub(crate) planted: Option<Material>,
}

#[async_trait]
pub(crate) trait Part: Send + Sync {
    /// Its line in the table.
    fn name(&self) -> &'static str;

    /// Its systems, and what Remint acts with there.
    fn documents(&self) -> String;

    fn seats(&self) -> &[Seat];

    /// `issuedBy` and the strategy of a seat.
    fn issued(&self, seat: &str) -> (String, &'static str);

    /// Whose they are.
    fn identity(&self) -> &'static str {
        "apps"
    }

    /// Where it is delivered.
    fn places(&self, seat: &str) -> String {
        let named = self.seats().iter().any(|one| one.name == seat && one.first.username.is_some());
        let user = if named { "user: \"{username}\", " } else { "" };
        format!("{{at: \"apps:{seat}.json\", fields: {{{user}secret: \"{{secret}}\"}}}}")
    }

    /// What else the bearer reaches.
    fn unlocks(&self, _seat: &str) -> String {
        String::new()
    }

    /// What reads it: by default a program that says which value it uses.
    fn workload(&self, seat: &str, words: &str) -> String {
        format!(
            "{{runsOn: {{system: apps, ref: {seat}}}, confirm: {{how: self-reported, within: 60s, http: {{url: \"{words}/{seat}\"}}}}}}"
        )
    }

    /// What lies there now.
    async fn lies(&self, seat: &str, apps: &Path) -> Material {
        let text = std::fs::read(apps.join(format!("{seat}.json"))).unwrap();
        let value: Value = serde_json::from_slice(&text).unwrap();
        let secret = value["secret"].as_str().unwrap().into();
        Material { username: value["user"].as_str().map(str::to_owned), secret }
    }

    /// Does the system let the bearer in? Asked of the system itself, not on Remint's way to it.
    async fn accepts(&self, seat: &str, material: &Material) -> bool;

    /// What Remint asked so far.
    fn calls(&self) -> u64;
}

/// Makes a version as an administrator does.
pub(crate) async fn mint(
    connector: &Arc<dyn Connector>,
    actor: Option<&Material>,
    (name, settings, strategy): (&str, Value, Strategy),
) -> Material {
    static MADE: AtomicU64 = AtomicU64::new(0);
    let operation = OperationId(format!("before-{}-{name}", MADE.fetch_add(1, Ordering::Relaxed)));
    let deadline = SystemClock.now() + std::time::Duration::from_mins(1);
    let call = Call { operation, deadline, actor: actor.cloned().map(Arc::new) };
    let target = Target { name: name.to_owned(), settings };
    let request = MintRequest { target, strategy, old: None, old_username: None, proposed: None };
    connector.mint(&call, &request).await.unwrap().material
}

pub(crate) fn open(kind: &str, settings: &Value, rules: &HostRules) -> Arc<dyn Connector> {
    Registry::new().kind(kind).unwrap().open(settings, rules).unwrap()
}

/// A way to a server that counts what goes over it.
pub(crate) struct Counted {
    /// `http://host:port`
    pub(crate) address: String,
    count: Arc<AtomicU64>,
    _way: Way,
}

impl Counted {
    /// To `http://host:port`.
    pub(crate) async fn to(upstream: &str) -> Self {
        let upstream = upstream.trim_start_matches("http://").to_owned();
        let count = Arc::new(AtomicU64::new(0));
        let shared = Arc::clone(&count);
        let way = Way::open(move |mut client: TcpStream| {
            let (upstream, count) = (upstream.clone(), Arc::clone(&shared));
            async move {
                let Some(asked) = Asked::read(&mut client).await? else { return Ok(()) };
                count.fetch_add(1, Ordering::Relaxed);
                let said = asked.forward(TcpStream::connect(upstream).await?).await?;
                client.write_all(&said).await
            }
        })
        .await;
        Self { address: format!("http://{}", way.address), count, _way: way }
    }

    /// To a server that speaks TLS, through a client that trusts it.
    pub(crate) async fn through(http: reqwest::Client, upstream: String) -> Self {
        let count = Arc::new(AtomicU64::new(0));
        let shared = Arc::clone(&count);
        let way = Way::open(move |mut client: TcpStream| {
            let (http, upstream, count) = (http.clone(), upstream.clone(), Arc::clone(&shared));
            async move {
                let Some(asked) = Asked::read(&mut client).await? else { return Ok(()) };
                count.fetch_add(1, Ordering::Relaxed);
                let mut sent = http.request(asked.method().parse().unwrap(), format!("{upstream}{}", asked.path()));
                for (name, value) in asked.headers() {
                    if !["host", "content-length"].iter().any(|own| name.eq_ignore_ascii_case(own)) {
                        sent = sent.header(name, value);
                    }
                }
                let answer = sent.body(asked.body).send().await.map_err(std::io::Error::other)?;
                let status = answer.status().as_u16();
                let body = answer.bytes().await.map_err(std::io::Error::other)?;
                let head = format!(
                    "HTTP/1.1 {status} Said\r\nConnection: close\r\nContent-Type: application/json\r\nContent-Length: {}\r\n\r\n",
                    body.len()
                );
                client.write_all(&[head.as_bytes(), &body].concat()).await
            }
        })
        .await;
        Self { address: format!("http://{}", way.address), count, _way: way }
    }

    pub(crate) fn calls(&self) -> u64 {
        self.count.load(Ordering::Relaxed)
    }
}

/// What `cargo xtask servers` says of a server.
///
/// # Panics
/// It is not there: what is not tested is not claimed.
#[expect(clippy::disallowed_methods, reason = "where the test servers are comes from the environment")]
pub(crate) fn told(variable: &str) -> String {
    std::env::var(variable).unwrap_or_else(|_| panic!("{variable} is not set; run `cargo xtask test incident`"))
}

/// One request and its answer's status and body.
pub(crate) async fn ask(
    http: &reqwest::Client,
    method: &str,
    url: &str,
    header: (&str, &str),
    body: Value,
) -> (u16, Value) {
    let request = http.request(method.parse().unwrap(), url).header(header.0, header.1);
    let request = if body.is_null() { request } else { request.json(&body) };
    let answer = request.send().await.unwrap();
    let status = answer.status().as_u16();
    (status, serde_json::from_str(&answer.text().await.unwrap()).unwrap_or(Value::Null))
}

/// A name that no other test has.
pub(crate) fn fresh() -> String {
    format!("i{}", remint::context::Context::system().hex(4).unwrap())
}
