//! What is left as it is: approved, owned, for a time; and open again afterwards.

use std::time::Duration;

use remint::engine::EngineError;
use remint::engine::record::ResetStatus;
use remint_contract::Ref;
use remint_evidence_format::outcome::Outcome;

use super::state::Governed;

fn app1() -> Ref {
    "Credential/app1".parse().unwrap()
}

/// Alice asks that app1 stays, and two sign.
async fn excepted(governed: &Governed) -> String {
    let engine = &governed.app.engine;
    let until = engine.context.clock.now() + Duration::from_hours(48);
    let alice = governed.party("alice").await;
    let asked = engine.except(&app1(), "business-of-app1", until, "the vendor needs a day", "alice", Some(alice)).await;
    let exception = asked.unwrap();
    let (id, digest) = (exception.asked.id.clone(), exception.asked.digest());
    for (name, missing) in [("alice", 1), ("bob", 1), ("carol", 0)] {
        let signature = governed.yes(name, &format!("exception {id}"), digest, &exception.asked.file()).await;
        let (_, lacks) = engine.sign_exception(&id, digest, &signature).await.unwrap();
        assert_eq!(lacks.len(), missing, "{name}: {lacks:?}");
    }
    id
}

#[tokio::test]
async fn nothing_is_left_out_of_a_governed_reset_that_nobody_approved() {
    let governed = Governed::new(2, 2).await;
    let request = governed.request(governed.planned(&[app1()]));
    let alice = Some(governed.party("alice").await);
    let urgency = remint::engine::record::Urgency::Incident;
    let refused = governed.app.engine.request_of(request, urgency, None, alice).await.unwrap_err();
    assert!(refused.to_string().contains("nobody approved leaving out Credential/app1"), "{refused}");
}

#[tokio::test]
async fn what_is_excepted_is_listed_with_approver_and_end_and_opens_the_reset_again_when_it_ends() {
    let governed = Governed::new(2, 2).await;
    let engine = &governed.app.engine;
    let exception = excepted(&governed).await;
    assert_eq!(engine.excepted().await.unwrap().into_keys().collect::<Vec<_>>(), [app1()]);
    let id = governed.asked(governed.planned(&[app1()])).await;
    governed.sign(&id, "bob").await;
    governed.sign(&id, "carol").await;
    engine.run(&id).await.unwrap();
    engine.reprove(&id).await.unwrap();
    assert_eq!(engine.reset(&id).await.unwrap().status, ResetStatus::Complete);
    let bundle = governed.exported(&id).await;
    let report = governed.verified(&bundle);
    let text = report.render();
    assert!(report.ok, "{text}");
    assert!(text.contains("Credential/app1: NOT replaced, excepted by bob, carol until 2027-06-03T12:00"), "{text}");
    assert!(text.contains("alice, bob, carol signed with keys of their own that it is left as it is"), "{text}");
    assert!(text.contains("owned by business-of-app1"), "{text}");
    // Before its end nothing ends; at its end the reset is open, and says why.
    assert_eq!(engine.end_exceptions().await.unwrap(), 0);
    governed.clock.to("2027-06-03T12:00:10Z");
    assert_eq!(engine.end_exceptions().await.unwrap(), 1);
    assert_eq!(engine.end_exceptions().await.unwrap(), 0, "once");
    assert!(engine.excepted().await.unwrap().is_empty());
    let reset = engine.reset(&id).await.unwrap();
    assert_eq!(reset.status, ResetStatus::Running, "somebody looks at it again");
    engine.run(&id).await.unwrap();
    assert_eq!(engine.reset(&id).await.unwrap().status, ResetStatus::Resting);
    let report = governed.verified(&governed.exported(&id).await);
    assert!(!report.ok && report.integrity, "{}", report.render());
    assert!(report.render().contains(&format!("the exception {exception} of business-of-app1 has ended")));
    let bundle = governed.exported(&id).await;
    let ledger = bundle.ledger().unwrap();
    assert!(matches!(ledger.rows()["Credential/app1"].outcome, Outcome::Task { by: None, .. }));
    // Somebody attests that it was replaced, and the reset is complete anew.
    let task = engine.tasks(Some(&id)).await.unwrap().remove(0);
    engine.attest(&task.id, "bob", "replaced by another reset").await.unwrap();
    engine.run(&id).await.unwrap();
    while engine.reset(&id).await.unwrap().status == ResetStatus::Provisional {
        engine.reprove(&id).await.unwrap();
    }
    let report = governed.verified(&governed.exported(&id).await);
    assert!(report.ok, "{}", report.render());
}

#[tokio::test]
async fn an_exception_has_an_owner_an_end_and_is_signed_as_it_stands() {
    let governed = Governed::new(2, 2).await;
    let engine = &governed.app.engine;
    let now = engine.context.clock.now();
    let ask = async |owner: &str, until| {
        let alice = Some(governed.party("alice").await);
        engine.except(&app1(), owner, until, "why", "alice", alice).await
    };
    assert!(matches!(ask(" ", now + Duration::from_hours(1)).await, Err(EngineError::Refused(_))));
    assert!(matches!(ask("owner", now).await, Err(EngineError::Refused(_))));
    assert!(matches!(ask("owner", now + Duration::from_hours(91 * 24)).await, Err(EngineError::Refused(_))));
    let (one, other) = (
        ask("owner", now + Duration::from_hours(1)).await.unwrap(),
        ask("another", now + Duration::from_hours(2)).await.unwrap(),
    );
    // What was signed of one is nothing to the other.
    let signature =
        governed.yes("bob", &format!("exception {}", one.asked.id), one.asked.digest(), &one.asked.file()).await;
    let refused = engine.sign_exception(&other.asked.id, one.asked.digest(), &signature).await.unwrap_err();
    assert!(refused.to_string().contains("look at it, and sign that"), "{refused}");
    // Ended before its time.
    assert_eq!(engine.end_exception(&app1(), "bob", "not needed").await.unwrap(), 2);
    let over = engine.sign_exception(&one.asked.id, one.asked.digest(), &signature).await.unwrap_err();
    assert!(over.to_string().contains("waits for nobody"), "{over}");
}
