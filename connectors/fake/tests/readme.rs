//! The manifest in the README is read as it stands there.

use std::time::Duration;

use remint_contract::{ConnectorKind, Verb};
use remint_fake::FakeKind;

#[test]
fn the_manifest_in_the_readme_is_understood() {
    let readme = include_str!("../README.md");
    let yaml = readme.split("```yaml").nth(1).and_then(|rest| rest.split("```").next()).unwrap();
    let documents: Vec<serde_json::Value> = serde_yaml::from_multiple(yaml).unwrap();
    let described: Vec<_> =
        documents.iter().map(|document| FakeKind.describe(&document["spec"]["fake"]).unwrap()).collect();
    let issuer = described[0].issuer.as_ref().unwrap();
    assert_eq!((issuer.endpoints.len(), issuer.propagation), (2, Duration::from_millis(200)));
    assert!(described[0].verbs.contains(&Verb::Revoke) && !described[0].verbs.contains(&Verb::Disable));
    assert!(described[1].store.as_ref().unwrap().staged);
}

#[test]
fn unknown_settings_and_strange_addresses_are_refused() {
    for settings in [
        serde_json::json!({"role": "issuer", "endpoints": ["http://a"], "speed": 1}),
        serde_json::json!({"role": "issuer", "endpoints": []}),
        serde_json::json!({"role": "issuer", "endpoints": ["a:1"]}),
        serde_json::json!({"role": "queue", "endpoints": ["http://a"]}),
    ] {
        assert!(FakeKind.describe(&settings).is_err(), "{settings}");
    }
}
