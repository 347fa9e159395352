//! Persons' approvals on real resets: who starts one, and what stops the credentials that did not start.

mod bundle;
mod ceremony;
mod clock;
mod daemon;
mod emergency;
mod exceptions;
mod standing;
mod state;
mod streams;

use std::collections::BTreeSet;
use std::sync::Arc;

use jiff::Timestamp;
use remint::engine::record::{ResetStatus, Urgency, kind, put};
use remint::engine::reset::Request;
use remint::engine::{Engine, EngineError};
use remint::govern::Charter;
use remint::store::sqlite::SqliteStore;
use remint::store::{Change, Rule, Store};
use remint_contract::ResetId;
use remint_core::approval::{Executor, Obligations, Party, Person, Separate, Signature, Strength};
use remint_core::digest::Digest;
use remint_core::estate::{ApprovalPolicy, Estate, Meta, Selection, Tier};
use remint_core::machine::{Reason, State};

use crate::rig::{Rig, assert_settled};

pub(crate) fn person(name: &str, principal: &str) -> Party {
    Party::Person { principal: principal.to_owned(), person: Person(name.to_owned()) }
}

/// A charter of two persons, who may everything.
pub(crate) fn two() -> Charter {
    Charter {
        policies: [("all.cedar".to_owned(), "permit (principal, action, resource);".to_owned())].into(),
        persons: "persons:\n  alice: {principals: ['unix:1']}\n  bob: {principals: ['unix:2']}\n".to_owned(),
    }
}

/// So many persons for everything, the requester not among them.
pub(crate) fn policy(estate: &mut Estate, approvals: u32) {
    let identity = estate.identities.values().next().unwrap().meta.clone();
    let meta = Meta { name: identity.name.clone(), ..identity };
    let reference = "ApprovalPolicy/all".parse().unwrap();
    let require = Obligations {
        approvals,
        separate: BTreeSet::from([Separate::RequesterApprover]),
        step_up: None,
        canary: None,
        least_confirm: None,
        least_proof: None,
        ..Obligations::strict()
    };
    estate.approvals.insert(reference, ApprovalPolicy { meta, select: Selection::default(), require });
}

async fn rig(count: usize, approvals: u32) -> Rig {
    let mut rig = Rig::start(count).await;
    for identity in rig.estate.identities.values_mut() {
        identity.tier = Tier::Privileged;
    }
    policy(&mut rig.estate, approvals);
    rig
}

fn governed(mut engine: Engine) -> Engine {
    engine.settings.executor = Some(Executor::Remint);
    engine
}

async fn asked(rig: &Rig, engine: &Engine) -> (ResetId, Digest) {
    let id = engine.context.reset().unwrap();
    let plan = rig.plan();
    let digest = plan.digest;
    let (estate, at) = (rig.estate.clone(), engine.context.clock.now());
    let (reason, by) = ("INC-9".to_owned(), "alice".to_owned());
    let request = Request { id: id.clone(), plan, estate, reason, by, at };
    let alice = Some(person("alice", "unix:1"));
    engine.request_of(request, Urgency::Incident, None, alice).await.unwrap();
    (id, digest)
}

fn yes(engine: &Engine, by: Party) -> Signature {
    Signature {
        by,
        roles: BTreeSet::new(),
        at: engine.context.clock.now(),
        strength: Strength { auth_time: None::<Timestamp>, grade: "recorded".to_owned() },
        plan: 0,
        delta: false,
        additions: None,
        withdrawn: None,
        until: None,
        signed: None,
    }
}

async fn sign(engine: &Engine, id: &ResetId, digest: Digest, name: &str, principal: &str) -> Vec<String> {
    engine.sign(id, digest, yes(engine, person(name, principal))).await.unwrap().lacks
}

/// The words that each credential is parked for, where it is.
async fn parked(engine: &Engine, id: &ResetId) -> Vec<(String, Option<String>)> {
    let records = engine.rotations(id).await.unwrap();
    let words = records.iter().map(|record| match &record.rotation.state {
        State::Parked { reason: Reason::Task { what }, .. } => (record.credential.to_string(), Some(what.clone())),
        _ => (record.credential.to_string(), None),
    });
    words.collect()
}

#[tokio::test]
async fn a_reset_starts_when_enough_other_persons_signed_exactly_its_plan() {
    let rig = rig(1, 2).await;
    let engine = governed(rig.engine());
    let old = [rig.value(0)];
    let (id, digest) = asked(&rig, &engine).await;
    // Nobody's word alone starts it, and nothing runs before.
    assert!(matches!(engine.approve(&id, "root").await, Err(EngineError::Refused(_))));
    assert!(matches!(engine.run(&id).await, Err(EngineError::Unapproved(_))));
    let other = engine.sign(&id, Digest::of(b"another plan"), yes(&engine, person("bob", "unix:2"))).await;
    assert!(other.unwrap_err().to_string().contains("look at it, and sign that"));
    // Who asked, through a second token; one other person, through two principals.
    assert_eq!(sign(&engine, &id, digest, "alice", "token:2").await.len(), 1);
    assert_eq!(sign(&engine, &id, digest, "bob", "unix:2").await.len(), 1);
    assert_eq!(sign(&engine, &id, digest, "bob", "oidc:bob").await.len(), 1);
    assert_eq!(engine.reset(&id).await.unwrap().status, ResetStatus::Requested);
    assert_eq!(sign(&engine, &id, digest, "carol", "unix:3").await, Vec::<String>::new());
    let done = engine.run(&id).await.unwrap();
    assert_settled(&rig, &engine, &done, &old, "approved by two").await;
}

#[tokio::test]
async fn what_is_withdrawn_before_a_credential_starts_parks_it_until_somebody_else_signs() {
    let rig = rig(1, 2).await;
    let engine = governed(rig.engine());
    let (id, digest) = asked(&rig, &engine).await;
    sign(&engine, &id, digest, "bob", "unix:2").await;
    sign(&engine, &id, digest, "carol", "unix:3").await;
    engine.withdraw(&id, &person("carol", "unix:3"), "looked again").await.unwrap();
    engine.run(&id).await.unwrap();
    let words = parked(&engine, &id).await;
    assert!(
        words
            .iter()
            .all(|(_, what)| what.as_ref().is_some_and(|what| what.contains("not approved: 1 more person of 2"))),
        "{words:?}"
    );
    assert!(rig.issuer.accepts(&rig.value(0)));
}

#[tokio::test]
async fn a_policy_that_was_relaxed_signed_under_and_put_back_starts_nothing() {
    let rig = rig(1, 1).await;
    let engine = governed(rig.engine());
    let (id, digest) = asked(&rig, &engine).await;
    assert_eq!(sign(&engine, &id, digest, "bob", "unix:2").await, Vec::<String>::new());
    // The estate that is active again asks for three.
    let mut strict = rig.estate.clone();
    policy(&mut strict, 3);
    let mut change = Change::default();
    let name = strict.digest().to_string();
    change.puts.push(put(kind::ESTATE, name.clone(), "", &strict, Rule::Upsert).unwrap());
    change.puts.push(put("active", "estate", "", &name, Rule::Upsert).unwrap());
    engine.store.commit(change).await.unwrap();
    engine.run(&id).await.unwrap();
    let words = parked(&engine, &id).await;
    assert!(
        words.iter().all(|(_, what)| what.as_ref().is_some_and(|what| what.contains("2 more persons of 3"))),
        "{words:?}"
    );
}

#[tokio::test]
async fn a_state_without_a_case_or_a_party_starts_nothing_where_somebody_governs() {
    let rig = rig(1, 1).await;
    let free = rig.engine();
    let id = rig.approved(&free, rig.plan()).await;
    let store = Arc::clone(&free.store);
    let engine = governed(rig.engine_over(store));
    engine.run(&id).await.unwrap();
    let words = parked(&engine, &id).await;
    assert!(words.iter().all(|(_, what)| what.is_some()), "{words:?}");
}

/// What is active, from now on.
async fn active(engine: &Engine, estate: &Estate) {
    let mut change = Change::default();
    let name = estate.digest().to_string();
    change.puts.push(put(kind::ESTATE, name.clone(), "", estate, Rule::Upsert).unwrap());
    change.puts.push(put("active", "estate", "", &name, Rule::Upsert).unwrap());
    engine.store.commit(change).await.unwrap();
}

#[tokio::test]
async fn of_several_credentials_only_the_one_parks_that_was_changed_after_it_was_approved() {
    let rig = rig(3, 2).await;
    let engine = governed(rig.engine());
    let (id, digest) = asked(&rig, &engine).await;
    sign(&engine, &id, digest, "bob", "unix:2").await;
    sign(&engine, &id, digest, "carol", "unix:3").await;
    let mut edited = rig.estate.clone();
    let app1 = "Credential/app1".parse().unwrap();
    edited.credentials.get_mut(&app1).unwrap().delivered_to[0].at.path = "apps/elsewhere".to_owned();
    active(&engine, &edited).await;
    engine.run(&id).await.unwrap();
    let states: Vec<(String, bool)> = engine
        .rotations(&id)
        .await
        .unwrap()
        .iter()
        .map(|record| (record.credential.to_string(), matches!(record.rotation.state, State::Settled { .. })))
        .collect();
    let settled = [("Credential/app0", true), ("Credential/app1", false), ("Credential/app2", true)];
    assert_eq!(states, settled.map(|(name, settled)| (name.to_owned(), settled)));
}

#[tokio::test]
async fn a_system_that_points_at_another_host_since_is_sent_nothing() {
    let (rig, elsewhere) = (rig(1, 2).await, Rig::start(1).await);
    let engine = governed(rig.engine());
    let (id, digest) = asked(&rig, &engine).await;
    sign(&engine, &id, digest, "bob", "unix:2").await;
    sign(&engine, &id, digest, "carol", "unix:3").await;
    // Every system of the active estate is somebody else's by now.
    let mut edited = rig.estate.clone();
    for (name, system) in &mut edited.systems {
        let theirs = &elsewhere.estate.systems[name];
        system.settings.clone_from(&theirs.settings);
    }
    assert_ne!(edited.digest(), rig.estate.digest());
    active(&engine, &edited).await;
    let old = rig.value(0);
    let before = elsewhere.issuer.live_versions("app0").len();
    engine.run(&id).await.unwrap();
    let words = parked(&engine, &id).await;
    let settled = engine.rotations(&id).await.unwrap();
    assert!(settled.iter().all(|record| !matches!(record.rotation.state, State::Settled { .. })), "{words:?}");
    assert_eq!(elsewhere.issuer.live_versions("app0").len(), before, "nothing was made there");
    assert!(rig.issuer.accepts(&old), "and nothing ended here");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn many_signatures_at_once_from_two_replicas_start_a_reset_once() {
    let rig = rig(1, 2).await;
    let store: Arc<dyn Store> = Arc::new(SqliteStore::open(rig.folder.path()).unwrap());
    let one = governed(rig.engine_over(Arc::clone(&store)));
    let other = governed(rig.engine_over(store));
    let (id, digest) = asked(&rig, &one).await;
    let mut signing = tokio::task::JoinSet::new();
    for number in 0..1000 {
        let engine = if number % 2 == 0 { one.clone() } else { other.clone() };
        let id = id.clone();
        signing.spawn(async move {
            let by = person(&format!("p{number}"), &format!("unix:{number}"));
            let signature = yes(&engine, by);
            engine.sign(&id, digest, signature).await.is_ok()
        });
    }
    let taken = signing.join_all().await;
    assert!(taken.iter().any(|taken| *taken));
    let entries = one.store.entries_of(&id).await.unwrap();
    let started = entries.iter().filter(|entry| String::from_utf8_lossy(&entry.bytes).contains("\"reset.started\""));
    assert_eq!(started.count(), 1);
}
