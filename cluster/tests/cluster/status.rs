//! What is said of objects, and who leads.

use std::time::Duration;

use jiff::Timestamp;
use remint_cluster::condition::{Condition, written};
use remint_cluster::lease::{LASTS, Seen, Step, let_go};
use remint_cluster::progress::{LARGEST, Parked, Progress};
use serde_json::{Value, json};

fn at(seconds: i64) -> Timestamp {
    Timestamp::from_second(1_800_000_000 + seconds).unwrap()
}

#[test]
fn the_status_of_ten_thousand_credentials_is_small() {
    let long = "é".repeat(10_000);
    let parked = Parked { credential: format!("Credential/{long}"), why: long.clone(), next: long.clone() };
    let progress = Progress {
        phase: "Resting".to_owned(),
        reset: "k-inc-1".to_owned(),
        plan: Some("a".repeat(64)),
        states: (0..17).map(|state| (format!("state-{state}"), 10_000)).collect(),
        proofs: (0..5).map(|grade| (format!("grade-{grade}"), 10_000)).collect(),
        credentials: 10_000,
        parked: vec![parked; 10_000],
        elsewhere: 3,
        message: long.clone(),
        next: long.clone(),
        link: long,
    };
    let status = progress.status(&json!({"metadata": {"generation": 1}}), at(0));
    let size = status.to_string().len();
    assert!(size <= LARGEST, "{size} bytes");
    assert_eq!((status["parked"].as_array().unwrap().len(), &status["parkedTotal"]), (20, &json!(10_003)));
    assert_eq!(status["parkedElsewhere"], 3);
}

#[test]
fn a_condition_keeps_its_time_while_it_says_the_same() {
    let ready = |holds| [Condition::new("Ready", holds, "Because", "why")];
    let first = written(&ready(false), &Value::Null, &json!(1), at(0));
    let same = written(&ready(false), &first, &json!(2), at(60));
    assert_eq!(first[0]["lastTransitionTime"], same[0]["lastTransitionTime"]);
    assert_eq!(same[0]["observedGeneration"], 2);
    let other = written(&ready(true), &same, &json!(2), at(120));
    assert_ne!(same[0]["lastTransitionTime"], other[0]["lastTransitionTime"]);
}

/// What the server makes of a write.
fn kept(step: Step, version: &str) -> Value {
    let Step::Write(mut lease) = step else { panic!("it waits") };
    lease["metadata"]["resourceVersion"] = json!(version);
    lease
}

#[test]
fn one_of_two_leads_and_the_other_takes_over_when_it_sees_no_change() {
    let (mut one, mut other) = (Seen::default(), Seen::default());
    let lease = kept(one.look(&Value::Null, "one", at(0)), "1");
    assert_eq!(lease["spec"]["holderIdentity"], "one");
    assert_eq!(other.look(&lease, "other", at(1)), Step::Wait);
    let renewed = kept(one.look(&lease, "one", at(5)), "2");
    assert_eq!(
        (&renewed["spec"]["acquireTime"], &renewed["spec"]["leaseTransitions"]),
        (&lease["spec"]["acquireTime"], &json!(0))
    );
    let long = at(6) + LASTS;
    assert_eq!(other.look(&renewed, "other", at(6)), Step::Wait);
    assert_eq!(other.look(&renewed, "other", long), Step::Wait, "exactly its duration");
    let taken = kept(other.look(&renewed, "other", long + Duration::from_secs(1)), "3");
    assert_eq!((&taken["spec"]["holderIdentity"], &taken["spec"]["leaseTransitions"]), (&json!("other"), &json!(1)));
}

#[test]
fn whoever_comes_late_believes_no_clock_but_its_own_eyes() {
    let mut old = json!({"metadata": {"resourceVersion": "9"}, "spec": {"holderIdentity": "one", "leaseDurationSeconds": 15, "renewTime": "2001-01-01T00:00:00.000000Z"}});
    let mut other = Seen::default();
    assert_eq!(other.look(&old, "other", at(0)), Step::Wait, "its clock may be wrong, and it alive");
    old = let_go(&old);
    assert!(matches!(other.look(&old, "other", at(1)), Step::Write(_)), "let go: taken at once");
}
