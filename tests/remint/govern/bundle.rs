//! A governed reset from request to bundle: what persons signed verifies without Remint, and is bound to what they saw.

use remint::govern::GateError;
use remint::report::render;
use remint_core::digest::Digest;

use super::state::Governed;
use crate::rig::assert_settled;

fn why(error: &GateError) -> String {
    error.to_string()
}

#[tokio::test]
async fn two_persons_sign_a_reset_runs_and_an_auditor_checks_their_signatures_offline() {
    let governed = Governed::new(2, 2).await;
    let old = [governed.rig.value(0), governed.rig.value(1)];
    let id = governed.asked(governed.rig.plan()).await;
    assert_eq!(governed.sign(&id, "alice").await.len(), 1, "who asked does not count");
    assert_eq!(governed.sign(&id, "bob").await.len(), 1);
    assert!(governed.sign(&id, "carol").await.is_empty());
    let engine = &governed.app.engine;
    let reset = engine.run(&id).await.unwrap();
    assert_settled(&governed.rig, engine, &reset, &old, "signed by two").await;
    engine.reprove(&id).await.unwrap();
    let bundle = governed.exported(&id).await;
    let report = governed.verified(&bundle);
    let text = report.render();
    assert!(report.ok && report.governed, "{text}");
    assert!(
        text.contains(
            "2 approved it, none of whom asked for it; 2 signed exactly it with keys of their own: bob, carol"
        ),
        "{text}"
    );
    let page = render(Some(&bundle), &report).unwrap();
    for said in ["<strong>governed</strong>", "Signatures of persons", "signed with a key of his own", "carol (unix:2)"]
    {
        assert!(page.contains(said), "{said}\n{page}");
    }
    // An auditor who knows bob by another key does not believe the one in the bundle.
    let others = governed.persons().into_iter().filter(|key| key.name() != "bob").collect();
    let trust = remint_evidence_format::bundle::Trust {
        persons: others,
        ..remint_evidence_format::bundle::Trust::in_key(Some(governed.app.key.verifier()))
    };
    assert!(!bundle.verify_with(&trust).integrity);
}

#[tokio::test]
async fn a_signature_counts_for_one_plan_one_reset_one_person_and_one_time() {
    let governed = Governed::new(1, 2).await;
    let (one, other) = (governed.asked(governed.rig.plan()).await, governed.asked(governed.rig.plan()).await);
    let (digest, file) = governed.app.engine.reset(&one).await.unwrap().waits();
    let (what, elsewhere) = (format!("reset {one}"), format!("reset {other}"));
    let note = governed.note("bob", &what, digest, &file);
    let vouch = async |name: &str, note: &str, what: &str, digest: Digest, file: &str| {
        governed.vouched(name, note, what, digest, file).await
    };
    // Replayed on another reset with the same plan, on another plan, and on another file of it.
    let refused = vouch("bob", &note, &elsewhere, digest, &file).await.unwrap_err();
    assert!(why(&refused).contains("it is about reset"), "{refused}");
    let refused = vouch("bob", &note, &what, Digest::of(b"another"), &file).await.unwrap_err();
    assert!(why(&refused).contains("look at it, and sign that"), "{refused}");
    let refused = vouch("bob", &note, &what, digest, &"0".repeat(64)).await.unwrap_err();
    assert!(why(&refused).contains("another file"), "{refused}");
    // Handed in by somebody else, and changed on its way.
    assert!(vouch("carol", &note, &what, digest, &file).await.is_err());
    assert!(vouch("bob", &note.replace("until 2027", "until 2028"), &what, digest, &file).await.is_err());
    vouch("bob", &note, &what, digest, &file).await.unwrap();
    // An hour later it is an old one.
    governed.clock.to("2027-06-01T13:00:00Z");
    let refused = vouch("bob", &note, &what, digest, &file).await.unwrap_err();
    assert!(why(&refused).contains("set the clock right, and sign again"), "{refused}");
}

#[tokio::test]
async fn an_approval_that_was_erased_from_the_state_is_missed_in_the_bundle() {
    use remint::engine::record::kind;
    use remint::store::{Change, Key};

    let governed = Governed::new(1, 2).await;
    let id = governed.asked(governed.rig.plan()).await;
    governed.sign(&id, "bob").await;
    governed.sign(&id, "carol").await;
    let engine = &governed.app.engine;
    engine.run(&id).await.unwrap();
    engine.reprove(&id).await.unwrap();
    assert!(governed.verified(&governed.exported(&id).await).ok);
    let kept = engine.store.list(kind::APPROVAL, Some(&id.0)).await.unwrap().remove(0);
    let deletes = vec![Key { kind: kind::APPROVAL, id: kept.id }];
    engine.store.commit(Change { deletes, ..Change::default() }).await.unwrap();
    let report = governed.verified(&governed.exported(&id).await);
    assert!(!report.ok && report.render().contains("is not in the bundle: it was dropped"), "{}", report.render());
}
