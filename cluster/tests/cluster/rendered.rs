//! What the chart renders, as text, and what it refuses.

use std::fmt::Write as _;
use std::path::Path;

use similar::TextDiff;

use crate::helm::{Helm, Rendered, chart, golden, sets};

#[test]
fn helm_finds_nothing_wrong_with_the_chart_whatever_its_values() {
    let helm = Helm::new();
    let chart = chart();
    for (name, values) in sets() {
        let [chart, values] = [chart.to_str().unwrap(), values.to_str().unwrap()];
        let output = helm.run(&["lint", "--strict", chart, "--values", values]);
        let said = String::from_utf8_lossy(&output.stdout);
        assert!(output.status.success() && said.contains("1 chart(s) linted, 0 chart(s) failed"), "{name}: {said}");
    }
}

/// The first set in full, the others as what they change of it. With `UPDATE_GOLDEN` set the texts are written.
#[test]
fn what_is_rendered_is_what_was_looked_at() {
    let helm = Helm::new();
    let sets = sets();
    assert!(sets.len() >= 8, "{:?}", sets.keys());
    let default = helm.rendered(&sets["default"]);
    let mut changed = Vec::new();
    for (name, values) in &sets {
        let shown = match name.as_str() {
            "default" => whole(&default),
            _ => difference(&default, &helm.rendered(values)),
        };
        let place = golden().join(format!("{name}.txt"));
        if option_env!("UPDATE_GOLDEN").is_some() {
            std::fs::write(&place, &shown).unwrap();
        }
        let known = std::fs::read_to_string(&place).unwrap_or_default();
        if known != shown {
            changed.push(format!("{name}\n{}", TextDiff::from_lines(&known, &shown).unified_diff()));
        }
    }
    assert!(changed.is_empty(), "look at it, then UPDATE_GOLDEN=1:\n{}", changed.join("\n"));
}

fn whole(rendered: &Rendered) -> String {
    rendered.0.values().map(|(text, _)| format!("---\n{text}")).collect()
}

fn difference(default: &Rendered, other: &Rendered) -> String {
    let mut shown = "# Against default.txt.\n".to_owned();
    for name in default.0.keys().filter(|name| !other.0.contains_key(*name)) {
        let _ = writeln!(shown, "--- gone: {name}");
    }
    for (name, (text, _)) in &other.0 {
        match default.0.get(name) {
            None => {
                let _ = write!(shown, "--- new: {name}\n{text}");
            }
            Some((known, _)) if known != text => {
                let difference = TextDiff::from_lines(known, text);
                let _ = write!(shown, "--- changed: {name}\n{}", difference.unified_diff().context_radius(2));
            }
            Some(_) => {}
        }
    }
    shown
}

/// What is written beside the Secret with the key, and what is said of it.
const WRONG: [(&str, &str); 24] = [
    ("kek: {existingSecret: ''}", "kek.existingSecret is empty: make a key file (remint init"),
    ("kek: {value: secret}", "at '/kek': additional properties 'value' not allowed"),
    ("replica: 2", "additional properties 'replica' not allowed"),
    ("replicas: many", "at '/replicas': got string, want integer"),
    ("replicas: 0", "at '/replicas': minimum: got 0, want 1"),
    ("replicas: 2", "replicas is more than 1, and SQLite has one daemon: name store.postgres.host"),
    ("image: {tag: 1}", "at '/image/tag': got number, want string"),
    ("image: {digest: abc}", "at '/image/digest': 'abc' does not match pattern '^(sha256:[0-9a-f]{64})?$'"),
    (
        "image: {pullPolicy: Sometimes}",
        "at '/image/pullPolicy': value must be one of 'IfNotPresent', 'Always', 'Never'",
    ),
    (
        "store: {postgres: {host: db}}",
        "store.postgres.existingSecret is empty: name the Secret that holds the password",
    ),
    (
        "store: {postgres: {host: db, existingSecret: k}}",
        "kek.existingSecret and store.postgres.existingSecret are one Secret: whoever reads the database would open it",
    ),
    (
        "store: {postgres: {host: 'boss:pw@db', existingSecret: d}}",
        "at '/store/postgres/host': 'boss:pw@db' does not match pattern",
    ),
    ("store: {postgres: {password: pw}}", "at '/store/postgres': additional properties 'password' not allowed"),
    (
        "store: {postgres: {tls: prefer}}",
        "at '/store/postgres/tls': value must be one of 'verify-full', 'verify-ca', 'require', 'disable'",
    ),
    ("store: {sqlite: {size: big}}", "at '/store/sqlite/size': 'big' does not match pattern"),
    ("secrets: [k]", "kek.existingSecret stands in secrets, too"),
    ("configuration: {store: x}", "configuration.store is the chart's own to write: say it by store.postgres"),
    ("configuration: {kubernetes: {}}", "configuration.kubernetes is the chart's own to write: say it by operator"),
    (
        "{governance: {charter: c}, operator: {user: u}}",
        "operator.user is for a state that nobody governs, and governance.charter is named",
    ),
    ("operator: {namespaces: [Payments]}", "at '/operator/namespaces/0': 'Payments' does not match pattern"),
    ("api: {enabled: true}", "api.existingSecret is empty: name a Secret of type kubernetes.io/tls"),
    ("webhooks: {certificate: {certManager: true}}", "name the Issuer that cert-manager asks, as {kind: Issuer"),
    (
        "webhooks: {certificate: {existingSecret: t}}",
        "webhooks.certificate.ca is empty: the API server has to know who signed",
    ),
    (
        "webhooks: {certificate: {certManager: true, issuer: {name: i}, existingSecret: t}}",
        "webhooks.certificate has both certManager and existingSecret: say who makes the certificate, once",
    ),
];

#[test]
fn wrong_values_are_refused_with_a_sentence() {
    let helm = Helm::new();
    let folder = tempfile::tempdir().unwrap();
    let right = write(folder.path(), "right.yaml", "kek: {existingSecret: k}\n");
    let chart = chart();
    let mut wrong = Vec::new();
    for (values, sentence) in WRONG {
        let other = write(folder.path(), "wrong.yaml", values);
        let output = helm.run(&["template", "remint", chart.to_str().unwrap(), "--values", &right, "--values", &other]);
        let said = String::from_utf8_lossy(&output.stderr);
        if output.status.success() || !said.contains(sentence) {
            wrong.push(format!("{values}\n  wanted: {sentence}\n  said: {said}"));
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

fn write(folder: &Path, name: &str, text: &str) -> String {
    let path = folder.join(name);
    std::fs::write(&path, text).unwrap();
    path.to_str().unwrap().to_owned()
}

/// What nobody may take away by a value.
#[test]
fn every_pod_gives_up_what_it_does_not_need() {
    let helm = Helm::new();
    for (set, values) in sets() {
        let rendered = helm.rendered(&values);
        let mut pods = 0;
        for object in rendered.objects() {
            let spec = &object["spec"]["template"]["spec"];
            if spec.is_null() {
                continue;
            }
            pods += 1;
            let (of, all) = (&spec["securityContext"], format!("{set}: {object}"));
            assert!(of["runAsNonRoot"] == true && of["seccompProfile"]["type"] == "RuntimeDefault", "{all}");
            assert_eq!(spec["automountServiceAccountToken"], false, "{all}");
            let containers = [&spec["containers"], &spec["initContainers"]];
            for container in containers.into_iter().filter_map(|list| list.as_array()).flatten() {
                let of = &container["securityContext"];
                assert!(of["readOnlyRootFilesystem"] == true && of["allowPrivilegeEscalation"] == false, "{all}");
                assert_eq!(of["capabilities"]["drop"][0], "ALL", "{all}");
                // A secret comes by a file, which no other process sees and no crash prints.
                assert!(!container["env"].to_string().contains("secretKeyRef"), "{all}");
            }
            // The key never lies on the volume that what it opens lies on.
            for volume in spec["volumes"].as_array().into_iter().flatten().filter(|volume| volume["name"] == "kek") {
                assert!(volume["secret"].is_object(), "{all}");
            }
        }
        assert!(pods >= 1, "{set}");
        assert!(rendered.objects().all(|object| object["kind"] != "Secret"), "{set}: a secret is named, never written");
    }
}
