//! What a client may rely on: keys of requests, tags, pages, events that go on, and numbers.

use http_body_util::{BodyExt as _, Empty};
use hyper::Request;
use hyper::body::Bytes;
use hyper_util::rt::TokioIo;
use serde_json::{Value, json};
use tokio::net::UnixStream;

use remint::serve::Listen;

use super::client::Client;
use super::{Place, ask};

#[tokio::test]
async fn a_request_that_is_sent_twice_is_one_act_with_one_answer() {
    let place = Place::new(1).await;
    let daemon = place.serve().await;
    let keyed = daemon.client.clone().with("idempotency-key", "k-1");
    // What is no act uses no key up.
    assert_eq!(keyed.put("/v1/resets").await.status, 405);
    let first = keyed.post("/v1/resets", &ask("inc-1", &["Credential/app0"])).await;
    let again = keyed.post("/v1/resets", &ask("inc-1", &["Credential/app0"])).await;
    assert_eq!((first.status, again.status), (202, 202), "{again:?}");
    assert_eq!(first.body, again.body);
    assert_eq!(first.headers["location"], again.headers["location"]);
    assert_eq!(again.headers["idempotent-replayed"], "true");
    assert_eq!(keyed.put("/v1/resets").await.status, 405, "and is given no act's answer");
    keyed.post("/v1/resets", &ask("inc-2", &["Credential/app0"])).await.is_problem(422, "key-used");
    // Without the key the same id is refused; with a new key, too: it runs once for ever.
    daemon.client.post("/v1/resets", &ask("inc-1", &["Credential/app0"])).await.is_problem(409, "twice");
    daemon.status("inc-1", "complete").await;
    // A refusal is an answer as well.
    let refused = daemon.client.clone().with("idempotency-key", "k-2");
    refused.post("/v1/resets/none/approve", &json!({})).await.is_problem(404, "unknown");
    refused.post("/v1/resets/none/approve", &json!({})).await.is_problem(404, "unknown");
    // A secret is shown once, and kept nowhere.
    let token = json!({ "name": "ci", "scope": ["read"], "seconds": 600 });
    let secret = daemon.client.clone().with("idempotency-key", "k-3");
    let made = secret.post("/v1/tokens", &token).await;
    assert_eq!(made.status, 201, "{made:?}");
    secret.post("/v1/tokens", &token).await.is_problem(409, "secret-answer");
    assert_eq!(daemon.client.get("/v1/tokens").await.ok().as_array().unwrap().len(), 1);
    daemon.stop().await;
    let app = place.open().await;
    let kept = app.engine.store.list("idempotency", None).await.unwrap();
    let text = made.body["token"].as_str().unwrap().rsplit('_').next().unwrap();
    assert!(kept.iter().all(|record| !record.body.to_string().contains(text)));
}

#[tokio::test]
async fn an_act_on_what_was_changed_since_it_was_looked_at_is_refused() {
    let place = Place::new(1).await;
    let daemon = place.serve().await;
    let asked = json!({ "requestId": "inc-1", "from": ["Credential/app0"], "reason": "x" });
    daemon.client.post("/v1/resets", &asked).await;
    let tag = daemon.client.get("/v1/resets/inc-1").await.headers["etag"].to_str().unwrap().to_owned();
    let seen = daemon.client.clone().with("if-match", &tag);
    let stale = daemon.client.clone().with("if-match", "\"999\"");
    stale.post("/v1/resets/inc-1/approve", &json!({})).await.is_problem(412, "changed");
    assert_eq!(seen.post("/v1/resets/inc-1/reject", &json!({ "reason": "x" })).await.status, 200);
    seen.post("/v1/resets/inc-1/approve", &json!({})).await.is_problem(412, "changed");
    let estate = daemon.client.get("/v1/estate").await;
    assert!(estate.headers.contains_key("etag"));
    let digest = json!({ "digest": format!("sha256:{}", "0".repeat(64)) });
    stale.post("/v1/estate/activate", &digest).await.is_problem(412, "changed");
    // What is no act is not told that it came too late.
    assert_eq!(stale.put("/v1/resets/inc-1/approve").await.status, 405);
    daemon.stop().await;
}

#[tokio::test]
async fn a_list_is_read_a_page_at_a_time() {
    let place = Place::new(3).await;
    let daemon = place.serve().await;
    for number in 0..3 {
        let from = format!("Credential/app{number}");
        let asked = json!({ "requestId": format!("inc-{number}"), "from": [from], "reason": "x" });
        assert_eq!(daemon.client.post("/v1/resets", &asked).await.status, 202);
    }
    let mut path = "/v1/resets?limit=2".to_owned();
    let mut seen = Vec::new();
    loop {
        let answer = daemon.client.get(&path).await;
        let link = answer.headers.get("link").map(|link| link.to_str().unwrap().to_owned());
        seen.extend(answer.ok().as_array().unwrap().iter().map(|reset| reset["reset"].as_str().unwrap().to_owned()));
        let Some(link) = link else { break };
        link.split(['<', '>']).nth(1).unwrap().clone_into(&mut path);
    }
    seen.sort();
    assert_eq!(seen, ["inc-0", "inc-1", "inc-2"]);
    daemon.client.get("/v1/findings?limit=0").await.is_problem(422, "invalid");
    daemon.stop().await;
}

/// The events of a reset until the stream ends, or so many.
async fn events(place: &Place, last: Option<&str>, most: usize) -> Vec<(String, String, Value)> {
    let stream = UnixStream::connect(place.socket()).await.unwrap();
    let (mut sender, connection) = hyper::client::conn::http1::handshake(TokioIo::new(stream)).await.unwrap();
    let driving = tokio::spawn(connection);
    let mut request = Request::get("/v1/resets/inc-1/events").header("host", "localhost");
    if let Some(last) = last {
        request = request.header("last-event-id", last);
    }
    let answer = sender.send_request(request.body(Empty::<Bytes>::new()).unwrap()).await.unwrap();
    assert_eq!(answer.headers()["content-type"], "text/event-stream");
    let (mut body, mut text, mut found) = (answer.into_body(), String::new(), Vec::new());
    while let Some(frame) = body.frame().await {
        let Ok(data) = frame.unwrap().into_data() else { continue };
        text.push_str(std::str::from_utf8(&data).unwrap());
        while let Some((event, rest)) = text.clone().split_once("\n\n") {
            let field = |name: &str| {
                let line = event.lines().find_map(|line| line.strip_prefix(name));
                line.map(|line| line.trim_start_matches([':', ' ']).to_owned()).unwrap_or_default()
            };
            if !field("data").is_empty() {
                found.push((field("id"), field("event"), serde_json::from_str(&field("data")).unwrap()));
            }
            rest.clone_into(&mut text);
        }
        if found.len() >= most {
            break;
        }
    }
    driving.abort();
    found
}

#[tokio::test]
async fn events_go_on_where_the_connection_was_lost() {
    let place = Place::new(1).await;
    let daemon = place.serve().await;
    let asked = json!({ "requestId": "inc-1", "from": ["Credential/app0"], "reason": "x" });
    daemon.client.post("/v1/resets", &asked).await;
    // Nothing happens before it is approved: one status, and the end.
    let quiet = events(&place, None, usize::MAX).await;
    assert_eq!(quiet.len(), 1, "{quiet:?}");
    assert_eq!((quiet[0].1.as_str(), &quiet[0].2["status"]), ("status", &json!("requested")));
    daemon.client.post("/v1/resets/inc-1/approve", &json!({})).await.ok();
    daemon.status("inc-1", "complete").await;
    // Whoever comes from another process is told that he missed something, and how it stands.
    let other = events(&place, Some("other-1"), usize::MAX).await;
    assert_eq!(other.iter().map(|event| event.1.as_str()).collect::<Vec<_>>(), ["gap", "status"], "{other:?}");
    let all = events(&place, Some("0"), usize::MAX).await;
    assert!(all.len() > 3, "{all:?}");
    let (first, last) = (&all[0], &all[all.len() - 1]);
    assert_eq!(last.2["status"], "complete", "{last:?}");
    let rest = events(&place, Some(&first.0), usize::MAX).await;
    assert_eq!(rest, all[1..], "nothing is told twice, and nothing is left out");
    daemon.stop().await;
}

/// Every number, after one reset is over and while another, with a deadline, waits.
pub(super) async fn scrape(daemon: &super::Daemon) -> String {
    daemon.client.post("/v1/resets", &ask("inc-1", &["Credential/app0"])).await;
    daemon.status("inc-1", "complete").await;
    let waits =
        json!({ "requestId": "inc-2", "from": ["Credential/app1"], "reason": "x", "deadline": "2100-01-01T00:00:00Z" });
    assert_eq!(daemon.client.post("/v1/resets", &waits).await.status, 202);
    daemon.client.get("/metrics").await.text
}

#[tokio::test]
async fn the_numbers_have_no_name_in_them_and_say_how_things_stand() {
    let place = Place::new(2).await;
    let daemon = place.serve().await;
    let text = scrape(&daemon).await;
    for line in [
        "remint_resets{status=\"complete\"} 1",
        "remint_resets{status=\"requested\"} 1",
        "remint_rotations{step=\"none\",state=\"planned\"} 1",
        "remint_approvals_pending 1",
        "remint_rotations_parked 0",
        "remint_rotations_dark 0",
        "remint_tasks_overdue 0",
        "remint_reviews_pending 0",
        "remint_rotations_revoked_unproved 0",
        "remint_lease_holder{lease=\"scheduler\"} 1",
        "remint_connector_calls_total{connector=\"fake\",verb=\"mint\",result=\"ok\"} 1",
        "remint_connector_call_seconds_count{connector=\"fake\",verb=\"mint\"} 1",
        "remint_connector_throttled_total{connector=\"fake\"} 0",
    ] {
        assert!(text.lines().any(|found| found == line), "{line} is not in\n{text}");
    }
    // What can be there only with a number of its own.
    for family in ["log_entries", "log_sequencer_delay_seconds", "rotation_oldest_seconds", "deadline_seconds"] {
        let line = format!("remint_{family}");
        assert!(text.lines().any(|found| found.starts_with(&line)), "{line} is not in\n{text}");
    }
    for name in ["inc-1", "app0", "app1", "bank", "shelf", "tester"] {
        assert!(!text.contains(name), "{name} is in\n{text}");
    }
    daemon.stop().await;
}

#[tokio::test]
async fn readiness_names_each_reason_and_liveness_is_not_asked_for_one() {
    let place =
        Place::governed(1, "persons:\n  alice: {principals: ['unix:1']}\n  bob: {principals: ['unix:2']}\n").await;
    let app = place.decided().await;
    let (options, client) = (place.options(Listen::Socket(place.socket())), Client::socket(place.socket()));
    let daemon = Place::serving_app(app, options, client).await;
    assert_eq!(daemon.client.get("/readyz").await.ok(), json!({ "ready": true }));
    daemon.stop().await;

    // The decision program is not where it should be.
    let mut app = place.decided().await;
    app.gate = app.gate.asking(place.keys.path().join("nothing-here"));
    let (options, client) = (place.options(Listen::Socket(place.socket())), Client::socket(place.socket()));
    let daemon = Place::serving_app(app, options, client).await;
    let answer = daemon.client.get("/readyz").await;
    answer.is_problem(503, "not-ready");
    assert_eq!(answer.body["reasons"], json!(["no-decision"]), "{answer:?}");
    assert_eq!(daemon.client.get("/livez").await.status, 200);
    daemon.stop().await;
}
