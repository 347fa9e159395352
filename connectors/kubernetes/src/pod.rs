//! What a pod's description names: the Secrets that it reads, each with where its name stands.

use serde_json::Value;

/// A Secret's name in a pod's description.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Reference {
    /// Where the name stands, from the description on, as a JSON pointer.
    pub(crate) at: String,
    pub(crate) name: String,
}

/// Every Secret that is read: mounted, as a variable, or to pull images with.
pub(crate) fn references(spec: &Value) -> Vec<Reference> {
    let mut found = Vec::new();
    for volume in items(spec, "", "volumes") {
        note(spec, &mut found, format!("{volume}/secret/secretName"));
        for source in items(spec, &format!("{volume}/projected"), "sources") {
            note(spec, &mut found, format!("{source}/secret/name"));
        }
        note(spec, &mut found, format!("{volume}/csi/nodePublishSecretRef/name"));
    }
    for list in ["initContainers", "containers", "ephemeralContainers"] {
        for container in items(spec, "", list) {
            for variable in items(spec, &container, "env") {
                note(spec, &mut found, format!("{variable}/valueFrom/secretKeyRef/name"));
            }
            for variables in items(spec, &container, "envFrom") {
                note(spec, &mut found, format!("{variables}/secretRef/name"));
            }
        }
    }
    for secret in items(spec, "", "imagePullSecrets") {
        note(spec, &mut found, format!("{secret}/name"));
    }
    found
}

/// The places of a list's items.
fn items(spec: &Value, below: &str, list: &str) -> Vec<String> {
    let place = format!("{below}/{list}");
    let count = spec.pointer(&place).and_then(Value::as_array).map_or(0, Vec::len);
    (0..count).map(|index| format!("{place}/{index}")).collect()
}

fn note(spec: &Value, found: &mut Vec<Reference>, at: String) {
    if let Some(name) = spec.pointer(&at).and_then(Value::as_str) {
        let name = name.to_owned();
        found.push(Reference { at, name });
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn every_way_to_read_a_secret_is_found() {
        let spec = json!({
            "volumes": [
                {"name": "a", "secret": {"secretName": "mounted"}},
                {"name": "b", "projected": {"sources": [{"configMap": {"name": "x"}}, {"secret": {"name": "projected"}}]}},
                {"name": "c", "emptyDir": {}},
            ],
            "initContainers": [{"env": [{"name": "P", "valueFrom": {"secretKeyRef": {"name": "early", "key": "p"}}}]}],
            "containers": [{"envFrom": [{"secretRef": {"name": "all"}}], "env": [{"name": "Q", "value": "plain"}]}],
            "imagePullSecrets": [{"name": "pull"}],
        });
        let found = references(&spec);
        let names: Vec<_> = found.iter().map(|one| one.name.as_str()).collect();
        assert_eq!(names, ["mounted", "projected", "early", "all", "pull"]);
        for one in &found {
            assert_eq!(spec.pointer(&one.at), Some(&json!(one.name)));
        }
    }
}
