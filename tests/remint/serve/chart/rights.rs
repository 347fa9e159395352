//! What the chart allows its daemon, beside what the API server wrote down that the daemon did.

use std::collections::BTreeSet;
use std::path::PathBuf;

use serde_json::Value;

use super::Installed;
use super::pod::token;

/// One right: the group, the resource and the verb; and of which object alone.
type Right = (String, String, String, Option<String>);

pub(super) struct Audit {
    file: PathBuf,
    granted: BTreeSet<Right>,
}

const USER: &str = "system:serviceaccount:remint:remint";

impl Audit {
    /// Every right of the daemon's account; of the namespaces that are looked at, those of these.
    pub(super) async fn of(installed: &Installed, spaces: &[&str]) -> Self {
        let root = "/apis/rbac.authorization.k8s.io/v1";
        let mut rules = Vec::new();
        let mut paths =
            vec![format!("{root}/clusterroles/remint"), format!("{root}/namespaces/remint/roles/remint-lease")];
        paths.extend(spaces.iter().map(|space| format!("{root}/namespaces/{space}/roles/remint")));
        for path in paths {
            // There is one in a namespace only where namespaces are named.
            let role = installed.server.ask("GET", &path, &Value::Null).await;
            if role.status != 404 {
                rules.extend(role.ok()["rules"].as_array().unwrap().iter().cloned());
            }
        }
        let granted = rules.iter().flat_map(rights).collect();
        Self { file: installed.server.file("audit.log"), granted }
    }

    /// What the daemon did, and whether it might.
    fn done(&self) -> Vec<Value> {
        let text = std::fs::read_to_string(&self.file).unwrap_or_default();
        // The last line may be half of one.
        let lines = text.lines().filter_map(|line| serde_json::from_str::<Value>(line).ok());
        lines.filter(|event| event["user"]["username"] == USER).collect()
    }

    /// What is allowed and was never done.
    pub(super) fn unused(&self) -> BTreeSet<Right> {
        let mut left = self.granted.clone();
        for event in self.done() {
            let (group, resource, verb, name) = asked(&event);
            left.remove(&(group.clone(), resource.clone(), verb.clone(), Some(name)));
            left.remove(&(group, resource, verb, None));
        }
        left
    }

    pub(super) fn nothing_was_refused(&self) {
        let done = self.done();
        assert!(done.len() > 20, "{done:?}");
        for event in &done {
            let reason = event["annotations"]["authorization.k8s.io/reason"].as_str().unwrap_or_default();
            assert_eq!(event["annotations"]["authorization.k8s.io/decision"], "allow", "{event}");
            // By the chart's own word, not because everybody may.
            assert!(reason.contains("Binding \"remint"), "{event}");
        }
        println!("MEASURED {} requests of the daemon by {} rights", done.len(), self.granted.len());
    }
}

fn rights(rule: &Value) -> Vec<Right> {
    let words = |key: &str| -> Vec<String> {
        rule[key].as_array().into_iter().flatten().map(|word| word.as_str().unwrap().to_owned()).collect()
    };
    let names: Vec<Option<String>> = match words("resourceNames") {
        names if names.is_empty() => vec![None],
        names => names.into_iter().map(Some).collect(),
    };
    let mut all = Vec::new();
    for group in words("apiGroups") {
        for resource in words("resources") {
            for verb in words("verbs") {
                let one = |name: &Option<String>| (group.clone(), resource.clone(), verb.clone(), name.clone());
                all.extend(names.iter().map(one));
            }
        }
    }
    all
}

fn asked(event: &Value) -> (String, String, String, String) {
    let of = &event["objectRef"];
    let text = |value: &Value| value.as_str().unwrap_or_default().to_owned();
    let resource = match of["subresource"].as_str() {
        Some(sub) => format!("{}/{sub}", text(&of["resource"])),
        None => text(&of["resource"]),
    };
    (text(&of["apiGroup"]), resource, text(&event["verb"]), text(&of["name"]))
}

/// What whoever takes the daemon's token would try first.
pub(super) async fn nothing_else_is_allowed(installed: &Installed) {
    let token = token(&installed.server, "remint").await;
    let ours = "/apis/remint.dev/v1alpha1/namespaces/default";
    for (method, path, body) in [
        ("GET", "/api/v1/secrets".to_owned(), ""),
        ("GET", "/api/v1/namespaces/remint/secrets/remint-kek".to_owned(), ""),
        ("GET", "/api/v1/namespaces".to_owned(), ""),
        ("POST", "/api/v1/namespaces/remint/pods".to_owned(), "{}"),
        ("POST", "/api/v1/namespaces/remint/serviceaccounts/remint/token".to_owned(), "{}"),
        ("PATCH", format!("{ours}/resets/inc-1"), "{}"),
        ("POST", format!("{ours}/resets"), "{}"),
        ("POST", format!("{ours}/approvals"), "{}"),
        ("DELETE", format!("{ours}/credentials/app0"), ""),
        ("PATCH", "/apis/remint.dev/v1alpha1/systems/bank".to_owned(), "{}"),
        ("DELETE", "/apis/coordination.k8s.io/v1/namespaces/remint/leases/remint".to_owned(), ""),
        ("PUT", "/apis/coordination.k8s.io/v1/namespaces/remint/leases/other".to_owned(), "{}"),
        ("PATCH", "/apis/admissionregistration.k8s.io/v1/validatingwebhookconfigurations/other".to_owned(), "{}"),
        (
            "DELETE",
            "/apis/admissionregistration.k8s.io/v1/validatingwebhookconfigurations/remint-webhooks".to_owned(),
            "",
        ),
        ("PATCH", "/apis/rbac.authorization.k8s.io/v1/clusterroles/remint".to_owned(), "{}"),
    ] {
        let content = if method == "PATCH" { "application/merge-patch+json" } else { "application/json" };
        let answer = installed.server.ask_as(&token, method, &path, content, body).await;
        assert_eq!(answer.status, 403, "{method} {path}: {answer:?}");
    }
}
