//! Tokens that a person made and the vendor takes back by their values: github-personal-token over a small server of this
//! test, which answers as GitHub documents. Nothing here was tried against github.com.
#![expect(clippy::unwrap_used, reason = "what cannot be set up ends the test")]

use std::collections::BTreeSet;
use std::sync::{Arc, Mutex};

use axum::extract::{Json, State};
use axum::http::{HeaderMap, StatusCode};
use axum::routing::{get, post};
use futures::future::join_all;
use remint_conformance::at_each_request;
use remint_conformance::gate::Gate;
use remint_contract::{
    Call, Connector, ConnectorKind as _, ErrorKind, HostRules, Material, OperationId, Target, Verb, Verdict,
};
use serde_json::{Value, json};
use tokio::sync::Semaphore;

/// What the server knows.
struct Office {
    address: String,
    alive: Mutex<BTreeSet<String>>,
    /// The number of values in each request, and its header `Authorization`.
    asked: Mutex<Vec<(usize, bool)>>,
    /// A request is answered with each permit.
    open: Semaphore,
    arrived: Semaphore,
    spent: Mutex<bool>,
}

const MOST: usize = 1000;

async fn user(State(office): State<Arc<Office>>, headers: HeaderMap) -> (StatusCode, Json<Value>) {
    let token = headers.get("authorization").and_then(|value| value.to_str().ok()?.strip_prefix("Bearer "));
    let alive = token.is_some_and(|token| office.alive.lock().unwrap().contains(token));
    if alive {
        (StatusCode::OK, Json(json!({"login": "octocat", "id": 1, "type": "User"})))
    } else {
        (StatusCode::UNAUTHORIZED, Json(json!({"message": "Bad credentials"})))
    }
}

async fn revoke(
    State(office): State<Arc<Office>>,
    headers: HeaderMap,
    Json(body): Json<Value>,
) -> (StatusCode, HeaderMap, Json<Value>) {
    let values: Vec<String> = serde_json::from_value(body["credentials"].clone()).unwrap();
    office.asked.lock().unwrap().push((values.len(), headers.contains_key("authorization")));
    office.arrived.add_permits(1);
    office.open.acquire().await.unwrap().forget();
    let answer = |status| (status, HeaderMap::new(), Json(json!({})));
    if headers.contains_key("authorization") {
        return answer(StatusCode::FORBIDDEN);
    }
    if *office.spent.lock().unwrap() {
        let headers = HeaderMap::from_iter([("x-ratelimit-remaining".parse().unwrap(), "0".parse().unwrap())]);
        return (StatusCode::FORBIDDEN, headers, Json(json!({})));
    }
    if values.is_empty() || values.len() > MOST || values.iter().any(|value| !value.starts_with("ghp_")) {
        return answer(StatusCode::UNPROCESSABLE_ENTITY);
    }
    let mut alive = office.alive.lock().unwrap();
    for value in values {
        alive.remove(&value);
    }
    answer(StatusCode::ACCEPTED)
}

impl Office {
    async fn start(tokens: &[&str]) -> (Arc<Self>, Arc<dyn Connector>) {
        let listener = tokio::net::TcpListener::bind(("127.0.0.1", 0)).await.unwrap();
        let address = listener.local_addr().unwrap().to_string();
        let office = Arc::new(Self {
            address: address.clone(),
            alive: Mutex::new(tokens.iter().map(|token| (*token).to_owned()).collect()),
            asked: Mutex::default(),
            open: Semaphore::new(0),
            arrived: Semaphore::new(0),
            spent: Mutex::default(),
        });
        let routes = axum::Router::new()
            .route("/user", get(user))
            .route("/credentials/revoke", post(revoke))
            .with_state(Arc::clone(&office));
        tokio::spawn(async move { axum::serve(listener, routes).await.unwrap() });
        (office, at(&address))
    }

    fn asked(&self) -> Vec<(usize, bool)> {
        self.asked.lock().unwrap().clone()
    }
}

fn at(address: &str) -> Arc<dyn Connector> {
    let rules = HostRules { hosts: BTreeSet::from([address.to_owned()]), ..HostRules::default() };
    let settings = json!({"recipe": "github-personal-token", "base": format!("http://{address}")});
    remint_http::kind().open(&settings, &rules).unwrap()
}

fn call() -> Call {
    let deadline = "2026-11-22T17:00:00Z".parse().unwrap();
    // An actor that is there all the same: the request must not carry it.
    Call { operation: OperationId("op".to_owned()), deadline, actor: Some(Arc::new(Material::of("admin".into()))) }
}

fn target() -> Target {
    Target { name: "octocat".to_owned(), settings: json!({}) }
}

fn material(token: &str) -> Material {
    Material::of(token.into())
}

/// Asks in the background.
fn ends(connector: &Arc<dyn Connector>, token: &str) -> tokio::task::JoinHandle<Result<(), remint_contract::Error>> {
    let (connector, material) = (Arc::clone(connector), material(token));
    tokio::spawn(async move { connector.revoke_value(&call(), &target(), &material).await })
}

/// On one thread everything that can go on has gone on after so many turns: whoever was begun waits in line.
async fn in_line() {
    for _ in 0..2 * MOST {
        tokio::task::yield_now().await;
    }
}

#[tokio::test]
async fn a_token_is_known_by_its_value_ends_by_it_and_no_other_does() {
    let (office, connector) = Office::start(&["ghp_old", "ghp_new"]).await;
    let declared = connector.describe();
    assert!(declared.verbs.contains(&Verb::RevokeValue) && !declared.verbs.contains(&Verb::Mint));
    let (old, new) = (material("ghp_old"), material("ghp_new"));
    let seen = connector.verify(&call(), &target(), &old).await.unwrap();
    assert_eq!((seen.version.0, seen.principal.as_str()), (old.fingerprint(), "octocat"));
    office.open.add_permits(2);
    connector.revoke_value(&call(), &target(), &old).await.unwrap();
    // What is dead already.
    connector.revoke_value(&call(), &target(), &old).await.unwrap();
    assert_eq!(office.asked(), [(1, false), (1, false)], "GitHub refuses the request with a login");
    assert_eq!(connector.probe(&call(), &target(), &old, 0).await.unwrap(), Verdict::Denied);
    assert_eq!(connector.probe(&call(), &target(), &new, 0).await.unwrap(), Verdict::Accepted);
    let error = connector.verify(&call(), &target(), &old).await.unwrap_err();
    assert_eq!(error.kind, ErrorKind::Denied);
}

#[tokio::test]
async fn who_comes_while_a_request_is_under_way_goes_with_the_next_one() {
    let tokens: Vec<String> = (0..MOST + 5).map(|index| format!("ghp_{index}")).collect();
    let texts: Vec<&str> = tokens.iter().map(String::as_str).collect();
    let (office, connector) = Office::start(&texts).await;
    let first = ends(&connector, texts[0]);
    office.arrived.acquire().await.unwrap().forget();
    // Polled in turn, each is in line before the first is answered.
    let rest = texts[1..].iter().map(|token| {
        let (connector, material) = (Arc::clone(&connector), material(token));
        async move { connector.revoke_value(&call(), &target(), &material).await }
    });
    let rest = tokio::spawn(join_all(rest));
    in_line().await;
    office.open.add_permits(1);
    first.await.unwrap().unwrap();
    office.open.add_permits(2);
    assert!(rest.await.unwrap().into_iter().all(|answer| answer.is_ok()));
    assert_eq!(office.asked(), [(1, false), (MOST, false), (4, false)]);
    assert!(office.alive.lock().unwrap().is_empty());
}

#[tokio::test]
async fn a_value_that_is_refused_holds_up_no_other_and_is_in_no_error() {
    let (office, connector) = Office::start(&["ghp_a", "ghp_b", "ghp_c"]).await;
    let first = ends(&connector, "ghp_a");
    office.arrived.acquire().await.unwrap().forget();
    let answers = tokio::spawn(join_all(["ghp_b", "marker-4711", "ghp_c"].map(|token| {
        let (connector, material) = (Arc::clone(&connector), material(token));
        async move { connector.revoke_value(&call(), &target(), &material).await }
    })));
    in_line().await;
    office.open.add_permits(16);
    first.await.unwrap().unwrap();
    let answers = answers.await.unwrap();
    let kinds: Vec<_> = answers.iter().map(|answer| answer.as_ref().err().map(|error| error.kind)).collect();
    assert_eq!(kinds, [None, Some(ErrorKind::RefusedValue), None]);
    assert!(!format!("{answers:?}").contains("marker-4711"), "{answers:?}");
    assert!(office.alive.lock().unwrap().is_empty());
}

#[tokio::test]
async fn who_gave_up_is_not_acted_for_and_whose_answer_is_lost_is_told_so() {
    let (office, connector) = Office::start(&["ghp_a", "ghp_b", "ghp_c"]).await;
    let first = ends(&connector, "ghp_a");
    office.arrived.acquire().await.unwrap().forget();
    let second = ends(&connector, "ghp_b");
    in_line().await;
    second.abort();
    assert!(second.await.unwrap_err().is_cancelled());
    // The process that sends is stopped in the middle: nobody knows whether it was done.
    first.abort();
    assert!(first.await.unwrap_err().is_cancelled());
    office.open.add_permits(2);
    ends(&connector, "ghp_c").await.unwrap().unwrap();
    assert!(office.alive.lock().unwrap().contains("ghp_b"), "it was killed for somebody who was not there any more");
    assert_eq!(office.asked().last(), Some(&(1, false)));
}

#[tokio::test]
async fn after_a_crash_at_each_request_it_is_shown_again_and_dead() {
    at_each_request(async |crash| {
        let (office, _) = Office::start(&["ghp_old", "ghp_new"]).await;
        office.open.add_permits(9);
        let gate = Gate::to(&office.address).await;
        let (connector, old) = (at(&gate.address), material("ghp_old"));
        gate.arm(crash).await;
        let answer = connector.revoke_value(&call(), &target(), &old).await;
        let crashed = gate.reopen().await;
        let dead = !office.alive.lock().unwrap().contains("ghp_old");
        match answer {
            Ok(()) => assert!(dead, "{crash}: it was said to be done"),
            Err(error) => assert!(!dead || error.kind == ErrorKind::Unclear, "{crash}: {error}"),
        }
        // The process that comes next opens it anew.
        at(&gate.address).revoke_value(&call(), &target(), &old).await.unwrap();
        assert!(office.alive.lock().unwrap().iter().eq(["ghp_new"]), "{crash}");
        crashed
    })
    .await;
}

#[tokio::test]
async fn a_spent_budget_is_waited_for() {
    let (office, connector) = Office::start(&["ghp_a"]).await;
    *office.spent.lock().unwrap() = true;
    office.open.add_permits(1);
    let error = ends(&connector, "ghp_a").await.unwrap().unwrap_err();
    assert_eq!(error.kind, ErrorKind::Throttled, "{error}");
}
