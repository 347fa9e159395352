//! What only the real server shows: effects cut off in the middle, tokens that break, a login of Remint's own that is
//! replaced while it works, a server that is sealed (see `cargo xtask test`).

use std::sync::Arc;

use crate::bao::proxy::Trouble;
use crate::bao::{Bao, Proxy, open};
use remint_contract::{
    Call, Connector, ErrorKind, Intent, Material, MintRequest, Minted, OperationId, Recovered, RightsChange,
    SecretValue, Strategy, Target, Verb, Verdict, VersionId, WriteRequest,
};
use serde_json::{Value, json};

fn target(name: &str) -> Target {
    Target { name: name.to_owned(), settings: Value::Null }
}

fn request(target: &Target, old: Option<&Minted>, secret: &str) -> MintRequest {
    MintRequest {
        target: target.clone(),
        strategy: Strategy::Overlap,
        old: old.map(|old| old.version.clone()),
        old_username: None,
        proposed: Some(SecretValue::from(secret)),
    }
}

fn intent(call: &Call, verb: Verb, target: &Target, version: Option<&VersionId>, mint: Option<&MintRequest>) -> Intent {
    Intent {
        operation: call.operation.clone(),
        verb,
        target: target.clone(),
        version: version.cloned(),
        mint: mint.cloned(),
    }
}

async fn login(bao: &Bao, mount: &str, material: &Material) -> String {
    let shown = json!({"role_id": material.username, "secret_id": material.secret.expose_str()});
    let answer = bao.post(&format!("auth/{mount}/login"), shown).await;
    answer["auth"]["client_token"].as_str().unwrap().to_owned()
}

/// A role with one secret id of Remint's.
async fn role(bao: &Bao, connector: &Arc<dyn Connector>, mount: &str, settings: Value) -> (Target, Minted) {
    let target = target(&bao.name());
    bao.post(&format!("auth/{mount}/role/{}", target.name), settings).await;
    let first = connector.mint(&bao.call(), &request(&target, None, &format!("first-{}", bao.name()))).await.unwrap();
    (target, first)
}

#[tokio::test]
async fn an_effect_that_was_cut_off_before_or_after_it_landed_is_told_apart() {
    let bao = Bao::find();
    let mount = bao.mount("sys/auth", "approle", Value::Null).await;
    let proxy = Proxy::to(&bao.address).await;
    let connector = open(&proxy.address, &json!({"engine": "approle", "mount": mount}));
    let (target, first) = role(&bao, &connector, &mount, json!({})).await;

    let call = bao.call();
    let wanted = request(&target, Some(&first), &format!("second-{}", bao.name()));
    let mint = intent(&call, Verb::Mint, &target, None, Some(&wanted));
    proxy.arm(Some(Trouble::Cut("custom-secret-id".into())));
    assert_eq!(connector.mint(&call, &wanted).await.unwrap_err().kind, ErrorKind::Unclear);
    assert!(matches!(connector.recover(&call, &mint).await.unwrap(), Recovered::NotDone));

    proxy.arm(Some(Trouble::Lost("custom-secret-id".into())));
    assert_eq!(connector.mint(&call, &wanted).await.unwrap_err().kind, ErrorKind::Unclear);
    let Recovered::Done(Some(second)) = connector.recover(&call, &mint).await.unwrap() else {
        panic!("the secret id that arrived was not found")
    };
    assert_eq!(second.material.secret, *wanted.proposed.as_ref().unwrap());
    let again = connector.mint(&call, &wanted).await.unwrap();
    assert_eq!(again.version, second.version, "the same operation made two");
    assert_eq!(connector.probe(&call, &target, &second.material, 0).await.unwrap(), Verdict::Accepted);
    let unsealed = MintRequest { proposed: None, ..wanted };
    let lost = intent(&call, Verb::Mint, &target, None, Some(&unsealed));
    assert!(matches!(connector.recover(&call, &lost).await.unwrap(), Recovered::Orphan(id) if id == second.version));

    let call = bao.call();
    let revoke = intent(&call, Verb::Revoke, &target, Some(&first.version), None);
    proxy.arm(Some(Trouble::Cut("secret-id-accessor/destroy".into())));
    let cut = connector.revoke(&call, &target, &first.version).await.unwrap_err();
    assert_eq!(cut.kind, ErrorKind::Unclear);
    assert!(matches!(connector.recover(&call, &revoke).await.unwrap(), Recovered::NotDone));
    proxy.arm(Some(Trouble::Lost("secret-id-accessor/destroy".into())));
    assert_eq!(connector.revoke(&call, &target, &first.version).await.unwrap_err().kind, ErrorKind::Unclear);
    assert!(matches!(connector.recover(&call, &revoke).await.unwrap(), Recovered::Done(None)));
    assert_eq!(connector.probe(&call, &target, &first.material, 0).await.unwrap(), Verdict::Denied);
    assert_eq!(connector.probe(&call, &target, &second.material, 0).await.unwrap(), Verdict::Accepted);
}

#[tokio::test]
async fn a_token_of_the_old_secret_id_outlives_it_until_it_is_ended_and_the_new_ones_stays() {
    let bao = Bao::find();
    let mount = bao.mount("sys/auth", "approle", Value::Null).await;
    let connector = open(&bao.address, &json!({"engine": "approle", "mount": mount}));
    let (target, first) = role(&bao, &connector, &mount, json!({"token_ttl": "10m"})).await;
    let second = connector.mint(&bao.call(), &request(&target, Some(&first), "second-marker-1")).await.unwrap();
    let (old, new) = (login(&bao, &mount, &first.material).await, login(&bao, &mount, &second.material).await);
    let child = bao.try_as(&old, "POST", "auth/token/create", json!({})).await;

    let call = bao.call();
    connector.revoke(&call, &target, &first.version).await.unwrap();
    assert!(bao.lives(&old).await, "a token outlives the secret id that it came from");
    assert_eq!(connector.list_derived(&call, &target, &first.version).await.unwrap().len(), 1);
    let ended = connector.end_derived(&call, &target, &first.version).await.unwrap();
    assert_eq!(ended.len(), 1);
    assert!(!bao.lives(&old).await && bao.lives(&new).await);
    // Whether the policies allowed a child at all is the server's default.
    if let Some(child) = child.1["auth"]["client_token"].as_str() {
        assert!(!bao.lives(child).await, "a child outlived its parent");
    }
    assert!(connector.list_derived(&call, &target, &first.version).await.unwrap().is_empty());
}

#[tokio::test]
async fn what_somebody_else_minted_at_our_role_is_shown_and_its_tokens_are_not_taken_for_anothers() {
    let bao = Bao::find();
    let mount = bao.mount("sys/auth", "approle", Value::Null).await;
    let connector = open(&bao.address, &json!({"engine": "approle", "mount": mount}));
    let (target, first) = role(&bao, &connector, &mount, json!({})).await;
    let place = format!("auth/{mount}/role/{}/secret-id", target.name);
    let (one, other) = (bao.post(&place, json!({})).await, bao.post(&place, json!({})).await);
    let call = bao.call();
    let living = connector.enumerate(&call, std::slice::from_ref(&target)).await.unwrap();
    let foreign: Vec<_> = living.iter().filter(|live| live.operation.is_none()).collect();
    assert_eq!((living.len(), foreign.len()), (3, 2));
    assert!(foreign.iter().all(|live| live.target.as_ref() == Some(&target.name) && live.created.is_some()));

    let of = |planted: &Value| {
        Material::login(
            first.material.username.clone().unwrap(),
            SecretValue::from(planted["data"]["secret_id"].as_str().unwrap()),
        )
    };
    let (one, other) = (of(&one), of(&other));
    let version = connector.verify(&call, &target, &one).await.unwrap().version;
    let session = login(&bao, &mount, &other).await;
    // Two that nobody marked: whose token it is cannot be said, so it is left alone, and said to be.
    connector.revoke(&call, &target, &version).await.unwrap();
    let ended = connector.end_derived(&call, &target, &version).await.unwrap();
    assert!(ended.iter().all(|one| one.outcome == remint_contract::DerivedOutcome::Unknown) && !ended.is_empty());
    assert!(bao.lives(&session).await);
    // With the last of them gone it can.
    let version = connector.verify(&call, &target, &other).await.unwrap().version;
    connector.revoke(&call, &target, &version).await.unwrap();
    connector.end_derived(&call, &target, &version).await.unwrap();
    assert!(!bao.lives(&session).await);
    assert_eq!(connector.probe(&call, &target, &first.material, 0).await.unwrap(), Verdict::Accepted);
}

#[tokio::test]
async fn the_new_secret_id_is_bound_as_the_old_one_was() {
    let bao = Bao::find();
    let mount = bao.mount("sys/auth", "approle", Value::Null).await;
    let connector = open(&bao.address, &json!({"engine": "approle", "mount": mount}));
    let (target, _) = role(&bao, &connector, &mount, json!({})).await;
    let limits = json!({"cidr_list": ["127.0.0.0/8"], "token_bound_cidrs": ["127.0.0.1/32"], "ttl": "2h"});
    let made = bao.post(&format!("auth/{mount}/role/{}/secret-id", target.name), limits).await;
    let old = VersionId(made["data"]["secret_id_accessor"].as_str().unwrap().to_owned());
    let wanted = MintRequest { old: Some(old.clone()), ..request(&target, None, "bound-marker-1") };
    let call = bao.call();
    let new = connector.mint(&call, &wanted).await.unwrap();
    assert_eq!(connector.compare_rights(&call, &target, &old, &new.version).await.unwrap(), RightsChange::Equal);
    let free = connector.mint(&bao.call(), &request(&target, None, "free-marker-1")).await.unwrap();
    let wider = connector.compare_rights(&call, &target, &old, &free.version).await.unwrap();
    assert!(matches!(wider, RightsChange::Broader(_)), "{wider:?}");
}

#[tokio::test]
async fn remints_own_secret_id_is_replaced_while_it_writes() {
    let bao = Bao::find();
    let (auth, store) = (
        bao.mount("sys/auth", "approle", Value::Null).await,
        bao.mount("sys/mounts", "kv", json!({"version": "2"})).await,
    );
    let everything = bao
        .policy(&[
            (&format!("{store}/*"), &["create", "read", "update"]),
            (&format!("auth/{auth}/*"), &["create", "read", "update", "list"]),
            ("auth/token/accessors", &["list", "sudo"]),
            ("auth/token/lookup-accessor", &["update"]),
            ("auth/token/revoke-accessor", &["update"]),
        ])
        .await;
    let issuer = json!({"engine": "approle", "mount": auth, "login": {"approle": {"mount": auth}}});
    let issuer = open(&bao.address, &issuer);
    let shelf = json!({"engine": "kv2", "mount": store, "login": {"approle": {"mount": auth}}});
    let shelf = open(&bao.address, &shelf);
    let root = open(&bao.address, &json!({"engine": "approle", "mount": auth}));
    let (target, first) = role(&bao, &root, &auth, json!({"token_policies": [everything], "token_ttl": "10m"})).await;

    let write = |actor: Arc<Material>, value: String| {
        let (shelf, bao) = (&shelf, &bao);
        async move {
            let fields = [("password".to_owned(), SecretValue::from(value))].into();
            let request = WriteRequest { path: "app".into(), fields, expect: None };
            shelf.write(&bao.acting(&actor), &request).await
        }
    };
    let old = Arc::new(first.material.clone());
    write(Arc::clone(&old), "one".into()).await.unwrap();
    let minted = issuer.mint(&bao.acting(&old), &request(&target, Some(&first), "own-marker-2")).await.unwrap();
    let new = Arc::new(minted.material.clone());
    issuer.verify(&bao.acting(&old), &target, &new).await.unwrap();
    write(Arc::clone(&new), "two".into()).await.unwrap();
    let call = bao.acting(&new);
    issuer.revoke(&call, &target, &first.version).await.unwrap();
    // The login of the old one still works: that is what ending what came from it is for.
    write(Arc::clone(&old), "three".into()).await.unwrap();
    assert!(!issuer.end_derived(&call, &target, &first.version).await.unwrap().is_empty());
    assert_eq!(write(old, "four".into()).await.unwrap_err().kind, ErrorKind::Denied);
    write(new, "five".into()).await.unwrap();
    assert_eq!(issuer.probe(&call, &target, &first.material, 0).await.unwrap(), Verdict::Denied);
    let read = shelf.read(&call, "app").await.unwrap();
    assert_eq!(read.fields["password"].expose_str(), Some("five"));
}

#[tokio::test]
async fn a_session_of_remints_that_somebody_ended_is_opened_again() {
    let bao = Bao::find();
    let (auth, store) = (
        bao.mount("sys/auth", "approle", Value::Null).await,
        bao.mount("sys/mounts", "kv", json!({"version": "2"})).await,
    );
    let policy = bao.policy(&[(&format!("{store}/data/*"), &["create", "read", "update"])]).await;
    let root = open(&bao.address, &json!({"engine": "approle", "mount": auth}));
    let (target, first) = role(&bao, &root, &auth, json!({"token_policies": [policy]})).await;
    let proxy = Proxy::to(&bao.address).await;
    let shelf = open(&proxy.address, &json!({"engine": "kv2", "mount": store, "login": {"approle": {"mount": auth}}}));
    let call = bao.acting(&Arc::new(first.material.clone()));
    assert_eq!(shelf.read(&call, "x").await.unwrap_err().kind, ErrorKind::Missing);
    root.end_derived(&bao.call(), &target, &first.version).await.unwrap();
    assert_eq!(shelf.read(&call, "x").await.unwrap_err().kind, ErrorKind::Missing);
    // Rights that are missing do not make it log in again and again.
    let before = proxy.requests();
    assert_eq!(shelf.versions(&call, "x").await.unwrap_err().kind, ErrorKind::Denied);
    assert_eq!(proxy.requests() - before, 2, "the call, and one look whether the session lives");
}

#[tokio::test]
async fn a_redirect_is_not_followed_and_a_token_goes_nowhere_else() {
    use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
    let elsewhere = tokio::net::TcpListener::bind(("127.0.0.1", 0)).await.unwrap();
    let standby = tokio::net::TcpListener::bind(("127.0.0.1", 0)).await.unwrap();
    let (there, here) = (elsewhere.local_addr().unwrap(), standby.local_addr().unwrap());
    let serving = tokio::spawn(async move {
        while let Ok((mut client, _)) = standby.accept().await {
            let mut head = [0; 4096];
            let _ = client.read(&mut head).await;
            let answer = format!(
                "HTTP/1.1 307 Temporary Redirect\r\nLocation: http://{there}/v1/x\r\nContent-Length: 0\r\nConnection: close\r\n\r\n"
            );
            let _ = client.write_all(answer.as_bytes()).await;
        }
    });
    let followed = Arc::new(std::sync::atomic::AtomicUsize::new(0));
    let counted = Arc::clone(&followed);
    let waiting = tokio::spawn(async move {
        while elsewhere.accept().await.is_ok() {
            counted.fetch_add(1, std::sync::atomic::Ordering::SeqCst);
        }
    });
    let shelf = open(&format!("http://{here}"), &json!({"engine": "kv2"}));
    let call = Call {
        operation: OperationId("op".into()),
        deadline: "9000-01-01T00:00:00Z".parse().unwrap(),
        actor: Some(Arc::new(Material::of(SecretValue::from("s.token-marker-4711")))),
    };
    let failure = shelf.read(&call, "x").await.unwrap_err();
    assert_eq!(failure.kind, ErrorKind::Unreachable);
    assert!(failure.to_string().contains("active node"), "{failure}");
    assert_eq!(followed.load(std::sync::atomic::Ordering::SeqCst), 0, "a token went elsewhere");
    serving.abort();
    waiting.abort();
}

/// A role whose tokens are versions.
async fn token_role(bao: &Bao, connector: &Arc<dyn Connector>) -> (Target, Minted) {
    let target = target(&bao.name());
    let role = json!({"allowed_policies": "default", "orphan": true, "token_period": "1h"});
    bao.post(&format!("auth/token/roles/{}", target.name), role).await;
    let wanted = MintRequest { proposed: None, ..request(&target, None, "") };
    let first = connector.mint(&bao.call(), &wanted).await.unwrap();
    (target, first)
}

#[tokio::test]
async fn a_dead_token_is_denied_and_one_without_rights_is_not() {
    let bao = Bao::find();
    let connector = open(&bao.address, &json!({"engine": "token"}));
    let (target, first) = token_role(&bao, &connector).await;
    let call = bao.call();
    let made = json!({"policies": ["nothing-allowed"], "no_default_policy": true, "no_parent": true});
    let made = bao.post("auth/token/create", made).await;
    let bare = Material::of(SecretValue::from(made["auth"]["client_token"].as_str().unwrap()));
    let verdict = connector.probe(&call, &target, &bare, 0).await.unwrap();
    assert!(matches!(verdict, Verdict::Unclear(_)), "it lives and may not even look at itself: {verdict:?}");
    let failure = connector.verify(&call, &target, &bare).await.unwrap_err();
    assert_ne!(failure.kind, ErrorKind::Denied, "{failure}");
    bao.post("auth/token/revoke", json!({"token": bare.secret.expose_str()})).await;
    assert_eq!(connector.probe(&call, &target, &bare, 0).await.unwrap(), Verdict::Denied);
    assert_eq!(connector.probe(&call, &target, &first.material, 0).await.unwrap(), Verdict::Accepted);
    let odd = Material::of(SecretValue::from("two\r\nlines"));
    assert_eq!(connector.probe(&call, &target, &odd, 0).await.unwrap(), Verdict::Denied);
}

#[tokio::test]
async fn the_children_of_a_revoked_token_break_with_it() {
    let bao = Bao::find();
    let connector = open(&bao.address, &json!({"engine": "token"}));
    let policy = bao.policy(&[("auth/token/create", &["update"])]).await;
    let target = target(&bao.name());
    let role = json!({"allowed_policies": [policy], "orphan": true});
    bao.post(&format!("auth/token/roles/{}", target.name), role).await;
    let wanted = MintRequest { proposed: None, ..request(&target, None, "") };
    let parent = connector.mint(&bao.call(), &wanted).await.unwrap();
    let made = bao.try_as(parent.material.secret.expose_str().unwrap(), "POST", "auth/token/create", json!({})).await.1;
    let child = made["auth"]["client_token"].as_str().unwrap();
    assert!(bao.lives(child).await);
    connector.revoke(&bao.call(), &target, &parent.version).await.unwrap();
    assert!(!bao.lives(child).await);
}

#[tokio::test]
async fn a_token_role_whose_tokens_would_not_stay_is_refused_with_what_to_do() {
    let bao = Bao::find();
    let connector = open(&bao.address, &json!({"engine": "token"}));
    for (role, word) in [
        (json!({"orphan": false}), "orphan"),
        (json!({"orphan": true, "token_type": "batch", "renewable": false}), "service"),
        (json!({"orphan": true, "token_num_uses": 3}), "token_num_uses"),
    ] {
        let target = target(&bao.name());
        bao.post(&format!("auth/token/roles/{}", target.name), role).await;
        let wanted = MintRequest { proposed: None, ..request(&target, None, "") };
        let failure = connector.mint(&bao.call(), &wanted).await.unwrap_err();
        assert_eq!(failure.kind, ErrorKind::Invalid);
        assert!(failure.to_string().contains(word), "{failure}");
    }
}

#[tokio::test]
async fn a_sealed_server_proves_nothing_and_nothing_was_done_there() {
    let own = crate::bao::Own::start().await;
    let bao = &own.bao;
    let mount = bao.mount("sys/auth", "approle", Value::Null).await;
    let connector = open(&bao.address, &json!({"engine": "approle", "mount": mount}));
    let (target, first) = role(bao, &connector, &mount, json!({})).await;
    bao.post("sys/seal", json!({})).await;
    let call = bao.call();
    assert_eq!(connector.check(&call, None).await.unwrap_err().kind, ErrorKind::Unreachable);
    let wanted = request(&target, None, "sealed-marker-1");
    assert_eq!(connector.mint(&call, &wanted).await.unwrap_err().kind, ErrorKind::Unreachable);
    let verdict = connector.probe(&call, &target, &first.material, 0).await.unwrap();
    assert!(matches!(verdict, Verdict::Unclear(_)), "{verdict:?}");
}

#[tokio::test]
async fn a_namespace_is_another_world() {
    let bao = Bao::find();
    let name = bao.name();
    bao.post(&format!("sys/namespaces/{name}"), json!({})).await;
    bao.post(&format!("{name}/sys/mounts/shelf"), json!({"type": "kv", "options": {"version": "2"}})).await;
    let inside = open(&bao.address, &json!({"engine": "kv2", "mount": "shelf", "namespace": name}));
    let outside = open(&bao.address, &json!({"engine": "kv2", "mount": "shelf"}));
    let call = bao.call();
    inside.check(&call, Some("app")).await.unwrap();
    let fields = [("password".to_owned(), SecretValue::from("inside"))].into();
    inside.write(&call, &WriteRequest { path: "app".into(), fields, expect: None }).await.unwrap();
    assert_eq!(inside.read(&call, "app").await.unwrap().version, "1");
    assert_eq!(outside.read(&call, "app").await.unwrap_err().kind, ErrorKind::Missing);
}

#[tokio::test]
async fn a_role_that_too_many_wrong_tries_locked_proves_nothing() {
    let bao = Bao::find();
    let mount = bao.mount("sys/auth", "approle", Value::Null).await;
    let connector = open(&bao.address, &json!({"engine": "approle", "mount": mount}));
    let (target, first) = role(&bao, &connector, &mount, json!({})).await;
    let wrong = Material { username: first.material.username.clone(), secret: SecretValue::from("never-was-marker") };
    let call = bao.call();
    // A success among them ends the count.
    for material in [&wrong, &wrong, &wrong, &wrong, &first.material, &wrong, &wrong, &wrong, &wrong] {
        let verdict = connector.probe(&call, &target, material, 0).await.unwrap();
        assert!(!matches!(verdict, Verdict::Unclear(_)), "{verdict:?}");
    }
    connector.probe(&call, &target, &wrong, 0).await.unwrap();
    for material in [&wrong, &first.material] {
        let verdict = connector.probe(&call, &target, material, 0).await.unwrap();
        assert!(
            matches!(verdict, Verdict::Unclear(_)),
            "the role is locked, and nothing of the value is known: {verdict:?}"
        );
    }
    let failure = connector.verify(&call, &target, &first.material).await.unwrap_err();
    assert_ne!(failure.kind, ErrorKind::Denied, "{failure}");
}

#[tokio::test]
async fn writers_to_one_path_at_once_lose_nothing_that_was_said_to_be_written() {
    let bao = Bao::find();
    let store = bao.mount("sys/mounts", "kv", json!({"version": "2"})).await;
    let shelf = open(&bao.address, &json!({"engine": "kv2", "mount": store}));
    let call = bao.call();
    shelf.check(&call, None).await.unwrap();
    let mut writers = tokio::task::JoinSet::new();
    for number in 0..12 {
        let (shelf, call) = (Arc::clone(&shelf), call.clone());
        writers.spawn(async move {
            let field = format!("field-{number}");
            let fields = [(field.clone(), SecretValue::from("written"))].into();
            let request = WriteRequest { path: "shared".into(), fields, expect: None };
            (field, shelf.write(&call, &request).await)
        });
    }
    let mut said = Vec::new();
    while let Some(written) = writers.join_next().await {
        let (field, result) = written.unwrap();
        match result {
            Ok(_) => said.push(field),
            Err(failure) => assert_eq!(failure.kind, ErrorKind::Conflict, "{failure}"),
        }
    }
    let there = shelf.read(&call, "shared").await.unwrap().fields;
    assert!(!said.is_empty() && said.len() < 12, "they never met: {}", said.len());
    assert_eq!(there.len(), said.len());
    assert!(said.iter().all(|field| there.contains_key(field)));
}
