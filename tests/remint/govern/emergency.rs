//! Breaking the glass: at once, alone, loud; and nobody twice without another person's look.

use remint::engine::EngineError;
use remint::engine::record::{Reset, ResetStatus};
use remint_contract::ResetId;
use remint_core::approval::Party;

use super::state::Governed;
use crate::rig::{assert_settled, told};

async fn broken(governed: &Governed, name: &str) -> Result<Reset, EngineError> {
    let request = governed.request(governed.rig.plan());
    governed.app.engine.break_glass(request, None, governed.party(name).await).await
}

async fn review(governed: &Governed, id: &ResetId, name: &str) -> Result<(), EngineError> {
    let party = governed.party(name).await;
    governed.app.engine.review(id, &party, "the runner was compromised indeed").await.map(drop)
}

#[tokio::test]
async fn one_person_starts_at_once_everybody_is_told_and_the_bundle_waits_for_the_review() {
    let governed = Governed::new(1, 2).await;
    let engine = &governed.app.engine;
    let old = [governed.rig.value(0)];
    let id = broken(&governed, "alice").await.unwrap().id;
    let reset = engine.run(&id).await.unwrap();
    assert_settled(&governed.rig, engine, &reset, &old, "with the glass broken").await;
    engine.reprove(&id).await.unwrap();
    let used = told(engine, &id).await.into_iter().find(|(kind, ..)| kind == "break-glass.used").unwrap();
    assert_eq!(used.2["person"], "alice");
    let report = governed.verified(&governed.exported(&id).await);
    assert!(!report.ok && report.integrity, "{}", report.render());
    assert!(
        report.render().contains("the glass was broken for it, and nobody reviewed that yet"),
        "{}",
        report.render()
    );
    // Nobody reviews himself, and nobody whom the table does not know.
    assert!(review(&governed, &id, "alice").await.is_err());
    let unmapped = Party::Unmapped { principal: "oidc:somebody".to_owned() };
    assert!(engine.review(&id, &unmapped, "fine").await.is_err());
    review(&governed, &id, "bob").await.unwrap();
    assert!(review(&governed, &id, "carol").await.is_err(), "once");
    let report = governed.verified(&governed.exported(&id).await);
    let text = report.render();
    assert!(report.ok, "{text}");
    assert!(text.contains("by way of break-glass") && text.contains("reviewed afterwards by bob"), "{text}");
}

#[tokio::test]
async fn nobody_breaks_the_glass_twice_without_a_review() {
    let governed = Governed::new(1, 2).await;
    let first = broken(&governed, "alice").await.unwrap().id;
    // Within the hours of the first he may go on, and has no longer for it.
    let more = broken(&governed, "alice").await.unwrap();
    assert!(more.case.is_some());
    governed.clock.to("2027-06-01T17:00:00Z");
    let again = broken(&governed, "alice").await.unwrap_err();
    assert!(
        again.to_string().contains("alice broke the glass for reset") && again.to_string().contains("remint review")
    );
    // Somebody else may, as long as no review is overdue.
    let other = broken(&governed, "bob").await.unwrap().id;
    assert_eq!(governed.app.engine.alarm_reviews().await.unwrap(), 0);
    governed.clock.to("2027-06-04T12:00:10Z");
    assert_eq!(governed.app.engine.alarm_reviews().await.unwrap(), 2, "those of the first hours");
    let late = broken(&governed, "carol").await.unwrap_err();
    assert!(late.to_string().contains("as long as a review is overdue"), "{late}");
    // It was told once each.
    governed.app.engine.alarm_reviews().await.unwrap();
    let entries = governed.app.engine.store.unsequenced(10_000).await.unwrap();
    let overdue = entries.iter().filter(|entry| String::from_utf8_lossy(&entry.bytes).contains("break-glass.overdue"));
    assert_eq!(overdue.count(), 2);
    for id in [&first, &more.id] {
        review(&governed, id, "carol").await.unwrap();
    }
    broken(&governed, "alice").await.unwrap();
    review(&governed, &other, "alice").await.unwrap();
}

#[tokio::test]
async fn what_did_not_begin_while_the_glass_was_broken_takes_the_persons_that_it_always_takes() {
    let governed = Governed::new(1, 2).await;
    let engine = &governed.app.engine;
    let id = broken(&governed, "alice").await.unwrap().id;
    governed.clock.to("2027-06-01T16:00:10Z");
    engine.run(&id).await.unwrap();
    assert_eq!(engine.reset(&id).await.unwrap().status, ResetStatus::Resting);
    let parked = super::parked(engine, &id).await;
    assert!(
        parked.iter().all(|(_, what)| what.as_ref().is_some_and(|what| what.contains("2 more persons of 2"))),
        "{parked:?}"
    );
    let unmapped = Party::Unmapped { principal: "oidc:somebody".to_owned() };
    let request = governed.request(governed.rig.plan());
    assert!(engine.break_glass(request, None, unmapped).await.unwrap_err().to_string().contains("no person"));
}
