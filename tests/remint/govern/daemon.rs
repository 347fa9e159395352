//! What persons said and what time does to it, carried out by a daemon: nobody runs a command.

use std::time::Duration;

use remint::engine::record::ResetStatus;
use remint_contract::Clock as _;
use remint_core::estate::{Estate, Missed};

use super::policy;
use super::standing::{approved, nights};
use super::state::Governed;
use crate::windows::daemon::{in_turn, opened, replaced, until, until_later};
use crate::windows::nightly;

/// Two persons, and an hour between the last word and the first effect.
pub(super) fn resting(estate: &mut Estate) {
    policy(estate, 2);
    for policy in estate.approvals.values_mut() {
        policy.require.cool_down = Duration::from_hours(1);
        policy.require.expires = Duration::from_hours(4);
    }
}

#[tokio::test]
async fn a_daemon_starts_what_rested_long_enough_and_not_before() {
    let governed = Governed::with(1, resting).await;
    let id = governed.asked(governed.rig.plan()).await;
    governed.sign(&id, "bob").await;
    let lacks = governed.sign(&id, "carol").await;
    assert!(lacks.len() == 1 && lacks[0].contains("may start at"), "{lacks:?}");
    let signed = governed.clock.now();
    let old = governed.rig.value(0);
    governed
        .served(async |engine| {
            governed.clock.to(&(signed + Duration::from_mins(30)).to_string());
            assert_eq!(engine.reset(&id).await.unwrap().status, ResetStatus::Requested);
            governed.clock.to(&(signed + Duration::from_mins(61)).to_string());
            let reset = until_later(&governed.clock, "it starts by itself", async || {
                let reset = engine.reset(&id).await.unwrap();
                reset.approval.is_some().then_some(reset)
            })
            .await;
            let began = reset.approval.as_ref().unwrap().at;
            assert!(began >= signed + Duration::from_hours(1), "{began}");
            replaced(engine, &reset, 1).await;
        })
        .await;
    assert!(!governed.rig.issuer.accepts(&old));
}

#[tokio::test]
async fn a_daemon_rejects_what_nobody_signed_in_time() {
    let governed = Governed::new(1, 2).await;
    let id = governed.asked(governed.rig.plan()).await;
    governed.sign(&id, "bob").await;
    let old = governed.rig.value(0);
    governed
        .served(async |engine| {
            governed.clock.to(&(governed.clock.now() + Duration::from_hours(24 * 30)).to_string());
            until_later(&governed.clock, "it is too old", async || {
                (engine.reset(&id).await.unwrap().status == ResetStatus::Rejected).then_some(())
            })
            .await;
        })
        .await;
    assert!(governed.rig.issuer.accepts(&old));
}

#[tokio::test]
async fn a_daemon_ends_an_exception_and_opens_what_left_it_out_again() {
    let governed = Governed::new(2, 2).await;
    let engine = &governed.app.engine;
    let app1 = "Credential/app1".parse().unwrap();
    let until_then = governed.clock.now() + Duration::from_hours(48);
    let party = Some(governed.party("alice").await);
    let exception = engine.except(&app1, "dave", until_then, "its vendor is closed", "alice", party).await.unwrap();
    let (id, digest, file) = (exception.asked.id.clone(), exception.asked.digest(), exception.asked.file());
    for name in ["bob", "carol"] {
        let signature = governed.yes(name, &format!("exception {id}"), digest, &file).await;
        engine.sign_exception(&id, digest, &signature).await.unwrap();
    }
    let reset = governed.asked(governed.planned(&[app1])).await;
    for name in ["bob", "carol"] {
        governed.sign(&reset, name).await;
    }
    governed
        .served(async |engine| {
            let known = engine.reset(&reset).await.unwrap();
            replaced(engine, &known, 1).await;
            assert!(engine.tasks(Some(&reset)).await.unwrap().is_empty());
            governed.clock.to(&(until_then + Duration::from_secs(1)).to_string());
            until_later(&governed.clock, "the reset is open again, with a task", async || {
                let tasks = engine.tasks(Some(&reset)).await.unwrap();
                (!tasks.is_empty()).then_some(())
            })
            .await;
        })
        .await;
}

#[tokio::test]
async fn a_daemon_opens_a_window_for_privileged_credentials_that_persons_approved_in_advance() {
    let mut governed = Governed::new(2, 2).await;
    governed.rig.estate = nightly(&governed.rig, Missed::Skip);
    governed.activate(&governed.rig.estate).await;
    let old = governed.rig.value(0);
    governed
        .served(async |engine| {
            until("the window is known", async || engine.window(&nights()).await.unwrap()).await;
            governed.clock.to("2027-06-02T02:00:00Z");
            until("it was looked at", async || {
                let (known, _) = engine.window(&nights()).await.unwrap()?;
                (known.seen.to_string() == "2027-06-02T02:00:00Z").then_some(())
            })
            .await;
            assert!(engine.resets().await.unwrap().is_empty(), "nobody approved anything");
            approved(&governed).await;
            governed.clock.to("2027-06-03T02:00:00Z");
            let reset = opened(engine, "window-nights-20270603T020000Z").await;
            in_turn(&governed.clock, engine, &reset).await;
        })
        .await;
    assert!(!governed.rig.issuer.accepts(&old) && governed.rig.issuer.accepts(&governed.rig.value(0)));
    let reset = governed.app.engine.resets().await.unwrap().pop().unwrap();
    let report = governed.verified(&governed.exported(&reset.id).await);
    assert!(report.integrity && report.render().contains("by way of standing"), "{}", report.render());
}
