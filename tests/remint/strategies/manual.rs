//! What a person does: asked for, looked at, proven; and what Remint does itself where the issuer lets it.

use std::sync::Arc;
use std::time::Duration;

use remint_contract::TestClock;
use remint_core::machine::{Reason, State};
use remint_core::step::Path;
use remint_fake::world::{Fault, Trouble};

use super::{on, reset, rests};
use crate::crash::crash_here_and_there;
use crate::rig::{Rig, told};
use crate::sorts::{Sort, estate_of};

#[tokio::test]
async fn a_persons_task_has_the_documents_instructions_word_for_word_and_his_word_is_recorded() {
    let mut rig = Rig::with(estate_of(Sort::Manual)).await;
    for credential in rig.estate.credentials.values_mut() {
        credential.rotation.instructions = Some("Call the vendor at extension 4711.\n".to_owned());
    }
    let engine = rig.engine();
    let done = rig.reset(&engine, rig.plan()).await;
    let tasks = engine.tasks(Some(&done.id)).await.unwrap();
    assert!(!tasks.is_empty());
    for task in tasks {
        assert!(task.what.ends_with(". Instructions: Call the vendor at extension 4711."), "{}", task.what);
        let word = task.attested.unwrap();
        assert_eq!((word.by.as_str(), word.words.as_str()), ("somebody", "done"));
    }
    let told = told(&engine, &done.id).await;
    let attested =
        |(word, _, body): &&(String, String, serde_json::Value)| word == "task.attested" && body["by"] == "somebody";
    assert!(told.iter().filter(attested).count() > 0, "the evidence does not say who");
}

#[tokio::test]
async fn a_task_that_nobody_does_in_time_is_said_to_be_overdue_once() {
    let mut rig = Rig::with(estate_of(Sort::Manual)).await;
    for credential in rig.estate.credentials.values_mut() {
        credential.rotation.due = Some(Duration::from_hours(1));
    }
    let engine = rig.engine();
    let id = rig.approved(&engine, rig.plan()).await;
    engine.run(&id).await.unwrap();
    let open = engine.tasks(Some(&id)).await.unwrap();
    let now = engine.context.clock.now();
    assert!(!open.is_empty() && open.iter().all(|task| task.due.is_some_and(|due| due > now)), "{open:?}");
    assert!(open.iter().all(|task| task.standing(now).starts_with("open, due ")), "{open:?}");
    assert_eq!(engine.remind().await.unwrap(), []);
    let mut later = engine.clone();
    later.context.clock = Arc::new(TestClock::new(now + Duration::from_hours(2)));
    let overdue: Vec<_> = later.remind().await.unwrap().into_iter().map(|task| task.id).collect();
    assert_eq!(overdue, open.iter().map(|task| task.id.clone()).collect::<Vec<_>>());
    assert_eq!(later.remind().await.unwrap(), []);
    let said = told(&engine, &id).await.into_iter().filter(|(kind, ..)| kind == "task.overdue").count();
    assert_eq!(said, open.len());
    let after = later.context.clock.now();
    assert!(engine.tasks(Some(&id)).await.unwrap()[0].standing(after).starts_with("OVERDUE since "));
    // Late is not never.
    rig.drive(&engine, &id).await.unwrap();
    assert_eq!(later.remind().await.unwrap(), []);
}

#[tokio::test]
async fn what_a_person_does_is_replaced_and_proven_dead() {
    reset(Sort::Manual, Path::Rolling).await;
}

#[tokio::test]
async fn what_a_person_does_is_contained() {
    reset(Sort::Manual, Path::Contain).await;
}

/// What a person was asked for, and when the value was shown to the issuer, counted in entries.
async fn handed_in(path: Path) -> (Vec<String>, usize, usize) {
    let rig = reset(Sort::HandedIn, path).await;
    let engine = rig.engine();
    let id = engine.resets().await.unwrap()[0].id.clone();
    let tasks = engine.tasks(Some(&id)).await.unwrap();
    let old = if path == Path::Contain { "the old one is dead already" } else { "leave the old one alive" };
    assert!(tasks[0].what.ends_with(old), "{}", tasks[0].what);
    let asked: Vec<_> = tasks.into_iter().map(|task| task.id).collect();
    let told = told(&engine, &id).await;
    let ended = |(kind, _, body): &(String, String, serde_json::Value)| {
        kind == "effect.done" && body["verb"] == "revoke-value" && body["version"].is_string()
    };
    let at = told.iter().position(ended).unwrap();
    assert_eq!(told.iter().filter(|entry| ended(entry)).count(), 1);
    (asked, at, told.iter().position(|(kind, ..)| kind == "task.opened").unwrap())
}

#[tokio::test]
async fn where_the_issuer_takes_back_what_it_is_shown_a_person_only_makes_the_new_value() {
    let (asked, ended, opened) = handed_in(Path::Rolling).await;
    assert!(asked.len() == 1 && asked[0].ends_with("-mint"), "{asked:?}");
    assert!(opened < ended, "the old one ended before anybody was asked for another");
}

#[tokio::test]
async fn what_a_person_makes_is_contained_before_anybody_is_asked() {
    let (asked, ended, opened) = handed_in(Path::Contain).await;
    assert!(asked.len() == 1 && asked[0].ends_with("-mint"), "{asked:?}");
    assert!(ended < opened, "somebody was waited for");
}

#[tokio::test]
async fn what_is_shown_to_its_issuer_survives_crashes() {
    crash_here_and_there(estate_of(Sort::HandedIn), Path::Rolling).await;
    crash_here_and_there(estate_of(Sort::HandedIn), Path::Contain).await;
}

#[tokio::test]
async fn an_issuer_that_lies_about_what_it_was_shown_is_found_out() {
    let rig = Rig::with(estate_of(Sort::HandedIn)).await;
    rig.issuer.fault(Fault::on("revoke-value", Trouble::Lie).times(1));
    let engine = rig.engine();
    let done = rig.reset(&engine, on(&rig, Path::Contain)).await;
    let records = engine.rotations(&done.id).await.unwrap();
    let alive = |state: &State| matches!(state, State::Parked { reason: Reason::Alive { .. }, .. });
    assert!(records.iter().all(|record| alive(&record.rotation.state)), "{records:#?}");
}

#[tokio::test]
async fn what_a_person_does_survives_crashes() {
    crash_here_and_there(estate_of(Sort::Manual), Path::Rolling).await;
}

#[tokio::test]
async fn a_person_who_says_done_without_doing_it_is_found_out() {
    let rig = Rig::with(estate_of(Sort::Manual)).await;
    let engine = rig.engine();
    let id = rig.approved(&engine, on(&rig, Path::Rolling)).await;
    engine.run(&id).await.unwrap();
    let State::Parked { reason: Reason::Task { what }, .. } = rests(&engine, &id).await else { panic!() };
    assert!(
        what.starts_with(
            "make a new value of Credential/app0 at System/bank, target app0; write it to System/shelf:apps/0"
        ),
        "{what}"
    );
    let task = engine.tasks(Some(&id)).await.unwrap().remove(0);
    engine.attest(&task.id, "somebody", "done").await.unwrap();
    engine.run(&id).await.unwrap();
    let State::Parked { reason: Reason::Failed { what }, .. } = rests(&engine, &id).await else { panic!() };
    assert!(what.contains("the old value is still at"), "{what}");
    assert!(rig.issuer.accepts(&rig.value(0)));
}
