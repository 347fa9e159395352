//! The alert rules beside what a daemon really exports: Prometheus' own code reads the one, a scrape is the other.

use std::collections::{BTreeMap, BTreeSet};
use std::io::Write as _;
use std::path::Path;
use std::process::Command;

use remint_evidence_format::cosignature::CosigningKey;
use serde_json::Value;
use zeroize::Zeroizing;

use super::Place;
use super::api::scrape;

/// Every number of a page, with each of its labels.
type Numbers = BTreeMap<String, Vec<BTreeMap<String, String>>>;

fn numbers(page: &str) -> Numbers {
    let mut all = Numbers::new();
    for line in page.lines().filter(|line| !line.starts_with('#')) {
        let (named, _) = line.rsplit_once(' ').unwrap();
        let (name, labels) = named.split_once('{').unwrap_or((named, ""));
        let labels = labels.trim_end_matches('}').split(',').filter_map(|one| one.split_once('='));
        let labels = labels.map(|(label, word)| (label.to_owned(), word.trim_matches('"').to_owned())).collect();
        all.entry(name.to_owned()).or_default().push(labels);
    }
    all
}

/// What the rules look at; they are refused by Prometheus where they are none.
fn looked_at() -> Vec<Value> {
    let Ok(program) = std::env::var("REMINT_TEST_RULES") else {
        panic!(
            "no Prometheus: REMINT_TEST_RULES is not set; run `cargo xtask test`, or export what `cargo xtask servers up prometheus-rules` prints"
        )
    };
    writeln!(std::io::stderr(), "SERVER Prometheus-rules").unwrap();
    let rules = Path::new(env!("CARGO_MANIFEST_DIR")).join("manifests/observability/alerts.yaml");
    let output = Command::new(program).arg(rules).output().unwrap();
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    String::from_utf8(output.stdout).unwrap().lines().map(|line| serde_json::from_str(line).unwrap()).collect()
}

#[tokio::test]
async fn every_alert_is_about_a_number_that_a_running_daemon_exports() {
    let place = Place::new(2).await;
    let witness = CosigningKey::from_seed("w.example", Zeroizing::new([7; 32])).unwrap();
    let text =
        format!("witness: {{quorum: 1, witnesses: [{{key: '{}', url: 'http://127.0.0.1:1'}}]}}\n", witness.public());
    std::fs::write(place.rig.folder.path().join("remint.yaml"), text).unwrap();
    let daemon = place.serve().await;
    // Some numbers are there only once there is something to count: a call of a connector, a deadline.
    let exported = numbers(&scrape(&daemon).await);
    daemon.stop().await;

    let (mut wrong, mut alerts) = (Vec::new(), BTreeSet::new());
    for one in looked_at() {
        let text = |key: &str| one[key].as_str().unwrap().to_owned();
        let (alert, metric) = (text("alert"), text("metric"));
        let shown = exported.get(&metric).map(Vec::as_slice).unwrap_or_default();
        if shown.is_empty() {
            wrong.push(format!("{alert}: nobody exports {metric}"));
        }
        for (label, word) in one["labels"].as_object().unwrap() {
            if !shown.iter().any(|labels| labels.get(label).is_some_and(|found| found == word)) {
                wrong.push(format!("{alert}: {metric} never has {label}={word}"));
            }
        }
        for label in one["grouping"].as_array().unwrap() {
            if !shown.iter().all(|labels| labels.contains_key(label.as_str().unwrap())) {
                wrong.push(format!("{alert}: {metric} has no label {label}"));
            }
        }
        alerts.insert(alert);
    }
    assert!(wrong.is_empty(), "{}\nexported: {exported:#?}", wrong.join("\n"));
    assert!(alerts.len() >= 9, "{alerts:?}");
}
