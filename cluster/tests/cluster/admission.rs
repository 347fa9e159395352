//! What the API server is answered.

use aws_lc_rs::hmac;
use jiff::Timestamp;
use remint_cluster::admission::{Asked, REQUESTED_AT, REQUESTED_BY, SUSPENDED_BY, allowed, caller, denied, suspender};
use serde_json::{Value, json};

fn key() -> hmac::Key {
    hmac::Key::new(hmac::HMAC_SHA256, &[7; 32])
}

fn now() -> Timestamp {
    "2026-11-22T10:00:00Z".parse().unwrap()
}

fn review(kind: &str, operation: &str, user: &str, object: &Value, old: &Value) -> Asked {
    Asked::read(&json!({
        "apiVersion": "admission.k8s.io/v1", "kind": "AdmissionReview",
        "request": {
            "uid": "u-1", "kind": {"group": "remint.dev", "version": "v1alpha1", "kind": kind}, "operation": operation,
            "userInfo": {"username": user, "uid": "7", "groups": ["ops"]}, "object": object, "oldObject": old,
        },
    }))
    .unwrap()
}

fn reset() -> Value {
    json!({"kind": "Reset", "metadata": {"name": "inc-1", "namespace": "team"}, "spec": {"requestedAt": "2026-11-22T10:00:00Z", "from": ["Workload/ci"], "reason": "INC-1"}})
}

/// The object with what the mutating webhook writes.
fn stamped(user: &str, mut object: Value) -> Value {
    let patch = review("Reset", "CREATE", user, &object, &Value::Null).stamped(&key(), now());
    assert_eq!((patch.len(), &patch[0]["path"]), (1, &json!("/spec/requestedBy")));
    object["spec"]["requestedBy"] = patch[0]["value"].clone();
    object
}

#[test]
fn whoever_asks_is_stamped_over_whatever_he_says_of_himself() {
    let mut forged = reset();
    forged["spec"]["requestedBy"] = json!({"user": "boss", "at": "2026-11-22T10:00:00Z", "stamp": "0".repeat(64)});
    let refused = review("Reset", "CREATE", "mallory", &forged, &Value::Null).refused(&key(), now());
    assert!(refused.unwrap().contains("it is not what was stamped"));
    let made = stamped("mallory", forged);
    assert_eq!(
        (&made["spec"]["requestedBy"]["user"], &made["spec"]["requestedBy"]["groups"]),
        (&json!("mallory"), &json!(["ops"]))
    );
    assert_eq!(review("Reset", "CREATE", "mallory", &made, &Value::Null).refused(&key(), now()), None);
    let taken = review("Reset", "CREATE", "mallory", &stamped("alice", reset()), &Value::Null).refused(&key(), now());
    assert!(taken.is_some(), "another's object, with his stamp");
}

#[test]
fn nothing_in_an_act_changes_but_suspend() {
    let made = stamped("alice", reset());
    for (key_, value) in
        [("from", json!(["Workload/all"])), ("reason", json!("x")), ("requestedBy", json!({"user": "bob"}))]
    {
        let mut changed = made.clone();
        changed["spec"][key_] = value;
        assert!(review("Reset", "UPDATE", "alice", &changed, &made).refused(&key(), now()).is_some(), "{key_}");
    }
    let mut labelled = made.clone();
    labelled["metadata"]["labels"] = json!({"a": "b"});
    assert!(review("Reset", "UPDATE", "alice", &labelled, &made).stamped(&key(), now()).is_empty(), "stamped once");
}

#[test]
fn whoever_suspends_an_act_is_stamped_and_nobody_says_it_for_another() {
    let made = stamped("alice", reset());
    let mut stopped = made.clone();
    stopped["spec"]["suspend"] = json!(true);
    let asked = review("Reset", "UPDATE", "bob", &stopped, &made);
    assert!(asked.refused(&key(), now()).is_some(), "nobody stamped it");
    let patch = asked.stamped(&key(), now());
    let paths: Vec<&str> = patch.iter().map(|one| one["path"].as_str().unwrap()).collect();
    assert_eq!(paths, ["/metadata/annotations", "/metadata/annotations/remint.dev~1suspended-by"]);
    stopped["metadata"]["annotations"] = json!({SUSPENDED_BY: patch[1]["value"]});
    assert_eq!(review("Reset", "UPDATE", "bob", &stopped, &made).refused(&key(), now()), None);
    assert_eq!(suspender(&stopped, &key()).unwrap().user, "bob");
    // His word that it stands is none that it goes on, and none of another Reset.
    let mut goes = stopped.clone();
    goes["spec"]["suspend"] = json!(false);
    assert!(review("Reset", "UPDATE", "mallory", &goes, &stopped).refused(&key(), now()).is_some());
    let mut other = stopped.clone();
    other["metadata"]["name"] = json!("inc-2");
    assert!(suspender(&other, &key()).is_err());
    let mut forged = stopped.clone();
    let word = forged["metadata"]["annotations"][SUSPENDED_BY].as_str().unwrap().replace("bob", "boss");
    forged["metadata"]["annotations"][SUSPENDED_BY] = json!(word);
    assert!(review("Reset", "UPDATE", "mallory", &forged, &stopped).refused(&key(), now()).is_some());
}

#[test]
fn an_act_from_last_week_is_let_in_to_say_that_it_is_expired() {
    let mut old = reset();
    old["spec"]["requestedAt"] = json!("2026-11-15T10:00:00Z");
    let restored = stamped("velero", old);
    assert_eq!(review("Reset", "CREATE", "velero", &restored, &Value::Null).refused(&key(), now()), None);
}

#[test]
fn a_secret_in_a_reason_is_refused() {
    let mut pasted = reset();
    pasted["spec"]["reason"] = json!("leaked: AKIAEXAMPLEEXAMPLE42");
    let refused = review("Reset", "CREATE", "alice", &stamped("alice", pasted), &Value::Null).refused(&key(), now());
    let refused = refused.unwrap();
    assert!(
        refused.contains("a secret value stands here (an AWS access key)") && !refused.contains("AKIA"),
        "{refused}"
    );
}

#[test]
fn a_word_on_a_credential_has_the_stamp_of_who_wrote_it() {
    let plain = json!({"kind": "Credential", "metadata": {"name": "c", "namespace": "team"}, "spec": {}});
    let mut called = plain.clone();
    called["metadata"]["annotations"] = json!({REQUESTED_AT: "2026-11-22T10:00:00Z"});
    let asked = review("Credential", "UPDATE", "alice", &called, &plain);
    assert!(asked.refused(&key(), now()).is_some(), "nobody stamped it");
    let patch = asked.stamped(&key(), now());
    assert_eq!(patch[0]["path"], "/metadata/annotations/remint.dev~1requested-by");
    called["metadata"]["annotations"][REQUESTED_BY] = patch[0]["value"].clone();
    assert_eq!(review("Credential", "UPDATE", "alice", &called, &plain).refused(&key(), now()), None);
    assert_eq!(caller(&called, &key()).unwrap().user, "alice");
    let mut forged = called.clone();
    forged["metadata"]["annotations"][REQUESTED_BY] =
        json!(patch[0]["value"].as_str().unwrap().replace("alice", "boss"));
    assert!(review("Credential", "UPDATE", "mallory", &forged, &called).refused(&key(), now()).is_some());
    let mut moved = called.clone();
    moved["metadata"]["name"] = json!("another");
    assert!(caller(&moved, &key()).is_err(), "copied to another credential");
}

#[test]
fn an_answer_is_a_review_of_the_same_question() {
    let asked = review("Reset", "CREATE", "alice", &reset(), &Value::Null);
    let yes = allowed(&asked, &[json!({"op": "add"})], &["look".to_owned()]);
    assert_eq!((&yes["response"]["uid"], &yes["response"]["patchType"]), (&json!("u-1"), &json!("JSONPatch")));
    let no = denied(&asked, "why");
    assert_eq!((&no["response"]["allowed"], &no["response"]["status"]["message"]), (&json!(false), &json!("why")));
    for wrong in [
        json!({}),
        json!({"apiVersion": "admission.k8s.io/v1", "kind": "AdmissionReview", "request": {"kind": {"group": "", "kind": "Secret"}, "operation": "CREATE"}}),
    ] {
        assert!(Asked::read(&wrong).is_err());
    }
}
