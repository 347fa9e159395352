//! Sessions that outlive their key: what is put where. That AWS then denies them is not shown; moto does not look at the
//! moment at which a session was issued, and takes such a policy for one that denies everything.

use remint_contract::{Derived, DerivedOutcome, Target, Verb, VersionId};
use serde_json::{Value, json};

use crate::moto::{Moto, open};

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

#[tokio::test]
async fn without_being_told_sessions_are_not_touched() {
    let moto = Moto::find();
    let verbs = open(&moto.address, &json!({"service": "iam"})).describe().verbs;
    assert!(!verbs.contains(&Verb::EndDerived) && !verbs.contains(&Verb::ListDerived));
    let call = moto.call();
    let target = Target { name: moto.user().await, settings: Value::Null };
    let connector = open(&moto.address, &json!({"service": "iam"}));
    let error = connector.end_derived(&call, &target, &VersionId("AKIA".to_owned())).await.unwrap_err();
    assert_eq!(error.kind, remint_contract::ErrorKind::Unsupported);
}
