//! Windows of a governed state: they replace what persons approved in advance, as they saw it, and nothing else.

use std::time::Duration;

use remint::engine::standing::Standing;
use remint_contract::Ref;
use remint_core::estate::{Estate, Missed};
use remint_core::machine::State;

use super::policy;
use super::state::Governed;
use crate::windows::nightly;

pub(crate) fn nights() -> Ref {
    "RotationWindow/nights".parse().unwrap()
}

/// A state whose window has been seen, before its first night.
async fn windowed(count: usize) -> (Governed, Estate) {
    let mut governed = Governed::new(count, 2).await;
    governed.rig.estate = nightly(&governed.rig, Missed::Skip);
    let estate = governed.rig.estate.clone();
    governed.activate(&estate).await;
    assert!(governed.app.engine.open_windows().await.unwrap().opened.is_empty());
    (governed, estate)
}

/// Alice asks for thirty days of it, and two sign.
pub(crate) async fn approved(governed: &Governed) -> Standing {
    let engine = &governed.app.engine;
    let until = engine.context.clock.now() + Duration::from_hours(30 * 24);
    let (standing, _) = engine.stand(&nights(), until, "alice", governed.party("alice").await).await.unwrap();
    let (id, digest) = (standing.asked.id.clone(), standing.asked.digest());
    let mut last = standing.clone();
    for (name, missing) in [("bob", 1), ("carol", 0)] {
        let signature = governed.yes(name, &format!("standing {id}"), digest, &standing.asked.file()).await;
        let (signed, lacks) = engine.sign_standing(&id, digest, &signature).await.unwrap();
        assert_eq!(lacks.len(), missing, "{name}: {lacks:?}");
        last = signed;
    }
    assert!(last.granted.is_some());
    last
}

/// How many settled in the night that begins on this day.
async fn night(governed: &Governed, day: u32) -> usize {
    let engine = &governed.app.engine;
    governed.clock.to(&format!("2027-06-{day:02}T02:00:00Z"));
    let opened = engine.open_windows().await.unwrap().opened;
    let Some(opened) = opened.first() else { return 0 };
    governed.clock.to(&format!("2027-06-{day:02}T05:30:00Z"));
    engine.run(&opened.reset).await.unwrap();
    let records = engine.rotations(&opened.reset).await.unwrap();
    let parked: Vec<String> = records
        .iter()
        .filter(|record| !matches!(record.rotation.state, State::Settled { .. }))
        .map(|record| format!("{}: {:?}", record.credential, record.rotation.state))
        .collect();
    assert!(parked.is_empty(), "{parked:?}");
    records.len()
}

#[tokio::test]
async fn a_window_replaces_privileged_credentials_night_after_night_as_approved_in_advance() {
    let (governed, _) = windowed(2).await;
    assert_eq!(night(&governed, 2).await, 0, "nobody approved anything");
    approved(&governed).await;
    let old = governed.rig.value(0);
    assert_eq!(night(&governed, 3).await, 2);
    assert!(!governed.rig.issuer.accepts(&old));
    let reset = governed.app.engine.resets().await.unwrap().pop().unwrap();
    let report = governed.verified(&governed.exported(&reset.id).await);
    assert!(report.integrity && report.render().contains("by way of standing"), "{}", report.render());
}

#[tokio::test]
async fn what_was_changed_since_has_no_turn_and_the_others_have() {
    let (governed, mut estate) = windowed(2).await;
    approved(&governed).await;
    // One credential goes to another place now: that is not a new value only.
    let app1: Ref = "Credential/app1".parse().unwrap();
    let place = &mut estate.credentials.get_mut(&app1).unwrap().delivered_to[0];
    place.at.path = "apps/elsewhere".to_owned();
    governed.activate(&estate).await;
    governed.clock.to("2027-06-02T02:00:00Z");
    let opened = governed.app.engine.open_windows().await.unwrap().opened.remove(0);
    let plan = governed.app.engine.reset(&opened.reset).await.unwrap().plan.clone();
    let names: Vec<String> = plan.members.iter().map(|member| member.credential.to_string()).collect();
    assert_eq!(names, ["Credential/app0"]);
}

#[tokio::test]
async fn other_hours_other_policies_its_end_and_somebodys_word_void_it() {
    let (governed, estate) = windowed(1).await;
    let engine = &governed.app.engine;
    let standing = approved(&governed).await;
    let holds = async || engine.standing_of(&nights()).await.unwrap().is_some();
    assert!(holds().await);
    let mut hours = estate.clone();
    hours.windows.get_mut(&nights()).unwrap().cron = "0 3 * * *".to_owned();
    governed.activate(&hours).await;
    assert!(!holds().await, "other hours");
    let mut stricter = estate.clone();
    policy(&mut stricter, 3);
    governed.activate(&stricter).await;
    assert!(!holds().await, "other policies");
    governed.activate(&estate).await;
    assert!(holds().await);
    engine.end_standing(&standing.asked.id, "bob", "no more").await.unwrap();
    assert!(!holds().await, "ended");
    let again = approved(&governed).await;
    assert!(holds().await);
    governed.clock.to(&(again.asked.until + Duration::from_secs(5)).to_string());
    assert!(!holds().await, "over");
    assert!(engine.stand(&nights(), again.asked.until, "alice", governed.party("alice").await).await.is_err());
}
