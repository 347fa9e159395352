//! One system of the incident: what of it the attacker holds, and how anybody finds out what a value is good for.

use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use async_trait::async_trait;
use remint::context::Context;
use remint::engine::record::Finding;
use remint::registry::Registry;
use remint_conformance::proxy::{Asked, Way};
use remint_contract::{
    Call, Clock as _, Connector, HostRules, Kinds as _, MadeBy, Material, MintRequest, OperationId, Strategy,
    SystemClock, Target,
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
    /// What Remint itself acts with: it lies with its other means, which the runner read too.
    pub(crate) own: bool,
}

impl Seat {
    pub(crate) fn of(name: String, first: Material) -> Self {
        Self { name, first, planted: None, own: false }
    }

    pub(crate) fn own(name: &str, first: Material) -> Self {
        Self { own: true, ..Self::of(name.to_owned(), first) }
    }

    pub(crate) fn planted(self, planted: Option<Material>) -> Self {
        Self { planted, ..self }
    }

    /// The folder where it lies.
    pub(crate) const fn folder(&self) -> &'static str {
        if self.own { "ops" } else { "apps" }
    }
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
    fn places(&self, seat: &Seat) -> String {
        lies_in(seat)
    }

    /// What else the document says, line by line.
    fn more(&self, _seat: &Seat) -> String {
        String::new()
    }

    /// What else the bearer reaches.
    fn unlocks(&self, _seat: &str) -> String {
        String::new()
    }

    /// What reads it: by default a program that says which value it uses. What Remint acts with is read by nobody else.
    fn workload(&self, seat: &Seat, words: &str) -> Option<String> {
        (!seat.own).then(|| says(seat, words))
    }

    /// Is there a moment without a working value that was approved?
    fn is_out(&self, _seat: &str) -> bool {
        false
    }

    /// Do its workloads run where the attacker was administrator? Then they are rebuilt, too, before anything is written
    /// where they read.
    fn is_rebuilt(&self) -> bool {
        false
    }

    /// What lies there now.
    async fn lies(&self, seat: &Seat, root: &Path) -> Material {
        let text = std::fs::read(root.join(seat.folder()).join(format!("{}.json", seat.name))).unwrap();
        let value: Value = serde_json::from_slice(&text).unwrap();
        let secret = value["secret"].as_str().unwrap().into();
        Material { username: value["user"].as_str().map(str::to_owned), secret }
    }

    /// Does the system let the bearer in? Asked of the system itself, not on Remint's way to it.
    async fn accepts(&self, seat: &str, material: &Material) -> bool;

    /// Is this finding what the attacker minted here?
    fn is_planted(&self, seat: &Seat, finding: &Finding) -> bool {
        finding.credential.as_ref().is_some_and(|found| found.name.as_str() == seat.name)
    }

    /// Is everything at this system the incident's, whoever made it?
    fn owns(&self, _system: &str) -> bool {
        false
    }

    /// What else has to be so when all is over, and is not.
    async fn left(&self) -> Vec<String> {
        Vec::new()
    }

    /// What Remint asked so far; nothing where nobody counts.
    fn calls(&self) -> Option<u64>;
}

/// How long a workload may take. On a machine that does much else that is long, and nothing waits for it to be over.
pub(crate) const WITHIN: &str = "5m";

/// A program that says which value it uses.
pub(crate) fn says(seat: &Seat, words: &str) -> String {
    let name = &seat.name;
    format!(
        "{{runsOn: {{system: apps, ref: {name}}}, confirm: {{how: self-reported, within: {WITHIN}, http: {{url: \"{words}/{name}\"}}}}}}"
    )
}

/// The place of a seat among the files that the runner read.
pub(crate) fn lies_in(seat: &Seat) -> String {
    let user = if seat.first.username.is_some() { "user: \"{username}\", " } else { "" };
    format!("{{at: \"{}:{}.json\", fields: {{{user}secret: \"{{secret}}\"}}, source: true}}", seat.folder(), seat.name)
}

/// Asks until there is an answer to the question: what the machine has no time for now is neither a yes nor a no.
///
/// # Panics
/// There is none after a hundred tries.
pub(crate) async fn decided<F>(ask: impl Fn() -> F) -> bool
where
    F: Future<Output = Result<bool, String>>,
{
    let mut last = None;
    for _ in 0..100 {
        match ask().await {
            Ok(answer) => return answer,
            Err(other) => last = Some(other),
        }
        tokio::time::sleep(Duration::from_millis(100)).await;
    }
    panic!("no answer that says anything: {last:?}")
}

/// As [`decided`], where the status tells.
pub(crate) async fn by_status<F>(yes: u16, no: &[u16], ask: impl Fn() -> F) -> bool
where
    F: Future<Output = Result<(u16, Value), reqwest::Error>>,
{
    decided(|| async {
        match ask().await {
            Ok((status, _)) if status == yes => Ok(true),
            Ok((status, _)) if no.contains(&status) => Ok(false),
            Ok((status, answer)) => Err(format!("{status} {answer}")),
            Err(failure) => Err(failure.to_string()),
        }
    })
    .await
}

/// Makes a version as an administrator does.
pub(crate) async fn mint(
    connector: &Arc<dyn Connector>,
    actor: Option<&Material>,
    (name, settings, strategy): (&str, Value, Strategy),
) -> Material {
    static MADE: AtomicU64 = AtomicU64::new(0);
    let operation = OperationId(format!("before-{}-{name}", MADE.fetch_add(1, Ordering::Relaxed)));
    let deadline = SystemClock.now() + Duration::from_mins(1);
    let call = Call { operation, deadline, actor: actor.cloned().map(Arc::new) };
    let target = Target { name: name.to_owned(), settings };
    let proposed = (connector.describe().issuer.unwrap().made_by == MadeBy::Remint)
        .then(|| Context::system().hex(16).unwrap().as_str().into());
    let request = MintRequest { target, strategy, old: None, old_username: None, proposed };
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
    try_ask(http, method, url, header, body).await.unwrap()
}

/// As [`ask`], where the way may fail.
pub(crate) async fn try_ask(
    http: &reqwest::Client,
    method: &str,
    url: &str,
    header: (&str, &str),
    body: Value,
) -> Result<(u16, Value), reqwest::Error> {
    let request = http.request(method.parse().unwrap(), url).header(header.0, header.1);
    let request = if body.is_null() { request } else { request.json(&body) };
    let answer = request.send().await?;
    let status = answer.status().as_u16();
    Ok((status, serde_json::from_str(&answer.text().await?).unwrap_or(Value::Null)))
}

/// A name that no other test has.
pub(crate) fn fresh() -> String {
    format!("i{}", Context::system().hex(4).unwrap())
}
