//! The chart, as far as text shows it: its definitions, its values and its page.

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
        ```sh\nremint init --single-operator --state \"$(mktemp -d)\" --kek kek   # keep a copy of `kek` elsewhere\n\
        kubectl create namespace remint\n\
        kubectl -n remint create secret generic remint-kek --from-file=kek\n\
        helm install remint helm/remint -n remint --set kek.existingSecret=remint-kek --set operator.user=\"$(kubectl auth whoami \\\n  \
        -o jsonpath='{.status.userInfo.username}')\"\n```\n\n\
        The daemon makes the certificate of its webhooks itself, renews it after two thirds of its 90 days, and tells the API\n\
        server who signs it; `webhooks.certificate` says otherwise. Before an upgrade a Job brings the custom resource definitions\n\
        to what the new version knows; where that is switched off: `kubectl apply --server-side -f helm/remint/crds`. Before it is\n\
        uninstalled a Job looks whether a Credential is still held; `helm uninstall --no-hooks` goes past it.\n\n\
        Several replicas share one PostgreSQL, and a charter makes a state that persons govern:\n\n\
        ```sh\nkubectl -n remint create secret generic remint-db --from-file=password --from-file=ca.crt\n\
        kubectl -n remint create configmap remint-charter --from-file=charter/   # persons.yaml and *.cedar\n\
        helm install remint helm/remint -n remint --set kek.existingSecret=remint-kek --set replicas=2 \\\n  \
        --set store.postgres.host=db.internal:5432,store.postgres.existingSecret=remint-db,store.postgres.ca=ca.crt \\\n  \
        --set governance.charter=remint-charter\n```\n\n\
        ```yaml\n# persons.yaml: accounts of the cluster, and the daemon itself\n\
        persons:\n  alice: {principals: [\"kubernetes:alice@example.com\"], groups: [responders]}\n  \
        bob:   {principals: [\"kubernetes:bob@example.com\"], groups: [approvers]}\n\
        services:\n  remint: {principals: [\"unix:65532\"], groups: [pods], owners: [bob]}\n```\n\n\
        ```cedar\n@id(\"the-pod\")\n\
        permit (principal in Remint::Group::\"pods\", action in [Remint::Action::\"execute\", Remint::Action::\"change-estate\"], resource);\n```\n\n\
        With `change-estate` whoever may exec into the pod activates the estate; without it persons do, over the API\n\
        (`api.enabled`, and `configuration.issuers` for who they are).\n\n\
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
