//! The demo's estate: its documents, its intruder, and its services agree with one another.

#![allow(clippy::unwrap_used, clippy::panic, reason = "what builds a test may end it")]

use std::collections::BTreeSet;
use std::time::Duration;

use remint_contract::{ConnectorKind, SecretValue};
use remint_fake::FakeKind;
use remint_fake::demo::{Estate, KEEP, Options, RUNNER_FILES};

fn documents(estate: &Estate, kind: &str) -> Vec<serde_json::Value> {
    let all: Vec<serde_json::Value> = serde_yaml::from_multiple(&estate.documents).unwrap();
    all.into_iter().filter(|document| document["kind"] == kind).collect()
}

#[tokio::test]
async fn the_documents_hold_as_many_credentials_as_asked_and_settings_that_are_read() {
    for credentials in [40, 75] {
        let estate = Estate::start(&Options { credentials, ..Options::default() }).await.unwrap();
        assert_eq!(documents(&estate, "Credential").len(), credentials);
        for system in documents(&estate, "System") {
            FakeKind.describe(&system["spec"]["fake"]).unwrap();
        }
    }
}

#[tokio::test]
async fn the_intruder_finds_exactly_what_the_runner_leads_to() {
    let estate = Estate::start(&Options::default()).await.unwrap();
    let attacker = estate.attacker().unwrap();
    for _ in 0..3 {
        attacker.round().await;
    }
    let mut found = BTreeSet::new();
    for document in documents(&estate, "Credential") {
        let name = document["metadata"]["name"].as_str().unwrap().to_owned();
        let at = document["spec"]["deliveredTo"][0]["at"].as_str().unwrap();
        let (store, path) = at.strip_suffix("#secret").unwrap().split_once(':').unwrap();
        let value: SecretValue = estate.world.stores()[store].value(path, "secret").unwrap();
        let issuer = &estate.world.issuers()[document["spec"]["issuedBy"]["system"].as_str().unwrap()];
        let minted = issuer.live_versions(&name).iter().any(|version| version.label == "attacker");
        if attacker.holds(&value).await || minted {
            found.insert(name);
        }
    }
    assert_eq!(found, estate.reached);
    assert!(found.len() < 40 && attacker.loot().minted == 3);
    assert!(!estate.foothold().iter().any(|(store, _)| store == KEEP));
}

#[tokio::test]
async fn a_rebuilt_runner_shows_nothing_more() {
    let estate = Estate::start(&Options::default()).await.unwrap();
    estate.rebuild_runner();
    let attacker = estate.attacker().unwrap();
    estate.rebuild_runner();
    attacker.round().await;
    assert_eq!(attacker.held().await, 0);
    assert!(estate.foothold().iter().all(|(store, _)| store == RUNNER_FILES));
}

#[tokio::test]
async fn traffic_runs_without_a_failure_until_a_value_is_killed() {
    let estate = Estate::start(&Options::default()).await.unwrap();
    assert_eq!(estate.world.work("hosts", "svc-payments-db").await, Some(Vec::new()));
    let traffic = estate.world.traffic(Duration::from_millis(1), &estate.dirty_workloads());
    while traffic.report().requests < 200 {
        tokio::task::yield_now().await;
    }
    assert_eq!(traffic.report().failures, []);
    let issuer = &estate.world.issuers()["ids-core"];
    issuer.kill(&issuer.live_versions("payments-db")[0].version);
    while traffic.report().failures.is_empty() {
        tokio::task::yield_now().await;
    }
    let report = traffic.stop().await;
    let failed: BTreeSet<&str> = report.failures.iter().map(|failure| failure.workload.as_str()).collect();
    assert_eq!(failed, BTreeSet::from(["svc-payments-db"]));
    assert_eq!(report.failures[0].places, ["vault-prod:prod/payments-db"]);
}

#[tokio::test]
async fn the_same_seed_makes_the_same_values() {
    let value = async |seed| {
        let estate = Estate::start(&Options { seed, ..Options::default() }).await.unwrap();
        estate.world.stores()["vault-prod"].value("prod/payments-db", "secret").unwrap()
    };
    assert_eq!(value(1).await, value(1).await);
    assert_ne!(value(1).await, value(2).await);
}
