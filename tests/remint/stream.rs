//! Events to a webhook and a file: signed, in order, tried again, given up on; over real sockets.

use std::collections::VecDeque;
use std::net::SocketAddr;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use axum::extract::State;
use axum::http::{HeaderMap, StatusCode};
use remint::evidence::Sequencer;
use remint::store::sqlite::SqliteStore;
use remint::store::{Change, Store};
use remint::stream::{FileSink, Secret, Sender, Sink, Wanted, Webhook};
use remint_contract::{Clock, TestClock};
use remint_evidence_format::note::SigningKey;
use serde_json::Value;
use zeroize::Zeroizing;

use crate::store::{at, draft};

pub(crate) const SECRET: &str = "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw";

fn secret() -> Secret {
    Secret::parse(SECRET).unwrap()
}

/// What came in, and what to say next; `200` when nothing is left to say.
#[derive(Default)]
pub(crate) struct Inbox {
    pub(crate) came: Vec<(HeaderMap, String)>,
    answers: VecDeque<u16>,
}

pub(crate) async fn inbox(answers: &[u16]) -> (SocketAddr, Arc<Mutex<Inbox>>) {
    let inbox = Arc::new(Mutex::new(Inbox { came: Vec::new(), answers: answers.iter().copied().collect() }));
    let take = |State(inbox): State<Arc<Mutex<Inbox>>>, headers: HeaderMap, body: String| async move {
        let mut inbox = inbox.lock().unwrap();
        let answer = inbox.answers.pop_front().unwrap_or(200);
        if answer == 200 {
            inbox.came.push((headers, body));
        }
        StatusCode::from_u16(answer).unwrap()
    };
    let router = axum::Router::new().route("/hook", axum::routing::post(take)).with_state(Arc::clone(&inbox));
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    tokio::spawn(async move { axum::serve(listener, router).await.unwrap() });
    (address, inbox)
}

struct Log {
    store: Arc<SqliteStore>,
    clock: Arc<TestClock>,
}

impl Log {
    fn new() -> Self {
        Self { store: Arc::new(SqliteStore::open_in_memory().unwrap()), clock: Arc::new(TestClock::new(at(0))) }
    }

    async fn tell(&self, count: u64) {
        let entries = (0..count).map(|turn| draft(Some("r1"), turn)).collect();
        self.store.commit(Change { entries, ..Change::default() }).await.unwrap();
        self.place().await;
    }

    async fn place(&self) {
        let key = Arc::new(SigningKey::from_seed("log.example", Zeroizing::new([7; 32])).unwrap());
        let clock: Arc<dyn Clock> = Arc::clone(&self.clock) as _;
        Sequencer::new(Arc::clone(&self.store) as _, key, clock, "a").flush().await.unwrap();
    }

    fn sender(&self, sink: impl Sink + 'static, holder: &str) -> Sender {
        let (store, clock) = (Arc::clone(&self.store) as Arc<dyn Store>, Arc::clone(&self.clock) as Arc<dyn Clock>);
        Sender::new("siem", Wanted::default(), Box::new(sink), store, clock, holder, "log.example")
    }

    /// Kinds of the entries of no reset.
    async fn own(&self) -> Vec<String> {
        let all = self.store.sequenced(0, usize::MAX).await.unwrap();
        let own = all.iter().filter(|stored| stored.reset.is_none());
        own.map(|stored| remint_evidence_format::entry::parse(&stored.bytes).unwrap().kind.to_string()).collect()
    }
}

fn hook(address: SocketAddr) -> Webhook {
    Webhook::new(&format!("http://{address}/hook"), secret()).unwrap()
}

#[tokio::test]
async fn every_entry_comes_once_in_order_signed_and_as_a_cloudevent() {
    let (log, (address, inbox)) = (Log::new(), inbox(&[]).await);
    log.tell(3).await;
    let sender = log.sender(hook(address), "a");
    assert_eq!(sender.turn().await.unwrap(), 3);
    assert_eq!(sender.turn().await.unwrap(), 0);
    log.tell(2).await;
    // A process that begins anew goes on where the last one stood.
    assert_eq!(log.sender(hook(address), "a").turn().await.unwrap(), 2);
    let inbox = inbox.lock().unwrap();
    assert_eq!(inbox.came.len(), 5);
    for (index, (headers, body)) in inbox.came.iter().enumerate() {
        let event: Value = serde_json::from_str(body).unwrap();
        let id = format!("log.example/{index}");
        assert_eq!((event["specversion"].as_str(), event["id"].as_str()), (Some("1.0"), Some(id.as_str())));
        assert!(event["type"].as_str().unwrap().starts_with("dev.remint."), "{event}");
        assert_eq!(
            (event["data"]["index"].as_u64(), event["data"]["reset"].as_str()),
            (Some(index as u64), Some("r1"))
        );
        let header = |name: &str| headers[name].to_str().unwrap().to_owned();
        assert_eq!(header("webhook-id"), id);
        let second: i64 = header("webhook-timestamp").parse().unwrap();
        assert_eq!(header("webhook-signature"), secret().sign(&id, second, body));
    }
}

#[tokio::test]
async fn what_is_not_taken_is_tried_again_ever_later_and_nothing_passes_it() {
    let (log, (address, inbox)) = (Log::new(), inbox(&[503, 429, 500]).await);
    log.tell(2).await;
    let sender = log.sender(hook(address), "a");
    for wait in [1, 2, 4] {
        assert_eq!(sender.turn().await.unwrap(), 0);
        log.clock.advance(Duration::from_millis(wait * 1000 - 1));
        assert_eq!(sender.turn().await.unwrap(), 0);
        assert!(inbox.lock().unwrap().came.is_empty());
        log.clock.advance(Duration::from_millis(1));
    }
    assert_eq!(sender.turn().await.unwrap(), 2);
    assert_eq!(log.own().await, Vec::<String>::new(), "nothing was given up on");
}

#[tokio::test]
async fn what_is_never_taken_becomes_a_dead_letter_that_is_kept_and_told() {
    let (log, (address, inbox)) = (Log::new(), inbox(&[400]).await);
    log.tell(2).await;
    let sender = log.sender(hook(address), "a");
    assert_eq!(sender.turn().await.unwrap(), 0);
    assert_eq!(sender.turn().await.unwrap(), 1, "the next one goes on");
    let letters = log.store.list("dead-letter", Some("siem")).await.unwrap();
    assert_eq!(letters.len(), 1);
    assert_eq!(
        (letters[0].body["event"].as_str(), letters[0].body["attempts"].as_u64()),
        (Some("log.example/0"), Some(1))
    );
    log.place().await;
    assert_eq!(log.own().await, ["stream.dead-lettered"]);
    // Which is not itself an event: a receiver that refuses all would never be left alone.
    assert_eq!(sender.turn().await.unwrap(), 0);
    assert_eq!(inbox.lock().unwrap().came.len(), 1);
}

#[tokio::test]
async fn an_address_that_never_answers_is_given_up_on_after_hours() {
    let log = Log::new();
    log.tell(1).await;
    let nobody = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap().local_addr().unwrap();
    let sender = log.sender(hook(nobody), "a");
    let mut turns = 0;
    while log.store.list("dead-letter", None).await.unwrap().is_empty() {
        sender.turn().await.unwrap();
        log.clock.advance(Duration::from_hours(1));
        turns += 1;
        assert!(turns < 50);
    }
    assert_eq!(turns, 22);
}

#[tokio::test]
async fn of_two_replicas_one_sends() {
    let (log, (address, inbox)) = (Log::new(), inbox(&[]).await);
    log.tell(1).await;
    let (one, two) = (log.sender(hook(address), "one"), log.sender(hook(address), "two"));
    assert_eq!(one.turn().await.unwrap(), 1);
    log.tell(1).await;
    assert_eq!(two.turn().await.unwrap(), 0);
    assert_eq!(one.turn().await.unwrap(), 1);
    assert_eq!(inbox.lock().unwrap().came.len(), 2);
}

#[tokio::test]
async fn a_file_has_one_signed_object_a_line() {
    let log = Log::new();
    log.tell(2).await;
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("events.jsonl");
    let wanted = Wanted(Vec::new());
    let (store, clock) = (Arc::clone(&log.store) as Arc<dyn Store>, Arc::clone(&log.clock) as Arc<dyn Clock>);
    let sink = Box::new(FileSink::new(path.clone(), secret()));
    let sender = Sender::new("file", wanted, sink, store, clock, "a", "log.example");
    assert_eq!(sender.turn().await.unwrap(), 2);
    let text = std::fs::read_to_string(&path).unwrap();
    assert_eq!(text.lines().count(), 2);
    for line in text.lines() {
        let event: Value = serde_json::from_str(line).unwrap();
        let (body, _) = line.rsplit_once(",\"signature\":").unwrap();
        let second: i64 = event["signedat"].as_str().unwrap().parse().unwrap();
        let signed = secret().sign(event["id"].as_str().unwrap(), second, &format!("{body}}}"));
        assert_eq!(event["signature"].as_str(), Some(signed.as_str()));
    }
    let mode = std::os::unix::fs::PermissionsExt::mode(&path.metadata().unwrap().permissions());
    assert_eq!(mode & 0o777, 0o600);
}

#[tokio::test]
async fn a_dead_letter_is_tried_again_when_somebody_asks_and_is_gone_when_it_was_taken() {
    let (log, (address, inbox)) = (Log::new(), inbox(&[400, 403, 503, 400]).await);
    log.tell(3).await;
    let sender = log.sender(hook(address), "a");
    // Two are refused for good, and the third waits; then that is refused, too.
    for _ in 0..3 {
        assert_eq!(sender.turn().await.unwrap(), 0);
    }
    let standing = sender.status().await.unwrap();
    assert_eq!((standing.sent, standing.waiting, standing.dead), (0, 1, 2));
    assert!(standing.last_error.unwrap().contains("503"));
    log.clock.advance(Duration::from_secs(1));
    assert_eq!(sender.turn().await.unwrap(), 0);
    assert_eq!(sender.status().await.unwrap().dead, 3);

    // The address takes none now: the first says so, and the others are left alone.
    inbox.lock().unwrap().answers = [503].into();
    let retried = sender.retry().await.unwrap();
    assert_eq!((retried.delivered, retried.dead), (0, 3));
    assert!(retried.why.unwrap().contains("503") && inbox.lock().unwrap().came.is_empty());
    // It takes all but one.
    inbox.lock().unwrap().answers = [200, 400, 200].into();
    let retried = sender.retry().await.unwrap();
    assert_eq!((retried.delivered, retried.dead), (2, 1));
    let ids: Vec<String> = {
        let inbox = inbox.lock().unwrap();
        inbox.came.iter().map(|(headers, _)| headers["webhook-id"].to_str().unwrap().to_owned()).collect()
    };
    assert_eq!(ids, ["log.example/0", "log.example/2"]);
    let retried = sender.retry().await.unwrap();
    assert_eq!((retried.delivered, retried.dead, retried.why), (1, 0, None));
    assert_eq!(sender.retry().await.unwrap().delivered, 0);
    log.place().await;
    let own = log.own().await;
    assert_eq!(own.iter().filter(|kind| *kind == "stream.delivered-late").count(), 3);
}
