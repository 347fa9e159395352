//! The files of `manifests/crds` are what the code makes.

use std::path::PathBuf;

use remint_cluster::RESOURCES;

pub(crate) fn folder() -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("../manifests")
}

/// With `UPDATE_GOLDEN` set the files are written instead of compared.
#[test]
fn the_definitions_are_those_that_are_made() {
    let update = option_env!("UPDATE_GOLDEN").is_some();
    let crds = folder().join("crds");
    let mut wrong = Vec::new();
    for resource in RESOURCES {
        let (name, text) = resource.file().unwrap();
        let path = crds.join(&name);
        if update {
            std::fs::create_dir_all(&crds).unwrap();
            std::fs::write(&path, &text).unwrap();
        }
        if std::fs::read_to_string(&path).unwrap_or_default() != text {
            wrong.push(name);
        }
    }
    assert!(wrong.is_empty(), "not what `remint generate crds` makes: {}", wrong.join(", "));
    assert_eq!(std::fs::read_dir(&crds).unwrap().count(), RESOURCES.len(), "a file of no kind");
}

#[test]
fn every_field_has_a_description_and_a_bound() {
    fn look(path: &str, schema: &serde_json::Value, wrong: &mut Vec<String>) {
        if path.ends_with("/metadata") || path.ends_with("/apiVersion") || path.ends_with("/kind") {
            return;
        }
        let open = schema["x-kubernetes-preserve-unknown-fields"] == true;
        let kind = schema["type"].as_str();
        let bounded = match kind {
            Some("string") => schema["maxLength"].is_u64() || schema["enum"].is_array(),
            Some("array") => schema["maxItems"].is_u64(),
            Some("object") => open || schema["properties"].is_object() || schema["maxProperties"].is_u64(),
            Some("integer" | "boolean") => true,
            _ => open,
        };
        if !bounded {
            wrong.push(format!("{path} has no bound"));
        }
        for (key, one) in schema["properties"].as_object().into_iter().flatten() {
            let place = format!("{path}/{key}");
            let plain = path.ends_with("conditions[]") || matches!(key.as_str(), "apiVersion" | "kind" | "metadata");
            if one["description"].as_str().is_none_or(str::is_empty) && !plain {
                wrong.push(format!("{place} has no description"));
            }
            look(&place, one, wrong);
        }
        for (key, name) in [("items", "[]"), ("additionalProperties", "{}")] {
            if schema[key].is_object() {
                look(&format!("{path}{name}"), &schema[key], wrong);
            }
        }
    }
    let mut wrong = Vec::new();
    for resource in RESOURCES {
        let made = resource.definition();
        let version = &made["spec"]["versions"][0];
        look(resource.kind, &version["schema"]["openAPIV3Schema"], &mut wrong);
        assert_eq!(made["spec"]["names"]["categories"][0], "remint");
        assert!(version["subresources"]["status"].is_object());
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}
