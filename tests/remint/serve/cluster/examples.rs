//! Every example of the repository, applied as people do it, with the webhooks and the daemon of this build behind it.

use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::Arc;

use remint::app::App;
use remint::context::Context;
use remint::registry::Registry;
use remint_contract::HostRules;

use serde_json::{Value, json};

use super::rig::place as place_of;
use super::{Cluster, Place, documents, until};

fn files(folder: &str) -> Vec<PathBuf> {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("manifests").join(folder);
    let mut files: Vec<_> = std::fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path()).collect();
    files.sort();
    files
}

#[tokio::test]
async fn every_example_is_taken_by_kubectl_and_every_one_of_its_documents_is_valid() {
    let cluster = Cluster::start().await;
    let place = Place::new(1).await;
    let (places, settings) = (place.places(), place.rig.settings.clone());
    let kinds = Arc::new(Registry::new());
    let app = App::open(&places, &Context::system(), kinds, HostRules::default(), settings).await.unwrap();
    let daemon = cluster.serve(&place, app).await;
    let mut all = Vec::new();
    for file in files("examples").into_iter().chain(files("policies")) {
        let mut command = Command::new("kubectl");
        command.arg("--kubeconfig").arg(cluster.server.file("admin.kubeconfig"));
        command.args(["apply", "--server-side", "-f"]).arg(&file);
        let output = tokio::task::spawn_blocking(move || command.output().expect("kubectl is installed"));
        let output = output.await.unwrap();
        assert!(output.status.success(), "{}: {}", file.display(), String::from_utf8_lossy(&output.stderr));
        all.extend(documents(&std::fs::read_to_string(&file).unwrap()));
    }
    assert!(all.len() > 15, "{}", all.len());
    let valid = async |document: &Value| {
        let there = cluster.get(document).await;
        let all = there["status"]["conditions"].as_array()?.clone();
        all.into_iter().find(|one| one["type"] == "Valid" && one["status"] == "True").map(|_| ())
    };
    // A Credential is said to be valid once the active estate has it: that takes somebody's word, as on any other day.
    let (credentials, others): (Vec<_>, Vec<_>) = all.iter().partition(|one| one["kind"] == "Credential");
    for document in others {
        until(&format!("{} is valid", place_of(document)), async || valid(document).await).await;
    }
    until("everything is active", async || {
        let shown = daemon.client.get("/v1/estate").await.ok();
        assert_eq!(shown["problems"], json!([]), "{shown}");
        if shown["staged"].is_null() {
            return Some(());
        }
        daemon.client.post("/v1/estate/activate", &json!({"digest": shown["staged"]})).await;
        None
    })
    .await;
    for document in credentials {
        until(&format!("{} is valid", place_of(document)), async || valid(document).await).await;
    }
    println!("MEASURED {} documents of {} files were applied by kubectl and are valid", all.len(), 2);
    daemon.stop().await;
}
