//! Whom entries call: alarms and tasks in the events of a governed state, for who wants those alone.

use std::sync::{Arc, Mutex};

use async_trait::async_trait;
use jiff::Timestamp;
use remint::stream::{Event, Sender, Sink, Undelivered, Wanted};

use super::state::Governed;

#[derive(Default, Clone)]
struct Kept(Arc<Mutex<Vec<Event>>>);

#[async_trait]
impl Sink for Kept {
    async fn send(&self, event: &Event, _: Timestamp) -> Result<(), Undelivered> {
        self.0.lock().unwrap().push(event.clone());
        Ok(())
    }
}

#[tokio::test]
async fn a_stream_of_alarms_and_tasks_has_the_request_and_the_broken_glass_with_what_to_do() {
    let governed = Governed::new(1, 2).await;
    let asked = governed.asked(governed.rig.plan()).await;
    let request = governed.request(governed.rig.plan());
    let broken = request.id.clone();
    governed.app.engine.break_glass(request, None, governed.party("bob").await).await.unwrap();
    governed.app.sequencer.flush().await.unwrap();
    let kept = Kept::default();
    let (store, clock) = (Arc::clone(&governed.app.engine.store), Arc::clone(&governed.app.engine.context.clock));
    let wanted = Wanted(vec!["alarm".to_owned(), "task".to_owned()]);
    let sender = Sender::new("pager", wanted, Box::new(kept.clone()), store, clock, "test", "log.example");
    sender.turn().await.unwrap();
    let events = kept.0.lock().unwrap().clone();
    let told = |kind: &str| {
        let found = events.iter().find(|event| event.kind == format!("dev.remint.{kind}"));
        let event: serde_json::Value = serde_json::from_str(&found.unwrap().body).unwrap();
        (event["remintcall"].as_str().unwrap().to_owned(), event["data"]["next"].as_str().unwrap().to_owned())
    };
    assert_eq!(told("reset.requested"), ("task".to_owned(), format!("remint approve {asked}")));
    let (sort, next) = told("break-glass.used");
    assert!(sort == "alarm" && next.starts_with(&format!("remint review {broken}")), "{next}");
    assert!(events.iter().all(|event| event.kind != "dev.remint.credential.reached"));
    assert!(events.iter().all(|event| !event.body.contains("://")), "nothing can be opened");
}
