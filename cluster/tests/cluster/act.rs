//! Acts: how old they are, what they are called, and whether they were stamped.

use aws_lc_rs::hmac;
use jiff::Timestamp;
use remint_cluster::act::{Age, NoAct, age, id, requester, stamp};
use serde_json::{Value, json};

fn at(text: &str) -> Timestamp {
    text.parse().unwrap()
}

fn reset(asked: &str) -> Value {
    json!({"kind": "Reset", "metadata": {"name": "inc-1", "namespace": "team"}, "spec": {"requestedAt": asked, "from": ["Workload/ci"], "reason": "INC-1"}})
}

#[test]
fn age_counts_from_the_authors_time_and_never_from_the_objects() {
    let mut restored = reset("2026-11-15T10:00:00Z");
    restored["metadata"]["creationTimestamp"] = json!("2026-11-22T09:59:59Z");
    let now = at("2026-11-22T10:00:00Z");
    assert_eq!(age(&restored, now), Ok(Age::Expired("7 days".to_owned())));
    assert_eq!(age(&reset("2026-11-22T09:00:01Z"), now), Ok(Age::Fresh), "an hour when nothing is said");
    assert_eq!(age(&reset("2026-11-22T08:59:00Z"), now), Ok(Age::Expired("61 min".to_owned())));
    let mut longer = reset("2026-11-22T08:59:00Z");
    longer["spec"]["notAfter"] = json!("2h");
    assert_eq!(age(&longer, now), Ok(Age::Fresh));
    longer["spec"]["notAfter"] = json!("25h");
    assert_eq!(age(&longer, now), Err(NoAct::NotAfter));
    assert_eq!(age(&reset("2026-11-22T10:04:00Z"), now), Ok(Age::Fresh), "clocks differ");
    assert!(matches!(age(&reset("2036-11-22T10:00:00Z"), now), Err(NoAct::Ahead(_))), "or it would run for ten years");
    assert_eq!(age(&json!({"spec": {}}), now), Err(NoAct::NoTime));
    assert_eq!(age(&reset("yesterday"), now), Err(NoAct::Time));
}

#[test]
fn an_act_has_one_id_however_often_its_object_is_made() {
    let first = reset("2026-11-22T10:00:00Z");
    let mut again = first.clone();
    again["metadata"]["uid"] = json!("another");
    again["spec"]["suspend"] = json!(true);
    assert_eq!(id(&first), id(&again));
    assert_ne!(id(&first), id(&reset("2026-11-22T10:00:01Z")));
    let mut other = first.clone();
    other["metadata"]["namespace"] = json!("other");
    assert_ne!(id(&first), id(&other));
    let mut long = first;
    long["metadata"]["name"] = json!("a".repeat(63));
    assert!(id(&long).unwrap().len() <= 64);
}

#[test]
fn a_stamp_is_of_everything_that_is_asked_for() {
    let key = hmac::Key::new(hmac::HMAC_SHA256, &[7; 32]);
    let mut object = reset("2026-11-22T10:00:00Z");
    assert_eq!(requester(&object, &key), Err(NoAct::Unstamped));
    object["spec"]["requestedBy"] =
        json!({"user": "alice", "uid": "1", "groups": ["ops"], "at": "2026-11-22T10:00:00Z"});
    object["spec"]["requestedBy"]["stamp"] = json!(stamp(&object, &key));
    assert_eq!(requester(&object, &key).unwrap().user, "alice");
    let mut suspended = object.clone();
    suspended["spec"]["suspend"] = json!(true);
    assert!(requester(&suspended, &key).is_ok());
    let forged = [
        ("/spec/requestedBy/user", json!("boss")),
        ("/spec/requestedBy/groups", json!(["system:masters"])),
        ("/spec/from", json!(["Workload/all"])),
        ("/spec/requestedAt", json!("2026-11-22T11:00:00Z")),
        ("/metadata/name", json!("inc-2")),
        ("/metadata/namespace", json!("other")),
    ];
    for (place, value) in forged {
        let mut forged = object.clone();
        *forged.pointer_mut(place).unwrap() = value;
        assert_eq!(requester(&forged, &key), Err(NoAct::Changed), "{place}");
    }
    let other = hmac::Key::new(hmac::HMAC_SHA256, &[8; 32]);
    assert_eq!(requester(&object, &other), Err(NoAct::Changed), "another state's stamp");
}
