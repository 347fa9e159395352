//! The folder that the daemon watches, and who reads it.

use std::os::unix::fs::PermissionsExt as _;

use remint::app::AppError;
use remint::serve::{Listen, Reader, Reading, ServeError, serve};
use remint_core::digest::Digest;
use serde_json::{Value, json};

use crate::rig::OnlyFake;

use super::{Place, ask, until};

#[tokio::test]
async fn a_broken_edit_is_shown_with_its_position_and_the_last_good_estate_stays() {
    let place = Place::new(1).await;
    let daemon = place.serve().await;
    let good = daemon.client.get("/v1/estate").await.ok();
    assert_eq!((&good["staged"], &good["problems"]), (&Value::Null, &json!([])));
    place.write(&place.documents().replace("consumedBy: [w0]", "consumedBy: [nobody]"));
    let broken = until("the problem shows", async || {
        let shown = daemon.client.get("/v1/estate").await.ok();
        (shown["problems"] != json!([])).then_some(shown)
    })
    .await;
    assert_eq!(broken["active"], good["active"]);
    let problem = &broken["problems"][0]["problem"];
    assert!(problem["line"].as_u64().unwrap() > 0 && problem["column"].as_u64().unwrap() > 0, "{problem}");
    assert!(broken["problems"][0]["text"].as_str().unwrap().contains("nobody"), "{broken}");
    // The last good estate is what resets are planned from.
    daemon.client.post("/v1/resets", &ask("inc-7", &["Credential/app0"])).await;
    daemon.status("inc-7", "complete").await;
    place.write(&place.documents());
    until("the folder is good again", async || (daemon.client.get("/v1/estate").await.ok() == good).then_some(()))
        .await;
    daemon.stop().await;
}

#[tokio::test]
async fn a_change_of_authority_waits_for_a_word_on_exactly_it() {
    let place = Place::new(1).await;
    let daemon = place.serve().await;
    let before = daemon.client.get("/v1/estate").await.ok();
    // Without authority: nobody is asked.
    place.write(&place.documents().replacen("concurrency: 64", "concurrency: 63", 1));
    let calm = daemon.client.get("/v1/estate").await.ok();
    assert_ne!(calm["active"], before["active"]);
    assert_eq!(calm["staged"], Value::Null);
    // With it: staged, and shown as what it is.
    place.write(&place.documents().replace("tier: standard", "tier: privileged"));
    let staged = daemon.client.get("/v1/estate").await.ok();
    assert_eq!(staged["active"], calm["active"]);
    assert!(staged["diff"].as_str().unwrap().contains("! ~ Identity/apps tier"), "{staged}");
    let wrong = json!({ "digest": before["active"] });
    daemon.client.post("/v1/estate/activate", &wrong).await.is_problem(409, "other-estate");
    let word = json!({ "digest": staged["staged"] });
    assert_eq!(daemon.client.post("/v1/estate/activate", &word).await.ok()["active"], staged["staged"]);
    daemon.client.post("/v1/estate/activate", &word).await.is_problem(409, "nothing-staged");
    // From now on its credentials are privileged, which has to be said.
    let refused = daemon.client.post("/v1/resets", &ask("inc-8", &["Credential/app0"])).await;
    refused.is_problem(403, "privileged");
    daemon.stop().await;
}

#[tokio::test]
async fn a_folder_without_an_estate_is_no_reason_to_start() {
    let place = Place::new(1).await;
    place.write("kind: Nonsense\n");
    let refused = serve(place.open().await, place.options(Listen::Socket(place.socket())), async {}).await;
    assert!(matches!(refused, Err(ServeError::App(AppError::Problems(_)))), "{refused:?}");
    assert!(!place.socket().exists());
}

/// A program that answers this, whatever folder it is asked about.
fn saying(place: &Place, name: &str, answer: &str) -> Reader {
    let path = place.keys.path().join(name);
    std::fs::write(&path, format!("#!/bin/sh\n/bin/cat <<'END'\n{answer}\nEND\n")).unwrap();
    std::fs::set_permissions(&path, std::fs::Permissions::from_mode(0o700)).unwrap();
    Reader::Program(path)
}

async fn shown_by(place: &Place, reader: Reader) -> Value {
    let mut options = place.options(Listen::Socket(place.socket()));
    options.reader = reader;
    let daemon = place.serve_with(options).await;
    let shown = daemon.client.get("/v1/estate").await.ok();
    daemon.stop().await;
    shown
}

/// Only what another process says can tell that the folder is as it was: here it lies, and is believed.
#[tokio::test]
async fn what_is_active_already_is_not_read_by_the_daemon_itself() {
    let place = Place::new(1).await;
    let daemon = place.serve().await;
    let good = daemon.client.get("/v1/estate").await.ok();
    daemon.stop().await;
    let Reading::Good { documents, .. } = Reading::of(place.estate.path(), &OnlyFake::default()) else {
        panic!("the folder is good");
    };
    place.write(&place.documents().replace("tier: standard", "tier: privileged"));
    let answer = |documents| serde_json::to_string(&Reading::Good { documents, notes: Vec::new() }).unwrap();
    let unread = shown_by(&place, saying(&place, "lies", &answer(documents))).await;
    assert_eq!((&unread["active"], &unread["staged"]), (&good["active"], &Value::Null));
    // Of anything else it is told the daemon convinces itself.
    let read = shown_by(&place, saying(&place, "else", &answer(Digest::of(b"another")))).await;
    assert_eq!(read["active"], good["active"]);
    assert!(read["diff"].as_str().unwrap().contains("! ~ Identity/apps tier"), "{read}");
}

#[tokio::test]
async fn a_folder_that_no_other_process_can_read_is_read_by_the_daemon() {
    let place = Place::new(1).await;
    let good = shown_by(&place, Reader::Here).await;
    let nowhere = Reader::Program(place.keys.path().join("nowhere"));
    let failing = Reader::Program("/bin/false".into());
    for reader in [nowhere, failing, saying(&place, "nonsense", "nonsense")] {
        place.write(&place.documents().replace("consumedBy: [w0]", "consumedBy: [nobody]"));
        let broken = shown_by(&place, reader.clone()).await;
        assert!(broken["problems"][0]["text"].as_str().unwrap().contains("nobody"), "{reader:?}: {broken}");
        place.write(&place.documents());
        assert_eq!(shown_by(&place, reader).await, good);
    }
}
