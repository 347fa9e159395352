//! The log against libraries that share nothing with the code that wrote it: those of the Go project and of transparency.dev.

use std::io::Write as _;
use std::sync::Arc;
use std::time::Duration;

use remint::evidence::Tiles;
use remint::evidence::witnessing::{Policy, Witnessing};
use remint_evidence_format::cosignature::{Quorum, WitnessKey};
use remint_evidence_format::proof::Proof;
use serde_json::{Value, json};

use super::Log;

/// Where it is.
#[expect(clippy::disallowed_methods, reason = "where the test server is comes from the environment")]
fn server() -> String {
    let Ok(address) = std::env::var("REMINT_TEST_TLOG") else {
        panic!(
            "no independent reader: REMINT_TEST_TLOG is not set; run `cargo xtask test`, or export what `cargo xtask servers \
             up tlog` prints"
        );
    };
    // Past the harness, which hides what a passing test prints.
    writeln!(std::io::stderr(), "SERVER tlog").unwrap();
    address
}

async fn post(path: &str, body: String) -> (u16, String) {
    let client = reqwest::Client::builder().no_proxy().build().unwrap();
    let answer = client.post(format!("{}/{path}", server())).body(body).send().await.unwrap();
    (answer.status().as_u16(), answer.text().await.unwrap())
}

#[tokio::test]
async fn an_independent_witness_cosigns_and_an_independent_reader_verifies_all_of_it() {
    let (log, folder) = (Log::new(), tempfile::tempdir().unwrap());
    let key = reqwest::get(format!("{}/key", server())).await.unwrap().text().await.unwrap();
    assert_eq!(post("trust", log.verifier().to_string()).await.0, 200);
    let quorum = Quorum::new(1, vec![WitnessKey::parse(&key).unwrap()]).unwrap();
    let policy = Policy { quorum, urls: vec![server()], alarm_after: Duration::from_mins(1) };
    let client = Witnessing::new(Arc::clone(&log.store), policy, log.clock()).unwrap();
    let mut sizes = Vec::new();
    for count in [1, 6, 250, 300, 1] {
        log.grow(count).await;
        let round = client.round().await.unwrap().unwrap();
        assert!(round.witnessed.holds(), "{:?}", round.refused);
        sizes.push(round.size);
    }
    log.publish(folder.path()).await;

    let (tiles, tree, signed) = (Tiles::new(Arc::clone(&log.store)), log.tree().await, log.checkpoint().await);
    let (_, note) = log.store.checkpoint().await.unwrap().unwrap();
    let mut proofs = Vec::new();
    for index in [0, 1, 255, 256, 400, 557] {
        let bytes = log.store.sequenced(index, 1).await.unwrap().remove(0).bytes;
        let path = tiles.inclusion(index, signed.size).await.unwrap().unwrap();
        proofs.push(Proof { extra: Some(bytes), index, path, checkpoint: &note }.to_text());
    }
    let mut chain = Vec::new();
    for old in sizes.into_iter().filter(|old| *old < signed.size) {
        let proof = tiles.consistency(old, signed.size).await.unwrap().unwrap();
        let proof: Vec<String> = proof.into_iter().map(|hash| hash.to_base64()).collect();
        let root = tree.root(usize::try_from(old).unwrap()).unwrap().to_base64();
        chain.push(json!({ "Old": old, "Root": root, "Proof": proof }));
    }
    let asked = json!({
        "Folder": folder.path(), "Key": log.verifier().to_string(), "Witnesses": [key], "Proofs": proofs, "Chain": chain,
    });
    let (status, text) = post("check", asked.to_string()).await;
    assert_eq!(status, 200, "{text}");
    let answer: Value = serde_json::from_str(&text).unwrap();
    let expected = json!({ "entries": 558, "inclusion": 6, "consistency": 4, "cosigned": ["independent.example"] });
    assert_eq!(answer, expected);

    // And it would have said so.
    for place in ["/Proofs/3", "/Chain/2/Root", "/Chain/1/Proof/0"] {
        let mut wrong = asked.clone();
        let text = wrong.pointer(place).unwrap().as_str().unwrap();
        let at = text.find("index").map_or(5, |index| index + 30);
        let letter = if &text[at..=at] == "A" { "B" } else { "A" };
        let changed = format!("{}{letter}{}", &text[..at], &text[at + 1..]);
        *wrong.pointer_mut(place).unwrap() = Value::from(changed);
        assert_eq!(post("check", wrong.to_string()).await.0, 422, "{place}");
    }
    let tile = folder.path().join("tile/entries/001");
    let mut bytes = std::fs::read(&tile).unwrap();
    bytes[200] ^= 1;
    std::fs::write(&tile, bytes).unwrap();
    assert_eq!(post("check", asked.to_string()).await.0, 422, "an entry that was changed");
}
