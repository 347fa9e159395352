//! A namespace that is deleted while values of its credentials live.

use std::process::{Command, Stdio};

use serde_json::{Value, json};

use super::rig::place;
use super::{Cluster, Place, documents, object, until, write};

/// A Credential of a team, issued and delivered by systems of the whole cluster.
fn teams(name: &str, index: usize) -> Vec<Value> {
    let to = json!(["System/bank", "System/shelf", "System/floor", "Identity/apps"]);
    let grant = object("Grant", "team", json!({"from": "team", "to": to}));
    let mut credential = object(
        "Credential",
        name,
        json!({
            "type": "api-key", "identity": "default/apps",
            "issuedBy": {"system": "default/bank", "target": format!("app{index}")},
            "deliveredTo": [{"at": format!("default/shelf:apps/{index}#secret")}],
        }),
    );
    credential["metadata"]["namespace"] = json!("team");
    vec![grant, credential]
}

async fn space(cluster: &Cluster) -> Option<Value> {
    let answer = cluster.server.ask("GET", "/api/v1/namespaces/team", &Value::Null).await;
    (answer.status != 404).then(|| answer.ok())
}

/// What the namespace itself says that it waits for: the controllers of the cluster write that.
async fn waits(cluster: &Cluster) -> String {
    until("the namespace says what it waits for", async || {
        let there = space(cluster).await?;
        let all = there["status"]["conditions"].as_array()?;
        let one = all.iter().find(|one| one["type"] == "NamespaceFinalizersRemaining" && one["status"] == "True")?;
        one["message"].as_str().map(str::to_owned)
    })
    .await
}

async fn held(cluster: &Cluster, credential: &Value) {
    until("it is held", async || {
        (cluster.get(credential).await["metadata"]["finalizers"] == json!(["remint.dev/live"])).then_some(())
    })
    .await;
}

/// Two credentials, of which `app1` is the team's.
async fn shared(cluster: &Cluster, place_: &Place) -> Value {
    cluster.server.namespace("team").await;
    for mut document in documents(&place_.documents()) {
        if document["metadata"]["name"] == "app1" || document["metadata"]["name"] == "w1" {
            document["metadata"]["namespace"] = json!("team");
            if document["kind"] == "Credential" {
                continue;
            }
            document["spec"]["runsOn"]["system"] = json!("default/floor");
        }
        cluster.server.apply(&document).await.ok();
    }
    let mut team = teams("app1", 1);
    for document in &team {
        cluster.server.apply(document).await.ok();
    }
    team.remove(1)
}

#[tokio::test]
async fn a_namespace_waits_for_what_lives_and_says_so_and_goes_at_a_word() {
    let cluster = Cluster::start().await;
    let place_ = Place::new(2).await;
    let app1 = shared(&cluster, &place_).await;
    let daemon = cluster.serve(&place_, place_.open().await).await;
    held(&cluster, &app1).await;
    let version = place_.rig.value(1);

    cluster.server.ask("DELETE", "/api/v1/namespaces/team", &Value::Null).await.ok();
    let said = waits(&cluster).await;
    assert!(said.contains("remint.dev/live in 1 resource instances"), "{said}");
    let there = until("the object says what to do", async || {
        let there = cluster.get(&app1).await;
        let all = there["status"]["conditions"].as_array()?;
        all.iter().find(|one| one["reason"] == "Held").cloned()
    })
    .await;
    let told = there["message"].as_str().unwrap();
    assert!(told.contains("remint k8s release Credential/team/app1"), "{told}");

    // Its value lives, and nobody forgot it: it is in what is active, and a reset of it can be asked for.
    assert!(place_.rig.issuer.accepts(&version));
    cluster.merge(&app1, &json!({"metadata": {"annotations": {"remint.dev/release": "true"}}})).await.ok();
    until("the namespace is gone", async || space(&cluster).await.is_none().then_some(())).await;
    let shown = daemon.client.get("/v1/estate").await.ok();
    let text = shown.to_string();
    assert!(
        shown["staged"].is_string() && text.contains("Credential/team/app1"),
        "it waits for somebody's word: {text}"
    );
    let active = daemon.client.post("/v1/estate/activate", &json!({"digest": shown["staged"]})).await.ok();
    assert_eq!(active["active"], shown["staged"]);
    let asked = json!({"requestId": "inc-1", "from": ["Credential/team/app1"], "reason": "INC-1", "approve": true});
    let answer = daemon.client.post("/v1/resets", &asked).await;
    assert!(answer.status == 202, "a ghost that lives is still reached: {answer:?}");
    assert!(place_.rig.issuer.accepts(&version) || answer.status == 202);
    daemon.stop().await;
}

#[tokio::test]
async fn without_a_daemon_a_namespace_is_held_and_the_command_alone_frees_it() {
    let cluster = Cluster::start().await;
    let place_ = Place::new(2).await;
    let app1 = shared(&cluster, &place_).await;
    let daemon = cluster.serve(&place_, place_.open().await).await;
    held(&cluster, &app1).await;
    daemon.stop().await;
    cluster.forget_webhooks().await;

    cluster.server.ask("DELETE", "/api/v1/namespaces/team", &Value::Null).await.ok();
    let said = waits(&cluster).await;
    assert!(said.contains("remint.dev/live in 1 resource instances"), "{said}");
    assert!(cluster.get(&app1).await["metadata"]["deletionTimestamp"].is_string());

    // The command of whoever looks after the cluster, with nothing of Remint running.
    let at = cluster.at();
    let text = format!(
        "kubernetes: {{server: '{}', tokenFile: '{}', ca: '{}', namespace: default}}\n",
        at.server,
        at.token_file.display(),
        at.ca.display()
    );
    write(&place_.rig.folder.path().join("remint.yaml"), &text);
    let state = place_.rig.folder.path().to_owned();
    let released = async |name: &str| {
        let mut command = Command::new(env!("CARGO_BIN_EXE_remint"));
        command.arg("--state").arg(&state).args(["k8s", "release", name]).env_clear().stdin(Stdio::null());
        tokio::task::spawn_blocking(move || command.output().unwrap()).await.unwrap()
    };
    let wrong = released("Credential/team/nothing").await;
    assert!(!wrong.status.success() && String::from_utf8_lossy(&wrong.stderr).contains("not found"), "{wrong:?}");
    let done = released("Credential/team/app1").await;
    assert!(done.status.success(), "{done:?}");
    assert!(String::from_utf8_lossy(&done.stderr).contains("is let go"), "{done:?}");
    until("the namespace is gone", async || space(&cluster).await.is_none().then_some(())).await;

    // The state did not hear of it, and forgot nothing: the daemon that comes back still knows the value that lives.
    let daemon = cluster.serve(&place_, place_.open().await).await;
    let shown = daemon.client.get("/v1/estate").await.ok();
    assert!(shown["staged"].is_string() && shown.to_string().contains("Credential/team/app1"), "{shown}");
    assert!(place_.rig.issuer.accepts(&place_.rig.value(1)));
    let gone = cluster.server.ask("GET", &place(&app1), &Value::Null).await;
    assert_eq!(gone.status, 404);
    daemon.stop().await;
}
