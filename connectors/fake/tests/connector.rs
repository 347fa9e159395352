//! The connector against the world, over sockets: what each verb does, and how each outcome is classed.

#![allow(clippy::unwrap_used, clippy::panic, reason = "what builds a test may end it")]

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use jiff::Timestamp;
use remint_contract::{
    Call, Connector, ConnectorKind, ErrorKind, Expected, HostRules, Intent, MadeBy, Material, MintRequest, OperationId,
    Recovered, RightsChange, SecretValue, Seen, Slots, Strategy, Target, TestClock, Verb, Verdict, VersionId, Workload,
    WriteRequest,
};
use remint_fake::FakeKind;
use remint_fake::world::{
    Fault, Holding, HostSpec, Issuer, IssuerSpec, StoreSpec, TargetSpec, Trouble, WorkloadSpec, World,
};
use serde_json::json;

fn open(role: &str, urls: &[String]) -> Arc<dyn Connector> {
    FakeKind.open(&json!({"role": role, "endpoints": urls}), &HostRules::default()).unwrap()
}

fn call(operation: &str, actor: Option<&Material>) -> Call {
    Call {
        operation: OperationId(operation.to_owned()),
        deadline: Timestamp::MAX,
        actor: actor.map(|actor| Arc::new(actor.clone())),
    }
}

fn target(name: &str) -> Target {
    Target { name: name.to_owned(), settings: serde_json::Value::Null }
}

fn request(name: &str) -> MintRequest {
    MintRequest { target: target(name), strategy: Strategy::Overlap, old: None, old_username: None, proposed: None }
}

/// An issuer with an admin and a target `web`, its connector, and the admin's material.
async fn issuer(spec: IssuerSpec) -> (World, Arc<Issuer>, Arc<dyn Connector>, Material) {
    let mut world = World::start().await.unwrap();
    let spec = spec.with(TargetSpec::admin("root")).with(TargetSpec::new("web"));
    let issuer = world.issuer(spec).await.unwrap();
    let (_, admin) = issuer.seed("root").unwrap();
    let connector = open("issuer", &issuer.urls());
    (world, issuer, connector, admin)
}

#[tokio::test]
async fn a_version_is_minted_verified_and_refused_after_its_revoke() {
    let (_world, issuer, connector, admin) = issuer(IssuerSpec::new("ids")).await;
    let minted = connector.mint(&call("op-1", Some(&admin)), &request("web")).await.unwrap();
    let verified = connector.verify(&call("v", None), &target("web"), &minted.material).await.unwrap();
    assert_eq!((verified.version.clone(), verified.principal.as_str()), (minted.version.clone(), "web"));
    let probe = || async { connector.probe(&call("p", None), &target("web"), &minted.material, 0).await };
    assert_eq!(probe().await.unwrap(), Verdict::Accepted);
    connector.disable(&call("d", Some(&admin)), &target("web"), &minted.version).await.unwrap();
    assert_eq!(probe().await.unwrap(), Verdict::Denied);
    connector.enable(&call("e", Some(&admin)), &target("web"), &minted.version).await.unwrap();
    assert_eq!(probe().await.unwrap(), Verdict::Accepted);
    for _ in 0..2 {
        connector.revoke(&call("r", Some(&admin)), &target("web"), &minted.version).await.unwrap();
    }
    assert_eq!(probe().await.unwrap(), Verdict::Denied);
    assert_eq!(
        connector.verify(&call("v", None), &target("web"), &minted.material).await.unwrap_err().kind,
        ErrorKind::Denied
    );
    assert!(issuer.live_versions("web").is_empty());
}

#[tokio::test]
async fn admin_verbs_need_an_admin_or_the_minter_of_that_target() {
    let spec = IssuerSpec::new("ids").with(TargetSpec::new("ci").minting(&["web"])).with(TargetSpec::new("db"));
    let (_world, issuer, connector, _) = issuer(spec).await;
    let (_, minter) = issuer.seed("ci").unwrap();
    let (_, plain) = issuer.seed("web").unwrap();
    connector.mint(&call("op-1", Some(&minter)), &request("web")).await.unwrap();
    for (actor, name) in [(Some(&minter), "db"), (Some(&plain), "web"), (None, "web")] {
        let refused = connector.mint(&call("op-2", actor), &request(name)).await.unwrap_err();
        assert_eq!(refused.kind, ErrorKind::Denied, "{name}");
    }
    connector.check(&call("c", Some(&minter)), None).await.unwrap();
    assert_eq!(connector.check(&call("c", Some(&plain)), None).await.unwrap_err().kind, ErrorKind::Denied);
}

#[tokio::test]
async fn a_child_is_refused_once_its_parent_is_dead_however_deep() {
    let spec = IssuerSpec::new("ids")
        .with(TargetSpec::new("child").minting(&["grandchild"]).dying_with_parent())
        .with(TargetSpec::new("grandchild").dying_with_parent())
        .with(TargetSpec::new("parent").minting(&["child"]));
    let (_world, issuer, connector, admin) = issuer(spec).await;
    let (parent, minter) = issuer.seed("parent").unwrap();
    let child = connector.mint(&call("op-1", Some(&minter)), &request("child")).await.unwrap();
    let (_, grandchild) = issuer.seed_under("grandchild", &child.version).unwrap();
    connector.disable(&call("d", Some(&admin)), &target("parent"), &parent).await.unwrap();
    assert!(!issuer.accepts(&grandchild), "a child of a disabled parent is refused");
    connector.enable(&call("e", Some(&admin)), &target("parent"), &parent).await.unwrap();
    assert!(issuer.accepts(&grandchild) && issuer.accepts(&child.material));
    connector.revoke(&call("r", Some(&admin)), &target("parent"), &parent).await.unwrap();
    assert!(!issuer.accepts(&grandchild) && !issuer.accepts(&child.material));
    assert!(issuer.live_versions("grandchild").is_empty());
}

#[tokio::test]
async fn full_slots_are_said_and_in_place_takes_the_slot() {
    let spec = IssuerSpec { slots: Slots::Two, ..IssuerSpec::new("ids") };
    let (_world, issuer, connector, admin) = issuer(spec).await;
    for operation in ["op-1", "op-2"] {
        connector.mint(&call(operation, Some(&admin)), &request("web")).await.unwrap();
    }
    let full = connector.mint(&call("op-3", Some(&admin)), &request("web")).await.unwrap_err();
    assert_eq!(full.kind, ErrorKind::Full);
    let in_place = MintRequest { strategy: Strategy::InPlace, ..request("web") };
    connector.mint(&call("op-4", Some(&admin)), &in_place).await.unwrap();
    assert_eq!(issuer.live_versions("web").len(), 1);
}

#[tokio::test]
async fn a_lost_mint_is_recovered_as_the_issuer_allows() {
    for (made_by, proposed) in
        [(MadeBy::Remint, Some("proposed-value")), (MadeBy::Issuer, None), (MadeBy::IssuerOnce, None)]
    {
        let spec = IssuerSpec { made_by, ..IssuerSpec::new("ids") };
        let (_world, issuer, connector, admin) = issuer(spec).await;
        let mint = MintRequest { proposed: proposed.map(SecretValue::from), ..request("web") };
        let intent = Intent {
            operation: OperationId("op-1".into()),
            verb: Verb::Mint,
            target: target("web"),
            version: None,
            mint: Some(mint.clone()),
        };
        let before = issuer.fault(Fault::on("mint", Trouble::LostBefore).times(1));
        assert_eq!(connector.mint(&call("op-1", Some(&admin)), &mint).await.unwrap_err().kind, ErrorKind::Unclear);
        assert_eq!(issuer.fault_hits(before), 1);
        let recovered = connector.recover(&call("q", Some(&admin)), &intent).await.unwrap();
        assert!(matches!(recovered, Recovered::NotDone), "{made_by:?}");
        issuer.fault(Fault::on("mint", Trouble::LostAfter).times(1));
        assert_eq!(connector.mint(&call("op-1", Some(&admin)), &mint).await.unwrap_err().kind, ErrorKind::Unclear);
        match connector.recover(&call("q", Some(&admin)), &intent).await.unwrap() {
            Recovered::Done(Some(minted)) => {
                assert!(issuer.accepts(&minted.material) && made_by != MadeBy::IssuerOnce);
                // The same intent again makes nothing more.
                connector.mint(&call("op-1", Some(&admin)), &mint).await.unwrap();
            }
            Recovered::Orphan(version) => {
                assert_eq!(made_by, MadeBy::IssuerOnce);
                assert_eq!(issuer.live_versions("web")[0].version, version);
            }
            other => panic!("{made_by:?}: {other:?}"),
        }
        assert_eq!(issuer.live_versions("web").len(), 1);
    }
}

#[tokio::test]
async fn every_outcome_is_classed() {
    let (world, issuer, connector, admin) = issuer(IssuerSpec::new("ids")).await;
    let cases = [
        (Trouble::Throttle(Duration::from_secs(7)), ErrorKind::Throttled),
        (Trouble::NoSuchVerb, ErrorKind::Unsupported),
        (Trouble::RefuseValue, ErrorKind::RefusedValue),
        (Trouble::Forbid, ErrorKind::Denied),
        (Trouble::Broken, ErrorKind::Unclear),
        (Trouble::LostBefore, ErrorKind::Unclear),
        (Trouble::LostAfter, ErrorKind::Unclear),
    ];
    for (trouble, kind) in cases {
        world.fault("ids", Fault::on("list", trouble.clone()).times(1)).unwrap();
        let error = connector.enumerate(&call("l", Some(&admin)), &[]).await.unwrap_err();
        assert_eq!(error.kind, kind, "{trouble:?}");
        let wait = (kind == ErrorKind::Throttled).then_some(Duration::from_secs(7));
        assert_eq!(error.retry_after, wait);
    }
    let nothing = VersionId("x".into());
    let missing = connector.revoke(&call("r", Some(&admin)), &target("web"), &nothing).await.unwrap_err();
    assert_eq!(missing.kind, ErrorKind::Missing);
    let wrong = Material::of(SecretValue::from("not-a-credential"));
    assert_eq!(connector.enumerate(&call("l", Some(&wrong)), &[]).await.unwrap_err().kind, ErrorKind::Denied);
    drop(world);
    let closed = std::net::TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap();
    let nobody = open("issuer", &[format!("http://{closed}")]);
    assert_eq!(nobody.enumerate(&call("l", None), &[]).await.unwrap_err().kind, ErrorKind::Unreachable);
    assert!(issuer.counts().of("remint").of("list") >= 7);
}

#[tokio::test]
async fn a_probe_says_denied_only_for_the_issuers_own_denial() {
    let (_world, issuer, connector, _) = issuer(IssuerSpec::new("ids")).await;
    let (_, live) = issuer.seed("web").unwrap();
    for trouble in [Trouble::Forbid, Trouble::Broken, Trouble::LostBefore] {
        issuer.fault(Fault::on("use", trouble.clone()).times(1));
        let verdict = connector.probe(&call("p", None), &target("web"), &live, 0).await.unwrap();
        assert!(matches!(verdict, Verdict::Unclear(_)), "{trouble:?}: {verdict:?}");
    }
}

#[tokio::test]
async fn a_throttled_probe_says_how_long_to_wait() {
    let (_world, issuer, connector, _) = issuer(IssuerSpec::new("ids")).await;
    let (_, live) = issuer.seed("web").unwrap();
    issuer.fault(Fault::on("use", Trouble::Throttle(Duration::from_secs(7))).times(1));
    let throttled = connector.probe(&call("p", None), &target("web"), &live, 0).await.unwrap_err();
    assert_eq!((throttled.kind, throttled.verb), (ErrorKind::Throttled, Verb::Probe));
    assert_eq!(throttled.retry_after, Some(Duration::from_secs(7)));
    assert_eq!(connector.probe(&call("p", None), &target("web"), &live, 0).await.unwrap(), Verdict::Accepted);
}

#[tokio::test]
async fn a_lagging_endpoint_still_accepts_what_the_first_one_denies() {
    let clock = Arc::new(TestClock::new(Timestamp::UNIX_EPOCH));
    let mut world = World::with(Arc::<TestClock>::clone(&clock), 7).unwrap();
    let spec = IssuerSpec { endpoints: 2, ..IssuerSpec::new("ids") };
    let issuer = world.issuer(spec.with(TargetSpec::new("web"))).await.unwrap();
    let connector = open("issuer", &issuer.urls());
    let (version, old) = issuer.seed("web").unwrap();
    clock.advance(Duration::from_secs(10));
    issuer.lag(1, Duration::from_secs(5));
    connector.revoke(&call("r", None), &target("web"), &version).await.unwrap();
    let probe = async |endpoint| connector.probe(&call("p", None), &target("web"), &old, endpoint).await.unwrap();
    assert_eq!((probe(0).await, probe(1).await), (Verdict::Denied, Verdict::Accepted));
    clock.advance(Duration::from_secs(5));
    assert_eq!((probe(0).await, probe(1).await), (Verdict::Denied, Verdict::Denied));
}

#[tokio::test]
async fn a_lying_revoke_and_a_resurrection_leave_the_value_alive() {
    let (_world, issuer, connector, admin) = issuer(IssuerSpec::new("ids")).await;
    let (version, old) = issuer.seed("web").unwrap();
    issuer.fault(Fault::on("revoke", Trouble::Lie).times(1));
    connector.revoke(&call("r", Some(&admin)), &target("web"), &version).await.unwrap();
    assert!(issuer.accepts(&old), "the lie killed nothing");
    issuer.fault(Fault::on("revoke", Trouble::Resurrect(Duration::ZERO)).times(1));
    connector.revoke(&call("r", Some(&admin)), &target("web"), &version).await.unwrap();
    assert!(issuer.accepts(&old), "it came back at once");
    connector.revoke(&call("r", Some(&admin)), &target("web"), &version).await.unwrap();
    assert!(!issuer.accepts(&old));
    issuer.resurrect(&version).unwrap();
    assert!(issuer.accepts(&old));
}

#[tokio::test]
async fn sessions_outlive_their_version_until_they_are_ended() {
    let (_world, issuer, connector, admin) = issuer(IssuerSpec::new("ids")).await;
    let (version, _) = issuer.seed("web").unwrap();
    let token = issuer.open_session(&version).unwrap();
    connector.revoke(&call("r", Some(&admin)), &target("web"), &version).await.unwrap();
    assert!(issuer.accepts(&token));
    let ended = connector.end_derived(&call("x", Some(&admin)), &target("web"), &version).await.unwrap();
    assert_eq!(ended.len(), 1);
    assert!(!issuer.accepts(&token));
    assert!(connector.list_derived(&call("x", Some(&admin)), &target("web"), &version).await.unwrap().is_empty());
}

#[tokio::test]
async fn a_foreign_key_is_listed_and_belongs_to_its_target_or_to_none() {
    let (_world, issuer, connector, admin) = issuer(IssuerSpec::new("ids")).await;
    issuer.plant("web", "somebody", None).unwrap();
    issuer.add_target(TargetSpec::new("backdoor"));
    issuer.plant("backdoor", "somebody", None).unwrap();
    let live = connector.enumerate(&call("l", Some(&admin)), &[target("web"), target("root")]).await.unwrap();
    let seen: BTreeMap<&str, Option<&str>> =
        live.iter().map(|live| (live.label.as_str(), live.target.as_deref())).collect();
    let expected = [("backdoor by somebody", None), ("root by seed", Some("root")), ("web by somebody", Some("web"))];
    assert_eq!(seen, BTreeMap::from(expected));
}

#[tokio::test]
async fn rights_that_grew_are_told() {
    let (_world, issuer, connector, admin) = issuer(IssuerSpec::new("ids")).await;
    let (old, new) = (issuer.seed("web").unwrap().0, issuer.seed("web").unwrap().0);
    let web = target("web");
    let nobody = connector.compare_rights(&call("c", None), &web, &old, &new).await.unwrap_err();
    assert_eq!(nobody.kind, ErrorKind::Denied);
    let call = call("c", Some(&admin));
    assert_eq!(connector.compare_rights(&call, &web, &old, &new).await.unwrap(), RightsChange::Equal);
    issuer.widen(&new, "everything").unwrap();
    let broader = RightsChange::Broader(vec!["everything".into()]);
    assert_eq!(connector.compare_rights(&call, &web, &old, &new).await.unwrap(), broader);
}

#[tokio::test]
async fn uses_are_told_with_their_source_but_not_remints_own() {
    let (mut world, issuer, connector, admin) = issuer(IssuerSpec::new("ids")).await;
    let (version, value) = issuer.seed("web").unwrap();
    let store = world.store(StoreSpec::new("vault")).await.unwrap();
    store.put("web", &[("secret", &value.secret)]).unwrap();
    let spec = WorkloadSpec { name: "shop".into(), holds: vec![Holding::new("vault", "web", "ids")] };
    let spec = HostSpec { name: "host".into(), latency: Duration::ZERO, workloads: vec![spec] };
    world.workloads(spec).await.unwrap();
    connector.verify(&call("v", None), &target("web"), &value).await.unwrap();
    let call = call("u", Some(&admin));
    let since = Timestamp::MIN;
    assert!(connector.last_used(&call, &target("web"), &version, since).await.unwrap().is_empty());
    world.work("host", "shop").await.unwrap();
    let uses = connector.last_used(&call, &target("web"), &version, since).await.unwrap();
    assert_eq!(uses.iter().map(|seen| seen.source.as_str()).collect::<Vec<_>>(), ["shop"]);
}

#[tokio::test]
async fn a_store_keeps_readers_to_their_prefix_and_shows_staged_values_after_promotion() {
    let spec = IssuerSpec::new("ids").with(TargetSpec::new("reader")).with(TargetSpec::new("writer"));
    let (mut world, issuer, _, _) = issuer(spec).await;
    let spec = StoreSpec::new("vault").readable("ids", "reader", "ci/").writable("ids", "writer", "");
    let store = world.store(spec).await.unwrap();
    let (reader, writer) = (issuer.seed("reader").unwrap(), issuer.seed("writer").unwrap().1);
    store.put("ci/db", &[("secret", &SecretValue::from("old"))]).unwrap();
    store.put("prod/db", &[("secret", &SecretValue::from("prod"))]).unwrap();
    let connector = open("store", &store.urls());
    let as_reader = call("r", Some(&reader.1));
    let as_writer = call("w", Some(&writer));
    let request = WriteRequest {
        path: "ci/db".into(),
        fields: BTreeMap::from([("secret".to_owned(), SecretValue::from("new"))]),
        expect: Some("1".into()),
    };
    assert_eq!(connector.write(&as_reader, &request).await.unwrap_err().kind, ErrorKind::Denied);
    assert_eq!(connector.read(&as_reader, "prod/db").await.unwrap_err().kind, ErrorKind::Denied);
    assert_eq!(connector.check(&as_reader, Some("ci/db")).await.unwrap_err().kind, ErrorKind::Denied);
    connector.check(&as_writer, Some("ci/db")).await.unwrap();
    let written = connector.write(&as_writer, &request).await.unwrap();
    let seen = || async { connector.read(&as_reader, "ci/db").await.unwrap().fields["secret"].clone() };
    assert_eq!(seen().await, SecretValue::from("old"));
    connector.promote(&as_writer, "ci/db", &written.version).await.unwrap();
    connector.promote(&as_writer, "ci/db", &written.version).await.unwrap();
    assert_eq!(seen().await, SecretValue::from("new"));
    let late = WriteRequest { expect: Some("1".into()), ..request };
    assert_eq!(connector.write(&call("w2", Some(&writer)), &late).await.unwrap_err().kind, ErrorKind::Conflict);
    assert_eq!(connector.versions(&as_writer, "ci/db").await.unwrap(), ["2", "1"]);
    connector.destroy_version(&as_writer, "ci/db", "1").await.unwrap();
    assert_eq!(connector.versions(&as_writer, "ci/db").await.unwrap(), ["2"]);
    issuer_revokes(&issuer, &reader.0).await;
    assert_eq!(connector.read(&as_reader, "ci/db").await.unwrap_err().kind, ErrorKind::Denied);
}

async fn issuer_revokes(issuer: &Issuer, version: &VersionId) {
    let (_, admin) = issuer.seed("root").unwrap();
    let connector = open("issuer", &issuer.urls());
    connector.revoke(&call("r", Some(&admin)), &target("any"), version).await.unwrap();
}

#[tokio::test]
async fn a_workload_moves_with_a_reload_unless_it_ignores_it_or_reads_elsewhere() {
    let (mut world, issuer, _, _) = issuer(IssuerSpec::new("ids")).await;
    let store = world.store(StoreSpec::new("vault").open()).await.unwrap();
    let (old, new) = (issuer.seed("web").unwrap().1, issuer.seed("web").unwrap().1);
    store.put("web", &[("secret", &old.secret)]).unwrap();
    store.put("staging/web", &[("secret", &SecretValue::from("of-another-world"))]).unwrap();
    let spec = WorkloadSpec { name: "shop".into(), holds: vec![Holding::new("vault", "web", "ids")] };
    let spec = HostSpec { name: "host".into(), latency: Duration::ZERO, workloads: vec![spec] };
    let host = world.workloads(spec).await.unwrap();
    let connector = open("workloads", &host.urls());
    let shop = Workload { name: "shop".into(), reference: "shop".into(), settings: serde_json::Value::Null };
    let expected = Expected { new: new.fingerprint(), old: Some(old.fingerprint()), path: None };
    let observe = || async { connector.observe(&call("o", None), &shop, &expected).await.unwrap().seen };
    store.put("web", &[("secret", &new.secret)]).unwrap();
    assert_eq!(observe().await, Seen::Old);
    host.ignore_reload("shop");
    connector.reload(&call("r", None), &shop).await.unwrap();
    assert_eq!(observe().await, Seen::Old);
    host.heed_reload("shop");
    connector.reload(&call("r", None), &shop).await.unwrap();
    assert_eq!(observe().await, Seen::New);
    assert!(world.work("host", "shop").await.unwrap().is_empty());
    host.misread("shop", "web", "staging/web");
    connector.reload(&call("r", None), &shop).await.unwrap();
    assert_eq!(observe().await, Seen::Other);
    assert_eq!(world.work("host", "shop").await.unwrap(), ["vault:web"]);
}

#[tokio::test]
async fn a_request_after_its_deadline_is_not_done_where_the_issuer_looks_at_it() {
    let spec = IssuerSpec { deadlines: true, ..IssuerSpec::new("ids") };
    let (_world, issuer, connector, admin) = issuer(spec).await;
    let (version, value) = issuer.seed("web").unwrap();
    let late = Call { deadline: Timestamp::UNIX_EPOCH, ..call("r", Some(&admin)) };
    let error = connector.revoke(&late, &target("web"), &version).await.unwrap_err();
    assert_eq!(error.kind, ErrorKind::Unreachable);
    assert!(issuer.accepts(&value));
}

#[tokio::test]
async fn the_service_counts_how_many_calls_were_in_flight() {
    let spec = IssuerSpec { latency: Duration::from_millis(20), ..IssuerSpec::new("ids") };
    let (_world, issuer, connector, admin) = issuer(spec).await;
    let mut calls = tokio::task::JoinSet::new();
    for _ in 0..16 {
        let (connector, admin) = (Arc::clone(&connector), admin.clone());
        calls.spawn(async move { connector.check(&call("c", Some(&admin)), None).await.is_ok() });
    }
    assert!(calls.join_all().await.into_iter().all(|fine| fine));
    let counts = issuer.counts().of("remint");
    assert_eq!((counts.calls, counts.in_flight), (16, 0));
    assert!((2..=16).contains(&counts.most_in_flight), "{}", counts.most_in_flight);
}
