//! The webhooks as an API server is told of them.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use serde_json::{Value, json};

use crate::crd::{GROUP, VERSION};

/// Where the API server finds the daemon.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Place<'p> {
    /// An address that begins with `https://`.
    Url(&'p str),
    /// A Service of the cluster.
    Service { namespace: &'p str, name: &'p str },
}

/// Both configurations: first who stamps, then who refuses. `authority`: who signed the daemon's certificate, in PEM.
#[must_use]
pub fn configurations(place: &Place<'_>, authority: &[u8]) -> [Value; 2] {
    let all = json!([{
        "apiGroups": [GROUP], "apiVersions": [VERSION], "operations": ["CREATE", "UPDATE"], "resources": ["*"], "scope": "*",
    }]);
    let one = |kind: &str, path: &str, more: &Value| {
        let mut client = match place {
            Place::Url(url) => json!({ "url": format!("{}/{path}", url.trim_end_matches('/')) }),
            Place::Service { namespace, name } => {
                json!({ "service": { "namespace": namespace, "name": name, "path": format!("/{path}"), "port": 443 } })
            }
        };
        if !authority.is_empty() {
            client["caBundle"] = json!(STANDARD.encode(authority));
        }
        let mut hook = json!({
            "name": format!("{path}.{GROUP}"), "clientConfig": client, "rules": all, "failurePolicy": "Fail",
            "sideEffects": "None", "admissionReviewVersions": ["v1"], "timeoutSeconds": 10, "matchPolicy": "Equivalent",
        });
        if let (Some(hook), Some(more)) = (hook.as_object_mut(), more.as_object()) {
            hook.extend(more.clone());
        }
        json!({
            "apiVersion": "admissionregistration.k8s.io/v1", "kind": kind, "metadata": { "name": "remint" }, "webhooks": [hook],
        })
    };
    [
        one("MutatingWebhookConfiguration", "mutate", &json!({ "reinvocationPolicy": "Never" })),
        one("ValidatingWebhookConfiguration", "validate", &json!({})),
    ]
}
