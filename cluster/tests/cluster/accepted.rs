//! What the chart renders, before a real API server: a dry run of every object of every set.

use std::collections::BTreeSet;

use serde_json::{Value, json};

use crate::helm::{Helm, sets};
use crate::rig::{Server, until};

/// Where objects of a kind lie: with the plural, and whether they have a namespace.
fn path(object: &Value) -> String {
    let text = |value: &Value| value.as_str().unwrap_or_default().to_owned();
    let (version, kind) = (text(&object["apiVersion"]), text(&object["kind"]));
    let root = if version.contains('/') { format!("/apis/{version}") } else { format!("/api/{version}") };
    let plural = match kind.as_str() {
        "NetworkPolicy" => "networkpolicies".to_owned(),
        _ => format!("{}s", kind.to_lowercase()),
    };
    let name = text(&object["metadata"]["name"]);
    match object["metadata"]["namespace"].as_str() {
        Some(space) => format!("{root}/namespaces/{space}/{plural}/{name}"),
        None => format!("{root}/{plural}/{name}"),
    }
}

/// cert-manager is not there: its kind has the fields that the chart writes, and nobody behind it.
fn certificate() -> Value {
    let text = json!({"type": "string"});
    let issuer = json!({"type": "object", "required": ["name"],
        "properties": {"name": text, "kind": text, "group": text}});
    let spec = json!({"type": "object", "required": ["secretName", "issuerRef"], "properties": {
        "secretName": text, "issuerRef": issuer, "dnsNames": {"type": "array", "items": text},
    }});
    json!({
        "apiVersion": "apiextensions.k8s.io/v1", "kind": "CustomResourceDefinition",
        "metadata": {"name": "certificates.cert-manager.io"},
        "spec": {
            "group": "cert-manager.io", "scope": "Namespaced", "names": {"plural": "certificates", "kind": "Certificate"},
            "versions": [{"name": "v1", "served": true, "storage": true,
                "schema": {"openAPIV3Schema": {"type": "object", "properties": {"spec": spec}}}}],
        },
    })
}

#[tokio::test]
async fn a_real_api_server_takes_every_object_of_every_set() {
    let (helm, server) = (Helm::new(), Server::start().await);
    let definition = certificate();
    server
        .ask_as(
            server.admin(),
            "PATCH",
            &format!("{}?fieldManager=test", path(&definition)),
            "application/apply-patch+yaml",
            definition.to_string(),
        )
        .await
        .ok();
    until("its kind is served", async || {
        let all = server.ask("GET", "/apis/cert-manager.io/v1/certificates", &Value::Null).await;
        (all.status == 200).then_some(())
    })
    .await;
    for space in ["remint", "payments", "web"] {
        server.namespace(space).await;
    }
    let (mut wrong, mut kinds, mut count) = (Vec::new(), BTreeSet::new(), 0);
    for (set, values) in sets() {
        for object in helm.rendered(&values).objects() {
            let at = format!("{}?fieldManager=helm&dryRun=All&fieldValidation=Strict", path(object));
            let token = server.admin();
            let answer = server.ask_as(token, "PATCH", &at, "application/apply-patch+yaml", object.to_string()).await;
            if !(200..300).contains(&answer.status) || !answer.warnings.is_empty() {
                wrong.push(format!("{set} {at}: {} {} {:?}", answer.status, answer.body["message"], answer.warnings));
            }
            kinds.insert(object["kind"].as_str().unwrap().to_owned());
            count += 1;
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
    println!("MEASURED {count} objects of {} kinds taken", kinds.len());
    // Whoever takes one away takes it out here, too.
    for kind in ["StatefulSet", "Deployment", "Job", "NetworkPolicy", "PodDisruptionBudget", "Role", "Certificate"] {
        assert!(kinds.contains(kind), "{kind} is in no set");
    }
}
