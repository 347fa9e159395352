//! What the webhooks refuse, asked by a real API server.

#[path = "../../../../core/tests/estate/kinds.rs"]
#[allow(dead_code, reason = "the tests of the reader use all of it")]
mod kinds;

use std::path::Path;
use std::sync::Arc;

use remint::app::App;
use remint::context::Context;
use remint_contract::HostRules;
use remint_core::estate::{SourceFile, load};
use serde_json::{Value, json};

use super::rig::{Answer, place};
use super::{Cluster, Place, object};
use kinds::KINDS;

fn folder(name: &str) -> std::path::PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("manifests").join(name)
}

/// Files that hold nothing but references to what may still come, which a cluster cannot know: one of them applied before
/// the other is no mistake. They are let in with a warning, and stand in the condition `Valid`.
const MAY_COME: [&str; 1] = ["dangling-ref"];
/// Two objects of one name are one object, and a byte order mark is not part of one.
const NO_MISTAKE: [&str; 2] = ["bom", "duplicate-name"];
/// What no API server passes on, as it is no object at all, or has fields that no schema has: refused in its own words.
const SERVERS_OWN: [&str; 12] = [
    "acts",
    "alias-bomb",
    "deep-nesting",
    "duplicate-key",
    "merge-and-tags",
    "missing-key",
    "not-utf8",
    "not-yaml",
    "tabs",
    "unknown-key",
    "wrong-type",
    "names",
];

#[tokio::test]
async fn every_invalid_document_is_refused_with_the_sentence_of_validate() {
    let cluster = Cluster::start().await;
    let place_ = Place::new(1).await;
    for space in ["team-a", "team-b"] {
        cluster.server.namespace(space).await;
    }
    // The kinds that the files were written for.
    let (places, settings) = (place_.places(), place_.rig.settings.clone());
    let app = App::open(&places, &Context::system(), Arc::new(KINDS), HostRules::default(), settings).await.unwrap();
    let daemon = cluster.serve(&place_, app).await;
    let mut wrong = Vec::new();
    let mut files: Vec<_> = std::fs::read_dir(folder("invalid")).unwrap().map(|entry| entry.unwrap().path()).collect();
    files.retain(|path| path.extension().is_some_and(|end| end == "yaml"));
    files.sort();
    for path in files {
        let name = path.file_stem().unwrap().to_str().unwrap().to_owned();
        let bytes = std::fs::read(&path).unwrap();
        let ours: Vec<String> = match load(&[SourceFile { name: name.clone(), bytes: bytes.clone() }], &KINDS) {
            Ok(_) => Vec::new(),
            Err(problems) => problems.0.iter().map(remint_cluster::document::sentence).collect(),
        };
        let (refused, warned) = apply(&cluster, &bytes).await;
        let with_ours = |said: &Vec<String>| {
            said.iter().any(|one| ours.iter().any(|ours| placeless(one).contains(&placeless(ours))))
        };
        let good = if MAY_COME.contains(&name.as_str()) {
            with_ours(&warned)
        } else if NO_MISTAKE.contains(&name.as_str()) {
            true
        } else if SERVERS_OWN.contains(&name.as_str()) {
            !refused.is_empty()
        } else {
            with_ours(&refused)
        };
        if !good {
            wrong.push(format!("{name}: refused {refused:#?}, warned {warned:#?}, and ours are {ours:#?}"));
        }
        sweep(&cluster).await;
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
    daemon.stop().await;
}

/// Without `(FILE:LINE)`: an object has neither.
fn placeless(sentence: &str) -> String {
    let parts = sentence.split_inclusive(')').map(|part| match part.rfind(" (") {
        Some(at)
            if part.trim_end_matches(')').ends_with(|last: char| last.is_ascii_digit()) && part[at..].contains(':') =>
        {
            &part[..at]
        }
        _ => part,
    });
    parts.collect()
}

/// Applies each document of a file; the sentences of refusals and of warnings.
async fn apply(cluster: &Cluster, bytes: &[u8]) -> (Vec<String>, Vec<String>) {
    let (mut refused, mut warned) = (Vec::new(), Vec::new());
    let text = String::from_utf8_lossy(bytes);
    let parts: Vec<&[u8]> = if std::str::from_utf8(bytes).is_ok() {
        text.split("\n---\n").map(str::as_bytes).collect()
    } else {
        vec![bytes]
    };
    for part in parts {
        let read: Option<Value> = serde_yaml::from_slice(part).ok();
        let path =
            read.filter(Value::is_object).map_or_else(|| place(&object("Identity", "app", json!({}))), |it| place(&it));
        let answer: Answer = cluster.server.apply_as(cluster.server.admin(), &path, part).await;
        warned.extend(answer.warnings.iter().map(|one| one.replace("\\\"", "\"")));
        if answer.status >= 400 {
            refused.push(answer.body["message"].as_str().unwrap_or("refused").to_owned());
        }
    }
    (refused, warned)
}

/// Takes everything away again.
async fn sweep(cluster: &Cluster) {
    for resource in remint_cluster::RESOURCES {
        let path = format!("/apis/remint.dev/v1alpha1/{}", resource.plural);
        let all = cluster.server.ask("GET", &path, &Value::Null).await.ok();
        for one in all["items"].as_array().into_iter().flatten() {
            let mut one = one.clone();
            one["kind"] = json!(resource.kind);
            cluster.merge(&one, &json!({"metadata": {"finalizers": null}})).await;
            cluster.server.ask("DELETE", &place(&one), &Value::Null).await;
        }
    }
}

#[tokio::test]
async fn tenants_need_a_grant_and_a_dry_run_leaves_nothing() {
    let cluster = Cluster::start().await;
    let place_ = Place::new(1).await;
    cluster.server.namespace("team").await;
    cluster.documents(&place_.documents()).await;
    let daemon = cluster.serve(&place_, place_.open().await).await;

    // The destination is another team's place.
    let mut foreign = object(
        "Credential",
        "taken",
        json!({
            "type": "api-key", "identity": "default/apps", "issuedBy": {"system": "default/bank", "target": "x"},
            "deliveredTo": [{"at": "default/shelf:apps/0#secret"}],
        }),
    );
    foreign["metadata"]["namespace"] = json!("team");
    let told = cluster.server.apply(&foreign).await.refused();
    assert!(told.contains("is in another namespace, and no Grant lets team refer to it"), "{told}");
    let grant =
        object("Grant", "team", json!({"from": "team", "to": ["System/bank", "Identity/apps", "System/shelf"]}));
    cluster.server.apply(&grant).await.ok();
    let told = cluster.server.apply(&foreign).await.refused();
    assert!(told.contains("app0"), "another's field in the same place: {told}");
    foreign["spec"]["deliveredTo"] = json!([{"at": "default/shelf:team/x#secret"}]);
    let dry = format!("{}?fieldManager=kubectl&dryRun=All", place(&foreign));
    let content = "application/apply-patch+yaml";
    cluster.server.ask_as(cluster.server.admin(), "PATCH", &dry, content, foreign.to_string()).await.ok();
    assert_eq!(cluster.server.ask("GET", &place(&foreign), &Value::Null).await.status, 404);
    cluster.server.apply(&foreign).await.ok();

    // Somebody's word makes it active; until then it only stands there.
    let staged = super::until("the grant is staged", async || {
        let there = cluster.get(&grant).await;
        let all = there["status"]["conditions"].as_array()?.clone();
        all.into_iter().find(|one| one["type"] == "Ready" && one["status"] == "False")
    })
    .await;
    assert!(staged["message"].as_str().unwrap().contains("remint estate activate sha256:"), "{staged}");
    daemon.stop().await;

    // Nobody answers: nothing is let in.
    let told = cluster.server.apply(&object("Identity", "late", json!({"class": "agent"}))).await;
    assert!(
        told.status >= 500 && told.body["message"].as_str().unwrap().contains("failed calling webhook"),
        "{told:?}"
    );
}
