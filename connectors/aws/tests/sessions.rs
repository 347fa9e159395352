//! Sessions that outlive their key: what is put where. That AWS then denies them is not shown; moto does not look at the
//! moment at which a session was issued, and takes such a policy for one that denies everything.

use jiff::{SignedDuration, Timestamp};
use percent_encoding::percent_decode_str;
use remint_conformance::{Crash, at_each_request};
use remint_contract::{Clock as _, Derived, DerivedOutcome, ErrorKind, SystemClock, Target, Verb, VersionId};
use serde_json::{Value, json};

use crate::moto::{Moto, Proxy, open};

const TRUST: &str =
    r#"{"Version":"2012-10-17","Statement":[{"Effect":"Allow","Principal":{"AWS":"*"},"Action":"sts:AssumeRole"}]}"#;

fn derived(id: &str, what: &str) -> Derived {
    Derived { id: id.to_owned(), what: what.to_owned(), expires: None }
}

#[tokio::test]
async fn older_sessions_of_the_user_and_of_its_roles_are_denied_by_a_policy_that_names_the_version() {
    let moto = Moto::find();
    let connector = open(&moto.address, &json!({"service": "iam", "sessions": "denied"}));
    let (user, role) = (moto.user().await, moto.name());
    moto.iam("CreateRole", &[("RoleName", &role), ("AssumeRolePolicyDocument", TRUST)]).await;
    let target = Target { name: user.clone(), settings: json!({"roles": [role]}) };
    let call = moto.call();
    let open = [derived(&format!("user/{user}"), "session"), derived(&format!("role/{role}"), "role")];
    let (first, second) = (VersionId("AKIAFIRST".to_owned()), VersionId("AKIASECOND".to_owned()));
    for version in [&first, &second] {
        assert_eq!(connector.list_derived(&call, &target, version).await.unwrap(), open);
        let ended = connector.end_derived(&call, &target, version).await.unwrap();
        assert!(ended.iter().map(|ended| &ended.derived).eq(&open));
        assert!(ended.iter().all(|ended| ended.outcome == DerivedOutcome::DeniedByPolicy));
        assert_eq!(connector.list_derived(&call, &target, version).await.unwrap(), []);
        assert_eq!(connector.end_derived(&call, &target, version).await.unwrap(), []);
    }
    assert_eq!(connector.list_derived(&call, &target, &first).await.unwrap(), [], "a later moment covers it");
    let name = ("PolicyName", "remint-older-sessions");
    for (action, holder) in [("GetUserPolicy", ("UserName", user)), ("GetRolePolicy", ("RoleName", role))] {
        let said = moto.iam(action, &[(holder.0, &holder.1), name]).await;
        assert!(said.contains("aws%3ATokenIssueTime") || said.contains("aws:TokenIssueTime"), "{said}");
        assert!(said.contains("RemintAKIASECOND") && said.contains("RemintAKIAFIRST"), "{said}");
    }
}

/// The one policy of a holder of sessions.
async fn policy(moto: &Moto, word: &str, name: &str) -> Value {
    let (field, lists) = (format!("{word}Name"), format!("List{word}Policies"));
    let listed = moto.iam(&lists, &[(&field, name)]).await;
    assert!(listed.contains("<member>remint-older-sessions</member>"), "{listed}");
    assert_eq!(listed.matches("<member>").count(), 1, "{listed}");
    let asked = [(field.as_str(), name), ("PolicyName", "remint-older-sessions")];
    let said = moto.iam(&format!("Get{word}Policy"), &asked).await;
    let document = said.split_once("<PolicyDocument>").unwrap().1.split_once('<').unwrap().0.replace("&quot;", "\"");
    serde_json::from_str(&percent_decode_str(&document).decode_utf8().unwrap()).unwrap()
}

/// A user and a role whose older sessions are denied on behalf of one key already, and a crash while they are on behalf
/// of the next. True when the crash was.
async fn denied_again(moto: &Moto, proxy: &Proxy, crash: Crash) -> bool {
    let connector = open(&proxy.address, &json!({"service": "iam", "sessions": "denied"}));
    let (user, role) = (moto.user().await, moto.name());
    moto.iam("CreateRole", &[("RoleName", &role), ("AssumeRolePolicyDocument", TRUST)]).await;
    let target = Target { name: user.clone(), settings: json!({"roles": [role]}) };
    let (first, second) = (VersionId("AKIAFIRST".to_owned()), VersionId("AKIASECOND".to_owned()));
    connector.end_derived(&moto.call(), &target, &first).await.unwrap();
    let mut before = Vec::new();
    for (word, name) in [("User", &user), ("Role", &role)] {
        before.push(policy(moto, word, name).await["Statement"][0].clone());
    }
    let (call, began) = (moto.call(), SystemClock.now());
    proxy.gate.arm(crash).await;
    let result = connector.end_derived(&call, &target, &second).await;
    let crashed = proxy.gate.reopen().await;
    let open = connector.list_derived(&call, &target, &second).await.unwrap();
    match &result {
        Ok(_) => assert_eq!(open, [], "{crash}: what was answered is not done"),
        Err(error) => assert!(!open.is_empty() || error.kind == ErrorKind::Unclear, "{crash}: {error}"),
    }
    // What was done is not done again, so its moment stays.
    let again = connector.end_derived(&call, &target, &second).await.unwrap();
    assert!(again.iter().map(|ended| &ended.derived).eq(&open), "{crash}: {again:?}");
    assert!(again.iter().all(|ended| ended.outcome == DerivedOutcome::DeniedByPolicy));
    assert_eq!(connector.list_derived(&call, &target, &second).await.unwrap(), [], "{crash}");
    for ((word, name), before) in [("User", &user), ("Role", &role)].into_iter().zip(before) {
        let policy = policy(moto, word, name).await;
        let moment = &policy["Statement"][0]["Condition"]["DateLessThan"]["aws:TokenIssueTime"];
        let ours = json!({
            "Sid": "RemintAKIASECOND", "Effect": "Deny", "Action": "*", "Resource": "*",
            "Condition": {"DateLessThan": {"aws:TokenIssueTime": moment}},
        });
        assert_eq!(policy, json!({"Version": "2012-10-17", "Statement": [ours, before]}), "{crash}: {word}");
        let moment: Timestamp = moment.as_str().unwrap().parse().unwrap();
        assert!(moment > began && moment < SystemClock.now() + SignedDuration::from_secs(2), "{crash}: {moment}");
    }
    crashed
}

#[tokio::test]
async fn after_a_crash_at_each_request_older_sessions_are_denied_once_and_what_was_denied_before_stays() {
    let moto = Moto::find();
    let proxy = Proxy::to(&moto.address).await;
    at_each_request(async |crash| denied_again(&moto, &proxy, crash).await).await;
}

#[tokio::test]
async fn without_being_told_sessions_are_not_touched() {
    let moto = Moto::find();
    let verbs = open(&moto.address, &json!({"service": "iam"})).describe().verbs;
    assert!(!verbs.contains(&Verb::EndDerived) && !verbs.contains(&Verb::ListDerived));
    let call = moto.call();
    let target = Target { name: moto.user().await, settings: Value::Null };
    let connector = open(&moto.address, &json!({"service": "iam"}));
    let error = connector.end_derived(&call, &target, &VersionId("AKIA".to_owned())).await.unwrap_err();
    assert_eq!(error.kind, ErrorKind::Unsupported);
}
