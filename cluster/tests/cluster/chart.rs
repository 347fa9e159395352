//! The chart, as far as text shows it: its definitions, its values and its page; and the alerts beside it.

use std::collections::BTreeSet;
use std::fmt::Write as _;
use std::path::{Path, PathBuf};

use remint_cluster::RESOURCES;
use serde_json::Value;

fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("..")
}

fn read(name: &str) -> String {
    std::fs::read_to_string(root().join(name)).unwrap_or_default()
}

/// With `UPDATE_GOLDEN` set they are copied.
#[test]
fn the_chart_has_the_definitions() {
    for resource in RESOURCES {
        let (name, text) = resource.file().unwrap();
        let place = root().join("helm/remint/crds").join(&name);
        if option_env!("UPDATE_GOLDEN").is_some() {
            std::fs::write(&place, &text).unwrap();
        }
        assert!(std::fs::read_to_string(place).unwrap_or_default() == text, "{name} is not what is made");
    }
}

/// Each value with what stands above it: (path, says, default).
fn values() -> Vec<(String, String, String)> {
    let (mut path, mut says, mut all): (Vec<(usize, String)>, String, _) = (Vec::new(), String::new(), Vec::new());
    for line in read("helm/remint/values.yaml").lines() {
        let text = line.trim_start();
        let depth = line.len() - text.len();
        if let Some(comment) = text.strip_prefix("# ") {
            let _ = write!(says, "{comment} ");
        } else if let Some((key, value)) = text.split_once(':') {
            path.retain(|(one, _)| *one < depth);
            path.push((depth, key.to_owned()));
            let name = path.iter().map(|(_, key)| key.as_str()).collect::<Vec<_>>().join(".");
            let value = value.trim();
            if !value.is_empty() {
                all.push((name, says.trim().to_owned(), value.to_owned()));
                says.clear();
            }
        } else {
            says.clear();
        }
    }
    all
}

#[test]
fn every_value_says_what_it_is_and_the_schema_knows_it() {
    let schema: Value = serde_json::from_str(&read("helm/remint/values.schema.json")).unwrap();
    let mut wrong = Vec::new();
    for (name, says, _) in values() {
        if says.is_empty() {
            wrong.push(format!("{name} has no comment"));
        }
        let mut place = &schema;
        for key in name.split('.') {
            // A map that is the cluster's own is not described again.
            if place["properties"].is_null() && place["type"] == "object" {
                break;
            }
            place = &place["properties"][key];
        }
        if place.is_null() {
            wrong.push(format!("{name} is not in values.schema.json"));
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

/// With `UPDATE_GOLDEN` set it is written.
#[test]
fn the_page_of_the_chart_is_made_of_its_values() {
    let mut page = "# The chart of Remint\n\nMade of `values.yaml`; change that, and run the tests with `UPDATE_GOLDEN=1`.\n\n\
        ```sh\nkubectl create secret generic remint-kek --from-file=kek=FILE\n\
        helm install remint helm/remint --set kek.existingSecret=remint-kek --set webhooks.certificate.certManager=true \\\n  \
        --set webhooks.certificate.issuer.kind=ClusterIssuer --set webhooks.certificate.issuer.name=NAME\n```\n\n\
        Helm installs definitions once. After an upgrade: `kubectl apply --server-side -f helm/remint/crds`.\n\n\
        | value | default | what it says |\n|---|---|---|\n"
        .to_owned();
    for (name, says, value) in values() {
        let _ = writeln!(page, "| `{name}` | `{value}` | {} |", says.replace('|', "\\|"));
    }
    if option_env!("UPDATE_GOLDEN").is_some() {
        std::fs::write(root().join("helm/remint/README.md"), &page).unwrap();
    }
    assert_eq!(read("helm/remint/README.md"), page);
}

#[test]
fn every_alert_is_about_a_number_that_is_exported() {
    let names = |text: &str| -> BTreeSet<String> {
        let word = |at: usize| {
            text[at..].split(|c: char| !(c.is_ascii_lowercase() || c == '_')).next().unwrap_or("").to_owned()
        };
        text.match_indices("remint_").map(|(at, _)| word(at)).collect()
    };
    let exported = names(&read("src/serve/api/metrics.rs"));
    let alerts = read("manifests/observability/alerts.yaml");
    let expressions: String = alerts.lines().filter(|line| line.trim_start().starts_with("expr:")).collect();
    let used = names(&expressions);
    assert!(used.len() >= 8, "{used:?}");
    let unknown: Vec<_> = used.difference(&exported).collect();
    assert!(unknown.is_empty(), "nobody exports {unknown:?}");
}
