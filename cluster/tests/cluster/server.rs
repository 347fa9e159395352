//! What a real API server makes of the kinds, with nobody behind it: the schemas alone.

use std::process::Command;

use serde_json::{Value, json};

use crate::definitions::folder;
use crate::rig::{Server, place};

fn object(kind: &str, name: &str, spec: Value) -> Value {
    json!({"apiVersion": "remint.dev/v1alpha1", "kind": kind, "metadata": {"name": name, "namespace": "default"}, "spec": spec})
}

/// Without a namespace, for what is of the whole cluster.
fn global(kind: &str, name: &str, spec: Value) -> Value {
    json!({"apiVersion": "remint.dev/v1alpha1", "kind": kind, "metadata": {"name": name}, "spec": spec})
}

#[tokio::test]
async fn a_real_api_server_takes_the_kinds_and_the_examples_and_refuses_by_schema() {
    let server = Server::start().await;
    server.define().await;

    // Every example, by the command that people use.
    for file in ["examples/incident.yaml", "policies/approvals.yaml"] {
        let mut command = Command::new("kubectl");
        command.arg("--kubeconfig").arg(server.file("admin.kubeconfig")).args(["apply", "--server-side", "-f"]);
        let output = command.arg(folder().join(file)).output().expect("kubectl is installed");
        assert!(output.status.success(), "{file}: {}", String::from_utf8_lossy(&output.stderr));
    }
    let mut command = Command::new("kubectl");
    command.arg("--kubeconfig").arg(server.file("admin.kubeconfig")).args(["get", "remint", "-o", "name"]);
    let output = String::from_utf8(command.output().unwrap().stdout).unwrap();
    assert!(output.lines().count() > 15 && output.contains("credential.remint.dev/payments-db"), "{output}");
    let columns = server
        .ask_as(
            server.admin(),
            "GET",
            "/apis/remint.dev/v1alpha1/namespaces/default/resets",
            "application/json",
            String::new(),
        )
        .await;
    assert_eq!(columns.status, 200);

    // What one object can say of itself, with our sentences.
    let refused = [
        (global("System", "two", json!({"fake": {}, "sql": {}})), "a System has one connector"),
        (global("System", "none", json!({"zone": "a"})), "a System has one connector"),
        (
            global("ApprovalPolicy", "nobody", json!({"require": {"approvals": 0}})),
            "nobody would have to approve a privileged credential",
        ),
        (
            object(
                "Credential",
                "outage",
                json!({"type": "t", "identity": "i", "issuedBy": {"system": "s", "target": "t"}, "rotation": {"strategy": "in-place"}}),
            ),
            "leaves every consumer without a working value",
        ),
        (
            object(
                "Credential",
                "twice",
                json!({"type": "t", "identity": "i", "issuedBy": {"system": "s", "target": "t"}, "deliveredTo": [{"at": "s:p#f", "fields": {"A": "{secret}"}}]}),
            ),
            "the field is given twice",
        ),
        (object("Identity", &format!("a{}", "b".repeat(80)), json!({"class": "agent"})), "at most 63 characters"),
        (object("Identity", "robot", json!({"class": "robot"})), "supported values: \"workload\""),
        (object("Identity", "colour", json!({"class": "agent", "colour": "red"})), "field not declared in schema"),
        (
            object("Reset", "timeless", json!({"from": ["Workload/a"], "reason": "r"})),
            "spec.requestedAt: Required value",
        ),
        (
            object("Reset", "nowhere", json!({"requestedAt": "2026-11-22T10:00:00Z", "from": [], "reason": "r"})),
            "should have at least 1 items",
        ),
    ];
    for (object, sentence) in refused {
        let told = server.apply(&object).await.refused();
        assert!(told.contains(sentence), "{told}");
    }

    // An act is never changed, but for `suspend`.
    let reset =
        object("Reset", "inc", json!({"requestedAt": "2026-11-22T10:00:00Z", "from": ["Workload/a"], "reason": "r"}));
    server.apply(&reset).await.ok();
    for (key, value, sentence) in [
        ("requestedAt", json!("2026-11-23T10:00:00Z"), "says when this was asked, once"),
        ("from", json!(["Workload/all"]), "`from` cannot be changed"),
        ("privileged", json!(true), "`privileged` cannot be changed"),
        ("requestedBy", json!({"user": "u", "at": "2026-11-22T10:00:00Z", "stamp": "0".repeat(64)}), "is stamped once"),
    ] {
        let patch = json!({"spec": {key: value}}).to_string();
        let told = server
            .ask_as(server.admin(), "PATCH", &place(&reset), "application/merge-patch+json", patch)
            .await
            .refused();
        assert!(told.contains(sentence), "{key}: {told}");
    }
    let patch = json!({"spec": {"suspend": true}}).to_string();
    server.ask_as(server.admin(), "PATCH", &place(&reset), "application/merge-patch+json", patch).await.ok();
    let status = json!({"status": {"phase": "Complete"}}).to_string();
    let path = place(&reset);
    server.ask_as(server.admin(), "PATCH", &path, "application/merge-patch+json", status.clone()).await.ok();
    let there = server.ask("GET", &path, &Value::Null).await.ok();
    assert!(there["status"].is_null(), "a status is written through its own door only: {there}");
}
