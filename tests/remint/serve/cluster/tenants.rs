//! What one namespace writes holds up no other.

use serde_json::{Value, json};

use super::{Cluster, Place, object};

fn of(space: &str, mut object: Value) -> Value {
    object["metadata"]["namespace"] = json!(space);
    object
}

fn identity(labels: &Value) -> Value {
    let mut made = object("Identity", "robot", json!({"class": "agent"}));
    made["metadata"]["labels"] = labels.clone();
    made
}

async fn ready(cluster: &Cluster, object: &Value, reason: &str) -> Value {
    condition(cluster, object, "Ready", reason).await
}

async fn condition(cluster: &Cluster, object: &Value, sort: &str, reason: &str) -> Value {
    super::super::until("it is said how it stands", async || {
        let there = cluster.get(object).await;
        let all = there["status"]["conditions"].as_array()?.clone();
        all.into_iter().find(|one| one["type"] == sort && one["reason"] == reason)
    })
    .await
}

#[tokio::test]
async fn a_namespace_with_something_wrong_stays_as_it_is_and_the_others_go_on() {
    let cluster = Cluster::start().await;
    let place_ = Place::new(1).await;
    for space in ["team-a", "team-b"] {
        cluster.server.namespace(space).await;
        cluster.server.apply(&of(space, identity(&json!({})))).await.ok();
    }
    cluster.documents(&place_.documents()).await;
    let grant = object("Grant", "team-a", json!({"from": "team-a"}));
    cluster.server.apply(&grant).await.ok();
    let daemon = cluster.serve(&place_, place_.open().await).await;

    // It refers to what is not there: that may still come, so that it is let in.
    let spec = json!({
        "type": "api-key", "identity": "nobody", "issuedBy": {"system": "default/bank", "target": "x"},
    });
    let wrong = of("team-a", object("Credential", "wrong", spec));
    cluster.server.apply(&wrong).await.ok();
    let told = condition(&cluster, &wrong, "Valid", "Invalid").await;
    assert!(told["message"].as_str().unwrap().contains("Identity/team-a/nobody does not exist"), "{told}");

    // Both write something that nobody has to say yes to.
    let labels = json!({"colour": "red"});
    for space in ["team-a", "team-b"] {
        cluster.server.apply(&of(space, identity(&labels))).await.ok();
    }
    let labelled = super::super::until("the label of team-b is active", async || {
        let text = daemon.client.get("/v1/estate").await.body.to_string();
        let digest = daemon.client.get("/v1/estate").await.body["active"].as_str()?.to_owned();
        let estate = daemon.client.get(&format!("/v1/records/estates/{digest}")).await.body;
        estate.to_string().contains("red").then_some((estate, text))
    })
    .await;
    let (estate, standing) = labelled;
    assert!(standing.contains("Identity/team-a/nobody does not exist"), "it stays said: {standing}");
    let red = estate.to_string().matches("\"red\"").count();
    assert_eq!(red, 1, "team-a is as it was: {estate:#}");
    let told = ready(&cluster, &of("team-a", identity(&labels)), "OthersInvalid").await;
    assert_eq!(told["status"], "Unknown");
    ready(&cluster, &of("team-b", identity(&labels)), "Active").await;

    // What team-a gives team-b by that is there, and counts for nothing: team-b is told where it lies.
    let given = of("team-a", object("Grant", "team-b", json!({"from": "team-b"})));
    cluster.server.apply(&given).await.ok();
    let spec =
        json!({"type": "api-key", "identity": "team-a/robot", "issuedBy": {"system": "default/bank", "target": "y"}});
    let other = of("team-b", object("Credential", "other", spec));
    cluster.server.apply(&object("Grant", "team-b", json!({"from": "team-b"}))).await.ok();
    cluster.server.apply(&other).await.ok();
    let told = condition(&cluster, &other, "Valid", "Invalid").await;
    let why = told["message"].as_str().unwrap();
    assert!(why.ends_with("because the namespace team-a stays as it is active: something in it is invalid"), "{told}");
    let told = ready(&cluster, &of("team-b", identity(&labels)), "OthersInvalid").await;
    let why = told["message"].as_str().unwrap();
    assert!(why.starts_with("another document of its namespace needs what the namespace team-a says"), "{told}");
    assert!(!why.contains("wrong") && !why.contains("nobody"), "no document of team-a is named: {told}");
    for one in [&other, &given] {
        cluster.server.ask("DELETE", &super::place(one), &Value::Null).await;
    }

    // And what has authority is made active for those with whom nothing is wrong.
    cluster.server.apply(&object("Grant", "team-c", json!({"from": "team-c"}))).await.ok();
    ready(&cluster, &object("Grant", "team-c", json!({})), "Staged").await;
    let socket = format!("unix:{}", place_.socket().display());
    let mut command = tokio::process::Command::new(env!("CARGO_BIN_EXE_remint"));
    command.env_clear().args(["--server", &socket, "estate", "activate", "--yes"]);
    let done = command.output().await.unwrap();
    let said = String::from_utf8_lossy(&done.stdout) + String::from_utf8_lossy(&done.stderr);
    assert!(done.status.success() && said.contains("everything stays as it is active"), "{said}");
    ready(&cluster, &object("Grant", "team-c", json!({})), "Active").await;

    // Mended, it is as everybody else.
    cluster.server.ask("DELETE", &super::place(&wrong), &Value::Null).await;
    ready(&cluster, &of("team-a", identity(&labels)), "Active").await;
    daemon.stop().await;
}

/// Somebody who may ask for things in his own namespace, and nowhere else.
async fn asker_of_team(cluster: &Cluster) -> String {
    let accounts = "/api/v1/namespaces/team/serviceaccounts";
    cluster.server.ask("POST", accounts, &json!({"metadata": {"name": "asker"}})).await.ok();
    let role = json!({
        "metadata": {"name": "asks"},
        "rules": [{"apiGroups": ["remint.dev"], "resources": ["resets", "approvals"], "verbs": ["*"]}],
    });
    let rbac = "/apis/rbac.authorization.k8s.io/v1/namespaces/team";
    cluster.server.ask("POST", &format!("{rbac}/roles"), &role).await.ok();
    cluster.server.ask("POST", &format!("{rbac}/rolebindings"), &bound("asks")).await.ok();
    let token = cluster.server.ask("POST", &format!("{accounts}/asker/token"), &json!({"spec": {}})).await.ok();
    let token = token["status"]["token"].as_str().unwrap().to_owned();
    super::super::until("the account may", async || {
        let resets = "/apis/remint.dev/v1alpha1/namespaces/team/resets";
        let seen = cluster.server.ask_as(&token, "GET", resets, "application/json", String::new()).await;
        (seen.status == 200).then_some(())
    })
    .await;
    token
}

fn bound(role: &str) -> Value {
    json!({
        "metadata": {"name": role},
        "roleRef": {"apiGroup": "rbac.authorization.k8s.io", "kind": "Role", "name": role},
        "subjects": [{"kind": "ServiceAccount", "name": "asker", "namespace": "team"}],
    })
}

/// What waits in a namespace is shown to whoever may read there, and of it is only said how many to whoever may not.
#[tokio::test]
async fn a_reset_shows_nothing_of_where_its_requester_may_not_read() {
    let cluster = Cluster::start().await;
    let place_ = Place::new(1).await;
    cluster.server.namespace("team").await;
    cluster.documents(&place_.documents()).await;
    let asker = "system:serviceaccount:team:asker";
    let token = asker_of_team(&cluster).await;
    let at = super::ClusterAt { operator: Some(asker.to_owned()), ..cluster.at() };
    let daemon = cluster.serve_at(at, &place_, place_.open().await).await;

    place_.rig.host.ignore_reload("w0");
    let asked =
        of("team", super::act("Reset", "foreign", json!({"from": ["Credential/default/app0"], "reason": "INC-3"})));
    let apply = async |object: &Value| {
        let bytes = serde_json::to_vec(object).unwrap();
        cluster.server.apply_as(&token, &super::place(object), &bytes).await.ok();
    };
    apply(&asked).await;
    let planned = cluster.stands(&asked, "/status/phase", "Requested").await;
    let spec = json!({"reset": "foreign", "plan": planned["status"]["plan"]});
    let yes = of("team", super::act("Approval", "foreign", spec));
    apply(&yes).await;
    let resting = cluster.stands(&asked, "/status/phase", "Resting").await;
    let status = &resting["status"];
    assert_eq!((&status["parkedTotal"], &status["parkedElsewhere"]), (&json!(1), &json!(1)), "{status:#}");
    assert!(!status.to_string().contains("app0"), "{status:#}");

    // With the right to read there it is shown.
    let role = json!({
        "metadata": {"name": "asker-reads"},
        "rules": [{"apiGroups": ["remint.dev"], "resources": ["credentials"], "verbs": ["get"]}],
    });
    let rbac = "/apis/rbac.authorization.k8s.io/v1/namespaces/default";
    cluster.server.ask("POST", &format!("{rbac}/roles"), &role).await.ok();
    cluster.server.ask("POST", &format!("{rbac}/rolebindings"), &bound("asker-reads")).await.ok();
    daemon.stop().await;
    let at = super::ClusterAt { operator: Some(asker.to_owned()), ..cluster.at() };
    let daemon = cluster.serve_at(at, &place_, place_.open().await).await;
    let shown = cluster.stands(&asked, "/status/parked/0/credential", "Credential/app0").await;
    assert!(shown["status"]["parkedElsewhere"].is_null(), "{shown:#}");
    daemon.stop().await;
}
