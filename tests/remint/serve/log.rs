//! The log through the daemon's door.

use remint_evidence_format::checkpoint::Checkpoint;
use remint_evidence_format::note::Note;
use remint_evidence_format::tile;
use serde_json::json;

use super::{Place, until};

#[tokio::test]
async fn the_log_is_fetched_as_tiles_and_verifies() {
    let place = Place::new(1).await;
    let daemon = place.serve().await;
    let signed = until("something is signed", async || {
        let answer = daemon.client.get("/v1/log/checkpoint").await;
        (answer.status == 200).then_some(answer)
    })
    .await;
    assert_eq!(signed.kind, "text/plain; charset=utf-8");
    let checkpoint = Checkpoint::parse(Note::parse(signed.text.as_bytes()).unwrap().text).unwrap();
    let mut tiles = std::collections::BTreeMap::new();
    for tile in tile::of_tree(checkpoint.size) {
        let answer = daemon.client.get(&format!("/v1/log/{tile}")).await;
        assert_eq!((answer.status, answer.kind.as_str()), (200, "application/octet-stream"), "{tile}");
        tiles.insert(tile, answer.bytes.to_vec());
    }
    assert_eq!(tile::audit(&checkpoint, &[], |tile| tiles.get(tile).cloned().ok_or_else(String::new)), []);
    for beyond in ["tile/0/001", "tile/0/000", "tile/entries/000.p/250", "tile/0/0", "tile/9", "other"] {
        let answer = daemon.client.get(&format!("/v1/log/{beyond}")).await;
        assert_eq!((answer.status, answer.kind.as_str()), (404, "application/problem+json"), "{beyond}");
    }
    let numbers = daemon.client.get("/metrics").await;
    assert!(numbers.text.contains("\nremint_log_entries "), "{}", numbers.text);
    assert!(!numbers.text.contains("unwitnessed"), "nobody is asked, so there is no age: {}", numbers.text);
    daemon.stop().await;
}

#[tokio::test]
async fn reads_are_counted_beside_the_tree() {
    let place = Place::new(1).await;
    let daemon = place.serve().await;
    for path in ["/v1/resets", "/v1/resets", "/v1/nothing", "/v1/estate"] {
        daemon.client.get(path).await;
    }
    daemon.client.post("/v1/resets", &serde_json::json!({})).await;
    daemon.stop().await;
    let daemon = place.serve().await;
    let days = daemon.client.get("/v1/reads").await.ok();
    let counts = days[0]["counts"].as_object().unwrap();
    assert_eq!((&counts["resets"], &counts["estate"]), (&serde_json::json!(2), &serde_json::json!(1)), "{days}");
    assert!(!counts.contains_key("nothing"), "{days}");
    daemon.stop().await;
}

/// What the loopback door refused is one entry, however often somebody knocked.
pub(super) async fn seven_refusals_are_one_entry(place: &Place) {
    let app = place.open().await;
    let all = app.engine.store.sequenced(0, usize::MAX).await.unwrap();
    let entries = all.iter().map(|stored| remint_evidence_format::entry::parse(&stored.bytes).unwrap());
    let refused: Vec<_> =
        entries.filter(|entry| entry.kind == "access.refused").map(|entry| entry.body().unwrap()).collect();
    assert_eq!(refused.len(), 1, "{refused:?}");
    let (source, count, why) = (&refused[0]["source"], &refused[0]["count"], &refused[0]["why"]);
    assert_eq!((source, count, why), (&json!("127.0.0.1"), &json!(7), &json!({ "host": 1, "token": 6 })));
}
